/* See debezium.h. */
#include "row/envelope/debezium.h"

#include "base/mem.h"
#include "row/format/json_format.h"
#include "row/json/elements.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What a worker remembers of schemas; beyond it, all are learned again. */
enum { SCHEMAS_MAX = 256, SCHEMA_BYTES_MAX = 4 * 1024 * 1024 };

/* A schema part, and what it says about the columns of a mapping. */
struct remembered {
    uint64_t fingerprint; /* of the mapping */
    bool of_key;
    struct buf text;
    struct logical *logicals; /* per fill; those from elsewhere are plain */
    size_t logical_count;
};

struct debezium {
    struct remembered schemas[SCHEMAS_MAX];
    size_t schema_count;
    size_t schema_bytes;
    size_t last;            /* recognised last */
    struct buf payloads[2]; /* of value and key, where they had to be copied */
    struct buf plain;
    const struct remembered *of_value; /* of the record read last; NULL = it has no schema */
    const struct remembered *of_key;
};

struct debezium *debezium_new(void)
{
    return mem_zalloc(sizeof(struct debezium));
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

static void forget_all(struct debezium *z)
{
    for (size_t i = 0; i < z->schema_count; i++) {
        forget(&z->schemas[i]);
    }
    z->schema_count = 0;
    z->schema_bytes = 0;
    z->last = 0;
}

struct debezium *debezium_free(struct debezium *z)
{
    if (z) {
        forget_all(z);
        buf_done(&z->payloads[0]);
        buf_done(&z->payloads[1]);
        buf_done(&z->plain);
        free(z);
    }
    return NULL;
}

/* ---- recognising a schema ---- */

#define LITERAL(text)                                                                              \
    {                                                                                              \
        .p = (text), .n = sizeof(text) - 1                                                         \
    } /* of static storage */

/* Kafka Connect writes no white space, and the schema first. */
static const struct str head = LITERAL("{\"schema\":");
static const struct str middle = LITERAL(",\"payload\":");

static bool begins_with(struct str s, struct str with)
{
    return s.n >= with.n && memcmp(s.p, with.p, with.n) == 0;
}

static struct str behind(struct str s, size_t n)
{
    return (struct str){.p = s.p + n, .n = s.n - n};
}

/* Is this the schema that the text begins with? *out_payload is what follows it. */
static bool recognise(const struct remembered *r, const struct mapping *m, bool of_key,
                      struct str text, struct str *out_payload)
{
    if (r->fingerprint != m->fingerprint || r->of_key != of_key ||
        !begins_with(text, buf_str(&r->text))) {
        return false;
    }
    text = behind(text, r->text.n);
    if (!begins_with(text, middle) || text.p[text.n - 1] != '}') {
        return false;
    }
    *out_payload = (struct str){.p = text.p + middle.n, .n = text.n - middle.n - 1};
    return true;
}

static const struct remembered *recall(struct debezium *z, const struct mapping *m, bool of_key,
                                       struct str text, struct str *out_payload)
{
    if (!begins_with(text, head)) {
        return NULL;
    }
    text = behind(text, head.n);
    for (size_t i = 0; i < z->schema_count; i++) {
        size_t at = (z->last + i) % z->schema_count;
        if (recognise(&z->schemas[at], m, of_key, text, out_payload)) {
            z->last = at;
            return &z->schemas[at];
        }
    }
    return NULL;
}

/* ---- learning one ---- */

/* The entry of that name among the fields of a struct; absent if there is none. */
static struct str field_entry(struct debezium *z, struct str entry, struct str name)
{
    struct cell list;
    struct cell its_name;
    struct elements e;
    if (!entry.p || !elements_find(entry, "fields", &z->plain, &list) || list.kind != CELL_JSON ||
        *list.text.p != '[') {
        return (struct str){0};
    }
    elements_open(&e, list.text, &z->plain);
    while (elements_next(&e)) {
        struct cell field;
        elements_value(&e, &field);
        if (cell_is_object(&field) && elements_find(field.text, "field", &z->plain, &its_name) &&
            its_name.kind == CELL_STRING && str_eq(its_name.text, name)) {
            return field.text;
        }
    }
    return (struct str){0};
}

/* The entry of a node; the schema itself is that of node 0. */
static struct str node_entry(struct debezium *z, struct str schema, const struct fields *f,
                             uint32_t node)
{
    if (node == 0) {
        return schema;
    }
    const struct field *its = &f->nodes[node];
    return field_entry(z, node_entry(z, schema, f, its->parent), its->name);
}

/* Where a schema says nothing about a number, what the route says counts. */
static void learn_fill(struct debezium *z, const struct mapping *m, bool of_key, struct str schema,
                       const struct fill *f, struct logical *out)
{
    const struct fields *tree = of_key ? &m->key : &m->value;
    *out = (struct logical){.kind = LOGICAL_PLAIN};
    if (f->place.origin == (of_key ? ORIGIN_KEY : ORIGIN_VALUE)) {
        struct str entry = node_entry(z, schema, tree, f->place.number);
        if (entry.p) {
            logical_of_schema(entry, f->column, out);
        }
    }
    if (out->kind == LOGICAL_PLAIN && out->unit == UNIT_NONE) {
        out->unit = f->unit;
    }
}

static const struct remembered *learn(struct debezium *z, const struct mapping *m, bool of_key,
                                      struct str schema)
{
    assert(z->schema_count < SCHEMAS_MAX);
    z->last = z->schema_count++;
    z->schema_bytes += schema.n;
    struct remembered *r = &z->schemas[z->last];
    *r = (struct remembered){
        .fingerprint = m->fingerprint,
        .of_key = of_key,
        .logicals = mem_array(m->fill_count, sizeof *r->logicals),
        .logical_count = m->fill_count,
    };
    buf_add_str(&r->text, schema);
    for (size_t i = 0; i < m->fill_count; i++) {
        learn_fill(z, m, of_key, schema, &m->fills[i], &r->logicals[i]);
    }
    return r;
}

/* ---- reading value and key ---- */

/* A document that has both parts, as cells: reads the payload instead. */
static bool open_payload(struct debezium *z, const struct mapping *m, bool of_key,
                         const struct cell *schema, const struct cell *payload,
                         const struct remembered **out)
{
    bool opens = cell_is_object(payload) || payload->kind == CELL_NULL;
    if (schema->kind == CELL_ABSENT || !opens) {
        return false;
    }
    *out = cell_is_object(schema) ? learn(z, m, of_key, schema->text) : NULL;
    struct buf *copy = &z->payloads[of_key];
    buf_clear(copy);
    buf_add_str(copy, payload->kind == CELL_NULL ? STR_LIT("null") : payload->text);
    return true;
}

static bool read_json(const char *what, const struct fields *names, struct format_scratch *s,
                      struct str bytes, struct cell *cells, struct error *err)
{
    const struct format_input in = {.what = what, .bytes = bytes, .names = names};
    return json_format_read(s, &in, cells, err);
}

static bool read_value(struct debezium *z, const struct mapping *m, struct format_scratch *s,
                       struct str text, struct cell *cells, struct error *err)
{
    struct str payload;
    z->of_value = recall(z, m, false, text, &payload);
    if (z->of_value && read_json("value", &m->value, s, payload, cells, err)) {
        return true;
    }
    z->of_value = NULL;
    if (!read_json("value", &m->value, s, text, cells, err)) {
        return false;
    }
    const struct change_cells *parts = &m->change;
    return !open_payload(z, m, false, &cells[parts->schema], &cells[parts->payload],
                         &z->of_value) ||
           read_json("value", &m->value, s, buf_str(&z->payloads[0]), cells, err);
}

bool debezium_read_key(struct debezium *z, const struct mapping *m, struct format_scratch *s,
                       const struct message *msg, struct cell *cells, struct error *err)
{
    struct str payload;
    z->of_key = recall(z, m, true, msg->key, &payload);
    if (z->of_key && read_json("key", &m->key, s, payload, cells, err)) {
        return true;
    }
    z->of_key = NULL;
    if (!read_json("key", &m->key, s, msg->key, cells, err)) {
        return false;
    }
    struct cell schema = {.kind = CELL_ABSENT};
    struct cell inner = {.kind = CELL_ABSENT};
    if (cell_is_object(&cells[0])) {
        struct str whole = cells[0].text;
        if (!elements_find(whole, "schema", &z->plain, &schema) ||
            !elements_find(whole, "payload", &z->plain, &inner)) {
            return true;
        }
    }
    return !open_payload(z, m, true, &schema, &inner, &z->of_key) ||
           read_json("key", &m->key, s, buf_str(&z->payloads[1]), cells, err);
}

/* ---- what the source could not tell ---- */

/*
 * An update does not log values that PostgreSQL stores apart from the row (TOAST) and that did not
 * change. In their place Debezium writes this, or what it makes of it for the type. For numbers,
 * booleans and most arrays it writes null, which nobody can tell from a real one.
 */
static const struct str unavailable[] = {
    LITERAL("__debezium_unavailable_value"),
    LITERAL("X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="),
    LITERAL("{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}"),
    LITERAL("[\"__debezium_unavailable_value\"]"),
    LITERAL("[\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"]"),
    LITERAL("[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]"),
    LITERAL("[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,"
            "118,97,108,117,101]"),
};

static bool is_unavailable(const struct cell *c)
{
    if (c->kind != CELL_STRING && c->kind != CELL_JSON) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(unavailable); i++) {
        if (str_eq(c->text, unavailable[i])) {
            return true;
        }
    }
    return false;
}

