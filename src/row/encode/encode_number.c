/*
 * Integers, floats and numeric: int2send ... numeric_send. Strings that hold a number go the same
 * way as numbers, and so do booleans if the route says so; an integer also takes 1.0 and 1e3, which
 * are whole. Narrower than PostgreSQL: no
 * white space around, no hexadecimal, octal or binary, no underscores (PostgreSQL 16), no
 * hexadecimal floats. Pure; any thread.
 */
#include "row/encode/encode_types.h"
#include "row/text/ascii.h"
#include "row/text/decimal.h"

#include <math.h>
#include <string.h>

static bool value_decimal(const struct encoding *v, struct digits *digits, struct decimal *out)
{
    struct str text;

    if (v->cell->kind == CELL_BOOL) {
        text = v->cell->truth ? STR_LIT("1") : STR_LIT("0");
        return v->rules->number_booleans && decimal_scan(text, out);
    }
    return encoding_text_of(v, digits, &text) && decimal_scan(text, out);
}

/* A boolean is a number only if the route says so. */
static bool misfit(const struct encoding *v)
{
    return v->cell->kind == CELL_BOOL ? encoding_misfit_boolean(v) : encoding_misfit(v);
}

/* ---- integers ---- */

static bool integer_slow(const struct encoding *v, int64_t *out)
{
    struct digits digits;
    struct decimal d;

    if (!value_decimal(v, &digits, &d)) {
        return misfit(v);
    }
    switch (decimal_to_i64(&d, 0, out)) {
    case DECIMAL_OK:
        return true;
    case DECIMAL_ROUNDED:
        return cell_fault(v->cell, v->err, "is not an integer");
    case DECIMAL_RANGE:
        return encoding_out_of_range(v);
    }
    __builtin_unreachable();
}

static inline bool integer(const struct encoding *v, int64_t min, int64_t max, int64_t *out)
{
    const struct cell *c = v->cell;

    if (cell_is_whole(c)) {
        *out = c->number;
    } else if (!integer_slow(v, out)) {
        return false;
    }
    return (*out >= min && *out <= max) || encoding_out_of_range(v);
}

bool encode_int2(const struct encoding *v)
{
    int64_t n;

    if (!integer(v, INT16_MIN, INT16_MAX, &n)) {
        return false;
    }
    uint8_t *to = buf_reserve(v->out, 6);
    buf_put_u32(to, 2);
    buf_put_u16(to + 4, (uint16_t) n);
    v->out->n += 6;
    return true;
}

bool encode_int4(const struct encoding *v)
{
    int64_t n;

    if (!integer(v, INT32_MIN, INT32_MAX, &n)) {
        return false;
    }
    uint8_t *to = buf_reserve(v->out, 8);
    buf_put_u32(to, 4);
    buf_put_u32(to + 4, (uint32_t) n);
    v->out->n += 8;
    return true;
}

bool encode_int8(const struct encoding *v)
{
    int64_t n;

    if (!integer(v, INT64_MIN, INT64_MAX, &n)) {
        return false;
    }
    uint8_t *to = buf_reserve(v->out, 12);
    buf_put_u32(to, 8);
    buf_put_u64(to + 4, (uint64_t) n);
    v->out->n += 12;
    return true;
}

/* ---- words for what is not finite ---- */

enum special { SPECIAL_NONE, SPECIAL_NAN, SPECIAL_PLUS, SPECIAL_MINUS };

/* NaN, Infinity, inf, with a sign before infinity, in either case: float8in and numeric_in. */
static enum special special_word(const struct encoding *v)
{
    struct str s = v->cell->text;

    if ((v->cell->kind != CELL_STRING && v->cell->kind != CELL_BYTES) || s.n == 0) {
        return SPECIAL_NONE;
    }
    if (ascii_is_word(s, "nan")) {
        return SPECIAL_NAN;
    }
    bool minus = *s.p == '-';
    if (minus || *s.p == '+') {
        s = (struct str){.p = s.p + 1, .n = s.n - 1};
    }
    if (!ascii_is_word(s, "infinity") && !ascii_is_word(s, "inf")) {
        return SPECIAL_NONE;
    }
    return minus ? SPECIAL_MINUS : SPECIAL_PLUS;
}

