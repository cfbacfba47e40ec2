/* rows_sql.c: the statements themselves. What they do is in server_rows.c. */
#include "pg/rows_sql.h"

#include "unit.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define LE " OPERATOR(pg_catalog.<=) "
#define GE " OPERATOR(pg_catalog.>=) "
#define LT " OPERATOR(pg_catalog.<) "
#define BYTES "::pg_catalog.text COLLATE pg_catalog.\"C\""

static struct column columns[] = {
    {.name = (char[]){"id"},
     .type = TYPE_INT4,
     .wire_oid = 23,
     .wire_array_oid = 1007,
     .wire_name = (char[]){"integer"}},
    {.name = (char[]){"v"},
     .type = TYPE_INT8,
     .wire_oid = 20,
     .wire_array_oid = 1016,
     .wire_name = (char[]){"bigint"}},
    {.name = (char[]){"gone"},
     .type = TYPE_BOOL,
     .wire_array_oid = 1000,
     .wire_name = (char[]){"boolean"}},
    {.name = (char[]){"a \"b\""},
     .type = TYPE_TEXT,
     .wire_array_oid = 1009,
     .wire_name = (char[]){"text"}},
    {.name = (char[]){"c"},
     .type = TYPE_OTHER,
     .wire_array_oid = 1009,
     .wire_name = (char[]){"text"},
     .sql_name = (char[]){"pg_catalog.int4range"},
     .cast = true},
};

static struct target_column filled[] = {
    {.column = &columns[0], .omit_bit = -1, .is_key = true},
    {.column = &columns[1], .omit_bit = -1, .is_version = true},
    {.column = &columns[2], .omit_bit = -1, .is_mark = true},
    {.column = &columns[3], .omit_bit = 0},
    {.column = &columns[4], .omit_bit = 1},
};

static struct table table = {.name = (char[]){"t"}, .quoted = (char[]){"\"s\".\"t\""}};

static struct target target = {
    .table = &table,
    .columns = filled,
    .column_count = ARRAY_LEN(filled),
    .key_count = 1,
};

static void assert_sql(struct buf *sql, const char *want)
{
    if (strcmp(buf_cstr(sql), want) != 0) {
        print_error("got:  %s\nwant: %s\n", buf_cstr(sql), want);
        fail();
    }
    buf_clear(sql);
}

static void check(enum row_action action, uint64_t omit, enum rows_source source, const char *want)
{
    _cleanup_buf_ struct buf sql = {0};

    rows_sql_store(&sql, &(struct rows_shape){&target, action, omit}, source,
                   source == ROWS_UNNEST ? NULL : "stage", NULL);
    assert_sql(&sql, want);
}

static void test_each_action_from_arrays(void **state)
{
    (void) state;
    target.has_version = filled[1].is_version = false;
    check(ROW_INSERT, 3, ROWS_UNNEST,
          "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\") SELECT pg_catalog.unnest($1),"
          "pg_catalog.unnest($2),pg_catalog.unnest($3)");
    check(ROW_IGNORE, 1, ROWS_UNNEST,
          "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\",\"c\") SELECT pg_catalog.unnest($1),"
          "pg_catalog.unnest($2),pg_catalog.unnest($3),pg_catalog.unnest($4)::pg_catalog.int4range"
          " ON CONFLICT (\"id\") DO NOTHING");
    check(ROW_UPSERT, 2, ROWS_UNNEST,
          "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\",\"a \"\"b\"\"\") SELECT "
          "pg_catalog.unnest($1),pg_catalog.unnest($2),pg_catalog.unnest($3),pg_catalog.unnest($4)"
          " ON CONFLICT (\"id\") DO UPDATE SET \"v\"=EXCLUDED.\"v\",\"gone\"=EXCLUDED.\"gone\","
          "\"a \"\"b\"\"\"=EXCLUDED.\"a \"\"b\"\"\",\"c\"=EXCLUDED.\"c\"");
    check(ROW_UPDATE, 1, ROWS_UNNEST,
          "UPDATE \"s\".\"t\" AS g SET \"v\"=s.c1,\"gone\"=s.c2"
          ",\"c\"=s.c4::pg_catalog.int4range FROM (SELECT "
          "pg_catalog.unnest($1) AS c0,pg_catalog.unnest($2) AS c1,pg_catalog.unnest($3) AS c2,"
          "pg_catalog.unnest($4) AS c4) s WHERE g.\"id\"" EQ "s.c0");
    check(ROW_SOFT_DELETE, 0, ROWS_UNNEST,
          "UPDATE \"s\".\"t\" AS g SET \"gone\"=s.c2 FROM (SELECT pg_catalog.unnest($1) AS c0,"
          "pg_catalog.unnest($2) AS c2) s WHERE g.\"id\"" EQ "s.c0");
    check(ROW_DELETE, 0, ROWS_UNNEST,
          "DELETE FROM \"s\".\"t\" AS g USING (SELECT pg_catalog.unnest($1) AS c0) s"
          " WHERE g.\"id\"" EQ "s.c0");
}

