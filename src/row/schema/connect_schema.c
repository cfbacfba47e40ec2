/* One walk over the JSON, which document.c has checked; such a schema cannot contain itself. Any
 * thread. */
#include "row/schema/connect_schema.h"

#include "row/json/document.h"
#include "row/json/elements.h"

#include <string.h>

/* What a producer sends may be hostile. */
enum { TEXT_MAX = 8 << 20, SHAPES_MAX = 100000, DEPTH_MAX = 64 };

struct reader {
    struct schema *schema;
    struct arena *memory;
    struct buf plain;
    struct error *err;
};

enum word {
    WORD_TYPE,
    WORD_NAME,
    WORD_OPTIONAL,
    WORD_FIELD,
    WORD_FIELDS,
    WORD_ITEMS,
    WORD_VALUES,
    WORD_PARAMETERS,
    WORDS,
};

/* What one object says; of a word that comes twice the last one counts. */
struct entry {
    struct cell of[WORDS];
};

static void read_entry(struct reader *r, struct str object, struct entry *out)
{
    static const char *const words[WORDS] = {
        [WORD_TYPE] = "type",         [WORD_NAME] = "name",
        [WORD_OPTIONAL] = "optional", [WORD_FIELD] = "field",
        [WORD_FIELDS] = "fields",     [WORD_ITEMS] = "items",
        [WORD_VALUES] = "values",     [WORD_PARAMETERS] = "parameters",
    };
    struct elements e;

    *out = (struct entry){0};
    elements_open(&e, object, &r->plain);
    while (elements_next(&e)) {
        struct str name;
        struct cell ignored;
        struct cell *to = &ignored;
        elements_name(&e, &name);
        for (size_t i = 0; i < WORDS; i++) {
            to = str_eq_z(name, words[i]) ? &out->of[i] : to;
        }
        elements_value(&e, to);
        if (to != &ignored && to->kind == CELL_STRING) {
            to->text = arena_copy(r->memory, to->text);
        }
    }
}

/* A string; absent if it is none. */
static struct str text_of(const struct entry *e, enum word word)
{
    return e->of[word].kind == CELL_STRING ? e->of[word].text : (struct str){0};
}

static bool fault(struct reader *r, const char *what, struct str text)
{
    struct excerpt x;

    return error_set(r->err, ERROR_SETUP, "%s '%s'", what, excerpt_text(&x, text));
}

/* ---- kinds ---- */

struct kind_of_type {
    const char *type;
    enum shape_kind kind;
    int32_t bits;
};

