/* Reading dates and times. A cursor walks the text; each part answers or fails. Any thread. */
#include "row/moment.h"

#include "row/ascii.h"
#include "row/decimal.h"

#include <math.h>

struct cursor {
    const char *p;
    const char *end;
    struct buf *scratch;
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

static bool at_digit(const struct cursor *c)
{
    return c->p < c->end && ascii_is_digit(*c->p);
}

/* min to max digits, as many as there are; false when fewer or more. */
static bool digits(struct cursor *c, int min, int max, int64_t *out)
{
    int n = 0;
    int64_t value = 0;
    for (; at_digit(c) && n < max; n++) {
        value = value * 10 + (*c->p++ - '0');
    }
    *out = value;
    return n >= min && !at_digit(c);
}

static bool two_digits(struct cursor *c, int64_t *out)
{
    if (c->end - c->p < 2) {
        return false;
    }
    unsigned tens = (unsigned) ((uint8_t) c->p[0] - '0');
    unsigned ones = (unsigned) ((uint8_t) c->p[1] - '0');
    c->p += 2;
    *out = (int64_t) (tens * 10 + ones);
    return tens <= 9 && ones <= 9;
}

/* ---- date ---- */

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t month_days(int64_t year, int64_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

/* Days from 2000-01-01. Years are 1 or later. */
static int64_t days_from(int64_t year, int64_t month, int64_t day)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t y = year - 1;
    int64_t leap_day = month > 2 && is_leap(year) ? 1 : 0;
    int64_t first = y * 365 + y / 4 - y / 100 + y / 400; /* of the year, from 0001-01-01 */
    return first + before[month - 1] + leap_day + day - 1 - 730119;
}

static enum moment_result parse_date(struct cursor *c, int64_t *out_days)
{
    int64_t year;
    int64_t month;
    int64_t day;
    if (!digits(c, 4, 7, &year) || !eat(c, '-') || !two_digits(c, &month) || !eat(c, '-') ||
        !two_digits(c, &day)) {
        return MOMENT_SYNTAX;
    }
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > month_days(year, month)) {
        return MOMENT_FIELD;
    }
    *out_days = days_from(year, month, day);
    return MOMENT_OK;
}

/* ---- time ---- */

/*
 * The fraction behind its point in microseconds. Up to six digits are exact; more are rounded the
 * way PostgreSQL does (ParseFractionalSecond): as a double times 1000000, half to even.
 */
static bool parse_fraction(struct cursor *c, int64_t *out)
{
    const char *point = c->p - 1;
    const char *begin = c->p;
    int64_t value = 0;
    double seconds;
    struct decimal d;
    for (; at_digit(c); c->p++) {
        if (c->p - begin < 6) {
            value = value * 10 + (*c->p - '0');
        }
    }
    for (ptrdiff_t n = c->p - begin; n < 6; n++) {
        value *= 10;
    }
    *out = value;
    if (c->p - begin > 6) {
        struct str text = {.p = point, .n = (size_t) (c->p - point)};
        if (!decimal_scan(text, &d) || !decimal_to_double(&d, c->scratch, &seconds)) {
            seconds = 0; /* smaller than the smallest double */
        }
        *out = (int64_t) rint(seconds * 1000000);
    }
    return c->p > begin;
}

static enum moment_result parse_time(struct cursor *c, int64_t *out_usec)
{
    int64_t hour;
    int64_t minute;
    int64_t second = 0;
    int64_t usec = 0;
    if (!two_digits(c, &hour) || !eat(c, ':') || !two_digits(c, &minute)) {
        return MOMENT_SYNTAX;
    }
    if (eat(c, ':') && (!two_digits(c, &second) || (eat(c, '.') && !parse_fraction(c, &usec)))) {
        return MOMENT_SYNTAX;
    }
    int64_t total = ((hour * 60 + minute) * 60 + second) * 1000000 + usec;
    if (hour > 24 || minute > 59 || second > 60 || total > USEC_PER_DAY) {
        return MOMENT_FIELD;
    }
    *out_usec = total;
    return MOMENT_OK;
}

/* ---- offset ---- */

static bool offset_fields(struct cursor *c, int64_t *hour, int64_t *minute, int64_t *second)
{
    *minute = 0;
    *second = 0;
    if (!two_digits(c, hour)) {
        return false;
    }
    if (at_digit(c)) {
        return two_digits(c, minute);
    }
    return !eat(c, ':') || (two_digits(c, minute) && (!eat(c, ':') || two_digits(c, second)));
}

/* An offset, or none: then *out is 0. Must be the rest of the text. */
static enum moment_result parse_offset(struct cursor *c, int64_t *out_sec)
{
    int64_t hour;
    int64_t minute;
    int64_t second;
    *out_sec = 0;
    if (c->p == c->end) {
        return MOMENT_OK;
    }
    if (eat(c, 'Z') || eat(c, 'z')) {
        return c->p == c->end ? MOMENT_OK : MOMENT_SYNTAX;
    }
    bool west = at(c, '-');
    if ((!eat(c, '+') && !eat(c, '-')) || !offset_fields(c, &hour, &minute, &second) ||
        c->p != c->end) {
        return MOMENT_SYNTAX;
    }
    if (hour > 15 || minute > 59 || second > 59) {
        return MOMENT_FIELD; /* MAX_TZDISP_HOUR */
    }
    *out_sec = (hour * 60 + minute) * 60 + second;
    *out_sec = west ? -*out_sec : *out_sec;
    return MOMENT_OK;
}

enum moment_result moment_parse_time(struct str s, struct buf *scratch, struct moment *out)
{
    struct cursor c = {.p = s.p, .end = s.p + s.n, .scratch = scratch};
    struct moment m = {.kind = MOMENT_FINITE};
    enum moment_result result = parse_time(&c, &m.usec);
    if (result == MOMENT_OK) {
        result = parse_offset(&c, &m.offset_sec);
    }
    if (result == MOMENT_OK) {
        *out = m;
    }
    return result;
}

enum moment_result moment_parse(struct str s, struct buf *scratch, struct moment *out)
{
    struct cursor c = {.p = s.p, .end = s.p + s.n, .scratch = scratch};
    struct moment m = {.kind = MOMENT_FINITE};
    if (ascii_is_word(s, "infinity") || ascii_is_word(s, "-infinity")) {
        *out = (struct moment){.kind = *s.p == '-' ? MOMENT_MINUS_INFINITY : MOMENT_INFINITY};
        return MOMENT_OK;
    }
    enum moment_result result = parse_date(&c, &m.days);
    if (result == MOMENT_OK && c.p < c.end) {
        if (!eat(&c, 'T') && !eat(&c, 't') && !eat(&c, ' ')) {
            return MOMENT_SYNTAX;
        }
        result = parse_time(&c, &m.usec);
        if (result == MOMENT_OK) {
            result = parse_offset(&c, &m.offset_sec);
        }
    }
    if (result == MOMENT_OK) {
        *out = m;
    }
    return result;
}
