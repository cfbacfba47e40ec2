/* See connect.h. */
#include "row/envelope/connect.h"

#include "base/mem.h"
#include "row/format/json_format.h"
#include "row/json/document.h"
#include "row/json/elements.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum connect_part { PART_VALUE, PART_KEY, PARTS };

enum { CONNECT_PARTS = 2 }; /* of a wrapper: the nodes of every value's tree */

/* A schema, and what it says about the columns of a mapping. */
struct remembered {
    uint64_t fingerprint; /* of the mapping */
    enum connect_part part;
    struct buf text;
    struct logical *logicals; /* per meaning; those from elsewhere are plain */
    size_t logical_count;
};

struct connect {
    struct remembered schemas[CONNECT_SCHEMAS_MAX];
    size_t schema_count;
    size_t schema_bytes;
    size_t last;                        /* recognised last */
    struct buf payloads[PARTS];         /* where they had to be copied */
    const struct remembered *of[PARTS]; /* of the record read last; NULL = it has no schema */
    struct buf plain;                   /* scratch memory of the walks over a schema */
};

struct connect *connect_new(void)
{
    return mem_zalloc(sizeof(struct connect));
}

static void forget(struct remembered *r)
{
    for (size_t i = 0; i < r->logical_count; i++) {
        logical_done(&r->logicals[i]);
    }
    free(r->logicals);
    buf_done(&r->text);
    *r = (struct remembered){0};
}

static void forget_all(struct connect *x)
{
    for (size_t i = 0; i < x->schema_count; i++) {
        forget(&x->schemas[i]);
    }
    x->schema_count = 0;
    x->schema_bytes = 0;
    x->last = 0;
}

struct connect *connect_free(struct connect *x)
{
    if (x != NULL) {
        forget_all(x);
        buf_done(&x->payloads[PART_VALUE]);
        buf_done(&x->payloads[PART_KEY]);
        buf_done(&x->plain);
        free(x);
    }
    return NULL;
}

/* ---- recognising a schema ---- */

/* Kafka Connect writes no white space, and the schema first. */
#define HEAD STR_LIT("{\"schema\":")
#define MIDDLE STR_LIT(",\"payload\":")

static bool begins_with(struct str s, struct str with)
{
    return s.n >= with.n && memcmp(s.p, with.p, with.n) == 0;
}

static struct str after(struct str s, size_t n)
{
    return (struct str){.p = s.p + n, .n = s.n - n};
}

/* Is this the schema that the text begins with? *out_payload is what follows it. */
static bool recognise(const struct remembered *r, const struct mapping *m, enum connect_part part,
                      struct str text, struct str *out_payload)
{
    if (r->fingerprint != m->fingerprint || r->part != part ||
        !begins_with(text, buf_str(&r->text))) {
        return false;
    }
    text = after(text, r->text.n);
    if (!begins_with(text, MIDDLE) || text.p[text.n - 1] != '}') {
        return false;
    }
    *out_payload = after(text, MIDDLE.n);
    out_payload->n--;
    return true;
}

static const struct remembered *recall(struct connect *x, const struct mapping *m,
                                       enum connect_part part, struct str text,
                                       struct str *out_payload)
{
    if (!begins_with(text, HEAD)) {
        return NULL;
    }
    text = after(text, HEAD.n);
    for (size_t i = 0; i < x->schema_count; i++) {
        size_t at = (x->last + i) % x->schema_count;
        if (recognise(&x->schemas[at], m, part, text, out_payload)) {
            x->last = at;
            return &x->schemas[at];
        }
    }
    return NULL;
}

/* ---- learning one ---- */

static bool is_named(const struct fields *f, const struct field *its, struct str name, bool folds)
{
    struct folded_name folded;

    if (!folds) {
        return str_eq(name, its->name);
    }
    return names_fold(f->policy, name, &folded) &&
           str_eq((struct str){.p = folded.text, .n = folded.n}, its->name);
}

/* The entry of that node among the fields of a struct; absent if there is none. */
static struct str field_entry(struct connect *x, struct str entry, const struct fields *f,
                              const struct field *its, bool folds)
{
    struct cell list;
    struct cell its_name;
    struct elements e;

    if (entry.p == NULL || !elements_find(entry, "fields", &x->plain, &list) ||
        !cell_is_array(&list)) {
        return (struct str){0};
    }
    elements_open(&e, list.text, &x->plain);
    while (elements_next(&e)) {
        struct cell field;
        elements_value(&e, &field);
        if (cell_is_object(&field) && elements_find(field.text, "field", &x->plain, &its_name) &&
            its_name.kind == CELL_STRING && is_named(f, its, its_name.text, folds)) {
            return field.text;
        }
    }
    return (struct str){0};
}

