/* See preview.h. Each question is a SELECT of its own, so that a fault is that of one value. It is
 * rolled back: notifications and settings, which a transaction that only reads permits, end with
 * it. */
#include "pg/preview.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <assert.h>
#include <string.h>

bool preview_begin(struct conn *c, struct error *err)
{
    c->only_reads = true;
    return conn_run(c, "SET default_transaction_read_only = on", err);
}

static void add_value(struct conn_values *v, const struct column *column, struct str field)
{
    assert(v->count < CONN_VALUES_MAX);
    v->types[v->count] = column->wire_oid;
    v->values[v->count] = field.p;
    v->lengths[v->count] = (int) field.n;
    v->count++;
}

static bool ask(struct conn *c, struct buf *sql, const struct conn_values *v, char **out,
                struct error *err)
{
    struct error late;

    if (!conn_run(c, "BEGIN READ ONLY", err)) {
        return false;
    }
    _cleanup_result_ PGresult *res = conn_exec_binary(c, buf_cstr(sql), v, err);
    if (res == NULL && err->class == ERROR_LINK) {
        return false;
    }
    if (!conn_run(c, "ROLLBACK", &late)) {
        *err = late;
        return false;
    }
    if (res == NULL) {
        return false;
    }
    bool is_null = PQntuples(res) != 1 || PQgetisnull(res, 0, 0);
    *out = is_null ? NULL : mem_strdup(PQgetvalue(res, 0, 0));
    return true;
}

bool preview_field(struct conn *c, const struct column *column, struct str field, char **out,
                   struct error *err)
{
    _cleanup_buf_ struct buf sql = {0};
    struct conn_values v = {0};

    if (field.p == NULL) {
        *out = NULL;
        return true;
    }
    buf_add_z(&sql, "SELECT $1");
    add_value(&v, column, field);
    return ask(c, &sql, &v, out, err);
}

bool preview_cast(struct conn *c, const struct rows_shape *s, size_t column, struct str field,
                  char **out, struct error *err)
{
    _cleanup_buf_ struct buf sql = {0};
    struct conn_values v = {0};

    buf_add_z(&sql, "SELECT ");
    rows_sql_value(&sql, s, column);
    buf_printf(&sql, " FROM (SELECT $1 AS c%zu) s", column);
    add_value(&v, s->target->columns[column].column, field);
    return ask(c, &sql, &v, out, err);
}

/*
 * The function by which an assignment fits a value to the length of its column, and fails if it is
 * too long; a cast would cut it. NULL: a cast does the same.
 */
static const char *fitting(const struct column *c)
{
    const struct column *one = c->element != NULL ? c->element : c;
    static const char *const names[][2] = {
        {"character varying", "pg_catalog.\"varchar\""},
        {"character", "pg_catalog.bpchar"},
        {"bit varying", "pg_catalog.varbit"},
        {"bit", "pg_catalog.\"bit\""},
    };

    for (size_t i = 0; c->typmod >= 0 && i < ARRAY_LEN(names); i++) {
        if (strcmp(one->base_name, names[i][0]) == 0) {
            return names[i][1];
        }
    }
    return NULL;
}

/* Of an array it fits each element, and only whether it fails is of interest: the array itself,
 * with its dimensions, is what the cast makes of it. */
static void add_assigned(struct buf *sql, const struct target_expression *e)
{
    const char *fit = fitting(e->column);
    int length = (int) e->column->typmod;

    if (fit == NULL) {
        buf_printf(sql, "(%s\n)", e->sql);
    } else if (e->column->element == NULL) {
        buf_printf(sql, "%s((%s\n)::%s,%d,false)", fit, e->sql, fit, length);
    } else {
        buf_add_z(sql, "(SELECT CASE WHEN (SELECT pg_catalog.count(");
        buf_add_z(sql, fit);
        buf_printf(sql,
                   "(element,%d,false)) FROM pg_catalog.unnest(v) element)" SQL_GE
                   "0 THEN v END FROM (SELECT (%s\n)::%s[] AS v) s)",
                   length, e->sql, fit);
    }
    buf_printf(sql, "::%s", e->column->type_name);
}

bool preview_expression(struct conn *c, const struct rows_shape *s, size_t expression,
                        const struct str *fields, char **out, struct error *err)
{
    const struct target *t = s->target;
    _cleanup_buf_ struct buf sql = {0};
    struct conn_values v = {0};

    buf_add_z(&sql, "SELECT ");
    add_assigned(&sql, &t->expressions[expression]);
    buf_add_z(&sql, " FROM (SELECT ");
    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].is_input) {
            buf_printf(&sql, "%s$%d AS ", v.count > 0 ? "," : "", v.count + 1);
            table_quote_ident(&sql, t->columns[i].column->name);
            add_value(&v, t->columns[i].column, fields[i]);
        }
    }
    buf_add_z(&sql, ") record");
    return ask(c, &sql, &v, out, err);
}
