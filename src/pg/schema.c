/*
 * Installing and checking the project's schema. The steps are texts for psql with two variables,
 * :"schema" and :'schema', which are filled in here as psql would do it. Blocking. @thread main
 */
#include "pg/schema.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"
#include "pg/sqlstate.h"
#include "pg/steps.h"
#include "row/table/table.h"

#include <stdlib.h>
#include <string.h>

#define HINT_PRINT                                                                                 \
    "Let the owner of the database run what `pgsinkd init --print` prints, or run `pgsinkd init` " \
    "as a role that may create it."

/* What the steps name without a schema, operators above all, is of pg_catalog. */
#define PATH_SQL "SET LOCAL search_path TO pg_catalog, pg_temp"

int schema_version_wanted(void)
{
    return steps_count();
}

/* --- texts --- */

/* Appends line with the schema's name in place of the variables. */
static void fill(struct buf *out, const char *line, const char *schema)
{
    const char *at;

    while ((at = strchr(line, ':')) != NULL) {
        buf_add(out, line, (size_t) (at - line));
        if (strncmp(at, ":\"schema\"", 9) == 0) {
            table_quote_ident(out, schema);
            line = at + 9;
        } else if (strncmp(at, ":'schema'", 9) == 0) {
            sql_literal(out, schema);
            line = at + 9;
        } else {
            buf_add_u8(out, ':');
            line = at + 1;
        }
    }
    buf_add_z(out, line);
}

static void fill_all(struct buf *out, const char *const *lines, const char *schema)
{
    for (; *lines != NULL; lines++) {
        fill(out, *lines, schema);
    }
}

/* The advisory lock for every change of the schema: one per database and schema name. */
static const char lock_sql[] = "SELECT pg_catalog.pg_advisory_xact_lock("
                               "pg_catalog.hashtextextended('pgsinkd '" SQL_CAT ":'schema', 0));\n";

static const char create_sql[] =
    "CREATE SCHEMA IF NOT EXISTS :\"schema\";\n"
    "COMMENT ON SCHEMA :\"schema\" IS 'pgsinkd: where each Kafka topic stands';\n";

void schema_print(const char *schema, struct buf *out)
{
    buf_printf(
        out, "-- The schema of pgsinkd, version %d, and what roles need. For psql, as the owner:\n",
        steps_count());
    buf_add_z(out,
              "--     pgsinkd init -c FILE --print | psql -X -v role=THE_ROLE DATABASE\n"
              "-- It does only what is not yet done. Roles that are not named by -v are granted "
              "nothing;\n"
              "-- there are also -v reader=... and -v operator=..., for people.\n"
              "\\set ON_ERROR_STOP on\n"
              "BEGIN;\n" PATH_SQL ";\n");
    fill(out, lock_sql, schema);
    fill(out, create_sql, schema);
    buf_add_z(out, "\\set version 0\n");
    fill(out,
         "SELECT pg_catalog.count(*)" SQL_GT "0 AS made FROM pg_catalog.pg_tables"
         " WHERE schemaname" SQL_EQ ":'schema' AND tablename" SQL_EQ "'schema_version' \\gset\n",
         schema);
    buf_add_z(out, "\\if :made\n");
    fill(out, "SELECT pg_catalog.max(version) AS version FROM :\"schema\".schema_version \\gset\n",
         schema);
    buf_add_z(out, "\\endif\n");
    for (int v = 1; v <= steps_count(); v++) {
        buf_printf(out, "SELECT :version" SQL_LT "%d AS needed \\gset\n\\if :needed\n", v);
        fill_all(out, steps_lines(v), schema);
        buf_add_z(out, "\\endif\n");
    }
    fill_all(out, steps_grants(), schema);
    buf_add_z(out,
              "COMMIT;\n"
              "-- Whoever runs this as the owner of the schema may be the daemon's role, too.\n"
              "\\if :{?role}\n\\else\n"
              "\\warn 'pgsinkd init: no role is granted anything: for a daemon whose role does "
              "not own the schema add -v role=NAME; for people there are -v reader=NAME and -v "
              "operator=NAME'\n"
              "\\endif\n");
}

/* --- the database --- */

struct state {
    bool exists; /* the schema */
    int version; /* 0 = none of our tables */
};

