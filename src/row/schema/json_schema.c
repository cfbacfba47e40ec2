/*
 * One walk over the JSON, which document.c has checked. What a $ref leads to is read once, and may
 * contain itself.
 */
#include "row/schema/json_schema.h"

#include "base/mem.h"
#include "row/json/document.h"
#include "row/json/elements.h"
#include "row/schema/connect_schema.h"

#include <stdlib.h>
#include <string.h>

/* What a registry sends may be hostile. */
enum { TEXT_MAX = 8 << 20, SHAPES_MAX = 100000, DEPTH_MAX = 64, KNOWN_MAX = 10000 };

/* Bytes that are gone over in search of what a $ref leads to, and names that are compared. */
#define WORK_MAX ((size_t) 1 << 28)

struct text {
    struct str name; /* of a reference */
    struct str id;   /* its $id; absent */
    struct str json;
};

/* What a $ref of that text leads to. */
struct known {
    const struct text *in;
    struct str ref;
    const struct shape *shape;
};

struct reader {
    struct schema *schema;
    struct arena *memory;
    struct buf plain;
    struct error *err;
    struct text *texts; /* the first one is the schema, the others its references */
    size_t text_count;
    struct known *known;
    size_t known_count;
    size_t known_cap;
    size_t work;
};

enum word {
    WORD_REF,
    WORD_TYPE,
    WORD_TITLE,
    WORD_FORMAT,
    WORD_PROPERTIES,
    WORD_ADDITIONAL,
    WORD_REQUIRED,
    WORD_ITEMS,
    WORD_ONE_OF,
    WORD_ANY_OF,
    WORD_ALL_OF,
    WORD_MINIMUM,
    WORD_MAXIMUM,
    WORD_ENCODING,
    WORD_CONNECT_TYPE,
    WORD_CONNECT_PARAMETERS,
    WORDS,
};

/* What one object says; of a word that comes twice the last one counts. */
struct entry {
    const struct text *in;
    struct cell of[WORDS];
    int depth;
};

