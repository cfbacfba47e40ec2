/*
 * Reading intervals. Numbers with their units are added up in 64 bits; a sum that does not fit into
 * an interval is out of range. Any thread.
 */
#include "row/text/interval.h"

#include "row/text/cursor.h"

#include <math.h>
#include <string.h>

#define USEC_PER_SECOND INT64_C(1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SECOND)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)

/* The sums so far, and where the rest of the text begins. */
struct sum {
    struct cursor c;
    unsigned seen; /* bits of enum interval_field */
    int64_t usec;
    int64_t days;
    int64_t months;
};

/* Each may come once. */
enum interval_field { YEAR, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND };

struct number {
    int64_t whole;
    double fraction; /* between -1 and 1, of the same sign */
};

static void eat_spaces(struct cursor *c)
{
    while (c->p < c->end && ascii_is_space(*c->p)) {
        c->p++;
    }
}

/* Digits as a number; MOMENT_SYNTAX if there are none, MOMENT_FIELD if they are too many. */
static enum moment_result take_digits(struct cursor *c, int64_t *out)
{
    const char *begin = c->p;

    *out = 0;
    for (; cursor_at_digit(c); c->p++) {
        if (!CHECKED_MUL(*out, 10, out) || !CHECKED_ADD(*out, *c->p - '0', out)) {
            return MOMENT_FIELD;
        }
    }
    return c->p > begin ? MOMENT_OK : MOMENT_SYNTAX;
}

/* The point and the digits after it, if there is one. */
static enum moment_result take_fraction(struct cursor *c, double *out)
{
    const char *begin = c->p;

    *out = 0;
    if (!cursor_eat(c, '.')) {
        return MOMENT_OK;
    }
    if (!cursor_at_digit(c)) {
        return MOMENT_SYNTAX;
    }
    while (cursor_at_digit(c)) {
        c->p++;
    }
    *out = cursor_double(c, begin);
    return MOMENT_OK;
}

/* ---- adding up ---- */

static bool add(int64_t *to, int64_t whole, int64_t scale)
{
    int64_t product;

    return CHECKED_MUL(whole, scale, &product) && CHECKED_ADD(*to, product, to);
}

/* AdjustFractMicroseconds: a half is not rounded up. */
static bool add_fraction_usec(struct sum *s, double fraction, int64_t scale)
{
    fraction *= (double) scale;
    int64_t usec = (int64_t) fraction;
    fraction -= (double) usec;
    usec += fraction > 0.5 ? 1 : fraction < -0.5 ? -1 : 0;
    return add(&s->usec, usec, 1);
}

/* AdjustFractDays */
static bool add_fraction_days(struct sum *s, double fraction, int scale)
{
    fraction *= scale;
    int64_t days = (int64_t) fraction;
    return add(&s->days, days, 1) && add_fraction_usec(s, fraction - (double) days, USEC_PER_DAY);
}

static bool add_field(struct sum *s, enum interval_field field, const struct number *n)
{
    static const int64_t usec[] = {
        [HOUR] = USEC_PER_HOUR,        [MINUTE] = USEC_PER_MINUTE, [SECOND] = USEC_PER_SECOND,
        [MILLISECOND] = INT64_C(1000), [MICROSECOND] = 1,
    };

    switch (field) {
    case YEAR:
        return add(&s->months, n->whole, 12) &&
               add(&s->months, (int64_t) rint(n->fraction * 12), 1);
    case MONTH:
        return add(&s->months, n->whole, 1) && add_fraction_days(s, n->fraction, 30);
    case WEEK:
        return add(&s->days, n->whole, 7) && add_fraction_days(s, n->fraction, 7);
    case DAY:
        return add(&s->days, n->whole, 1) && add_fraction_days(s, n->fraction, 1);
    case HOUR:
    case MINUTE:
    case SECOND:
    case MILLISECOND:
    case MICROSECOND:
        return add(&s->usec, n->whole, usec[field]) &&
               add_fraction_usec(s, n->fraction, usec[field]);
    }
    __builtin_unreachable();
}

/* Each field only once; seconds with a fraction stand for all smaller units as well. */
static enum moment_result take_field(struct sum *s, enum interval_field field,
                                     const struct number *n)
{
    unsigned bits = 1U << field;

    if (field == SECOND && (n->fraction > 0 || n->fraction < 0)) {
        bits |= 1U << MILLISECOND | 1U << MICROSECOND;
    }
    if ((s->seen & bits) != 0) {
        return MOMENT_SYNTAX;
    }
    s->seen |= bits;
    return add_field(s, field, n) ? MOMENT_OK : MOMENT_FIELD;
}

static bool eat_sign(struct cursor *c)
{
    bool minus = cursor_at(c, '-');

    c->p += minus || cursor_at(c, '+') ? 1 : 0;
    return minus;
}

static void negate(struct number *n)
{
    n->whole = -n->whole;
    n->fraction = -n->fraction;
}

/* ---- ISO 8601 ---- */

static bool iso_field(char ch, bool time, enum interval_field *out)
{
    static const char dates[] = "YMWD";
    static const char times[] = "HMS";
    const char *units = time ? times : dates;

    for (int i = 0; units[i]; i++) {
        if (units[i] == ch) {
            *out = (enum interval_field)((time ? HOUR : YEAR) + i);
            return true;
        }
    }
    return false;
}