static bool read_state(struct conn *c, const char *schema, struct state *out, struct error *err)
{
    const char *values[] = {schema};
    _cleanup_result_ PGresult *found = conn_exec(
        c,
        "SELECT n.oid IS NOT NULL, t.oid IS NOT NULL,"
        " coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), true), current_user"
        " FROM (VALUES (1)) AS one(line)"
        " LEFT JOIN pg_catalog.pg_namespace n ON n.nspname" SQL_EQ "$1::pg_catalog.name"
        " LEFT JOIN pg_catalog.pg_class t ON t.relnamespace" SQL_EQ "n.oid"
        " AND t.relname" SQL_EQ "'schema_version'",
        1, values, err);

    if (found == NULL) {
        return false;
    }
    *out = (struct state){.exists = result_is_true(found, 0, 0), .version = 0};
    if (!result_is_true(found, 0, 2)) {
        error_set(err, ERROR_SETUP, "schema '%s': role '%s' has no USAGE privilege", schema,
                  PQgetvalue(found, 0, 3));
        return error_hint(err, "Grant what `pgsinkd init --print` lists to that role.");
    }
    if (!result_is_true(found, 0, 1)) {
        return true;
    }
    _cleanup_buf_ struct buf sql = {0};
    fill(&sql, "SELECT coalesce(pg_catalog.max(version), 0) FROM :\"schema\".schema_version",
         schema);
    _cleanup_result_ PGresult *version = conn_exec(c, buf_cstr(&sql), 0, NULL, err);
    if (version == NULL) {
        error_wrap(err, "schema '%s'", schema);
        return err->class == ERROR_SETUP ? error_hint(err, "%s", HINT_PRINT) : false;
    }
    out->version = (int) result_i64(version, 0, 0, 0);
    return true;
}

/* What the daemon does with tables; with history only where it audits. */
static const char ledger_tables[] =
    "('offsets', '{SELECT,INSERT,UPDATE}'::pg_catalog.text[]), ('gaps', '{SELECT,INSERT}'),"
    " ('partitions', '{SELECT,INSERT,UPDATE}'), ('topic_entries', '{SELECT,INSERT}'),"
    " ('static_members', '{SELECT,INSERT,UPDATE}'), ('schemas', '{SELECT,INSERT}'),"
    " ('dead_letters', '{SELECT,INSERT,UPDATE,DELETE}'), ('standing', '{SELECT}'),"
    " ('seeks', '{SELECT,UPDATE,DELETE}'), ('heartbeats', '{SELECT,INSERT,UPDATE,DELETE}')";
static const char history_tables[] = "('history', '{SELECT,INSERT,DELETE}'::pg_catalog.text[]),"
                                     " ('history_starts', '{SELECT,INSERT,UPDATE,DELETE}')";

/* What is missing, and the GRANT that adds it. The functions are those that are there: any of them
 * may be called, by the daemon or by another function. */
static const char missing_begin_sql[] =
    "SELECT pg_catalog.format('table ''%s.%s'': role ''%s'' has no %s privilege', :'schema',"
    " p.name, current_user, pg_catalog.string_agg(p.privilege, ', ' ORDER BY p.place)),"
    " pg_catalog.format('GRANT %s ON %I.%I TO %I;',"
    " pg_catalog.string_agg(p.privilege, ', ' ORDER BY p.place), :'schema', p.name, current_user),"
    " p.name, pg_catalog.string_agg(p.privilege, ', ' ORDER BY p.place)"
    " FROM (SELECT v.name, r.privilege, r.place FROM (VALUES ";
static const char missing_end_sql[] =
    ") AS v(name, privileges)"
    " CROSS JOIN LATERAL pg_catalog.unnest(v.privileges)"
    " WITH ORDINALITY AS r(privilege, place)) AS p"
    " JOIN pg_catalog.pg_class t ON t.relname" SQL_EQ "p.name"
    " JOIN pg_catalog.pg_namespace n ON n.oid" SQL_EQ "t.relnamespace"
    " AND n.nspname" SQL_EQ ":'schema'"
    " WHERE NOT pg_catalog.has_table_privilege(t.oid, p.privilege) GROUP BY p.name"
    " UNION ALL SELECT pg_catalog.format('schema ''%s'': role ''%s'' has no EXECUTE privilege on %s"
    " of its functions, %s() among them', :'schema', current_user, pg_catalog.count(*),"
    " pg_catalog.min(f.proname::pg_catalog.text)),"
    " pg_catalog.format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %I TO %I;',"
    " :'schema', current_user), NULL, 'EXECUTE'"
    " FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace n ON n.oid" SQL_EQ "f.pronamespace"
    " AND n.nspname" SQL_EQ ":'schema'"
    " WHERE NOT pg_catalog.has_function_privilege(f.oid, 'EXECUTE')"
    " HAVING pg_catalog.count(*)" SQL_GT "0";

enum { MISSING_TEXT, MISSING_GRANT, MISSING_TABLE, MISSING_PRIVILEGES };

static PGresult *read_missing(struct conn *c, const char *tables, const char *schema,
                              struct error *err)
{
    _cleanup_buf_ struct buf sql = {0};

    fill(&sql, missing_begin_sql, schema);
    buf_add_z(&sql, tables);
    fill(&sql, missing_end_sql, schema);
    return conn_exec(c, buf_cstr(&sql), 0, NULL, err);
}

