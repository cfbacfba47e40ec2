/* See new_table.h. Any thread. */
#include "row/evolve/new_table.h"

#include "base/arena.h"
#include "row/cell/cell.h"
#include "row/evolve/new_type.h"
#include "row/table/table.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { COLUMNS_MAX = 1600 };
enum { NAME_MAX_BYTES = 63 }; /* PostgreSQL cuts longer ones without an error */

/* A table in the making. */
struct maker {
    const struct new_table_spec *spec;
    struct new_columns *out;
    struct error *err;
};

const struct shape *new_table_row(const struct shape *root, bool is_change)
{
    root = shape_beyond_null(root, NULL);
    if (is_change) {
        const struct shape_field *after = shape_field_of(root, STR_LIT("after"));
        root = after != NULL ? shape_beyond_null(after->shape, NULL) : root;
        if (after == NULL) {
            return NULL;
        }
    }
    return root->kind == SHAPE_RECORD ? root : NULL;
}

/* ---- columns ---- */

static struct new_column *find(const struct maker *m, struct str name)
{
    for (size_t i = 0; i < m->out->count; i++) {
        if (str_eq(m->out->items[i].name, name)) {
            return &m->out->items[i];
        }
    }
    return NULL;
}

static bool name_fault(struct maker *m, const char *what, struct str name)
{
    struct excerpt x;

    error_set(m->err, ERROR_SETUP, "field '%s' %s", excerpt_text(&x, name), what);
    error_hint(m->err, "Give the column another name: make the table yourself, and name "
                       "the field in columns:.");
    return false;
}

/* The column of a field. */
static bool name_of(struct maker *m, struct str field, struct str *out)
{
    struct folded_name folded;

    if (field.n > NAMES_MAX || !names_fold(m->spec->names, field, &folded) ||
        folded.n > NAME_MAX_BYTES) {
        return name_fault(m, "is longer than the 63 bytes of a column's name", field);
    }
    if (folded.n == 0 || memchr(folded.text, 0, folded.n) != NULL) {
        return name_fault(m, "has a name that no column can have", field);
    }
    *out = arena_copy(&m->out->memory, (struct str){.p = folded.text, .n = folded.n});
    return true;
}

static struct str type_of(struct maker *m, const struct shape *shape)
{
    _cleanup_buf_ struct buf type = {0};

    new_type_print(shape, &type);
    return arena_copy(&m->out->memory, buf_str(&type));
}

static bool add_field(struct maker *m, const struct shape_field *f)
{
    struct str name;
    bool nullable;
    struct excerpt x[2];

    if (!name_of(m, f->name, &name)) {
        return false;
    }
    const struct new_column *same = find(m, name);
    if (same != NULL) {
        error_set(m->err, ERROR_SETUP, "fields '%s' and '%s' would both be column '" STR_FMT "'",
                  excerpt_text(&x[0], same->of), excerpt_text(&x[1], f->name), STR_ARG(name));
        return error_hint(m->err, "Make the table yourself, and name the fields in columns:; or "
                                  "say names: exact.");
    }
    (void) shape_beyond_null(f->shape, &nullable);
    m->out->items[m->out->count++] = (struct new_column){
        .name = name,
        .type = type_of(m, f->shape),
        .of = f->name,
        .not_null = m->spec->not_null && !nullable && !f->is_optional,
    };
    return true;
}

/* A column of the route's own: added, or in place of the field's. */
static void add_extra(struct maker *m, const struct new_table_extra *extra)
{
    struct str name = str_of(extra->name);
    struct new_column *c = find(m, name);

    if (extra->type == NULL && extra->shape == NULL) {
        return;
    }
    if (c == NULL) {
        c = &m->out->items[m->out->count++];
    }
    *c = (struct new_column){
        .name = name,
        .type = extra->type != NULL ? str_of(extra->type) : type_of(m, extra->shape),
        .of = name,
    };
}

static void add_metadata(struct maker *m)
{
    static const struct new_table_extra metadata[] = {
        {"_topic", "text", NULL},
        {"_partition", "integer", NULL},
        {"_offset", "bigint", NULL},
        {"_timestamp", "timestamptz", NULL},
    };

    for (size_t i = 0; m->spec->has_metadata && i < ARRAY_LEN(metadata); i++) {
        add_extra(m, &metadata[i]);
    }
}

/* ---- the key ---- */

static bool set_key(struct maker *m, struct str name)
{
    struct excerpt x;
    struct new_column *c = find(m, name);

    if (c == NULL) {
        return error_set(m->err, ERROR_SETUP, "column '%s' of the key is no field of the records",
                         excerpt_text(&x, name));
    }
    c->is_key = true;
    c->not_null = true;
    return true;
}

static bool key_of_records(struct maker *m, const struct shape *key)
{
    struct str name;

    key = key != NULL ? shape_beyond_null(key, NULL) : NULL;
    for (uint32_t i = 0; key != NULL && i < key->field_count; i++) {
        if (!name_of(m, key->fields[i].name, &name) || !set_key(m, name)) {
            return false;
        }
    }
    return true;
}

