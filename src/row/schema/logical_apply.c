/*
 * Turns a value into what its logical type says it is. A value of another form stays as it is, and
 * the encoder of the column decides: Kafka Connect can be configured to write decimals as JSON
 * numbers, and Debezium to write times as text. Worker thread, because of the scratch memory.
 */
#include "row/json/document.h"
#include "row/json/elements.h"
#include "row/json/escape.h"
#include "row/schema/logical_time.h"
#include "row/text/ascii.h"
#include "row/text/base64.h"
#include "row/text/decimal.h"
#include "row/text/hex.h"
#include "row/text/unscaled.h"

#include <string.h>

enum { SCALE_MAX = 16383, SCALE_MIN = -131072 }; /* the range of numeric */

enum { WKB_HEAD = 5 }; /* of a geometry: byte order, then its type */

#define WKB_HAS_SRID UINT32_C(0x20000000)

void logical_scratch_done(struct logical_scratch *s)
{
    buf_done(&s->text);
    buf_done(&s->bytes);
    buf_done(&s->plain);
    s->document = document_free(s->document);
}

static void set_string(struct cell *out, struct str text)
{
    *out = (struct cell){.kind = CELL_STRING, .text = text};
}

/* Base64 in JSON, or bytes in a format that has them. */
static bool is_bytes(const struct cell *c)
{
    return c->kind == CELL_STRING || c->kind == CELL_BYTES;
}

/* The bytes of a base64 text, in s->bytes; of a format that has bytes: these. */
static bool read_base64(const struct cell *in, struct str text, struct logical_scratch *s,
                        struct error *err)
{
    size_t n = 0;

    buf_clear(&s->bytes);
    if (in->kind == CELL_BYTES) {
        buf_add_str(&s->bytes, text);
        return true;
    }
    if (!base64_decode(text, buf_reserve(&s->bytes, text.n + 1), &n)) {
        return cell_fault(in, err, "is not base64");
    }
    s->bytes.n = n;
    return true;
}

/* ---- numbers ---- */

/* The base64 of an unscaled number becomes a cell like that of a JSON number. */
static bool put_decimal(const struct cell *in, struct str base64, int64_t scale,
                        struct logical_scratch *s, struct cell *out, struct error *err)
{
    if (!read_base64(in, base64, s, err)) {
        return false;
    }
    if (scale < SCALE_MIN || scale > SCALE_MAX || s->bytes.n > UNSCALED_BYTES_MAX) {
        return cell_fault(in, err, "is out of range for numeric");
    }
    buf_clear(&s->text);
    unscaled_print(s->bytes.p, s->bytes.n, (int32_t) scale, &s->text);
    *out = (struct cell){.kind = CELL_NUMBER, .text = buf_str(&s->text)};
    return true;
}

/* Kafka Connect's base64 is padded: a decimal without a point may be base64 as well. */
static bool may_be_base64(struct str text)
{
    bool may = text.n > 0 && text.n % 4 == 0;

    for (size_t i = 0; may && i < text.n; i++) {
        char c = text.p[i];
        may = ascii_is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '+' ||
              c == '/' || (c == '=' && i + 2 >= text.n);
    }
    return may;
}

static bool base64_fault(const struct cell *in, const char *what, struct error *err)
{
    cell_fault(in, err, "%s", what);
    return error_hint(err,
                      "The source seems to send decimals as base64 (decimal.handling.mode=precise "
                      "without schemas), so earlier values of this column may be wrong. Say which: "
                      "decimal: base64 or string; or let the source write numbers "
                      "(value.converter.decimal.format=NUMERIC).");
}

struct special_text {
    const char *debezium;
    const char *name;
};

/* What is not finite, in Debezium's words for decimals as strings. */
static bool take_special(struct cell *c)
{
    static const struct special_text specials[] = {
        {"NAN", "NaN"},
        {"POSITIVE_INFINITY", "Infinity"},
        {"NEGATIVE_INFINITY", "-Infinity"},
    };

    for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
        if (str_eq_z(c->text, specials[i].debezium)) {
            set_string(c, str_of(specials[i].name));
            return true;
        }
    }
    return false;
}

/* A string for a number, where no schema says what it is. */
static bool apply_decimal_text(const struct logical *l, const struct cell *in,
                               struct logical_scratch *s, struct cell *out, struct error *err)
{
    struct decimal d;

