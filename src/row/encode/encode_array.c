/*
 * Arrays and hstore, from JSON arrays and objects.
 *
 * A JSON array of arrays is an array of more dimensions; all arrays of one dimension must
 * have the same length. Elements of json[] and jsonb[] may be arrays themselves, so these types
 * have one dimension. An array whose elements are sent as text is sent as text, which SQL casts.
 * Pure; any thread.
 */
#include "row/encode/encode_types.h"
#include "row/json/elements.h"

enum { DIMENSIONS_MAX = 6, HEAD_BYTES = 12, DIMENSION_BYTES = 8 };

#define LENGTH_UNKNOWN UINT32_MAX

/* The array as a cell; the bytes of a key or a header may hold one. */
static bool array_cell(const struct encoding *v, struct cell *out)
{
    *out = *v->cell;
    if (out->kind == CELL_BYTES) {
        out->text = document_without_mark(out->text);
        if (!encode_check_json(v, out->text)) {
            return false;
        }
        out->text = str_trim(out->text);
        out->kind = *out->text.p == '[' ? CELL_JSON : CELL_BYTES;
    }
    if (cell_is_array(out)) {
        return true;
    }
    if (out->kind == CELL_JSON) {
        return encoding_misfit(v);
    }
    return cell_fault(v->cell, v->err, "is not a JSON array, as %s wants one",
                      encoding_type_name(v));
}

/* ---- binary: array_send ---- */

struct array {
    const struct encoding *v;
    encode_fn *encode;       /* of an element */
    struct encoding element; /* like v, but for the current element */
    int dimensions;
    uint32_t lengths[DIMENSIONS_MAX];
    size_t count; /* elements so far */
};

static bool ragged(const struct array *a)
{
    return cell_fault(a->v->cell, a->v->err,
                      "has arrays of different lengths, which %s does not take",
                      encoding_type_name(a->v));
}

static bool put_element(struct array *a, const struct cell *c)
{
    struct encoding element = a->element;
    const struct column *column = element.column;

    if (cell_is_array(c) && !column_type_is_json(column->type)) {
        return ragged(a);
    }
    a->count++;
    element.cell = c;
    if (c->kind == CELL_NULL && column->not_null) {
        error_set(a->v->err, ERROR_RECORD, "element %zu is null, which %s does not take", a->count,
                  column->type_name);
        return error_sqlstate(a->v->err, "23502");
    }
    return a->encode(&element) || error_wrap(a->v->err, "element %zu", a->count);
}

static bool put_level(struct array *a, const struct cell *array, int level)
{
    struct elements e;
    uint32_t n = 0;

    elements_open(&e, array->text, &a->v->encoder->plain);
    for (; elements_next(&e); n++) {
        struct cell c;
        elements_value(&e, &c);
        if (level + 1 == a->dimensions) {
            if (!put_element(a, &c)) {
                return false;
            }
        } else if (!cell_is_array(&c)) {
            return ragged(a);
        } else if (!put_level(a, &c, level + 1)) {
            return false;
        }
    }
    if (a->lengths[level] == LENGTH_UNKNOWN) {
        a->lengths[level] = n;
    }
    return a->lengths[level] == n || ragged(a);
}

/* Writes the head of the array, which precedes its elements, at `at`. */
static void put_head(const struct array *a, uint8_t *at, size_t bytes)
{
    bool empty = a->count == 0;

    buf_put_u32(at, (uint32_t) bytes);
    buf_put_u32(at + 4, empty ? 0 : (uint32_t) a->dimensions);
    buf_put_u32(at + 8, 1); /* may hold NULLs */
    buf_put_u32(at + 12, a->element.column->wire_oid);
    for (int i = 0; i < a->dimensions && !empty; i++) {
        buf_put_u32(at + 16 + DIMENSION_BYTES * i, a->lengths[i]);
        buf_put_u32(at + 20 + DIMENSION_BYTES * i, 1); /* lower bound */
    }
}

static bool encode_binary(const struct encoding *v, encode_fn *of_element, const struct cell *cell)
{
    size_t begin = v->out->n;
    struct array a = {.v = v, .encode = of_element, .element = *v};

    a.element.column = v->column->element;
    a.dimensions = column_type_is_json(a.element.column->type) ? 1 : elements_depth(cell->text);
    if (a.dimensions > DIMENSIONS_MAX) {
        return cell_fault(v->cell, v->err, "has more than %d dimensions", DIMENSIONS_MAX);
    }
    for (int i = 0; i < a.dimensions; i++) {
        a.lengths[i] = LENGTH_UNKNOWN;
    }
    size_t head = 4 + HEAD_BYTES + DIMENSION_BYTES * (size_t) a.dimensions;
    buf_fill(v->out, 0, head);
    if (!put_level(&a, cell, 0)) {
        return false;
    }
    if (a.count == 0) {
        v->out->n = begin + 4 + HEAD_BYTES;
    }
    put_head(&a, v->out->p + begin, v->out->n - begin - 4);
    return true;
}

