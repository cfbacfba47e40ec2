/*
 * Compiling a mapping: for every column of the table a path, by an entry, by the convention, or
 * none; then the path's tree node or source, and whether the type can take it. Main thread, once
 * per route.
 */
#include "row/mapping/mapping.h"

#include "base/mem.h"
#include "row/mapping/mapping_state.h"
#include "row/mapping/place.h"
#include "row/mapping/recipe.h"
#include "row/mapping/template.h"
#include "row/path/path.h"

#include <stdio.h>
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

static const struct convention exploded[] = {
    {"_index", "meta.index"},
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
static bool default_path(const struct mapping *m, const struct column *c, struct path *out)
{
    struct error err;
    const char *path = conventional(underscored, ARRAY_LEN(underscored), c->name);
    bool changes = mapping_is_change(m);

    if (c->generated || (c->identity && !changes)) {
        return false;
    }
    if (path == NULL && m->explodes) {
        path = conventional(exploded, ARRAY_LEN(exploded), c->name);
    }
    if (path == NULL && !m->format->has_fields) {
        path = conventional(raw, ARRAY_LEN(raw), c->name);
    }
    if (path != NULL) {
        return path_parse(path, out, &err);
    }
    if (!m->format->has_fields || m->takes_whole_items) {
        return false;
    }
    *out = (struct path){.root = mapping_has_item(m) ? PATH_ITEM : PATH_VALUE};
    if (changes) {
        path_add(out, STR_LIT("after"));
    }
    for (size_t i = 0; i < m->root_count && !m->parses_root; i++) {
        path_add(out, m->root[i]);
    }
    path_add(out, str_of(c->name));
    out->is_column = true;
    return true;
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

/* ---- columns ---- */

/* The recipe is complete: the column has its fill. */
static void add_fill(struct mapping *m, size_t column, const struct recipe *r)
{
    struct fill *f = &m->fills[m->fill_count++];

    recipe_fill(m, r, f);
    m->notes[column] = f->source_text;
    m->encodings[column] = recipe_encoding(r);
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
                  "it is NOT NULL without a default, and nothing "
                  "fills it");
        return error_hint(err, "Map it with columns:, or give it a DEFAULT.");
    }
    return true;
}

/* A column that an option fills, not a path: it takes what the decoder makes for each row. */
static bool add_made(struct mapping *m, size_t column, const struct mapping_spec *spec,
                     const char *option, struct place place, struct error *err)
{
    const struct column *c = &m->table->columns[column];

    if (entry_of(spec, c->name) != NULL) {
        error_set(err, ERROR_SETUP, "%s fills it", option);
        return error_hint(err, "Take its entry out of columns:.");
    }
    struct fill *f = &m->fills[m->fill_count++];
    *f = (struct fill){
        .column = c,
        .omit_bit = -1,
        .place = place,
        .source_text = mem_strdup(option),
    };
    m->notes[column] = f->source_text;
    m->encodings[column] = mem_printf("%s binary", column_type_name(c->type));
    return true;
}

/* The column that soft deletes mark. */
static bool add_mark(struct mapping *m, size_t column, const struct mapping_spec *spec,
                     struct error *err)
{
    const struct column *c = &m->table->columns[column];

    if (!mapping_check_mark(c, err) ||
        !add_made(m, column, spec, "soft_delete", place_mark(m), err)) {
        return false;
    }
    m->fills[m->fill_count - 1].is_mark = true;
    return true;
}

/* The column that collects the fields that no other takes. */
static bool add_rest(struct mapping *m, size_t column, const struct mapping_spec *spec,
                     struct error *err)
{
    m->rest = place_rest(m);
    return mapping_check_rest(&m->table->columns[column], err) &&
           add_made(m, column, spec, "unknown_fields", m->rest, err);
}

static bool add_default(struct mapping *m, size_t column, struct recipe *r, struct error *err)
{
    struct path path = {0};

    if (!default_path(m, r->column, &path)) {
        return leave_out(m, column, err);
    }
    bool ok = recipe_add_path(m, r, &path, err);
    bool is_by_name = path.is_column;
    bool of_event = mapping_is_change(m) && path.root == PATH_VALUE;
    path_done(&path);
    if (ok) {
        add_fill(m, column, r);
        m->fills[m->fill_count - 1].is_by_name = is_by_name;
    }
    if (ok && of_event) {
        mapping_change_of_event(&m->fills[m->fill_count - 1]);
    }
    return ok;
}

static void add_expression(struct mapping *m, size_t column, const char *sql)
{
    const struct column *c = &m->table->columns[column];

    mapping_add_expression(m, c, sql);
    m->notes[column] = m->target.expressions[m->target.expression_count - 1].sql;
    m->encodings[column] = mem_strdup("computed by PostgreSQL");
}

bool mapping_is_kept(const struct mapping_entry *entry)
{
    const char *path = entry->value_count == 1 ? entry->values[0].path : entry->path;

    return path != NULL && strcmp(path, "keep") == 0;
}

