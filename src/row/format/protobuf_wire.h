/*
 * The bytes of one Protobuf message, taken apart: which fields are there, and where. Each byte is
 * checked against what is there, in fields that nothing wants too. Whatever returns false has
 * filled *err: ERROR_RECORD, "<what is wrong> at byte 17". One thread.
 */
#ifndef ROW_FORMAT_PROTOBUF_WIRE_H
#define ROW_FORMAT_PROTOBUF_WIRE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "row/schema/shape.h"

/* As in JSON: DOCUMENT_DEPTH_MAX. */
#define PROTOBUF_DEPTH_MAX 1024

#define PIECE_NONE UINT32_MAX

enum protobuf_wire_type {
    WIRE_VARINT = 0,
    WIRE_64 = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP = 3,
    WIRE_GROUP_END = 4,
    WIRE_32 = 5,
};

/* One occurrence of a field; that of bytes or a group without its length or its tags. */
struct protobuf_piece {
    const uint8_t *p;
    const uint8_t *end;
    uint32_t next; /* the field's next piece; PIECE_NONE */
    uint8_t wire;
};

/* What a message has of a field. */
struct protobuf_seen {
    uint32_t first; /* number of a piece; PIECE_NONE: nothing */
    uint32_t last;
};

struct protobuf_wire {
    const uint8_t *begin; /* of the whole message */
    const uint8_t *end;
    struct error *err;
    struct protobuf_piece *pieces; /* a stack */
    size_t piece_count;
    size_t piece_cap;
    struct protobuf_seen *seen; /* a stack */
    size_t seen_count;
    size_t seen_cap;
    struct arena merged; /* messages that came in several pieces */
    int depth;
};

void protobuf_wire_begin(struct protobuf_wire *w, struct str bytes, struct error *err);
void protobuf_wire_done(struct protobuf_wire *w);

/* A fault at that place. Returns false. */
bool protobuf_fault(const struct protobuf_wire *w, const uint8_t *at, const char *fmt, ...)
    _printf_(3, 4);
bool protobuf_too_deep(const struct protobuf_wire *w);

/* Seven bits in a byte, the lowest first. False: no end, without filling *err. */
bool protobuf_varint_slow(const uint8_t **p, const uint8_t *end, uint64_t *out) _must_;

static inline _must_ bool protobuf_varint(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    if (*p < end && **p < 0x80) {
        *out = *(*p)++;
        return true;
    }
    return protobuf_varint_slow(p, end, out);
}

/* The shape of one value of the field: that of its elements, where it is repeated; NULL: a map. */
const struct shape *protobuf_value_shape(const struct shape_field *f) _pure_;

/*
 * Goes over a message of that shape and notes where its fields are. want[i] is where in w->seen,
 * counted from `base`, the i-th field of the shape goes, PIECE_NONE if nothing wants it; want may
 * be NULL: all go, in their order. The places are there, and have nothing yet.
 */
bool protobuf_collect(struct protobuf_wire *w, const struct shape *s, const uint8_t *p,
                      const uint8_t *end, const uint32_t *want, size_t base) _must_;

/* Room for that many fields on the stack of places; returns where it begins. Whoever has it sets
 * seen_count and piece_count back to what they were. */
size_t protobuf_seen_push(struct protobuf_wire *w, size_t count);

/* A message that nothing wants: only checked. */
bool protobuf_check(struct protobuf_wire *w, const struct shape *s, const uint8_t *p,
                    const uint8_t *end) _must_;

/* The bytes of a message, of which all pieces together are one; each must be one by itself too. */
bool protobuf_merged(struct protobuf_wire *w, struct protobuf_seen seen, struct str *out) _must_;

/* The number that stands there, as the shape reads it: of whole numbers, booleans and enums. The
 * piece has been checked. */
uint64_t protobuf_number(const struct shape *s, const uint8_t **p, const uint8_t *end);
double protobuf_double(const uint8_t **p);
float protobuf_float(const uint8_t **p);

/* The text of an enum's value; of a number without a name its digits, which are in room. */
struct str protobuf_symbol(const struct shape *s, int32_t number, char room[16]);

#endif
