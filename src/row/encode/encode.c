/* The table of encoders, and what comes before the encoder of a type. Pure; any thread. */
#include "row/encode/encode.h"

#include "row/encode/encode_types.h"
#include "row/text/ascii.h"

#include <string.h>

/* The elements are values themselves: their encoder is passed down. */
static bool encode_array(const struct encoding *v)
{
    return encode_array_of(v, encode_value);
}

static encode_fn *const encoders[] = {
    [TYPE_BOOL] = encode_bool,           [TYPE_INT2] = encode_int2,
    [TYPE_INT4] = encode_int4,           [TYPE_INT8] = encode_int8,
    [TYPE_FLOAT4] = encode_float4,       [TYPE_FLOAT8] = encode_float8,
    [TYPE_NUMERIC] = encode_numeric,     [TYPE_TEXT] = encode_text,
    [TYPE_VARCHAR] = encode_text,        [TYPE_BPCHAR] = encode_text,
    [TYPE_BYTEA] = encode_bytea,         [TYPE_UUID] = encode_uuid,
    [TYPE_JSON] = encode_json,           [TYPE_JSONB] = encode_jsonb,
    [TYPE_DATE] = encode_date,           [TYPE_TIME] = encode_time,
    [TYPE_TIMESTAMP] = encode_timestamp, [TYPE_TIMESTAMPTZ] = encode_timestamptz,
    [TYPE_INTERVAL] = encode_interval,   [TYPE_INET] = encode_inet,
    [TYPE_CIDR] = encode_inet,           [TYPE_MACADDR] = encode_macaddr,
    [TYPE_MACADDR8] = encode_macaddr,    [TYPE_ENUM] = encode_enum,
    [TYPE_ARRAY] = encode_array,         [TYPE_HSTORE] = encode_hstore,
    [TYPE_OTHER] = encode_text,
};
_Static_assert(ARRAY_LEN(encoders) == TYPE_OTHER + 1, "every type has its encoder");

/* A string for a number, or a number for a text? What is not JSON has no such kinds. */
static bool is_loose(const struct encoding *v)
{
    enum column_type type = v->column->type;
    bool number = type >= TYPE_INT2 && type <= TYPE_NUMERIC;
    bool text = type == TYPE_TEXT || type == TYPE_VARCHAR || type == TYPE_BPCHAR;
    return (number && v->cell->kind == CELL_STRING) || (text && v->cell->kind == CELL_NUMBER);
}

static bool encode_plain(const struct encoding *v)
{
    if (v->rules->strict_numbers && is_loose(v)) {
        return cell_fault(v->cell, v->err, "is %s, which %s does not take with numbers: strict",
                          cell_kind_name(v->cell), encoding_type_name(v));
    }
    return encoders[v->column->type](v);
}

/* A value that is more than its JSON says. The elements of an array have a meaning of their own. */
static bool encode_meant(const struct encoding *v, const struct logical *l)
{
    struct cell meant;
    struct encoding as = *v;
    as.unit = l->unit;
    if (l->kind != LOGICAL_PLAIN && l->kind != LOGICAL_ARRAY) {
        if (!logical_apply(l, v->cell, &v->encoder->meant, &meant, v->err)) {
            return false;
        }
        as.cell = &meant;
        as.unit = l->kind == LOGICAL_DAYS && meant.kind == CELL_NUMBER ? UNIT_S : l->unit;
    }
    v->encoder->logical = l->element;
    bool ok = encode_plain(&as);
    v->encoder->logical = l;
    return ok;
}

bool encode_value(const struct encoding *v)
{
    if (v->cell->kind <= CELL_NULL) {
        buf_add_u32(v->out, UINT32_MAX);
        return true;
    }
    const struct logical *l = v->encoder->logical;
    return l ? encode_meant(v, l) : encode_plain(v);
}

/* Is s a beginning of word, of at least `least` letters? */
static bool is_beginning(struct str s, const char *word, size_t least)
{
    struct str start = {.p = word, .n = strlen(word)};
    if (s.n < least || s.n > start.n) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (ascii_lower(s.p[i]) != word[i]) {
            return false;
        }
    }
    return true;
}

/*
 * boolin: true, yes, on, 1, false, no, off, 0 and their unique beginnings, in either case, with
 * white space around. A JSON number is 0 or 1, as its text.
 */
static bool bool_parse(struct str s, bool *out)
{
    s = str_trim(s);
    *out = is_beginning(s, "true", 1) || is_beginning(s, "yes", 1) || is_beginning(s, "on", 2) ||
           str_eq_z(s, "1");
    return *out || is_beginning(s, "false", 1) || is_beginning(s, "no", 1) ||
           is_beginning(s, "off", 2) || str_eq_z(s, "0");
}

bool encode_bool(const struct encoding *v)
{
    struct digits digits;
    struct str text;
    bool truth;
    if (v->cell->kind == CELL_BOOL) {
        truth = v->cell->truth;
    } else if (!encoding_text_of(v, &digits, &text) || !bool_parse(text, &truth)) {
        return encoding_misfit(v);
    }
    buf_add_u32(v->out, 1);
    buf_add_u8(v->out, truth ? 1 : 0);
    return true;
}
