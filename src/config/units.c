/*
 * Numbers with units, strictly. No positions and no messages here: the caller knows what the value
 * is for and whether its text may be shown. Pure; any thread.
 */
#include "config/units.h"

#include "base/ascii.h"

#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first within each family: printing takes the first that divides. */
static const struct unit size_units[] = {
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"B", 1},
};

static const struct unit duration_units[] = {
    {"h", 3600 * USEC_PER_SEC},
    {"m", 60 * USEC_PER_SEC},
    {"s", USEC_PER_SEC},
    {"ms", USEC_PER_MSEC},
};

/* Length of the leading run of digits. */
static size_t digits(struct str s)
{
    size_t n = 0;

    while (n < s.n && ascii_is_digit(s.p[n])) {
        n += 1;
    }
    return n;
}

enum units_result units_number(struct str s, uint64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    struct str abs = negative ? (struct str){s.p + 1, s.n - 1} : s;
    uint64_t value;

    if (abs.n == 0 || digits(abs) != abs.n || (abs.p[0] == '0' && abs.n > 1)) {
        return UNITS_BAD;
    }
    if (negative || !str_to_u64(abs, &value)) {
        return UNITS_RANGE;
    }
    *out = value;
    return UNITS_OK;
}

static const struct unit *find_unit(struct str name, const struct unit *units, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_z(name, units[i].name)) {
            return &units[i];
        }
    }
    return NULL;
}

/* A number directly followed by one of the units. */
static enum units_result with_unit(struct str s, const struct unit *units, size_t n, uint64_t *out)
{
    size_t sign = s.n > 0 && s.p[0] == '-' ? 1 : 0;
    size_t split = sign + digits((struct str){s.p + sign, s.n - sign});
    const struct unit *unit = find_unit((struct str){s.p + split, s.n - split}, units, n);
    uint64_t value;
    enum units_result result;

    if (unit == NULL) {
        return UNITS_BAD;
    }
    result = units_number((struct str){s.p, split}, &value);
    if (result != UNITS_OK) {
        return result;
    }
    if (!CHECKED_MUL(value, unit->factor, &value)) {
        return UNITS_RANGE;
    }
    *out = value;
    return UNITS_OK;
}

enum units_result units_size(struct str s, uint64_t *out)
{
    enum units_result result = units_number(s, out);

    if (result != UNITS_BAD) {
        return result;
    }
    return with_unit(s, size_units, ARRAY_LEN(size_units), out);
}

enum units_result units_duration(struct str s, usec_t *out)
{
    uint64_t plain;

    switch (units_number(s, &plain)) {
    case UNITS_OK:
        if (plain != 0) {
            return UNITS_NO_UNIT;
        }
        *out = 0;
        return UNITS_OK;
    case UNITS_RANGE:
        return UNITS_RANGE;
    case UNITS_BAD:
    case UNITS_NO_UNIT:
        break;
    }
    return with_unit(s, duration_units, ARRAY_LEN(duration_units), out);
}

enum units_result units_rate(struct str s, uint64_t *out_count, usec_t *out_per)
{
    const struct str between = STR_LIT(" per ");
    const char *at = s.n > 0 ? memmem(s.p, s.n, between.p, between.n) : NULL;
    size_t split = at != NULL ? (size_t) (at - s.p) : 0;
    uint64_t count;
    usec_t per;
    enum units_result result;

    if (at == NULL) {
        return UNITS_BAD;
    }
    result = units_number((struct str){s.p, split}, &count);
    if (result == UNITS_OK) {
        struct str rest = {at + between.n, s.n - split - between.n};

        result = units_duration(rest, &per);
    }
    if (result != UNITS_OK || per == 0) {
        return result != UNITS_OK ? result : UNITS_RANGE;
    }
    *out_count = count;
    *out_per = per;
    return UNITS_OK;
}

