/*
 * Target tables as the catalog describes them, in two queries: the relation with everything that
 * could forbid writing into it, then its columns, with domains resolved to their base types.
 * Blocking: main thread, or the scout.
 */
#include "pg/catalog.h"

#include "base/mem.h"
#include "pg/equality.h"
#include "pg/libpq.h"
#include "pg/rows_sql.h"
#include "pg/sql.h"
#include "pg/sqlstate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the relation --- */

/* $1 is the schema or NULL, $2 the name. A schema has one relation of a name, of whatever kind.
 * relhasrules stays true for some time after the last rule was dropped. */
static const char relation_sql[] =
    "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, current_user,"
    " pg_catalog.has_schema_privilege(n.oid, 'USAGE'),"
    " pg_catalog.has_table_privilege(c.oid, 'INSERT'),"
    " pg_catalog.row_security_active(c.oid),"
    " EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class" SQL_EQ "c.oid"
    " AND w.ev_type" SQL_NE "'1')," /* that of a view's SELECT is none */
    " pg_catalog.has_any_column_privilege(c.oid, 'SELECT'),"
    " pg_catalog.has_any_column_privilege(c.oid, 'UPDATE'),"
    " pg_catalog.has_table_privilege(c.oid, 'DELETE'),"
    " pg_catalog.has_table_privilege(c.oid, 'TRUNCATE'),"
    " EXISTS (SELECT FROM pg_catalog.pg_constraint f"
    " WHERE f.confrelid" SQL_EQ "c.oid AND f.contype" SQL_EQ "'f' AND f.conrelid" SQL_NE "c.oid),"
    " pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP'),"
    " pg_catalog.has_table_privilege(c.oid, 'SELECT')"
    " AND pg_catalog.has_table_privilege(c.oid, 'UPDATE') AND c.relkind" SQL_NE "'v'"
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g"
    " WHERE g.tgattr::pg_catalog.text" SQL_NE "'' AND g.tgrelid" SQL_EQ
    "ANY (ARRAY(WITH RECURSIVE p(oid) AS (SELECT c.oid UNION SELECT i.inhrelid FROM p" /* no lock */
    " JOIN pg_catalog.pg_inherits i ON i.inhparent" SQL_EQ "p.oid) SELECT p.oid FROM p)"
    "::pg_catalog.oid[])),"
    " CASE WHEN c.relkind" SQL_EQ "'v' THEN" /* it would wait for the lock of a table */
    " (pg_catalog.pg_relation_is_updatable(c.oid, true)" SQL_AND "8)" SQL_NE "0 ELSE false END,"
    " EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid" SQL_EQ "c.oid"
    " AND (t.tgtype" SQL_AND "64::pg_catalog.int2)" SQL_NE "0)," /* INSTEAD OF */
    " pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.strpos("
    "coalesce(pg_catalog.array_to_string(c.reloptions, ','), ''), 'security_invoker')" SQL_EQ "0,"
    " EXISTS (WITH RECURSIVE v(oid) AS (SELECT c.oid UNION SELECT d.refobjid FROM v"
    " JOIN pg_catalog.pg_rewrite w ON w.ev_class" SQL_EQ "v.oid AND w.ev_type" SQL_EQ "'1'"
    " JOIN pg_catalog.pg_depend d ON d.classid" SQL_EQ
    "'pg_catalog.pg_rewrite'::pg_catalog.regclass"
    " AND d.objid" SQL_EQ "w.oid"
    " AND d.refclassid" SQL_EQ "'pg_catalog.pg_class'::pg_catalog.regclass)"
    " SELECT FROM v JOIN pg_catalog.pg_class b ON b.oid" SQL_EQ "v.oid"
    " WHERE b.relpersistence" SQL_NE "'p' OR b.relkind" SQL_EQ "'f')"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid" SQL_EQ "c.relnamespace"
    " WHERE c.relname" SQL_EQ "$2::pg_catalog.name"
    " AND CASE WHEN $1::pg_catalog.text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)"
    " ELSE n.nspname" SQL_EQ "$1::pg_catalog.name END";

enum {
    REL_OID,
    REL_SCHEMA,
    REL_NAME,
    REL_KIND,
    REL_PERSISTENCE,
    REL_USER,
    REL_USAGE,
    REL_INSERT,
    REL_RLS,
    REL_RULES,
    REL_SELECT,
    REL_UPDATE,
    REL_DELETE,
    REL_TRUNCATE,
    REL_REFERENCED,
    REL_STAGE,
    REL_SET_ALL,
    REL_TAKES_ROWS,
    REL_INSTEAD,
    REL_VIEW_LOCK, /* may it be locked, if it is a view? Its owner can read what it reads. */
    REL_READS_UNLOGGED
};

static const char *kind_name(char kind)
{
    switch (kind) {
    case 'v':
        return "a view that takes no rows";
    case 'm':
        return "a materialized view";
    case 'f':
        return "a foreign table";
    case 'S':
        return "a sequence";
    case 'i':
    case 'I':
        return "an index";
    case 'c':
        return "a composite type";
    default:
        return "not a table";
    }
}

/* A schema that does not exist is not one without the table. False: it exists, or that cannot be
 * asked. */