static void test_only_if_newer(void **state)
{
    (void) state;
    target.has_version = filled[1].is_version = true;
    target.omit_leaves = true;
    check(ROW_UPSERT, 3, ROWS_STAGE,
          "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\") SELECT s.c0,s.c1,s.c2"
          " FROM pg_temp.stage s ON CONFLICT (\"id\") DO UPDATE SET \"v\"=EXCLUDED.\"v\","
          "\"gone\"=EXCLUDED.\"gone\" WHERE (g.\"v\" IS NULL OR g.\"v\"" LE "EXCLUDED.\"v\")");
    check(ROW_UPDATE, 3, ROWS_STAGE,
          "UPDATE \"s\".\"t\" AS g SET \"v\"=s.c1,\"gone\"=s.c2 FROM pg_temp.stage s"
          " WHERE g.\"id\"" EQ "s.c0 AND (g.\"v\" IS NULL OR g.\"v\"" LE "s.c1)");
    check(ROW_DELETE, 0, ROWS_STAGE,
          "DELETE FROM \"s\".\"t\" AS g USING pg_temp.stage s"
          " WHERE g.\"id\"" EQ "s.c0 AND (g.\"v\" IS NULL OR g.\"v\"" LE "s.c1)");
    target.omit_leaves = false;
}

/* The first column that differs decides, and texts are compared by their bytes. */
static void test_only_if_newer_of_two_columns(void **state)
{
    (void) state;
    enum column_type type = columns[2].type;
    columns[2].type = TYPE_TEXT;
    target.has_version = filled[1].is_version = filled[2].is_version = true;
    filled[1].version_rank = 1;
    check(ROW_DELETE, 0, ROWS_PLACES,
          "DELETE FROM \"s\".\"t\" AS g USING (SELECT DISTINCT ON (s.c0) * FROM pg_temp.stage s"
          " WHERE place" GE "$1 AND place" LE "$2 ORDER BY s.c0,s.c2" BYTES " DESC,s.c1 DESC,"
          "place DESC) s WHERE g.\"id\"" EQ "s.c0 AND (g.\"gone\" IS NULL OR g.\"gone\"" BYTES LT
          "s.c2" BYTES " OR g.\"gone\"" BYTES EQ "s.c2" BYTES " AND (g.\"v\" IS NULL OR g.\"v\"" LE
          "s.c1))");
    check(ROW_UPSERT, 3, ROWS_STAGE,
          "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\") SELECT s.c0,s.c1,s.c2"
          " FROM pg_temp.stage s ON CONFLICT (\"id\") DO UPDATE SET \"v\"=EXCLUDED.\"v\","
          "\"gone\"=EXCLUDED.\"gone\",\"a \"\"b\"\"\"=EXCLUDED.\"a \"\"b\"\"\","
          "\"c\"=EXCLUDED.\"c\""
          " WHERE (g.\"gone\" IS NULL OR g.\"gone\"" BYTES LT "EXCLUDED.\"gone\"" BYTES
          " OR g.\"gone\"" BYTES EQ "EXCLUDED.\"gone\"" BYTES " AND (g.\"v\" IS NULL OR g.\"v\"" LE
          "EXCLUDED.\"v\"))");
    target.has_version = filled[1].is_version = filled[2].is_version = false;
    filled[1].version_rank = 0;
    columns[2].type = type;
}

#define ROW(field)                                                                                 \
    "CASE WHEN pg_catalog.left(" field ",1)" EQ "'{' THEN pg_catalog.jsonb_populate_record("       \
    "NULL::app.pair," field "::pg_catalog.jsonb) ELSE " field "::app.pair END"

