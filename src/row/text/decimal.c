/*
 * Decimal text to numbers. Short floats take the exact way: a mantissa below 2^53 (2^24) and a
 * power of ten that a double (float) holds exactly give a correctly rounded result with one
 * operation; the rest goes to strtod, which glibc and musl round correctly. Any thread.
 */
#include "row/text/decimal.h"

#include "row/text/ascii.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__FLT_EVAL_METHOD__ == 0, "one operation must round once");

static const char *digits_end(const char *p, const char *end)
{
    while (p < end && ascii_is_digit(*p)) {
        p++;
    }
    return p;
}

static const char *sign_end(const char *p, const char *end, bool *negative)
{
    *negative = p < end && *p == '-';
    return p < end && (*p == '-' || *p == '+') ? p + 1 : p;
}

/* The exponent after its e; the rest of the text must be digits. */
static bool exponent_scan(const char *p, const char *end, int64_t *out)
{
    bool negative;
    int64_t value = 0;

    p = sign_end(p, end, &negative);
    if (p == end || digits_end(p, end) != end) {
        return false;
    }
    for (; p < end; p++) {
        value = MIN(value * 10 + (*p - '0'), (int64_t) DECIMAL_EXPONENT_MAX);
    }
    *out = negative ? -value : value;
    return true;
}

bool decimal_scan(struct str text, struct decimal *out)
{
    const char *end = text.p + text.n;
    struct decimal d = {.text = text};
    const char *p = sign_end(text.p, end, &d.negative);
    const char *stop = digits_end(p, end);

    d.whole = (struct str){.p = p, .n = (size_t) (stop - p)};
    d.frac = (struct str){.p = stop, .n = 0};
    p = stop;
    if (p < end && *p == '.') {
        stop = digits_end(p + 1, end);
        d.frac = (struct str){.p = p + 1, .n = (size_t) (stop - p - 1)};
        p = stop;
    }
    if (d.whole.n + d.frac.n == 0) {
        return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        if (!exponent_scan(p + 1, end, &d.exponent)) {
            return false;
        }
        p = end;
    }
    *out = d;
    return p == end;
}

/* This many nines, and one more for rounding, fit into 64 bits. */
enum { MAGNITUDE_DIGITS = 19 };

enum decimal_result decimal_to_u64(const struct decimal *d, int shift, uint64_t *out)
{
    size_t n = d->whole.n + d->frac.n;
    size_t i = 0;
    uint64_t m = 0;
    bool lost = false;

    while (i < n && decimal_digit(d, i) == 0) {
        i++;
    }
    if (i == n) {
        *out = 0;
        return DECIMAL_OK;
    }
    /* Digits up to here stand before the point; it may lie outside of them on either side. */
    int64_t point = (int64_t) d->whole.n + d->exponent + shift;
    if (point - (int64_t) i > MAGNITUDE_DIGITS) {
        return DECIMAL_RANGE;
    }
    for (int64_t k = (int64_t) i; k < point; k++) {
        m = m * 10 + (uint64_t) ((size_t) k < n ? decimal_digit(d, (size_t) k) : 0);
    }
    if (point >= (int64_t) i && point < (int64_t) n && decimal_digit(d, (size_t) point) >= 5) {
        m++;
    }
    for (size_t k = point > (int64_t) i ? (size_t) point : i; k < n && !lost; k++) {
        lost = decimal_digit(d, k) != 0;
    }
    *out = m;
    return lost ? DECIMAL_ROUNDED : DECIMAL_OK;
}

enum decimal_result decimal_to_i64(const struct decimal *d, int shift, int64_t *out)
{
    uint64_t m;
    enum decimal_result result = decimal_to_u64(d, shift, &m);

    if (result == DECIMAL_RANGE || m > (uint64_t) INT64_MAX + (d->negative ? 1 : 0)) {
        return DECIMAL_RANGE;
    }
    *out = (int64_t) (d->negative ? 0 - m : m);
    return result;
}

