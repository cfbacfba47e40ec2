/*
 * Compiling a mapping: for every column of the table a path, by an entry, by the convention, or
 * none; then the path's tree node or source, and whether the type can take it. Main thread, once
 * per route.
 */
#include "row/mapping.h"

#include "base/mem.h"
#include "row/fill.h"
#include "row/path.h"

#include <stdlib.h>
#include <string.h>

/* ---- where a column's value comes from when no entry says it ---- */

struct convention {
    const char *column;
    const char *path;
};

static const struct convention underscored[] = {
    {"_topic", "meta.topic"},
    {"_partition", "meta.partition"},
    {"_offset", "meta.offset"},
    {"_timestamp", "meta.timestamp"},
    {"_key", "key"},
    {"_headers", "headers"},
};

static const struct convention raw[] = {
    {"topic", "meta.topic"},
    {"partition", "meta.partition"},
    {"offset", "meta.offset"},
    {"timestamp", "meta.timestamp"},
    {"key", "key"},
    {"value", "value"},
    {"headers", "headers"},
};

static const char *conventional(const struct convention *list, size_t n, const char *column)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].column, column) == 0) {
            return list[i].path;
        }
    }
    return NULL;
}

/* The path of a column without an entry into *out; false when nothing fills it. */
static bool default_path(enum mapping_format format, const struct column *c, struct path *out)
{
    struct error err;
    const char *path = conventional(underscored, ARRAY_LEN(underscored), c->name);
    if (c->generated || c->identity) {
        return false;
    }
    if (!path && format == FORMAT_RAW) {
        path = conventional(raw, ARRAY_LEN(raw), c->name);
    }
    if (path) {
        return path_parse(path, out, &err);
    }
    if (format == FORMAT_JSON) {
        *out = (struct path){.root = PATH_VALUE};
        path_add(out, str_of(c->name));
    }
    return format == FORMAT_JSON;
}

static const struct mapping_entry *entry_of(const struct mapping_spec *spec, const char *column)
{
    for (size_t i = 0; i < spec->entry_count; i++) {
        if (strcmp(spec->entries[i].column, column) == 0) {
            return &spec->entries[i];
        }
    }
    return NULL;
}

/* ---- which source goes into which type ---- */

static bool is_text(enum column_type t)
{
    return t == TYPE_TEXT || t == TYPE_VARCHAR || t == TYPE_BPCHAR;
}

static bool is_json(enum column_type t)
{
    return t == TYPE_JSON || t == TYPE_JSONB;
}

static bool is_number(enum column_type t)
{
    return t == TYPE_INT2 || t == TYPE_INT4 || t == TYPE_INT8 || t == TYPE_FLOAT4 ||
           t == TYPE_FLOAT8 || t == TYPE_NUMERIC;
}

static bool is_time(enum column_type t)
{
    return t == TYPE_DATE || t == TYPE_TIME || t == TYPE_TIMESTAMP || t == TYPE_TIMESTAMPTZ;
}

static bool meta_fits(enum path_meta meta, enum column_type t)
{
    switch (meta) {
    case META_TOPIC:
        return is_text(t);
    case META_PARTITION:
    case META_OFFSET:
        return is_text(t) || is_number(t);
    case META_TIMESTAMP:
        return t == TYPE_TIMESTAMPTZ || t == TYPE_TIMESTAMP || t == TYPE_DATE || t == TYPE_INT8 ||
               t == TYPE_NUMERIC;
    }
    __builtin_unreachable();
}

static bool path_fits(const struct path *p, enum mapping_format format, enum column_type t)
{
    switch (p->root) {
    case PATH_META:
        return meta_fits(p->meta, t);
    case PATH_HEADERS:
        return p->name_count > 0 || is_text(t) || is_json(t);
    case PATH_VALUE:
        return p->name_count > 0 || format == FORMAT_RAW || is_text(t) || is_json(t) ||
               t == TYPE_BYTEA;
    case PATH_KEY:
        break;
    }
    return true;
}

/* Can the record lack it, so that a DEFAULT comes in? Kafka's null for a whole key or value is a
 * NULL. */
static bool path_may_lack(const struct path *p)
{
    return p->name_count > 0 || (p->root == PATH_META && p->meta == META_TIMESTAMP);
}