static struct column pair = {
    .name = (char[]){"p"},
    .type = TYPE_COMPOSITE,
    .wire_array_oid = 1009,
    .sql_name = (char[]){"app.pair"},
    .compare_as = (char[]){"app.pair"},
    .cast = true,
};

static struct column pairs = {
    .name = (char[]){"pp"},
    .type = TYPE_ARRAY,
    .element = &pair,
    .wire_array_oid = 1009,
    .sql_name = (char[]){"app.pair[]"},
    .cast = true,
};

#define TEXTS(field) "pg_catalog.unnest(" field "::pg_catalog.text[])"
#define IS_LIST "pg_catalog.array_ndims(s.c1::pg_catalog.text[])" EQ "1"
#define HAS_OBJECT                                                                                 \
    "EXISTS (SELECT FROM " TEXTS("s.c1") " AS u(e) WHERE pg_catalog.left(u.e,1)" EQ "'{')"
#define EACH_ROW ROW("u.e") " FROM " TEXTS("s.c1") " WITH ORDINALITY AS u(e,n) ORDER BY u.n"
#define OBJECTS                                                                                    \
    "CASE WHEN " IS_LIST " AND " HAS_OBJECT " THEN ARRAY(SELECT " EACH_ROW ")::app.pair[]"         \
    " ELSE s.c1::app.pair[] END"
#define INSERTED                                                                                   \
    "INSERT INTO \"s\".\"t\" AS g (\"p\",\"pp\") SELECT " ROW(                                     \
        "s.c0") "," OBJECTS                                                                        \
                " FROM (SELECT pg_catalog.unnest($1) AS c0,pg_catalog.unnest($2) AS c1) s"

/* An object becomes a row, and its text is named more than once: not with unnest() in it. */
static void test_composite_types(void **state)
{
    (void) state;
    struct target_column both[] = {{.column = &pair, .omit_bit = -1, .is_key = true},
                                   {.column = &pairs, .omit_bit = -1}};
    const struct target t = {.table = &table, .columns = both, .column_count = 2, .key_count = 1};
    struct rows_shape shape = {&t, ROW_INSERT, 0};
    _cleanup_buf_ struct buf sql = {0};
    rows_sql_store(&sql, &shape, ROWS_UNNEST, NULL, NULL);
    assert_sql(&sql, INSERTED);
    shape.action = ROW_DELETE;
    rows_sql_store(&sql, &shape, ROWS_STAGE, "stage", NULL);
    assert_sql(&sql, "DELETE FROM \"s\".\"t\" AS g USING pg_temp.stage s WHERE g.\"p\"" EQ
                     "(" ROW("s.c0") ")::app.pair");
    assert_true(rows_are_cast(&shape, 0) && !rows_are_read(&shape, 0));
    assert_true(rows_are_read(&(struct rows_shape){&target, ROW_INSERT, 0}, 4));
}

/* INSERT is told that it fills one, and nothing sets it in a row that is there. */
static void test_an_identity_that_is_generated_always(void **state)
{
    (void) state;
    target.has_version = filled[1].is_version = false;
    columns[3].identity_always = true;
    check(ROW_INSERT, 2, ROWS_UNNEST,
          "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\",\"a \"\"b\"\"\") OVERRIDING SYSTEM "
          "VALUE SELECT pg_catalog.unnest($1),pg_catalog.unnest($2),pg_catalog.unnest($3),"
          "pg_catalog.unnest($4)");
    check(
        ROW_UPSERT, 2, ROWS_STAGE,
        "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\",\"a \"\"b\"\"\") OVERRIDING SYSTEM "
        "VALUE SELECT s.c0,s.c1,s.c2,s.c3 FROM pg_temp.stage s ON CONFLICT (\"id\") DO UPDATE SET "
        "\"v\"=EXCLUDED.\"v\",\"gone\"=EXCLUDED.\"gone\",\"c\"=EXCLUDED.\"c\"");
    check(ROW_UPSERT, 3, ROWS_STAGE,
          "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\") SELECT s.c0,s.c1,s.c2"
          " FROM pg_temp.stage s ON CONFLICT (\"id\") DO UPDATE SET \"v\"=EXCLUDED.\"v\","
          "\"gone\"=EXCLUDED.\"gone\",\"c\"=EXCLUDED.\"c\"");
    check(ROW_UPDATE, 2, ROWS_STAGE,
          "UPDATE \"s\".\"t\" AS g SET \"v\"=s.c1,\"gone\"=s.c2 FROM pg_temp.stage s"
          " WHERE g.\"id\"" EQ "s.c0");
    columns[3].identity_always = false;
}

