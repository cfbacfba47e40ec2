/* The table of encoders, what they share, and the shortest of them. Pure; any thread. */
#include "row/encode/encode.h"

#include "row/encode/encode_types.h"
#include "row/text/ascii.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

void encoder_done(struct encoder *e)
{
    buf_done(&e->scratch);
    buf_done(&e->plain);
    logical_scratch_done(&e->meant);
    e->document = document_free(e->document);
}

/* A string for a number, or a number for a text? What is not JSON has no such kinds. */
static bool is_loose(const struct value *v)
{
    enum column_type type = v->column->type;
    bool number = type >= TYPE_INT2 && type <= TYPE_NUMERIC;
    bool text = type == TYPE_TEXT || type == TYPE_VARCHAR || type == TYPE_BPCHAR;
    return (number && v->cell->kind == CELL_STRING) || (text && v->cell->kind == CELL_NUMBER);
}

static bool encode_plain(const struct value *v)
{
    if (v->rules->strict_numbers && is_loose(v)) {
        return cell_fault(v->cell, v->err, "is %s, which %s does not take with numbers: strict",
                          cell_kind_name(v->cell), value_type_name(v));
    }
    return encoders[v->column->type](v);
}

/* A value that is more than its JSON says. The elements of an array have a meaning of their own. */
static bool encode_meant(const struct value *v, const struct logical *l)
{
    struct cell meant;
    struct value as = *v;
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

bool encode_value(const struct value *v)
{
    if (v->cell->kind <= CELL_NULL) {
        buf_add_u32(v->out, UINT32_MAX);
        return true;
    }
    const struct logical *l = v->encoder->logical;
    return l ? encode_meant(v, l) : encode_plain(v);
}

bool encode_text_of(const struct value *v, struct digits *digits, struct str *out)
{
    const struct cell *c = v->cell;
    if (c->kind == CELL_BOOL) {
        *out = c->truth ? STR_LIT("true") : STR_LIT("false");
        return true;
    }
    if (c->kind == CELL_INT) {
        int n = snprintf(digits->text, sizeof digits->text, "%" PRId64, c->number);
        *out = (struct str){.p = digits->text, .n = (size_t) n};
        return true;
    }
    *out = c->text;
    return c->kind != CELL_JSON;
}

const char *value_type_name(const struct value *v)
{
    enum column_type type = v->column->type;
    bool own = type == TYPE_OTHER || type == TYPE_ENUM || type == TYPE_ARRAY;
    return own ? v->column->type_name : column_type_name(type);
}

static bool is_of_time(const struct value *v)
{
    enum column_type type = v->column->type;
    return type == TYPE_DATE || type == TYPE_TIME || type == TYPE_TIMESTAMP ||
           type == TYPE_TIMESTAMPTZ || type == TYPE_INTERVAL;
}

bool value_misfit(const struct value *v)
{
    const struct cell *c = v->cell;
    const char *type = value_type_name(v);
    if (c->kind == CELL_JSON) {
        error_set(v->err, ERROR_RECORD, "%s does not go into %s", cell_kind_name(c), type);
    } else {
        cell_fault(c, v->err, "is not a valid %s", type);
    }
    return error_sqlstate(v->err, is_of_time(v) ? "22007" : "22P02");
}

bool value_out_of_range(const struct value *v)
{
    cell_fault(v->cell, v->err, "is out of range for %s", value_type_name(v));
    return error_sqlstate(v->err, is_of_time(v) ? "22008" : "22003");
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

/* enum_recv: the label. Which there are is left to PostgreSQL, for ALTER TYPE may add one any time.
 */
bool encode_enum(const struct value *v)
{
    return v->cell->kind == CELL_JSON ? value_misfit(v) : encode_text(v);
}

bool encode_bool(const struct value *v)
{
    struct digits digits;
    struct str text;
    bool truth;
    if (v->cell->kind == CELL_BOOL) {
        truth = v->cell->truth;
    } else if (!encode_text_of(v, &digits, &text) || !bool_parse(text, &truth)) {
        return value_misfit(v);
    }
    buf_add_u32(v->out, 1);
    buf_add_u8(v->out, truth ? 1 : 0);
    return true;
}
