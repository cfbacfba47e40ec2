/*
 * One walk over the JSON of a schema, which document.c has checked. A named type is known before
 * what is inside it is read, so that it may contain itself. Any thread.
 */
#include "row/schema/avro_schema.h"

#include "base/mem.h"
#include "row/json/document.h"
#include "row/json/elements.h"
#include "row/schema/avro_entry.h"
#include "row/schema/avro_names.h"

#include <stdlib.h>
#include <string.h>

/* What a registry sends may be hostile. */
enum { TEXT_MAX = 8 << 20, SHAPES_MAX = 100000, DEPTH_MAX = 64, NAME_MAX_BYTES = 4096 };

struct reader {
    struct schema *schema;
    struct arena *memory;
    struct document *document;
    struct buf plain; /* a name or string that was read last */
    struct buf full;  /* the full name that was made last */
    struct avro_names names;
    const struct shape *usual[SHAPE_BYTES + 1]; /* of primitive types about which nothing is said */
    int depth;
    struct error *err;
};

static const struct shape *read_type(struct reader *r, const struct cell *c, struct str space);

static const struct shape *fault(struct reader *r, const char *what)
{
    error_set(r->err, ERROR_SETUP, "%s", what);
    return NULL;
}

static const struct shape *fault_of(struct reader *r, const char *what, struct str name)
{
    struct excerpt x;

    error_set(r->err, ERROR_SETUP, "%s '%s'", what, excerpt_text(&x, name));
    return NULL;
}

/* A new shape; NULL is a fault. */
static struct shape *add(struct reader *r, enum shape_kind kind)
{
    if (schema_shape_count(r->schema) >= SHAPES_MAX) {
        error_set(r->err, ERROR_SETUP, "it has more than %d types", SHAPES_MAX);
        return NULL;
    }
    return schema_add(r->schema, kind);
}

/* ---- names ---- */

static bool primitive_of(struct str word, enum shape_kind *out)
{
    static const struct {
        const char *word;
        enum shape_kind kind;
    } primitives[] = {
        {"null", SHAPE_NULL},     {"boolean", SHAPE_BOOL}, {"int", SHAPE_INT32},
        {"long", SHAPE_INT64},    {"float", SHAPE_FLOAT},  {"double", SHAPE_DOUBLE},
        {"string", SHAPE_STRING}, {"bytes", SHAPE_BYTES},
    };

    for (size_t i = 0; i < ARRAY_LEN(primitives); i++) {
        if (str_eq_z(word, primitives[i].word)) {
            *out = primitives[i].kind;
            return true;
        }
    }
    return false;
}

/* All places of a primitive type about which nothing is said share one shape. */
static const struct shape *usual_of(struct reader *r, enum shape_kind kind)
{
    if (r->usual[kind] == NULL) {
        r->usual[kind] = add(r, kind);
    }
    return r->usual[kind];
}

/* A full name that is not too long, as avro_full_name; false: a fault. */
static bool full_name(struct reader *r, struct str space, struct str name, struct str *out)
{
    *out = avro_full_name(&r->full, space, name);
    return out->n <= NAME_MAX_BYTES ||
           error_set(r->err, ERROR_SETUP, "the name of a type has more than %d bytes",
                     NAME_MAX_BYTES);
}

/* PostgreSQL has no text with U+0000, and names become texts. */
static bool check_zero(struct reader *r, const char *what, struct str name)
{
    return name.n == 0 || memchr(name.p, '\0', name.n) == NULL ||
           error_set(r->err, ERROR_SETUP, "%s has U+0000 in it", what);
}

/* The type that a name means. */
static const struct shape *named(struct reader *r, struct str name, struct str space)
{
    enum shape_kind kind;

    if (primitive_of(name, &kind)) {
        return usual_of(r, kind);
    }
    struct str full;
    if (!full_name(r, space, name, &full)) {
        return NULL;
    }
    const struct shape *shape = avro_names_find(&r->names, full);
    if (shape == NULL) {
        shape = avro_names_find(&r->names, name); /* of no namespace */
    }
    return shape != NULL
               ? shape
               : fault_of(r, "neither it nor a schema that it refers to has a type", full);
}