static void read_entry(struct reader *r, struct str object, struct entry *out)
{
    static const char *const words[WORDS] = {
        [WORD_REF] = "$ref",
        [WORD_TYPE] = "type",
        [WORD_TITLE] = "title",
        [WORD_FORMAT] = "format",
        [WORD_PROPERTIES] = "properties",
        [WORD_ADDITIONAL] = "additionalProperties",
        [WORD_REQUIRED] = "required",
        [WORD_ITEMS] = "items",
        [WORD_ONE_OF] = "oneOf",
        [WORD_ANY_OF] = "anyOf",
        [WORD_ALL_OF] = "allOf",
        [WORD_MINIMUM] = "minimum",
        [WORD_MAXIMUM] = "maximum",
        [WORD_ENCODING] = "contentEncoding",
        [WORD_CONNECT_TYPE] = "connect.type",
        [WORD_CONNECT_PARAMETERS] = "connect.parameters",
    };
    struct elements e;

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

static bool says(const struct entry *e, enum word word, const char *text)
{
    return str_eq_z(text_of(e, word), text);
}

static bool work(struct reader *r, size_t n)
{
    r->work += n;
    return r->work <= WORK_MAX ||
           error_set(r->err, ERROR_SETUP, "it is too large to follow its references");
}

static const struct shape *read_type(struct reader *r, const struct text *in, const struct cell *c,
                                     int depth);

static struct shape *add(struct reader *r, enum shape_kind kind)
{
    if (schema_shape_count(r->schema) >= SHAPES_MAX) {
        error_set(r->err, ERROR_SETUP, "it has more than %d types", SHAPES_MAX);
        return NULL;
    }
    return schema_add(r->schema, kind);
}

/* ---- references ---- */

static const struct text *text_named(const struct reader *r, const struct text *in, struct str uri)
{
    if (uri.n == 0) {
        return in;
    }
    for (size_t i = 0; i < r->text_count; i++) {
        const struct text *text = &r->texts[i];
        if ((i > 0 && str_eq(text->name, uri)) || (text->id.p != NULL && str_eq(text->id, uri))) {
            return text;
        }
    }
    return NULL;
}

/* One name of a JSON pointer: ~1 is /, ~0 is ~. */
static const char *name_in_pointer(struct reader *r, struct str name)
{
    char *to = arena_alloc(r->memory, name.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < name.n; i++) {
        bool is_escape = name.p[i] == '~' && i + 1 < name.n;
        i += is_escape ? 1 : 0;
        to[n++] = !is_escape ? name.p[i] : name.p[i] == '1' ? '/' : '~';
    }
    to[n] = '\0';
    return to;
}

/* Follows a JSON pointer through objects. *out_found is false if it leads nowhere. */
static bool follow_pointer(struct reader *r, struct str pointer, struct cell *c, bool *out_found)
{
    const char *p = pointer.p;
    const char *end = pointer.p + pointer.n;

    *out_found = true;
    while (p < end && *out_found) {
        const char *name = ++p;
        while (p < end && *p != '/') {
            p++;
        }
        struct str its = {.p = name, .n = (size_t) (p - name)};
        struct str object = c->text;
        *out_found = cell_is_object(c);
        if (!work(r, object.n)) {
            return false;
        }
        if (*out_found) {
            *out_found = elements_find(object, name_in_pointer(r, its), &r->plain, c);
        }
    }
    return true;
}

static const struct shape *leads_nowhere(struct reader *r, struct str ref)
{
    struct excerpt x;

    error_set(r->err, ERROR_SETUP, "it refers to '%s', which is not there", excerpt_text(&x, ref));
    return NULL;
}

static const struct shape *fill(struct reader *r, const struct entry *e, struct shape *s);

/* What the $ref leads to, for the first time. */
static const struct shape *read_target(struct reader *r, const struct text *in, struct str ref,
                                       const struct cell *c, int depth)
{
    struct entry e = {.in = in, .depth = depth};

    if (!cell_is_object(c)) {
        return read_type(r, in, c, depth);
    }
    read_entry(r, c->text, &e);
    if (e.of[WORD_REF].kind == CELL_STRING) { /* and there to somewhere else */
        return read_type(r, in, c, depth);
    }
    if (r->known_count == KNOWN_MAX) {
        error_set(r->err, ERROR_SETUP, "it refers to more than %d types", KNOWN_MAX);
        return NULL;
    }
    struct shape *s = add(r, SHAPE_ANY);
    if (s == NULL) {
        return NULL;
    }
    r->known = mem_grow(r->known, &r->known_cap, r->known_count, sizeof *r->known);
    size_t mine = r->known_count++;
    r->known[mine] = (struct known){in, ref, s};
    const struct shape *shape = fill(r, &e, s); /* which may move what is known */
    r->known[mine].shape = shape;
    return shape;
}

static const struct shape *read_ref(struct reader *r, const struct text *in, struct str ref,
                                    int depth)
{
    size_t n = 0;
    bool found;

    while (n < ref.n && ref.p[n] != '#') {
        n++;
    }
    const struct text *text = text_named(r, in, (struct str){.p = ref.p, .n = n});
    if (text == NULL) {
        return leads_nowhere(r, ref);
    }
    struct str pointer = {.p = ref.p + n, .n = ref.n - n};
    pointer = pointer.n > 0 ? (struct str){.p = pointer.p + 1, .n = pointer.n - 1} : pointer;
    if (!work(r, r->known_count)) {
        return NULL;
    }
    for (size_t i = 0; i < r->known_count; i++) {
        if (r->known[i].in == text && str_eq(r->known[i].ref, pointer)) {
            return r->known[i].shape;
        }
    }
    if (pointer.n > 0 && *pointer.p != '/') {
        return add(r, SHAPE_ANY); /* an $anchor */
    }
    struct cell c = {.kind = CELL_JSON, .text = text->json};
    if (!follow_pointer(r, pointer, &c, &found)) {
        return NULL;
    }
    return found ? read_target(r, text, pointer, &c, depth + 1) : leads_nowhere(r, ref);
}

/* ---- several types ---- */

static size_t count_of(struct str list, struct buf *plain)
{
    struct elements e;
    struct cell c;
    size_t n = 0;

    for (elements_open(&e, list, plain); elements_next(&e); n++) {
        elements_value(&e, &c);
    }
    return n;
}

/* One branch is the type itself. */
static const struct shape *read_union(struct reader *r, const struct entry *e, enum word word,
                                      struct shape *s)
{
    struct str list = e->of[word].text;
    size_t n = count_of(list, &r->plain);
    struct elements at;
    struct cell c;

    s->branches = arena_alloc(r->memory, (n + 1) * sizeof *s->branches);
    elements_open(&at, list, &r->plain);
    while (elements_next(&at)) {
        elements_value(&at, &c);
        const struct shape *branch = read_type(r, e->in, &c, e->depth + 1);
        if (branch == NULL) {
            return NULL;
        }
        s->branches[s->branch_count++] = branch;
    }
    if (s->branch_count == 1 && s->branches[0] != s) {
        return s->branches[0];
    }
    s->kind = s->branch_count == 0 ? SHAPE_ANY : SHAPE_UNION;
    return s;
}

static const struct shape *fill_typed(struct reader *r, const struct entry *e, struct str type,
                                      struct shape *s);

/* One bit for each word of "type"; words that are none share one. */
static unsigned bit_of(const struct cell *c)
{
    static const char *const words[] = {"object", "array",   "string", "integer",
                                        "number", "boolean", "null"};
    size_t i = 0;

    while (i < ARRAY_LEN(words) && !(c->kind == CELL_STRING && str_eq_z(c->text, words[i]))) {
        i++;
    }
    return 1U << i;
}

/* How many words are in the list, each counted once. */
static int count_words(struct str list, struct buf *plain)
{
    struct elements e;
    struct cell c;
    unsigned met = 0;

    elements_open(&e, list, plain);
    while (elements_next(&e)) {
        elements_value(&e, &c);
        met |= bit_of(&c);
    }
    return __builtin_popcount(met);
}

/* "type": ["string", "null"]. A word that comes again says nothing new: were it read, all of the
 * object would be, as often as the list is long. */
static const struct shape *read_types(struct reader *r, const struct entry *e, struct shape *s)
{
    struct str list = e->of[WORD_TYPE].text;
    int n = count_words(list, &r->plain);
    unsigned met = 0;
    struct elements at;
    struct cell c;

    s->branches = arena_alloc(r->memory, ((size_t) n + 1) * sizeof *s->branches);
    elements_open(&at, list, &r->plain);
    while (elements_next(&at)) {
        elements_value(&at, &c);
        if ((met & bit_of(&c)) != 0) {
            continue;
        }
        met |= bit_of(&c);
        struct str word = c.kind == CELL_STRING ? arena_copy(r->memory, c.text) : STR_LIT("");
        struct shape *branch = n == 1 ? s : add(r, SHAPE_ANY);
        if (branch == NULL || fill_typed(r, e, word, branch) == NULL) {
            return NULL;
        }
        if (n == 1) {
            return s;
        }
        s->branches[s->branch_count++] = branch;
    }
    s->kind = n == 0 ? SHAPE_ANY : SHAPE_UNION;
    return s;
}

/* ---- objects ---- */

/* A whole number in the text of a cell. */
static bool whole_of(const struct cell *c, int64_t *out)
{
    return c->kind == CELL_NUMBER && str_to_i64(c->text, out);
}

/* Fields of Connect have an order; where there is none, they stay as they come. */
struct property {
    struct shape_field field;
    int64_t index;
};

static int by_index(const void *a, const void *b)
{
    const struct property *x = a;
    const struct property *y = b;

    if (x->index != y->index) {
        return x->index < y->index ? -1 : 1;
    }
    return x->field.number < y->field.number ? -1 : 1;
}

static bool read_property(struct reader *r, const struct entry *e, struct elements *at,
                          struct property *out)
{
    struct str name;
    struct cell c;
    struct cell index;
    struct excerpt x;

    elements_name(at, &name);
    out->field.name = arena_copy(r->memory, name);
    elements_value(at, &c);
    out->index = INT64_MAX;
    if (cell_is_object(&c) && elements_find(c.text, "connect.index", &r->plain, &index) &&
        !whole_of(&index, &out->index)) {
        out->index = INT64_MAX;
    }
    out->field.is_optional = true;
    out->field.oneof = -1;
    out->field.shape = read_type(r, e->in, &c, e->depth + 1);
    return out->field.shape != NULL || error_wrap(r->err, "%s", excerpt_text(&x, out->field.name));
}

static bool read_required(struct reader *r, const struct entry *e, struct shape_field *fields,
                          uint32_t n)
{
    struct elements at;
    struct cell c;

    if (!cell_is_array(&e->of[WORD_REQUIRED])) {
        return true;
    }
    elements_open(&at, e->of[WORD_REQUIRED].text, &r->plain);
    while (elements_next(&at)) {
        elements_value(&at, &c);
        if (!work(r, n)) {
            return false;
        }
        for (uint32_t i = 0; i < n && c.kind == CELL_STRING; i++) {
            fields[i].is_optional &= !str_eq(fields[i].name, c.text);
        }
    }
    return true;
}

static bool read_properties(struct reader *r, const struct entry *e, struct property *all,
                            uint32_t *out_n)
{
    struct elements at;

    elements_open(&at, e->of[WORD_PROPERTIES].text, &r->plain);
    for (*out_n = 0; elements_next(&at); ++*out_n) {
        all[*out_n] = (struct property){.field.number = (int32_t) *out_n};
        if (!read_property(r, e, &at, &all[*out_n])) {
            return false;
        }
    }
    return true;
}

static size_t count_properties(struct str object, struct buf *plain)
{
    struct elements e;
    struct cell c;
    struct str name;
    size_t n = 0;

    for (elements_open(&e, object, plain); elements_next(&e); n++) {
        elements_name(&e, &name);
        elements_value(&e, &c);
    }
    return n;
}

static bool read_record(struct reader *r, const struct entry *e, struct shape *s)
{
    size_t room = count_properties(e->of[WORD_PROPERTIES].text, &r->plain);
    struct property *all = mem_array(room + 1, sizeof *all);
    uint32_t n;
    bool ok = read_properties(r, e, all, &n);

    if (ok) {
        struct shape_field *fields = arena_alloc(r->memory, (room + 1) * sizeof *fields);
        qsort(all, n, sizeof *all, by_index);
        for (uint32_t i = 0; i < n; i++) {
            fields[i] = all[i].field;
            fields[i].number = (int32_t) i;
        }
        ok = read_required(r, e, fields, n);
        s->fields = fields;
        s->field_count = n;
        s->name = text_of(e, WORD_TITLE);
    }
    free(all);
    return ok;
}

/* Of an array or a map: what is said of its elements, else they are anything. */
static bool read_element(struct reader *r, const struct entry *e, enum word word, struct shape *s)
{
    const struct cell *c = &e->of[word];

    s->element = cell_is_object(c) ? read_type(r, e->in, c, e->depth + 1) : add(r, SHAPE_ANY);
    return s->element != NULL;
}

static bool fill_object(struct reader *r, const struct entry *e, struct shape *s)
{
    if (cell_is_object(&e->of[WORD_PROPERTIES]) && !says(e, WORD_CONNECT_TYPE, "map")) {
        s->kind = SHAPE_RECORD;
        return read_record(r, e, s);
    }
    s->kind = SHAPE_MAP;
    return read_element(r, e, WORD_ADDITIONAL, s);
}

/* ---- single values ---- */

/* A bound that no int64 reaches. */
static bool is_beyond(const struct entry *e, enum word word)
{
    const struct cell *c = &e->of[word];
    int64_t n;

    return c->kind == CELL_NUMBER && c->text.n > 18 && !whole_of(c, &n) &&
           memchr(c->text.p, '.', c->text.n) == NULL;
}

static void fill_number(const struct entry *e, bool is_whole, struct shape *s)
{
    static const struct {
        const char *type;
        enum shape_kind kind;
        int32_t bits;
    } kinds[] = {
        {"int8", SHAPE_INT32, 8},  {"int16", SHAPE_INT32, 16},  {"int32", SHAPE_INT32, 0},
        {"int64", SHAPE_INT64, 0}, {"float32", SHAPE_FLOAT, 0}, {"float64", SHAPE_DOUBLE, 0},
        {"bytes", SHAPE_BYTES, 0}, /* a decimal */
    };
    bool fits = is_whole && !is_beyond(e, WORD_MINIMUM) && !is_beyond(e, WORD_MAXIMUM);

    s->kind = fits ? SHAPE_INT64 : SHAPE_NUMBER;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (says(e, WORD_CONNECT_TYPE, kinds[i].type)) {
            s->kind = kinds[i].kind;
            s->bits = kinds[i].bits;
        }
    }
}

