/* The fields of a value that no column takes. Any thread. */
#ifndef ROW_RECORD_REST_H
#define ROW_RECORD_REST_H

#include "row/json/elements.h"
#include "row/mapping/mapping_state.h"

/*
 * root is the value as it was read, or the row in a change event. m->unknown says what is done:
 * UNKNOWN_FAULT names the first such field; UNKNOWN_COLLECT makes one object of all of them, each
 * as its text is, into `text`, and *out that; NULL where the value is null. Only the outermost
 * names count, and one of which a column takes a part is taken. plain is scratch memory.
 * ERROR_RECORD.
 */
bool rest_read(const struct mapping *m, const struct cell *root, struct buf *plain,
               struct buf *text, struct cell *out, struct error *err) _must_;

#endif