/* The entry of a node; the schema itself is that of node 0. */
static struct str node_entry(struct connect *x, struct str schema, const struct fields *f,
                             uint32_t node)
{
    if (node == 0) {
        return schema;
    }
    const struct field *its = &f->nodes[node];
    struct str parent = node_entry(x, schema, f, its->parent);
    struct str entry = field_entry(x, parent, f, its, false);
    return entry.p == NULL && its->of_row ? field_entry(x, parent, f, its, true) : entry;
}

/* Where a schema says nothing about a number, what the route says counts. */
static void learn_meaning(struct connect *x, const struct mapping *m, enum connect_part part,
                          struct str schema, const struct meant *v, struct logical *out)
{
    const struct fields *tree = part == PART_KEY ? &m->key : &m->value;

    *out = (struct logical){.kind = LOGICAL_PLAIN};
    if (v->place.origin == (part == PART_KEY ? ORIGIN_KEY : ORIGIN_VALUE)) {
        struct str entry = node_entry(x, schema, tree, v->place.number);
        if (entry.p != NULL) {
            logical_of_schema(entry, v->fill->column, &m->meanings, out);
        }
    }
    struct logical *inner = out->element != NULL ? out->element : out;
    if (inner->kind == LOGICAL_PLAIN && inner->unit == UNIT_NONE) {
        inner->unit = v->fill->unit;
    }
}

/* One that is remembered, of a writer who puts white space around it. */
static const struct remembered *find(struct connect *x, const struct mapping *m,
                                     enum connect_part part, struct str schema)
{
    for (size_t i = 0; i < x->schema_count; i++) {
        const struct remembered *r = &x->schemas[i];
        if (r->fingerprint == m->fingerprint && r->part == part &&
            str_eq(buf_str(&r->text), schema)) {
            return r;
        }
    }
    return NULL;
}

static const struct remembered *learn(struct connect *x, const struct mapping *m,
                                      enum connect_part part, struct str schema)
{
    const struct remembered *known = find(x, m, part, schema);

    if (known != NULL) {
        return known;
    }
    assert(x->schema_count < CONNECT_SCHEMAS_MAX);
    x->last = x->schema_count++;
    x->schema_bytes += schema.n;
    struct remembered *r = &x->schemas[x->last];
    *r = (struct remembered){
        .fingerprint = m->fingerprint,
        .part = part,
        .logicals = mem_array(m->meaning_count, sizeof *r->logicals),
        .logical_count = m->meaning_count,
    };
    buf_add_str(&r->text, schema);
    for (size_t i = 0; i < m->meaning_count; i++) {
        const struct meant v = mapping_meant(m, i);
        learn_meaning(x, m, part, schema, &v, &r->logicals[i]);
    }
    return r;
}

/* ---- reading value and key ---- */

/* As it stands in the document. */
static struct str text_of(const struct cell *c)
{
    switch (c->kind) {
    case CELL_NULL:
        return STR_LIT("null");
    case CELL_BOOL:
        return c->truth ? STR_LIT("true") : STR_LIT("false");
    case CELL_STRING:
        return c->raw;
    case CELL_ABSENT:
    case CELL_INT:
    case CELL_NUMBER:
    case CELL_JSON:
    case CELL_BYTES:
        break;
    }
    return c->text;
}

/* A document that has both parts, as cells: the payload is to be read instead. */
static bool open_payload(struct connect *x, const struct mapping *m, enum connect_part part,
                         const struct cell *schema, const struct cell *payload)
{
    bool is_row = cell_is_object(payload) || payload->kind == CELL_NULL;
    bool is_whole = m->envelope == ENVELOPE_CONNECT || (part == PART_KEY && m->key.count == 1);
    bool any = is_whole && payload->kind != CELL_ABSENT;

    if (schema->kind == CELL_ABSENT || !(is_row || any)) {
        return false;
    }
    x->of[part] = cell_is_object(schema) ? learn(x, m, part, schema->text) : NULL;
    struct buf *copy = &x->payloads[part];
    buf_clear(copy);
    buf_add_str(copy, text_of(payload));
    return true;
}

