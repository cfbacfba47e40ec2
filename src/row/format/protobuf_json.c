/* See protobuf_json.h. */
#include "row/format/protobuf_json.h"

#include "row/format/shape_json.h"
#include "row/text/ascii.h"
#include "row/text/moment_print.h"

#include <inttypes.h>
#include <string.h>

enum { NANOS = 1000000000 };

static bool json_message(struct protobuf_json *j, const struct shape *s, struct str bytes);

static bool is_full(const struct protobuf_json *j)
{
    return j->out->n > j->out_max;
}

static bool too_much(const struct protobuf_json *j)
{
    error_set(j->wire->err, ERROR_RECORD, "its JSON would have more than %zu bytes", j->out_max);
    return error_sqlstate(j->wire->err, "54000");
}

/* ---- one value ---- */

static void put_text(struct protobuf_json *j, struct str text)
{
    j->is_odd |= text.n > 0 && memchr(text.p, 0, text.n) != NULL;
    shape_json_string(j->out, text);
}

static bool put_string(struct protobuf_json *j, const struct shape *s, struct str text)
{
    if (s->is_loose && !str_utf8(text, NULL)) {
        error_set(j->wire->err, ERROR_RECORD, "a string that is not valid UTF-8 cannot be JSON");
        return error_sqlstate(j->wire->err, "22021");
    }
    put_text(j, text);
    return true;
}

static void put_enum(struct protobuf_json *j, const struct shape *s, int32_t number)
{
    char room[16];

    shape_json_string(j->out, protobuf_symbol(s, number, room));
}

static void put_whole(struct protobuf_json *j, const struct shape *s, uint64_t n)
{
    if (s->kind == SHAPE_BOOL) {
        shape_json_bool(j->out, n != 0);
    } else if (s->kind == SHAPE_ENUM) {
        put_enum(j, s, (int32_t) n);
    } else if (s->kind == SHAPE_UINT64 || s->kind == SHAPE_UINT32) {
        shape_json_uint(j->out, n);
    } else {
        shape_json_int(j->out, s, (int64_t) n);
    }
}

/* The number that begins at *p. */
static void put_number(struct protobuf_json *j, const struct shape *s, const uint8_t **p,
                       const uint8_t *end)
{
    if (s->kind == SHAPE_DOUBLE) {
        shape_json_double(j->out, protobuf_double(p));
    } else if (s->kind == SHAPE_FLOAT) {
        shape_json_float(j->out, protobuf_float(p));
    } else {
        put_whole(j, s, protobuf_number(s, p, end));
    }
}

static struct str text_of(const struct protobuf_piece *piece)
{
    return (struct str){.p = (const char *) piece->p, .n = (size_t) (piece->end - piece->p)};
}

static bool put_value(struct protobuf_json *j, const struct shape *s,
                      const struct protobuf_piece *piece)
{
    const uint8_t *p = piece->p;

    if (s->kind == SHAPE_RECORD) {
        return json_message(j, s, text_of(piece));
    }
    if (s->kind == SHAPE_STRING) {
        return put_string(j, s, text_of(piece));
    }
    if (s->kind == SHAPE_BYTES) {
        return shape_json_bytes(j->out, s, text_of(piece), j->wire->err);
    }
    put_number(j, s, &p, piece->end);
    return true;
}

/* Of a field without presence that was not written. */
static void put_default(struct protobuf_json *j, const struct shape *s)
{
    if (s->kind == SHAPE_STRING || s->kind == SHAPE_BYTES) {
        buf_add_z(j->out, "\"\"");
    } else if (s->kind == SHAPE_DOUBLE || s->kind == SHAPE_FLOAT) {
        buf_add_u8(j->out, '0');
    } else if (s->kind == SHAPE_RECORD) {
        buf_add_z(j->out, "{}");
    } else {
        put_whole(j, s, 0);
    }
}

/* ---- several ---- */

static void comma(struct protobuf_json *j, size_t begin)
{
    if (j->out->n > begin) {
        buf_add_u8(j->out, ',');
    }
}