static bool is_schema_missing(struct conn *c, const char *schema, struct error *err)
{
    const char *values[] = {schema};
    struct error ignored;

    if (schema == NULL) {
        return false;
    }
    _cleanup_result_ PGresult *res = conn_exec(
        c,
        "SELECT n.nspname, n.nspname" SQL_EQ "$1::pg_catalog.name FROM pg_catalog.pg_namespace n"
        " WHERE n.nspname" SQL_EQ "$1::pg_catalog.name OR NOT pg_catalog.starts_with(n.nspname,"
        " 'pg_') ORDER BY 2 DESC, 1",
        1, values, &ignored);
    size_t n = res != NULL ? (size_t) PQntuples(res) : 0;
    if (n == 0 || result_is_true(res, 0, 1)) {
        return false;
    }
    _cleanup_mem_ const char **names = mem_array(n, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        names[i] = PQgetvalue(res, (int) i, 0);
    }
    const char *near = str_nearest(schema, names, n);
    error_set(err, ERROR_SETUP, "schema '%s' does not exist", schema);
    error_sqlstate(err, "3F000");
    if (near != NULL) {
        error_hint(err, "Did you mean '%s'?", near);
    } else {
        error_hint(err, "Create it, and the table in it: pgsinkd creates neither.");
    }
    return true;
}

/* Names of tables in that schema, or on the search_path, for the hint. */
static bool missing(struct conn *c, const char *schema, const char *name, struct error *err)
{
    const char *values[] = {schema};
    struct error ignored;
    _cleanup_result_ PGresult *res = conn_exec(
        c,
        "SELECT c.relname, n.nspname FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid" SQL_EQ "c.relnamespace"
        " WHERE c.relkind" SQL_EQ "ANY (ARRAY['r', 'p', 'v']::pg_catalog.\"char\"[])"
        " AND CASE WHEN $1::pg_catalog.text IS NULL"
        " THEN n.nspname" SQL_NE
        "ALL (ARRAY['pg_catalog', 'information_schema']::pg_catalog.name[])"
        " AND pg_catalog.pg_table_is_visible(c.oid)"
        " ELSE n.nspname" SQL_EQ "$1::pg_catalog.name END ORDER BY 1",
        1, values, &ignored);

    if (res == NULL) {
        *err = ignored;
        return false;
    }
    if (is_schema_missing(c, schema, err)) {
        return false;
    }
    size_t n = (size_t) PQntuples(res);
    const char **names = mem_array(n, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        names[i] = PQgetvalue(res, (int) i, 0);
    }
    const char *near = str_nearest(name, names, n);
    error_set(err, ERROR_SETUP, "table '%s%s%s' does not exist", schema != NULL ? schema : "",
              schema != NULL ? "." : "", name);
    error_sqlstate(err, "42P01");
    if (near != NULL) {
        error_hint(err, "Did you mean '%s%s%s'? Otherwise create the table first.",
                   schema != NULL ? schema : "", schema != NULL ? "." : "", near);
    } else if (schema == NULL && strchr(name, '.') != NULL) {
        error_hint(err, "One pair of quotes makes one name of it, with a dot in it. A schema and a "
                        "table are written schema.table, or \"schema\".\"table\".");
    } else if (schema == NULL) {
        error_hint(err, "Create the table first, or say create: true in the route. If it is there, "
                        "name its schema too: those that the role may not use are not searched.");
    } else if (n == 0) {
        error_hint(err, "Schema '%s' has no table: correct its name, or create the table first.",
                   schema);
    } else {
        error_hint(err, "Create the table first, or say create: true in the route.");
    }
    free(names);
    return false;
}

static bool check_kind(const PGresult *r, struct error *err)
{
    char kind = *PQgetvalue(r, 0, REL_KIND);

    error_set(err, ERROR_SETUP, "'%s.%s' is %s: pgsinkd cannot write into it",
              PQgetvalue(r, 0, REL_SCHEMA), PQgetvalue(r, 0, REL_NAME), kind_name(kind));
    if (kind == 'v') {
        error_hint(err, "Name the table that it reads, or create an INSTEAD OF INSERT trigger.");
    } else if (kind == 'f') {
        error_hint(err, "Name the table that it reads, or a table whose trigger passes rows on.");
    }
    return false;
}

static bool check_view(const PGresult *r, struct error *err)
{
    const char *schema = PQgetvalue(r, 0, REL_SCHEMA);
    const char *name = PQgetvalue(r, 0, REL_NAME);

    if (result_is_true(r, 0, REL_RULES)) {
        error_set(err, ERROR_SETUP, "view '%s.%s' has rules, which pgsinkd does not write by",
                  schema, name);
        return error_hint(err, "Make INSTEAD OF triggers of them and DROP RULE.");
    }
    if (result_is_true(r, 0, REL_READS_UNLOGGED)) {
        error_set(err, ERROR_SETUP,
                  "view '%s.%s' reads a foreign or an unlogged table, whose rows are not committed "
                  "together with the ledger, or are lost in a crash of the server",
                  schema, name);
        return error_hint(err, "ALTER TABLE ... SET LOGGED; or write into a table of this "
                               "database.");
    }
    return true;
}

