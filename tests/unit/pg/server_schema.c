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
    "CREATE TEMPORARY TABLE probed (t text);"
    "CREATE FUNCTION pg_temp.raises(code text, names text) RETURNS text LANGUAGE plpgsql AS $$"
    " BEGIN RAISE EXCEPTION 'probe' USING ERRCODE = code,"
    " CONSTRAINT = CASE WHEN names LIKE '%n%' THEN 'x' ELSE '' END,"
    " COLUMN = CASE WHEN names LIKE '%c%' THEN 'x' ELSE '' END,"
    " DATATYPE = CASE WHEN names LIKE '%d%' THEN 'x' ELSE '' END; END $$;"
    "CREATE FUNCTION pg_temp.blamed(code text, names text) RETURNS text LANGUAGE plpgsql AS $$"
    " DECLARE result text; BEGIN SELECT blame INTO STRICT result FROM " SCHEMA_SQL ".store_each("
    " ARRAY[pg_catalog.format('INSERT INTO probed SELECT pg_temp.raises(%L, %L)', code, names)],"
    " '{1}', '{1}', '{1}'); RETURN result;"
    " EXCEPTION WHEN OTHERS OR query_canceled OR assert_failure THEN"
    " IF SQLSTATE <> code THEN RAISE; END IF;"
    " RETURN CASE WHEN code LIKE 'SK%' THEN 'fenced' ELSE 'link' END; END $$;"
    "CREATE TEMPORARY TABLE digits AS SELECT substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', n, 1) d"
    " FROM generate_series(1, 36) n;"
    "CREATE TEMPORARY TABLE codes AS SELECT a.d || b.d || s.sub AS code, '' AS names FROM digits a,"
    " digits b, (VALUES ('000'), ('001'), ('002'), ('P01')) AS s(sub);"
    "INSERT INTO codes SELECT code, names FROM"
    " (SELECT DISTINCT code FROM codes WHERE code LIKE '23%' UNION SELECT '23502' UNION"
    " SELECT '23514') c(code), (VALUES (''), ('n'), ('c'), ('d'), ('ncd')) AS n(names);";

/* All that PostgreSQL 15 to 17 know. */
static const char postgresql_codes[] =
    " 01000 01003 01004 01006 01007 01008 0100C 01P01 02000 02001 03000 08000 08001"
    " 08003 08004 08006 08007 08P01 09000 0A000 0B000 0F000 0F001 0L000 0LP01 0P000"
    " 0Z000 0Z002 20000 21000 22000 22001 22002 22003 22004 22005 22007 22008 22009"
    " 2200B 2200C 2200D 2200F 2200G 2200H 2200L 2200M 2200N 2200S 2200T 22010 22011"
    " 22012 22013 22014 22015 22016 22018 22019 2201B 2201E 2201F 2201G 2201W 2201X"
    " 22021 22022 22023 22024 22025 22026 22027 2202E 2202G 2202H 22030 22031 22032"
    " 22033 22034 22035 22036 22037 22038 22039 2203A 2203B 2203C 2203D 2203E 2203F"
    " 2203G 22P01 22P02 22P03 22P04 22P05 22P06 22P07 23000 23001 23502 23503 23505"
    " 23514 23P01 24000 25000 25001 25002 25003 25004 25005 25006 25007 25008 25P01"
    " 25P02 25P03 25P04 26000 27000 28000 28P01 2B000 2BP01 2D000 2F000 2F002 2F003"
    " 2F004 2F005 34000 38000 38001 38002 38003 38004 39000 39001 39004 39P01 39P02"
    " 39P03 3B000 3B001 3D000 3F000 40000 40001 40002 40003 40P01 42000 42501 42601"
    " 42602 42611 42622 42701 42702 42703 42704 42710 42712 42723 42725 42803 42804"
    " 42809 42830 42846 42883 428C9 42939 42P01 42P02 42P03 42P04 42P05 42P06 42P07"
    " 42P08 42P09 42P10 42P11 42P12 42P13 42P14 42P15 42P16 42P17 42P18 42P19 42P20"
    " 42P21 42P22 44000 53000 53100 53200 53300 53400 54000 54001 54011 54023 55000"
    " 55006 55P02 55P03 55P04 57000 57014 57P01 57P02 57P03 57P04 57P05 58000 58030"
    " 58P01 58P02 72000 F0000 F0001 HV000 HV001 HV002 HV004 HV005 HV006 HV007 HV008"
    " HV009 HV00A HV00B HV00C HV00D HV00J HV00K HV00L HV00M HV00N HV00P HV00Q HV00R"
    " HV010 HV014 HV021 HV024 HV090 HV091 P0000 P0001 P0002 P0003 P0004 XX000 XX001"
    " XX002";