static bool check_type(const struct fill *f, enum mapping_format format, struct error *err)
{
    const struct column *c = f->column;
    if (c->type == TYPE_OTHER) {
        error_set(err, ERROR_SETUP, "column '%s': type %s is not supported yet", c->name,
                  c->type_name);
        return error_hint(err, "Use a column of another type, or a table without this column and a "
                               "view or trigger behind it.");
    }
    if (!path_fits(f->path, format, c->type)) {
        error_set(err, ERROR_SETUP, "column '%s': %s cannot go into %s", c->name, f->source_text,
                  c->type_name);
        return error_hint(err, "Change the type of the column, or map it with columns: to another "
                               "source.");
    }
    return true;
}

/* The unit that holds for the values; a record's own timestamp counts milliseconds. */
static bool set_unit(struct fill *f, enum time_unit declared, struct error *err)
{
    enum column_type t = f->column->type;
    bool meta = f->path->root == PATH_META;
    f->unit = meta && f->path->meta == META_TIMESTAMP ? UNIT_MS : declared;
    if (declared != UNIT_NONE && (!is_time(t) || meta)) {
        error_set(err, ERROR_SETUP,
                  "column '%s': a unit is for a number that goes into a date or time, not "
                  "for %s into %s",
                  f->column->name, f->source_text, f->column->type_name);
        return error_hint(err, "Take the unit away, or give the column a date or time type.");
    }
    return true;
}

/* ---- building ---- */

static uint32_t tree_node(struct fields *tree, const struct path *p)
{
    uint32_t node = 0;
    for (size_t i = 0; i < p->name_count; i++) {
        node = fields_add(tree, node, p->names[i]);
    }
    return node;
}

static enum source_kind source_kind_of(const struct fill *f, enum mapping_format format)
{
    static const enum source_kind metas[] = {
        [META_TOPIC] = SOURCE_TOPIC,
        [META_PARTITION] = SOURCE_PARTITION,
        [META_OFFSET] = SOURCE_OFFSET,
        [META_TIMESTAMP] = SOURCE_TIMESTAMP,
    };
    switch (f->path->root) {
    case PATH_META:
        return metas[f->path->meta];
    case PATH_HEADERS:
        return f->path->name_count > 0 ? SOURCE_HEADER : SOURCE_HEADERS;
    case PATH_KEY:
        return SOURCE_KEY_BYTES;
    case PATH_VALUE:
        break;
    }
    return format == FORMAT_JSON && f->column->type != TYPE_BYTEA ? SOURCE_VALUE_JSON
                                                                  : SOURCE_VALUE_BYTES;
}

static void add_source(struct mapping *m, struct fill *f)
{
    m->sources = mem_grow(m->sources, &m->source_cap, m->source_count, sizeof *m->sources);
    m->sources[m->source_count] = (struct source){
        .kind = source_kind_of(f, m->format),
        .header = f->path->root == PATH_HEADERS && f->path->name_count > 0 ? f->path->names[0]
                                                                           : (struct str){0},
    };
    f->origin = ORIGIN_SOURCE;
    f->cell = (uint32_t) m->source_count++;
}

static void place(struct mapping *m, struct fill *f)
{
    const struct path *p = f->path;
    if (p->root == PATH_VALUE && m->format == FORMAT_JSON) {
        m->reads_value = true;
    }
    if (p->root == PATH_HEADERS) {
        m->wants_headers = true;
    }
    if (p->root == PATH_VALUE && p->name_count > 0) {
        f->origin = ORIGIN_VALUE;
        f->cell = tree_node(&m->value, p);
    } else if (p->root == PATH_KEY && p->name_count > 0) {
        f->origin = ORIGIN_KEY;
        f->cell = tree_node(&m->key, p);
    } else {
        add_source(m, f);
    }
}

static char *path_text(const struct path *p, bool with_root)
{
    struct buf text _cleanup_buf_ = {0};
    path_print(p, with_root, &text);
    return mem_strdup(buf_cstr(&text));
}

/* A column that path fills; the mapping takes over what path owns. */
static bool add_fill(struct mapping *m, size_t column, struct path *path, enum time_unit unit,
                     struct error *err)
{
    struct fill *f = &m->fills[m->fill_count++];
    *f = (struct fill){
        .column = &m->table->columns[column],
        .omit_bit = -1,
        .path = mem_alloc(sizeof *path),
        .source_text = path_text(path, true),
        .field_text = path_text(path, false),
    };
    *f->path = *path;
    if (m->format == FORMAT_RAW && path->root == PATH_VALUE && path->name_count > 0) {
        error_set(err, ERROR_SETUP, "column '%s': %s: with format raw a value has no fields",
                  f->column->name, f->source_text);
        return error_hint(err, "Use format json, or map the whole value.");
    }
    if (!check_type(f, m->format, err) || !set_unit(f, unit, err)) {
        return false;
    }
    place(m, f);
    m->notes[column] = f->source_text;
    static const char *const units[] = {"", ", numbers in s", ", numbers in ms", ", numbers in us",
                                        ", numbers in ns"};
    m->encodings[column] = mem_printf("%s binary%s", column_type_name(f->column->type),
                                      units[unit]);
    return true;
}