/* Rows that share a key: the last counts, but of rows to be inserted each does. */
static void test_places(void **state)
{
    (void) state;
    target.has_version = filled[1].is_version = true;
    check(ROW_DELETE, 0, ROWS_PLACES,
          "DELETE FROM \"s\".\"t\" AS g USING (SELECT DISTINCT ON (s.c0) * FROM pg_temp.stage s"
          " WHERE place" GE "$1 AND place" LE "$2 ORDER BY s.c0,s.c1 DESC,place DESC) s"
          " WHERE g.\"id\"" EQ "s.c0 AND (g.\"v\" IS NULL OR g.\"v\"" LE "s.c1)");
    check(
        ROW_INSERT, 3, ROWS_PLACES,
        "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\") SELECT s.c0,s.c1,s.c2 FROM (SELECT *"
        " FROM pg_temp.stage WHERE place" GE "$1 AND place" LE "$2 ORDER BY place) s");
    check(
        ROW_IGNORE, 3, ROWS_PLACES,
        "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\") SELECT s.c0,s.c1,s.c2 FROM (SELECT *"
        " FROM pg_temp.stage WHERE place" GE "$1 AND place" LE "$2 ORDER BY place) s"
        " ON CONFLICT (\"id\") DO NOTHING");
}

#define THERE(bit) "CASE WHEN pg_catalog.get_bit(s.there," #bit ")" EQ "1 THEN "

#define MIXED_UPDATE                                                                                                                              \
    "UPDATE \"s\".\"t\" AS g SET \"v\"=s.c1,\"gone\"=s.c2,\"a \"\"b\"\"\"=" THERE(                                                                \
        0) "s.c3 ELSE g.\"a \"\"b\"\"\" END,\"c\"=" THERE(1) "s.c4::pg_catalog.int4range ELSE g.\"c\" END FROM pg_temp.stage s WHERE g.\"id\"" EQ \
                                                             "s.c0"

/* The DEFAULT of what a row omits; of an update, what the row has. */
static void test_mixed_rows(void **state)
{
    (void) state;
    target.has_version = filled[1].is_version = false;
    target.mixes = true;
    columns[3].sql_name = (char[]){"pg_catalog.text"};
    columns[3].default_sql = (char[]){"'x'::text"};
    columns[4].default_sql = (char[]){"f()"};
    check(ROW_INSERT, OMIT_MIXED, ROWS_STAGE,
          "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\",\"a \"\"b\"\"\",\"c\") SELECT"
          " s.c0,s.c1,s.c2," THERE(0) "s.c3 ELSE ('x'::text)::pg_catalog.text END," THERE(
              1) "s.c4::pg_catalog.int4range ELSE (f())::pg_catalog.int4range END"
                 " FROM pg_temp.stage s");
    check(ROW_IGNORE, OMIT_MIXED, ROWS_UNNEST,
          "INSERT INTO \"s\".\"t\" AS g (\"id\",\"v\",\"gone\",\"a \"\"b\"\"\",\"c\") SELECT"
          " s.c0,s.c1,s.c2," THERE(0) "s.c3 ELSE ('x'::text)::pg_catalog.text END," THERE(
              1) "s.c4::pg_catalog.int4range ELSE (f())::pg_catalog.int4range END"
                 " FROM (SELECT pg_catalog.unnest($1) AS c0,pg_catalog.unnest($2) AS c1,"
                 "pg_catalog.unnest($3) AS c2,pg_catalog.unnest($4) AS c3,"
                 "pg_catalog.unnest($5) AS c4,pg_catalog.unnest($6) AS there) s"
                 " ON CONFLICT (\"id\") DO NOTHING");
    check(ROW_UPDATE, OMIT_MIXED, ROWS_STAGE, MIXED_UPDATE);
    const struct rows_shape inserted = {&target, ROW_INSERT, OMIT_MIXED};
    const struct rows_shape updated = {&target, ROW_UPDATE, OMIT_MIXED};
    struct buf sql = {0};
    assert_false(rows_are_direct(&inserted));
    assert_true(rows_have_defaults(&inserted) && !rows_have_defaults(&updated));
    rows_sql_copy(&sql, &inserted, "stage", true);
    assert_sql(&sql, "COPY pg_temp.stage (place,c0,c1,c2,c3,c4,there) FROM STDIN (FORMAT binary)");
    rows_sql_create(&sql, &updated, "stage", false);
    assert_sql(&sql, "CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp.stage (c0 integer,c1 bigint,"
                     "c2 boolean,c3 text,c4 text,there bytea) ON COMMIT DELETE ROWS");
    rows_sql_names(&sql, &inserted);
    assert_sql(&sql, "ARRAY['id','v','gone']::pg_catalog.text[]");
    buf_done(&sql);
    target.mixes = false;
}