static void fill_string(const struct entry *e, struct shape *s)
{
    static const struct {
        const char *format;
        enum shape_sense sense;
    } formats[] = {
        {"date", SENSE_DATE}, {"date-time", SENSE_INSTANT}, {"time", SENSE_ZONED_TIME},
        {"uuid", SENSE_UUID}, {"duration", SENSE_DURATION}, {"ipv4", SENSE_INET},
        {"ipv6", SENSE_INET},
    };

    if (says(e, WORD_CONNECT_TYPE, "bytes") || says(e, WORD_ENCODING, "base64")) {
        s->kind = SHAPE_BYTES;
        return;
    }
    s->kind = SHAPE_STRING;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        s->sense = says(e, WORD_FORMAT, formats[i].format) ? formats[i].sense : s->sense;
    }
}

static const struct shape *fill_typed(struct reader *r, const struct entry *e, struct str type,
                                      struct shape *s)
{
    bool ok = true;

    if (str_eq_z(type, "object")) {
        ok = fill_object(r, e, s);
    } else if (str_eq_z(type, "array")) {
        s->kind = SHAPE_ARRAY;
        ok = read_element(r, e, WORD_ITEMS, s);
    } else if (str_eq_z(type, "string")) {
        fill_string(e, s);
    } else if (str_eq_z(type, "integer") || str_eq_z(type, "number")) {
        fill_number(e, str_eq_z(type, "integer"), s);
    } else if (str_eq_z(type, "boolean")) {
        s->kind = SHAPE_BOOL;
    } else if (str_eq_z(type, "null")) {
        s->kind = SHAPE_NULL;
    }
    if (ok && s->kind != SHAPE_NULL && s->kind != SHAPE_ANY) {
        connect_schema_sense(text_of(e, WORD_TITLE), &e->of[WORD_CONNECT_PARAMETERS], r->memory,
                             &r->plain, s);
    }
    return ok ? s : NULL;
}