/* The column that soft deletes mark. */
static bool add_mark(struct mapping *m, size_t column, const struct mapping_spec *spec,
                     struct error *err)
{
    const struct column *c = &m->table->columns[column];
    if (!mapping_check_mark(c, err)) {
        return false;
    }
    if (entry_of(spec, c->name)) {
        error_set(err, ERROR_SETUP, "column '%s': soft_delete fills it", c->name);
        return error_hint(err, "Take its entry out of columns:.");
    }
    struct fill *f = &m->fills[m->fill_count++];
    *f = (struct fill){
        .column = c,
        .omit_bit = -1,
        .is_mark = true,
        .unit = c->type == TYPE_BOOL ? UNIT_NONE : UNIT_MS,
        .origin = ORIGIN_SOURCE,
        .source_text = mem_strdup("soft_delete"),
        .cell = (uint32_t) m->source_count,
    };
    m->sources = mem_grow(m->sources, &m->source_cap, m->source_count, sizeof *m->sources);
    m->sources[m->source_count++] = (struct source){.kind = SOURCE_MARK};
    m->notes[column] = f->source_text;
    m->encodings[column] = mem_printf("%s binary", column_type_name(c->type));
    return true;
}

/* A column that nothing fills: says why, or that it cannot be. */
static bool leave_out(struct mapping *m, size_t column, struct error *err)
{
    const struct column *c = &m->table->columns[column];
    m->notes[column] = c->generated     ? "generated"
                       : c->identity    ? "identity"
                       : c->has_default ? "default"
                                        : "not filled: NULL";
    if (c->not_null && !c->generated && !c->identity && !c->has_default) {
        error_set(err, ERROR_SETUP,
                  "column '%s': it is NOT NULL without a default, and nothing "
                  "fills it",
                  c->name);
        return error_hint(err, "Map it with columns:, or give it a DEFAULT.");
    }
    return true;
}

static bool add_column(struct mapping *m, size_t column, const struct mapping_spec *spec,
                       struct error *err)
{
    const struct column *c = &m->table->columns[column];
    const struct mapping_entry *entry = entry_of(spec, c->name);
    struct path path = {0};
    if (spec->soft_delete && strcmp(spec->soft_delete, c->name) == 0) {
        return add_mark(m, column, spec, err);
    }
    if (!entry) {
        return default_path(m->format, c, &path) ? add_fill(m, column, &path, UNIT_NONE, err)
                                                 : leave_out(m, column, err);
    }
    if (c->generated || c->identity_always) {
        error_set(err, ERROR_SETUP,
                  "column '%s': it is GENERATED ALWAYS%s and cannot be "
                  "filled",
                  c->name, c->generated ? "" : " AS IDENTITY");
        return error_hint(err, "Take its entry out of columns:.");
    }
    if (!path_parse(entry->path, &path, err)) {
        return error_wrap(err, "column '%s'", c->name);
    }
    return add_fill(m, column, &path, entry->unit, err);
}

static bool check_entries(const struct table *table, const struct mapping_spec *spec,
                          struct error *err)
{
    for (size_t i = 0; i < spec->entry_count; i++) {
        const char *name = spec->entries[i].column;
        if (table_column(table, str_of(name))) {
            continue;
        }
        const char **names _cleanup_mem_ = mem_array(table->column_count + 1, sizeof *names);
        for (size_t k = 0; k < table->column_count; k++) {
            names[k] = table->columns[k].name;
        }
        const char *near = str_nearest(name, names, table->column_count);
        error_set(err, ERROR_SETUP, "table %s has no column '%s'", table->quoted, name);
        return near ? error_hint(err, "Did you mean '%s'?", near)
                    : error_hint(err, "Column names are case-sensitive, as the catalog has them.");
    }
    return true;
}

