/*
 * Decimal numbers as text: taken apart once, then read exactly as an integer, a scaled integer or a
 * float. No double on the way to an exact result. Any thread.
 */
#ifndef ROW_TEXT_DECIMAL_H
#define ROW_TEXT_DECIMAL_H

#include "base/buf.h"
#include "base/str.h"

/* (-1)^negative * whole.frac * 10^exponent */
struct decimal {
    struct str text; /* all of it */
    struct str whole;
    struct str frac;
    int64_t exponent; /* beyond +-DECIMAL_EXPONENT_MAX it stays there */
    bool negative;
};

/* INT_MAX / 2, where numeric_in gives up too. */
#define DECIMAL_EXPONENT_MAX 1073741823

/*
 * The whole text as [+-] digits [. digits] [e [+-] digits], with a digit before or after the
 * point: JSON's numbers and what PostgreSQL's numeric_in also takes, without white space.
 */
bool decimal_scan(struct str text, struct decimal *out) _must_;

enum decimal_result {
    DECIMAL_OK,
    DECIMAL_ROUNDED, /* digits were lost; *out is the nearest, half away from zero */
    DECIMAL_RANGE,   /* does not fit; *out untouched */
};

/* The magnitude, times 10^shift, as an integer: at most 19 digits, more are out of range. */
enum decimal_result decimal_to_u64(const struct decimal *d, int shift, uint64_t *out) _must_;

/* The value times 10^shift as an integer. */
enum decimal_result decimal_to_i64(const struct decimal *d, int shift, int64_t *out) _must_;

/* n / 10^scale as the nearest double, for n and scale that a double holds exactly; else false. */
bool decimal_quotient(int64_t n, unsigned scale, double *out) _must_;

/*
 * The nearest float, half to even. False: out of range, which is too large, or not zero and too
 * small for a denormal (as PostgreSQL's float8in). scratch is for long texts; its contents are
 * lost.
 */
bool decimal_to_double(const struct decimal *d, struct buf *scratch, double *out) _must_;
bool decimal_to_float(const struct decimal *d, struct buf *scratch, float *out) _must_;

/*
 * -1, 0 or 1: is a less than b, the same number, or greater? Exact for any length: 1.50 and 15e-1
 * are the same, and so are 0 and -0. Takes as long as reading both.
 */
int decimal_compare(const struct decimal *a, const struct decimal *b) _pure_;

/* The i-th digit, 0..9, of whole followed by frac. */
static inline int decimal_digit(const struct decimal *d, size_t i)
{
    return (i < d->whole.n ? d->whole.p[i] : d->frac.p[i - d->whole.n]) - '0';
}

#endif