static bool not_told(struct str name, struct error *err)
{
    error_set(err, ERROR_RECORD, "the source does not tell the value of '" STR_FMT "'",
              STR_ARG(name));
    return error_hint(err, "ALTER TABLE ... REPLICA IDENTITY FULL at the source.");
}

/*
 * Can a row do without that field? An update can, where the column may be left out. A created row
 * that lacks a value is one whose key has changed, which Debezium tells as a delete and a create;
 * only an update of a row that is there, or a history, takes it.
 */
static bool can_do_without(const struct mapping *m, uint32_t node, enum change_op op)
{
    if (m->action == ROW_INSERT) {
        return true;
    }
    for (size_t i = 0; i < m->fill_count; i++) {
        if (m->fills[i].cell == node && m->fills[i].omit_bit < 0) {
            return false;
        }
    }
    return op == CHANGE_UPDATE || m->action == ROW_UPDATE;
}

static bool take_unavailable(const struct mapping *m, struct cell *cells, enum change_op op,
                             struct error *err)
{
    for (uint32_t node = m->change.after + 1; node < m->value.count; node++) {
        if (m->value.nodes[node].parent != m->change.after || !is_unavailable(&cells[node])) {
            continue;
        }
        if (!can_do_without(m, node, op)) {
            return not_told(m->value.nodes[node].name, err);
        }
        cells[node].kind = CELL_ABSENT;
    }
    return true;
}