/* An update leaves alone what the record lacks; other rows need a DEFAULT for that. */
static bool may_be_left_out(const struct mapping *m, const struct fill *f)
{
    return m->target.omit_leaves || f->column->has_default || f->column->identity;
}

/* Bits for the columns that a row may leave out. */
static bool number_omit_bits(struct mapping *m, struct error *err)
{
    int bits = 0;
    for (size_t i = 0; i < m->fill_count; i++) {
        struct fill *f = &m->fills[i];
        bool needed = f->is_key || f->is_version || f->is_mark;
        if (needed || !may_be_left_out(m, f) || !path_may_lack(f->path)) {
            continue;
        }
        if (bits == TARGET_OMIT_MAX) {
            error_set(err, ERROR_SETUP, "table %s: more than %d columns with a DEFAULT are filled",
                      m->table->quoted, TARGET_OMIT_MAX);
            return error_hint(err, "Drop the DEFAULT of columns that every record fills.");
        }
        f->omit_bit = bits++;
    }
    return true;
}

static void finish(struct mapping *m)
{
    fields_seal(&m->value);
    fields_seal(&m->key);
    m->cell_count = mapping_source_cell(m) + m->source_count;
    m->target.column_count = m->fill_count;
    for (size_t i = 0; i < m->fill_count; i++) {
        struct fill *f = &m->fills[i];
        if (f->origin == ORIGIN_KEY) {
            f->cell += (uint32_t) mapping_key_cell(m);
        } else if (f->origin == ORIGIN_SOURCE) {
            f->cell += (uint32_t) mapping_source_cell(m);
        }
        m->target.columns[i] = (struct target_column){
            .column = f->column,
            .omit_bit = f->omit_bit,
            .is_key = f->is_key,
            .is_version = f->is_version,
            .is_mark = f->is_mark,
        };
    }
}

static bool build(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    if (!check_entries(m->table, spec, err)) {
        return false;
    }
    for (size_t i = 0; i < m->table->column_count; i++) {
        if (!add_column(m, i, spec, err)) {
            return false;
        }
    }
    if (m->fill_count == 0) {
        error_set(err, ERROR_SETUP, "no column of table %s is filled", m->table->quoted);
        return error_hint(err, "Map columns with columns:, or use a format whose names the table "
                               "has.");
    }
    if (!mapping_set_mode(m, spec, err) || !number_omit_bits(m, err)) {
        return false;
    }
    finish(m);
    return true;
}

struct mapping *mapping_new(const struct table *table, const struct mapping_spec *spec,
                            uint32_t target_id, struct error *err)
{
    struct mapping *m = mem_zalloc(sizeof *m);
    size_t n = MAX(table->column_count, 1);
    m->table = table;
    m->format = spec->format;
    m->action = spec->action;
    m->deletes = spec->deletes;
    m->marks = spec->soft_delete != NULL;
    m->target = (struct target){
        .id = target_id,
        .table = table,
        .route = spec->route,
        .omit_leaves = spec->action == ROW_UPDATE,
        .columns = mem_array(n, sizeof *m->target.columns),
    };
    m->fills = mem_array(n, sizeof *m->fills);
    m->encodings = mem_array(n, sizeof *m->encodings);
    m->notes = mem_array(n, sizeof *m->notes);
    fields_init(&m->value);
    fields_init(&m->key);
    return build(m, spec, err) ? m : mapping_free(m);
}

struct mapping *mapping_free(struct mapping *m)
{
    if (!m) {
        return NULL;
    }
    for (size_t i = 0; i < m->fill_count; i++) {
        if (m->fills[i].path) {
            path_done(m->fills[i].path);
            free(m->fills[i].path);
        }
        free(m->fills[i].source_text);
        free(m->fills[i].field_text);
    }
    for (size_t i = 0; i < m->table->column_count; i++) {
        free(m->encodings[i]);
    }
    fields_done(&m->value);
    fields_done(&m->key);
    free(m->sources);
    free(m->encodings);
    free(m->notes);
    free(m->fills);
    free(m->target.columns);
    free(m);
    return NULL;
}

const struct target *mapping_target(const struct mapping *m)
{
    return &m->target;
}

bool mapping_wants_headers(const struct mapping *m)
{
    return m->wants_headers;
}

void mapping_describe(const struct mapping *m, size_t table_column, const char **out_source,
                      const char **out_encoding)
{
    *out_source = m->notes[table_column];
    *out_encoding = m->encodings[table_column] ? m->encodings[table_column] : "";
}