static bool add_key(struct maker *m, const struct shape *key)
{
    const struct new_table_spec *s = m->spec;
    bool found = false;

    for (size_t i = 0; i < s->key_count; i++) {
        if (!set_key(m, str_of(s->key[i]))) {
            return false;
        }
    }
    if (s->key_count == 0 && s->takes_key && !key_of_records(m, key)) {
        return false;
    }
    for (size_t i = 0; i < m->out->count; i++) {
        found = found || m->out->items[i].is_key;
    }
    if (s->wants_key && !found) {
        error_set(m->err, ERROR_SETUP,
                  "the records have no key with a schema, and the route's "
                  "mode needs one");
        return error_hint(m->err, "Name the columns of the key in the route: key: [id].");
    }
    return true;
}

/* ---- SQL ---- */

static void put_ident(struct buf *out, struct str name)
{
    _cleanup_buf_ struct buf plain = {0};

    buf_add_str(&plain, name);
    table_quote_ident(out, buf_cstr(&plain));
}

static void put_literal(struct buf *out, const char *text)
{
    buf_add_z(out, strchr(text, '\\') != NULL ? "E'" : "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            buf_add_u8(out, (uint8_t) *text);
        }
        buf_add_u8(out, (uint8_t) *text);
    }
    buf_add_u8(out, '\'');
}

static void put_table(const struct maker *m, struct buf *out)
{
    if (m->spec->schema != NULL) {
        table_quote_ident(out, m->spec->schema);
        buf_add_u8(out, '.');
    }
    table_quote_ident(out, m->spec->name);
}

/* In the order in which the route names them; those of the records' keys in the table's. */
static void put_key(const struct maker *m, struct buf *out)
{
    const char *before = ",\n    PRIMARY KEY (";

    for (size_t i = 0; i < m->spec->key_count; i++) {
        buf_add_z(out, before);
        table_quote_ident(out, m->spec->key[i]);
        before = ", ";
    }
    for (size_t i = 0; m->spec->key_count == 0 && i < m->out->count; i++) {
        if (m->out->items[i].is_key) {
            buf_add_z(out, before);
            put_ident(out, m->out->items[i].name);
            before = ", ";
        }
    }
    buf_add_z(out, strcmp(before, ", ") == 0 ? ")" : "");
}

static void put_sql(const struct maker *m, const struct shape *row, struct buf *out)
{
    _cleanup_buf_ struct buf comment = {0};

    buf_add_z(out, "CREATE TABLE ");
    put_table(m, out);
    buf_add_z(out, " (\n");
    for (size_t i = 0; i < m->out->count; i++) {
        const struct new_column *c = &m->out->items[i];
        buf_add_z(out, i == 0 ? "    " : ",\n    ");
        put_ident(out, c->name);
        buf_printf(out, " " STR_FMT "%s", STR_ARG(c->type), c->not_null ? " NOT NULL" : "");
    }
    put_key(m, out);
    buf_add_z(out, "\n);\nCOMMENT ON TABLE ");
    put_table(m, out);
    buf_printf(&comment, "made by pgsinkd for %s", m->spec->source);
    if (row->name.n > 0) {
        buf_printf(&comment, ", schema " STR_FMT, STR_ARG(row->name));
    }
    buf_add_z(out, " IS ");
    put_literal(out, buf_cstr(&comment));
    buf_add_z(out, ";\n");
}

static bool make(struct maker *m, const struct shape *row, const struct shape *key)
{
    const struct new_table_spec *s = m->spec;

    if (row->field_count > COLUMNS_MAX) {
        return error_set(m->err, ERROR_SETUP,
                         "the records have %" PRIu32 " fields, and a table has at most %d columns",
                         row->field_count, COLUMNS_MAX);
    }
    for (uint32_t i = 0; i < row->field_count; i++) {
        if (!add_field(m, &row->fields[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < s->extra_count; i++) {
        add_extra(m, &s->extras[i]);
    }
    add_metadata(m);
    if (m->out->count == 0) {
        return error_set(m->err, ERROR_SETUP, "the records have no fields");
    }
    return add_key(m, key);
}

bool new_columns_make(const struct shape *row, const struct shape *key,
                      const struct new_table_spec *spec, struct new_columns *out, struct error *err)
{
    enum { METADATA = 4 };
    struct maker m = {.spec = spec, .out = out, .err = err};

    assert(row->kind == SHAPE_RECORD);
    size_t most = row->field_count + spec->extra_count + METADATA;
    out->items = arena_alloc(&out->memory, most * sizeof *out->items);
    return make(&m, row, key);
}

void new_columns_done(struct new_columns *c)
{
    arena_done(&c->memory);
    *c = (struct new_columns){0};
}

bool new_table_print(const struct shape *row, const struct shape *key,
                     const struct new_table_spec *spec, struct buf *out, struct error *err)
{
    struct new_columns columns = {0};
    const struct maker m = {.spec = spec, .out = &columns, .err = err};
    bool ok = new_columns_make(row, key, spec, &columns, err);

    if (ok) {
        put_sql(&m, row, out);
    }
    new_columns_done(&columns);
    return ok;
}
