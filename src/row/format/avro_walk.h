/*
 * A whole value of any shape: passed over, or written as JSON; checked in either case. Recursive,
 * but bounded: in depth, in values that take no bytes, and in the size of the JSON. One thread.
 */
#ifndef ROW_FORMAT_AVRO_WALK_H
#define ROW_FORMAT_AVRO_WALK_H

#include "base/buf.h"
#include "row/format/avro_bytes.h"
#include "row/schema/shape.h"

/* As in JSON: DOCUMENT_DEPTH_MAX. */
#define AVRO_DEPTH_MAX 1024

struct avro_walk {
    struct avro_bytes bytes;
    struct buf *out; /* the JSON is appended; NULL: passed over */
    uint64_t budget; /* values that may still be read: see avro_walk_begin */
    size_t out_max;  /* bytes of `out` */
    int depth;
    bool is_odd; /* the JSON may hold something that jsonb refuses */
};

/*
 * At the start of these bytes. A value without bytes (null, an empty record) may be repeated any
 * number of times by a few bytes: the number of values is bounded by that of the bytes.
 */
void avro_walk_begin(struct avro_walk *w, struct str bytes, struct error *err);

/* The value at w->bytes. ERROR_RECORD: it is none of that shape, or exceeds a bound. */
bool avro_walk_value(struct avro_walk *w, const struct shape *s) _must_;

#endif