static bool put_items(struct protobuf_json *j, const struct shape *s, struct protobuf_seen seen)
{
    buf_add_u8(j->out, '[');
    size_t begin = j->out->n;
    for (uint32_t at = seen.first; at != PIECE_NONE;) {
        struct protobuf_piece piece = j->wire->pieces[at]; /* the stack may move */
        bool is_packed = piece.wire == WIRE_BYTES && s->kind != SHAPE_RECORD &&
                         s->kind != SHAPE_STRING && s->kind != SHAPE_BYTES;
        at = piece.next;
        if (is_full(j)) {
            return too_much(j);
        }
        if (!is_packed) {
            comma(j, begin);
            if (!put_value(j, s, &piece)) {
                return false;
            }
        }
        for (const uint8_t *p = piece.p; is_packed && p < piece.end;) {
            if (is_full(j)) { /* a byte may be the long name of an enum's value */
                return too_much(j);
            }
            comma(j, begin);
            put_number(j, s, &p, piece.end);
        }
    }
    buf_add_u8(j->out, ']');
    return true;
}

/* The key of a map as the name that it is in JSON. */
static bool put_key(struct protobuf_json *j, const struct shape *s, struct protobuf_seen seen)
{
    if (s->kind == SHAPE_STRING) {
        struct str text = STR_LIT("");
        if (seen.first != PIECE_NONE) {
            text = text_of(&j->wire->pieces[seen.first]);
        }
        return put_string(j, s, text);
    }
    buf_add_u8(j->out, '"');
    if (seen.first == PIECE_NONE) {
        put_default(j, s);
    } else {
        const uint8_t *p = j->wire->pieces[seen.first].p;
        put_number(j, s, &p, j->wire->pieces[seen.first].end);
    }
    buf_add_u8(j->out, '"');
    return true;
}

static bool put_map(struct protobuf_json *j, const struct shape *map, struct protobuf_seen seen)
{
    const struct shape *entry = map->entry;

    buf_add_u8(j->out, '{');
    size_t begin = j->out->n;
    for (uint32_t at = seen.first; at != PIECE_NONE;) {
        struct protobuf_piece piece = j->wire->pieces[at];
        size_t pieces = j->wire->piece_count;
        size_t base = protobuf_seen_push(j->wire, entry->field_count);
        at = piece.next;
        if (is_full(j)) {
            return too_much(j);
        }
        if (!protobuf_collect(j->wire, entry, piece.p, piece.end, NULL, base)) {
            return false;
        }
        comma(j, begin);
        struct protobuf_seen key = j->wire->seen[base];
        struct protobuf_seen value = j->wire->seen[base + 1];
        if (!put_key(j, map->key, key)) {
            return false;
        }
        buf_add_u8(j->out, ':');
        if (value.first != PIECE_NONE || map->element->kind != SHAPE_RECORD) {
            if (!protobuf_json_field(j, &entry->fields[1], value)) {
                return false;
            }
        } else if (!json_message(j, map->element, STR_LIT(""))) {
            return false; /* a message that is not written is an empty one here */
        }
        j->wire->seen_count = base;
        j->wire->piece_count = pieces;
    }
    buf_add_u8(j->out, '}');
    return true;
}

bool protobuf_json_field(struct protobuf_json *j, const struct shape_field *f,
                         struct protobuf_seen seen)
{
    const struct shape *s = f->shape;

    if (s->kind == SHAPE_MAP) {
        return put_map(j, s, seen);
    }
    if (f->is_repeated) {
        return put_items(j, s->element, seen);
    }
    if (seen.first == PIECE_NONE) {
        if (f->is_optional) {
            buf_add_z(j->out, "null");
        } else {
            put_default(j, s);
        }
        return true;
    }
    if (s->kind == SHAPE_RECORD) {
        struct str bytes;
        return protobuf_merged(j->wire, seen, &bytes) && json_message(j, s, bytes);
    }
    struct protobuf_piece piece = j->wire->pieces[seen.first];
    return put_value(j, s, &piece);
}

/* ---- well-known types ---- */

/* The i-th field of a message whose places begin at base, which is a whole number: 0 without it. */
static int64_t number_at(struct protobuf_json *j, const struct shape *s, size_t base, uint32_t i)
{
    struct protobuf_seen seen = j->wire->seen[base + i];

    if (seen.first == PIECE_NONE) {
        return 0;
    }
    const uint8_t *p = j->wire->pieces[seen.first].p;
    return (int64_t) protobuf_number(s->fields[i].shape, &p, j->wire->pieces[seen.first].end);
}

static struct str bytes_at(const struct protobuf_json *j, size_t base, uint32_t i)
{
    struct protobuf_seen seen = j->wire->seen[base + i];

