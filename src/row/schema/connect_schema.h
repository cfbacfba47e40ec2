/*
 * The schema part of Kafka Connect's JSON into a shape:
 *     {"type": "struct", "name": "shop.Order", "optional": false, "fields": [
 *         {"field": "day", "type": "int32", "optional": true, "name": "io.debezium.time.Date"}]}
 * A name that is known gives the sense, its parameters give scale and length, and what a source
 * says about its column (__debezium.source.column.type, .length, .scale) is kept. An element of an
 * array or of a map may always be null. Values stay JSON: see logical_of_shape. Pure; any thread.
 */
#ifndef ROW_SCHEMA_CONNECT_SCHEMA_H
#define ROW_SCHEMA_CONNECT_SCHEMA_H

#include "base/buf.h"
#include "row/cell/cell.h"
#include "row/schema/shape.h"

/* *out is sealed, and the caller's to drop; the text is not needed afterwards. ERROR_SETUP: it
 * cannot be read. */
bool connect_schema_read(struct str text, const struct schema **out, struct error *err) _must_;

/*
 * What the name of a logical type of Connect or Debezium says of a shape whose kind is known, and
 * its parameters, an object or anything else. The name lives as long as the shape; `plain` is
 * scratch memory of elements.h.
 */
void connect_schema_sense(struct str name, const struct cell *parameters, struct arena *memory,
                          struct buf *plain, struct shape *shape);

#endif