static bool check_relation(const PGresult *r, bool as_granted, struct error *err)
{
    const char *schema = PQgetvalue(r, 0, REL_SCHEMA);
    const char *name = PQgetvalue(r, 0, REL_NAME);
    const char *user = PQgetvalue(r, 0, REL_USER);
    char kind = *PQgetvalue(r, 0, REL_KIND);

    if (kind != 'r' && kind != 'p' && (kind != 'v' || !result_is_true(r, 0, REL_TAKES_ROWS))) {
        return check_kind(r, err);
    }
    if (kind == 'v' && !check_view(r, err)) {
        return false;
    }
    if (*PQgetvalue(r, 0, REL_PERSISTENCE) != 'p') {
        error_set(err, ERROR_SETUP,
                  "table '%s.%s' is unlogged: a crash of the server empties it, but not the ledger",
                  schema, name);
        return error_hint(err, "ALTER TABLE \"%s\".\"%s\" SET LOGGED;", schema, name);
    }
    if (!as_granted && !result_is_true(r, 0, REL_USAGE)) {
        _cleanup_buf_ struct buf grant = {0};
        buf_add_z(&grant, "GRANT USAGE ON SCHEMA ");
        table_quote_ident(&grant, schema);
        buf_add_z(&grant, " TO ");
        table_quote_ident(&grant, user);
        error_set(err, ERROR_SETUP, "table '%s.%s': role '%s' has no USAGE privilege on the schema",
                  schema, name, user);
        return error_hint(err, "%s;", buf_cstr(&grant));
    }
    return true;
}

static bool no_insert(const struct table *t, const char *column, struct error *err)
{
    const char *user = t->role;
    _cleanup_buf_ struct buf role = {0};

    table_quote_ident(&role, user);
    error_set(err, ERROR_SETUP, "table '%s.%s': role '%s' has no INSERT privilege%s%s%s", t->schema,
              t->name, user, column != NULL ? " on column '" : "", column != NULL ? column : "",
              column != NULL ? "'" : "");
    error_sqlstate(err, SQLSTATE_INSUFFICIENT_PRIVILEGE);
    return error_hint(err, "GRANT INSERT ON TABLE %s TO %s;", t->quoted, buf_cstr(&role));
}

/* --- its columns --- */

/*
 * Everything that decides how rows are made for the table, or whether they can be; r.rel is its
 * OID. Domains, which can change without their tables, count only where the table has some. The
 * same as columns_signature() (sql/007_columns.sql), which is not there in a sink without
 * a schema of ours; server_schema.c compares the two.
 */
#define COLUMNS_SQL                                                                                \
    "pg_catalog.md5(pg_catalog.concat("                                                            \
    "(SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attnum, a.attname, a.atttypid,"     \
    " a.atttypmod, a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated, a.attcollation), ','" \
    " ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid" SQL_EQ "r.rel"           \
    " AND a.attnum" SQL_GT "0 AND NOT a.attisdropped), '|',"                                       \
    " (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', i.indisprimary, i.indnkeyatts,"      \
    " i.indkey), ',' ORDER BY i.indisprimary, i.indnkeyatts, i.indkey::pg_catalog.text)"           \
    " FROM pg_catalog.pg_index i WHERE i.indrelid" SQL_EQ "r.rel"                                  \
    " AND i.indisunique AND i.indimmediate AND i.indisvalid"                                       \
    " AND i.indpred IS NULL AND i.indexprs IS NULL), '|',"                                         \
    " EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class" SQL_EQ "r.rel), '|',"          \
    " (SELECT c.relpersistence FROM pg_catalog.pg_class c WHERE c.oid" SQL_EQ "r.rel)))"
#define DOMAINS_SQL                                                                                \
    "pg_catalog.md5((WITH RECURSIVE d(typ) AS (SELECT a.atttypid FROM pg_catalog.pg_attribute a"   \
    " WHERE a.attrelid" SQL_EQ "r.rel AND a.attnum" SQL_GT "0"                                     \
    " UNION SELECT CASE WHEN t.typtype" SQL_EQ "'d' THEN t.typbasetype ELSE t.typelem END"         \
    " FROM d JOIN pg_catalog.pg_type t ON t.oid" SQL_EQ "d.typ"                                    \
    " WHERE t.typtype" SQL_EQ "'d' OR t.typlen" SQL_EQ "'-1' AND t.typelem" SQL_NE "'0')"          \
    " SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', t.oid, t.typbasetype, t.typtypmod,"   \
    " t.typnotnull, t.typdefault IS NULL), ',' ORDER BY t.oid)"                                    \
    " FROM d JOIN pg_catalog.pg_type t ON t.oid" SQL_EQ "d.typ WHERE t.typtype" SQL_EQ "'d'))"

/* Every DEFAULT, of a column or of its domain, of r.rel. */
#define DEFAULTS_SQL                                                                               \
    "pg_catalog.md5((SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attnum,"             \
    " coalesce(e.adbin::pg_catalog.text, t.typdefaultbin::pg_catalog.text)), ',' ORDER BY"         \
    " a.attnum) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid" SQL_EQ          \
    "a.atttypid LEFT JOIN pg_catalog.pg_attrdef e ON e.adrelid" SQL_EQ "a.attrelid"                \
    " AND e.adnum" SQL_EQ "a.attnum WHERE a.attrelid" SQL_EQ "r.rel AND a.attnum" SQL_GT "0"       \
    " AND NOT a.attisdropped))"

/* Fails as no statement of anybody else does: a setting of this name does not exist. */
#define NO_SUCH_SETTING "pgsinkd.columns_have_changed"

/* The table is found by its name: another one may have it by now. */
static void add_name(struct buf *out, const struct table *t, const char *before, const char *after)
{
    buf_add_z(out, before);
    sql_literal(out, t->quoted);
    buf_add_z(out, after);
}