    return seen.first == PIECE_NONE ? STR_LIT("") : text_of(&j->wire->pieces[seen.first]);
}

static bool no_time(const struct protobuf_json *j, const struct shape *s)
{
    struct excerpt x;

    error_set(j->wire->err, ERROR_RECORD, "a %s that is out of range", excerpt_text(&x, s->name));
    return error_sqlstate(j->wire->err, "22008"); /* datetime_field_overflow */
}

static void put_fraction(struct protobuf_json *j, int64_t nanos)
{
    if (nanos != 0) {
        buf_printf(j->out, ".%09" PRId64, nanos);
        while (j->out->p[j->out->n - 1] == '0') {
            j->out->n--;
        }
    }
}

/* From year 1 to year 9999, as Protobuf has it. */
static bool put_timestamp(struct protobuf_json *j, const struct shape *s, size_t base)
{
    int64_t seconds = number_at(j, s, base, 0);
    int64_t nanos = number_at(j, s, base, 1);

    if (nanos < 0 || nanos >= NANOS || seconds < INT64_C(-62135596800) ||
        seconds > INT64_C(253402300799)) {
        return no_time(j, s);
    }
    buf_add_u8(j->out, '"');
    moment_print_timestamp(seconds, 0, j->out);
    put_fraction(j, nanos);
    buf_add_z(j->out, "Z\"");
    return true;
}

static bool put_duration(struct protobuf_json *j, const struct shape *s, size_t base)
{
    int64_t seconds = number_at(j, s, base, 0);
    int64_t nanos = number_at(j, s, base, 1);
    bool is_negative = seconds < 0 || nanos < 0;

    if (nanos <= -NANOS || nanos >= NANOS || (seconds < 0 && nanos > 0) ||
        (seconds > 0 && nanos < 0) || seconds < INT64_C(-315576000000) ||
        seconds > INT64_C(315576000000)) {
        return no_time(j, s);
    }
    buf_printf(j->out, "\"PT%s%" PRId64, is_negative ? "-" : "", is_negative ? -seconds : seconds);
    put_fraction(j, is_negative ? -nanos : nanos);
    buf_add_z(j->out, "S\"");
    return true;
}

/* Parts of a date may be 0: then it is a text that no date column takes. */
static bool put_date(struct protobuf_json *j, const struct shape *s, size_t base)
{
    buf_printf(j->out, "\"%04" PRId64 "-%02" PRId64 "-%02" PRId64 "\"", number_at(j, s, base, 0),
               number_at(j, s, base, 1), number_at(j, s, base, 2));
    return true;
}

static bool put_time(struct protobuf_json *j, const struct shape *s, size_t base)
{
    int64_t nanos = number_at(j, s, base, 3);

    if (nanos < 0 || nanos >= NANOS) {
        return no_time(j, s);
    }
    buf_printf(j->out, "\"%02" PRId64 ":%02" PRId64 ":%02" PRId64, number_at(j, s, base, 0),
               number_at(j, s, base, 1), number_at(j, s, base, 2));
    put_fraction(j, nanos);
    buf_add_u8(j->out, '"');
    return true;
}

bool protobuf_is_number(struct str text)
{
    const char *p = text.p;
    const char *end = text.p + text.n;

    p += p < end && *p == '-' ? 1 : 0;
    const char *digits = p;
    while (p < end && ascii_is_digit(*p)) {
        p++;
    }
    if (p == digits || (*digits == '0' && p > digits + 1)) {
        return false;
    }
    if (p < end && *p == '.') {
        digits = ++p;
        while (p < end && ascii_is_digit(*p)) {
            p++;
        }
        if (p == digits) {
            return false;
        }
    }
    return p == end;
}

static bool put_decimal_text(struct protobuf_json *j, size_t base)
{
    struct str text = bytes_at(j, base, 0);

    if (protobuf_is_number(text)) {
        j->is_odd |= text.n > NUMBER_PLAIN_BYTES;
        buf_add_str(j->out, text);
    } else {
        put_text(j, text);
    }
    return true;
}

static bool put_unscaled(struct protobuf_json *j, const struct shape *s, size_t base)
{
    struct str unscaled = bytes_at(j, base, 0);
    int64_t scale = number_at(j, s, base, 2);

    j->is_odd |= unscaled.n > NUMBER_PLAIN_BYTES || scale > 1024 || scale < -1024;
    return shape_json_decimal(j->out, unscaled, scale, j->wire->err);
}

