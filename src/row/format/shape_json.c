/* See shape_json.h. */
#include "row/format/shape_json.h"

#include "row/json/elements.h"
#include "row/json/escape.h"
#include "row/json/token.h"
#include "row/schema/logical_time.h"
#include "row/text/ascii.h"
#include "row/text/base64.h"
#include "row/text/hex.h"
#include "row/text/moment_print.h"
#include "row/text/unscaled.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { SCALE_MAX = 16383, SCALE_MIN = -131072 }; /* the range of numeric */

void shape_json_bool(struct buf *out, bool truth)
{
    buf_add_z(out, truth ? "true" : "false");
}

/* ---- whole numbers ---- */

void shape_json_uint(struct buf *out, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char) ('0' + n % 10);
        n /= 10;
    } while (n > 0);
    buf_add(out, digits + at, sizeof digits - at);
}

static void put_int(struct buf *out, int64_t n)
{
    if (n < 0) {
        buf_add_u8(out, '-');
    }
    shape_json_uint(out, n < 0 ? 0 - (uint64_t) n : (uint64_t) n);
}

/* Digits after the point of a second, of a count of that unit. */
static unsigned digits_of(enum time_unit unit)
{
    return unit == UNIT_MS ? 3 : unit == UNIT_US ? 6 : unit == UNIT_NS ? 9 : 0;
}

typedef void (*printer)(int64_t count, unsigned digits, struct buf *out);

static void print_date(int64_t days, unsigned digits, struct buf *out)
{
    (void) digits;
    moment_print_date(days, out);
}

/* How a count of that sense is written; NULL: as the number that it is. */
static printer printer_of(const struct shape *s)
{
    static const printer printers[SENSE_COUNT] = {
        [SENSE_DATE] = print_date,
        [SENSE_TIME] = moment_print_time,
        [SENSE_TIMESTAMP] = moment_print_timestamp,
        [SENSE_INSTANT] = moment_print_instant,
        [SENSE_DURATION] = moment_print_span,
    };

    return s->unit != UNIT_NONE ? printers[s->sense] : NULL;
}

static bool is_infinite(const struct shape *s, int64_t n, bool *out_down)
{
    bool is_moment = s->sense == SENSE_DATE || s->sense == SENSE_TIMESTAMP ||
                     s->sense == SENSE_INSTANT;

    return is_moment && logical_time_infinity(s->sense == SENSE_DATE, s->unit, n, out_down);
}

void shape_json_int(struct buf *out, const struct shape *s, int64_t n)
{
    printer print = printer_of(s);
    bool down;

    if (print == NULL) {
        put_int(out, n);
        return;
    }
    buf_add_u8(out, '"');
    if (is_infinite(s, n, &down)) {
        buf_add_z(out, down ? "-infinity" : "infinity");
    } else {
        print(n, digits_of(s->unit), out);
    }
    buf_add_u8(out, '"');
}

/* ---- floats ---- */

static struct str quoted_special(double d)
{
    if (isnan(d)) {
        return STR_LIT("\"NaN\"");
    }
    return d > 0 ? STR_LIT("\"Infinity\"") : STR_LIT("\"-Infinity\"");
}

/* What document.c knows of a number: is it short? */
static void set_number(struct cell *c, struct str text)
{
    const char *end = text.p + text.n;
    const char *p = text.p;
    bool negative = *p == '-';
    uint64_t value = 0;
    ptrdiff_t digits = 0;
    ptrdiff_t scale = 0;
    bool point = false;

    c->kind = CELL_NUMBER;
    c->text = text;
    for (p += negative ? 1 : 0; p < end && *p != 'e'; p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        value = value * 10 + (uint64_t) (*p - '0');
        digits++;
        scale += point ? 1 : 0;
    }
    token_short_value(c, negative, value, digits, scale);
    c->is_short = c->is_short && p == end;
}

/*
 * Most floats in records are decimals of a few digits. Here n / 10^scale with the smallest scale is
 * the shortest text: n and 10^scale are exact, so their quotient is rounded once, as a reader does.
 */
enum { PLAIN_SCALE = 6 };
#define PLAIN_DOUBLE 9007199254740992.0 /* 2^53 */
#define PLAIN_FLOAT 16777216.0F         /* 2^24 */
#define PLAIN_NEAR 0x1p-51              /* more than d * 10^scale can be off */

