/* Statements put together from pieces, see rows_sql.h. Any thread. */
#include "pg/rows_sql.h"

#include "pg/cast_sql.h"
#include "pg/sql.h"

#include <stdio.h>

static bool holds(const struct rows_shape *s, size_t column)
{
    return target_holds(s->target, column, s->action, s->omit);
}

bool rows_are_mixed(const struct rows_shape *s)
{
    return s->omit == OMIT_MIXED && s->action < ROW_DELETE;
}

bool rows_have_defaults(const struct rows_shape *s)
{
    return rows_are_mixed(s) && s->action != ROW_UPDATE;
}

bool rows_are_direct(const struct rows_shape *s)
{
    const struct target *t = s->target;

    if (s->action != ROW_INSERT || t->expression_count > 0 || t->table->by_insert ||
        rows_are_mixed(s)) {
        return false;
    }
    for (size_t i = 0; i < s->target->column_count; i++) {
        if (holds(s, i) && s->target->columns[i].column->cast) {
            return false;
        }
    }
    return true;
}

bool rows_are_bare(const struct rows_shape *s)
{
    return target_width(s->target, s->action, s->omit) == 0;
}

/* If a statement is given several rows with the same key, does only the last of them count? */
static bool last_counts(const struct rows_shape *s)
{
    return s->target->key_count > 0 && s->action != ROW_INSERT && s->action != ROW_IGNORE;
}

bool rows_unnest(const struct rows_shape *s)
{
    if (s->target->keys_by_sql && last_counts(s)) {
        return false;
    }
    for (size_t i = 0; i < s->target->column_count; i++) {
        if (holds(s, i) && s->target->columns[i].column->wire_array_oid == 0) {
            return false;
        }
    }
    return true;
}

/* ---- lists ---- */

enum list { LIST_NAMES, LIST_STAGED, LIST_VALUES, LIST_ARRAYS };

/* How many columns PostgreSQL computes in such rows. */
static size_t computed(const struct rows_shape *s)
{
    bool fills = s->action == ROW_INSERT || s->action == ROW_IGNORE || s->action == ROW_UPSERT ||
                 s->action == ROW_UPDATE;

    return fills ? s->target->expression_count : 0;
}

/* Does the field go into a column of the table? */
static bool is_written(const struct rows_shape *s, size_t column)
{
    return holds(s, column) && !s->target->columns[column].is_input;
}

static void add_name(struct buf *out, const struct rows_shape *s, size_t column)
{
    table_quote_ident(out, s->target->columns[column].column->name);
}

/* The value of a column, from the source s. */
static void add_value(struct buf *out, const struct rows_shape *s, size_t column)
{
    char field[32];

    snprintf(field, sizeof field, "s.c%zu", column);
    cast_sql(out, s->target->columns[column].column, field);
}

/*
 * The same as it goes into the table. A mixed row may omit it: then it is computed here what
 * PostgreSQL would put in its place, or it stays what it is.
 */
static void add_stored(struct buf *out, const struct rows_shape *s, size_t column)
{
    const struct target_column *c = &s->target->columns[column];

    if (!rows_are_mixed(s) || c->omit_bit < 0) {
        add_value(out, s, column);
        return;
    }
    buf_printf(out, "CASE WHEN pg_catalog.get_bit(s.there,%d)" SQL_EQ "1 THEN ", c->omit_bit);
    add_value(out, s, column);
    buf_add_z(out, " ELSE ");
    if (s->action == ROW_UPDATE) {
        buf_add_z(out, "g.");
        add_name(out, s, column);
    } else {
        buf_printf(out, "(%s)::%s", c->column->default_sql, c->column->sql_name);
    }
    buf_add_z(out, " END");
}

/* The value of a column, to be compared with those of the table. */
static void add_comparable(struct buf *out, const struct rows_shape *s, size_t column)
{
    const struct column *c = s->target->columns[column].column;

    if (c->compare_as == NULL) {
        add_value(out, s, column);
    } else if (column_holds_rows(c)) {
        buf_add_u8(out, '(');
        add_value(out, s, column);
        buf_printf(out, ")::%s", c->compare_as);
    } else {
        buf_printf(out, "s.c%zu::%s", column, c->compare_as);
    }
}