/* ---- floats ---- */

static double special_float(enum special special)
{
    switch (special) {
    case SPECIAL_NAN:
        return (double) NAN;
    case SPECIAL_PLUS:
        return (double) INFINITY;
    case SPECIAL_MINUS:
        return -(double) INFINITY;
    case SPECIAL_NONE:
        break;
    }
    return 0;
}

static bool float8_slow(const struct encoding *v, double *out)
{
    struct digits digits;
    struct decimal d;

    if (value_decimal(v, &digits, &d)) {
        return decimal_to_double(&d, &v->encoder->scratch, out) || encoding_out_of_range(v);
    }
    enum special special = special_word(v);
    *out = special_float(special);
    return special != SPECIAL_NONE || misfit(v);
}

bool encode_float8(const struct encoding *v)
{
    const struct cell *c = v->cell;
    double value;
    uint64_t bits;

    if (!(cell_is_short(c) && decimal_quotient(c->number, c->scale, &value)) &&
        !float8_slow(v, &value)) {
        return false;
    }
    memcpy(&bits, &value, sizeof bits);
    uint8_t *to = buf_reserve(v->out, 12);
    buf_put_u32(to, 8);
    buf_put_u64(to + 4, bits);
    v->out->n += 12;
    return true;
}

bool encode_float4(const struct encoding *v)
{
    struct digits digits;
    struct decimal d;
    float value;
    uint32_t bits;

    if (value_decimal(v, &digits, &d)) {
        if (!decimal_to_float(&d, &v->encoder->scratch, &value)) {
            return encoding_out_of_range(v);
        }
    } else {
        enum special special = special_word(v);
        if (special == SPECIAL_NONE) {
            return misfit(v);
        }
        value = (float) special_float(special);
    }
    memcpy(&bits, &value, sizeof bits);
    buf_add_u32(v->out, 4);
    buf_add_u32(v->out, bits);
    return true;
}

/*
 * ---- numeric ----
 *
 * numeric_send: int16 ndigits, int16 weight, uint16 sign, uint16 dscale, then ndigits digits of
 * base 10000, each an int16; the first stands for 10000^weight. dscale is the number of decimal
 * digits shown after the point. No zero digits at either end, as numeric.c's strip_var leaves
 * them.
 */

enum {
    NUMERIC_POSITIVE = 0x0000,
    NUMERIC_NEGATIVE = 0x4000,
    NUMERIC_NAN = 0xC000,
    NUMERIC_INFINITY = 0xD000,
    NUMERIC_MINUS_INFINITY = 0xF000,
    NUMERIC_SCALE_MAX = 0x3FFF,
    NUMERIC_POINT_MAX = 131072, /* digits before the point: weight is an int16 */
};

/* Significant decimal digits on the way to numeric. */
struct magnitude {
    uint8_t *digits; /* 0..9, no zero at either end */
    size_t n;
    int64_t point; /* digits before the point; negative: this many zeros follow it first */
    int64_t scale; /* digits shown after the point */
};

static void magnitude_trim(struct magnitude *m)
{
    while (m->n > 0 && m->digits[m->n - 1] == 0) {
        m->n--;
    }
    if (m->n == 0) {
        m->point = 0;
    }
}

static void magnitude_of(const struct decimal *d, struct buf *scratch, struct magnitude *out)
{
    size_t n = d->whole.n + d->frac.n;
    size_t i = 0;

    while (i < n && decimal_digit(d, i) == 0) {
        i++;
    }
    buf_clear(scratch);
    out->digits = buf_reserve(scratch, n - i + 1);
    out->n = n - i;
    out->point = (int64_t) d->whole.n + d->exponent - (int64_t) i;
    out->scale = MAX((int64_t) d->frac.n - d->exponent, 0);
    for (size_t k = 0; i < n; i++) {
        out->digits[k++] = (uint8_t) decimal_digit(d, i);
    }
    magnitude_trim(out);
}