/* May this role use the tables and functions as the daemon does? Better reported now than at the
 * first claim. */
static bool check_grants(struct conn *c, const char *tables, const char *schema, struct error *err)
{
    _cleanup_result_ PGresult *res = read_missing(c, tables, schema, err);

    if (res == NULL) {
        return false;
    }
    if (PQntuples(res) == 0) {
        return true;
    }
    _cleanup_buf_ struct buf grants = {0};
    for (int i = 0; i < PQntuples(res); i++) {
        buf_printf(&grants, "%s%s", i > 0 ? " " : "", PQgetvalue(res, i, MISSING_GRANT));
    }
    error_set(err, ERROR_SETUP, "%s", PQgetvalue(res, 0, MISSING_TEXT));
    return error_hint(err, "%s",
                      grants.n < sizeof err->hint
                          ? buf_cstr(&grants)
                          : "Grant what `pgsinkd init --print` lists to that role.");
}

static void miss_all(struct rights *missing, const PGresult *res, const char *schema)
{
    for (int i = 0; i < PQntuples(res); i++) {
        const char *privileges = PQgetvalue(res, i, MISSING_PRIVILEGES);
        _cleanup_buf_ struct buf name = {0};
        table_quote_ident(&name, schema);
        if (PQgetisnull(res, i, MISSING_TABLE)) {
            rights_miss(missing, RIGHT_ON_FUNCTIONS, buf_cstr(&name), privileges);
            continue;
        }
        buf_add_u8(&name, '.');
        table_quote_ident(&name, PQgetvalue(res, i, MISSING_TABLE));
        rights_miss(missing, RIGHT_ON_TABLE, buf_cstr(&name), privileges);
    }
}

bool schema_missing_rights(struct conn *c, const char *schema, bool audit, struct rights *missing,
                           int *out_version, struct error *err)
{
    const char *values[] = {schema};
    _cleanup_result_ PGresult *found = conn_exec(
        c,
        "SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE'),"
        " t.oid IS NOT NULL, pg_catalog.has_table_privilege(t.oid, 'SELECT')"
        " FROM pg_catalog.pg_namespace n"
        " LEFT JOIN pg_catalog.pg_class t ON t.relnamespace" SQL_EQ "n.oid"
        " AND t.relname" SQL_EQ "'schema_version'"
        " WHERE n.nspname" SQL_EQ "$1::pg_catalog.name",
        1, values, err);

    if (found == NULL) {
        return false;
    }
    *out_version = 0;
    if (PQntuples(found) == 0) {
        return true;
    }
    bool is_made = result_is_true(found, 0, 1);
    bool is_readable = result_is_true(found, 0, 0);
    _cleanup_buf_ struct buf name = {0};
    table_quote_ident(&name, schema);
    if (!is_readable) {
        rights_miss(missing, RIGHT_ON_SCHEMA, buf_cstr(&name), "USAGE");
    }
    if (!is_made) {
        return true;
    }
    if (!result_is_true(found, 0, 2)) {
        buf_add_z(&name, ".\"schema_version\"");
        rights_miss(missing, RIGHT_ON_TABLE, buf_cstr(&name), "SELECT");
        is_readable = false;
    }
    const char *const tables[] = {ledger_tables, history_tables};
    for (size_t i = 0; i < (audit ? 2 : 1); i++) {
        _cleanup_result_ PGresult *res = read_missing(c, tables[i], schema, err);
        if (res == NULL) {
            return false;
        }
        miss_all(missing, res, schema);
    }
    *out_version = -1;
    return !is_readable || schema_version_installed(c, schema, out_version, err);
}

static bool refuse_newer(const char *schema, int version, struct error *err)
{
    error_set(err, ERROR_SETUP, "schema '%s' has version %d, this program knows up to %d", schema,
              version, steps_count());
    return error_hint(err,
                      "Install the version of pgsinkd that upgraded the schema, or a later one.");
}

/* Inside a transaction and under the lock. */
static bool apply_locked(struct conn *c, const char *schema, int *out_applied, struct error *err)
{
    _cleanup_buf_ struct buf sql = {0};
    struct state s;

    fill(&sql, lock_sql, schema);
    if (!conn_run(c, buf_cstr(&sql), err) || !read_state(c, schema, &s, err)) {
        return false;
    }
    if (s.version > steps_count()) {
        return refuse_newer(schema, s.version, err);
    }
    buf_clear(&sql);
    if (!s.exists) {
        fill(&sql, create_sql, schema);
    }
    for (int v = s.version + 1; v <= steps_count(); v++) {
        fill_all(&sql, steps_lines(v), schema);
    }
    *out_applied = steps_count() - s.version;
    return *out_applied == 0 || conn_run(c, buf_cstr(&sql), err);
}