void catalog_guard_sql(struct buf *out, const char *schema, const struct table *t, bool in_plan)
{
    if (schema == NULL) {
        buf_add_z(out, "CASE WHEN (SELECT pg_catalog.concat(r.rel, ':', " COLUMNS_SQL);
        buf_add_z(out, t->has_domains ? ", ':', " DOMAINS_SQL ")" : ")");
        add_name(out, t, " FROM (SELECT pg_catalog.to_regclass(", ")::pg_catalog.oid) AS r(rel))");
        buf_printf(out, SQL_EQ "'%s' THEN true", t->signature);
        buf_add_z(out, " ELSE pg_catalog.current_setting('" NO_SUCH_SETTING "') IS NULL END");
        return;
    }
    table_quote_ident(out, schema);
    if (in_plan) {
        add_name(out, t, ".columns_are(", "::pg_catalog.regclass");
    } else {
        add_name(out, t, ".columns_now(pg_catalog.to_regclass(", ")");
    }
    buf_printf(out, ",'%s')", t->signature);
}

void catalog_defaults_guard_sql(struct buf *out, const struct table *t)
{
    buf_add_z(out, "CASE WHEN (SELECT " DEFAULTS_SQL);
    add_name(out, t, " FROM (SELECT pg_catalog.to_regclass(", ")::pg_catalog.oid) AS r(rel))");
    buf_printf(out, SQL_EQ "'%s' THEN true", t->defaults);
    buf_add_z(out, " ELSE pg_catalog.current_setting('" NO_SUCH_SETTING "') IS NULL END");
}

bool catalog_guard_speaks(const char *sqlstate, const char *message)
{
    return sqlstate_is(sqlstate, SQLSTATE_CHANGED) ||
           (sqlstate_is(sqlstate, SQLSTATE_UNDEFINED_OBJECT) &&
            strstr(message, NO_SUCH_SETTING) != NULL);
}

/* Both parts, of which set_signature takes the second where it counts, and that of the DEFAULTs. */
static PGresult *read_signature(struct conn *c, const struct table *t, struct error *err)
{
    char oid[16];
    const char *values[] = {oid};

    snprintf(oid, sizeof oid, "%u", t->oid);
    return conn_exec(c,
                     "SELECT pg_catalog.concat(r.rel, ':', " COLUMNS_SQL "), " DOMAINS_SQL
                     ", " DEFAULTS_SQL " FROM (SELECT $1::pg_catalog.oid) AS r(rel)",
                     1, values, err);
}

static void set_signature(struct table *t, const PGresult *r)
{
    t->signature = t->has_domains ? mem_printf("%s:%s", PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 1))
                                  : mem_strdup(PQgetvalue(r, 0, 0));
    t->defaults = mem_strdup(PQgetvalue(r, 0, 2));
}

/*
 * What is asked about a type; b(typid, typmod, not_null) is its base type. Without a length, bpchar
 * is called "bpchar" and not "character", which would be character(1). A type of an extension has
 * no fixed number: it is known by the function that receives its fields.
 */
#define TYPE_FIELDS                                                                                \
    " SELECT b.typid, b.typmod, b.not_null, pg_catalog.format_type(b.typid, -1), w.typarray,"      \
    " CASE WHEN w.typtype" SQL_EQ "'e' THEN 'enum'"                                                \
    " WHEN w.typinput" SQL_EQ "'pg_catalog.array_in'::pg_catalog.regproc THEN 'array'"             \
    " WHEN w.typtype" SQL_EQ "'c' THEN 'composite'"                                                \
    " ELSE f.prosrc END, w.typelem, " SQL_TYPE_NAME("b.typid", "-1")
#define TYPE_JOINS                                                                                 \
    " JOIN pg_catalog.pg_type w ON w.oid" SQL_EQ "b.typid"                                         \
    " LEFT JOIN pg_catalog.pg_proc f ON f.oid" SQL_EQ "w.typreceive"

/* From a domain to what it is over: each may set a typmod and forbid NULL. */
#define DOMAIN_STEP                                                                                \
    " t.typbasetype, CASE WHEN d.typmod" SQL_GE "0 THEN d.typmod ELSE t.typtypmod END,"            \
    " d.not_null OR t.typnotnull"                                                                  \
    " FROM d JOIN pg_catalog.pg_type t ON t.oid" SQL_EQ "d.typid WHERE t.typtype" SQL_EQ "'d')"

/* The default is that of the outermost domain that has one. */
static const char columns_sql[] =
    "WITH RECURSIVE d(num, depth, typid, typmod, not_null) AS ("
    " SELECT a.attnum, 0, a.atttypid, a.atttypmod, a.attnotnull"
    " FROM pg_catalog.pg_attribute a"
    " WHERE a.attrelid" SQL_EQ "$1::pg_catalog.oid AND a.attnum" SQL_GT "0 AND NOT a.attisdropped"
    " UNION ALL SELECT d.num, d.depth" SQL_PLUS "1," DOMAIN_STEP ","
    " b AS (SELECT DISTINCT ON (num) * FROM d ORDER BY num, depth DESC)" TYPE_FIELDS
    ", pg_catalog.format_type(a.atttypid, a.atttypmod), a.attname,"
    " a.atthasdef OR a.attidentity" SQL_NE "'' OR t.typdefault IS NOT NULL,"
    " a.attgenerated" SQL_NE "'', a.attidentity,"
    " pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'INSERT'), a.attnum,"
    " (SELECT ' COLLATE '" SQL_CAT "pg_catalog.quote_ident(n.nspname)" SQL_CAT "'.'" SQL_CAT
    "pg_catalog.quote_ident(o.collname) FROM pg_catalog.pg_collation o"
    " JOIN pg_catalog.pg_namespace n ON n.oid" SQL_EQ "o.collnamespace"
    " WHERE o.oid" SQL_EQ "a.attcollation AND NOT o.collisdeterministic), " SQL_TYPE_NAME(
        "a.atttypid",
        "a.atttypmod") ", a.atttypid" SQL_NE "b.typid,"
                       " pg_catalog.pg_column_is_updatable($2::pg_catalog.oid, a.attnum, false)"
                       " FROM pg_catalog.pg_attribute a JOIN b ON b.num" SQL_EQ
                       "a.attnum" TYPE_JOINS " JOIN pg_catalog.pg_type t ON t.oid" SQL_EQ
                       "a.atttypid"
                       " WHERE a.attrelid" SQL_EQ "$1::pg_catalog.oid ORDER BY a.attnum";

