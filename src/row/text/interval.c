/*
 * Reading intervals. Numbers with their units are added up in 64 bits; what does not fit in the end
 * is out of range. Any thread.
 */
#include "row/text/interval.h"

#include "row/text/ascii.h"
#include "row/text/decimal.h"

#include <math.h>
#include <string.h>

#define USEC_PER_SECOND INT64_C(1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SECOND)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)

struct cursor {
    const char *p;
    const char *end;
    struct buf *scratch;
    unsigned seen; /* bits of enum field */
    int64_t usec;
    int64_t days;
    int64_t months;
};

/* What may come once. */
enum field { YEAR, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND };

struct number {
    int64_t whole;
    double fraction; /* between -1 and 1, of the same sign */
};

static bool at(const struct cursor *c, char ch)
{
    return c->p < c->end && *c->p == ch;
}

static bool eat(struct cursor *c, char ch)
{
    bool there = at(c, ch);
    c->p += there ? 1 : 0;
    return there;
}

static void eat_spaces(struct cursor *c)
{
    while (c->p < c->end && ascii_is_space(*c->p)) {
        c->p++;
    }
}

static bool at_digit(const struct cursor *c)
{
    return c->p < c->end && ascii_is_digit(*c->p);
}

/* Digits as a number; false when there are none or too many. */
static enum moment_result take_digits(struct cursor *c, int64_t *out)
{
    const char *begin = c->p;
    *out = 0;
    for (; at_digit(c); c->p++) {
        if (!CHECKED_MUL(*out, 10, out) || !CHECKED_ADD(*out, *c->p - '0', out)) {
            return MOMENT_FIELD;
        }
    }
    return c->p > begin ? MOMENT_OK : MOMENT_SYNTAX;
}

/* The point and what is behind it, if there is one. */
static enum moment_result take_fraction(struct cursor *c, double *out)
{
    const char *begin = c->p;
    struct decimal d;
    *out = 0;
    if (!eat(c, '.')) {
        return MOMENT_OK;
    }
    if (!at_digit(c)) {
        return MOMENT_SYNTAX;
    }
    while (at_digit(c)) {
        c->p++;
    }
    struct str text = {.p = begin, .n = (size_t) (c->p - begin)};
    if (!decimal_scan(text, &d) || !decimal_to_double(&d, c->scratch, out)) {
        *out = 0; /* smaller than the smallest double */
    }
    return MOMENT_OK;
}

/* ---- adding up ---- */

static bool add(int64_t *to, int64_t whole, int64_t scale)
{
    int64_t product;
    return CHECKED_MUL(whole, scale, &product) && CHECKED_ADD(*to, product, to);
}

/* AdjustFractMicroseconds: a half is not rounded up. */
static bool add_fraction_usec(struct cursor *c, double fraction, int64_t scale)
{
    fraction *= (double) scale;
    int64_t usec = (int64_t) fraction;
    fraction -= (double) usec;
    usec += fraction > 0.5 ? 1 : fraction < -0.5 ? -1 : 0;
    return add(&c->usec, usec, 1);
}

/* AdjustFractDays */
static bool add_fraction_days(struct cursor *c, double fraction, int scale)
{
    fraction *= scale;
    int64_t days = (int64_t) fraction;
    return add(&c->days, days, 1) && add_fraction_usec(c, fraction - (double) days, USEC_PER_DAY);
}

static bool add_field(struct cursor *c, enum field field, const struct number *n)
{
    static const int64_t usec[] = {
        [HOUR] = USEC_PER_HOUR,        [MINUTE] = USEC_PER_MINUTE, [SECOND] = USEC_PER_SECOND,
        [MILLISECOND] = INT64_C(1000), [MICROSECOND] = 1,
    };
    switch (field) {
    case YEAR:
        return add(&c->months, n->whole, 12) &&
               add(&c->months, (int64_t) rint(n->fraction * 12), 1);
    case MONTH:
        return add(&c->months, n->whole, 1) && add_fraction_days(c, n->fraction, 30);
    case WEEK:
        return add(&c->days, n->whole, 7) && add_fraction_days(c, n->fraction, 7);
    case DAY:
        return add(&c->days, n->whole, 1) && add_fraction_days(c, n->fraction, 1);
    case HOUR:
    case MINUTE:
    case SECOND:
    case MILLISECOND:
    case MICROSECOND:
        return add(&c->usec, n->whole, usec[field]) &&
               add_fraction_usec(c, n->fraction, usec[field]);
    }
    __builtin_unreachable();
}

