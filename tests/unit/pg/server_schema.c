/* schema.c and catalog.c against a real server. With "print NAME": what schema_print says, for
 * psql. */
#include "pg/sqlstate.h"
#include "pg/steps.h"
#include "server.h"

#include <pthread.h>

static PGconn *admin;
static struct conn *c;

static int setup(void **state)
{
    (void) state;
    c = server_open();
    operator_ask(admin, "DROP SCHEMA IF EXISTS \"My \"\"Ledger\" CASCADE");
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    c = conn_free(c);
    return 0;
}

#define SCHEMA "My \"Ledger"
#define SCHEMA_SQL "\"My \"\"Ledger\""

static void test_installs_once(void **state)
{
    (void) state;
    struct error err;
    int applied = -1;

    assert_false(schema_ensure(c, SCHEMA, false, &applied, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_has(err.text, "is not installed");
    assert_has(err.hint, "pgsinkd init --print");
    assert_int_equal(applied, -1);

    assert_ok(schema_ensure(c, SCHEMA, true, &applied, &err), &err);
    assert_int_equal(applied, schema_version_wanted());
    assert_ok(schema_ensure(c, SCHEMA, true, &applied, &err), &err);
    assert_int_equal(applied, 0);
    assert_ok(schema_ensure(c, SCHEMA, false, &applied, &err), &err);
    assert_int_equal(applied, 0);
    assert_string_equal(operator_ask(admin, "SELECT applied_by FROM " SCHEMA_SQL ".schema_version"),
                        operator_ask(admin, "SELECT current_user"));
}

static void test_newer_and_older(void **state)
{
    (void) state;
    struct error err;
    int applied;
    char text[100];

    assert_ok(schema_ensure(c, SCHEMA, true, &applied, &err), &err);
    operator_ask(admin, "INSERT INTO " SCHEMA_SQL ".schema_version VALUES (9999)");
    for (int manage = 0; manage <= 1; manage++) {
        assert_false(schema_ensure(c, SCHEMA, manage, &applied, &err));
        assert_int_equal(err.class, ERROR_SETUP);
        snprintf(text, sizeof text, "has version 9999, this program knows up to %d",
                 schema_version_wanted());
        assert_has(err.text, text);
        assert_true(*err.hint);
    }
    operator_ask(admin, "DELETE FROM " SCHEMA_SQL ".schema_version");
    assert_false(schema_ensure(c, SCHEMA, false, &applied, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    /* The tables are there: installing again fails, and leaves everything as it was. */
    assert_false(schema_ensure(c, SCHEMA, true, &applied, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_has(err.text, "cannot install schema 'My \"Ledger'");
    assert_true(conn_is_open(c));
    assert_ok(conn_run(c, "SELECT 1", &err), &err);
}

/* The first steps by themselves, as an older version has installed them. */
static void install_older(int version)
{
    _cleanup_buf_ struct buf sql = {0};

    buf_add_z(&sql, "CREATE SCHEMA " SCHEMA_SQL ";");
    for (int v = 1; v <= version; v++) {
        for (const char *const *line = steps_lines(v); *line != NULL; line++) {
            const char *rest = *line;
            for (const char *at; (at = strstr(rest, ":\"schema\"")) != NULL; rest = at + 9) {
                buf_add(&sql, rest, (size_t) (at - rest));
                buf_add_z(&sql, SCHEMA_SQL);
            }
            buf_add_z(&sql, rest);
        }
    }
    operator_ask(admin, buf_cstr(&sql));
}

static void test_upgrades_with_data(void **state)
{
    (void) state;
    struct error err;
    int applied = -1;
    int version = -1;

    install_older(1);
    operator_ask(admin, "INSERT INTO " SCHEMA_SQL ".offsets (sink, topic, partition, next_offset,"
                        " owner_epoch, owner) VALUES ('s', 't', 3, 77, 5, 'me')");
    operator_ask(admin, "INSERT INTO " SCHEMA_SQL ".gaps VALUES ('s', 't', 3, 5, 9, 'lost')");
    assert_ok(schema_version_installed(c, SCHEMA, &version, &err), &err);
    assert_int_equal(version, 1);
    assert_false(schema_ensure(c, SCHEMA, false, &applied, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_has(err.text, "has version 1, this program needs ");
    assert_has(err.hint, "pgsinkd init --print");

    assert_ok(schema_ensure(c, SCHEMA, true, &applied, &err), &err);
    assert_int_equal(applied, schema_version_wanted() - 1);
    assert_string_equal(operator_ask(admin, "SELECT sink || topic || partition || ' ' ||"
                                            " next_offset || ' ' || owner_epoch || owner FROM " //
                                     SCHEMA_SQL ".offsets"),
                        "st3 77 5me");
    assert_string_equal(operator_ask(admin, "SELECT gaps || ' ' || dead_letters FROM " //
                                     SCHEMA_SQL ".status"),
                        "1 0");
}

/* ---- store_each() and sqlstate.c must agree on whose fault a fault is ---- */

/* Raises the SQLSTATE it is given, from where store_each() looks for faults of rows. */
static const char probe_sql[] =
    "CREATE FUNCTION pg_temp.raises(code text) RETURNS void LANGUAGE plpgsql AS $$"
    " BEGIN RAISE EXCEPTION 'probe' USING ERRCODE = code; END $$;"
    "CREATE FUNCTION pg_temp.caught(code text) RETURNS boolean LANGUAGE plpgsql AS $$"
    " BEGIN PERFORM * FROM " SCHEMA_SQL ".store_each("
    " ARRAY[pg_catalog.format('SELECT pg_temp.raises(%L)', code)], '{1}', '{1}', '{1}');"
    " RETURN true;"
    " EXCEPTION WHEN OTHERS OR query_canceled OR assert_failure THEN"
    " IF SQLSTATE <> code THEN RAISE; END IF; RETURN false; END $$;"
    "CREATE TEMPORARY TABLE digits AS SELECT substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', n, 1) d"
    " FROM generate_series(1, 36) n;";

/* Every class, each with the subclasses that sqlstate.c or PostgreSQL know anything special of. */
static const char codes_sql[] =
    "SELECT code, pg_temp.caught(code) FROM (SELECT a.d || b.d || s.sub AS code FROM digits a,"
    " digits b, (VALUES ('000'), ('00H'), ('001'), ('002'), ('003'), ('004'), ('006'), ('011'),"
    " ('014'), ('023'), ('100'), ('501'), ('P01'), ('P02'), ('P03'), ('P04')) AS s(sub)) AS codes"
    " WHERE code <> '00000'"; /* no error */

enum { CODES = 36 * 36 * 16 - 1 };

static void test_rows_faults_are_the_same_in_sql(void **state)
{
    (void) state;
    struct error err;
    int applied;
    size_t rows = 0;

    assert_ok(schema_ensure(c, SCHEMA, true, &applied, &err), &err);
    operator_ask(admin, probe_sql);
    PGresult *res = PQexec(admin, codes_sql);
    assert_int_equal(PQresultStatus(res), PGRES_TUPLES_OK);
    assert_int_equal(PQntuples(res), CODES);
    for (int i = 0; i < PQntuples(res); i++) {
        const char *code = PQgetvalue(res, i, 0);
        bool caught = *PQgetvalue(res, i, 1) == 't';
        if (caught != (sqlstate_class(code) == ERROR_RECORD)) {
            print_error("%s: sqlstate.c says '%s', store_each() says %s\n", code,
                        error_class_name(sqlstate_class(code)), caught ? "row" : "other");
            fail();
        }
        rows += caught;
    }
    assert_true(rows > 0 && rows < CODES);
    PQclear(res);
    operator_ask(admin, "DISCARD TEMPORARY");
}

struct racer {
    pthread_t thread;
    struct conn *c;
    bool ok;
    int applied;
    struct error err;
};

static void *race(void *arg)
{
    struct racer *r = arg;

    r->ok = schema_ensure(r->c, SCHEMA, true, &r->applied, &r->err);
    return NULL;
}

static void test_two_at_once(void **state)
{
    (void) state;
    struct racer r[4] = {0};
    struct conn_settings settings = server_settings(server_dsn());
    int steps = 0;

    settings.lock_timeout_usec = 10 * USEC_PER_SEC;
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        r[i].c = server_open_with(&settings);
    }
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        assert_int_equal(pthread_create(&r[i].thread, NULL, race, &r[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        pthread_join(r[i].thread, NULL);
        assert_ok(r[i].ok, &r[i].err);
        steps += r[i].applied;
        conn_free(r[i].c);
    }
    assert_int_equal(steps, schema_version_wanted());
}

static void test_privileges(void **state)
{
    (void) state;
    struct error err;
    int applied;

    operator_ask(admin, "CREATE ROLE unit_daemon");
    assert_ok(conn_run(c, "SET ROLE unit_daemon", &err), &err);
    assert_false(schema_ensure(c, SCHEMA, true, &applied, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_string_equal(err.sqlstate, "42501");
    assert_has(err.hint, "pgsinkd init --print");

    assert_ok(conn_run(c, "RESET ROLE", &err), &err);
    assert_ok(schema_ensure(c, SCHEMA, true, &applied, &err), &err);
    assert_ok(conn_run(c, "SET ROLE unit_daemon", &err), &err);
    assert_false(schema_ensure(c, SCHEMA, true, &applied, &err));
    assert_has(err.text, "role 'unit_daemon' has no USAGE privilege");
    operator_ask(admin, "GRANT USAGE ON SCHEMA " SCHEMA_SQL " TO unit_daemon");
    assert_false(schema_ensure(c, SCHEMA, true, &applied, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    operator_ask(admin, "GRANT SELECT ON " SCHEMA_SQL ".schema_version TO unit_daemon");
    operator_ask(admin, "GRANT SELECT, INSERT ON " SCHEMA_SQL ".offsets TO unit_daemon");
    operator_ask(admin, "GRANT SELECT, INSERT ON " SCHEMA_SQL ".gaps TO unit_daemon");
    operator_ask(admin, "GRANT SELECT, INSERT ON " SCHEMA_SQL ".topic_entries TO unit_daemon");
    operator_ask(admin, "GRANT SELECT, INSERT, UPDATE ON " SCHEMA_SQL ".static_members"
                        " TO unit_daemon");
    operator_ask(admin, "GRANT SELECT, INSERT, UPDATE, DELETE ON " SCHEMA_SQL ".dead_letters"
                        " TO unit_daemon");
    operator_ask(admin, "GRANT SELECT, INSERT, UPDATE ON " SCHEMA_SQL ".partitions"
                        " TO unit_daemon");
    assert_false(schema_ensure(c, SCHEMA, true, &applied, &err));
    assert_has(err.text, "offsets': role 'unit_daemon' has no UPDATE privilege");
    operator_ask(admin, "GRANT UPDATE ON " SCHEMA_SQL ".offsets TO unit_daemon");
    operator_ask(admin, "REVOKE UPDATE ON " SCHEMA_SQL ".partitions FROM unit_daemon");
    assert_false(schema_ensure(c, SCHEMA, true, &applied, &err));
    assert_has(err.text, "partitions': role 'unit_daemon' has no UPDATE privilege");
    operator_ask(admin, "GRANT UPDATE ON " SCHEMA_SQL ".partitions TO unit_daemon");
    operator_ask(admin, "REVOKE DELETE ON " SCHEMA_SQL ".dead_letters FROM unit_daemon");
    assert_false(schema_ensure(c, SCHEMA, true, &applied, &err));
    assert_has(err.text, "dead_letters': role 'unit_daemon' has no DELETE privilege");
    operator_ask(admin, "GRANT DELETE ON " SCHEMA_SQL ".dead_letters TO unit_daemon");
    assert_ok(schema_ensure(c, SCHEMA, true, &applied, &err), &err);
    assert_int_equal(applied, 0);
}

/* A schema made by somebody else, in which the role may create. */
static void test_schema_exists_already(void **state)
{
    (void) state;
    struct error err;
    int applied;

    operator_ask(admin, "CREATE ROLE unit_guest");
    operator_ask(admin, "CREATE SCHEMA " SCHEMA_SQL);
    operator_ask(admin, "GRANT USAGE, CREATE ON SCHEMA " SCHEMA_SQL " TO unit_guest");
    assert_ok(conn_run(c, "SET ROLE unit_guest", &err), &err);
    assert_ok(schema_ensure(c, SCHEMA, true, &applied, &err), &err);
    assert_int_equal(applied, schema_version_wanted());
}

static void test_server(void **state)
{
    (void) state;
    struct error err;
    int version;
    char encoding[20];

    assert_ok(catalog_server(c, &version, encoding, sizeof encoding, &err), &err);
    assert_true(version >= 130000);
    assert_string_equal(encoding, "UTF8");
}

static const struct column *column(const struct table *t, const char *name)
{
    const struct column *col = table_column(t, str_of(name));

    assert_non_null(col);
    return col;
}

static void test_columns(void **state)
{
    (void) state;
    struct error err;

    operator_ask(admin, "CREATE SCHEMA \"Sales\"");
    operator_ask(admin, "CREATE DOMAIN \"Sales\".code AS varchar(5) NOT NULL DEFAULT 'x'");
    operator_ask(admin, "CREATE DOMAIN \"Sales\".code2 AS \"Sales\".code CHECK (VALUE <> 'no')");
    operator_ask(admin, "CREATE TYPE \"Sales\".mood AS ENUM ('good')");
    operator_ask(
        admin,
        "CREATE TABLE \"Sales\".\"Order \"\"s\" ("
        "a bool, b int2 NOT NULL, c int4 DEFAULT 3, d int8, e float4, f float8, g numeric(12,2),"
        "h text, i varchar(7), j char(3), k bytea, l uuid, m json, n jsonb, o date, p time(3),"
        "q timestamp, r timestamptz(0), gone int, s \"Sales\".code2, t \"Sales\".mood,"
        "u int GENERATED ALWAYS AS (b + 1) STORED, v int GENERATED ALWAYS AS IDENTITY,"
        "w int GENERATED BY DEFAULT AS IDENTITY, x int[], y serial,"
        "aa \"Sales\".mood[], ab \"Sales\".code[], ac point[], ad int4range, ae bit(3),"
        "af interval, ag cidr, ah inet, ai macaddr, aj macaddr8)");
    operator_ask(admin, "ALTER TABLE \"Sales\".\"Order \"\"s\" DROP COLUMN gone");
    struct table *t = catalog_table(c, "Sales", "Order \"s", &err);
    assert_ok(t != NULL, &err);
    assert_string_equal(t->quoted, "\"Sales\".\"Order \"\"s\"");
    assert_int_equal(t->column_count, 35);
    static const enum column_type types[] = {
        TYPE_BOOL,     TYPE_INT2,  TYPE_INT4,    TYPE_INT8,    TYPE_FLOAT4,    TYPE_FLOAT8,
        TYPE_NUMERIC,  TYPE_TEXT,  TYPE_VARCHAR, TYPE_BPCHAR,  TYPE_BYTEA,     TYPE_UUID,
        TYPE_JSON,     TYPE_JSONB, TYPE_DATE,    TYPE_TIME,    TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ,
        TYPE_VARCHAR,  TYPE_ENUM,  TYPE_INT4,    TYPE_INT4,    TYPE_INT4,      TYPE_ARRAY,
        TYPE_INT4,     TYPE_ARRAY, TYPE_ARRAY,   TYPE_ARRAY,   TYPE_OTHER,     TYPE_OTHER,
        TYPE_INTERVAL, TYPE_CIDR,  TYPE_INET,    TYPE_MACADDR, TYPE_MACADDR8,
    };
    for (size_t i = 0; i < t->column_count; i++) {
        assert_int_equal(t->columns[i].type, types[i]);
    }
    assert_true(column(t, "b")->not_null && !column(t, "b")->has_default);
    assert_true(!column(t, "c")->not_null && column(t, "c")->has_default);
    assert_int_equal(column(t, "g")->typmod, (12 << 16 | 2) + 4);
    assert_string_equal(column(t, "g")->type_name, "numeric(12,2)");
    assert_int_equal(column(t, "i")->typmod, 7 + 4);
    assert_int_equal(column(t, "h")->typmod, -1);
    assert_int_equal(column(t, "s")->typmod, 5 + 4);
    assert_true(column(t, "s")->not_null && column(t, "s")->has_default);
    assert_has(column(t, "s")->type_name, "code2");
    assert_true(column(t, "u")->generated && !column(t, "u")->identity);
    assert_true(column(t, "v")->identity && column(t, "v")->identity_always);
    assert_true(column(t, "w")->identity && !column(t, "w")->identity_always);
    assert_true(column(t, "w")->has_default && column(t, "y")->has_default);
    const struct column *array = column(t, "x");
    assert_true(array->element->type == TYPE_INT4 && array->element->wire_oid == 23);
    assert_true(!array->cast && array->wire_oid == 1007 && array->wire_array_oid == 0);
    assert_string_equal(array->wire_name, "pg_catalog.int4[]");
    assert_int_equal(column(t, "aa")->element->type, TYPE_ENUM);
    array = column(t, "ab");
    assert_int_equal(array->element->type, TYPE_VARCHAR);
    assert_int_equal(array->element->typmod, 5 + 4);
    assert_true(array->element->not_null && !array->not_null);
    array = column(t, "ac");
    assert_true(array->element->type == TYPE_OTHER && array->cast);
    assert_string_equal(array->wire_name, "pg_catalog.text");
    assert_string_equal(array->base_name, "point[]");
    assert_string_equal(column(t, "j")->wire_name, "pg_catalog.bpchar");
    assert_string_equal(column(t, "ae")->base_name, "\"bit\"");
    assert_string_equal(column(t, "ae")->sql_name, "pg_catalog.\"bit\"");
    table_free(t);
    operator_ask(admin, "DROP SCHEMA \"Sales\" CASCADE");
}

static struct error refused(const char *schema, const char *name)
{
    struct error err = {.class = ERROR_NONE};

    assert_null(catalog_table(c, schema, name, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    return err;
}

static void test_tables_that_will_not_do(void **state)
{
    (void) state;
    struct error err;
    struct error e;

    operator_ask(admin, "CREATE SCHEMA targets");
    operator_ask(admin, "SET search_path TO targets");
    operator_ask(
        admin,
        "CREATE TABLE orders (id int, name text, made int GENERATED BY DEFAULT AS IDENTITY)");
    operator_ask(admin, "CREATE VIEW latest AS SELECT * FROM orders");
    operator_ask(admin, "CREATE UNLOGGED TABLE fast (id int)");
    operator_ask(admin, "CREATE TABLE parts (id int) PARTITION BY RANGE (id)");
    operator_ask(admin, "CREATE SEQUENCE numbers");

    e = refused("targets", "order");
    assert_string_equal(e.text, "table 'targets.order' does not exist");
    assert_has(e.hint, "Did you mean 'targets.orders'?");
    e = refused("nowhere", "orders");
    assert_has(e.text, "table 'nowhere.orders' does not exist");
    e = refused(NULL, "orders"); /* not on our search_path */
    assert_string_equal(e.text, "table 'orders' does not exist");
    e = refused("targets", "latest");
    assert_has(e.text, "is a view");
    e = refused("targets", "numbers");
    assert_has(e.text, "is a sequence");
    e = refused("targets", "fast");
    assert_has(e.text, "unlogged");
    struct table *t = catalog_table(c, "targets", "parts", &err);
    assert_ok(t != NULL, &err);
    table_free(t);
    assert_ok(conn_run(c, "SET search_path TO targets", &err), &err);
    t = catalog_table(c, NULL, "orders", &err);
    assert_ok(t != NULL, &err);
    assert_string_equal(t->quoted, "\"targets\".\"orders\"");
    table_free(t);

    operator_ask(admin, "CREATE ROLE unit_writer");
    assert_ok(conn_run(c, "SET ROLE unit_writer", &err), &err);
    e = refused("targets", "orders");
    assert_string_equal(e.hint, "GRANT USAGE ON SCHEMA \"targets\" TO \"unit_writer\";");
    operator_ask(admin, "GRANT USAGE ON SCHEMA targets TO unit_writer");
    e = refused("targets", "orders");
    assert_has(e.text, "role 'unit_writer' has no INSERT privilege");
    assert_string_equal(e.hint, "GRANT INSERT ON \"targets\".\"orders\" TO \"unit_writer\";");
    operator_ask(admin, "GRANT INSERT (id) ON orders TO unit_writer");
    e = refused("targets", "orders");
    assert_has(e.text, "no INSERT privilege on column 'name'");
    operator_ask(admin, "GRANT INSERT (name) ON orders TO unit_writer");
    t = catalog_table(c, "targets", "orders", &err); /* an identity column needs none */
    assert_ok(t != NULL, &err);
    table_free(t);
    operator_ask(admin, "ALTER TABLE orders ENABLE ROW LEVEL SECURITY");
    e = refused("targets", "orders");
    assert_has(e.text, "row-level security");
    operator_ask(admin, "DROP SCHEMA targets CASCADE");
}

/* What types.def says of types that have a number of their own. */
static void test_types_are_as_declared(void **state)
{
    (void) state;
    for (int i = 0; i < COLUMN_TYPES; i++) {
        enum column_type t = (enum column_type) i;
        char sql[400];
        char want[64];

        if (column_type_oid(t) == 0) {
            continue;
        }
        /* Values of inet may be stored apart as far as the catalog says, but are too short for it.
         */
        bool toastable = column_type_is_toastable(t) || t == TYPE_INET || t == TYPE_CIDR;
        snprintf(sql, sizeof sql,
                 "SELECT concat_ws(' ', typname, typarray, typstorage <> 'p') FROM pg_type"
                 " WHERE oid = %u",
                 column_type_oid(t));
        snprintf(want, sizeof want, "%s %u %c", column_type_name(t), column_type_array_oid(t),
                 toastable ? 't' : 'f');
        assert_string_equal(operator_ask(admin, sql), want);
    }
}

static int print(const char *schema)
{
    _cleanup_buf_ struct buf script = {0};

    schema_print(schema, &script);
    return fputs(buf_cstr(&script), stdout) < 0;
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_installs_once),
        TEST(test_newer_and_older),
        TEST(test_upgrades_with_data),
        TEST(test_rows_faults_are_the_same_in_sql),
        TEST(test_two_at_once),
        TEST(test_privileges),
        TEST(test_schema_exists_already),
        TEST(test_server),
        TEST(test_types_are_as_declared),
        TEST(test_columns),
        TEST(test_tables_that_will_not_do),
    };

    if (argc == 3 && strcmp(argv[1], "print") == 0) {
        return print(argv[2]);
    }
    admin = operator_open();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    PQfinish(admin);
    return failed;
}
