/* See moment_print.h. Any thread. */
#include "row/text/moment_print.h"

#include <assert.h>
#include <inttypes.h>

enum { DIGITS_MAX = 9, DAY_SEC = 86400 };

static const uint32_t powers[DIGITS_MAX + 1] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
};

static void put_fraction(uint32_t fraction, unsigned digits, struct buf *out)
{
    if (fraction == 0) {
        return;
    }
    buf_printf(out, ".%0*" PRIu32, (int) digits, fraction);
    while (out->p[out->n - 1] == '0') {
        out->n--;
    }
}

/*
 * The day of the calendar by its number. Years are counted from March on, so that the leap day is
 * the last one, and the calendar repeats itself every 400 years, which are 146097 days.
 */
void moment_print_date(int64_t days, struct buf *out)
{
    enum { CYCLE_DAYS = 146097, CYCLE_YEARS = 400, YEAR_DAYS = 365 };
    const int64_t from_march = 719468; /* from 0000-03-01 to 1970-01-01 */

    /* Near the ends of int64 the sum would not fit, so cycles are taken out first. */
    int64_t cycle = days / CYCLE_DAYS;
    int64_t day = days % CYCLE_DAYS + from_march;
    cycle += day / CYCLE_DAYS;
    day %= CYCLE_DAYS;
    if (day < 0) {
        day += CYCLE_DAYS;
        cycle--;
    }
    int64_t year_of = (day - day / 1460 + day / 36524 - day / (CYCLE_DAYS - 1)) / YEAR_DAYS;
    int64_t day_of = day - (YEAR_DAYS * year_of + year_of / 4 - year_of / 100);
    int64_t march = (5 * day_of + 2) / 153; /* 0 is March */
    int64_t month = march < 10 ? march + 3 : march - 9;
    int64_t year = cycle * CYCLE_YEARS + year_of + (month <= 2 ? 1 : 0);
    const char *sign = year < 0 ? "-" : year == 0 ? "+" : ""; /* 0000 without one is no year */
    buf_printf(out, "%s%04" PRId64 "-%02d-%02d", sign, year < 0 ? -year : year, (int) month,
               (int) (day_of - (153 * march + 2) / 5 + 1));
}

static void put_clock(uint64_t seconds, struct buf *out)
{
    buf_printf(out, "%02" PRIu64 ":%02u:%02u", seconds / 3600, (unsigned) (seconds / 60 % 60),
               (unsigned) (seconds % 60));
}

/* Writes the sign of a count that has one; returns its magnitude. */
static uint64_t put_sign(int64_t count, struct buf *out)
{
    if (count >= 0) {
        return (uint64_t) count;
    }
    buf_add_u8(out, '-');
    return 0 - (uint64_t) count;
}

void moment_print_time(int64_t count, unsigned digits, struct buf *out)
{
    assert(digits <= DIGITS_MAX);
    uint64_t n = put_sign(count, out);
    put_clock(n / powers[digits], out);
    put_fraction((uint32_t) (n % powers[digits]), digits, out);
}

void moment_print_timestamp(int64_t count, unsigned digits, struct buf *out)
{
    assert(digits <= DIGITS_MAX);
    int64_t fraction = count % powers[digits];
    int64_t seconds = count / powers[digits];
    if (fraction < 0) {
        fraction += powers[digits];
        seconds--;
    }
    int64_t days = seconds / DAY_SEC;
    int64_t of_day = seconds % DAY_SEC;
    if (of_day < 0) {
        of_day += DAY_SEC;
        days--;
    }
    moment_print_date(days, out);
    buf_add_u8(out, 'T');
    put_clock((uint64_t) of_day, out);
    put_fraction((uint32_t) fraction, digits, out);
}

void moment_print_instant(int64_t count, unsigned digits, struct buf *out)
{
    moment_print_timestamp(count, digits, out);
    buf_add_u8(out, 'Z');
}

void moment_print_span(int64_t count, unsigned digits, struct buf *out)
{
    assert(digits <= DIGITS_MAX);
    buf_add_z(out, "PT");
    uint64_t n = put_sign(count, out);
    buf_printf(out, "%" PRIu64, n / powers[digits]);
    put_fraction((uint32_t) (n % powers[digits]), digits, out);
    buf_add_u8(out, 'S');
}