/* Once only; and seconds with a fraction say all there is to say of smaller units. */
static enum moment_result take_field(struct cursor *c, enum field field, const struct number *n)
{
    unsigned bits = 1U << field;
    if (field == SECOND && (n->fraction > 0 || n->fraction < 0)) {
        bits |= 1U << MILLISECOND | 1U << MICROSECOND;
    }
    if ((c->seen & bits) != 0) {
        return MOMENT_SYNTAX;
    }
    c->seen |= bits;
    return add_field(c, field, n) ? MOMENT_OK : MOMENT_FIELD;
}

static bool eat_sign(struct cursor *c)
{
    bool minus = at(c, '-');
    c->p += minus || at(c, '+') ? 1 : 0;
    return minus;
}

static void negate(struct number *n)
{
    n->whole = -n->whole;
    n->fraction = -n->fraction;
}

/* ---- ISO 8601 ---- */

static bool iso_field(char ch, bool time, enum field *out)
{
    static const char dates[] = "YMWD";
    static const char times[] = "HMS";
    const char *units = time ? times : dates;
    for (int i = 0; units[i]; i++) {
        if (units[i] == ch) {
            *out = (enum field)((time ? HOUR : YEAR) + i);
            return true;
        }
    }
    return false;
}

/* ParseISO8601Number: a number with a fraction goes through a double, and loses what that loses. */
static enum moment_result take_iso_number(struct cursor *c, struct number *out)
{
    const double most = 1e15;
    const char *begin = c->p;
    struct decimal d;
    double value;
    enum moment_result result = take_digits(c, &out->whole);
    if (result == MOMENT_OK) {
        result = take_fraction(c, &out->fraction);
    }
    struct str text = {.p = begin, .n = (size_t) (c->p - begin)};
    if (result != MOMENT_OK || !memchr(begin, '.', text.n)) {
        return result;
    }
    if (!decimal_scan(text, &d) || !decimal_to_double(&d, c->scratch, &value)) {
        value = 0; /* as in take_fraction */
    }
    if (value > most) {
        return MOMENT_FIELD;
    }
    out->whole = (int64_t) value;
    out->fraction = value - (double) out->whole;
    return MOMENT_OK;
}

static enum moment_result take_iso_field(struct cursor *c, bool time)
{
    struct number n;
    enum field field;
    bool minus = eat_sign(c);
    enum moment_result result = take_iso_number(c, &n);
    if (result != MOMENT_OK) {
        return result;
    }
    if (c->p == c->end || !iso_field(*c->p++, time, &field)) {
        return MOMENT_SYNTAX;
    }
    if (minus) {
        negate(&n);
    }
    return take_field(c, field, &n);
}

/* Behind the P. */
static enum moment_result parse_iso(struct cursor *c)
{
    enum moment_result result = c->p < c->end ? MOMENT_OK : MOMENT_SYNTAX;
    bool time = false;
    while (result == MOMENT_OK && c->p < c->end) {
        if (!time && eat(c, 'T')) {
            time = true;
        }
        result = take_iso_field(c, time);
    }
    return result;
}

/* ---- PostgreSQL ---- */

static bool word_field(struct str word, enum field *out)
{
    static const struct {
        const char *word;
        enum field field;
    } words[] = {
        {"year", YEAR},
        {"years", YEAR},
        {"yr", YEAR},
        {"yrs", YEAR},
        {"y", YEAR},
        {"month", MONTH},
        {"months", MONTH},
        {"mon", MONTH},
        {"mons", MONTH},
        {"week", WEEK},
        {"weeks", WEEK},
        {"w", WEEK},
        {"day", DAY},
        {"days", DAY},
        {"d", DAY},
        {"hour", HOUR},
        {"hours", HOUR},
        {"hr", HOUR},
        {"hrs", HOUR},
        {"h", HOUR},
        {"minute", MINUTE},
        {"minutes", MINUTE},
        {"min", MINUTE},
        {"mins", MINUTE},
        {"m", MINUTE},
        {"second", SECOND},
        {"seconds", SECOND},
        {"sec", SECOND},
        {"secs", SECOND},
        {"s", SECOND},
        {"millisecond", MILLISECOND},
        {"milliseconds", MILLISECOND},
        {"msec", MILLISECOND},
        {"msecs", MILLISECOND},
        {"ms", MILLISECOND},
        {"microsecond", MICROSECOND},
        {"microseconds", MICROSECOND},
        {"usec", MICROSECOND},
        {"usecs", MICROSECOND},
        {"us", MICROSECOND},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (ascii_is_word(word, words[i].word)) {
            *out = words[i].field;
            return true;
        }
    }
    return false;
}