/* The type $1 with the typmod $2. */
static const char element_sql[] = "WITH RECURSIVE d(depth, typid, typmod, not_null) AS ("
                                  " SELECT 0, $1::pg_catalog.oid, $2::pg_catalog.int4, false"
                                  " UNION ALL SELECT d.depth" SQL_PLUS "1," DOMAIN_STEP ","
                                  " b AS (SELECT * FROM d ORDER BY depth DESC LIMIT 1)" TYPE_FIELDS
                                  ", pg_catalog.format_type($1, $2) FROM b" TYPE_JOINS;

enum {
    COL_TYPE,
    COL_TYPMOD,
    COL_NOT_NULL,
    COL_BASE_NAME,
    COL_ARRAY,
    COL_KIND,
    COL_ELEMENT,
    COL_SQL_NAME,
    COL_TYPE_NAME,
    COL_NAME, /* from here: of columns only */
    COL_DEFAULT,
    COL_GENERATED,
    COL_IDENTITY,
    COL_INSERT,
    COL_ATTNUM,
    COL_COLLATION, /* nondeterministic, as " COLLATE ..."; else NULL */
    COL_TYPE_SQL,  /* the column's own type in SQL */
    COL_DOMAIN,
    COL_UPDATABLE /* of a view: not computed */
};

static uint32_t oid_at(const PGresult *r, int row, int column)
{
    return (uint32_t) strtoul(PQgetvalue(r, row, column), NULL, 10);
}

/* Its fields are sent as this type, and SQL casts them. */
static void set_cast(struct column *col, enum column_type as)
{
    col->cast = true;
    col->wire_oid = column_type_oid(as);
    col->wire_array_oid = column_type_array_oid(as);
    free(col->wire_name);
    col->wire_name = mem_printf("pg_catalog.%s", column_type_name(as));
}

/* The same of an array, by its elements. Those that are binary stay so, as elements of an array. */
static void set_array_cast(struct column *array, enum column_type as)
{
    if (as == TYPE_TEXT) {
        set_cast(array, as);
        return;
    }
    array->element->wire_oid = column_type_oid(as);
    array->cast = true;
    array->wire_oid = column_type_array_oid(as);
    array->wire_array_oid = 0;
    free(array->wire_name);
    array->wire_name = mem_printf("pg_catalog.%s[]", column_type_name(as));
}

static bool fill_type(struct conn *c, struct column *col, const PGresult *r, int row,
                      struct error *err);

/* What the elements of an array are. Arrays in domains in arrays are left to PostgreSQL. */
static bool fill_element(struct conn *c, struct column *array, const char *oid, const char *typmod,
                         struct error *err)
{
    const char *values[] = {oid, typmod};
    _cleanup_result_ PGresult *r = conn_exec(c, element_sql, 2, values, err);

    if (r == NULL) {
        return false;
    }
    if (strcmp(PQgetvalue(r, 0, COL_KIND), "array") == 0) {
        array->type = TYPE_OTHER;
        set_cast(array, TYPE_TEXT);
        return true;
    }
    array->element = mem_zalloc(sizeof *array->element);
    if (!fill_type(c, array->element, r, 0, err)) {
        return false;
    }
    array->has_domain = strtoul(oid, NULL, 10) != oid_at(r, 0, COL_TYPE);
    array->element->wire_oid = (uint32_t) strtoul(oid, NULL, 10); /* a domain counts here */
    if (array->element->cast) {
        set_array_cast(array, column_type_sent_as(array->element->type));
    }
    return true;
}

static bool fill_type(struct conn *c, struct column *col, const PGresult *r, int row,
                      struct error *err)
{
    col->type_name = mem_strdup(PQgetvalue(r, row, COL_TYPE_NAME));
    col->type = column_type_find(oid_at(r, row, COL_TYPE), PQgetvalue(r, row, COL_KIND));
    col->typmod = (int32_t) strtol(PQgetvalue(r, row, COL_TYPMOD), NULL, 10);
    col->not_null = result_is_true(r, row, COL_NOT_NULL);
    col->wire_oid = oid_at(r, row, COL_TYPE);
    col->wire_array_oid = oid_at(r, row, COL_ARRAY);
    col->base_name = mem_strdup(PQgetvalue(r, row, COL_BASE_NAME));
    col->sql_name = mem_strdup(PQgetvalue(r, row, COL_SQL_NAME));
    col->wire_name = mem_strdup(col->sql_name);
    if (column_type_is_cast(col->type)) {
        set_cast(col, column_type_sent_as(col->type));
    }
    return col->type != TYPE_ARRAY || fill_element(c, col, PQgetvalue(r, row, COL_ELEMENT),
                                                   PQgetvalue(r, row, COL_TYPMOD), err);
}