/* Adds one to the last of the digits that are kept. */
static void magnitude_round_up(struct magnitude *m)
{
    while (m->n > 0 && m->digits[m->n - 1] == 9) {
        m->n--;
    }
    if (m->n > 0) {
        m->digits[m->n - 1]++;
        return;
    }
    m->digits[0] = 1;
    m->n = 1;
    m->point++;
}

/* Keeps `scale` digits after the point (before it if negative), half away from zero: round_var. */
static void magnitude_round(struct magnitude *m, int scale)
{
    int64_t keep = m->point + scale;

    m->scale = MAX(scale, 0);
    if (keep < 0) {
        m->n = 0;
    } else if ((uint64_t) keep < m->n) {
        bool up = m->digits[keep] >= 5;
        m->n = (size_t) keep;
        if (up) {
            magnitude_round_up(m);
        }
    }
    magnitude_trim(m);
}

static int64_t floor_div4(int64_t a)
{
    return a >= 0 ? a / 4 : -((3 - a) / 4);
}

static void put_numeric_head(struct buf *out, size_t digits, int64_t weight, int sign,
                             int64_t scale)
{
    uint8_t *to = buf_reserve(out, 12);

    buf_put_u32(to, (uint32_t) (8 + 2 * digits));
    buf_put_u16(to + 4, (uint16_t) digits);
    buf_put_u16(to + 6, (uint16_t) weight);
    buf_put_u16(to + 8, (uint16_t) sign);
    buf_put_u16(to + 10, (uint16_t) scale);
    out->n += 12;
}

static void put_numeric(struct buf *out, const struct magnitude *m, bool negative)
{
    if (m->n == 0) {
        put_numeric_head(out, 0, 0, NUMERIC_POSITIVE, m->scale); /* there is no -0 */
        return;
    }
    int64_t weight = floor_div4(m->point - 1);
    size_t lead = (size_t) (m->point - 4 * weight); /* decimal digits in the first group: 1..4 */
    size_t groups = 1 + (m->n > lead ? (m->n - lead + 3) / 4 : 0);
    put_numeric_head(out, groups, weight, negative ? NUMERIC_NEGATIVE : NUMERIC_POSITIVE, m->scale);
    uint8_t *to = buf_reserve(out, 2 * groups);
    size_t i = 0;
    for (size_t g = 0; g < groups; g++) {
        unsigned group = 0;
        for (size_t end = lead + 4 * g; i < end; i++) {
            group = group * 10 + (i < m->n ? m->digits[i] : 0);
        }
        buf_put_u16(to + 2 * g, (uint16_t) group);
    }
    out->n += 2 * groups;
}

static const uint64_t POWERS[] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
};

/* numeric_in refuses such an exponent after any number, zero included. */
static bool is_absurd(const struct decimal *d)
{
    return d->exponent == DECIMAL_EXPONENT_MAX || d->exponent == -DECIMAL_EXPONENT_MAX;
}

bool numeric_holds(const struct decimal *d)
{
    size_t n = d->whole.n + d->frac.n;
    size_t i = 0;

    while (i < n && decimal_digit(d, i) == 0) {
        i++;
    }
    return !is_absurd(d) && (int64_t) d->frac.n - d->exponent <= NUMERIC_SCALE_MAX &&
           (i == n || (int64_t) d->whole.n + d->exponent - (int64_t) i <= NUMERIC_POINT_MAX);
}

/* Without the groups at both ends that are zero. */
static void put_groups(struct buf *out, const uint16_t *groups, size_t n, int64_t weight,
                       bool negative, int64_t shown)
{
    while (n > 0 && groups[n - 1] == 0) {
        n--;
    }
    while (n > 0 && *groups == 0) {
        groups++;
        n--;
        weight--;
    }
    put_numeric_head(out, n, n == 0 ? 0 : weight, negative ? NUMERIC_NEGATIVE : NUMERIC_POSITIVE,
                     shown);
    uint8_t *to = buf_reserve(out, 2 * n);
    for (size_t i = 0; i < n; i++) {
        buf_put_u16(to + 2 * i, groups[i]);
    }
    out->n += 2 * n;
}

