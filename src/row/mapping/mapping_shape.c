/*
 * What a route does to a record besides filling columns: which array it explodes, which records its
 * condition takes. Main thread, once per route.
 */
#include "base/mem.h"
#include "row/mapping/mapping_state.h"
#include "row/mapping/place.h"
#include "row/path/path.h"

#include <stdlib.h>
#include <string.h>

bool mapping_check_fields(const struct mapping *m, struct error *err)
{
    return m->format->has_fields ||
           error_set(err, ERROR_SETUP, "with format %s a value has no fields", m->format->name);
}

bool mapping_check_path(const struct mapping *m, const struct path *p, struct error *err)
{
    if (p->root == PATH_VALUE && p->name_count > 0 && !mapping_check_fields(m, err)) {
        return error_hint(err, "Use format json, or the whole value.");
    }
    if (p->root == PATH_KEY && p->name_count > 0 && !m->key_format->has_fields) {
        error_set(err, ERROR_SETUP, "with key_format %s a key has no fields", m->key_format->name);
        return error_hint(err, "Use key_format: json, or the whole key.");
    }
    if (p->root == PATH_META && p->meta >= META_SCHEMA && !m->format->wants_schema) {
        return error_set(err, ERROR_SETUP, "with format %s a value has no schema", m->format->name);
    }
    bool is_index = p->root == PATH_META && p->meta == META_INDEX;
    if ((p->root == PATH_ITEM && !mapping_has_item(m)) || (is_index && !m->explodes)) {
        error_set(err, ERROR_SETUP, "there are no elements");
        return error_hint(err, "Name the array with explode: value.items");
    }
    return true;
}

/* ---- explode ---- */

/* Does the entry take the whole element? */
static bool takes_whole_item(const struct mapping_entry *entry)
{
    bool found = entry->path != NULL && strcmp(entry->path, "item") == 0;

    for (size_t i = 0; i < entry->value_count; i++) {
        const char *path = entry->values[i].path;
        found |= path != NULL && strcmp(path, "item") == 0;
    }
    return found;
}

static bool check_array(const struct mapping *m, const struct path *path, struct error *err)
{
    if (!mapping_check_fields(m, err)) {
        error_wrap(err, "explode");
        return error_hint(err, "Use format json.");
    }
    if (path->root != PATH_VALUE) {
        error_set(err, ERROR_SETUP, "explode: the array is in the value");
        return error_hint(err, "Name it as value.items, or value if it is the whole value.");
    }
    if (m->deletes == DELETE_TOMBSTONE) {
        error_set(err, ERROR_SETUP,
                  "explode: a tombstone has no elements, so nothing would be "
                  "deleted");
        return error_hint(err, "Take delete: tombstone away.");
    }
    return true;
}

bool mapping_set_explode(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    struct path path = {0};

    if (spec->explode == NULL) {
        return true;
    }
    if (!path_parse(spec->explode, &path, err)) {
        return error_wrap(err, "explode");
    }
    bool ok = check_array(m, &path, err);
    if (ok) {
        m->explodes = true;
        m->array = place_operand(m, &path);
        m->array_text = mem_strdup(spec->explode);
    }
    for (size_t i = 0; i < spec->entry_count; i++) {
        m->takes_whole_items |= takes_whole_item(&spec->entries[i]);
    }
    path_done(&path);
    return ok;
}

/* ---- root ---- */

static bool check_root(const struct path *path, struct error *err)
{
    if (path->root == PATH_VALUE) {
        return true;
    }
    error_set(err, ERROR_SETUP, "root: the object is in the value");
    return error_hint(err, "Name it as value.data");
}

static void set_root(struct mapping *m, const struct path *path, bool parses)
{
    struct place place = place_operand(m, path);

    m->value.nodes[place.number].is_whole = parses; /* else only its fields are wanted */
    m->row = place.number;
    m->parses_root = parses;
    m->root = mem_array(MAX(path->name_count, 1), sizeof *m->root);
    for (size_t i = 0; i < path->name_count; i++) {
        struct str name = path->names[i];
        m->root[m->root_count++] = (struct str){.p = mem_strndup(name.p, name.n), .n = name.n};
    }
}

bool mapping_set_root(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    struct path path = {0};

    if (spec->root == NULL) {
        return true;
    }
    bool ok = path_parse(spec->root, &path, err) || error_wrap(err, "root");
    ok = ok && check_root(&path, err);
    if (ok) {
        set_root(m, &path, spec->parses_root);
        m->root_text = mem_strdup(spec->root);
    }
    path_done(&path);
    return ok;
}

/* ---- when ---- */

static bool set_filter(struct mapping *m, struct filter *f, const char *text, struct error *err)
{
    f->condition = condition_new(text, err);
    if (f->condition == NULL) {
        return false;
    }
    size_t n = condition_path_count(f->condition);
    f->places = mem_array(MAX(n, 1), sizeof *f->places);
    for (size_t i = 0; i < n; i++) {
        const struct path *path = condition_path(f->condition, i);
        if (!mapping_check_path(m, path, err)) {
            return false;
        }
        f->places[i] = place_operand(m, path);
    }
    return true;
}

static bool is_of_element(const struct path *path)
{
    return path->root == PATH_ITEM || (path->root == PATH_META && path->meta == META_INDEX);
}

bool mapping_set_when(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    if (spec->when == NULL) {
        return true;
    }
    if (!set_filter(m, &m->when, spec->when, err)) {
        return error_wrap(err, "when");
    }
    for (size_t i = 0; i < condition_path_count(m->when.condition); i++) {
        m->when_per_element |= m->explodes && is_of_element(condition_path(m->when.condition, i));
    }
    return true;
}

bool mapping_set_delete_when(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    return spec->delete_when == NULL || set_filter(m, &m->delete_when, spec->delete_when, err) ||
           error_wrap(err, "delete_when");
}

void filter_done(struct filter *f)
{
    f->condition = condition_free(f->condition);
    free(f->places);
}

static void bind(const struct mapping *m, const struct filter *f)
{
    for (size_t i = 0; f->condition != NULL && i < condition_path_count(f->condition); i++) {
        condition_bind(f->condition, i, place_cell(m, f->places[i]));
    }
}

void mapping_bind_shape(struct mapping *m)
{
    m->array_cell = place_cell(m, m->array);
    bind(m, &m->when);
    bind(m, &m->delete_when);
}