bool connect_is_wrapper(struct str object, struct buf *plain)
{
    struct elements e;
    struct cell value;
    struct cell type;
    struct str name;
    bool has_schema = false;
    bool has_payload = false;

    elements_open(&e, object, plain);
    while (elements_next(&e)) {
        elements_name(&e, &name);
        bool is_schema = str_eq_z(name, "schema");
        bool is_payload = str_eq_z(name, "payload");
        if (!is_schema && !is_payload) {
            return false;
        }
        elements_value(&e, &value);
        if (is_schema) {
            has_schema = value.kind == CELL_NULL ||
                         (cell_is_object(&value) &&
                          elements_find(value.text, "type", plain, &type) &&
                          type.kind == CELL_STRING);
        }
        has_payload |= is_payload;
    }
    return has_schema && has_payload;
}

static bool not_wrapped(const struct mapping *m, const struct cell *cells, struct error *err)
{
    if (m->envelope != ENVELOPE_CONNECT || cells[0].kind == CELL_NULL) {
        return true;
    }
    error_set(err, ERROR_RECORD, "the value has no schema and payload around it");
    error_sqlstate(err, "22P02");
    return error_hint(err, "A converter with schemas.enable=false writes plain JSON: envelope: "
                           "none");
}

/* A record teaches two schemas at most, of its value and of its key; nothing refers to them yet. */
static void begin_record(struct connect *x)
{
    if (x->schema_count > CONNECT_SCHEMAS_MAX - 2 || x->schema_bytes > CONNECT_SCHEMA_BYTES_MAX) {
        forget_all(x);
    }
    x->of[PART_KEY] = NULL;
}

void connect_begin(struct connect *x)
{
    begin_record(x);
    x->of[PART_VALUE] = NULL;
}

/* Does the route want nothing but the whole payload, which then may be a number or a text? */
static bool is_scalar(const struct mapping *m, const struct fields *tree)
{
    return m->envelope == ENVELOPE_CONNECT && tree->count == 1 + CONNECT_PARTS;
}

bool connect_read_value(struct connect *x, const struct mapping *m, struct format_scratch *s,
                        struct str bytes, struct cell *cells, struct error *err)
{
    struct format_input in = {.what = "value", .names = &m->value};

    begin_record(x);
    in.any = is_scalar(m, &m->value);
    bytes = document_without_mark(bytes);
    x->of[PART_VALUE] = recall(x, m, PART_VALUE, bytes, &in.bytes);
    if (x->of[PART_VALUE] != NULL && m->format->read(s, &in, cells, err)) {
        return true;
    }
    x->of[PART_VALUE] = NULL;
    in.bytes = bytes;
    if (!m->format->read(s, &in, cells, err)) {
        return false;
    }
    if (!open_payload(x, m, PART_VALUE, &cells[m->wrapper.schema], &cells[m->wrapper.payload])) {
        return not_wrapped(m, cells, err);
    }
    in.bytes = buf_str(&x->payloads[PART_VALUE]);
    return m->format->read(s, &in, cells, err);
}

/* The parts of a wrapped key; its tree has no nodes for them. */
static bool find_parts(struct connect *x, const struct cell *key, struct cell *schema,
                       struct cell *payload)
{
    return cell_is_object(key) && elements_find(key->text, "schema", &x->plain, schema) &&
           elements_find(key->text, "payload", &x->plain, payload);
}

bool connect_read_key(struct connect *x, const struct mapping *m, struct format_scratch *s,
                      struct str bytes, struct cell *cells, struct error *err)
{
    struct format_input in = {.what = "key", .names = &m->key};
    struct cell schema;
    struct cell payload;

    bytes = document_without_mark(bytes);
    x->of[PART_KEY] = recall(x, m, PART_KEY, bytes, &in.bytes);
    if (x->of[PART_KEY] != NULL && json_format_read(s, &in, cells, err)) {
        return true;
    }
    x->of[PART_KEY] = NULL;
    in.bytes = bytes;
    if (!json_format_read(s, &in, cells, err)) {
        return false;
    }
    if (!find_parts(x, &cells[0], &schema, &payload) ||
        !open_payload(x, m, PART_KEY, &schema, &payload)) {
        return true;
    }
    in.bytes = buf_str(&x->payloads[PART_KEY]);
    return json_format_read(s, &in, cells, err);
}

const struct logical *connect_logical(const struct connect *x, const struct mapping *m,
                                      size_t meaning, enum connector connector)
{
    enum origin origin = meaning < m->fill_count ? m->fills[meaning].place.origin
                                                 : mapping_meant(m, meaning).place.origin;
    const struct remembered *r = x->of[origin == ORIGIN_KEY ? PART_KEY : PART_VALUE];

    return r != NULL ? &r->logicals[meaning] : &m->logicals[connector][meaning];
}