/* Can fold.c compare such values by what types.def says that equal ones have in common? */
static bool is_equal_by_bytes(const struct column *col)
{
    switch (column_type_equality(col->type)) {
    case EQUAL_BYTES:
    case EQUAL_NUMERIC:
    case EQUAL_FLOAT:
    case EQUAL_PADDED:
        return true;
    case EQUAL_ROUNDED:
        return col->typmod < 0;
    case EQUAL_BUILT_IN:
        return col->wire_oid == column_type_oid(col->type);
    case EQUAL_BY_SQL:
        break;
    }
    return false;
}

static void fill_compare(struct column *col, const PGresult *r, int row)
{
    const char *collation = PQgetvalue(r, row, COL_COLLATION);

    if (*collation || !is_equal_by_bytes(col)) {
        _cleanup_buf_ struct buf as = {0};
        buf_printf(&as, "%s%s", PQgetvalue(r, row, COL_TYPE_SQL), collation);
        col->compare_as = mem_strdup(buf_cstr(&as));
    }
}

static bool fill_column(struct conn *c, struct column *col, const PGresult *r, int row,
                        struct error *err)
{
    char identity = *PQgetvalue(r, row, COL_IDENTITY);

    *col = (struct column){
        .name = mem_strdup(PQgetvalue(r, row, COL_NAME)),
        .has_default = result_is_true(r, row, COL_DEFAULT),
        .generated = result_is_true(r, row, COL_GENERATED),
        .identity = identity != '\0',
        .identity_always = identity == 'a',
    };
    if (!fill_type(c, col, r, row, err)) {
        return false;
    }
    fill_compare(col, r, row);
    return true;
}

/* --- its defaults --- */

/*
 * As expressions in which every name has its schema, so that they mean the same whatever the
 * search_path is, and whoever creates something in it: the setting lasts as long as this statement,
 * and no row comes before it. The DEFAULT of an identity column needs no privilege on its sequence,
 * but nextval() does. No DEFAULT names a column, so 0 stands for the table: pg_get_expr() would
 * wait for its lock.
 */
static const char defaults_sql[] =
    "WITH p AS MATERIALIZED (SELECT pg_catalog.set_config('search_path', 'pg_catalog', true) AS x)"
    " SELECT CASE WHEN a.attgenerated" SQL_NE "'' THEN NULL"
    " WHEN a.attidentity" SQL_EQ "'' THEN coalesce(pg_catalog.pg_get_expr(e.adbin, 0),"
    " pg_catalog.pg_get_expr(t.typdefaultbin, 0))"
    " ELSE (SELECT pg_catalog.format('pg_catalog.nextval(%L::pg_catalog.regclass)', q.name)"
    " FROM pg_catalog.pg_get_serial_sequence(a.attrelid::pg_catalog.regclass::pg_catalog.text,"
    " a.attname) AS q(name) WHERE pg_catalog.has_sequence_privilege(q.name, 'USAGE')) END"
    " FROM p CROSS JOIN pg_catalog.pg_attribute a"
    " JOIN pg_catalog.pg_type t ON t.oid" SQL_EQ "a.atttypid"
    " LEFT JOIN pg_catalog.pg_attrdef e ON e.adrelid" SQL_EQ "a.attrelid AND e.adnum" SQL_EQ
    "a.attnum WHERE p.x IS NOT NULL AND a.attrelid" SQL_EQ "$1::pg_catalog.oid AND a.attnum" SQL_GT
    "0"
    " AND NOT a.attisdropped ORDER BY a.attnum";

static bool read_defaults(struct conn *c, struct table *t, struct error *err)
{
    char oid[16];
    const char *values[] = {oid};

    snprintf(oid, sizeof oid, "%u", t->oid);
    _cleanup_result_ PGresult *r = conn_exec(c, defaults_sql, 1, values, err);
    if (r == NULL) {
        return false;
    }
    size_t n = MIN(t->column_count, (size_t) PQntuples(r)); /* the table may have changed */
    for (size_t i = 0; i < n; i++) {
        if (!PQgetisnull(r, (int) i, 0)) {
            t->columns[i].default_sql = mem_strdup(PQgetvalue(r, (int) i, 0));
        }
    }
    return true;
}

/* --- its unique indexes --- */

/* Those that ON CONFLICT can infer: over plain columns, not partial, valid, checked at once. */
static const char uniques_sql[] =
    "SELECT i.indisprimary, k.place, a.attnum"
    " FROM pg_catalog.pg_index i"
    " CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[])"
    " WITH ORDINALITY AS k(attnum, place)"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid" SQL_EQ "i.indrelid AND a.attnum" SQL_EQ
    "k.attnum"
    " WHERE i.indrelid" SQL_EQ
    "$1::pg_catalog.oid AND i.indisunique AND i.indimmediate AND i.indisvalid"
    " AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place" SQL_LE "i.indnkeyatts"
    " ORDER BY i.indisprimary DESC, i.indexrelid, k.place";

enum { UNIQUE_PRIMARY, UNIQUE_PLACE, UNIQUE_ATTNUM };

/* attnums[i] is the number of the table's column i. */
static uint32_t index_of(const struct table *t, const uint32_t *attnums, uint32_t attnum)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (attnums[i] == attnum) {
            return i;
        }
    }
    return 0; /* not reached: an index is over live columns */
}

