/*
 * Protobuf's values as JSON: fields under the names of the schema and in its order. One that was
 * not written is its default, or null where it has presence. The well-known types are what they
 * mean: a Timestamp is ISO 8601 text, a wrapper the value in it, a Struct the JSON object that it
 * is. Numbers have all their digits, bytes are base64. One thread.
 */
#ifndef ROW_FORMAT_PROTOBUF_JSON_H
#define ROW_FORMAT_PROTOBUF_JSON_H

#include "base/buf.h"
#include "row/format/protobuf_wire.h"

/* jsonb may refuse a number with more digits. */
enum { NUMBER_PLAIN_BYTES = 1024 };

struct protobuf_json {
    struct protobuf_wire *wire;
    struct buf *out;
    size_t out_max; /* bytes of out */
    bool is_odd;    /* it may hold something that jsonb refuses */
};

/*
 * Each appends JSON. ERROR_RECORD: bytes that are not what the schema says, a time that is none,
 * more JSON than out_max.
 */

/* What a message has of the field: a value, an array or a map. */
bool protobuf_json_field(struct protobuf_json *j, const struct shape_field *f,
                         struct protobuf_seen seen) _must_;

/* A whole message, in these bytes. */
bool protobuf_json_message(struct protobuf_json *j, const struct shape *s, struct str bytes) _must_;

/* Is the message one that is more than a record of its fields? */
bool protobuf_is_value(const struct shape *s) _pure_;

/* Is the text a number in JSON's form, without an exponent? */
bool protobuf_is_number(struct str text) _pure_;

#endif