static bool keep(struct mapping *m, size_t column, struct error *err)
{
    const struct column *c = &m->table->columns[column];

    if (!leave_out(m, column, err)) {
        return false;
    }
    m->notes[column] = c->has_default && !c->generated ? "kept; default in a new row" : "kept";
    return true;
}

static bool add_entry(struct mapping *m, size_t column, const struct mapping_entry *entry,
                      struct recipe *r, struct error *err)
{
    if (mapping_is_kept(entry)) {
        return keep(m, column, err);
    }
    if (r->column->generated) {
        error_set(err, ERROR_SETUP, "it is %s and cannot be filled",
                  m->table->is_view ? "computed by the view" : "GENERATED ALWAYS");
        return error_hint(err, "Take its entry out of columns:.");
    }
    if (entry->sql != NULL) {
        add_expression(m, column, entry->sql);
        return true;
    }
    struct mapping_value path = {.path = entry->path};
    const struct mapping_value *values = entry->path != NULL ? &path : entry->values;
    size_t count = entry->path != NULL ? 1 : entry->value_count;
    r->unit = entry->unit != UNIT_NONE ? entry->unit : r->unit;
    r->parses = entry->parses;
    for (size_t i = 0; i < count; i++) {
        if (!recipe_add_value(m, r, &values[i], err)) {
            return false;
        }
    }
    if (entry->unit != UNIT_NONE && !recipe_check_unit(r, err)) {
        return false;
    }
    add_fill(m, column, r);
    return true;
}

bool mapping_column_fault(struct error *err, const char *name)
{
    snprintf(err->column, sizeof err->column, "%s", name);
    return error_wrap(err, "column '%s'", name);
}

static bool add_column(struct mapping *m, size_t column, const struct mapping_spec *spec,
                       struct error *err)
{
    const struct column *c = &m->table->columns[column];
    struct recipe r;
    const struct mapping_entry *entry = entry_of(spec, c->name);
    bool ok;

    recipe_init(&r, m, c);
    if (spec->soft_delete != NULL && strcmp(spec->soft_delete, c->name) == 0) {
        ok = add_mark(m, column, spec, err);
    } else if (spec->unknown == UNKNOWN_COLLECT && strcmp(spec->unknown_column, c->name) == 0) {
        ok = add_rest(m, column, spec, err);
    } else {
        ok = entry != NULL ? add_entry(m, column, entry, &r, err) : add_default(m, column, &r, err);
    }
    recipe_done(&r);
    return ok || mapping_column_fault(err, c->name);
}

static bool check_entries(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    const struct table *table = m->table;

    for (size_t i = 0; i < spec->entry_count; i++) {
        const char *name = spec->entries[i].column;
        if (table_column(table, str_of(name)) != NULL) {
            continue;
        }
        _cleanup_mem_ const char **names = mem_array(table->column_count + 1, sizeof *names);
        for (size_t k = 0; k < table->column_count; k++) {
            names[k] = table->columns[k].name;
        }
        const char *near = str_nearest(name, names, table->column_count);
        error_set(err, ERROR_SETUP, "table %s has no column '%s'", table->quoted, name);
        snprintf(err->column, sizeof err->column, "%s", name);
        return near != NULL
                   ? error_hint(err, "Did you mean '%s'?", near)
                   : error_hint(err, "Column names are case-sensitive, as the catalog has them.");
    }
    return true;
}

static void finish(struct mapping *m)
{
    if (mapping_is_change(m)) {
        mapping_change_before(m);
    }
    place_seal(m);
    m->target.column_count = m->fill_count;
    for (size_t i = 0; i < m->fill_count; i++) {
        struct fill *f = &m->fills[i];
        f->cell = place_cell(m, f->place);
        m->target.columns[i] = (struct target_column){
            .column = f->column,
            .omit_bit = f->omit_bit,
            .is_key = f->is_key,
            .is_version = f->is_version,
            .version_rank = f->version_rank,
            .is_mark = f->is_mark,
            .is_input = f->is_input,
        };
        m->target.keys_by_sql |= f->is_key && f->column->compare_as != NULL;
        m->target.has_fixed |= !f->is_key && f->column->identity_always;
    }
    mapping_bind_shape(m);
    mapping_meaning_end(m);
}

/* ---- the steps of making it ---- */

static bool mention_names(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    (void) err;
    if (spec->named_by != NULL) {
        template_mention(m, spec->named_by);
    }
    return true;
}

static bool add_columns(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    for (size_t i = 0; i < m->table->column_count; i++) {
        if (!add_column(m, i, spec, err)) {
            return false;
        }
    }
    mapping_add_inputs(m);
    return true;
}

static bool check_filled(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    (void) spec;
    if (m->fill_count > 0 || m->target.expression_count > 0) {
        return true;
    }
    error_set(err, ERROR_SETUP, "no column of table %s is filled", m->table->quoted);
    return error_hint(err, "Map columns with columns:, or use a format whose names the table has.");
}

