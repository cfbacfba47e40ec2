/*
 * One object of an Avro schema: what it says about a type, gathered in one pass; and the sense that
 * this gives a shape. One thread.
 */
#ifndef ROW_SCHEMA_AVRO_ENTRY_H
#define ROW_SCHEMA_AVRO_ENTRY_H

#include "base/buf.h"
#include "row/cell/cell.h"
#include "row/schema/shape.h"

enum avro_word {
    AVRO_TYPE,
    AVRO_NAME,
    AVRO_NAMESPACE,
    AVRO_FIELDS,
    AVRO_SYMBOLS,
    AVRO_SIZE,
    AVRO_ITEMS,
    AVRO_VALUES,
    AVRO_LOGICAL, /* from here on: what gives a sense */
    AVRO_PRECISION,
    AVRO_SCALE,
    AVRO_CONNECT_NAME,
    AVRO_CONNECT_TYPE,
    AVRO_PARAMETERS,
    AVRO_WORDS,
};

struct avro_entry {
    struct cell of[AVRO_WORDS]; /* CELL_ABSENT: it does not say it */
};

/* What the object, the text of a checked one, says. Of a word that comes twice the last one counts.
 * Strings with escapes are copied into memory. */
void avro_entry_read(struct avro_entry *e, struct str object, struct arena *memory,
                     struct buf *plain);

/* The text of a string; absent if it is none. */
struct str avro_entry_text(const struct avro_entry *e, enum avro_word word);

/* Does it say anything that may give a sense? */
bool avro_entry_has_sense(const struct avro_entry *e) _pure_;

/* Sets what the entry says about the shape beyond its kind, which is known. */
void avro_entry_apply(const struct avro_entry *e, struct shape *shape, struct arena *memory,
                      struct buf *plain);

/* A whole number of 32 bits, as a number or as the digits of a string; else false, *out untouched.
 */
bool avro_whole(const struct cell *c, int32_t *out);

#endif