/* ---- text: array_in, hstore_in ---- */

static void put_quoted(struct buf *out, struct str s)
{
    buf_add_u8(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') {
            buf_add_u8(out, '\\');
        }
        buf_add_u8(out, (uint8_t) s.p[i]);
    }
    buf_add_u8(out, '"');
}

/* Leaves room for the length of a text that is written next; text_end fills it in. */
static size_t text_begin(struct buf *out)
{
    buf_add_u32(out, 0);
    return out->n;
}

static void text_end(struct buf *out, size_t begin)
{
    buf_put_u32(out->p + begin - 4, (uint32_t) (out->n - begin));
}

/* An element as its own type writes it, in quotes. */
static bool put_text_element(const struct encoding *v, encode_fn *of_element, const struct cell *c)
{
    _cleanup_buf_ struct buf field = {0};
    struct encoding element = *v;

    if (c->kind == CELL_NULL) {
        buf_add_z(v->out, "NULL");
        return true;
    }
    element.column = v->column->element;
    element.cell = c;
    element.out = &field;
    if (!of_element(&element)) {
        return false;
    }
    put_quoted(v->out, (struct str){.p = (const char *) field.p + 4, .n = field.n - 4});
    return true;
}

static bool put_text_level(const struct encoding *v, encode_fn *of_element,
                           const struct cell *array, int level)
{
    struct elements e;

    if (level == DIMENSIONS_MAX) {
        return cell_fault(v->cell, v->err, "has more than %d dimensions", DIMENSIONS_MAX);
    }
    elements_open(&e, array->text, &v->encoder->plain);
    buf_add_u8(v->out, '{');
    for (bool first = true; elements_next(&e); first = false) {
        struct cell c;
        elements_value(&e, &c);
        buf_add_z(v->out, first ? "" : ",");
        if (!(cell_is_array(&c) ? put_text_level(v, of_element, &c, level + 1)
                                : put_text_element(v, of_element, &c))) {
            return false;
        }
    }
    buf_add_u8(v->out, '}');
    return true;
}

static bool encode_literal(const struct encoding *v, encode_fn *of_element, const struct cell *cell)
{
    size_t begin = text_begin(v->out);

    if (!put_text_level(v, of_element, cell, 0)) {
        return false;
    }
    text_end(v->out, begin);
    return true;
}

bool encode_array_of(const struct encoding *v, encode_fn *element)
{
    struct cell cell;

    bool literal = column_is_text_cast(v->column);

    if (literal && v->cell->kind == CELL_STRING) {
        return encode_text(v);
    }
    if (!array_cell(v, &cell)) {
        return false;
    }
    return literal ? encode_literal(v, element, &cell) : encode_binary(v, element, &cell);
}

static bool put_hstore_text(const struct encoding *v, struct str s)
{
    if (!encode_without_nul(v, &s)) {
        return false;
    }
    put_quoted(v->out, s);
    return true;
}

static bool put_hstore_value(const struct encoding *v, const struct cell *c)
{
    struct encoding pair = *v;
    struct digits digits;
    struct str text;

    pair.cell = c;
    if (c->kind == CELL_NULL) {
        buf_add_z(v->out, "NULL");
        return true;
    }
    (void) encoding_text_of(&pair, &digits, &text); /* of an object too: its text */
    return put_hstore_text(v, text);
}

/* An object becomes its names and values; if a name comes twice, PostgreSQL keeps one of them. A
 * string is hstore's own text. */
bool encode_hstore(const struct encoding *v)
{
    struct elements e;
    const struct cell *cell = v->cell;

    if (cell->kind != CELL_JSON) {
        return encode_text(v);
    }
    if (*cell->text.p != '{') {
        return encoding_misfit(v);
    }
    size_t begin = text_begin(v->out);
    elements_open(&e, cell->text, &v->encoder->plain);
    for (bool first = true; elements_next(&e); first = false) {
        struct str name;
        struct cell c;
        elements_name(&e, &name);
        buf_add_z(v->out, first ? "" : ",");
        if (!put_hstore_text(v, name)) {
            return false;
        }
        elements_value(&e, &c);
        buf_add_z(v->out, "=>");
        if (!put_hstore_value(v, &c)) {
            return false;
        }
    }
    text_end(v->out, begin);
    return true;
}