/* What follows the point, in hundredths. */
static enum units_result decimals(struct str s, uint64_t *out)
{
    if (s.n == 0 || s.n > 2 || digits(s) != s.n) {
        return UNITS_BAD;
    }
    uint64_t tens = (uint64_t) (s.p[0] - '0') * 10;
    *out = s.n == 1 ? tens : tens + (uint64_t) (s.p[1] - '0');
    return UNITS_OK;
}

enum units_result units_share(struct str s, uint32_t *out)
{
    if (s.n < 2 || s.p[s.n - 1] != '%') {
        return UNITS_BAD;
    }
    struct str number = {s.p, s.n - 1};
    const char *point = memchr(number.p, '.', number.n);
    struct str whole = {number.p, point != NULL ? (size_t) (point - number.p) : number.n};
    uint64_t percent;
    uint64_t hundredths = 0;
    enum units_result result = units_number(whole, &percent);

    if (result == UNITS_OK && point != NULL) {
        result = decimals((struct str){point + 1, number.n - whole.n - 1}, &hundredths);
    }
    if (result != UNITS_OK) {
        return result;
    }
    if (percent > 100 || percent * 100 + hundredths > 10000) {
        return UNITS_RANGE;
    }
    *out = (uint32_t) (percent * 100 + hundredths);
    return UNITS_OK;
}

enum units_result units_bool(struct str s, bool *out)
{
    bool yes = str_eq_z(s, "true");

    if (!yes && !str_eq_z(s, "false")) {
        return UNITS_BAD;
    }
    *out = yes;
    return UNITS_OK;
}

/* Reads exactly n digits off the front of *s. */
static bool take_number(struct str *s, size_t n, unsigned *out)
{
    unsigned value = 0;

    if (s->n < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!ascii_is_digit(s->p[i])) {
            return false;
        }
        value = value * 10 + (unsigned) (s->p[i] - '0');
    }
    *s = (struct str){s->p + n, s->n - n};
    *out = value;
    return true;
}

static bool take_char(struct str *s, const char *any)
{
    if (s->n == 0 || s->p[0] == '\0' || strchr(any, s->p[0]) == NULL) {
        return false;
    }
    *s = (struct str){s->p + 1, s->n - 1};
    return true;
}

static bool take_fraction(struct str *s, unsigned *out_ms)
{
    static const unsigned scale[] = {0, 100, 10, 1};
    size_t n;
    unsigned value;

    *out_ms = 0;
    if (!take_char(s, ".")) {
        return true;
    }
    n = digits(*s);
    if (n < 1 || n > 3 || !take_number(s, n, &value)) {
        return false;
    }
    *out_ms = value * scale[n];
    return true;
}

