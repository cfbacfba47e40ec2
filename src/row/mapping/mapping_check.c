/*
 * What a spec has wrong whatever its table is: paths that do not parse or lead nowhere, conditions
 * that do not compile. Any thread.
 */
#include "row/mapping/mapping_state.h"
#include "row/path/path.h"

/* Is it the path of a value that a record may have? */
static bool check_path(const struct mapping *m, const char *text, struct error *err)
{
    struct path path = {0};
    bool ok = path_parse(text, &path, err);

    if (ok && !mapping_check_path(m, &path, err)) {
        ok = error_wrap(err, "%s", text);
    }
    path_done(&path);
    return ok;
}

static bool check_entry(const struct mapping *m, const struct mapping_entry *entry,
                        size_t *out_value, struct error *err)
{
    const struct mapping_value single = {.path = entry->path};
    const struct mapping_value *values = entry->path != NULL ? &single : entry->values;
    size_t count = entry->path != NULL ? 1 : entry->value_count;

    if (mapping_is_kept(entry) || entry->sql != NULL) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (values[i].path != NULL && !check_path(m, values[i].path, err)) {
            *out_value = i;
            return mapping_column_fault(err, entry->column);
        }
    }
    return true;
}

static bool check_all(struct mapping *m, const struct mapping_spec *spec, enum mapping_part *part,
                      size_t *out_value, struct error *err)
{
    *part = MAPPING_EXPLODE;
    if (!mapping_set_explode(m, spec, err)) {
        return false;
    }
    *part = MAPPING_ROOT;
    if (!mapping_set_root(m, spec, err)) {
        return false;
    }
    *part = MAPPING_COLUMN;
    for (size_t i = 0; i < spec->entry_count; i++) {
        if (!check_entry(m, &spec->entries[i], out_value, err)) {
            return false;
        }
    }
    *part = MAPPING_WHEN;
    if (!mapping_set_when(m, spec, err)) {
        return false;
    }
    *part = MAPPING_DELETE_WHEN;
    return mapping_set_delete_when(m, spec, err);
}

bool mapping_check(const struct mapping_spec *spec, size_t *out_value, struct error *err)
{
    struct mapping *m = mapping_begin(spec);
    enum mapping_part part;

    m->deletes = spec->deletes;
    *out_value = 0;
    bool ok = check_all(m, spec, &part, out_value, err);
    if (!ok && spec->out_part != NULL) {
        *spec->out_part = part;
    }
    mapping_free(m);
    return ok;
}