static struct str take_word(struct cursor *c)
{
    const char *begin = c->p;
    while (c->p < c->end && ascii_lower(*c->p) >= 'a' && ascii_lower(*c->p) <= 'z') {
        c->p++;
    }
    return (struct str){.p = begin, .n = (size_t) (c->p - begin)};
}

/* Two digits, below 60, or 60 where it is said. */
static bool two_digits(struct cursor *c, int64_t most, int64_t *out)
{
    const char *begin = c->p;
    return take_digits(c, out) == MOMENT_OK && c->p - begin == 2 && *out <= most;
}

/* HH:MM[:SS[.f]], behind the hours. */
static enum moment_result take_clock(struct cursor *c, int64_t hour, bool minus)
{
    const unsigned bits = 1U << HOUR | 1U << MINUTE | 1U << SECOND | 1U << MILLISECOND |
                          1U << MICROSECOND;
    struct number n = {.whole = hour};
    int64_t minute;
    int64_t second = 0;
    double fraction = 0;
    if ((c->seen & bits) != 0 || !two_digits(c, 59, &minute) ||
        (eat(c, ':') &&
         (!two_digits(c, 60, &second) || take_fraction(c, &fraction) != MOMENT_OK))) {
        return MOMENT_SYNTAX;
    }
    c->seen |= bits;
    int64_t usec = second * USEC_PER_SECOND + (int64_t) rint(fraction * (double) USEC_PER_SECOND);
    usec += minute * USEC_PER_MINUTE;
    int sign = minus ? -1 : 1;
    return add(&c->usec, n.whole, sign * USEC_PER_HOUR) && add(&c->usec, usec, sign) ? MOMENT_OK
                                                                                     : MOMENT_FIELD;
}

/* A number and its unit, or a time. */
static enum moment_result take_part(struct cursor *c)
{
    struct number n;
    enum field field;
    bool minus = eat_sign(c);
    enum moment_result result = take_digits(c, &n.whole);
    if (result != MOMENT_OK) {
        return result;
    }
    if (eat(c, ':')) {
        return take_clock(c, n.whole, minus);
    }
    result = take_fraction(c, &n.fraction);
    if (result != MOMENT_OK) {
        return result;
    }
    eat_spaces(c);
    if (!word_field(take_word(c), &field)) {
        return MOMENT_SYNTAX;
    }
    if (minus) {
        negate(&n);
    }
    return take_field(c, field, &n);
}

static bool eat_ago(struct cursor *c)
{
    struct str rest = {.p = c->p, .n = (size_t) (c->end - c->p)};
    return ascii_is_word(rest, "ago");
}

static enum moment_result parse_words(struct cursor *c, bool *out_minus)
{
    (void) eat(c, '@');
    eat_spaces(c);
    enum moment_result result = c->p < c->end ? MOMENT_OK : MOMENT_SYNTAX;
    while (result == MOMENT_OK && c->p < c->end && !*out_minus) {
        if (c->seen != 0 && eat_ago(c)) {
            *out_minus = true;
        } else {
            result = take_part(c);
            eat_spaces(c);
        }
    }
    return result;
}

/* ---- both ---- */

static enum moment_result finish(const struct cursor *c, bool minus, struct interval *out)
{
    int64_t sign = minus ? -1 : 1;
    int64_t days = c->days;
    int64_t months = c->months;
    if (days < INT32_MIN || days > INT32_MAX || months < INT32_MIN || months > INT32_MAX ||
        !CHECKED_MUL(c->usec, sign, &out->usec) || days * sign > INT32_MAX ||
        months * sign > INT32_MAX) {
        return MOMENT_FIELD;
    }
    out->days = (int32_t) (days * sign);
    out->months = (int32_t) (months * sign);
    return MOMENT_OK;
}

enum moment_result interval_parse(struct str s, struct buf *scratch, struct interval *out)
{
    s = str_trim(s);
    struct cursor c = {.p = s.p, .end = s.p + s.n, .scratch = scratch};
    bool minus = str_starts(s, "-P");
    c.p += minus ? 1 : 0;
    enum moment_result result = eat(&c, 'P') ? parse_iso(&c) : parse_words(&c, &minus);
    return result == MOMENT_OK ? finish(&c, minus, out) : result;
}