/* The columns that are computed, after n others. */
static void add_computed(struct buf *out, const struct rows_shape *s, enum list list, size_t n)
{
    for (size_t i = 0; i < computed(s); i++) {
        buf_add_z(out, n++ > 0 ? "," : "");
        if (list == LIST_NAMES) {
            table_quote_ident(out, s->target->expressions[i].column->name);
        } else {
            buf_printf(out, "s.e%zu", i);
        }
    }
}

static void add_unnested(struct buf *out, const struct rows_shape *s, size_t column, size_t n)
{
    char array[48];

    snprintf(array, sizeof array, "pg_catalog.unnest($%zu)", n);
    cast_sql(out, s->target->columns[column].column, array);
}

/* The columns that rows of this shape hold, in their order: those of the table, or (LIST_STAGED) of
 * the temporary table. */
static void add_list(struct buf *out, const struct rows_shape *s, enum list list)
{
    size_t n = 0;

    for (size_t i = 0; i < s->target->column_count; i++) {
        if (!(list == LIST_STAGED ? holds(s, i) : is_written(s, i))) {
            continue;
        }
        buf_add_z(out, n++ > 0 ? "," : "");
        switch (list) {
        case LIST_NAMES:
            add_name(out, s, i);
            break;
        case LIST_STAGED:
            buf_printf(out, "c%zu", i);
            break;
        case LIST_VALUES:
            add_stored(out, s, i);
            break;
        case LIST_ARRAYS:
            add_unnested(out, s, i, n);
            break;
        }
    }
    if (list == LIST_NAMES || list == LIST_VALUES) {
        add_computed(out, s, list, n);
    }
    if (list == LIST_STAGED && rows_are_mixed(s)) {
        buf_add_z(out, n > 0 ? ",there" : "there");
    }
}

/* ---- where rows come from ---- */

/*
 * The arrays are unnested in a select list, where one plan node walks them in step. In FROM each
 * would first be stored as a whole, on disk when it exceeds work_mem: 30 to 50 % slower, and far
 * more above that size (docs/performance.md).
 */
static void add_arrays(struct buf *out, const struct rows_shape *s)
{
    size_t n = 0;

    buf_add_z(out, "(SELECT ");
    for (size_t i = 0; i < s->target->column_count; i++) {
        if (holds(s, i)) {
            n++;
            buf_printf(out, "%spg_catalog.unnest($%zu) AS c%zu", n > 1 ? "," : "", n, i);
        }
    }
    if (rows_are_mixed(s)) {
        buf_printf(out, "%spg_catalog.unnest($%zu) AS there", n > 0 ? "," : "", n + 1);
    }
    buf_add_z(out, ") s");
}

/* The columns that are part of the key, as their own types compare them. */
static void add_key_list(struct buf *out, const struct rows_shape *s)
{
    const struct target *t = s->target;
    size_t n = 0;

    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].is_key) {
            buf_add_z(out, n++ > 0 ? "," : "");
            add_comparable(out, s, i);
        }
    }
}

/* The column of the target that is compared as the rank-th of its version, or column_count. */
static size_t version_at(const struct target *t, size_t rank)
{
    size_t i = 0;

    while (i < t->column_count &&
           !(t->columns[i].is_version && t->columns[i].version_rank == rank)) {
        i++;
    }
    return i;
}

/* Texts of versions are compared by their bytes, as outcome.c does. */
static void add_by_bytes(struct buf *out, const struct rows_shape *s, size_t column)
{
    if (column_type_is_text(s->target->columns[column].column->type)) {
        buf_add_z(out, "::pg_catalog.text COLLATE pg_catalog.\"C\"");
    }
}

/* The value of a column of the version, from the source s. */
static void add_version(struct buf *out, const struct rows_shape *s, size_t column)
{
    if (column_type_is_text(s->target->columns[column].column->type)) {
        buf_printf(out, "s.c%zu", column);
        add_by_bytes(out, s, column);
    } else {
        add_comparable(out, s, column);
    }
}

/* The last of the rows with the same key: the one with the highest version, of these the one whose
 * `place` is highest. */
static void add_last(struct buf *out, const struct rows_shape *s, const char *stage,
                     const char *where, const char *place)
{
    const struct target *t = s->target;

    buf_add_z(out, "(SELECT DISTINCT ON (");
    add_key_list(out, s);
    buf_printf(out, ") * FROM pg_temp.%s s%s ORDER BY ", stage, where);
    add_key_list(out, s);
    for (size_t rank = 0, i; (i = version_at(t, rank)) < t->column_count; rank++) {
        buf_add_u8(out, ',');
        add_version(out, s, i);
        buf_add_z(out, " DESC");
    }
    buf_printf(out, ",%s DESC) s", place);
}