    if (l->texts == DECIMAL_NUMBER) {
        return cell_fault(in, err, "is a string, and the route says decimal: number");
    }
    if (l->texts == DECIMAL_BASE64 && l->scale == SCALE_UNKNOWN) {
        cell_fault(in, err, "is base64, and the column does not have the scale that it needs");
        return error_hint(err, "Give the column the type of the source: numeric(p,s). Bits go into "
                               "bit(n).");
    }
    if (l->texts == DECIMAL_BASE64) {
        return put_decimal(in, in->text, l->scale, s, out, err);
    }
    if (take_special(out)) {
        return true;
    }
    bool is_decimal = decimal_scan(in->text, &d);
    if (l->texts == DECIMAL_AUTO && is_decimal && may_be_base64(in->text)) {
        return base64_fault(in, "may be a decimal or base64", err);
    }
    bool is_number = is_decimal || (l->has_infinity && str_eq_z(in->text, "Infinity"));
    return is_number || !may_be_base64(in->text) || base64_fault(in, "is not a decimal", err);
}

static bool apply_scaled(const struct logical *l, const struct cell *in, struct logical_scratch *s,
                         struct cell *out, struct error *err)
{
    struct cell scale;
    struct cell value;

    *out = *in;
    if (in->kind == CELL_STRING && l->texts != DECIMAL_TOLD) {
        return apply_decimal_text(l, in, s, out, err);
    }
    if (!cell_is_object(in)) {
        return true;
    }
    if (!elements_find(in->text, "scale", &s->plain, &scale) || !cell_is_whole(&scale) ||
        !elements_find(in->text, "value", &s->plain, &value) || value.kind != CELL_STRING) {
        return cell_fault(in, err, "is not a decimal with its scale");
    }
    return put_decimal(in, value.text, scale.number, s, out, err);
}

/* ---- bits ---- */

static bool bit_at(const struct buf *bytes, size_t i)
{
    return i / 8 < bytes->n && (bytes->p[i / 8] >> (i % 8) & 1) != 0;
}

/* How many there are up to the highest that is set. */
static size_t bit_count(const struct buf *bytes)
{
    size_t n = bytes->n * 8;

    while (n > 0 && !bit_at(bytes, n - 1)) {
        n--;
    }
    return n;
}

static void put_digits(const struct buf *bits, size_t n, struct logical_scratch *s,
                       struct cell *out)
{
    buf_clear(&s->text);
    while (n-- > 0) {
        buf_add_u8(&s->text, bit_at(bits, n) ? '1' : '0');
    }
    set_string(out, buf_str(&s->text));
}

/* The highest byte first, n of them. */
static void put_bytes(const struct buf *bits, size_t n, struct logical_scratch *s)
{
    buf_clear(&s->plain);
    while (n-- > 0) {
        buf_add_u8(&s->plain, n < bits->n ? bits->p[n] : 0);
    }
}

/* Zeros at the upper end need not be sent; nobody has more of them, and they take memory. */
#define BITS_UNSENT_MAX 65536

/* n bits, the lowest one first in s->bytes, as the column wants them. */
static bool put_bits(const struct logical *l, const struct cell *in, struct logical_scratch *s,
                     struct cell *out, struct error *err)
{
    size_t least = in->kind == CELL_BOOL ? 1 : 0;
    size_t n = bit_count(&s->bytes);
    size_t length = l->length > 0 ? (size_t) l->length : MAX(n, least);

    if (length > s->bytes.n * 8 + BITS_UNSENT_MAX) {
        cell_fault(in, err, "has %zu bits, says its schema, which is too many", length);
        return error_sqlstate(err, "22003");
    }
    if ((l->most > 0 && n > (size_t) l->most) || (l->length > 0 && n > length)) {
        cell_fault(in, err, "has more than %zu bits", l->most > 0 ? (size_t) l->most : length);
        return error_sqlstate(err, "22003");
    }
    switch (l->bits) {
    case BITS_DIGITS:
        put_digits(&s->bytes, length, s, out);
        return true;
    case BITS_BYTES:
        put_bytes(&s->bytes, (length + 7) / 8, s);
        *out = (struct cell){.kind = CELL_BYTES, .text = buf_str(&s->plain)};
        return true;
    case BITS_NUMBER:
        break;
    }
    if (s->bytes.n >= UNSCALED_BYTES_MAX) {
        return cell_fault(in, err, "has too many bits for a number");
    }
    put_bytes(&s->bytes, s->bytes.n + 1, s); /* a leading zero: it has no sign */
    buf_clear(&s->text);
    unscaled_print(s->plain.p, s->plain.n, 0, &s->text);
    *out = (struct cell){.kind = CELL_NUMBER, .text = buf_str(&s->text)};
    return true;
}

static bool apply_bits(const struct logical *l, const struct cell *in, struct logical_scratch *s,
                       struct cell *out, struct error *err)
{
    *out = *in;
    if (in->kind == CELL_BOOL) {
        buf_clear(&s->bytes);
        buf_add_u8(&s->bytes, in->truth ? 1 : 0);
        return put_bits(l, in, s, out, err);
    }
    return !is_bytes(in) || (read_base64(in, in->text, s, err) && put_bits(l, in, s, out, err));
}

