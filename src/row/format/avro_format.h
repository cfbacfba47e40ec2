/*
 * Avro's binary encoding into cells: the fields that a tree of names asks for. All the rest is
 * checked, and bytes that are left over are a fault: the cheapest sign of a wrong schema.
 *
 *     int, long           CELL_INT, with the unit of a date or a time
 *     float, double       CELL_NUMBER with the fewest digits; what is not finite: CELL_STRING
 *     string, enum        CELL_STRING, borrowed from the bytes, or from the schema
 *     bytes, fixed        CELL_BYTES, borrowed from the bytes: decimals too
 *     record, array, map  CELL_JSON, with what is in it as shape_json.h says
 *     union               what its branch is. A path leads into each branch that is a record, and
 *                         a name that is a record's full name into that one
 *     map                 a path leads into it as into a JSON object
 * One thread per scratch.
 */
#ifndef ROW_FORMAT_AVRO_FORMAT_H
#define ROW_FORMAT_AVRO_FORMAT_H

#include "row/format/format.h"

/*
 * As format.h says of `read`. in->schema and in->shape are what the record was written with: the
 * writer's schema decides, and none of its defaults is ever a value. ERROR_RECORD: the bytes are
 * no such record; it is none although fields are wanted.
 */
bool avro_format_read(struct format_scratch *s, const struct format_input *in, struct cell *cells,
                      struct error *err) _must_;

#endif
