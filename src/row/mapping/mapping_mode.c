/*
 * What a mode needs beside columns: a key with a unique index that PostgreSQL can find conflicts
 * by, a version that can be compared, a mark of a type that can say "deleted". Main thread, once
 * per route.
 */
#include "base/mem.h"
#include "row/mapping/mapping_state.h"

#include <stdio.h>
#include <string.h>

/* ---- the key ---- */

static bool needs_key(const struct mapping_spec *spec)
{
    bool by_key = spec->action == ROW_UPSERT || spec->action == ROW_UPDATE ||
                  spec->action == ROW_DELETE;
    bool changes = spec->envelope == ENVELOPE_DEBEZIUM && spec->action != ROW_INSERT;

    return by_key || changes || spec->deletes != DELETE_OFF || spec->delete_when != NULL ||
           spec->key_count > 0;
}

static struct fill *fill_of(struct mapping *m, const char *column)
{
    for (size_t i = 0; i < m->fill_count; i++) {
        if (!m->fills[i].is_input && strcmp(m->fills[i].column->name, column) == 0) {
            return &m->fills[i];
        }
    }
    return NULL;
}

/* What deletes must have the key: a tombstone has no value, a change event of a delete no "after".
 */
static bool check_key_source(const struct mapping *m, const struct fill *f, struct error *err)
{
    bool of_value = f->place.origin == ORIGIN_VALUE;

    if (m->deletes == DELETE_TOMBSTONE && of_value) {
        error_set(err, ERROR_SETUP,
                  "key: column '%s' comes from %s, which a tombstone does not have",
                  f->column->name, f->source_text);
        return error_hint(err, "Map it from the record's key: %s: key.%s", f->column->name,
                          f->column->name);
    }
    if (m->deletes == DELETE_CHANGE && of_value && !f->of_event) {
        error_set(err, ERROR_SETUP, "key: column '%s' comes from %s, which a delete does not have",
                  f->column->name, f->source_text);
        return error_hint(err, "Map it from the record's key: %s: key.%s", f->column->name,
                          f->column->name);
    }
    return true;
}

static bool set_key_column(struct mapping *m, const char *name, struct error *err)
{
    struct fill *f = fill_of(m, name);

    if (f != NULL && !f->is_mark) {
        if (!check_key_source(m, f, err)) {
            return false;
        }
        m->target.key_count += f->is_key ? 0 : 1;
        f->is_key = true;
        return true;
    }
    if (table_column(m->table, str_of(name)) == NULL) {
        error_set(err, ERROR_SETUP, "key: table %s has no column '%s'", m->table->quoted, name);
        return error_hint(err, "Column names are case-sensitive, as the catalog has them.");
    }
    error_set(err, ERROR_SETUP, "key: nothing fills column '%s'", name);
    return error_hint(err, "Map it with columns:, for instance %s: key.%s", name, name);
}