static void add_places(struct buf *out, const struct rows_shape *s, const char *stage)
{
    const char *where = " WHERE place" SQL_GE "$1 AND place" SQL_LE "$2";

    if (last_counts(s)) {
        add_last(out, s, stage, where, "place");
    } else {
        buf_printf(out, "(SELECT * FROM pg_temp.%s%s ORDER BY place) s", stage, where);
    }
}

static void add_stage(struct buf *out, const struct rows_shape *s, const char *stage)
{
    if (s->target->keys_by_sql && last_counts(s)) {
        add_last(out, s, stage, "", "ctid");
    } else {
        buf_printf(out, "pg_temp.%s s", stage);
    }
}

static void add_fields(struct buf *out, const struct rows_shape *s, enum rows_source source,
                       const char *stage)
{
    switch (source) {
    case ROWS_UNNEST:
        add_arrays(out, s);
        return;
    case ROWS_STAGE:
        add_stage(out, s, stage);
        return;
    case ROWS_PLACES:
        add_places(out, s, stage);
        return;
    }
}

/* The names that expressions have for the fields that they need. */
static void add_inputs(struct buf *out, const struct rows_shape *s)
{
    size_t n = 0;

    buf_add_z(out, ",LATERAL (SELECT ");
    for (size_t i = 0; i < s->target->column_count; i++) {
        if (s->target->columns[i].is_input) {
            buf_printf(out, "%ss.c%zu AS ", n++ > 0 ? "," : "", i);
            add_name(out, s, i);
        }
    }
    buf_add_z(out, ") record");
}

/*
 * s: the fields, and e0, e1, ... the expressions. They are computed in a query of their own, where
 * the names of the table's columns cannot be taken for theirs.
 */
static void add_source(struct buf *out, const struct rows_shape *s, enum rows_source source,
                       const char *stage)
{
    if (computed(s) == 0) {
        add_fields(out, s, source, stage);
        return;
    }
    buf_add_z(out, "(SELECT s.*");
    for (size_t i = 0; i < computed(s); i++) {
        buf_printf(out, ",(%s\n) AS e%zu", s->target->expressions[i].sql, i);
    }
    buf_add_z(out, " FROM ");
    add_fields(out, s, source, stage);
    add_inputs(out, s);
    buf_add_z(out, ") s");
}

/* ---- conditions ---- */

/*
 * g is the table, s the source. An operator of pg_catalog needs no cast: nobody else can create one
 * there. Another is cast to its own type on both sides, so that no other operator of that schema
 * fits better. None of this keeps an index from being used: the cast changes no bytes.
 */
static void add_is_equal(struct buf *out, const struct rows_shape *s, size_t column)
{
    const struct column *c = s->target->columns[column].column;

    buf_add_z(out, "g.");
    add_name(out, s, column);
    if (c->equals_as != NULL) {
        buf_printf(out, "::%s", c->equals_as);
    }
    buf_printf(out, "%s%s", c->equals != NULL ? c->equals : SQL_EQ,
               c->equals_as != NULL ? "(" : "");
    add_comparable(out, s, column);
    if (c->equals_as != NULL) {
        buf_printf(out, ")::%s", c->equals_as);
    }
}

static void add_same_key(struct buf *out, const struct rows_shape *s)
{
    const struct target *t = s->target;
    size_t n = 0;

    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].is_key) {
            buf_add_z(out, n++ > 0 ? " AND " : " WHERE ");
            add_is_equal(out, s, i);
        }
    }
}

/* One column of the version of the row that is there, an operator, and that of the row that comes:
 * of EXCLUDED, or of the source. */
static void add_versions(struct buf *out, const struct rows_shape *s, size_t column,
                         const char *operator, bool excluded)
{
    buf_add_z(out, "g.");
    add_name(out, s, column);
    add_by_bytes(out, s, column);
    buf_add_z(out, operator);
    if (excluded) {
        buf_add_z(out, "EXCLUDED.");
        add_name(out, s, column);
        add_by_bytes(out, s, column);
    } else {
        add_version(out, s, column);
    }
}