static bool apply(struct conn *c, const char *schema, int *out_applied, struct error *err)
{
    int applied = 0;

    if (!conn_run(c, "BEGIN;" PATH_SQL, err)) {
        return false;
    }
    if (!apply_locked(c, schema, &applied, err)) {
        struct error ignored;
        if (conn_is_open(c)) {
            (void) !conn_run(c, "ROLLBACK", &ignored);
        }
        error_wrap(err, "cannot install schema '%s'", schema);
        if (sqlstate_is(err->sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE)) {
            error_hint(err, "%s", HINT_PRINT);
        }
        return false;
    }
    if (!conn_run(c, "COMMIT", err)) {
        return error_wrap(err, "cannot install schema '%s'", schema);
    }
    *out_applied = applied;
    return true;
}

bool schema_version_installed(struct conn *c, const char *schema, int *out_version,
                              struct error *err)
{
    struct state s;

    if (!read_state(c, schema, &s, err)) {
        return false;
    }
    *out_version = s.version;
    return true;
}

/* Steps add to our schema and replace what former steps made, so its objects must be the role's. */
static const char may_install_sql[] =
    "SELECT CASE WHEN n.oid IS NULL"
    " THEN pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')"
    " ELSE pg_catalog.has_schema_privilege(n.oid, 'CREATE') AND NOT EXISTS (SELECT FROM"
    " pg_catalog.pg_class t WHERE t.relnamespace" SQL_EQ "n.oid"
    " AND NOT pg_catalog.pg_has_role(t.relowner, 'USAGE')) END,"
    " n.oid IS NULL, current_user, EXISTS (SELECT FROM pg_catalog.pg_class t"
    " WHERE t.relnamespace" SQL_EQ "n.oid)"
    " FROM (VALUES (1)) AS one(line)"
    " LEFT JOIN pg_catalog.pg_namespace n ON n.nspname" SQL_EQ "$1::pg_catalog.name";

enum { INSTALL_MAY, INSTALL_ABSENT, INSTALL_ROLE, INSTALL_HOLDS_SOMETHING };

bool schema_check_install(struct conn *c, const char *schema, struct rights *missing,
                          struct error *err)
{
    const char *values[] = {schema};
    _cleanup_result_ PGresult *res = conn_exec(c, may_install_sql, 1, values, err);

    if (res == NULL) {
        return false;
    }
    if (result_is_true(res, 0, INSTALL_MAY)) {
        return true;
    }
    const char *role = PQgetvalue(res, 0, INSTALL_ROLE);
    if (result_is_true(res, 0, INSTALL_ABSENT)) {
        rights_miss(missing, RIGHT_ON_DATABASE, NULL, "CREATE");
        error_set(err, ERROR_SETUP,
                  "schema '%s' is not installed, and role '%s' has no CREATE privilege on the "
                  "database",
                  schema, role);
        return error_hint(err, "Grant CREATE, see below. Or: %s", HINT_PRINT);
    }
    if (!result_is_true(res, 0, INSTALL_HOLDS_SOMETHING)) {
        _cleanup_buf_ struct buf name = {0};
        table_quote_ident(&name, schema);
        rights_miss(missing, RIGHT_ON_SCHEMA, buf_cstr(&name), "USAGE, CREATE");
        error_set(err, ERROR_SETUP, "schema '%s' is empty, and role '%s' may not create in it",
                  schema, role);
        return error_hint(err, "Grant CREATE, see below. Or: %s", HINT_PRINT);
    }
    error_set(err, ERROR_SETUP, "schema '%s' must be upgraded, and is not role '%s's own", schema,
              role);
    return error_hint(err, "%s", HINT_PRINT);
}

bool schema_check_history(struct conn *c, const char *schema, struct error *err)
{
    return check_grants(c, history_tables, schema, err);
}

bool schema_ensure(struct conn *c, const char *schema, bool manage, int *out_applied,
                   struct error *err)
{
    struct state s;
    int applied = 0;

    if (!read_state(c, schema, &s, err)) {
        return false;
    }
    if (s.version > steps_count()) {
        return refuse_newer(schema, s.version, err);
    }
    if (s.version < steps_count()) {
        if (!manage) {
            if (s.version == 0) {
                error_set(err, ERROR_SETUP, "schema '%s' is not installed", schema);
            } else {
                error_set(err, ERROR_SETUP, "schema '%s' has version %d, this program needs %d",
                          schema, s.version, steps_count());
            }
            return error_hint(err, "%s", HINT_PRINT);
        }
        if (!apply(c, schema, &applied, err)) {
            return false;
        }
    }
    if (!check_grants(c, ledger_tables, schema, err)) {
        return false;
    }
    *out_applied = applied;
    return true;
}
