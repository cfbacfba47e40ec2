/*
 * What records were written with: the schemas that a decoder has been given, which of them the
 * record at hand names, and what the values of a mapping mean by it. A schema that is lacking is
 * remembered, so that whoever decodes can ask for it and read the record again.
 *
 * Belongs to one decoder and its thread.
 */
#ifndef ROW_RECORD_WRITTEN_H
#define ROW_RECORD_WRITTEN_H

#include "row/format/format.h"
#include "row/mapping/mapping_state.h"
#include "row/schema/schema_table.h"

/* By which schema the value, or the key, of the record at hand was written. */
struct written_part {
    struct schema_ref ref; /* SCHEMA_REF_NONE: by none; it is null, or its format has none */
    const struct shape *shape;
};

struct meaning_list;

/* Starts as zeros. */
struct written {
    struct schema_table known;
    bool is_lacking;
    struct schema_ref lacked; /* with is_lacking */
    struct written_part value;
    struct written_part key;
    struct meaning_list *lists;
    size_t list_count;
    size_t last; /* used last */
    struct buf text;
};

void written_done(struct written *w);

/* What the ref names from now on: a schema, of which it takes a reference; or nothing, for that
 * reason, which is copied; or, both being NULL, nobody knows. */
void written_learn(struct written *w, const struct schema_ref *ref, const struct schema *schema,
                   const struct error *fault);

/* A record begins. */
void written_begin(struct written *w);

/*
 * Finds out what the value or the key of msg was written with, and completes *in, whose `what` and
 * `names` are set: its bytes without framing, and their schema. ERROR_RECORD: framed otherwise, a
 * schema of another language, one that the registry does not have. ERROR_SETUP: its schema cannot
 * be used. ERROR_AGAIN: it is not known yet, and w->lacked names it.
 */
bool written_open(struct written *w, const struct format *f, const struct framing *framing,
                  const struct message *msg, bool of_key, struct format_input *in,
                  struct error *err) _must_;

/* The cells of meta.schema and meta.schema_id. */
void written_fill(struct written *w, const struct mapping *m, struct cell *cells);

/* What a value of that shape is in the column of the meaning; NULL without a shape. */
const struct logical *written_logical(struct written *w, const struct mapping *m, size_t meaning,
                                      const struct shape *shape);

/* How people call the schema: "schema 7", "schema 4c8553a0-...". */
void written_print_ref(const struct schema_ref *ref, struct buf *out);

#endif
