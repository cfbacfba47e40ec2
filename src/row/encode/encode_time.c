/*
 * date, time, timestamp, timestamptz, interval: date_send ... interval_send. int32 days or int64
 * microseconds since 2000-01-01; the ends of the range are infinity.
 *
 * What PostgreSQL leaves to the session, or ignores, is decided here: a timestamptz without an
 * offset is in the route's zone (PostgreSQL: the session's TimeZone); a timestamp, a date and a
 * time ignore an offset, as PostgreSQL does; a date takes the day of a text with a time, as
 * PostgreSQL does. The precision of timestamp(3) and the like is applied by PostgreSQL when it
 * reads the field.
 *
 * A number is a time only if its unit is known, from its source or by declaration. It counts from
 * 1970-01-01 UTC, for `time` from midnight. A string that holds a number is treated like the number
 * if a unit is declared. Digits below a microsecond are rounded, half away from zero. Pure; any
 * thread.
 */
#include "row/encode/encode_types.h"
#include "row/text/decimal.h"
#include "row/text/interval.h"
#include "row/text/moment.h"

/* timestamp.h: 4714-11-24 BC up to, not including, 294277-01-01. */
static const int64_t TIMESTAMP_MIN = INT64_C(-211813488000000000);
static const int64_t TIMESTAMP_END = INT64_C(9223371331200000000);

/* date.h: 4714-11-24 BC up to, not including, 5874898-01-01. */
static const int64_t DATE_MIN = -2451545;
static const int64_t DATE_END = INT64_C(2147483494) - 2451545;

static const int64_t USEC_PER_UNIX = MOMENT_UNIX_DAYS * USEC_PER_DAY;

/* What a number counts: its source knows best. */
static inline enum time_unit unit_of(const struct encoding *v)
{
    bool own = v->cell->kind == CELL_INT && v->cell->unit != UNIT_NONE;

    return own ? v->cell->unit : v->unit;
}

/* Powers of ten from the unit to microseconds. */
static int unit_shift(enum time_unit unit)
{
    switch (unit) {
    case UNIT_S:
        return 6;
    case UNIT_MS:
        return 3;
    case UNIT_NS:
        return -3;
    case UNIT_US:
    case UNIT_DAY: /* no power of ten, see day_count */
    case UNIT_NONE:
        break;
    }
    return 0;
}

/* A number with a unit, in microseconds. Counted from 1970, the end of timestamp exceeds int64. */
struct count {
    uint64_t usec;
    bool negative;
};

/* Whole numbers that stay below 20 digits; false: look closer. */
static inline bool whole_count(const struct cell *c, enum time_unit unit, struct count *out)
{
    static const uint64_t factors[] = {
        [UNIT_S] = 1000000, [UNIT_MS] = 1000,          [UNIT_US] = 1,
        [UNIT_NS] = 0,      [UNIT_DAY] = USEC_PER_DAY,
    };

    if (!cell_is_whole(c) || unit == UNIT_NS) {
        return false;
    }
    out->negative = c->number < 0;
    uint64_t n = out->negative ? 0 - (uint64_t) c->number : (uint64_t) c->number;
    return CHECKED_MUL(n, factors[unit], &out->usec) && out->usec < UINT64_C(10000000000000000000);
}

/* A number of days that whole_count did not take: 1e4, or one that is too large. */
static bool day_count(const struct encoding *v, const struct decimal *d, struct count *out)
{
    uint64_t days;

    out->negative = d->negative;
    switch (decimal_to_u64(d, 0, &days)) {
    case DECIMAL_OK:
        return CHECKED_MUL(days, (uint64_t) USEC_PER_DAY, &out->usec) || encoding_out_of_range(v);
    case DECIMAL_ROUNDED:
        encoding_misfit(v);
        return false;
    case DECIMAL_RANGE:
        encoding_out_of_range(v);
        return false;
    }
    __builtin_unreachable();
}

/* The value as a number with a unit. *out_is_number = false: it is not a number. */
static bool value_count(const struct encoding *v, bool *out_is_number, struct count *out)
{
    const struct cell *c = v->cell;
    enum time_unit unit = unit_of(v);
    struct digits digits;
    struct str text;
    struct decimal d;
    bool number = c->kind == CELL_NUMBER || c->kind == CELL_INT;

    *out_is_number = false;
    if (number && unit == UNIT_NONE) {
        cell_fault(c, v->err, "is a number, and no unit is declared for this %s",
                   column_type_name(v->column->type));
        return error_hint(v->err,
                          "Say what it counts: columns: {%s: {from: PATH, unit: ms}}, or "
                          "time_unit for the route; for change events time_precision, as "
                          "the source's time.precision.mode.",
                          v->column->name);
    }
    if (unit != UNIT_NONE && whole_count(c, unit, out)) {
        *out_is_number = true;
        return true;
    }
    bool no_number = c->kind == CELL_BOOL || (c->kind == CELL_STRING && v->rules->strict_numbers);
    if (unit == UNIT_NONE || no_number || !encoding_text_of(v, &digits, &text) ||
        !decimal_scan(text, &d)) {
        return true;
    }
    *out_is_number = true;
    if (unit == UNIT_DAY) {
        return day_count(v, &d, out);
    }
    out->negative = d.negative;
    return decimal_to_u64(&d, unit_shift(unit), &out->usec) != DECIMAL_RANGE ||
           encoding_out_of_range(v);
}

/* From a count since 1970 to one since 2000; false if the result exceeds 64 bits. */
static bool since_2000(const struct count *c, int64_t *out)
{
    if (c->negative) {
        return !__builtin_sub_overflow(-USEC_PER_UNIX, c->usec, out);
    }
    return !__builtin_sub_overflow(c->usec, USEC_PER_UNIX, out);
}

