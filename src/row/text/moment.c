/* Reading dates and times, part by part. Any thread. */
#include "row/text/moment.h"

#include "row/text/cursor.h"

#include <math.h>
#include <string.h>

/* min to max digits, as many as there are; false when fewer or more. */
static bool digits(struct cursor *c, int min, int max, int64_t *out)
{
    int n = 0;
    int64_t value = 0;

    for (; cursor_at_digit(c) && n < max; n++) {
        value = value * 10 + (*c->p++ - '0');
    }
    *out = value;
    return n >= min && !cursor_at_digit(c);
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

/* The calendar repeats itself every 400 years. */
enum { CYCLE_YEARS = 400, CYCLE_DAYS = 146097, CYCLES_BEFORE = 25, YEAR_MIN = -9999 };

/*
 * Days from 2000-01-01, for years from YEAR_MIN to 999999999. Years are counted from March on, so
 * that the leap day is the last one.
 */
static int64_t days_from(int64_t year, int64_t month, int64_t day)
{
    if (year < 1) {
        return days_from(year + CYCLES_BEFORE * CYCLE_YEARS, month, day) -
               CYCLES_BEFORE * CYCLE_DAYS;
    }
    uint64_t early = month <= 2 ? 1 : 0;
    uint64_t y = (uint64_t) year - early;
    uint64_t m = (uint64_t) month + 12 * early - 3;
    uint64_t century = y / 100;
    uint64_t first = 365 * y + y / 4 - century + century / 4 + (153 * m + 2) / 5;
    return (int64_t) first + day - 1 - 730425;
}

static enum moment_result date_of(int64_t year, int64_t month, int64_t day, int64_t *out_days)
{
    if (year < YEAR_MIN || month < 1 || month > 12 || day < 1 ||
        (day > 28 && day > month_days(year, month))) {
        return MOMENT_FIELD;
    }
    *out_days = days_from(year, month, day);
    return MOMENT_OK;
}

/* After the W: the week and its day, 1 = Monday. Week 1 is the one with January 4 in it. */
static enum moment_result parse_week(struct cursor *c, int64_t year, bool basic, int64_t *out_days)
{
    int64_t week;
    int64_t day;
    int64_t fourth;

    if (!cursor_two_digits(c, &week) || (!basic && !cursor_eat(c, '-')) || !digits(c, 1, 1, &day)) {
        return MOMENT_SYNTAX;
    }
    if (week < 1 || week > 53 || day < 1 || day > 7 || date_of(year, 1, 4, &fourth) != MOMENT_OK) {
        return MOMENT_FIELD;
    }
    int64_t monday = fourth - ((fourth + 5) % 7 + 7) % 7;
    if (week == 53 && monday + 52 * 7 + 3 >= days_from(year + 1, 1, 1)) {
        return MOMENT_FIELD; /* its Thursday is in the next year */
    }
    *out_days = monday + (week - 1) * 7 + day - 1;
    return MOMENT_OK;
}

static enum moment_result parse_day_of_year(struct cursor *c, int64_t year, int64_t *out_days)
{
    int64_t day;
    int64_t first;

    if (!digits(c, 3, 3, &day)) {
        return MOMENT_SYNTAX;
    }
    if (day < 1 || day > (is_leap(year) ? 366 : 365) || date_of(year, 1, 1, &first) != MOMENT_OK) {
        return MOMENT_FIELD;
    }
    *out_days = first + day - 1;
    return MOMENT_OK;
}

static bool is_digit_at(const struct cursor *c, ptrdiff_t i)
{
    return i < c->end - c->p && ascii_is_digit(c->p[i]);
}

/* What follows the year and its dash. */
static enum moment_result parse_after_year(struct cursor *c, int64_t year, int64_t *out_days)
{
    int64_t month;
    int64_t day;

    if (cursor_eat(c, 'W')) {
        return parse_week(c, year, false, out_days);
    }
    if (is_digit_at(c, 2)) {
        return parse_day_of_year(c, year, out_days);
    }
    if (!cursor_two_digits(c, &month) || !cursor_eat(c, '-') || !cursor_two_digits(c, &day)) {
        return MOMENT_SYNTAX;
    }
    return date_of(year, month, day, out_days);
}

static enum moment_result parse_date(struct cursor *c, int64_t *out_days)
{
    int64_t year;
    bool before = cursor_at(c, '-');
    bool has_sign = cursor_eat(c, '-') || cursor_eat(c, '+');

    if (!digits(c, 4, has_sign ? 9 : 7, &year)) {
        return MOMENT_SYNTAX;
    }
    bool week = !has_sign && cursor_eat(c, 'W');
    if (!week && !cursor_eat(c, '-')) {
        return MOMENT_SYNTAX;
    }
    year = before ? -year : year;
    enum moment_result result = week ? parse_week(c, year, true, out_days)
                                     : parse_after_year(c, year, out_days);
    return result == MOMENT_OK && year == 0 && !has_sign ? MOMENT_FIELD : result;
}

/* Eight digits, and not the beginning of a longer number or year: ISO's basic form. */
static bool is_basic_date(const struct cursor *c)
{
    ptrdiff_t n = 0;

    while (is_digit_at(c, n)) {
        n++;
    }
    return n == 8 && !(c->end - c->p > 8 && c->p[8] == '-');
}

static enum moment_result parse_basic_date(struct cursor *c, int64_t *out_days)
{
    int64_t century;
    int64_t year;
    int64_t month;
    int64_t day;

    if (!cursor_two_digits(c, &century) || !cursor_two_digits(c, &year) ||
        !cursor_two_digits(c, &month) || !cursor_two_digits(c, &day)) {
        return MOMENT_SYNTAX;
    }
    year += century * 100;
    return year > 0 ? date_of(year, month, day, out_days) : MOMENT_FIELD;
}

/* ---- time ---- */

/* From its point, or comma, up to here. */
static double fraction(const struct cursor *c, const char *point)
{
    char text[40]; /* more digits change nothing */

    if (*point == '.') {
        return cursor_double(c, point);
    }
    size_t n = MIN((size_t) (c->p - point), sizeof text);
    memcpy(text, point, n);
    text[0] = '.';
    const struct cursor copy = {.p = text + n, .scratch = c->scratch};
    return cursor_double(&copy, text);
}

/*
 * The fraction after its point in microseconds. Up to six digits are exact; more are rounded the
 * way PostgreSQL does (ParseFractionalSecond): as a double times 1000000, half to even.
 */
static bool parse_fraction(struct cursor *c, int64_t *out)
{
    const char *point = c->p - 1;
    const char *begin = c->p;
    int64_t value = 0;

    for (; cursor_at_digit(c); c->p++) {
        if (c->p - begin < 6) {
            value = value * 10 + (*c->p - '0');
        }
    }
    for (ptrdiff_t n = c->p - begin; n < 6; n++) {
        value *= 10;
    }
    *out = value;
    if (c->p - begin > 6) {
        *out = (int64_t) rint(fraction(c, point) * 1000000);
    }
    return c->p > begin;
}

static enum moment_result time_of(int64_t hour, int64_t minute, int64_t second, int64_t usec,
                                  int64_t *out_usec)
{
    int64_t total = ((hour * 60 + minute) * 60 + second) * 1000000 + usec;

    if (hour > 24 || minute > 59 || second > 60 || total > USEC_PER_DAY) {
        return MOMENT_FIELD;
    }
    *out_usec = total;
    return MOMENT_OK;
}

/* After the seconds: a fraction, or none. */
static enum moment_result finish_time(struct cursor *c, int64_t hour, int64_t minute,
                                      int64_t second, int64_t *out_usec)
{
    int64_t usec = 0;

    if ((cursor_eat(c, '.') || cursor_eat(c, ',')) && !parse_fraction(c, &usec)) {
        return MOMENT_SYNTAX;
    }
    return time_of(hour, minute, second, usec, out_usec);
}

static enum moment_result parse_time(struct cursor *c, int64_t *out_usec)
{
    int64_t hour;
    int64_t minute;
    int64_t second;

    if (!cursor_two_digits(c, &hour) || !cursor_eat(c, ':') || !cursor_two_digits(c, &minute)) {
        return MOMENT_SYNTAX;
    }
    if (!cursor_eat(c, ':')) {
        return time_of(hour, minute, 0, 0, out_usec);
    }
    return cursor_two_digits(c, &second) ? finish_time(c, hour, minute, second, out_usec)
                                         : MOMENT_SYNTAX;
}

/* HHMM or HHMMSS, and a fraction of the second. */
static enum moment_result parse_basic_time(struct cursor *c, int64_t *out_usec)
{
    int64_t hour;
    int64_t minute;
    int64_t second;

    if (!cursor_two_digits(c, &hour) || !cursor_two_digits(c, &minute)) {
        return MOMENT_SYNTAX;
    }
    if (!cursor_at_digit(c)) {
        return time_of(hour, minute, 0, 0, out_usec);
    }
    return cursor_two_digits(c, &second) ? finish_time(c, hour, minute, second, out_usec)
                                         : MOMENT_SYNTAX;
}

static enum moment_result parse_clock(struct cursor *c, int64_t *out_usec)
{
    return is_digit_at(c, 2) ? parse_basic_time(c, out_usec) : parse_time(c, out_usec);
}

/* ---- offset ---- */

static bool offset_fields(struct cursor *c, int64_t *hour, int64_t *minute, int64_t *second)
{
    *minute = 0;
    *second = 0;
    if (!cursor_two_digits(c, hour)) {
        return false;
    }
    if (cursor_at_digit(c)) {
        return cursor_two_digits(c, minute);
    }
    return !cursor_eat(c, ':') ||
           (cursor_two_digits(c, minute) && (!cursor_eat(c, ':') || cursor_two_digits(c, second)));
}

static enum moment_result parse_offset(struct cursor *c, int64_t *out_sec)
{
    int64_t hour;
    int64_t minute;
    int64_t second;
    bool west = cursor_at(c, '-');

    if ((!cursor_eat(c, '+') && !cursor_eat(c, '-')) ||
        !offset_fields(c, &hour, &minute, &second)) {
        return MOMENT_SYNTAX;
    }
    if (hour > 15 || minute > 59 || second > 59) {
        return MOMENT_FIELD; /* MAX_TZDISP_HOUR */
    }
    *out_sec = (hour * 60 + minute) * 60 + second;
    *out_sec = west ? -*out_sec : *out_sec;
    return MOMENT_OK;
}

static bool eat_utc(struct cursor *c)
{
    struct str word = {.p = c->p, .n = 3};
    bool there = c->end - c->p >= 3 && (ascii_is_word(word, "utc") || ascii_is_word(word, "gmt"));

    c->p += there ? 3 : 0;
    return there;
}

/* In a zone's name, or in a note such as u-ca=iso8601. */
static bool is_bracketed(char ch)
{
    char low = ascii_lower(ch);

    return (low >= 'a' && low <= 'z') || ascii_is_digit(ch) ||
           (ch != '\0' && strchr("/_+-:.~=", ch) != NULL);
}

/*
 * [Europe/Berlin][u-ca=iso8601], up to the end of the text. One that is marked with ! demands that
 * its reader understands it.
 */
static bool eat_brackets(struct cursor *c)
{
    while (cursor_eat(c, '[')) {
        const char *begin = c->p;
        while (!cursor_at_end(c) && is_bracketed(*c->p)) {
            c->p++;
        }
        if (c->p == begin || !cursor_eat(c, ']')) {
            return false;
        }
    }
    return cursor_at_end(c);
}

/* What may follow an offset says nothing new. */
static enum moment_result parse_other_zone(struct cursor *c, struct moment *out)
{
    if (cursor_at(c, '[')) {
        return eat_brackets(c) ? MOMENT_ZONE : MOMENT_SYNTAX;
    }
    (void) cursor_eat(c, ' ');
    if (!cursor_eat(c, 'Z') && !cursor_eat(c, 'z') && !eat_utc(c)) {
        enum moment_result result = parse_offset(c, &out->offset_sec);
        if (result != MOMENT_OK) {
            return result;
        }
        if (out->offset_sec == 0 && cursor_eat(c, ' ') && !eat_utc(c)) {
            return MOMENT_SYNTAX;
        }
    }
    return eat_brackets(c) ? MOMENT_OK : MOMENT_SYNTAX;
}

/* The rest of the text: an offset, or none. */
static inline enum moment_result parse_zone(struct cursor *c, struct moment *out)
{
    bool is_z = c->end - c->p == 1 && *c->p == 'Z';

    out->offset_sec = 0;
    out->zoned = !cursor_at_end(c);
    return is_z || cursor_at_end(c) ? MOMENT_OK : parse_other_zone(c, out);
}

static bool eat_t(struct cursor *c)
{
    return cursor_eat(c, 'T') || cursor_eat(c, 't');
}

enum moment_result moment_parse_time(struct str s, struct buf *scratch, struct moment *out)
{
    struct cursor c = cursor_of(s, scratch);
    enum moment_result result = eat_t(&c) ? parse_clock(&c, &out->usec)
                                          : parse_time(&c, &out->usec);

    return result == MOMENT_OK ? parse_zone(&c, out) : result;
}

static bool is_between(char ch)
{
    return ch == 'T' || ch == 't' || ch == ' ';
}

/*
 * YYYY-MM-DDTHH:MM:SS, as nearly every text begins: read at once, not a character at a time. Texts
 * of another form are left to the other functions.
 */
static bool is_usual(const struct cursor *c)
{
    /* byte ^ pattern must be at most 9 for a digit, and 0 otherwise: more sets its high bit. */
    const uint64_t date_most = ascii_word("\x76\x76\x76\x76\x7f\x76\x76\x7f");
    const uint64_t time_most = ascii_word("\x76\x76\x7f\x76\x76\x7f\x76\x76");

    if (c->end - c->p < 19) {
        return false;
    }
    uint64_t date = ascii_word(c->p) ^ ascii_word("0000-00-");
    uint64_t time = ascii_word(c->p + 11) ^ ascii_word("00:00:00");
    uint64_t other = (date + date_most) | date | (time + time_most) | time;
    return (other & ASCII_HIGHS) == 0 && ascii_is_digit(c->p[8]) && ascii_is_digit(c->p[9]) &&
           is_between(c->p[10]);
}

/* The two digits at p. */
static int64_t pair(const char *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

static enum moment_result parse_usual(struct cursor *c, struct moment *out)
{
    const char *p = c->p;
    int64_t year = pair(p) * 100 + pair(p + 2);
    enum moment_result result = year == 0 ? MOMENT_FIELD
                                          : date_of(year, pair(p + 5), pair(p + 8), &out->days);

    if (result == MOMENT_OK) {
        c->p += 19;
        result = finish_time(c, pair(p + 11), pair(p + 14), pair(p + 17), &out->usec);
    }
    return result;
}

/* Does the text end after the date, but for a zone? */
static bool is_date_alone(const struct cursor *c)
{
    return cursor_at_end(c) || cursor_at(c, 'Z') || cursor_at(c, 'z') || cursor_at(c, '[');
}

static enum moment_result parse_other(struct cursor *c, struct moment *out)
{
    bool basic = is_basic_date(c);
    enum moment_result result = basic ? parse_basic_date(c, &out->days) : parse_date(c, &out->days);

    out->usec = 0;
    if (result != MOMENT_OK || is_date_alone(c)) {
        return result;
    }
    if (!is_between(*c->p)) {
        return MOMENT_SYNTAX;
    }
    c->p++;
    return parse_clock(c, &out->usec);
}

static enum moment_result parse_infinity(struct str s, struct moment *out)
{
    bool minus = ascii_is_word(s, "-infinity");

    if (!minus && !ascii_is_word(s, "infinity")) {
        return MOMENT_SYNTAX;
    }
    out->kind = minus ? MOMENT_MINUS_INFINITY : MOMENT_INFINITY;
    return MOMENT_OK;
}

enum moment_result moment_parse(struct str s, struct buf *scratch, struct moment *out)
{
    struct cursor c = cursor_of(s, scratch);
    enum moment_result result = is_usual(&c) ? parse_usual(&c, out) : parse_other(&c, out);

    if (result == MOMENT_OK) {
        result = parse_zone(&c, out);
    }
    out->kind = MOMENT_FINITE;
    return result == MOMENT_SYNTAX ? parse_infinity(s, out) : result;
}