/*
 * What is there is not newer:
 *     (g.a IS NULL OR g.a < s.a OR g.a = s.a AND (g.b IS NULL OR g.b <= s.b))
 */
static void add_not_newer(struct buf *out, const struct rows_shape *s, const char *before,
                          bool excluded)
{
    const struct target *t = s->target;
    size_t rank = 0;

    for (size_t i = version_at(t, 0), next; i < t->column_count; i = next) {
        buf_add_z(out, rank++ == 0 ? before : " AND ");
        next = version_at(t, rank);
        buf_add_z(out, "(g.");
        add_name(out, s, i);
        buf_add_z(out, " IS NULL OR ");
        if (next < t->column_count) {
            add_versions(out, s, i, SQL_LT, excluded);
            buf_add_z(out, " OR ");
        }
        add_versions(out, s, i, next < t->column_count ? SQL_EQ : SQL_LE, excluded);
    }
    for (; rank > 0; rank--) {
        buf_add_u8(out, ')');
    }
}

/* ---- statements ---- */

/* The columns that an upsert sets in a row that is there. One that the record lacks becomes what a
 * new row would have, so that a row only depends on its last record; unless it is to be left. */
static bool is_set(const struct rows_shape *s, size_t column)
{
    const struct target_column *c = &s->target->columns[column];

    return !c->is_key && !c->is_input && !c->column->identity_always &&
           (holds(s, column) || !s->target->omit_leaves);
}

static void add_on_conflict(struct buf *out, const struct rows_shape *s)
{
    const struct target *t = s->target;
    size_t n = 0;

    buf_add_z(out, " ON CONFLICT");
    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].is_key) {
            buf_add_z(out, n++ > 0 ? "," : " (");
            add_name(out, s, i);
        }
    }
    buf_add_z(out, n > 0 ? ") DO " : " DO ");
    n = 0;
    for (size_t i = 0; i < t->column_count && s->action == ROW_UPSERT; i++) {
        if (is_set(s, i)) {
            buf_add_z(out, n++ > 0 ? "," : "UPDATE SET ");
            add_name(out, s, i);
            buf_add_z(out, "=EXCLUDED.");
            add_name(out, s, i);
        }
    }
    for (size_t i = 0; i < computed(s) && s->action == ROW_UPSERT; i++) {
        const struct column *c = s->target->expressions[i].column;
        if (!c->identity_always) {
            buf_add_z(out, n++ > 0 ? "," : "UPDATE SET ");
            table_quote_ident(out, c->name);
            buf_add_z(out, "=EXCLUDED.");
            table_quote_ident(out, c->name);
        }
    }
    if (n == 0) {
        buf_add_z(out, "NOTHING");
    } else {
        add_not_newer(out, s, " WHERE ", true);
    }
}

static void add_guard(struct buf *out, const char *before, const char *guard)
{
    if (guard != NULL) {
        buf_add_z(out, before);
        buf_add_z(out, guard);
    }
}

/* COPY fills a column GENERATED ALWAYS AS IDENTITY; INSERT wants to be told. */
static void add_overriding(struct buf *out, const struct rows_shape *s)
{
    bool fills = false;

    for (size_t i = 0; i < s->target->column_count; i++) {
        fills |= is_written(s, i) && s->target->columns[i].column->identity_always;
    }
    for (size_t i = 0; i < computed(s); i++) {
        fills |= s->target->expressions[i].column->identity_always;
    }
    buf_add_z(out, fills ? "OVERRIDING SYSTEM VALUE " : "");
}

/* A cast that does cannot have the unnest() in it. */
static bool names_fields_twice(const struct rows_shape *s)
{
    for (size_t i = 0; i < s->target->column_count; i++) {
        if (is_written(s, i) && column_holds_rows(s->target->columns[i].column)) {
            return true;
        }
    }
    return false;
}

static void add_insert(struct buf *out, const struct rows_shape *s, enum rows_source source,
                       const char *stage, const char *guard)
{
    bool none = target_width(s->target, s->action, s->omit) + computed(s) == 0;

    buf_printf(out, "INSERT INTO %s AS g ", s->target->table->quoted);
    if (!none) {
        buf_add_u8(out, '(');
        add_list(out, s, LIST_NAMES);
        buf_add_z(out, ") ");
    }
    add_overriding(out, s);
    buf_add_z(out, "SELECT ");
    bool plain = computed(s) == 0 && !rows_are_mixed(s) && !names_fields_twice(s);
    if (source == ROWS_UNNEST && plain) {
        add_list(out, s, LIST_ARRAYS);
    } else {
        add_list(out, s, LIST_VALUES);
        buf_add_z(out, " FROM ");
        add_source(out, s, source, stage);
    }
    add_guard(out, " WHERE ", guard);
    if (s->action != ROW_INSERT) {
        add_on_conflict(out, s);
    }
}

