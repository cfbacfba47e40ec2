/*
 * A growing byte buffer with big-endian appends, as PostgreSQL's wire formats want them.
 * Owner: whoever holds the struct. Appends cannot fail (mem.h). Any thread, one at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/base.h"
#include "base/str.h"

struct buf {
    uint8_t *p;
    size_t n;   /* bytes in use */
    size_t cap; /* bytes allocated */
};

void buf_done(struct buf *b);  /* frees; the buffer is empty and usable again */
void buf_clear(struct buf *b); /* n = 0, keeps the memory */

/* Appends. */
void buf_add(struct buf *b, const void *p, size_t n); /* p may be NULL when n is 0 */
void buf_add_str(struct buf *b, struct str s);        /* nothing for an absent one */
void buf_add_z(struct buf *b, const char *z);         /* without the NUL */
void buf_printf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
void buf_fill(struct buf *b, uint8_t byte, size_t n); /* n times the same byte */

/* Views of the content, valid until the next append: NUL-terminated; and with its length, never
 * absent. */
const char *buf_cstr(struct buf *b);
struct str buf_str(const struct buf *b);

/* Makes room for buf_reserve, which is the one to call. */
void buf_reserve_slow(struct buf *b, size_t more);

/* Empties the buffer, and frees its memory if the capacity is above keep bytes. */
void buf_shrink(struct buf *b, size_t keep);

/* Makes room for `more` bytes and returns where they go; add them to n after writing. */
static inline uint8_t *buf_reserve(struct buf *b, size_t more)
{
    if (b->cap - b->n < more) {
        buf_reserve_slow(b, more);
    }
    return b->p + b->n;
}

/* Big-endian numbers, written over bytes that are there; and appended. */
static inline void buf_put_u16(uint8_t *at, uint16_t v)
{
    v = __builtin_bswap16(v);
    __builtin_memcpy(at, &v, sizeof v);
}

static inline void buf_put_u32(uint8_t *at, uint32_t v)
{
    v = __builtin_bswap32(v);
    __builtin_memcpy(at, &v, sizeof v);
}

static inline void buf_put_u64(uint8_t *at, uint64_t v)
{
    v = __builtin_bswap64(v);
    __builtin_memcpy(at, &v, sizeof v);
}

static inline void buf_add_u8(struct buf *b, uint8_t v)
{
    *buf_reserve(b, 1) = v;
    b->n += 1;
}

static inline void buf_add_u16(struct buf *b, uint16_t v)
{
    buf_put_u16(buf_reserve(b, 2), v);
    b->n += 2;
}

static inline void buf_add_u32(struct buf *b, uint32_t v)
{
    buf_put_u32(buf_reserve(b, 4), v);
    b->n += 4;
}

static inline void buf_add_u64(struct buf *b, uint64_t v)
{
    buf_put_u64(buf_reserve(b, 8), v);
    b->n += 8;
}

#define _cleanup_buf_ _cleanup_(buf_done)

#endif
