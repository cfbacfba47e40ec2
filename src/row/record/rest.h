/* The fields of a value that no column takes. Any thread. */
#ifndef ROW_RECORD_REST_H
#define ROW_RECORD_REST_H

#include "row/json/elements.h"
#include "row/mapping/mapping_state.h"

/*
 * root is the value as it was read, or the row in a change event. With UNKNOWN_FAULT the first such
 * field is a fault (ERROR_RECORD). With UNKNOWN_COLLECT *out is one object of all of them, each as
 * it stands in the document, made in `text`; it is NULL where the value is null. Only the outermost
 * names count, and a field counts as taken if a column takes a part of it. plain is scratch memory.
 */
bool rest_read(const struct mapping *m, const struct cell *root, struct buf *plain,
               struct buf *text, struct cell *out, struct error *err) _must_;

#endif