static void test_keys_that_only_sql_compares(void **state)
{
    (void) state;
    target.has_version = filled[1].is_version = false;
    target.keys_by_sql = true;
    columns[0].compare_as = (char[]){"citext"};
    check(ROW_UPDATE, 3, ROWS_STAGE,
          "UPDATE \"s\".\"t\" AS g SET \"v\"=s.c1,\"gone\"=s.c2 FROM (SELECT DISTINCT ON"
          " (s.c0::citext) * FROM pg_temp.stage s ORDER BY s.c0::citext,ctid DESC) s"
          " WHERE g.\"id\"" EQ "s.c0::citext");
    assert_false(rows_unnest(&(struct rows_shape){&target, ROW_UPDATE, 0}));
    assert_true(rows_unnest(&(struct rows_shape){&target, ROW_INSERT, 0}));
    columns[0].equals = (char[]){" OPERATOR(ext.=) "};
    columns[0].equals_as = (char[]){"ext.citext"};
    check(
        ROW_DELETE, 3, ROWS_STAGE,
        "DELETE FROM \"s\".\"t\" AS g USING (SELECT DISTINCT ON (s.c0::citext) * FROM pg_temp.stage"
        " s ORDER BY s.c0::citext,ctid DESC) s"
        " WHERE g.\"id\"::ext.citext OPERATOR(ext.=) (s.c0::citext)::ext.citext");
    columns[0].equals = columns[0].equals_as = NULL;
    target.keys_by_sql = false;
    columns[0].compare_as = NULL;
    assert_true(rows_unnest(&(struct rows_shape){&target, ROW_UPDATE, 0}));
}

/* Nothing but a key: nothing can be updated, and an upsert is an insert. */
static void test_a_key_alone(void **state)
{
    (void) state;
    target.column_count = 1;
    check(ROW_UPDATE, 0, ROWS_STAGE, "SELECT");
    check(ROW_UPSERT, 0, ROWS_STAGE,
          "INSERT INTO \"s\".\"t\" AS g (\"id\") SELECT s.c0 FROM pg_temp.stage s"
          " ON CONFLICT (\"id\") DO NOTHING");
    target.key_count = 0;
    filled[0].is_key = false;
    check(ROW_IGNORE, 0, ROWS_UNNEST,
          "INSERT INTO \"s\".\"t\" AS g (\"id\") SELECT pg_catalog.unnest($1)"
          " ON CONFLICT DO NOTHING");
    target.key_count = 1;
    filled[0].is_key = true;
    target.column_count = ARRAY_LEN(filled);
}

static void test_stages(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf sql = {0};
    struct rows_shape shape = {&target, ROW_UPSERT, 1};
    rows_sql_create(&sql, &shape, "stage", false);
    assert_sql(&sql, "CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp.stage (c0 integer,c1 bigint,"
                     "c2 boolean,c3 text,c4 text) ON COMMIT DELETE ROWS");
    rows_sql_create(&sql, &shape, "stage", true);
    assert_sql(&sql, "CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp.stage (place integer,"
                     "c0 integer,c1 bigint,c2 boolean,c3 text,c4 text) ON COMMIT DELETE ROWS");
    rows_sql_copy(&sql, &shape, "stage", false);
    assert_sql(&sql, "COPY pg_temp.stage (c0,c1,c2,c4) FROM STDIN (FORMAT binary)");
    rows_sql_copy(&sql, &shape, "stage", true);
    assert_sql(&sql, "COPY pg_temp.stage (place,c0,c1,c2,c4) FROM STDIN (FORMAT binary)");
    shape = (struct rows_shape){&target, ROW_INSERT, 2};
    rows_sql_copy(&sql, &shape, NULL, false);
    assert_sql(&sql, "COPY \"s\".\"t\" (\"id\",\"v\",\"gone\",\"a \"\"b\"\"\") FROM STDIN"
                     " (FORMAT binary)");
    assert_true(rows_are_direct(&shape));
    shape.omit = 1; /* with the column that is cast */
    assert_false(rows_are_direct(&shape));
    assert_false(rows_are_direct(&(struct rows_shape){&target, ROW_UPSERT, 2}));
}