static void add_update(struct buf *out, const struct rows_shape *s, enum rows_source source,
                       const char *stage, const char *guard)
{
    size_t n = 0;
    size_t begin = out->n;

    buf_printf(out, "UPDATE %s AS g SET ", s->target->table->quoted);
    for (size_t i = 0; i < s->target->column_count; i++) {
        const struct target_column *c = &s->target->columns[i];
        if (!c->is_key && !c->column->identity_always && is_written(s, i)) {
            buf_add_z(out, n++ > 0 ? "," : "");
            add_name(out, s, i);
            buf_add_u8(out, '=');
            add_stored(out, s, i);
        }
    }
    for (size_t i = 0; i < computed(s); i++) {
        buf_add_z(out, n++ > 0 ? "," : "");
        table_quote_ident(out, s->target->expressions[i].column->name);
        buf_printf(out, "=s.e%zu", i);
    }
    if (n == 0) { /* it has no columns but the key: there is nothing to do */
        out->n = begin;
        buf_add_z(out, "SELECT");
        return;
    }
    buf_add_z(out, " FROM ");
    add_source(out, s, source, stage);
    add_same_key(out, s);
    add_not_newer(out, s, " AND ", false);
    add_guard(out, " AND ", guard);
}

static void add_delete(struct buf *out, const struct rows_shape *s, enum rows_source source,
                       const char *stage, const char *guard)
{
    buf_printf(out, "DELETE FROM %s AS g USING ", s->target->table->quoted);
    add_source(out, s, source, stage);
    add_same_key(out, s);
    add_not_newer(out, s, " AND ", false);
    add_guard(out, " AND ", guard);
}

void rows_sql_store(struct buf *out, const struct rows_shape *s, enum rows_source source,
                    const char *stage, const char *guard)
{
    switch (s->action) {
    case ROW_INSERT:
    case ROW_IGNORE:
    case ROW_UPSERT:
        add_insert(out, s, source, stage, guard);
        return;
    case ROW_UPDATE:
    case ROW_SOFT_DELETE:
        add_update(out, s, source, stage, guard);
        return;
    case ROW_DELETE:
        add_delete(out, s, source, stage, guard);
        return;
    case ROW_TRUNCATE:
        buf_printf(out, "%s %s", table_truncates(s->target->table) ? "TRUNCATE" : "DELETE FROM",
                   s->target->table->quoted);
        return;
    }
}

void rows_sql_bare(struct buf *out, const struct rows_shape *s, size_t rows, const char *guard)
{
    if (s->action == ROW_TRUNCATE) {
        rows_sql_store(out, s, ROWS_UNNEST, NULL, NULL);
        return;
    }
    buf_printf(out, "INSERT INTO %s SELECT FROM pg_catalog.generate_series(1, %zu)",
               s->target->table->quoted, rows);
    add_guard(out, " WHERE ", guard);
}

void rows_sql_create(struct buf *out, const struct rows_shape *s, const char *stage, bool places)
{
    size_t n = 0;

    buf_printf(out, "CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp.%s (", stage);
    if (places) {
        buf_add_z(out, "place integer");
        n++;
    }
    for (size_t i = 0; i < s->target->column_count; i++) {
        buf_printf(out, "%sc%zu %s", n++ > 0 ? "," : "", i,
                   s->target->columns[i].column->wire_name);
    }
    if (s->target->mixes) {
        buf_printf(out, "%sthere bytea", n > 0 ? "," : "");
    }
    buf_add_z(out, ") ON COMMIT DELETE ROWS");
}

void rows_sql_copy(struct buf *out, const struct rows_shape *s, const char *stage, bool places)
{
    if (stage != NULL) {
        buf_printf(out, "COPY pg_temp.%s (%s", stage, places ? "place" : "");
        if (places && target_width(s->target, s->action, s->omit) > 0) {
            buf_add_u8(out, ',');
        }
        add_list(out, s, LIST_STAGED);
    } else {
        buf_printf(out, "COPY %s (", s->target->table->quoted);
        add_list(out, s, LIST_NAMES);
    }
    buf_add_z(out, ") FROM STDIN (FORMAT binary)");
}