/* ---- the envelope ---- */

static bool op_of(const struct cell *c, enum change_op *out)
{
    char letter = c->kind == CELL_STRING && c->text.n == 1 ? *c->text.p : '\0';
    switch (letter) {
    case 'c':
    case 'r':
        *out = CHANGE_CREATE;
        return true;
    case 'u':
        *out = CHANGE_UPDATE;
        return true;
    case 'd':
        *out = CHANGE_DELETE;
        return true;
    case 't':
        *out = CHANGE_TRUNCATE;
        return true;
    case 'm':
        *out = CHANGE_NONE;
        return true;
    default:
        return false;
    }
}

static bool check_envelope(const struct mapping *m, const struct cell *cells, enum change_op *out,
                           struct error *err)
{
    const struct cell *op = &cells[m->change.op];
    if (op->kind <= CELL_NULL) {
        return error_set(err, ERROR_RECORD, "the value is no change event: it has no field 'op'");
    }
    if (!op_of(op, out)) {
        struct excerpt x;
        return error_set(err, ERROR_RECORD, "the value is no change event: 'op' is %s",
                         excerpt_cell(&x, op));
    }
    bool has_row = *out == CHANGE_CREATE || *out == CHANGE_UPDATE;
    if (has_row && !cell_is_object(&cells[m->change.after])) {
        return error_set(err, ERROR_RECORD, "the change event has no row in 'after'");
    }
    return true;
}

bool debezium_read(struct debezium *z, const struct mapping *m, struct format_scratch *s,
                   const struct message *msg, struct cell *cells, enum change_op *out_op,
                   struct error *err)
{
    /* A record teaches two at most, of its value and of its key; nothing refers to them yet. */
    if (z->schema_count > SCHEMAS_MAX - 2 || z->schema_bytes > SCHEMA_BYTES_MAX) {
        forget_all(z);
    }
    z->of_key = NULL;
    if (!read_value(z, m, s, msg->value, cells, err)) {
        return false;
    }
    if (cells[0].kind == CELL_NULL) {
        *out_op = CHANGE_NONE;
        return true;
    }
    return check_envelope(m, cells, out_op, err) &&
           ((*out_op != CHANGE_CREATE && *out_op != CHANGE_UPDATE) ||
            take_unavailable(m, cells, *out_op, err));
}

const struct logical *debezium_logical(const struct debezium *z, const struct mapping *m, size_t i)
{
    const struct remembered *r = m->fills[i].place.origin == ORIGIN_KEY ? z->of_key : z->of_value;
    return r ? &r->logicals[i] : &m->logicals[i];
}
