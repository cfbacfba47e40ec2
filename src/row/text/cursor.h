/*
 * A place in a text that is read from left to right: what moment.c and interval.c share. Plain
 * data; any thread.
 */
#ifndef ROW_TEXT_CURSOR_H
#define ROW_TEXT_CURSOR_H

#include "row/text/ascii.h"
#include "row/text/decimal.h"

struct cursor {
    const char *p;
    const char *end;
    struct buf *scratch; /* for long numbers; its contents are lost */
};

static inline struct cursor cursor_of(struct str s, struct buf *scratch)
{
    return (struct cursor){.p = s.p, .end = s.p + s.n, .scratch = scratch};
}

static inline bool cursor_at_end(const struct cursor *c)
{
    return c->p == c->end;
}

static inline bool cursor_at(const struct cursor *c, char ch)
{
    return c->p < c->end && *c->p == ch;
}

static inline bool cursor_at_digit(const struct cursor *c)
{
    return c->p < c->end && ascii_is_digit(*c->p);
}

/* Moves past the character, if it is there. */
static inline bool cursor_eat(struct cursor *c, char ch)
{
    bool there = cursor_at(c, ch);

    c->p += there ? 1 : 0;
    return there;
}

/* The two digits here; more of them may follow. */
static inline bool cursor_two_digits(struct cursor *c, int64_t *out)
{
    if (c->end - c->p < 2) {
        return false;
    }
    unsigned tens = (unsigned) ((uint8_t) c->p[0] - '0');
    unsigned ones = (unsigned) ((uint8_t) c->p[1] - '0');
    c->p += 2;
    *out = (int64_t) tens * 10 + (int64_t) ones;
    return tens <= 9 && ones <= 9;
}

/* The number from `begin` up to here: digits, perhaps with a point before or among them. One that
 * is smaller than the smallest double is 0. */
static inline double cursor_double(const struct cursor *c, const char *begin)
{
    struct str text = {.p = begin, .n = (size_t) (c->p - begin)};
    struct decimal d;
    double value;

    return decimal_scan(text, &d) && decimal_to_double(&d, c->scratch, &value) ? value : 0;
}

#endif
