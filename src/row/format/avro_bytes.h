/*
 * The primitives of Avro's binary encoding, each checked against the bytes that are there. Whatever
 * returns false has filled *err: ERROR_RECORD, "<what is wrong> at byte 17". One thread.
 */
#ifndef ROW_FORMAT_AVRO_BYTES_H
#define ROW_FORMAT_AVRO_BYTES_H

#include "base/error.h"
#include "base/str.h"

#include <string.h>

struct avro_bytes {
    const uint8_t *p; /* what is read next */
    const uint8_t *end;
    const uint8_t *begin;
    struct error *err;
};

/* A fault at that place. Returns false. */
bool avro_fault(const struct avro_bytes *b, const uint8_t *at, const char *fmt, ...) _printf_(3, 4);

/* avro_long, whatever it begins with. */
bool avro_long_slow(struct avro_bytes *b, int64_t *out) _must_;

/* The faults of those below. Return false. */
bool avro_fault_end(const struct avro_bytes *b, const char *what);
bool avro_fault_text(const struct avro_bytes *b, struct str text);

static inline size_t avro_left(const struct avro_bytes *b)
{
    return (size_t) (b->end - b->p);
}

static inline int64_t avro_zigzag(uint64_t n)
{
    return (int64_t) (n >> 1 ^ (0 - (n & 1)));
}

/* A number of at most 64 bits, seven in a byte, the lowest first. */
static inline _must_ bool avro_long(struct avro_bytes *b, int64_t *out)
{
    if (avro_left(b) >= 2) {
        uint64_t first = b->p[0];
        uint64_t second = b->p[1];
        if (first < 0x80) {
            *out = avro_zigzag(first);
            b->p += 1;
            return true;
        }
        if (second < 0x80) {
            *out = avro_zigzag((first & 0x7F) | second << 7);
            b->p += 2;
            return true;
        }
    }
    return avro_long_slow(b, out);
}

static inline _must_ bool avro_int(struct avro_bytes *b, int64_t *out)
{
    const uint8_t *at = b->p;

    if (!avro_long(b, out)) {
        return false;
    }
    return (*out >= INT32_MIN && *out <= INT32_MAX) ||
           avro_fault(b, at, "an int of more than 32 bits");
}

/* A number of branches, symbols: less than count. */
static inline _must_ bool avro_index(struct avro_bytes *b, const char *of, uint32_t count,
                                     uint32_t *out)
{
    const uint8_t *at = b->p;
    int64_t n;

    if (!avro_long(b, &n)) {
        return false;
    }
    *out = (uint32_t) n;
    return (n >= 0 && n < count) ||
           avro_fault(b, at, "%s number %lld of %u", of, (long long) n, count);
}

static inline _must_ bool avro_bool(struct avro_bytes *b, bool *out)
{
    if (b->p == b->end) {
        return avro_fault_end(b, "a boolean");
    }
    if (*b->p > 1) {
        return avro_fault(b, b->p, "a boolean that is %u", *b->p);
    }
    *out = *b->p++ == 1;
    return true;
}

/* n bytes as they are. */
static inline _must_ bool avro_take(struct avro_bytes *b, size_t n, const char *what,
                                    struct str *out)
{
    if (n > avro_left(b)) {
        return avro_fault_end(b, what);
    }
    *out = (struct str){.p = (const char *) b->p, .n = n};
    b->p += n;
    return true;
}

static inline _must_ bool avro_double(struct avro_bytes *b, double *out)
{
    if (avro_left(b) < sizeof *out) {
        return avro_fault_end(b, "a double");
    }
    memcpy(out, b->p, sizeof *out);
    b->p += sizeof *out;
    return true;
}

static inline _must_ bool avro_float(struct avro_bytes *b, float *out)
{
    if (avro_left(b) < sizeof *out) {
        return avro_fault_end(b, "a float");
    }
    memcpy(out, b->p, sizeof *out);
    b->p += sizeof *out;
    return true;
}

/* Bytes after their length. */
static inline _must_ bool avro_run(struct avro_bytes *b, struct str *out)
{
    const uint8_t *at = b->p;
    int64_t n;

    if (!avro_long(b, &n)) {
        return false;
    }
    if (n < 0 || (uint64_t) n > avro_left(b)) {
        (void) avro_fault(b, at, "a length of %lld where %zu bytes are left", (long long) n,
                          avro_left(b));
        return false;
    }
    *out = (struct str){.p = (const char *) b->p, .n = (size_t) n};
    b->p += n;
    return true;
}

/* Has it eight bytes or more, all of them ASCII? Most texts are, and this is quicker than str_utf8.
 */
static inline bool avro_is_ascii(struct str s)
{
    uint64_t words[4];
    uint64_t seen = 0;
    size_t i = 0;

    if (s.n < sizeof *words) {
        return false;
    }
    for (; s.n - i >= sizeof words; i += sizeof words) {
        memcpy(words, s.p + i, sizeof words);
        seen |= words[0] | words[1] | words[2] | words[3];
    }
    for (; s.n - i >= sizeof *words; i += sizeof *words) {
        memcpy(words, s.p + i, sizeof *words);
        seen |= words[0];
    }
    memcpy(words, s.p + s.n - sizeof *words, sizeof *words); /* the rest, and some once more */
    return ((seen | words[0]) & UINT64_C(0x8080808080808080)) == 0;
}

/* The same, well-formed UTF-8. */
static inline _must_ bool avro_text(struct avro_bytes *b, struct str *out)
{
    return avro_run(b, out) &&
           (avro_is_ascii(*out) || str_utf8(*out, NULL) || avro_fault_text(b, *out));
}

/* The items of an array or a map, block by block. */
struct avro_block {
    int64_t left;       /* items in this block */
    const uint8_t *end; /* where it has said that it ends; NULL: it has not */
};

/* Starts as zeros. *out_more: there is another item. */
bool avro_next(struct avro_bytes *b, struct avro_block *block, bool *out_more) _must_;

#endif
