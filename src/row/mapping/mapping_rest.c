/* Fields that no column takes: what the mapping has to know. Main thread, once per route. */
#include "base/mem.h"
#include "row/mapping/mapping_state.h"

static bool no_column(const struct mapping *m, const char *name, struct error *err)
{
    error_set(err, ERROR_SETUP, "unknown_fields: table %s has no column '%s'", m->table->quoted,
              name);
    return error_hint(err, "ALTER TABLE %s ADD COLUMN \"%s\" jsonb; or ignore, or error.",
                      m->table->quoted, name);
}

bool mapping_set_rest(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    m->unknown = spec->unknown;
    if (m->unknown == UNKNOWN_IGNORE) {
        return true;
    }
    m->reads_value = true;
    if (!mapping_check_fields(m, err)) {
        error_wrap(err, "unknown_fields");
        return error_hint(err, "Use format json, or unknown_fields: ignore.");
    }
    bool there = m->unknown == UNKNOWN_FAULT ||
                 table_column(m->table, str_of(spec->unknown_column)) != NULL;
    return there || no_column(m, spec->unknown_column, err);
}

bool mapping_check_rest(const struct column *c, struct error *err)
{
    if (column_type_is_json(c->type) && !c->generated) {
        return true;
    }
    error_set(err, ERROR_SETUP, "unknown_fields: it is %s",
              c->generated ? "generated" : c->type_name);
    return error_hint(err, "Fields are collected in a json or jsonb column.");
}
