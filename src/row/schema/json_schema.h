/*
 * JSON Schema, of any draft, into a shape. Values stay JSON, and nothing is validated: what the
 * schema says of types, formats and names is what is wanted. What it says in other ways is any
 * JSON.
 *
 * A $ref leads into the same text ("#/definitions/Order", "#/$defs/Order") or into a reference, by
 * its name or its $id. A schema that Kafka Connect wrote has its logical types in title,
 * connect.type and connect.parameters, and the order of its fields in connect.index. Pure; any
 * thread.
 */
#ifndef ROW_SCHEMA_JSON_SCHEMA_H
#define ROW_SCHEMA_JSON_SCHEMA_H

#include "row/schema/compile.h"

/* As schema_compile, for JSON Schema. The schema has one root. @thread any */
bool json_schema_read(struct str text, const struct schema_part *refs, size_t ref_count,
                      const struct schema **out, struct error *err) _must_;

#endif
