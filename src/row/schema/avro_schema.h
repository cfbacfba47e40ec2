/*
 * Avro schemas (specification 1.12) into shapes. Schemas of writers: defaults, aliases, orders and
 * docs are passed over, because they are for readers.
 *
 * Names: a type is known by its full name, from the text itself or from one of its references; one
 * without a dot is of the namespace around it. Senses come from `connect.name` (Kafka Connect's and
 * Debezium's logical types, with `connect.parameters`), else from `logicalType`. One that does not
 * fit the type that it stands at means nothing, as the specification says.
 */
#ifndef ROW_SCHEMA_AVRO_SCHEMA_H
#define ROW_SCHEMA_AVRO_SCHEMA_H

#include "row/schema/compile.h"

/* As schema_compile, for Avro. The schema has one root. @thread any */
bool avro_schema_read(struct str text, const struct schema_part *refs, size_t ref_count,
                      const struct schema **out, struct error *err) _must_;

#endif
