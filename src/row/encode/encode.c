/* The table of encoders, and what comes before the encoder of a type. Pure; any thread. */
#include "row/encode/encode.h"

#include "row/encode/encode_types.h"
#include "row/text/ascii.h"
#include "row/text/decimal.h"

#include <string.h>

/* The elements are values themselves: their encoder is passed down. */
static bool encode_array(const struct encoding *v)
{
    return encode_array_of(v, encode_value);
}

static encode_fn *const encoders[] = {
#define COLUMN_TYPE(tag, name, oid, array_oid, kind, family, wire, storage, equality, encoder,     \
                    ...)                                                                           \
    [TYPE_##tag] = encode_##encoder,
#include "row/table/types.def"
};

/* A string for a number, or a number for a text? Only values of JSON have these kinds. */
static bool is_loose(const struct encoding *v)
{
    enum column_type type = v->column->type;

    return (v->cell->kind == CELL_STRING && column_type_is_number(type)) ||
           (v->cell->kind == CELL_NUMBER && column_type_is_text(type));
}

static bool encode_plain(const struct encoding *v)
{
    if (v->rules->strict_numbers && is_loose(v)) {
        return cell_fault(v->cell, v->err, "is %s, which %s does not take with numbers: strict",
                          cell_kind_name(v->cell), encoding_type_name(v));
    }
    return encoders[v->column->type](v);
}

/* Is the value what its JSON says? A number is in itself, whatever else its source might write. */
static bool is_itself(const struct logical *l, const struct cell *c)
{
    return l->kind == LOGICAL_PLAIN || l->kind == LOGICAL_ARRAY ||
           (l->kind == LOGICAL_SCALED && (c->kind == CELL_NUMBER || c->kind == CELL_INT));
}

/* A value of a logical type. The elements of an array have one of their own. */
static bool encode_logical(const struct encoding *v, const struct logical *l)
{
    struct cell applied;
    struct encoding as = *v;

    as.unit = l->unit;
    if (!is_itself(l, v->cell)) {
        if (!logical_apply(l, v->cell, &v->encoder->applied, &applied, v->err)) {
            return false;
        }
        as.cell = &applied;
        bool counts = applied.kind == CELL_NUMBER || applied.kind == CELL_INT;
        as.unit = l->kind == LOGICAL_DAYS && counts ? UNIT_DAY : l->unit;
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
    return l != NULL ? encode_logical(v, l) : encode_plain(v);
}

/* Is s the beginning of word, with at least `least` letters? */
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

static bool text_truth(const struct encoding *v, bool *out)
{
    struct digits digits;
    struct str text;

    return encoding_text_of(v, &digits, &text) && bool_parse(text, out);
}

/* As MySQL has it: 0 is false, and every other number is true. */
static bool number_truth(const struct cell *c)
{
    const struct decimal zero = {0};
    struct decimal d;

    if (c->kind == CELL_INT || c->is_short) {
        return c->number != 0;
    }
    return decimal_scan(c->text, &d) && decimal_compare(&d, &zero) != 0;
}

bool encode_bool(const struct encoding *v)
{
    bool is_number = v->cell->kind == CELL_INT || v->cell->kind == CELL_NUMBER;
    bool truth;

    if (v->cell->kind == CELL_BOOL) {
        truth = v->cell->truth;
    } else if (is_number && v->rules->number_booleans) {
        truth = number_truth(v->cell);
    } else if (!text_truth(v, &truth)) {
        return is_number ? encoding_misfit_boolean(v) : encoding_misfit(v);
    }
    buf_add_u32(v->out, 1);
    buf_add_u8(v->out, truth ? 1 : 0);
    return true;
}