/* The shape of a type that has a name, which is known from now on. */
static struct shape *define(struct reader *r, enum shape_kind kind, const struct avro_entry *e,
                            struct str space)
{
    struct str name = avro_entry_text(e, AVRO_NAME);
    struct str own = avro_entry_text(e, AVRO_NAMESPACE);

    if (name.n == 0) {
        (void) fault(r, "a record, an enum or a fixed has no name");
        return NULL;
    }
    struct str full;
    if (!full_name(r, own.p != NULL ? own : space, name, &full) ||
        !check_zero(r, "the name of a type", full)) {
        return NULL;
    }
    struct shape *shape = add(r, kind);
    if (shape == NULL) {
        return NULL;
    }
    shape->name = arena_copy(r->memory, full);
    if (!avro_names_add(&r->names, shape)) {
        (void) fault_of(r, "it has two types of the name", shape->name);
        return NULL;
    }
    avro_entry_apply(e, shape, r->memory, &r->plain);
    return shape;
}

/* ---- records ---- */

/* How many elements an array has. */
static uint32_t count_of(struct reader *r, const struct cell *array)
{
    struct elements e;
    struct cell ignored;
    uint32_t n = 0;

    elements_open(&e, array->text, &r->plain);
    while (elements_next(&e)) {
        elements_value(&e, &ignored);
        n++;
    }
    return n;
}

static bool read_field(struct reader *r, const struct cell *c, struct str space,
                       struct shape_field *out)
{
    struct avro_entry e;
    struct excerpt x;

    if (!cell_is_object(c)) {
        return error_set(r->err, ERROR_SETUP, "a field is %s, not an object", cell_kind_name(c));
    }
    avro_entry_read(&e, c->text, r->memory, &r->plain);
    struct str name = avro_entry_text(&e, AVRO_NAME);
    if (name.n == 0) {
        return error_set(r->err, ERROR_SETUP, "a field has no name");
    }
    if (!check_zero(r, "the name of a field", name)) {
        return false;
    }
    out->name = arena_copy(r->memory, name);
    out->shape = read_type(r, &e.of[AVRO_TYPE], space);
    return out->shape != NULL || error_wrap(r->err, "field '%s'", excerpt_text(&x, out->name));
}

static int compare_fields(const void *a, const void *b)
{
    const struct shape_field *const *x = a;
    const struct shape_field *const *y = b;

    return str_cmp((*x)->name, (*y)->name);
}

/* Names of fields are found by name: there must not be two. */
static bool check_fields(struct reader *r, const struct shape *record)
{
    _cleanup_mem_ const struct shape_field **sorted = mem_array(record->field_count + (size_t) 1,
                                                                sizeof *sorted);
    struct excerpt x;

    for (uint32_t i = 0; i < record->field_count; i++) {
        sorted[i] = &record->fields[i];
    }
    qsort(sorted, record->field_count, sizeof *sorted, compare_fields);
    for (uint32_t i = 1; i < record->field_count; i++) {
        if (str_eq(sorted[i - 1]->name, sorted[i]->name)) {
            return error_set(r->err, ERROR_SETUP, "it has two fields of the name '%s'",
                             excerpt_text(&x, sorted[i]->name));
        }
    }
    return true;
}

static bool read_fields(struct reader *r, const struct cell *list, struct shape *record)
{
    struct elements e;
    struct cell c;
    struct str space = avro_space_of(record->name);

    if (!cell_is_array(list)) {
        return error_set(r->err, ERROR_SETUP, "it has no array 'fields'");
    }
    uint32_t n = count_of(r, list);
    struct shape_field *fields = arena_alloc(r->memory, n * sizeof *fields);
    elements_open(&e, list->text, &r->plain);
    for (uint32_t i = 0; elements_next(&e); i++) {
        elements_value(&e, &c);
        fields[i] = (struct shape_field){.number = (int32_t) i, .oneof = -1};
        if (!read_field(r, &c, space, &fields[i])) {
            return false;
        }
    }
    record->fields = fields;
    record->field_count = n;
    return check_fields(r, record);
}

static const struct shape *read_record(struct reader *r, const struct avro_entry *e,
                                       struct str space)
{
    struct shape *record = define(r, SHAPE_RECORD, e, space);
    struct excerpt x;