static const struct kind_of_type *kind_of(struct str type)
{
    static const struct kind_of_type kinds[] = {
        {"boolean", SHAPE_BOOL, 0},  {"int8", SHAPE_INT32, 8},    {"int16", SHAPE_INT32, 16},
        {"int32", SHAPE_INT32, 0},   {"int64", SHAPE_INT64, 0},   {"float", SHAPE_FLOAT, 0},
        {"float32", SHAPE_FLOAT, 0}, {"double", SHAPE_DOUBLE, 0}, {"float64", SHAPE_DOUBLE, 0},
        {"string", SHAPE_STRING, 0}, {"bytes", SHAPE_BYTES, 0},   {"struct", SHAPE_RECORD, 0},
        {"array", SHAPE_ARRAY, 0},   {"map", SHAPE_MAP, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq_z(type, kinds[i].type)) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* Is such a value written in that way? A sense on another kind means nothing. */
static bool sense_fits(enum shape_sense sense, enum time_unit unit, enum shape_kind kind)
{
    if (sense == SENSE_DECIMAL || sense == SENSE_BITS) {
        return kind == SHAPE_BYTES;
    }
    if (sense == SENSE_SCALED || sense == SENSE_POINT || sense == SENSE_GEOMETRY ||
        sense == SENSE_GEOGRAPHY) {
        return kind == SHAPE_RECORD;
    }
    bool is_number = kind == SHAPE_INT32 || kind == SHAPE_INT64;
    return unit != UNIT_NONE || sense == SENSE_YEAR ? is_number : kind == SHAPE_STRING;
}

/* ---- parameters ---- */

/* A number written as a string. */
static int32_t number_of(const struct cell *c)
{
    int64_t n = 0;
    bool is_number = c->kind == CELL_STRING && str_to_i64(c->text, &n);

    return is_number && n > INT32_MIN && n <= INT32_MAX ? (int32_t) n : SHAPE_UNSAID;
}

static void read_parameters(const struct cell *parameters, struct arena *memory, struct buf *plain,
                            struct shape *shape)
{
    struct elements e;

    if (!cell_is_object(parameters)) {
        return;
    }
    elements_open(&e, parameters->text, plain);
    while (elements_next(&e)) {
        struct str name;
        struct cell value;
        elements_name(&e, &name);
        bool is_scale = str_eq_z(name, "scale");
        bool is_precision = str_eq_z(name, "connect.decimal.precision");
        bool is_length = str_eq_z(name, "length");
        bool is_type = str_eq_z(name, "__debezium.source.column.type");
        bool is_source_length = str_eq_z(name, "__debezium.source.column.length");
        bool is_source_scale = str_eq_z(name, "__debezium.source.column.scale");
        elements_value(&e, &value);
        int32_t number = number_of(&value);
        shape->scale = is_scale ? number : shape->scale;
        shape->precision = is_precision ? number : shape->precision;
        shape->length = is_length ? number : shape->length;
        shape->source_length = is_source_length ? number : shape->source_length;
        shape->source_scale = is_source_scale ? number : shape->source_scale;
        if (is_type && value.kind == CELL_STRING) {
            shape->source_type = arena_copy(memory, value.text);
        }
    }
}

void connect_schema_sense(struct str name, const struct cell *parameters, struct arena *memory,
                          struct buf *plain, struct shape *shape)
{
    enum time_unit unit;
    enum shape_sense sense = shape_sense_of_connect(name, &unit);

    shape->logical = name;
    if (sense != SENSE_NONE && sense_fits(sense, unit, shape->kind)) {
        shape->sense = sense;
        shape->unit = unit;
    }
    read_parameters(parameters, memory, plain, shape);
}

/* ---- shapes ---- */

static const struct shape *read_shape(struct reader *r, const struct entry *e, int depth);

static const struct shape *read_inner(struct reader *r, const struct entry *e, enum word word,
                                      int depth)
{
    struct entry inner;

    if (!cell_is_object(&e->of[word])) {
        fault(r, "there is no type of what is in the", text_of(e, WORD_TYPE));
        return NULL;
    }
    read_entry(r, e->of[word].text, &inner);
    return read_shape(r, &inner, depth + 1);
}

static size_t count_of(struct str array, struct buf *plain)
{
    struct elements e;
    struct cell c;
    size_t n = 0;

    for (elements_open(&e, array, plain); elements_next(&e); n++) {
        elements_value(&e, &c);
    }
    return n;
}

static bool read_field(struct reader *r, const struct cell *c, int depth, uint32_t number,
                       struct shape_field *out)
{
    struct entry e;

    if (!cell_is_object(c)) {
        return error_set(r->err, ERROR_SETUP, "a field is no object");
    }
    read_entry(r, c->text, &e);
    const struct cell *optional = &e.of[WORD_OPTIONAL];
    *out = (struct shape_field){
        .name = text_of(&e, WORD_FIELD),
        .number = (int32_t) number,
        .is_optional = optional->kind == CELL_BOOL && optional->truth,
        .oneof = -1,
    };
    if (out->name.p == NULL) {
        return error_set(r->err, ERROR_SETUP, "a field has no name");
    }
    out->shape = read_shape(r, &e, depth + 1);
    return out->shape != NULL || error_wrap(r->err, STR_FMT, STR_ARG(out->name));
}

static bool read_fields(struct reader *r, const struct entry *entry, int depth, struct shape *shape)
{
    const struct cell *list = &entry->of[WORD_FIELDS];
    struct elements e;

    if (!cell_is_array(list)) {
        return fault(r, "there are no fields of the struct", text_of(entry, WORD_NAME));
    }
    size_t n = count_of(list->text, &r->plain);
    struct shape_field *fields = arena_alloc(r->memory, (n + 1) * sizeof *fields);
    elements_open(&e, list->text, &r->plain);
    while (elements_next(&e)) {
        struct cell c;
        elements_value(&e, &c);
        if (!read_field(r, &c, depth, shape->field_count, &fields[shape->field_count])) {
            return false;
        }
        shape->field_count++;
    }
    shape->fields = fields;
    return true;
}

static bool read_inside(struct reader *r, const struct entry *e, int depth, struct shape *shape)
{
    if (shape->kind == SHAPE_RECORD) {
        return read_fields(r, e, depth, shape);
    }
    if (shape->kind == SHAPE_ARRAY || shape->kind == SHAPE_MAP) {
        enum word word = shape->kind == SHAPE_ARRAY ? WORD_ITEMS : WORD_VALUES;
        shape->element = read_inner(r, e, word, depth);
        return shape->element != NULL;
    }
    return true;
}

/* NULL: a fault. */
static const struct shape *read_shape(struct reader *r, const struct entry *e, int depth)
{
    struct str type = text_of(e, WORD_TYPE);
    const struct kind_of_type *kind = kind_of(type);

    if (kind == NULL) {
        fault(r, "it has an unknown type", type);
        return NULL;
    }
    if (depth > DEPTH_MAX || schema_shape_count(r->schema) >= SHAPES_MAX) {
        error_set(r->err, ERROR_SETUP, "it has more than %d levels or %d types", DEPTH_MAX,
                  SHAPES_MAX);
        return NULL;
    }
    struct shape *shape = schema_add(r->schema, kind->kind);
    shape->bits = kind->bits;
    shape->name = kind->kind == SHAPE_RECORD ? text_of(e, WORD_NAME) : (struct str){0};
    connect_schema_sense(text_of(e, WORD_NAME), &e->of[WORD_PARAMETERS], r->memory, &r->plain,
                         shape);
    return read_inside(r, e, depth, shape) ? shape : NULL;
}

/* ---- the whole ---- */

static bool check(struct str text, struct error *err)
{
    struct document *d = document_new();
    bool ok = document_read(d, text, NULL, NULL, err);

    (void) document_free(d);
    if (!ok) {
        err->class = ERROR_SETUP;
    }
    return ok;
}

bool connect_schema_read(struct str text, const struct schema **out, struct error *err)
{
    struct entry e;

    *out = NULL;
    text = str_trim(text);
    if (text.n > TEXT_MAX) {
        return error_set(err, ERROR_SETUP, "the schema has more than %d bytes", TEXT_MAX);
    }
    if (!check(text, err)) {
        return error_wrap(err, "the schema cannot be read");
    }
    if (*text.p != '{') {
        return error_set(err, ERROR_SETUP, "the schema cannot be read: it is no object");
    }
    struct schema *schema = schema_new(SCHEMA_CONNECT);
    struct reader r = {.schema = schema, .memory = schema_memory(schema), .err = err};
    read_entry(&r, text, &e);
    const struct shape *root = read_shape(&r, &e, 0);
    if (root != NULL) {
        schema_add_root(schema, root);
    }
    buf_done(&r.plain);
    schema_seal(schema);
    if (root == NULL) {
        (void) schema_drop(schema);
        return error_wrap(err, "the schema cannot be read");
    }
    *out = schema;
    return true;
}