/* ---- one schema ---- */

/* Fills s, which is any JSON so far. Another shape than s: it is that one. */
static const struct shape *fill(struct reader *r, const struct entry *e, struct shape *s)
{
    static const enum word several[] = {WORD_ONE_OF, WORD_ANY_OF};

    if (e->of[WORD_TYPE].kind == CELL_STRING) {
        return fill_typed(r, e, e->of[WORD_TYPE].text, s);
    }
    if (cell_is_array(&e->of[WORD_TYPE])) {
        return read_types(r, e, s);
    }
    for (size_t i = 0; i < ARRAY_LEN(several); i++) {
        if (cell_is_array(&e->of[several[i]])) {
            return read_union(r, e, several[i], s);
        }
    }
    const struct cell *all = &e->of[WORD_ALL_OF];
    if (cell_is_array(all) && count_of(all->text, &r->plain) == 1) {
        return read_union(r, e, WORD_ALL_OF, s);
    }
    return cell_is_object(&e->of[WORD_PROPERTIES]) ? fill_typed(r, e, STR_LIT("object"), s) : s;
}

/* NULL: a fault. */
static const struct shape *read_type(struct reader *r, const struct text *in, const struct cell *c,
                                     int depth)
{
    struct entry e = {.in = in, .depth = depth};

    if (depth > DEPTH_MAX) {
        error_set(r->err, ERROR_SETUP, "it is nested deeper than %d types", DEPTH_MAX);
        return NULL;
    }
    if (c->kind == CELL_BOOL) {
        return add(r, SHAPE_ANY); /* true */
    }
    if (!cell_is_object(c)) {
        error_set(r->err, ERROR_SETUP, "where a type belongs there is %s", cell_kind_name(c));
        return NULL;
    }
    read_entry(r, c->text, &e);
    if (e.of[WORD_REF].kind == CELL_STRING) {
        return read_ref(r, in, e.of[WORD_REF].text, depth);
    }
    struct shape *s = add(r, SHAPE_ANY);
    return s == NULL ? NULL : fill(r, &e, s);
}

