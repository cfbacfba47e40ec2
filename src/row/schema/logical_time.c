/* See logical_time.h. Worker thread, because of the scratch memory. */
#include "row/schema/logical_time.h"

#include "row/text/ascii.h"
#include "row/text/moment.h"
#include "row/text/moment_print.h"

#include <inttypes.h>
#include <string.h>

static void set_string(struct cell *out, struct str text)
{
    *out = (struct cell){.kind = CELL_STRING, .text = text};
}

struct infinity {
    enum time_unit unit; /* UNIT_NONE: of any */
    int64_t up;
    int64_t down;
};

struct infinity_text {
    const char *up;
    const char *down;
};

/*
 * What Debezium writes for infinity and -infinity: the numbers of PostgreSQL's JDBC driver, in
 * milliseconds, and these numbers in other units and as ISO text. PostgreSQL could not store any of
 * them as a finite time, except two in the year 294247.
 */
static const struct infinity infinite_instants[] = {
    {UNIT_MS, INT64_C(9223372036825200), INT64_C(-9223372036832400)},
    {UNIT_US, INT64_C(9223372036825200000), INT64_C(-9223372036832400000)},
    {UNIT_NS, INT64_MAX, INT64_MIN},
};
static const struct infinity_text infinite_instant_texts[] = {
    {"+294247-01-10T04:00:25.2Z", "-290308-12-21T19:59:27.6Z"},
};

/* From a snapshot, and from the log. */
static const struct infinity infinite_days[] = {
    {UNIT_NONE, -622191234, -625821272},
    {UNIT_NONE, -2147472692, -2147472691},
};
static const struct infinity_text infinite_day_texts[] = {
    {"+292278994-08-16Z", "+292269055-12-02Z"},
    {"-5877611-06-21Z", "-5877611-06-22Z"},
};

/* A whole number of 64 bits; false: it is none. */
static bool whole_of(const struct cell *c, int64_t *out)
{
    if (cell_is_whole(c)) {
        *out = c->number;
        return true;
    }
    return c->kind == CELL_NUMBER && !c->is_short && str_to_i64(c->text, out);
}

static void set_infinity(struct cell *out, bool down)
{
    set_string(out, down ? STR_LIT("-infinity") : STR_LIT("infinity"));
}

bool logical_time_infinity(bool of_date, enum time_unit unit, int64_t number, bool *out_down)
{
    const struct infinity *of = of_date ? infinite_days : infinite_instants;
    size_t n = of_date ? ARRAY_LEN(infinite_days) : ARRAY_LEN(infinite_instants);

    for (size_t i = 0; i < n; i++) {
        bool same_unit = of[i].unit == UNIT_NONE || of[i].unit == unit;
        if (same_unit && (number == of[i].up || number == of[i].down)) {
            *out_down = number == of[i].down;
            return true;
        }
    }
    return false;
}

/* Is it one of these numbers? Then *out is the word for it. */
static bool is_infinite(bool of_date, enum time_unit unit, const struct cell *in, struct cell *out)
{
    int64_t number;
    bool down;

    if (!whole_of(in, &number) || !logical_time_infinity(of_date, unit, number, &down)) {
        return false;
    }
    set_infinity(out, down);
    return true;
}

static bool is_infinite_text(const struct infinity_text *of, size_t n, const struct cell *in,
                             struct cell *out)
{
    for (size_t i = 0; in->kind == CELL_STRING && i < n; i++) {
        bool down = str_eq_z(in->text, of[i].down);
        if (down || str_eq_z(in->text, of[i].up)) {
            set_infinity(out, down);
            return true;
        }
    }
    return false;
}

/* The last day of the year 9999, since 1970. */
#define LAST_DAY INT64_C(2932896)

/* A whole number that is a time after the year 9999. */
static bool is_late(const struct cell *in, enum time_unit unit)
{
    static const int64_t per_day[] = {
        [UNIT_S] = 86400,         [UNIT_MS] = 86400 * 1000,
        [UNIT_US] = USEC_PER_DAY, [UNIT_NS] = USEC_PER_DAY * 1000,
        [UNIT_DAY] = 1,
    };
    int64_t number;

    return unit != UNIT_NONE && whole_of(in, &number) && number / per_day[unit] > LAST_DAY;
}

static bool late_fault(const struct cell *in, struct error *err)
{
    cell_fault(in, err, "would be a time after the year 9999, so it counts another unit");
    error_sqlstate(err, "22008");
    return error_hint(err, "Say what it counts: time_precision, as the source's "
                           "time.precision.mode, or the unit of the column.");
}