/* "Z" or "+hh:mm", with nothing after it. */
static bool take_zone(struct str *s, int *out_minutes)
{
    unsigned hours;
    unsigned minutes;
    bool west = s->n > 0 && s->p[0] == '-';

    *out_minutes = 0;
    if (take_char(s, "Zz")) {
        return s->n == 0;
    }
    if (!take_char(s, "+-") || !take_number(s, 2, &hours) || !take_char(s, ":") ||
        !take_number(s, 2, &minutes) || hours > 23 || minutes > 59 || s->n != 0) {
        return false;
    }
    *out_minutes = (int) (hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

static unsigned year_days(unsigned year)
{
    return is_leap(year) ? 366 : 365;
}

static bool is_date(unsigned year, unsigned month, unsigned day)
{
    return month >= 1 && month <= 12 && day >= 1 && day <= month_days(year, month);
}

static int64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    int64_t days = (int64_t) day - 1;

    for (unsigned y = 1970; y < year; y++) {
        days += year_days(y);
    }
    for (unsigned m = 1; m < month; m++) {
        days += month_days(year, m);
    }
    return days;
}

enum units_result units_time(struct str s, int64_t *out_ms)
{
    unsigned year, month, day, hour, minute, second, ms;
    int zone;
    int64_t minutes;

    if (!take_number(&s, 4, &year) || !take_char(&s, "-") || !take_number(&s, 2, &month) ||
        !take_char(&s, "-") || !take_number(&s, 2, &day) || !take_char(&s, "Tt ") ||
        !take_number(&s, 2, &hour) || !take_char(&s, ":") || !take_number(&s, 2, &minute) ||
        !take_char(&s, ":") || !take_number(&s, 2, &second) || !take_fraction(&s, &ms) ||
        !take_zone(&s, &zone)) {
        return UNITS_BAD;
    }
    if (!is_date(year, month, day) || hour > 23 || minute > 59 || second > 59) {
        return UNITS_BAD;
    }
    if (year < 1970) {
        return UNITS_RANGE;
    }
    minutes = (days_since_1970(year, month, day) * 24 + hour) * 60 + minute - zone;
    if (minutes < 0) {
        return UNITS_RANGE;
    }
    *out_ms = (minutes * 60 + second) * 1000 + ms;
    return UNITS_OK;
}

enum units_result units_zone(struct str s, int32_t *out_sec)
{
    const int most = 16 * 60; /* as PostgreSQL's MAX_TZDISP_HOUR */
    int minutes = 0;

    if (!str_eq_z(s, "UTC") && (s.n == 0 || !take_zone(&s, &minutes))) {
        return UNITS_BAD;
    }
    if (minutes <= -most || minutes >= most) {
        return UNITS_RANGE;
    }
    *out_sec = minutes * 60;
    return UNITS_OK;
}

static void print_unit(uint64_t value, const struct unit *units, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (value != 0 && value % units[i].factor == 0) {
            buf_printf(out, "%llu%s", (unsigned long long) (value / units[i].factor),
                       units[i].name);
            return;
        }
    }
    buf_printf(out, "%llu", (unsigned long long) value);
}

void units_print_size(uint64_t bytes, struct buf *out)
{
    print_unit(bytes, size_units, ARRAY_LEN(size_units), out);
}

void units_print_duration(usec_t usec, struct buf *out)
{
    print_unit(usec, duration_units, ARRAY_LEN(duration_units), out);
}

void units_print_rate(uint64_t count, usec_t per, struct buf *out)
{
    buf_printf(out, "%llu per ", (unsigned long long) count);
    units_print_duration(per, out);
}

void units_print_share(uint32_t share, struct buf *out)
{
    uint32_t decimals = share % 100;

    buf_printf(out, "%u", share / 100);
    if (decimals != 0) {
        buf_printf(out, decimals % 10 == 0 ? ".%u" : ".%02u",
                   decimals % 10 == 0 ? decimals / 10 : decimals);
    }
    buf_add_z(out, "%");
}

void units_print_time(int64_t ms, struct buf *out)
{
    int64_t days = ms / 86400000;
    unsigned rest = (unsigned) (ms % 86400000);
    unsigned year = 1970;
    unsigned month = 1;

    while (days >= year_days(year)) {
        days -= year_days(year);
        year += 1;
    }
    while (days >= month_days(year, month)) {
        days -= month_days(year, month);
        month += 1;
    }
    buf_printf(out, "%04u-%02u-%02uT%02u:%02u:%02u", year, month, (unsigned) days + 1,
               rest / 3600000, rest / 60000 % 60, rest / 1000 % 60);
    if (rest % 1000 != 0) {
        buf_printf(out, ".%03u", rest % 1000);
    }
    buf_add_z(out, "Z");
}

void units_print_zone(int32_t sec, struct buf *out)
{
    int minutes = (sec < 0 ? -sec : sec) / 60;

    if (sec == 0) {
        buf_add_z(out, "UTC");
        return;
    }
    buf_printf(out, "\"%c%02d:%02d\"", sec < 0 ? '-' : '+', minutes / 60, minutes % 60);
}