/* ---- bytes ---- */

/* Debezium's binary.handling.mode may be hex, and four digits are three bytes of base64 too. */
static bool apply_binary(const struct cell *in, struct cell *out, struct error *err)
{
    bool digits = in->kind == CELL_STRING && in->text.n > 0 && in->text.n % 2 == 0;

    *out = *in;
    for (size_t i = 0; digits && i < in->text.n; i++) {
        digits = ascii_hex(in->text.p[i]) >= 0;
    }
    if (!digits) {
        return true;
    }
    cell_fault(in, err, "may be hexadecimal digits or base64");
    return error_hint(err, "Say which, as the source's binary.handling.mode does: bytes: hex, or "
                           "bytes: base64");
}

/* ---- documents and texts ---- */

/* The string as a document has it; one of another format has not been in a document. */
static struct str raw_of(const struct cell *string, struct buf *room)
{
    if (string->raw.p != NULL) {
        return string->raw;
    }
    buf_clear(room);
    escape_quote(room, string->text);
    return buf_str(room);
}

/* The encoders of json and jsonb look whether it is one; if not, it is the string in `raw`. */
static bool apply_json(const struct cell *in, struct logical_scratch *s, struct cell *out)
{
    *out = *in;
    if (in->kind == CELL_STRING) {
        struct str raw = raw_of(in, &s->text);
        *out = (struct cell){.kind = CELL_BYTES, .text = in->text, .raw = raw};
    }
    return true;
}

/* The array is in s->text. */
static void set_array(struct logical_scratch *s, struct cell *out)
{
    size_t n = s->text.n;

    buf_fill(&s->text, 0, FIELD_PADDING);
    *out = (struct cell){.kind = CELL_JSON, .text = {.p = (const char *) s->text.p, .n = n}};
}

/* A string that is a JSON array; such a column may hold documents too. */
static bool holds_array(struct str text, struct logical_scratch *s)
{
    struct error ignored;

    if (!str_starts(text, "[")) {
        return false;
    }
    if (s->document == NULL) {
        s->document = document_new();
    }
    return document_read(s->document, text, NULL, NULL, &ignored);
}

/* Labels with commas between them; none has one itself. Their escapes stay as they are. */
static bool apply_set(const struct cell *in, struct logical_scratch *s, struct cell *out)
{
    *out = *in;
    if (in->kind != CELL_STRING) {
        return true;
    }
    struct str raw = raw_of(in, &s->plain);
    buf_clear(&s->text);
    if (holds_array(in->text, s)) {
        buf_add_str(&s->text, in->text);
        set_array(s, out);
        return true;
    }
    buf_add_z(&s->text, "[");
    for (size_t i = 0; in->text.n > 0 && i < raw.n; i++) {
        char c = raw.p[i];
        if (c == ',') {
            buf_add_z(&s->text, "\",\"");
        } else {
            buf_add_u8(&s->text, (uint8_t) c);
        }
    }
    buf_add_z(&s->text, "]");
    set_array(s, out);
    return true;
}

static bool apply_object(const struct cell *in, struct logical_scratch *s, struct cell *out,
                         struct error *err)
{
    struct str text = str_trim(in->text);

    *out = *in;
    if (in->kind != CELL_STRING || text.n == 0 || *text.p != '{') {
        return true;
    }
    if (s->document == NULL) {
        s->document = document_new();
    }
    *out = (struct cell){.kind = CELL_JSON, .text = text};
    return document_read(s->document, text, NULL, NULL, err);
}

static bool apply_text(const struct cell *in, struct logical_scratch *s, struct cell *out,
                       struct error *err)
{
    *out = *in;
    if (in->kind != CELL_STRING) {
        return true;
    }
    if (!read_base64(in, in->text, s, err)) {
        return false;
    }
    *out = (struct cell){.kind = CELL_BYTES, .text = buf_str(&s->bytes)};
    return true;
}

static bool apply_uuid(const struct cell *in, struct logical_scratch *s, struct cell *out,
                       struct error *err)
{
    enum { BYTES = 16 };
    static const uint8_t groups[] = {4, 2, 2, 2, 6};
    const char *at = in->text.p;

    *out = *in;
    if (in->kind != CELL_BYTES) {
        return true;
    }
    if (in->text.n != BYTES) {
        return cell_fault(in, err, "is not a UUID of 16 bytes");
    }
    buf_clear(&s->text);
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        buf_add_z(&s->text, i == 0 ? "" : "-");
        hex_add(&s->text, at, groups[i]);
        at += groups[i];
    }
    set_string(out, buf_str(&s->text));
    return true;
}

/* ---- geometry ---- */

static bool apply_point(const struct cell *in, struct logical_scratch *s, struct cell *out,
                        struct error *err)
{
    struct cell x;
    struct cell y;