static bool encode_special_numeric(const struct encoding *v)
{
    enum special special = special_word(v);

    if (special == SPECIAL_NONE) {
        return misfit(v);
    }
    if (special == SPECIAL_NAN) {
        put_numeric_head(v->out, 0, 0, NUMERIC_NAN, 0);
        return true;
    }
    if (column_numeric_is_limited(v->column)) {
        return encoding_out_of_range(v); /* apply_typmod_special */
    }
    put_numeric_head(v->out, 0, 0,
                     special == SPECIAL_PLUS ? NUMERIC_INFINITY : NUMERIC_MINUS_INFINITY, 0);
    return true;
}

/*
 * The groups of a number that is short, has few digits after its point and needs no rounding:
 * straight from the integer. False: look closer.
 */
static bool numeric_quick(const struct encoding *v)
{
    enum { SCALE_MOST = 16, GROUPS = 9 };
    const struct cell *c = v->cell;
    int64_t shown = c->scale;
    if (!cell_is_short(c) || c->scale > SCALE_MOST) {
        return false;
    }
    uint64_t n = c->number < 0 ? 0 - (uint64_t) c->number : (uint64_t) c->number;
    uint64_t whole = n / POWERS[c->scale];
    uint64_t rest = n % POWERS[c->scale] * POWERS[(4 - c->scale % 4) % 4];
    if (column_numeric_is_limited(v->column)) {
        int places = column_numeric_precision(v->column) - column_numeric_scale(v->column);
        shown = column_numeric_scale(v->column);
        if (shown < c->scale || places < 0 || (places < 18 && whole >= POWERS[places])) {
            return false;
        }
    }
    uint16_t groups[GROUPS];
    size_t begin = GROUPS;
    size_t end = GROUPS;
    for (unsigned i = 0; i < c->scale; i += 4) {
        groups[--begin] = (uint16_t) (rest % 10000);
        rest /= 10000;
    }
    int64_t weight = -1;
    for (; whole > 0; whole /= 10000) {
        groups[--begin] = (uint16_t) (whole % 10000);
        weight++;
    }
    put_groups(v->out, groups + begin, end - begin, weight, c->number < 0, shown);
    return true;
}

bool encode_numeric(const struct encoding *v)
{
    struct digits digits;
    struct decimal d;
    struct magnitude m;

    if (numeric_quick(v)) {
        return true;
    }
    if (!value_decimal(v, &digits, &d)) {
        return encode_special_numeric(v);
    }
    if (is_absurd(&d)) {
        return encoding_out_of_range(v);
    }
    magnitude_of(&d, &v->encoder->scratch, &m);
    if (column_numeric_is_limited(v->column)) {
        int precision = column_numeric_precision(v->column);
        int scale = column_numeric_scale(v->column);
        magnitude_round(&m, scale);
        if (m.n > 0 && m.point > precision - scale) {
            cell_fault(v->cell, v->err, "is out of range for numeric(%d,%d)", precision, scale);
            return error_sqlstate(v->err, "22003");
        }
    }
    if (m.scale > NUMERIC_SCALE_MAX || m.point > NUMERIC_POINT_MAX) {
        return encoding_out_of_range(v);
    }
    put_numeric(v->out, &m, d.negative);
    return true;
}

static bool money_misfit(const struct encoding *v)
{
    if (v->cell->kind == CELL_JSON) {
        return encoding_misfit(v);
    }
    cell_fault(v->cell, v->err,
               "is not a number, as money takes one: no currency sign, no separators");
    return error_sqlstate(v->err, "22P02");
}

/* Sent as a numeric. How money is written, the database's locale decides: the same text may be
 * another amount in the next database. It has neither NaN nor infinity. */
bool encode_money(const struct encoding *v)
{
    struct digits digits;
    struct decimal d;

    if (numeric_quick(v)) {
        return true;
    }
    return value_decimal(v, &digits, &d) ? encode_numeric(v) : money_misfit(v);
}