bool rows_are_cast(const struct rows_shape *s, size_t column)
{
    return holds(s, column) && s->target->columns[column].column->cast;
}

bool rows_are_read(const struct rows_shape *s, size_t column)
{
    const struct column *c = s->target->columns[column].column;

    return rows_are_cast(s, column) && column_is_text_cast(c) && !column_holds_rows(c);
}

void rows_sql_cast(struct buf *out, const struct rows_shape *s, size_t column, const char *stage)
{
    buf_add_z(out, "SELECT (");
    add_value(out, s, column);
    buf_printf(out, ") IS NULL FROM pg_temp.%s s WHERE s.place OPERATOR(pg_catalog.=) $1", stage);
}

/* An array of texts, one for each column that all rows of this shape write. */
static void add_array(struct buf *out, const struct rows_shape *s, bool values)
{
    _cleanup_buf_ struct buf text = {0};
    size_t n = 0;

    buf_add_z(out, "ARRAY[");
    for (size_t i = 0; i < s->target->column_count; i++) {
        bool is_certain = !rows_are_mixed(s) || s->target->columns[i].omit_bit < 0;
        if (!is_written(s, i) || !is_certain) {
            continue;
        }
        buf_clear(&text);
        if (values) {
            add_value(&text, s, i);
        } else {
            buf_add_z(&text, s->target->columns[i].column->name);
        }
        buf_add_z(out, n++ > 0 ? "," : "");
        sql_literal(out, buf_cstr(&text));
    }
    buf_add_z(out, "]::pg_catalog.text[]");
}

void rows_sql_value(struct buf *out, const struct rows_shape *s, size_t column)
{
    add_value(out, s, column);
}

void rows_sql_names(struct buf *out, const struct rows_shape *s)
{
    add_array(out, s, false);
}

void rows_sql_values(struct buf *out, const struct rows_shape *s)
{
    add_array(out, s, true);
}

bool rows_are_computed(const struct rows_shape *s)
{
    return computed(s) > 0;
}

void rows_sql_compute(struct buf *out, const struct rows_shape *s, size_t expression,
                      const char *stage)
{
    buf_printf(out,
               "SELECT (%s\n) IS NULL FROM (SELECT * FROM pg_temp.%s"
               " WHERE place OPERATOR(pg_catalog.=) $1) s",
               s->target->expressions[expression].sql, stage);
    add_inputs(out, s);
}

void rows_sql_check_key(struct buf *out, const struct target *t)
{
    _cleanup_buf_ struct buf names = {0};
    size_t n = 0;

    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].is_key) {
            buf_add_z(&names, n++ > 0 ? "," : "");
            table_quote_ident(&names, t->columns[i].column->name);
        }
    }
    buf_printf(out, "EXPLAIN INSERT INTO %s (%s) SELECT", t->table->quoted, buf_cstr(&names));
    for (size_t i = 0; i < n; i++) {
        buf_add_z(out, i > 0 ? ",NULL" : " NULL");
    }
    buf_printf(out, " ON CONFLICT (%s) DO NOTHING", buf_cstr(&names));
}

/* OFFSET keeps the planner from computing with these NULLs, and CASE refuses a function that
 * returns a set, which would make none or many rows of one. */
void rows_sql_check(struct buf *out, const struct target *t, const struct target_expression *e)
{
    size_t n = 0;

    buf_printf(out, "EXPLAIN INSERT INTO %s (", t->table->quoted);
    table_quote_ident(out, e->column->name);
    buf_add_z(out, e->column->identity_always ? ") OVERRIDING SYSTEM VALUE " : ") ");
    buf_printf(out, "SELECT (CASE WHEN true THEN (%s\n) END) FROM (SELECT ", e->sql);
    for (size_t i = 0; i < t->column_count; i++) {
        const struct column *c = t->columns[i].column;
        if (t->columns[i].is_input) {
            buf_printf(out, "%sNULL::%s AS ", n++ > 0 ? "," : "", c->wire_name);
            table_quote_ident(out, c->name);
        }
    }
    buf_add_z(out, " OFFSET 0) record");
}