/* ---- texts ---- */

static bool add_text(struct reader *r, struct document *d, struct str name, struct str json)
{
    struct text *text = &r->texts[r->text_count];
    struct cell id;

    if (json.n > TEXT_MAX) {
        return error_set(r->err, ERROR_SETUP, "it has %zu bytes, more than %d", json.n, TEXT_MAX);
    }
    json = str_trim(document_without_mark(json));
    if (!document_read(d, json, NULL, NULL, r->err)) {
        r->err->class = ERROR_SETUP;
        r->err->sqlstate[0] = '\0';
        return false;
    }
    if (*json.p != '{') {
        return error_set(r->err, ERROR_SETUP, "it is no object");
    }
    *text = (struct text){.name = name, .json = json};
    if (elements_find(json, "$id", &r->plain, &id) && id.kind == CELL_STRING) {
        text->id = arena_copy(r->memory, id.text);
    }
    r->text_count++;
    return true;
}

static bool add_texts(struct reader *r, struct str text, const struct schema_part *refs,
                      size_t ref_count)
{
    struct document *d = document_new();
    bool ok = add_text(r, d, STR_LIT(""), text);
    struct excerpt x;

    for (size_t i = 0; i < ref_count && ok; i++) {
        ok = add_text(r, d, refs[i].name, refs[i].text) ||
             error_wrap(r->err, "its reference '%s'", excerpt_text(&x, refs[i].name));
    }
    document_free(d);
    return ok;
}

/* The root is what "#" refers to. */
static const struct shape *read_root(struct reader *r)
{
    return read_ref(r, r->texts, STR_LIT("#"), 0);
}

bool json_schema_read(struct str text, const struct schema_part *refs, size_t ref_count,
                      const struct schema **out, struct error *err)
{
    struct reader r = {
        .schema = schema_new(SCHEMA_JSON),
        .err = err,
        .texts = mem_array(ref_count + 1, sizeof *r.texts),
    };

    *out = NULL;
    r.memory = schema_memory(r.schema);
    const struct shape *root = add_texts(&r, text, refs, ref_count) ? read_root(&r) : NULL;
    free(r.texts);
    free(r.known);
    buf_done(&r.plain);
    if (root == NULL) {
        schema_drop(r.schema);
        return error_wrap(err, "the JSON Schema cannot be read");
    }
    schema_add_root(r.schema, root);
    schema_seal(r.schema);
    *out = r.schema;
    return true;
}
