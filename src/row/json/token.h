/*
 * What the strict reader (document.c) and the walk over checked text (elements.c) both know of the
 * tokens of JSON. Any thread.
 */
#ifndef ROW_JSON_TOKEN_H
#define ROW_JSON_TOKEN_H

#include "row/cell/cell.h"

#include <stddef.h>

/* JSON's white space: fewer characters than ascii_is_space has. */
static inline bool token_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/*
 * The value of a number without an exponent into the cell: all its digits are `value`, modulo 2^64;
 * `scale` of these `digits` stand after the point. It is short if it is not longer than a cell can
 * hold, and not -0.
 */
static inline void token_short_value(struct cell *c, bool negative, uint64_t value,
                                     ptrdiff_t digits, ptrdiff_t scale)
{
    c->is_short = digits <= CELL_SHORT_DIGITS && !(value == 0 && negative);
    c->scale = (uint8_t) scale;
    c->number = (int64_t) (negative ? 0 - value : value);
}

#endif