/* In this order: each step relies on what those before it have found out. */
static const struct {
    enum mapping_part part; /* of the spec that its faults are about */
    bool (*run)(struct mapping *m, const struct mapping_spec *spec, struct error *err);
} steps[] = {
    {MAPPING_EXPLODE, mapping_set_explode},
    {MAPPING_ROOT, mapping_set_root},
    {MAPPING_TABLE, mention_names},
    {MAPPING_COLUMN, check_entries},
    {MAPPING_TABLE, mapping_set_rest},
    {MAPPING_COLUMN, add_columns},
    {MAPPING_TABLE, check_filled},
    {MAPPING_TABLE, mapping_set_mode},
    {MAPPING_COLUMN, mapping_check_identities},
    {MAPPING_TABLE, mapping_set_omits},
    {MAPPING_WHEN, mapping_set_when},
    {MAPPING_DELETE_WHEN, mapping_set_delete_when},
};

static bool build(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (spec->out_part != NULL) {
            *spec->out_part = steps[i].part; /* which the step may narrow down */
        }
        if (!steps[i].run(m, spec, err)) {
            return false;
        }
    }
    finish(m);
    return true;
}

/* Values and keys are framed in the same way, as far as they are framed at all. */
static void set_framing(struct mapping *m, enum framing_id id)
{
    const struct format *key = key_format_schemas(m->key_format);

    m->framing = (struct framing){
        .id = id,
        .has_message = m->format->has_message,
        .is_binary = m->format->wants_schema && m->format->language == SCHEMA_AVRO,
    };
    m->key_framing = (struct framing){
        .id = id,
        .has_message = key != NULL && key->has_message,
        .is_binary = key != NULL && key->language == SCHEMA_AVRO,
    };
}

struct mapping *mapping_begin(const struct mapping_spec *spec)
{
    struct mapping *m = mem_zalloc(sizeof *m);

    m->format = format_of(spec->format);
    m->key_format = spec->key_format == KEY_AUTO ? key_format_beside(spec->format)
                                                 : key_format_of(spec->key_format);
    m->envelope = spec->envelope;
    m->target.route = m->route = mem_strdup(spec->route);
    m->target.number = spec->number;
    fields_init(&m->value);
    fields_init(&m->key);
    fields_init(&m->item);
    m->value.policy = spec->names;
    m->key.policy = spec->names;
    m->item.policy = spec->names;
    set_framing(m, spec->framing);
    if (mapping_is_change(m)) {
        mapping_change_begin(m);
    }
    mapping_meaning_begin(m, spec);
    return m;
}

struct mapping *mapping_new(const struct table *table, const struct mapping_spec *spec,
                            uint32_t target_id, struct error *err)
{
    struct mapping *m = mapping_begin(spec);
    size_t n = MAX(table->column_count, 1);

    m->table = table;
    m->rules = spec->rules;
    m->action = spec->action;
    m->deletes = spec->deletes;
    m->marks = spec->soft_delete != NULL;
    m->truncates = spec->truncates;
    m->target = (struct target){
        .id = target_id,
        .table = table,
        .route = m->route,
        .number = spec->number,
        .omit_leaves = spec->action == ROW_UPDATE ||
                       (spec->action == ROW_UPSERT && m->placeholder_count > 0),
        .columns = mem_array(n + MAPPING_INPUTS, sizeof *m->target.columns),
    };
    m->fills = mem_array(n + MAPPING_INPUTS, sizeof *m->fills);
    m->encodings = mem_array(n, sizeof *m->encodings);
    m->notes = mem_array(n, sizeof *m->notes);
    return build(m, spec, err) ? m : mapping_free(m);
}

struct mapping *mapping_free(struct mapping *m)
{
    if (m == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < m->fill_count; i++) {
        free(m->fills[i].source_text);
        free(m->fills[i].field_text);
    }
    for (size_t i = 0; m->encodings != NULL && i < m->table->column_count; i++) {
        free(m->encodings[i]);
    }
    mapping_meaning_done(m);
    free(m->route);
    fields_done(&m->value);
    fields_done(&m->key);
    fields_done(&m->item);
    for (size_t i = 0; i < m->source_count; i++) {
        free((void *) (uintptr_t) m->sources[i].text.p);
    }
    for (size_t i = 0; i < m->choice_count; i++) {
        free(m->choices[i].places);
        free(m->choices[i].cells);
    }
    mapping_free_sql(m);
    filter_done(&m->when);
    filter_done(&m->delete_when);
    for (size_t i = 0; i < m->root_count; i++) {
        free((void *) (uintptr_t) m->root[i].p);
    }
    free(m->root);
    free(m->root_text);
    free(m->parsed);
    free(m->array_text);
    free(m->choices);
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
    *out_encoding = m->encodings[table_column] != NULL ? m->encodings[table_column] : "";
}