static bool plain_double(double d, int64_t *out_n, unsigned *out_scale)
{
    static const double powers[PLAIN_SCALE + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

    for (unsigned scale = 0; scale <= PLAIN_SCALE; scale++) {
        double scaled = d * powers[scale];
        if (!(fabs(scaled) < PLAIN_DOUBLE)) {
            return false;
        }
        int64_t n = (int64_t) (scaled + (d < 0 ? -0.5 : 0.5));
        if (fabs(scaled - (double) n) > fabs(scaled) * PLAIN_NEAR) {
            continue; /* a division takes longer */
        }
        double back = (double) n / powers[scale];
        if (!(back < d) && !(back > d)) {
            *out_n = n;
            *out_scale = scale;
            return n != 0 || !signbit(d);
        }
    }
    return false;
}

static bool plain_float(float f, int64_t *out_n, unsigned *out_scale)
{
    static const float powers[PLAIN_SCALE + 1] = {1e0F, 1e1F, 1e2F, 1e3F, 1e4F, 1e5F, 1e6F};

    for (unsigned scale = 0; scale <= PLAIN_SCALE; scale++) {
        float scaled = f * powers[scale];
        if (!(fabsf(scaled) < PLAIN_FLOAT)) {
            return false;
        }
        int64_t n = (int64_t) (scaled + (f < 0 ? -0.5F : 0.5F));
        float back = (float) n / powers[scale];
        if (!(back < f) && !(back > f)) {
            *out_n = n;
            *out_scale = scale;
            return n != 0 || !signbit(f);
        }
    }
    return false;
}

/* n / 10^scale as text. Returns its length. */
static size_t print_plain(char *room, int64_t n, unsigned scale)
{
    char digits[24];
    char *at = digits + sizeof digits;
    uint64_t left = n < 0 ? 0 - (uint64_t) n : (uint64_t) n;

    for (unsigned i = 0; left > 0 || i <= scale; i++) {
        if (i == scale && scale > 0) {
            *--at = '.';
        }
        *--at = (char) ('0' + left % 10);
        left /= 10;
    }
    if (n < 0) {
        *--at = '-';
    }
    size_t length = (size_t) (digits + sizeof digits - at);
    memcpy(room, at, length);
    return length;
}

static void set_plain(struct cell *c, char *room, int64_t n, unsigned scale)
{
    c->kind = CELL_NUMBER;
    c->is_short = true;
    c->number = n;
    c->scale = (uint8_t) scale;
    c->text = (struct str){.p = room, .n = print_plain(room, n, scale)};
}

static void set_special(struct cell *c, double d)
{
    struct str raw = quoted_special(d);

    c->kind = CELL_STRING;
    c->text = (struct str){.p = raw.p + 1, .n = raw.n - 2};
    c->raw = raw;
}

void shape_cell_double(struct cell *c, char room[JSON_DOUBLE_MAX], double d)
{
    unsigned scale;
    int64_t n;

    if (!isfinite(d)) {
        set_special(c, d);
        return;
    }
    if (plain_double(d, &n, &scale)) {
        set_plain(c, room, n, scale);
        return;
    }
    set_number(c, (struct str){.p = room, .n = json_print_double(room, d)});
}

void shape_cell_float(struct cell *c, char room[JSON_DOUBLE_MAX], float f)
{
    unsigned scale;
    int64_t n;

    if (!isfinite(f)) {
        set_special(c, (double) f);
        return;
    }
    if (plain_float(f, &n, &scale)) {
        set_plain(c, room, n, scale);
        return;
    }
    set_number(c, (struct str){.p = room, .n = json_print_float(room, f)});
}

static void put_cell(struct buf *out, const struct cell *c)
{
    buf_add_str(out, c->kind == CELL_NUMBER ? c->text : c->raw);
}

void shape_json_double(struct buf *out, double d)
{
    char room[JSON_DOUBLE_MAX];
    struct cell c;

    shape_cell_double(&c, room, d);
    put_cell(out, &c);
}

void shape_json_float(struct buf *out, float f)
{
    char room[JSON_DOUBLE_MAX];
    struct cell c;

    shape_cell_float(&c, room, f);
    put_cell(out, &c);
}

/* ---- strings and bytes ---- */

void shape_json_string(struct buf *out, struct str text)
{
    escape_quote(out, text);
}

bool shape_json_decimal(struct buf *out, struct str bytes, int64_t scale, struct error *err)
{
    if (scale < SCALE_MIN || scale > SCALE_MAX || bytes.n > UNSCALED_BYTES_MAX) {
        error_set(err, ERROR_RECORD,
                  "a decimal of %zu bytes with the scale %" PRId64 " is out of range for numeric",
                  bytes.n, scale);
        return error_sqlstate(err, "22003");
    }
    unscaled_print((const uint8_t *) bytes.p, bytes.n, (int32_t) scale, out);
    return true;
}

static void put_uuid(struct buf *out, const char *bytes)
{
    static const size_t groups[] = {4, 2, 2, 2, 6};

    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        buf_add_u8(out, i > 0 ? '-' : '"');
        hex_add(out, bytes, groups[i]);
        bytes += groups[i];
    }
    buf_add_u8(out, '"');
}

/* Avro's: three little-endian numbers of 32 bits without a sign. */
static void put_duration(struct buf *out, const char *bytes)
{
    uint32_t parts[3]; /* months, days, milliseconds */

    memcpy(parts, bytes, sizeof parts);
    buf_printf(out, "\"P%" PRIu32 "M%" PRIu32 "DT%" PRIu32, parts[0], parts[1], parts[2] / 1000);
    if (parts[2] % 1000 != 0) {
        buf_printf(out, ".%03" PRIu32, parts[2] % 1000);
    }
    buf_add_z(out, "S\"");
}

bool shape_json_bytes(struct buf *out, const struct shape *s, struct str bytes, struct error *err)
{
    if (s->sense == SENSE_DECIMAL) {
        return shape_json_decimal(out, bytes, s->scale, err);
    }
    if (s->sense == SENSE_UUID && bytes.n == 16) {
        put_uuid(out, bytes.p);
        return true;
    }
    if (s->sense == SENSE_DURATION && bytes.n == 12) {
        put_duration(out, bytes.p);
        return true;
    }
    buf_add_u8(out, '"');
    base64_add(out, bytes, BASE64_STANDARD);
    buf_add_u8(out, '"');
    return true;
}

void shape_cell_json(struct cell *c, struct str json)
{
    c->raw = (struct str){0};
    if (*json.p == '{' || *json.p == '[') {
        c->kind = CELL_JSON;
        c->text = json;
    } else if (*json.p == '"') {
        c->kind = CELL_STRING;
        c->text = (struct str){.p = json.p + 1, .n = json.n - 2};
        c->raw = json;
    } else {
        set_number(c, json);
    }
}
