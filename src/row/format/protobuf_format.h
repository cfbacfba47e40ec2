/*
 * Protobuf messages into cells: the fields that a tree of names asks for. Nothing of libprotobuf is
 * needed here. One thread per scratch.
 *
 * A field that was not written is its default where it has no presence, and null where it has: of
 * `optional`, a message, a member of a oneof. An enum's value is its name; one without a name is
 * its digits. The well-known types are what they mean (row/format/protobuf_json.h).
 */
#ifndef ROW_FORMAT_PROTOBUF_FORMAT_H
#define ROW_FORMAT_PROTOBUF_FORMAT_H

#include "row/format/format.h"

/*
 * As format.h says of `read`; in->shape is the message that the indexes of the framing lead to.
 * ERROR_RECORD: the bytes are not what the schema says.
 */
bool protobuf_format_read(struct format_scratch *s, const struct format_input *in,
                          struct cell *cells, struct error *err) _must_;

struct protobuf_plans *protobuf_plans_free(struct protobuf_plans *p); /* returns NULL */

#endif