/* ParseISO8601Number: a number with a fraction becomes a double, with the loss that this brings. */
static enum moment_result take_iso_number(struct cursor *c, struct number *out)
{
    const double most = 1e15;
    const char *begin = c->p;
    enum moment_result result = take_digits(c, &out->whole);

    if (result == MOMENT_OK) {
        result = take_fraction(c, &out->fraction);
    }
    if (result != MOMENT_OK || memchr(begin, '.', (size_t) (c->p - begin)) == NULL) {
        return result;
    }
    double value = cursor_double(c, begin);
    if (value > most) {
        return MOMENT_FIELD;
    }
    out->whole = (int64_t) value;
    out->fraction = value - (double) out->whole;
    return MOMENT_OK;
}

static enum moment_result take_iso_field(struct sum *s, bool time)
{
    struct number n;
    enum interval_field field;
    bool minus = eat_sign(&s->c);
    enum moment_result result = take_iso_number(&s->c, &n);

    if (result != MOMENT_OK) {
        return result;
    }
    if (cursor_at_end(&s->c) || !iso_field(*s->c.p++, time, &field)) {
        return MOMENT_SYNTAX;
    }
    if (minus) {
        negate(&n);
    }
    return take_field(s, field, &n);
}

/* After the P. */
static enum moment_result parse_iso(struct sum *s)
{
    enum moment_result result = !cursor_at_end(&s->c) ? MOMENT_OK : MOMENT_SYNTAX;
    bool time = false;

    while (result == MOMENT_OK && !cursor_at_end(&s->c)) {
        if (!time && cursor_eat(&s->c, 'T')) {
            time = true;
        }
        result = take_iso_field(s, time);
    }
    return result;
}

/* ---- PostgreSQL ---- */

static const struct {
    const char *word;
    enum interval_field field;
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

static bool word_field(struct str word, enum interval_field *out)
{
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

/* Exactly two digits, at most `most`. */
static bool two_digits(struct cursor *c, int64_t most, int64_t *out)
{
    return cursor_two_digits(c, out) && !cursor_at_digit(c) && *out <= most;
}

/* HH:MM[:SS[.f]], after the hours and their colon. */
static enum moment_result take_clock(struct sum *s, int64_t hour, bool minus)
{
    const unsigned bits = 1U << HOUR | 1U << MINUTE | 1U << SECOND | 1U << MILLISECOND |
                          1U << MICROSECOND;
    struct number n = {.whole = hour};
    int64_t minute;
    int64_t second = 0;
    double fraction = 0;

    if ((s->seen & bits) != 0 || !two_digits(&s->c, 59, &minute) ||
        (cursor_eat(&s->c, ':') &&
         (!two_digits(&s->c, 60, &second) || take_fraction(&s->c, &fraction) != MOMENT_OK))) {
        return MOMENT_SYNTAX;
    }
    s->seen |= bits;
    int64_t usec = second * USEC_PER_SECOND + (int64_t) rint(fraction * (double) USEC_PER_SECOND);
    usec += minute * USEC_PER_MINUTE;
    int sign = minus ? -1 : 1;
    return add(&s->usec, n.whole, sign * USEC_PER_HOUR) && add(&s->usec, usec, sign) ? MOMENT_OK
                                                                                     : MOMENT_FIELD;
}

/* A number and its unit, or a time. */
static enum moment_result take_part(struct sum *s)
{
    struct number n;
    enum interval_field field;
    bool minus = eat_sign(&s->c);
    enum moment_result result = take_digits(&s->c, &n.whole);

    if (result != MOMENT_OK) {
        return result;
    }
    if (cursor_eat(&s->c, ':')) {
        return take_clock(s, n.whole, minus);
    }
    result = take_fraction(&s->c, &n.fraction);
    if (result != MOMENT_OK) {
        return result;
    }
    eat_spaces(&s->c);
    if (!word_field(take_word(&s->c), &field)) {
        return MOMENT_SYNTAX;
    }
    if (minus) {
        negate(&n);
    }
    return take_field(s, field, &n);
}

static bool eat_ago(struct cursor *c)
{
    struct str rest = {.p = c->p, .n = (size_t) (c->end - c->p)};

    return ascii_is_word(rest, "ago");
}

static enum moment_result parse_words(struct sum *s, bool *out_minus)
{
    (void) cursor_eat(&s->c, '@');
    eat_spaces(&s->c);
    enum moment_result result = !cursor_at_end(&s->c) ? MOMENT_OK : MOMENT_SYNTAX;
    while (result == MOMENT_OK && !cursor_at_end(&s->c) && !*out_minus) {
        if (s->seen != 0 && eat_ago(&s->c)) {
            *out_minus = true;
        } else {
            result = take_part(s);
            eat_spaces(&s->c);
        }
    }
    return result;
}

/* ---- both ---- */

static enum moment_result finish(const struct sum *s, bool minus, struct interval *out)
{
    int64_t sign = minus ? -1 : 1;
    int64_t days = s->days;
    int64_t months = s->months;

    if (days < INT32_MIN || days > INT32_MAX || months < INT32_MIN || months > INT32_MAX ||
        !CHECKED_MUL(s->usec, sign, &out->usec) || days * sign > INT32_MAX ||
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
    struct sum sum = {.c = cursor_of(s, scratch)};
    bool minus = str_starts(s, "-P");
    sum.c.p += minus ? 1 : 0;
    enum moment_result result = cursor_eat(&sum.c, 'P') ? parse_iso(&sum)
                                                        : parse_words(&sum, &minus);
    return result == MOMENT_OK ? finish(&sum, minus, out) : result;
}
