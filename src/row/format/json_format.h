/* JSON documents into cells: the fields that a tree of names asks for. One thread per scratch. */
#ifndef ROW_FORMAT_JSON_FORMAT_H
#define ROW_FORMAT_JSON_FORMAT_H

#include "row/format/format.h"

/*
 * As format.h says of `read`; cells[0] is the whole document. ERROR_RECORD: not valid JSON; not an
 * object although fields are wanted.
 */
bool json_format_read(struct format_scratch *s, const struct format_input *in, struct cell *cells,
                      struct error *err) _must_;

#endif