static bool moment_fault(const struct encoding *v, enum moment_result result)
{
    if (result != MOMENT_ZONE) {
        return result == MOMENT_FIELD ? encoding_out_of_range(v) : encoding_misfit(v);
    }
    cell_fault(v->cell, v->err, "names a time zone and has no offset");
    error_hint(v->err,
               "The offset comes before the name: 2026-01-31T08:00:00+01:00[Europe/Berlin]. "
               "PostgreSQL can compute it: AT TIME ZONE in a column's sql:.");
    return error_sqlstate(v->err, "22007");
}

static bool value_moment(const struct encoding *v, struct moment *out)
{
    enum cell_kind kind = v->cell->kind;

    if (kind != CELL_STRING && kind != CELL_BYTES) {
        return encoding_misfit(v);
    }
    enum moment_result result = moment_parse(v->cell->text, &v->encoder->scratch, out);
    return result == MOMENT_OK || moment_fault(v, result);
}

static void put_int8(const struct encoding *v, int64_t n)
{
    uint8_t *to = buf_reserve(v->out, 12);

    buf_put_u32(to, 8);
    buf_put_u64(to + 4, (uint64_t) n);
    v->out->n += 12;
}

static int64_t floor_days(int64_t usec)
{
    return usec / USEC_PER_DAY - (usec % USEC_PER_DAY < 0 ? 1 : 0);
}

static bool put_date(const struct encoding *v, int64_t days)
{
    buf_add_u32(v->out, 4);
    buf_add_u32(v->out, (uint32_t) (int32_t) days);
    return true;
}

bool encode_date(const struct encoding *v)
{
    bool is_number;
    struct count count;
    int64_t usec;
    struct moment m = {.kind = MOMENT_FINITE};

    if (!value_count(v, &is_number, &count)) {
        return false;
    }
    if (is_number) {
        if (!since_2000(&count, &usec)) {
            return encoding_out_of_range(v);
        }
        m.days = floor_days(usec);
    } else if (!value_moment(v, &m)) {
        return false;
    }
    if (m.kind != MOMENT_FINITE) {
        return put_date(v, m.kind == MOMENT_INFINITY ? INT32_MAX : INT32_MIN);
    }
    return m.days >= DATE_MIN && m.days < DATE_END ? put_date(v, m.days) : encoding_out_of_range(v);
}

bool encode_time(const struct encoding *v)
{
    bool is_number;
    struct count count;
    struct moment m = {.kind = MOMENT_FINITE};

    if (!value_count(v, &is_number, &count)) {
        return false;
    }
    if (is_number) {
        if (count.usec > USEC_PER_DAY || (count.negative && count.usec > 0)) {
            return encoding_out_of_range(v);
        }
        m.usec = (int64_t) count.usec;
    } else if (v->cell->kind != CELL_STRING && v->cell->kind != CELL_BYTES) {
        return encoding_misfit(v);
    } else {
        enum moment_result result = moment_parse_time(v->cell->text, &v->encoder->scratch, &m);
        if (result != MOMENT_OK) {
            return moment_fault(v, result);
        }
    }
    put_int8(v, m.usec);
    return true;
}

static bool put_timestamp(const struct encoding *v, int64_t usec)
{
    if (usec < TIMESTAMP_MIN || usec >= TIMESTAMP_END) {
        return encoding_out_of_range(v);
    }
    put_int8(v, usec);
    return true;
}

static bool timestamp(const struct encoding *v, bool zoned)
{
    bool is_number;
    struct count count;
    int64_t usec;
    struct moment m;

    if (!value_count(v, &is_number, &count)) {
        return false;
    }
    if (is_number) {
        return since_2000(&count, &usec) ? put_timestamp(v, usec) : encoding_out_of_range(v);
    }
    if (!value_moment(v, &m)) {
        return false;
    }
    if (m.kind != MOMENT_FINITE) {
        put_int8(v, m.kind == MOMENT_INFINITY ? INT64_MAX : INT64_MIN);
        return true;
    }
    if (!CHECKED_MUL(m.days, USEC_PER_DAY, &usec) || !CHECKED_ADD(usec, m.usec, &usec)) {
        return encoding_out_of_range(v);
    }
    int64_t offset_sec = m.zoned ? m.offset_sec : v->rules->zone_sec;
    if (zoned && __builtin_sub_overflow(usec, offset_sec * 1000000, &usec)) {
        return encoding_out_of_range(v);
    }
    return put_timestamp(v, usec);
}

bool encode_timestamp(const struct encoding *v)
{
    return timestamp(v, false);
}

bool encode_timestamptz(const struct encoding *v)
{
    return timestamp(v, true);
}

/* PostgreSQL applies the precision of interval(3) and the like as well. */
bool encode_interval(const struct encoding *v)
{
    bool is_number;
    struct count count;
    struct interval i = {0};

    if (!value_count(v, &is_number, &count)) {
        return false;
    }
    if (is_number) {
        if (count.usec > INT64_MAX) {
            return encoding_out_of_range(v);
        }
        i.usec = count.negative ? -(int64_t) count.usec : (int64_t) count.usec;
    } else if (v->cell->kind != CELL_STRING && v->cell->kind != CELL_BYTES) {
        return encoding_misfit(v);
    } else {
        enum moment_result result = interval_parse(v->cell->text, &v->encoder->scratch, &i);
        if (result != MOMENT_OK) {
            return moment_fault(v, result);
        }
    }
    buf_add_u32(v->out, 16);
    buf_add_u64(v->out, (uint64_t) i.usec);
    buf_add_u32(v->out, (uint32_t) i.days);
    buf_add_u32(v->out, (uint32_t) i.months);
    return true;
}
