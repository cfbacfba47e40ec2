/*
 * JSON documents into cells: the fields that a tree of names asks for. One thread per document.
 */
#ifndef ROW_FORMAT_JSON_FORMAT_H
#define ROW_FORMAT_JSON_FORMAT_H

#include "row/json/document.h"

/*
 * The fields that f asks for, cells[0] being the whole document. A text that is not there is null,
 * and neither it nor the document null has fields. `what` is its name in faults: "value", "key".
 * ERROR_RECORD: not valid JSON; not an object although fields are wanted.
 */
bool json_format_read(const char *what, const struct fields *f, struct document *d, struct str text,
                      struct cell *cells, struct error *err) _must_;

#endif
