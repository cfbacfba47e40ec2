/*
 * JSON whose schema is registered: read as any JSON, and each value has the shape that the schema
 * says, whether or not it is what was written. One thread per scratch.
 */
#ifndef ROW_FORMAT_JSON_SCHEMA_FORMAT_H
#define ROW_FORMAT_JSON_SCHEMA_FORMAT_H

#include "row/format/format.h"

/* As json_format_read, and format_node_shape says what the schema does. */
bool json_schema_format_read(struct format_scratch *s, const struct format_input *in,
                             struct cell *cells, struct error *err) _must_;

struct json_schema_plans *json_schema_plans_free(struct json_schema_plans *p); /* returns NULL */

#endif
