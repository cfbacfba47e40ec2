/* See avro_bytes.h. */
#include "row/format/avro_bytes.h"

#include "row/text/ascii.h"

#include <stdarg.h>
#include <stdio.h>

bool avro_fault(const struct avro_bytes *b, const uint8_t *at, const char *fmt, ...)
{
    char what[160];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    error_set(b->err, ERROR_RECORD, "%s at byte %zu", what, (size_t) (at - b->begin) + 1);
    return error_sqlstate(b->err, "22P02");
}

bool avro_fault_end(const struct avro_bytes *b, const char *what)
{
    return avro_fault(b, b->end, "the end in the middle of %s", what);
}

bool avro_fault_text(const struct avro_bytes *b, struct str text)
{
    avro_fault(b, (const uint8_t *) text.p, "a string that is not valid UTF-8");
    return error_sqlstate(b->err, "22021");
}

/* Seven bits of each of eight bytes, the lowest first, as one number. */
static uint64_t sevens(uint64_t w)
{
    w = (w & UINT64_C(0x007F007F007F007F)) | (w & UINT64_C(0x7F007F007F007F00)) >> 1;
    w = (w & UINT64_C(0x00003FFF00003FFF)) | (w & UINT64_C(0x3FFF00003FFF0000)) >> 2;
    return (w & UINT64_C(0x0FFFFFFF)) | (w & UINT64_C(0x0FFFFFFF00000000)) >> 4;
}

bool avro_long_slow(struct avro_bytes *b, int64_t *out)
{
    enum { BYTES_MAX = 10 };
    const uint8_t *at = b->p;
    uint64_t n = 0;

    if (avro_left(b) >= sizeof n) {
        uint64_t word = ascii_word((const char *) b->p);
        uint64_t ends = ~word & ASCII_HIGHS;
        if (ends != 0) { /* up to the lowest byte without its high bit */
            *out = avro_zigzag(sevens(word & (ends ^ (ends - 1))));
            b->p += (__builtin_ctzll(ends) >> 3) + 1;
            return true;
        }
    }
    for (unsigned i = 0; i < BYTES_MAX; i++) {
        if (b->p == b->end) {
            return avro_fault_end(b, "a number");
        }
        uint64_t byte = *b->p++;
        if (i == BYTES_MAX - 1 && byte > 1) {
            break;
        }
        n |= (byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            *out = avro_zigzag(n);
            return true;
        }
    }
    return avro_fault(b, at, "a number of more than 64 bits");
}

/* A negative number of items is followed by the bytes that they take. */
static bool sized(struct avro_bytes *b, const uint8_t *at, struct avro_block *block)
{
    int64_t size;

    if (block->left == INT64_MIN) {
        return avro_fault(b, at, "a block without a number of items");
    }
    block->left = -block->left;
    if (!avro_long(b, &size)) {
        return false;
    }
    if (size < 0 || (uint64_t) size > avro_left(b)) {
        return avro_fault(b, at, "a block of %lld bytes where %zu are left", (long long) size,
                          avro_left(b));
    }
    block->end = b->p + size;
    return true;
}

bool avro_next(struct avro_bytes *b, struct avro_block *block, bool *out_more)
{
    const uint8_t *at = b->p;

    if (block->left == 0) {
        if (block->end != NULL && block->end != at) {
            return avro_fault(b, at, "a block whose length is wrong");
        }
        block->end = NULL;
        if (!avro_long(b, &block->left) || (block->left < 0 && !sized(b, at, block))) {
            return false;
        }
    }
    *out_more = block->left > 0;
    block->left -= *out_more ? 1 : 0;
    return true;
}
