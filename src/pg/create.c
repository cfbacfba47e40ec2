/* See create.h. Scout thread. */
#include "pg/create.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"
#include "pg/sqlstate.h"
#include "row/table/table.h"

/* CREATE TABLE IF NOT EXISTS alone may still fail when two come at once (unique index of pg_type).
 */
static bool lock(struct conn *c, const char *quoted, struct error *err)
{
    _cleanup_buf_ struct buf sql = {0};

    buf_add_z(&sql, "BEGIN; SET LOCAL lock_timeout = '2s'; "
                    "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(");
    sql_literal(&sql, quoted);
    buf_add_z(&sql, ", 20260))");
    return conn_run(c, buf_cstr(&sql), err);
}

static bool is_there(struct conn *c, const char *quoted, bool *out, struct error *err)
{
    const char *values[] = {quoted};
    PGresult *res = conn_exec(c, "SELECT pg_catalog.to_regclass($1) IS NOT NULL", 1, values, err);

    if (res == NULL) {
        return false;
    }
    *out = *PQgetvalue(res, 0, 0) == 't';
    PQclear(res);
    return true;
}

static bool make(struct conn *c, const char *quoted, const char *ddl, bool *out_created,
                 struct error *err)
{
    bool there = false;

    if (!lock(c, quoted, err) || !is_there(c, quoted, &there, err) ||
        (!there && !conn_run(c, ddl, err))) {
        return false;
    }
    *out_created = !there;
    return conn_run(c, "COMMIT", err);
}

/* Somebody has made it meanwhile who does not lock, or spells its name in another way. */
static bool is_raced(const struct error *err)
{
    return sqlstate_is(err->sqlstate, SQLSTATE_DUPLICATE_TABLE) ||
           sqlstate_is(err->sqlstate, SQLSTATE_UNIQUE_VIOLATION);
}

bool create_table(struct conn *c, const char *schema, const char *name, const char *ddl,
                  bool *out_created, struct error *err)
{
    _cleanup_buf_ struct buf quoted = {0};
    struct error ignored;
    bool there = false;

    *out_created = false;
    if (schema != NULL) {
        table_quote_ident(&quoted, schema);
        buf_add_z(&quoted, ".");
    }
    table_quote_ident(&quoted, name);
    if (make(c, buf_cstr(&quoted), ddl, out_created, err)) {
        return true;
    }
    if (conn_is_open(c) && !conn_run(c, "ROLLBACK", &ignored)) {
        conn_close(c);
    }
    return is_raced(err) && is_there(c, buf_cstr(&quoted), &there, &ignored) && there;
}