    if (record == NULL) {
        return NULL;
    }
    if (!read_fields(r, &e->of[AVRO_FIELDS], record)) {
        error_wrap(r->err, "record '%s'", excerpt_text(&x, record->name));
        return NULL;
    }
    return record;
}

/* ---- other types ---- */

static bool read_symbols(struct reader *r, const struct cell *list, struct shape *shape)
{
    struct elements e;
    struct cell c;

    if (!cell_is_array(list)) {
        return error_set(r->err, ERROR_SETUP, "it has no array 'symbols'");
    }
    uint32_t n = count_of(r, list);
    struct str *symbols = arena_alloc(r->memory, n * sizeof *symbols);
    elements_open(&e, list->text, &r->plain);
    for (uint32_t i = 0; elements_next(&e); i++) {
        elements_value(&e, &c);
        if (c.kind != CELL_STRING) {
            return error_set(r->err, ERROR_SETUP, "a symbol is %s, not a string",
                             cell_kind_name(&c));
        }
        if (!check_zero(r, "a symbol", c.text)) {
            return false;
        }
        symbols[i] = arena_copy(r->memory, c.text);
    }
    shape->symbols = symbols;
    shape->symbol_count = n;
    return true;
}

static const struct shape *read_enum(struct reader *r, const struct avro_entry *e, struct str space)
{
    struct shape *shape = define(r, SHAPE_ENUM, e, space);
    struct excerpt x;

    if (shape == NULL) {
        return NULL;
    }
    if (!read_symbols(r, &e->of[AVRO_SYMBOLS], shape)) {
        error_wrap(r->err, "enum '%s'", excerpt_text(&x, shape->name));
        return NULL;
    }
    return shape;
}

static const struct shape *read_fixed(struct reader *r, const struct avro_entry *e,
                                      struct str space)
{
    struct shape *shape = define(r, SHAPE_FIXED, e, space);

    if (shape == NULL) {
        return NULL;
    }
    if (!avro_whole(&e->of[AVRO_SIZE], &shape->length) || shape->length < 0) {
        return fault_of(r, "there is no usable 'size' in the fixed", shape->name);
    }
    avro_entry_apply(e, shape, r->memory, &r->plain); /* again: some senses depend on the size */
    return shape;
}

static const struct shape *read_container(struct reader *r, enum shape_kind kind,
                                          const struct avro_entry *e, struct str space)
{
    struct shape *shape = add(r, kind);
    bool is_array = kind == SHAPE_ARRAY;

    if (shape == NULL) {
        return NULL;
    }
    avro_entry_apply(e, shape, r->memory, &r->plain);
    shape->element = read_type(r, &e->of[is_array ? AVRO_ITEMS : AVRO_VALUES], space);
    if (shape->element == NULL) {
        error_wrap(r->err, "the %s", is_array ? "items of an array" : "values of a map");
        return NULL;
    }
    return shape;
}

static const struct shape *read_union(struct reader *r, const struct cell *list, struct str space)
{
    struct shape *shape = add(r, SHAPE_UNION);
    struct elements e;
    struct cell c;

    if (shape == NULL) {
        return NULL;
    }
    uint32_t n = count_of(r, list);
    shape->branches = arena_alloc(r->memory, n * sizeof *shape->branches);
    elements_open(&e, list->text, &r->plain);
    for (uint32_t i = 0; elements_next(&e); i++) {
        elements_value(&e, &c);
        const struct shape *branch = read_type(r, &c, space);
        if (branch == NULL) {
            return NULL;
        }
        if (branch->kind == SHAPE_UNION) {
            return fault(r, "a union stands directly in a union");
        }
        shape->branches[i] = branch;
    }
    shape->branch_count = n;
    return shape;
}

/* A type by its word, about which more may be said. */
static const struct shape *read_word(struct reader *r, struct str word, const struct avro_entry *e,
                                     struct str space)
{
    enum shape_kind kind;