static enum error_class blame(const char *code, const char *names)
{
    const struct sqlstate_fault f = {
        .code = code,
        .constraint = strchr(names, 'n') != NULL,
        .column = strchr(names, 'c') != NULL,
        .datatype = strchr(names, 'd') != NULL,
    };

    return sqlstate_blame(&f);
}

static void test_blame_is_the_same_in_sql(void **state)
{
    (void) state;
    struct error err;
    int applied;
    _cleanup_buf_ struct buf sql = {0};
    size_t found[ERROR_KAFKA + 1] = {0};

    assert_ok(schema_ensure(c, SCHEMA, true, &applied, &err), &err);
    operator_ask(admin, probe_sql);
    buf_printf(&sql, "INSERT INTO codes SELECT regexp_split_to_table('%s', ' '), ''",
               postgresql_codes + 1);
    operator_ask(admin, buf_cstr(&sql));
    PGresult *res = PQexec(admin,
                           "SELECT DISTINCT code, names, pg_temp.blamed(code, names) FROM codes"
                           " WHERE code <> '00000'");
    assert_int_equal(PQresultStatus(res), PGRES_TUPLES_OK);
    for (int i = 0; i < PQntuples(res); i++) {
        const char *code = PQgetvalue(res, i, 0);
        const char *names = PQgetvalue(res, i, 1);
        enum error_class class = blame(code, names);
        if (strcmp(PQgetvalue(res, i, 2), error_class_name(class)) != 0) {
            print_error("%s (%s): sqlstate.c says '%s', store_each() says '%s'\n", code, names,
                        error_class_name(class), PQgetvalue(res, i, 2));
            fail();
        }
        found[class]++;
    }
    assert_true(PQntuples(res) > 36 * 36 * 4);
    for (enum error_class class = ERROR_AGAIN; class <= ERROR_TARGET; class ++) {
        assert_true(found[class] > 0);
    }
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
    operator_ask(admin, "GRANT SELECT, INSERT ON " SCHEMA_SQL ".schemas TO unit_daemon");
    operator_ask(admin, "GRANT SELECT, INSERT, UPDATE ON " SCHEMA_SQL ".static_members"
                        " TO unit_daemon");
    operator_ask(admin, "GRANT SELECT, INSERT, UPDATE, DELETE ON " SCHEMA_SQL ".dead_letters"
                        " TO unit_daemon");
    operator_ask(admin, "GRANT SELECT, INSERT, UPDATE ON " SCHEMA_SQL ".partitions"
                        " TO unit_daemon");
    operator_ask(admin, "GRANT SELECT, UPDATE, DELETE ON " SCHEMA_SQL ".seeks TO unit_daemon");
    operator_ask(admin, "GRANT SELECT, INSERT, UPDATE, DELETE ON " SCHEMA_SQL ".heartbeats"
                        " TO unit_daemon");
    operator_ask(admin, "GRANT SELECT ON " SCHEMA_SQL ".standing TO unit_daemon");
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

    /* audit */
    assert_false(schema_check_history(c, SCHEMA, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_has(err.text, "history': role 'unit_daemon' has no SELECT, INSERT, DELETE privilege");
    assert_has(err.hint, ".history TO unit_daemon;");
    operator_ask(admin, "GRANT SELECT, INSERT, DELETE ON " SCHEMA_SQL ".history TO unit_daemon");
    assert_false(schema_check_history(c, SCHEMA, &err));
    assert_has(err.text, "history_starts': role 'unit_daemon' has no");
    operator_ask(admin, "GRANT SELECT, INSERT, UPDATE, DELETE ON " SCHEMA_SQL ".history_starts"
                        " TO unit_daemon");
    assert_ok(schema_check_history(c, SCHEMA, &err), &err);
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
    operator_ask(admin, "CREATE TYPE \"Sales\".pair AS (a int, b text)");
    operator_ask(
        admin,
        "CREATE TABLE \"Sales\".\"Order \"\"s\" ("
        "a bool, b int2 NOT NULL, c int4 DEFAULT 3, d int8, e float4, f float8, g numeric(12,2),"
        "h text, i varchar(7), j char(3), k bytea, l uuid, m json, n jsonb, o date, p time(3),"
        "q timestamp, r timestamptz(0), gone int, s \"Sales\".code2, t \"Sales\".mood,"
        "u int GENERATED ALWAYS AS (b + 1) STORED, v int GENERATED ALWAYS AS IDENTITY,"
        "w int GENERATED BY DEFAULT AS IDENTITY, x int[], y serial,"
        "aa \"Sales\".mood[], ab \"Sales\".code[], ac point[], ad int4range, ae bit(3),"
        "af interval, ag cidr, ah inet, ai macaddr, aj macaddr8, ak money, al money[],"
        "am \"Sales\".pair, an \"Sales\".pair[])");
    operator_ask(admin, "ALTER TABLE \"Sales\".\"Order \"\"s\" DROP COLUMN gone");
    struct table *t = catalog_table(c, "Sales", "Order \"s", &err);
    assert_ok(t != NULL, &err);
    assert_string_equal(t->quoted, "\"Sales\".\"Order \"\"s\"");
    assert_int_equal(t->column_count, 39);
    static const enum column_type types[] = {
        TYPE_BOOL,     TYPE_INT2,      TYPE_INT4,    TYPE_INT8,    TYPE_FLOAT4,    TYPE_FLOAT8,
        TYPE_NUMERIC,  TYPE_TEXT,      TYPE_VARCHAR, TYPE_BPCHAR,  TYPE_BYTEA,     TYPE_UUID,
        TYPE_JSON,     TYPE_JSONB,     TYPE_DATE,    TYPE_TIME,    TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ,
        TYPE_VARCHAR,  TYPE_ENUM,      TYPE_INT4,    TYPE_INT4,    TYPE_INT4,      TYPE_ARRAY,
        TYPE_INT4,     TYPE_ARRAY,     TYPE_ARRAY,   TYPE_ARRAY,   TYPE_OTHER,     TYPE_OTHER,
        TYPE_INTERVAL, TYPE_CIDR,      TYPE_INET,    TYPE_MACADDR, TYPE_MACADDR8,  TYPE_MONEY,
        TYPE_ARRAY,    TYPE_COMPOSITE, TYPE_ARRAY,
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
    array = column(t, "al");
    assert_true(array->cast && array->wire_oid == OID_NUMERIC_ARRAY && array->wire_array_oid == 0);
    assert_string_equal(array->wire_name, "pg_catalog.numeric[]");
    assert_string_equal(array->sql_name, "pg_catalog.money[]");
    assert_int_equal(array->element->wire_oid, OID_NUMERIC);
    array = column(t, "an");
    assert_true(array->element->type == TYPE_COMPOSITE && array->cast);
    assert_string_equal(array->wire_name, "pg_catalog.text");
    assert_string_equal(array->sql_name, "\"Sales\".pair[]");
    assert_string_equal(column(t, "am")->sql_name, "\"Sales\".pair");
    assert_string_equal(column(t, "ak")->wire_name, "pg_catalog.numeric");
    assert_string_equal(column(t, "j")->wire_name, "pg_catalog.bpchar");
    assert_string_equal(column(t, "ae")->base_name, "\"bit\"");
    assert_string_equal(column(t, "ae")->sql_name, "pg_catalog.\"bit\"");
    assert_true(t->has_domains);
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
    operator_ask(admin, "CREATE VIEW latest AS SELECT DISTINCT * FROM orders");
    operator_ask(admin, "CREATE VIEW shown AS SELECT id, name, id + 1 AS next FROM orders");
    operator_ask(admin, "CREATE VIEW ruled AS SELECT id FROM orders");
    operator_ask(admin, "CREATE RULE r AS ON INSERT TO ruled DO INSTEAD NOTHING");
    operator_ask(admin, "CREATE UNLOGGED TABLE fast (id int)");
    operator_ask(admin, "CREATE VIEW all_fast AS SELECT id FROM fast");
    operator_ask(admin, "CREATE TABLE parts (id int) PARTITION BY RANGE (id)");
    operator_ask(admin, "CREATE SEQUENCE numbers");

    e = refused("targets", "order");
    assert_string_equal(e.text, "table 'targets.order' does not exist");
    assert_has(e.hint, "Did you mean 'targets.orders'?");
    e = refused("nowhere", "orders");
    assert_has(e.text, "schema 'nowhere' does not exist");
    e = refused(NULL, "orders"); /* not on our search_path */
    assert_string_equal(e.text, "table 'orders' does not exist");
    e = refused("targets", "latest");
    assert_has(e.text, "is a view that takes no rows");
    e = refused("targets", "all_fast");
    assert_has(e.text, "reads a foreign or an unlogged table");
    e = refused("targets", "ruled");
    assert_has(e.text, "has rules");
    e = refused("targets", "numbers");
    assert_has(e.text, "is a sequence");
    e = refused("targets", "fast");
    assert_has(e.text, "unlogged");
    struct table *t = catalog_table(c, "targets", "parts", &err);
    assert_ok(t != NULL, &err);
    assert_true(!t->is_view && !t->by_insert && t->may_lock);
    table_free(t);
    t = catalog_table(c, "targets", "shown", &err);
    assert_ok(t != NULL, &err);
    assert_true(t->is_view && !t->has_instead && t->by_insert && !t->may_truncate);
    assert_true(t->columns[0].has_default && !t->columns[0].generated && t->columns[2].generated);
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
    t = catalog_table_without_insert(c, "targets", "orders", &err);
    assert_ok(t != NULL, &err);
    assert_int_equal(t->lacks, 0);
    assert_false(t->may_lock);
    table_free(t);
    assert_string_equal(e.hint, "GRANT INSERT ON TABLE \"targets\".\"orders\" TO \"unit_writer\";");
    operator_ask(admin, "GRANT INSERT (id) ON orders TO unit_writer");
    e = refused("targets", "orders");
    assert_has(e.text, "no INSERT privilege on column 'name'");
    operator_ask(admin, "GRANT INSERT (name) ON orders TO unit_writer");
    t = catalog_table(c, "targets", "orders", &err); /* an identity column needs none */
    assert_ok(t != NULL, &err);
    table_free(t);
    operator_ask(admin, "ALTER TABLE orders ENABLE ROW LEVEL SECURITY");
    t = catalog_table(c, "targets", "orders", &err);
    assert_ok(t != NULL, &err);
    assert_true(t->by_insert && !t->is_view);
    table_free(t);
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

/* ---- is a table still the one that was read? ---- */

static const char *const changes[] = {
    "ALTER TABLE sig.t ADD c int",
    "ALTER TABLE sig.t DROP c",
    "ALTER TABLE sig.t ALTER a TYPE bigint",
    "ALTER TABLE sig.t ALTER q TYPE numeric(12,4)",
    "ALTER TABLE sig.t RENAME a TO b",
    "ALTER TABLE sig.t ALTER q SET NOT NULL",
    "ALTER TABLE sig.t ALTER q DROP NOT NULL",
    "ALTER TABLE sig.t ALTER q SET DEFAULT 3",
    "ALTER TABLE sig.t ALTER s TYPE text COLLATE \"C\"",
    "ALTER TABLE sig.t ADD i int GENERATED BY DEFAULT AS IDENTITY",
    "ALTER TABLE sig.t ALTER i SET GENERATED ALWAYS",
    "CREATE UNIQUE INDEX by_s ON sig.t (s)",
    "DROP INDEX sig.by_s",
    "ALTER TABLE sig.t ADD PRIMARY KEY (b)",
    "ALTER DOMAIN sig.d SET NOT NULL",
    "ALTER DOMAIN sig.d SET DEFAULT 7",
    "CREATE RULE r AS ON INSERT TO sig.t WHERE NEW.b < 0 DO INSTEAD NOTHING",
    "CREATE TABLE sig.u (LIKE sig.t); ALTER TABLE sig.t RENAME TO v; ALTER TABLE sig.u RENAME TO t",
    "DROP TABLE sig.t; CREATE TABLE sig.t (LIKE sig.v)",
};

/* Rows for the table are made, or refused, as before. */
static const char *const no_changes[] = {
    "CREATE INDEX ON sig.t (s)",
    "CREATE FUNCTION sig.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER tr BEFORE INSERT ON sig.t FOR EACH ROW EXECUTE FUNCTION sig.f()",
    "ALTER TABLE sig.t ADD CHECK (q > 0)",
    "ALTER DOMAIN sig.d ADD CHECK (value > 0)",
    "ALTER TYPE sig.e ADD VALUE 'new'",
    "ANALYZE sig.t",
    "REINDEX TABLE sig.t",
};

/* By each of the ways in which a statement compares; NULL: the table is the same. */
static void expect_guards(const struct table *t, const char *sqlstate)
{
    for (int way = 0; way < 3; way++) {
        _cleanup_buf_ struct buf sql = {0};
        buf_add_z(&sql, "SELECT ");
        catalog_guard_sql(&sql, way < 2 ? SCHEMA : NULL, t, way == 0);
        PGresult *res = PQexec(admin, buf_cstr(&sql));
        if (sqlstate == NULL) {
            assert_int_equal(PQresultStatus(res), PGRES_TUPLES_OK);
            assert_string_equal(PQgetvalue(res, 0, 0), "t");
        } else {
            const char *code = PQresultErrorField(res, PG_DIAG_SQLSTATE);
            assert_int_equal(PQresultStatus(res), PGRES_FATAL_ERROR);
            assert_true(catalog_guard_speaks(code, PQresultErrorMessage(res)));
        }
        PQclear(res);
    }
}

/* The signature in C and that in SQL are the same, or the first guard would fail. */
static void test_a_table_that_has_changed(void **state)
{
    (void) state;
    struct error err;
    int applied;

    assert_ok(schema_ensure(c, SCHEMA, true, &applied, &err), &err);
    operator_ask(admin, "DROP SCHEMA IF EXISTS sig CASCADE");
    operator_ask(admin,
                 "CREATE SCHEMA sig; CREATE DOMAIN sig.d AS int; CREATE TYPE sig.e AS ENUM ('old');"
                 "CREATE TABLE sig.t (a int UNIQUE, q numeric(12,2), s text, d sig.d, e sig.e)");
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct table *t = catalog_table(c, "sig", "t", &err);
        assert_ok(t != NULL, &err);
        expect_guards(t, NULL);
        operator_ask(admin, changes[i]);
        expect_guards(t, SQLSTATE_CHANGED);
        struct table *after = catalog_table(c, "sig", "t", &err);
        assert_ok(after != NULL, &err);
        assert_false(table_is_same(t, after));
        table_free(t);
        table_free(after);
    }
    struct table *t = catalog_table(c, "sig", "t", &err);
    for (size_t i = 0; i < ARRAY_LEN(no_changes); i++) {
        operator_ask(admin, no_changes[i]);
        expect_guards(t, NULL);
        struct table *after = catalog_table(c, "sig", "t", &err);
        assert_ok(after != NULL, &err);
        assert_true(table_is_same(t, after));
        table_free(after);
    }
    table_free(t);
    operator_ask(admin, "DROP SCHEMA sig CASCADE");
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_installs_once),
        TEST(test_a_table_that_has_changed),
        TEST(test_newer_and_older),
        TEST(test_upgrades_with_data),
        TEST(test_blame_is_the_same_in_sql),
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