static void test_rows_without_columns(void **state)
{
    _cleanup_buf_ struct buf sql = {0};
    struct rows_shape shape = {&target, ROW_INSERT, 0};

    (void) state;
    assert_false(rows_are_bare(&shape));
    shape.action = ROW_TRUNCATE;
    assert_true(rows_are_bare(&shape));
    rows_sql_bare(&sql, &shape, 1, NULL);
    assert_sql(&sql, "DELETE FROM \"s\".\"t\"");
    target.column_count = 0;
    shape.action = ROW_INSERT;
    assert_true(rows_are_bare(&shape));
    rows_sql_bare(&sql, &shape, 3, NULL);
    assert_sql(&sql, "INSERT INTO \"s\".\"t\" SELECT FROM pg_catalog.generate_series(1, 3)");
    target.column_count = ARRAY_LEN(filled);
}

static void check_guarded(enum row_action action, const char *want)
{
    _cleanup_buf_ struct buf sql = {0};

    rows_sql_store(&sql, &(struct rows_shape){&target, action, 3}, ROWS_UNNEST, NULL, "same()");
    assert_non_null(strstr(buf_cstr(&sql), want));
}

static void test_a_guard_is_one_more_condition(void **state)
{
    _cleanup_buf_ struct buf sql = {0};

    (void) state;
    check_guarded(ROW_INSERT, ",pg_catalog.unnest($3) WHERE same()");
    check_guarded(ROW_UPSERT, ",pg_catalog.unnest($3) WHERE same() ON CONFLICT");
    check_guarded(ROW_UPDATE, " AND same()");
    check_guarded(ROW_DELETE, " AND same()");
    rows_sql_bare(&sql, &(struct rows_shape){&target, ROW_INSERT, 0}, 3, "same()");
    assert_sql(&sql,
               "INSERT INTO \"s\".\"t\" SELECT FROM pg_catalog.generate_series(1, 3) WHERE same()");
}

/* ---- expressions ---- */

static struct column value_column = {.name = (char[]){"value"},
                                     .type = TYPE_JSONB,
                                     .wire_array_oid = 3807,
                                     .wire_name = (char[]){"jsonb"}};

static struct target_column with_input[] = {
    {.column = &columns[0], .omit_bit = -1, .is_key = true},
    {.column = &value_column, .omit_bit = -1, .is_input = true},
};

static struct target_expression computed[] = {
    {.column = &columns[3], .sql = (char[]){"lower(value->>'e') -- x"}},
    {.column = &columns[1], .sql = (char[]){"1"}},
};

static struct target computing = {
    .table = &table,
    .columns = with_input,
    .column_count = ARRAY_LEN(with_input),
    .expressions = computed,
    .expression_count = ARRAY_LEN(computed),
    .key_count = 1,
};

static void check_computing(enum row_action action, enum rows_source source, const char *want)
{
    _cleanup_buf_ struct buf sql = {0};

    rows_sql_store(&sql, &(struct rows_shape){&computing, action, 0}, source,
                   source == ROWS_UNNEST ? NULL : "stage", NULL);
    assert_sql(&sql, want);
}

