/*
 * Protobuf schemas: .proto texts of proto2, proto3 and edition 2023, or file descriptors in base64,
 * into shapes. The roots of such a schema are the messages at the top of the file. Needs
 * libprotobuf, of which this is the only user (row/schema/protobuf_file.h).
 *
 * A message becomes a record, with the well-known types known by their sense; a map becomes a
 * SHAPE_MAP with the shape of its key; a field that is repeated is an array. Fields with presence
 * are optional. Pure; any thread.
 */
#ifndef ROW_SCHEMA_PROTOBUF_SCHEMA_H
#define ROW_SCHEMA_PROTOBUF_SCHEMA_H

#include "base/error.h"
#include "row/schema/compile.h"
#include "row/schema/shape.h"

/* Can this build read such schemas? */
bool protobuf_schema_is_there(void) _pure_;

/* As schema_compile. ERROR_SETUP: it cannot be read, it has no message, it is larger than shapes
 * may be; this build has no libprotobuf. */
bool protobuf_schema_read(struct str text, const struct schema_part *refs, size_t ref_count,
                          const struct schema **out, struct error *err) _must_;

/*
 * The message that a list of indexes leads to: the first one is its place, or that of the message
 * around it, at the top of the file, each further one its place in the message before. NULL: there
 * is none. An empty list is [0].
 *
 * Confluent's serializers in Java count the messages as the text declares them; those for Python
 * and Go also count the entry of each map field, and register the schema as a descriptor. So
 * entries count where the schema came as a descriptor.
 */
const struct shape *protobuf_message_at(const struct schema *s, const uint32_t *indexes,
                                        size_t n) _pure_;

/* The message of that full name, or, as Apicurio's serializers name it, the one at the top of the
 * file of that name without the package; NULL: there is none that the indexes could lead to. */
const struct shape *protobuf_message_named(const struct schema *s, struct str name) _pure_;

#endif