    *out = *in;
    if (!cell_is_object(in)) {
        return true;
    }
    if (!elements_find(in->text, "x", &s->plain, &x) || x.kind != CELL_NUMBER ||
        !elements_find(in->text, "y", &s->plain, &y) || y.kind != CELL_NUMBER) {
        return cell_fault(in, err, "has no x and y");
    }
    buf_clear(&s->text);
    buf_printf(&s->text, "(" STR_FMT "," STR_FMT ")", STR_ARG(x.text), STR_ARG(y.text));
    set_string(out, buf_str(&s->text));
    return true;
}

/* The type or the SRID, in the byte order that the geometry begins with. */
static uint32_t wkb_u32(const uint8_t *at, bool little)
{
    uint32_t n;

    memcpy(&n, at, sizeof n);
    return little ? n : __builtin_bswap32(n);
}

static void put_wkb_u32(struct buf *out, uint32_t n, bool little)
{
    n = little ? n : __builtin_bswap32(n);
    hex_add(out, &n, sizeof n);
}

/* PostGIS's EWKB: the SRID follows the type, and a flag in the type says so. */
static void put_ewkb(struct buf *out, const struct buf *wkb, int64_t srid)
{
    bool little = wkb->p[0] == 1;
    uint32_t type = wkb_u32(wkb->p + 1, little);
    bool add = srid != 0 && (type & WKB_HAS_SRID) == 0;

    hex_add(out, wkb->p, 1);
    put_wkb_u32(out, add ? type | WKB_HAS_SRID : type, little);
    if (add) {
        put_wkb_u32(out, (uint32_t) srid, little);
    }
    hex_add(out, wkb->p + WKB_HEAD, wkb->n - WKB_HEAD);
}

static bool apply_geometry(const struct cell *in, struct logical_scratch *s, struct cell *out,
                           struct error *err)
{
    struct cell srid = {.kind = CELL_NULL};
    struct cell wkb;

    *out = *in;
    if (!cell_is_object(in)) {
        return true;
    }
    bool has_srid = elements_find(in->text, "srid", &s->plain, &srid) && srid.kind != CELL_NULL;
    if (!elements_find(in->text, "wkb", &s->plain, &wkb) || wkb.kind != CELL_STRING) {
        return true;
    }
    if (!read_base64(in, wkb.text, s, err)) {
        return false;
    }
    int64_t number = has_srid ? srid.number : 0;
    bool fine = !has_srid || (cell_is_whole(&srid) && number >= 0 && number <= INT32_MAX);
    if (s->bytes.n < WKB_HEAD || !fine) {
        return cell_fault(in, err, "is not a geometry");
    }
    buf_clear(&s->text);
    put_ewkb(&s->text, &s->bytes, number);
    set_string(out, buf_str(&s->text));
    return true;
}

/* ---- all of them ---- */

bool logical_apply(const struct logical *l, const struct cell *in, struct logical_scratch *s,
                   struct cell *out, struct error *err)
{
    switch (l->kind) {
    case LOGICAL_DAYS:
        return logical_time_days(l, in, out, err);
    case LOGICAL_INSTANT:
        return logical_time_instant(l, in, out, err);
    case LOGICAL_SPAN:
        logical_time_span(in, out);
        return true;
    case LOGICAL_YEAR:
        cell_fault(in, err, "is a year, which is no date and no time");
        return error_hint(err, "Give the column the type smallint, or compute it: columns: {day: "
                               "{sql: \"make_date((value->'after'->>'day')::int, 1, 1)\"}}");
    case LOGICAL_DECIMAL:
        *out = *in;
        return !is_bytes(in) || put_decimal(in, in->text, l->scale, s, out, err);
    case LOGICAL_SCALED:
        return apply_scaled(l, in, s, out, err);
    case LOGICAL_BITS:
        return apply_bits(l, in, s, out, err);
    case LOGICAL_BINARY:
        return apply_binary(in, out, err);
    case LOGICAL_JSON:
        return apply_json(in, s, out);
    case LOGICAL_OBJECT:
        return apply_object(in, s, out, err);
    case LOGICAL_TEXT:
        return apply_text(in, s, out, err);
    case LOGICAL_POINT:
        return apply_point(in, s, out, err);
    case LOGICAL_GEOMETRY:
        return apply_geometry(in, s, out, err);
    case LOGICAL_SET:
        return apply_set(in, s, out);
    case LOGICAL_UUID:
        return apply_uuid(in, s, out, err);
    case LOGICAL_DURATION:
        return logical_time_duration(in, s, out, err);
    case LOGICAL_ISO:
        logical_time_iso(l, in, s, out);
        return true;
    case LOGICAL_PLAIN:
    case LOGICAL_ARRAY:
        break;
    }
    __builtin_unreachable();
}