static bool read_uniques(struct conn *c, struct table *t, const uint32_t *attnums,
                         struct error *err)
{
    char oid[16];
    const char *values[] = {oid};

    snprintf(oid, sizeof oid, "%u", t->oid);
    _cleanup_result_ PGresult *r = conn_exec(c, uniques_sql, 1, values, err);
    if (r == NULL) {
        return false;
    }
    size_t n = (size_t) PQntuples(r);
    t->uniques = mem_array(MAX(n, 1), sizeof *t->uniques);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(PQgetvalue(r, (int) i, UNIQUE_PLACE), "1") == 0) {
            t->uniques[t->unique_count++] = (struct unique){
                .is_primary = result_is_true(r, (int) i, UNIQUE_PRIMARY),
                .columns = mem_array(n, sizeof(uint32_t)),
            };
        }
        struct unique *u = &t->uniques[t->unique_count - 1];
        u->columns[u->column_count++] = index_of(t, attnums, oid_at(r, (int) i, UNIQUE_ATTNUM));
    }
    return true;
}

/* A view does not show the DEFAULTs of its table: a column that is left out gets its own, if it has
 * one. */
static void set_view_column(const struct table *t, struct column *col, bool is_updatable)
{
    col->has_default = true;
    col->generated = !t->has_instead && !is_updatable;
}

enum asking {
    ASK_INSERT,
    ASK_NOTHING, /* rows are not inserted */
    /* What is lacking is noted. Privileges of columns do not count: those of the table will. */
    ASK_AS_GRANTED,
};

static bool read_columns(struct conn *c, struct table *t, bool may_insert, enum asking asking,
                         struct error *err)
{
    char oid[16];
    /* Of a table nothing is asked that would wait for its lock. */
    const char *values[] = {oid, t->is_view ? oid : NULL};

    snprintf(oid, sizeof oid, "%u", t->oid);
    _cleanup_result_ PGresult *r = conn_exec(c, columns_sql, 2, values, err);
    if (r == NULL) {
        return false;
    }
    t->column_count = (size_t) PQntuples(r);
    t->columns = mem_array(t->column_count, sizeof *t->columns);
    _cleanup_mem_ uint32_t *attnums = mem_array(MAX(t->column_count, 1), sizeof *attnums);
    const struct column *refused = NULL;
    size_t granted = 0;
    for (size_t i = 0; i < t->column_count; i++) {
        struct column *col = &t->columns[i];
        if (!fill_column(c, col, r, (int) i, err)) {
            return false;
        }
        attnums[i] = oid_at(r, (int) i, COL_ATTNUM);
        const struct equality_column which = {t->oid, attnums[i], oid_at(r, (int) i, COL_TYPE)};
        if (!equality_read(c, &which, col, err)) {
            return false;
        }
        if (t->is_view) {
            set_view_column(t, col, result_is_true(r, (int) i, COL_UPDATABLE));
        }
        t->has_domains |= col->has_domain || result_is_true(r, (int) i, COL_DOMAIN);
        if (may_insert || result_is_true(r, (int) i, COL_INSERT)) {
            granted++;
        } else if (refused == NULL && !col->generated && !col->identity) {
            refused = col;
        }
    }
    if (!may_insert && (refused != NULL || granted == 0)) {
        if (asking == ASK_INSERT) {
            return no_insert(t, granted > 0 && refused != NULL ? refused->name : NULL, err);
        }
        t->lacks |= asking == ASK_AS_GRANTED ? MAY_INSERT : 0;
    }
    /* Where a schema may not be used, an identity column's sequence cannot be found by name. */
    return read_uniques(c, t, attnums, err) &&
           ((t->lacks & MAY_USE_SCHEMA) != 0 || read_defaults(c, t, err));
}

static struct table *new_table(const PGresult *r)
{
    struct table *t = mem_zalloc(sizeof *t);
    _cleanup_buf_ struct buf quoted = {0};

    t->oid = (uint32_t) strtoul(PQgetvalue(r, 0, REL_OID), NULL, 10);
    t->schema = mem_strdup(PQgetvalue(r, 0, REL_SCHEMA));
    t->is_view = *PQgetvalue(r, 0, REL_KIND) == 'v';
    t->has_instead = t->is_view && result_is_true(r, 0, REL_INSTEAD);
    t->by_insert = t->is_view || result_is_true(r, 0, REL_RLS);
    t->has_rules = result_is_true(r, 0, REL_RULES);
    t->may_lock = result_is_true(r, 0, t->is_view ? REL_VIEW_LOCK : REL_INSERT);
    t->may_select = result_is_true(r, 0, REL_SELECT);
    t->may_update = result_is_true(r, 0, REL_UPDATE);
    t->may_delete = result_is_true(r, 0, REL_DELETE);
    /* A policy hides rows from us, which TRUNCATE would take as well. */
    t->may_truncate = !t->by_insert && result_is_true(r, 0, REL_TRUNCATE);
    t->is_referenced = result_is_true(r, 0, REL_REFERENCED);
    t->may_stage = result_is_true(r, 0, REL_STAGE);
    t->may_set_all = result_is_true(r, 0, REL_SET_ALL);
    t->name = mem_strdup(PQgetvalue(r, 0, REL_NAME));
    t->role = mem_strdup(PQgetvalue(r, 0, REL_USER));
    table_quote_ident(&quoted, t->schema);
    buf_add_u8(&quoted, '.');
    table_quote_ident(&quoted, t->name);
    t->quoted = mem_strdup(buf_cstr(&quoted));
    return t;
}