    if (str_eq_z(word, "record") || str_eq_z(word, "error")) {
        return read_record(r, e, space);
    }
    if (str_eq_z(word, "enum")) {
        return read_enum(r, e, space);
    }
    if (str_eq_z(word, "fixed")) {
        return read_fixed(r, e, space);
    }
    if (str_eq_z(word, "array")) {
        return read_container(r, SHAPE_ARRAY, e, space);
    }
    if (str_eq_z(word, "map")) {
        return read_container(r, SHAPE_MAP, e, space);
    }
    if (!primitive_of(word, &kind) || !avro_entry_has_sense(e)) {
        return named(r, word, space);
    }
    struct shape *shape = add(r, kind);
    if (shape != NULL) {
        avro_entry_apply(e, shape, r->memory, &r->plain);
    }
    return shape;
}

static const struct shape *read_object(struct reader *r, const struct cell *c, struct str space)
{
    struct avro_entry e;

    avro_entry_read(&e, c->text, r->memory, &r->plain);
    const struct cell *type = &e.of[AVRO_TYPE];
    return type->kind == CELL_STRING ? read_word(r, type->text, &e, space)
                                     : read_type(r, type, space);
}

static const struct shape *read_nested(struct reader *r, const struct cell *c, struct str space)
{
    if (r->depth == DEPTH_MAX) {
        error_set(r->err, ERROR_SETUP, "it is nested deeper than %d types", DEPTH_MAX);
        return NULL;
    }
    r->depth++;
    const struct shape *shape = cell_is_object(c) ? read_object(r, c, space)
                                                  : read_union(r, c, space);
    r->depth--;
    return shape;
}

/* A type: its name, an object that describes it, or an array of the branches of a union. */
static const struct shape *read_type(struct reader *r, const struct cell *c, struct str space)
{
    if (c->kind == CELL_STRING) {
        return named(r, c->text, space);
    }
    if (c->kind == CELL_JSON) {
        return read_nested(r, c, space);
    }
    error_set(r->err, ERROR_SETUP, "where a type belongs there is %s", cell_kind_name(c));
    return NULL;
}

/* ---- texts ---- */

static const struct shape *read_text(struct reader *r, struct str text)
{
    struct elements e = {.plain = &r->plain};
    struct cell c;

    if (text.n > TEXT_MAX) {
        error_set(r->err, ERROR_SETUP, "it has %zu bytes, more than %d", text.n, TEXT_MAX);
        return NULL;
    }
    text = str_trim(document_without_mark(text));
    if (!document_read(r->document, text, NULL, NULL, r->err)) {
        r->err->class = ERROR_SETUP;
        r->err->sqlstate[0] = '\0';
        return NULL;
    }
    if (*text.p != '"' && *text.p != '{' && *text.p != '[') {
        return fault(r, "it is neither a string nor an object nor an array");
    }
    e.p = text.p;
    elements_value(&e, &c);
    return read_type(r, &c, STR_LIT(""));
}

static bool is_repeated(const struct schema_part *refs, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (str_eq(refs[k].text, refs[i].text)) {
            return true;
        }
    }
    return false;
}

static const struct shape *read_all(struct reader *r, struct str text,
                                    const struct schema_part *refs, size_t ref_count)
{
    struct excerpt x;

    for (size_t i = 0; i < ref_count; i++) {
        if (!is_repeated(refs, i) && read_text(r, refs[i].text) == NULL) {
            error_wrap(r->err, "the Avro schema refers to '%s', which cannot be read",
                       excerpt_text(&x, refs[i].name));
            return NULL;
        }
    }
    const struct shape *root = read_text(r, text);
    if (root == NULL) {
        error_wrap(r->err, "the Avro schema cannot be read");
    }
    return root;
}

bool avro_schema_read(struct str text, const struct schema_part *refs, size_t ref_count,
                      const struct schema **out, struct error *err)
{
    struct reader r = {
        .schema = schema_new(SCHEMA_AVRO),
        .document = document_new(),
        .err = err,
    };

    r.memory = schema_memory(r.schema);
    const struct shape *root = read_all(&r, text, refs, ref_count);
    document_free(r.document);
    avro_names_done(&r.names);
    buf_done(&r.plain);
    buf_done(&r.full);
    if (root == NULL) {
        schema_drop(r.schema);
        return false;
    }
    schema_add_root(r.schema, root);
    schema_seal(r.schema);
    *out = r.schema;
    return true;
}