static void test_expressions(void **state)
{
    (void) state;
    check_computing(
        ROW_INSERT, ROWS_UNNEST,
        "INSERT INTO \"s\".\"t\" AS g (\"id\",\"a \"\"b\"\"\",\"v\") SELECT "
        "s.c0,s.e0,s.e1 FROM (SELECT s.*,(lower(value->>'e') -- x\n) AS e0,(1\n) AS e1 "
        "FROM (SELECT pg_catalog.unnest($1) AS c0,pg_catalog.unnest($2) AS c1) s,LATERAL "
        "(SELECT s.c1 AS \"value\") record) s");
    check_computing(ROW_UPSERT, ROWS_STAGE,
                    "INSERT INTO \"s\".\"t\" AS g (\"id\",\"a \"\"b\"\"\",\"v\") SELECT "
                    "s.c0,s.e0,s.e1 FROM (SELECT s.*,(lower(value->>'e') -- x\n) AS e0,(1\n) AS e1 "
                    "FROM pg_temp.stage s,LATERAL (SELECT s.c1 AS \"value\") record) s ON CONFLICT "
                    "(\"id\") DO UPDATE SET \"a \"\"b\"\"\"=EXCLUDED.\"a \"\"b\"\"\","
                    "\"v\"=EXCLUDED.\"v\"");
    check_computing(ROW_UPDATE, ROWS_STAGE,
                    "UPDATE \"s\".\"t\" AS g SET \"a \"\"b\"\"\"=s.e0,\"v\"=s.e1 FROM (SELECT s.*,"
                    "(lower(value->>'e') -- x\n) AS e0,(1\n) AS e1 FROM pg_temp.stage s,LATERAL "
                    "(SELECT s.c1 AS \"value\") record) s WHERE g.\"id\"" EQ "s.c0");
    check_computing(ROW_DELETE, ROWS_STAGE,
                    "DELETE FROM \"s\".\"t\" AS g USING pg_temp.stage s WHERE g.\"id\"" EQ "s.c0");
}

static void test_a_check_of_an_expression(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf sql = {0};
    rows_sql_check(&sql, &computing, &computed[0]);
    assert_sql(&sql,
               "EXPLAIN INSERT INTO \"s\".\"t\" (\"a \"\"b\"\"\") SELECT (CASE WHEN true THEN "
               "(lower(value->>'e') -- "
               "x\n) END) FROM (SELECT NULL::jsonb AS \"value\" OFFSET 0) record");
}

static void test_rows_that_are_computed_are_not_copied_into_the_table(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf sql = {0};
    struct rows_shape shape = {&computing, ROW_INSERT, 0};
    assert_false(rows_are_direct(&shape));
    assert_true(rows_unnest(&shape));
    rows_sql_create(&sql, &shape, "stage", false);
    assert_sql(&sql, "CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp.stage (c0 integer,c1 jsonb) ON "
                     "COMMIT DELETE ROWS");
    rows_sql_copy(&sql, &shape, "stage", false);
    assert_sql(&sql, "COPY pg_temp.stage (c0,c1) FROM STDIN (FORMAT binary)");
}

static void test_names_and_values(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf sql = {0};
    const struct rows_shape all = {&target, ROW_INSERT, 0};
    const struct rows_shape fewer = {&target, ROW_INSERT, 3};

    rows_sql_names(&sql, &all);
    assert_sql(&sql, "ARRAY['id','v','gone','a \"b\"','c']::pg_catalog.text[]");
    rows_sql_values(&sql, &all);
    assert_sql(&sql, "ARRAY['s.c0','s.c1','s.c2','s.c3','s.c4::pg_catalog.int4range']"
                     "::pg_catalog.text[]");
    rows_sql_names(&sql, &fewer);
    assert_sql(&sql, "ARRAY['id','v','gone']::pg_catalog.text[]");
    filled[1].is_input = true;
    rows_sql_values(&sql, &fewer);
    assert_sql(&sql, "ARRAY['s.c0','s.c2']::pg_catalog.text[]");
    filled[1].is_input = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_action_from_arrays),
        cmocka_unit_test(test_only_if_newer),
        cmocka_unit_test(test_only_if_newer_of_two_columns),
        cmocka_unit_test(test_composite_types),
        cmocka_unit_test(test_an_identity_that_is_generated_always),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_mixed_rows),
        cmocka_unit_test(test_keys_that_only_sql_compares),
        cmocka_unit_test(test_a_key_alone),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_rows_without_columns),
        cmocka_unit_test(test_a_guard_is_one_more_condition),
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_a_check_of_an_expression),
        cmocka_unit_test(test_rows_that_are_computed_are_not_copied_into_the_table),
        cmocka_unit_test(test_names_and_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
