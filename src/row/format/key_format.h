/*
 * The ways to read a record's key, one row of a table each, as format.h has them for values. No
 * code asks which one it is. One thread per scratch.
 */
#ifndef ROW_FORMAT_KEY_FORMAT_H
#define ROW_FORMAT_KEY_FORMAT_H

#include "row/format/format.h"

/*
 * KEY_AUTO: the whole key is its bytes, and a path into it makes it JSON. KEY_TEXT: only bytes.
 * KEY_JSON: the whole key is the JSON value, too. KEY_INT32, KEY_INT64: a big-endian number of 4 or
 * 8 bytes, as Kafka's serializers of Integer and Long write it. The last three: as the formats
 * of these names.
 */
enum key_format_id {
    KEY_AUTO,
    KEY_TEXT,
    KEY_JSON,
    KEY_INT32,
    KEY_INT64,
    KEY_AVRO,
    KEY_PROTOBUF,
    KEY_JSON_SCHEMA,
    KEY_FORMAT_COUNT
};

struct key_format {
    const char *name;      /* as users write it */
    bool has_fields;       /* paths may lead into it */
    bool has_value;        /* the whole key is what `read` makes of it; otherwise its bytes */
    bool is_json;          /* with has_fields: it is JSON, perhaps in Connect's wrapper */
    bool wants_schema;     /* it is read with the schema that it was written with, ... */
    enum format_id format; /* ... as in this format */

    /*
     * As that of struct format: the whole key into cells[0], fields into the others. NULL if the
     * key is never more than its bytes.
     */
    bool (*read)(struct format_scratch *s, const struct format_input *in, struct cell *cells,
                 struct error *err);
};

const struct key_format *key_format_of(enum key_format_id id) _pure_;

/* The format that its schemas are of; NULL: it has none. */
static inline const struct format *key_format_schemas(const struct key_format *k)
{
    return k->wants_schema ? format_of(k->format) : NULL;
}

/* KEY_AUTO beside values of that format: a path into a key makes it what the values are, where
 * these have schemas, else JSON. */
const struct key_format *key_format_beside(enum format_id format) _pure_;

#endif