bool logical_time_instant(const struct logical *l, const struct cell *in, struct cell *out,
                          struct error *err)
{
    if (is_infinite(false, l->unit, in, out) ||
        is_infinite_text(infinite_instant_texts, ARRAY_LEN(infinite_instant_texts), in, out)) {
        return true;
    }
    *out = *in;
    return !l->is_recent || !is_late(in, l->unit) || late_fault(in, err);
}

/* MySQL's YEAR goes from 1901 to 2155; as days these are of the year 1975. */
static bool is_year(const struct cell *in)
{
    int64_t number;

    return whole_of(in, &number) && number >= 1901 && number <= 2155;
}

static bool year_fault(const struct cell *in, struct error *err)
{
    cell_fault(in, err, "may be a year or a number of days");
    error_sqlstate(err, "22007");
    return error_hint(err, "A YEAR goes into smallint. If it is a date, say so: columns: {day: "
                           "{from: value.after.day, unit: d}}");
}

/* A number stays a number of days: encode.c passes that unit on to the encoder. */
bool logical_time_days(const struct logical *l, const struct cell *in, struct cell *out,
                       struct error *err)
{
    if (is_infinite(true, UNIT_NONE, in, out) ||
        is_infinite_text(infinite_day_texts, ARRAY_LEN(infinite_day_texts), in, out)) {
        return true;
    }
    *out = *in;
    if (l->is_recent && is_late(in, UNIT_DAY)) {
        return late_fault(in, err);
    }
    return !l->is_year || !is_year(in) || year_fault(in, err);
}

/* MySQL's TIME is a span, which `isostring` writes as a time of day in UTC. */
void logical_time_span(const struct cell *in, struct cell *out)
{
    size_t n = in->text.n;

    *out = *in;
    if (in->kind == CELL_STRING && n > 1 && in->text.p[n - 1] == 'Z' &&
        ascii_is_digit(in->text.p[n - 2])) {
        out->text.n--;
    }
}

/* Avro's duration. */
bool logical_time_duration(const struct cell *in, struct logical_scratch *s, struct cell *out,
                           struct error *err)
{
    enum { PARTS = 3, PART_BYTES = 4 };
    uint32_t parts[PARTS];

    *out = *in;
    if (in->kind != CELL_BYTES) {
        return true;
    }
    if (in->text.n != sizeof parts) {
        return cell_fault(in, err, "is not a duration of 12 bytes");
    }
    for (size_t i = 0; i < PARTS; i++) {
        memcpy(&parts[i], in->text.p + PART_BYTES * i, sizeof parts[i]);
    }
    buf_clear(&s->text);
    buf_printf(&s->text, "P%" PRIu32 "M%" PRIu32 "DT%" PRIu32 ".%03" PRIu32 "S", parts[0], parts[1],
               parts[2] / 1000, parts[2] % 1000);
    set_string(out, buf_str(&s->text));
    return true;
}

static void print_iso(enum iso_form form, int64_t n, enum time_unit unit, struct buf *out)
{
    static const unsigned digits[] = {
        [UNIT_NONE] = 0, [UNIT_S] = 0, [UNIT_MS] = 3, [UNIT_US] = 6, [UNIT_NS] = 9, [UNIT_DAY] = 0};

    switch (form) {
    case ISO_DATE:
        moment_print_date(n, out);
        break;
    case ISO_TIME:
        moment_print_time(n, digits[unit], out);
        break;
    case ISO_TIMESTAMP:
        moment_print_timestamp(n, digits[unit], out);
        break;
    case ISO_INSTANT:
        moment_print_instant(n, digits[unit], out);
        break;
    case ISO_SPAN:
        moment_print_span(n, digits[unit], out);
        break;
    }
}

/* A count for a column of texts. */
void logical_time_iso(const struct logical *l, const struct cell *in, struct logical_scratch *s,
                      struct cell *out)
{
    enum time_unit unit = in->kind == CELL_INT && in->unit != UNIT_NONE ? in->unit : l->unit;
    bool is_instant = l->form == ISO_TIMESTAMP || l->form == ISO_INSTANT;
    int64_t number;

    *out = *in;
    if (!whole_of(in, &number) || (l->form == ISO_DATE && is_infinite(true, UNIT_NONE, in, out)) ||
        (is_instant && is_infinite(false, unit, in, out))) {
        return;
    }
    buf_clear(&s->text);
    print_iso(l->form, number, unit, &s->text);
    set_string(out, buf_str(&s->text));
}