static bool put_any(struct protobuf_json *j, const struct shape *s, size_t base)
{
    buf_add_z(j->out, "{\"@type\":");
    put_text(j, bytes_at(j, base, 0));
    buf_add_z(j->out, ",\"value\":");
    if (!shape_json_bytes(j->out, s->fields[1].shape, bytes_at(j, base, 1), j->wire->err)) {
        return false;
    }
    buf_add_u8(j->out, '}');
    return true;
}

/* Struct and ListValue have one field, Value has one of several. */
static bool put_dynamic(struct protobuf_json *j, const struct shape *s, size_t base)
{
    if (s->field_count == 1) {
        return protobuf_json_field(j, &s->fields[0], j->wire->seen[base]);
    }
    for (uint32_t i = 1; i < s->field_count; i++) {
        if (j->wire->seen[base + i].first != PIECE_NONE) {
            return protobuf_json_field(j, &s->fields[i], j->wire->seen[base + i]);
        }
    }
    buf_add_z(j->out, "null");
    return true;
}

static bool put_record(struct protobuf_json *j, const struct shape *s, size_t base)
{
    buf_add_u8(j->out, '{');
    for (uint32_t i = 0; i < s->field_count; i++) {
        if (is_full(j)) {
            return too_much(j);
        }
        if (i > 0) {
            buf_add_u8(j->out, ',');
        }
        shape_json_string(j->out, s->fields[i].name);
        buf_add_u8(j->out, ':');
        if (!protobuf_json_field(j, &s->fields[i], j->wire->seen[base + i])) {
            return false;
        }
    }
    buf_add_u8(j->out, '}');
    return true;
}

bool protobuf_is_value(const struct shape *s)
{
    return s->kind == SHAPE_RECORD && s->sense != SENSE_NONE;
}

static bool put_parts(struct protobuf_json *j, const struct shape *s, size_t base)
{
    switch (s->sense) {
    case SENSE_INSTANT:
        return put_timestamp(j, s, base);
    case SENSE_DURATION:
        return put_duration(j, s, base);
    case SENSE_WRAPPER:
        return protobuf_json_field(j, &s->fields[0], j->wire->seen[base]);
    case SENSE_DYNAMIC:
        return put_dynamic(j, s, base);
    case SENSE_PACKED_ANY:
        return put_any(j, s, base);
    case SENSE_CALENDAR_DATE:
        return put_date(j, s, base);
    case SENSE_TIME_OF_DAY:
        return put_time(j, s, base);
    case SENSE_DECIMAL_RECORD:
        return put_decimal_text(j, base);
    case SENSE_CONFLUENT_DECIMAL:
        return put_unscaled(j, s, base);
    case SENSE_NONE:
    case SENSE_DATE: /* from here on, none of a message of Protobuf */
    case SENSE_TIME:
    case SENSE_TIMESTAMP:
    case SENSE_ZONED_TIME:
    case SENSE_YEAR:
    case SENSE_DECIMAL:
    case SENSE_SCALED:
    case SENSE_DECIMAL_TEXT:
    case SENSE_UUID:
    case SENSE_JSON:
    case SENSE_XML:
    case SENSE_LTREE:
    case SENSE_INET:
    case SENSE_BITS:
    case SENSE_ENUM:
    case SENSE_SET:
    case SENSE_POINT:
    case SENSE_GEOMETRY:
    case SENSE_GEOGRAPHY:
    case SENSE_COUNT:
        break;
    }
    return put_record(j, s, base);
}

static bool json_message(struct protobuf_json *j, const struct shape *s, struct str bytes)
{
    struct protobuf_wire *w = j->wire;
    const uint8_t *p = (const uint8_t *) bytes.p;
    size_t pieces = w->piece_count;

    if (w->depth == PROTOBUF_DEPTH_MAX) {
        return protobuf_too_deep(w);
    }
    size_t base = protobuf_seen_push(w, s->field_count);
    w->depth++;
    bool ok = protobuf_collect(w, s, p, p + bytes.n, NULL, base) && put_parts(j, s, base);
    w->depth--;
    w->seen_count = base;
    w->piece_count = pieces;
    return ok;
}

bool protobuf_json_message(struct protobuf_json *j, const struct shape *s, struct str bytes)
{
    return json_message(j, s, bytes);
}
