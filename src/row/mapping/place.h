/*
 * Where a mapping reads what it needs: each path, constant and choice gets its cell. Used while a
 * mapping is made, by the columns and by the condition alike, so that one read of a record serves
 * both. Main thread.
 */
#ifndef ROW_MAPPING_PLACE_H
#define ROW_MAPPING_PLACE_H

#include "row/mapping/mapping_state.h"
#include "row/path/path.h"

/* The place of a path, found or made. as_bytes: a whole value is wanted as it is, not as a
 * document.
 */
struct place place_path(struct mapping *m, const struct path *p, bool as_bytes);

/* The same, with a whole value as what it is: a text, a number, an array. */
struct place place_operand(struct mapping *m, const struct path *p);

/* The place of a text that is the same for every record. */
struct place place_constant(struct mapping *m, const char *text);

/* The place of a soft delete's mark, which the decoder fills. */
struct place place_mark(struct mapping *m);

/* The place of the fields that no column takes; the decoder fills it. */
struct place place_rest(struct mapping *m);

/* The place that receives the first of n others that is there and not null. */
struct place place_choice(struct mapping *m, const struct place *of, size_t n);

/* The place that receives the document which the string of another one holds. */
struct place place_parsed(struct mapping *m, struct place of);

/* No more places: numbers the cells. */
void place_seal(struct mapping *m);

/* The number of the cell, after place_seal. */
uint32_t place_cell(const struct mapping *m, struct place p);

#endif
