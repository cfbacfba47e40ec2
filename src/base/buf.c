/*
 * struct buf: growth and the appends that are not worth inlining. Capacity doubles, so appending n
 * bytes one by one copies O(n) in total. One thread at a time.
 */
#include "base/buf.h"

#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_MIN = 64 };

void buf_done(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
}

void buf_reserve_slow(struct buf *b, size_t more)
{
    size_t want;

    if (!CHECKED_ADD(b->n, more, &want) || want > SIZE_MAX / 2) {
        mem_overflow();
    }
    want = MAX(want, MAX(b->cap * 2, (size_t) BUF_MIN));
    b->p = mem_realloc(b->p, want, 1);
    b->cap = want;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0) {
        return;
    }
    memcpy(buf_reserve(b, n), p, n);
    b->n += n;
}

void buf_add_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void buf_add_z(struct buf *b, const char *z)
{
    buf_add(b, z, strlen(z));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_list again;

    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(n >= 0);
    /* The NUL that vsnprintf writes is room beyond n, not content. */
    vsnprintf((char *) buf_reserve(b, (size_t) n + 1), (size_t) n + 1, fmt, again);
    va_end(again);
    b->n += (size_t) n;
}

void buf_fill(struct buf *b, uint8_t byte, size_t n)
{
    if (n == 0) {
        return;
    }
    memset(buf_reserve(b, n), byte, n);
    b->n += n;
}

const char *buf_cstr(struct buf *b)
{
    *buf_reserve(b, 1) = '\0';
    return (const char *) b->p;
}

struct str buf_str(const struct buf *b)
{
    return (struct str){.p = b->p != NULL ? (const char *) b->p : "", .n = b->n};
}

void buf_shrink(struct buf *b, size_t keep)
{
    b->n = 0;
    if (b->cap > keep) {
        buf_done(b);
    }
}