static bool has_name(const struct mapping_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->key_count; i++) {
        if (strcmp(spec->key[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Is the index over exactly these columns, in whatever order? */
static bool is_index_of(const struct table *t, const struct unique *u,
                        const struct mapping_spec *spec)
{
    for (size_t i = 0; i < u->column_count; i++) {
        if (!has_name(spec, t->columns[u->columns[i]].name)) {
            return false;
        }
    }
    return u->column_count == spec->key_count;
}

static bool no_index(const struct table *t, const struct mapping_spec *spec, struct error *err)
{
    _cleanup_buf_ struct buf names = {0};

    for (size_t i = 0; i < spec->key_count; i++) {
        buf_add_z(&names, i > 0 ? ", " : "");
        table_quote_ident(&names, spec->key[i]);
    }
    error_set(err, ERROR_SETUP, "key: table %s has no unique index on (%s)", t->quoted,
              buf_cstr(&names));
    return error_hint(err,
                      "CREATE UNIQUE INDEX CONCURRENTLY ON %s (%s); an index that is partial, "
                      "deferrable or over expressions does not serve.",
                      t->quoted, buf_cstr(&names));
}

static bool set_key(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    const struct table *t = m->table;

    for (size_t i = 0; i < spec->key_count; i++) {
        if (!set_key_column(m, spec->key[i], err)) {
            return false;
        }
    }
    for (size_t i = 0; i < t->unique_count; i++) {
        if (is_index_of(t, &t->uniques[i], spec)) {
            return true;
        }
    }
    return t->is_view || no_index(t, spec, err); /* catalog_check_target asks for a view's */
}

static bool has_primary_key(const struct table *t)
{
    return t->unique_count > 0 && t->uniques[0].is_primary;
}

static bool set_named_key(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    if (set_key(m, spec, err)) {
        return true;
    }
    if (spec->out_part != NULL) {
        *spec->out_part = MAPPING_KEY;
    }
    return false;
}

/* Mode ignore does without a key, for instance where the database makes it. */
static bool fills_primary_key(struct mapping *m)
{
    const struct table *t = m->table;

    for (size_t i = 0; has_primary_key(t) && i < t->uniques[0].column_count; i++) {
        if (fill_of(m, t->columns[t->uniques[0].columns[i]].name) == NULL) {
            return false;
        }
    }
    return has_primary_key(t);
}

static bool set_primary_key(struct mapping *m, struct error *err)
{
    const struct table *t = m->table;

    if (t->is_view) {
        error_set(err, ERROR_SETUP, "view %s has no primary key, and the route names no key",
                  t->quoted);
        return error_hint(err, "Name the columns of a unique index of the table that it reads: "
                               "key: [id]");
    }
    if (!has_primary_key(t)) {
        error_set(err, ERROR_SETUP, "table %s has no primary key, and the route names no key",
                  t->quoted);
        return error_hint(err,
                          "ALTER TABLE %s ADD PRIMARY KEY (...); or name the columns of a "
                          "unique index: key: [id]",
                          t->quoted);
    }
    for (size_t i = 0; i < t->uniques[0].column_count; i++) {
        if (!set_key_column(m, t->columns[t->uniques[0].columns[i]].name, err)) {
            return false;
        }
    }
    return true;
}

/* ---- version and mark ---- */

static bool set_version(struct mapping *m, const struct mapping_spec *spec, uint32_t rank,
                        struct error *err)
{
    const char *name = spec->only_if_newer[rank];
    struct fill *f = fill_of(m, name);

    if (f == NULL) {
        error_set(err, ERROR_SETUP, "only_if_newer: nothing fills column '%s' of table %s", name,
                  m->table->quoted);
        return error_hint(err,
                          "Add the column, or map it with columns:, for instance %s: "
                          "meta.offset",
                          name);
    }
    if (f->is_mark || f->is_key) {
        error_set(err, ERROR_SETUP, "only_if_newer: column '%s' is %s", name,
                  f->is_mark ? "what soft_delete sets" : "part of the key");
        return error_hint(err, "Name a column of its own.");
    }
    if (f->column->identity_always) {
        error_set(
            err, ERROR_SETUP,
            "only_if_newer: column '%s' is GENERATED ALWAYS AS IDENTITY, which no update sets",
            name);
        return error_hint(err, "ALTER TABLE %s ALTER COLUMN \"%s\" SET GENERATED BY DEFAULT;",
                          m->table->quoted, name);
    }
    if (!column_type_is_version(f->column->type)) {
        error_set(err, ERROR_SETUP, "only_if_newer: column '%s' is %s", name, f->column->type_name);
        return error_hint(err, "Versions are smallint, integer, bigint, date, timestamp, text or "
                               "varchar.");
    }
    if (spec->deletes == DELETE_TOMBSTONE && f->place.origin == ORIGIN_VALUE) {
        error_set(err, ERROR_SETUP, "only_if_newer: a tombstone has no %s to compare",
                  f->source_text);
        return error_hint(err, "Take the version from the key, a header, meta.offset or "
                               "meta.timestamp.");
    }
    f->is_version = true;
    f->version_rank = rank;
    m->target.has_version = true;
    return true;
}

static bool set_versions(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    if (spec->only_if_newer_count > TARGET_VERSION_MAX) {
        return error_set(err, ERROR_SETUP, "only_if_newer: more than %d columns",
                         TARGET_VERSION_MAX);
    }
    for (uint32_t rank = 0; rank < spec->only_if_newer_count; rank++) {
        if (!set_version(m, spec, rank, err)) {
            return false;
        }
    }
    return true;
}

bool mapping_check_mark(const struct column *c, struct error *err)
{
    bool moment = column_type_is_timestamp(c->type);

    if (c->type == TYPE_BOOL || (moment && !c->not_null)) {
        return true;
    }
    error_set(err, ERROR_SETUP, "soft_delete: it is %s%s", c->type_name, moment ? " NOT NULL" : "");
    return error_hint(err, "It is a boolean, or a timestamp that is NULL while the row lives.");
}

/* ---- privileges ---- */

static bool require(const struct mapping *m, bool granted, enum table_privilege which,
                    struct error *err)
{
    if (granted || (m->needs & which) == 0) {
        return true;
    }
    const char *privilege = which == MAY_SELECT   ? "SELECT"
                            : which == MAY_UPDATE ? "UPDATE"
                                                  : "DELETE";
    _cleanup_buf_ struct buf role = {0};
    if (m->table->role != NULL) {
        table_quote_ident(&role, m->table->role);
    } else {
        buf_add_z(&role, "the role that pgsinkd connects as");
    }
    error_set(err, ERROR_SETUP, "table %s: no %s privilege, which this mode needs",
              m->table->quoted, privilege);
    return error_hint(err, "GRANT %s ON TABLE %s TO %s;", privilege, m->table->quoted,
                      buf_cstr(&role));
}

static uint32_t needs_of(const struct mapping *m, const struct mapping_spec *spec)
{
    bool updates = spec->action == ROW_UPSERT || spec->action == ROW_UPDATE ||
                   spec->soft_delete != NULL;
    bool deletes = spec->action == ROW_DELETE ||
                   ((spec->deletes != DELETE_OFF || spec->delete_when != NULL) && !m->marks);

    deletes |= mapping_is_change(m) && m->truncates && spec->action != ROW_INSERT &&
               !table_truncates(m->table);
    return (spec->action == ROW_UPDATE ? 0 : (uint32_t) MAY_INSERT) |
           (m->target.key_count > 0 ? MAY_SELECT : 0) | (updates ? MAY_UPDATE : 0) |
           (deletes ? MAY_DELETE : 0);
}

static bool check_privileges(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    m->needs = needs_of(m, spec);
    return require(m, m->table->may_select, MAY_SELECT, err) &&
           require(m, m->table->may_update, MAY_UPDATE, err) &&
           require(m, m->table->may_delete, MAY_DELETE, err);
}

uint32_t mapping_needs(const struct mapping *m)
{
    return m->needs;
}

/* ---- rules ---- */

/* COPY passes them over, INSERT does not, and ON CONFLICT is refused. */
static bool check_rules(const struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    const struct column *cast = NULL;

    for (size_t i = 0; i < m->fill_count && cast == NULL; i++) {
        cast = m->fills[i].column->cast ? m->fills[i].column : NULL;
    }
    if (!m->table->has_rules || (spec->action == ROW_INSERT && cast == NULL)) {
        return true;
    }
    if (spec->action == ROW_INSERT) {
        error_set(err, ERROR_SETUP,
                  "table %s has rules, and column '%s' (%s) needs a cast, which COPY cannot do",
                  m->table->quoted, cast->name, cast->type_name);
        return error_hint(err, "Replace the rules with triggers (DROP RULE).");
    }
    error_set(err, ERROR_SETUP, "table %s has rules, and this mode cannot write to such a table",
              m->table->quoted);
    return error_hint(err, "Make triggers of them and DROP RULE, or use mode append, which passes "
                           "them over.");
}

/* ---- views ---- */

/* Where a trigger takes the rows, ON CONFLICT finds no index. */
static bool check_instead(const struct mapping *m, const struct mapping_spec *spec,
                          struct error *err)
{
    if (!m->table->has_instead || (spec->action == ROW_INSERT && !needs_key(spec))) {
        return true;
    }
    error_set(err, ERROR_SETUP,
              "view %s has an INSTEAD OF trigger, so that rows can only be appended to it",
              m->table->quoted);
    return error_hint(err, "Use mode append without deletes, or name the table that the trigger "
                           "writes to.");
}

bool mapping_set_mode(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    if (spec->soft_delete != NULL && fill_of(m, spec->soft_delete) == NULL) {
        error_set(err, ERROR_SETUP, "soft_delete: table %s has no column '%s'", m->table->quoted,
                  spec->soft_delete);
        return error_hint(err, "ALTER TABLE %s ADD COLUMN deleted_at timestamptz;",
                          m->table->quoted);
    }
    if (!check_instead(m, spec, err) || !check_rules(m, spec, err)) {
        return false;
    }
    if (needs_key(spec) || (spec->action == ROW_IGNORE && fills_primary_key(m))) {
        bool ok = spec->key_count > 0 ? set_named_key(m, spec, err) : set_primary_key(m, err);
        if (!ok) {
            return false;
        }
    }
    return set_versions(m, spec, err) && check_privileges(m, spec, err);
}

/* ---- identity columns that are GENERATED ALWAYS ---- */

static bool never_updated(const struct mapping *m, const struct column *c, struct error *err)
{
    error_set(err, ERROR_SETUP,
              "it is GENERATED ALWAYS AS IDENTITY, which PostgreSQL does not update");
    error_hint(
        err,
        "Take its entry out of columns:, or ALTER TABLE %s ALTER COLUMN \"%s\" SET GENERATED "
        "BY DEFAULT;",
        m->table->quoted, c->name);
    snprintf(err->column, sizeof err->column, "%s", c->name);
    return error_wrap(err, "column '%s'", c->name);
}

/* An upsert fills them in new rows; an update would do nothing with an entry of columns:. What a
 * change event says of them is passed over: it is the number that the row has. */
bool mapping_check_identities(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    for (size_t i = 0; i < m->fill_count && spec->action == ROW_UPDATE; i++) {
        const struct fill *f = &m->fills[i];
        if (f->column->identity_always && !f->is_key && !f->of_event) {
            return never_updated(m, f->column, err);
        }
    }
    for (size_t i = 0; i < m->target.expression_count && spec->action == ROW_UPDATE; i++) {
        if (m->target.expressions[i].column->identity_always) {
            return never_updated(m, m->target.expressions[i].column, err);
        }
    }
    return true;
}

/* ---- for people ---- */

static void add_names(struct buf *out, const struct mapping *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->fill_count; i++) {
        if (m->fills[i].is_key) {
            buf_printf(out, "%s%s", n++ > 0 ? ", " : ", key (", m->fills[i].column->name);
        }
    }
    buf_add_z(out, n > 0 ? ")" : "");
}

static const char *version_name(const struct mapping *m, size_t rank)
{
    for (size_t i = 0; i < m->fill_count; i++) {
        if (m->fills[i].is_version && m->fills[i].version_rank == rank) {
            return m->fills[i].column->name;
        }
    }
    return NULL;
}

/* "only if v is newer", "only if (a, b) is newer" */
static void add_version(struct buf *out, const struct mapping *m)
{
    bool several = version_name(m, 1) != NULL;
    const char *name;

    if (!m->target.has_version) {
        return;
    }
    buf_add_z(out, several ? ", only if (" : ", only if ");
    for (size_t rank = 0; (name = version_name(m, rank)) != NULL; rank++) {
        buf_printf(out, "%s%s", rank > 0 ? ", " : "", name);
    }
    buf_add_z(out, several ? ") is newer" : " is newer");
}

void mapping_describe_mode(const struct mapping *m, struct buf *out)
{
    static const char *const modes[] = {
        [ROW_INSERT] = "append",
        [ROW_IGNORE] = "ignore",
        [ROW_UPSERT] = "upsert",
        [ROW_UPDATE] = "update",
    };

    buf_printf(out, "mode %s", modes[m->action]);
    add_names(out, m);
    add_version(out, m);
    if (m->deletes != DELETE_TOMBSTONE && m->delete_when.condition == NULL) {
        return;
    }
    buf_printf(out, ", %s %s", m->deletes == DELETE_TOMBSTONE ? "a tombstone" : "delete_when",
               m->marks ? "sets " : "deletes");
    for (size_t i = 0; i < m->fill_count; i++) {
        buf_add_z(out, m->fills[i].is_mark ? m->fills[i].column->name : "");
    }
}