/* All digits as one integer and its power of ten; false when they are too many. */
static bool mantissa(const struct decimal *d, uint64_t *out, int64_t *out_power)
{
    size_t n = d->whole.n + d->frac.n;
    uint64_t m = 0;

    if (n > MAGNITUDE_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        m = m * 10 + (uint64_t) decimal_digit(d, i);
    }
    *out = m;
    *out_power = d->exponent - (int64_t) d->frac.n;
    return true;
}

static const char *terminated(struct str text, struct buf *scratch)
{
    buf_clear(scratch);
    buf_add_str(scratch, text);
    return buf_cstr(scratch);
}

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define EXACT_DOUBLE (INT64_C(1) << 53)

bool decimal_quotient(int64_t n, unsigned scale, double *out)
{
    if (n < -EXACT_DOUBLE || n > EXACT_DOUBLE || scale >= ARRAY_LEN(POWERS)) {
        return false;
    }
    *out = (double) n / POWERS[scale];
    return true;
}

bool decimal_to_double(const struct decimal *d, struct buf *scratch, double *out)
{
    uint64_t m;
    int64_t power;

    if (mantissa(d, &m, &power) && m <= EXACT_DOUBLE && power >= -22 && power <= 22) {
        double value = (double) m;
        value = power < 0 ? value / POWERS[-power] : value * POWERS[power];
        *out = d->negative ? -value : value;
        return true;
    }
    errno = 0;
    double value = strtod(terminated(d->text, scratch), NULL);
    /* A denormal also sets ERANGE, but it is what the text says. */
    if (errno == ERANGE && (fpclassify(value) == FP_ZERO || isinf(value))) {
        return false;
    }
    *out = value;
    return true;
}

bool decimal_to_float(const struct decimal *d, struct buf *scratch, float *out)
{
    static const float powers[] = {1e0F, 1e1F, 1e2F, 1e3F, 1e4F, 1e5F,
                                   1e6F, 1e7F, 1e8F, 1e9F, 1e10F};
    uint64_t m;
    int64_t power;

    if (mantissa(d, &m, &power) && m <= UINT64_C(1) << 24 && power >= -10 && power <= 10) {
        float value = (float) m;
        value = power < 0 ? value / powers[-power] : value * powers[power];
        *out = d->negative ? -value : value;
        return true;
    }
    errno = 0;
    float value = strtof(terminated(d->text, scratch), NULL);
    if (errno == ERANGE && (fpclassify(value) == FP_ZERO || isinf(value))) {
        return false;
    }
    *out = value;
    return true;
}

/* ---- order ---- */

static size_t digit_count(const struct decimal *d)
{
    return d->whole.n + d->frac.n;
}

/* Where the first digit that is not 0 is; digit_count when there is none. */
static size_t first_digit(const struct decimal *d)
{
    size_t i = 0;

    while (i < digit_count(d) && decimal_digit(d, i) == 0) {
        i++;
    }
    return i;
}

static int sign(const struct decimal *d)
{
    if (first_digit(d) == digit_count(d)) {
        return 0;
    }
    return d->negative ? -1 : 1;
}

static int digit_or_zero(const struct decimal *d, size_t i)
{
    return i < digit_count(d) ? decimal_digit(d, i) : 0;
}

/* Neither is zero. */
static int compare_magnitudes(const struct decimal *a, const struct decimal *b)
{
    size_t i = first_digit(a);
    size_t k = first_digit(b);
    int64_t point_a = (int64_t) a->whole.n - (int64_t) i + a->exponent;
    int64_t point_b = (int64_t) b->whole.n - (int64_t) k + b->exponent;

    if (point_a != point_b) {
        return point_a < point_b ? -1 : 1;
    }
    for (; i < digit_count(a) || k < digit_count(b); i++, k++) {
        int difference = digit_or_zero(a, i) - digit_or_zero(b, k);
        if (difference != 0) {
            return difference < 0 ? -1 : 1;
        }
    }
    return 0;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    int sign_a = sign(a);
    int sign_b = sign(b);

    if (sign_a != sign_b) {
        return sign_a < sign_b ? -1 : 1;
    }
    return sign_a == 0 ? 0 : sign_a * compare_magnitudes(a, b);
}