/* What the role lacks, and the table as it will be when that is granted. */
static void take_for_granted(struct table *t, const PGresult *r)
{
    t->lacks = (t->may_select ? 0 : MAY_SELECT) | (t->may_update ? 0 : MAY_UPDATE) |
               (t->may_delete ? 0 : MAY_DELETE) |
               (result_is_true(r, 0, REL_USAGE) ? 0 : MAY_USE_SCHEMA);
    t->may_select = t->may_update = t->may_delete = true;
    t->may_lock = t->may_stage = true;
}

static struct table *read_table(struct conn *c, const char *schema, const char *name,
                                enum asking asking, struct error *err)
{
    const char *values[] = {schema, name};
    _cleanup_result_ PGresult *r = conn_exec(c, relation_sql, 2, values, err);

    if (r == NULL) {
        return NULL;
    }
    if (PQntuples(r) == 0) {
        (void) missing(c, schema, name, err);
        return NULL;
    }
    if (!check_relation(r, asking == ASK_AS_GRANTED, err)) {
        return NULL;
    }
    struct table *t = new_table(r);
    if (asking == ASK_AS_GRANTED) {
        take_for_granted(t, r);
    }
    const char *encoding = PQparameterStatus(c->pg, "server_encoding");
    t->is_utf8 = encoding != NULL && strcmp(encoding, "UTF8") == 0;
    /* First, so that a change between the two queries is seen later. */
    _cleanup_result_ PGresult *signature = read_signature(c, t, err);
    if (signature == NULL || !read_columns(c, t, result_is_true(r, 0, REL_INSERT), asking, err)) {
        table_free(t);
        return NULL;
    }
    set_signature(t, signature);
    return t;
}

struct table *catalog_table(struct conn *c, const char *schema, const char *name, struct error *err)
{
    return read_table(c, schema, name, ASK_INSERT, err);
}

struct table *catalog_table_without_insert(struct conn *c, const char *schema, const char *name,
                                           struct error *err)
{
    return read_table(c, schema, name, ASK_NOTHING, err);
}

struct table *catalog_table_as_granted(struct conn *c, const char *schema, const char *name,
                                       struct error *err)
{
    return read_table(c, schema, name, ASK_AS_GRANTED, err);
}

static bool check_expression(struct conn *c, const struct target *t,
                             const struct target_expression *e, struct error *err)
{
    _cleanup_buf_ struct buf sql = {0};

    rows_sql_check(&sql, t, e);
    _cleanup_result_ PGresult *r = conn_exec(c, buf_cstr(&sql), 0, NULL, err);
    if (r != NULL) {
        return true;
    }
    bool wants_parameter = sqlstate_is(err->sqlstate, SQLSTATE_PROTOCOL_VIOLATION); /* $1 */
    if (wants_parameter || (err->class != ERROR_LINK && err->class != ERROR_AGAIN)) {
        err->class = ERROR_SETUP;
        snprintf(err->column, sizeof err->column, "%s", e->column->name);
    }
    return error_wrap(err, "column '%s': sql", e->column->name);
}

/* A view has no index of its own: does ON CONFLICT find one? */
static bool check_view_key(struct conn *c, const struct target *t, struct error *err)
{
    _cleanup_buf_ struct buf sql = {0};

    rows_sql_check_key(&sql, t);
    _cleanup_result_ PGresult *r = conn_exec(c, buf_cstr(&sql), 0, NULL, err);
    if (r != NULL) {
        return true;
    }
    if (err->class == ERROR_SETUP) {
        error_hint(err,
                   "The table that the view reads needs a unique index on these columns, which "
                   "is not partial, deferrable or over expressions.");
    }
    return error_wrap(err, "key");
}

bool catalog_check_target(struct conn *c, const struct target *t, struct error *err)
{
    if (t->table->is_view && t->key_count > 0 && !check_view_key(c, t, err)) {
        return false;
    }
    for (size_t i = 0; i < t->expression_count; i++) {
        if (!check_expression(c, t, &t->expressions[i], err)) {
            return false;
        }
    }
    return true;
}

bool catalog_check_temporary(struct conn *c, struct error *err)
{
    _cleanup_result_ PGresult *r = conn_exec(
        c,
        "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP'),"
        " current_user, pg_catalog.format('GRANT TEMPORARY ON DATABASE %I TO %I;',"
        " pg_catalog.current_database(), current_user)",
        0, NULL, err);

    if (r == NULL) {
        return false;
    }
    if (result_is_true(r, 0, 0)) {
        return true;
    }
    error_set(err, ERROR_SETUP, "role '%s' may not create temporary tables", PQgetvalue(r, 0, 1));
    error_sqlstate(err, SQLSTATE_INSUFFICIENT_PRIVILEGE);
    return error_hint(err, "%s", PQgetvalue(r, 0, 2));
}

bool catalog_server(struct conn *c, int *out_version, char *out_encoding, size_t encoding_size,
                    struct error *err)
{
    _cleanup_result_ PGresult *r = conn_exec(
        c,
        "SELECT pg_catalog.current_setting('server_version_num'),"
        " pg_catalog.current_setting('server_encoding')",
        0, NULL, err);

    if (r == NULL) {
        return false;
    }
    *out_version = (int) strtol(PQgetvalue(r, 0, 0), NULL, 10);
    snprintf(out_encoding, encoding_size, "%s", PQgetvalue(r, 0, 1));
    return true;
}
