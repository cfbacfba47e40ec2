/* new_table.c: tables made from schemas, as Connect writes them. */
#include "row/evolve/new_table.h"

#include "row/kit.h"
#include "row/schema/connect_schema.h"

#define FIELD(name, type) "{\"field\":\"" name "\",\"type\":\"" type "\"}"
#define OPTIONAL(name, type) "{\"field\":\"" name "\",\"type\":\"" type "\",\"optional\":true}"
#define STRUCT(fields) "{\"type\":\"struct\",\"name\":\"shop.Order\",\"fields\":[" fields "]}"

static const struct new_table_spec plain = {
    .schema = "public", .name = "orders", .source = "topic orders"};

static const struct schema *schema_of(const char *text)
{
    const struct schema *s = NULL;
    struct error err;

    if (text != NULL && !connect_schema_read(str_of(text), &s, &err)) {
        print_error("%s\n", err.text);
        fail();
    }
    return s;
}

static bool print(const char *value, const char *key, const struct new_table_spec *spec,
                  struct buf *out, struct error *err)
{
    const struct schema *v = schema_of(value);
    const struct schema *k = schema_of(key);
    bool ok = new_table_print(new_table_row(schema_root(v, 0), false),
                              k != NULL ? schema_root(k, 0) : NULL, spec, out, err);

    (void) schema_drop(v);
    (void) schema_drop(k);
    return ok;
}

static void expect(const char *value, const char *key, const struct new_table_spec *spec,
                   const char *want)
{
    _cleanup_buf_ struct buf out = {0};
    struct error err;

    if (!print(value, key, spec, &out, &err)) {
        print_error("%s\n", err.text);
        fail();
    }
    kit_assert_text(buf_cstr(&out), want);
}

static void expect_fault(const char *value, const char *key, const struct new_table_spec *spec,
                         const char *want)
{
    _cleanup_buf_ struct buf out = {0};
    struct error err;

    assert_false(print(value, key, spec, &out, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    kit_assert_text(err.text, want);
    assert_int_equal(out.n, 0);
}

#define COMMENT                                                                                    \
    "COMMENT ON TABLE \"public\".\"orders\" IS 'made by pgsinkd for topic orders, schema "         \
    "shop.Order';\n"

static void test_columns(void **state)
{
    (void) state;
    const char *schema = STRUCT(FIELD("id", "int64") "," OPTIONAL("note", "string"));
    expect(schema, NULL, &plain,
           "CREATE TABLE \"public\".\"orders\" (\n"
           "    \"id\" bigint,\n"
           "    \"note\" text\n"
           ");\n" COMMENT);
    struct new_table_spec strict = plain;
    strict.not_null = true;
    strict.has_metadata = true;
    expect(schema, NULL, &strict,
           "CREATE TABLE \"public\".\"orders\" (\n"
           "    \"id\" bigint NOT NULL,\n"
           "    \"note\" text,\n"
           "    \"_topic\" text,\n"
           "    \"_partition\" integer,\n"
           "    \"_offset\" bigint,\n"
           "    \"_timestamp\" timestamptz\n"
           ");\n" COMMENT);
}

static void test_names(void **state)
{
    (void) state;
    struct new_table_spec snake = plain;
    snake.names = NAMES_SNAKE_CASE;
    snake.schema = "a\"b";
    snake.source = "it's \\ here";
    expect("{\"type\":\"struct\",\"fields\":[" FIELD("userId", "int32") "]}", NULL, &snake,
           "CREATE TABLE \"a\"\"b\".\"orders\" (\n"
           "    \"user_id\" integer\n"
           ");\n"
           "COMMENT ON TABLE \"a\"\"b\".\"orders\" IS E'made by pgsinkd for it''s \\\\ here';\n");
    expect(STRUCT(FIELD("say \\\"hi\\\"", "int32")), NULL, &plain,
           "CREATE TABLE \"public\".\"orders\" (\n"
           "    \"say \"\"hi\"\"\" integer\n"
           ");\n" COMMENT);
    expect_fault(STRUCT(FIELD("userId", "int32") "," FIELD("user_id", "int32")), NULL, &snake,
                 "fields 'userId' and 'user_id' would both be column 'user_id'");
    expect_fault(STRUCT(FIELD("a", "int32") "," FIELD("a", "int64")), NULL, &plain,
                 "fields 'a' and 'a' would both be column 'a'");
#define LONG "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"
    struct buf out = {0};
    struct error err;
    assert_true(print(STRUCT(FIELD(LONG, "int32")), NULL, &plain, &out, &err));
    buf_done(&out);
    expect_fault(
        STRUCT(FIELD(LONG "h", "int32")), NULL, &plain,
        "field 'aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff...' is longer "
        "than the 63 bytes of a column's name");
    expect_fault(
        STRUCT(FIELD(LONG LONG LONG LONG LONG, "int32")), NULL, &plain,
        "field 'aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff...' is longer "
        "than the 63 bytes of a column's name");
    expect_fault(STRUCT(FIELD("", "int32")), NULL, &plain,
                 "field '' has a name that no column can have");
    expect_fault(STRUCT(FIELD("a\\u0000b", "int32")), NULL, &plain,
                 "field 'a\\x00b' has a name that no column can have");
    expect_fault(STRUCT(""), NULL, &plain, "the records have no fields");
}

static void test_keys(void **state)
{
    (void) state;
    const char *value = STRUCT(FIELD("id", "int64") "," OPTIONAL("region", "string"));
    const char *key = STRUCT(FIELD("region", "string") "," FIELD("id", "int64"));
    static const char *const names[] = {"region", "id"};
    struct new_table_spec spec = plain;
    spec.key = names;
    spec.key_count = 2;
    expect(value, NULL, &spec,
           "CREATE TABLE \"public\".\"orders\" (\n"
           "    \"id\" bigint NOT NULL,\n"
           "    \"region\" text NOT NULL,\n"
           "    PRIMARY KEY (\"region\", \"id\")\n"
           ");\n" COMMENT);
    spec.key_count = 0;
    spec.takes_key = true;
    spec.wants_key = true;
    expect(value, STRUCT(FIELD("id", "int64")), &spec,
           "CREATE TABLE \"public\".\"orders\" (\n"
           "    \"id\" bigint NOT NULL,\n"
           "    \"region\" text,\n"
           "    PRIMARY KEY (\"id\")\n"
           ");\n" COMMENT);
    expect_fault(STRUCT(FIELD("id", "int64")), key, &spec,
                 "column 'region' of the key is no field of the records");
    expect_fault(value, NULL, &spec,
                 "the records have no key with a schema, and the route's mode needs one");
    expect_fault(value, "{\"type\":\"int64\"}", &spec,
                 "the records have no key with a schema, and the route's mode needs one");
    expect_fault(value, STRUCT(FIELD("", "int64")), &spec,
                 "field '' has a name that no column can have");
    spec.wants_key = false;
    spec.takes_key = false;
    expect(value, key, &spec,
           "CREATE TABLE \"public\".\"orders\" (\n"
           "    \"id\" bigint,\n"
           "    \"region\" text\n"
           ");\n" COMMENT);
    static const char *const missing[] = {"nr"};
    spec.key = missing;
    spec.key_count = 1;
    expect_fault(value, NULL, &spec, "column 'nr' of the key is no field of the records");
}

static void test_columns_of_the_route(void **state)
{
    (void) state;
    const struct schema *s = schema_of(STRUCT(FIELD("id", "int64") "," FIELD("who", "bytes")));
    const struct shape *row = new_table_row(schema_root(s, 0), false);
    const struct new_table_extra extras[] = {
        {.name = "who", .type = "text"},
        {.name = "copy", .shape = row->fields[0].shape},
        {.name = "id"},
    };
    struct new_table_spec spec = plain;
    spec.extras = extras;
    spec.extra_count = ARRAY_LEN(extras);
    struct buf out = {0};
    struct error err;
    assert_true(new_table_print(row, NULL, &spec, &out, &err));
    kit_assert_text(buf_cstr(&out), "CREATE TABLE \"public\".\"orders\" (\n"
                                    "    \"id\" bigint,\n"
                                    "    \"who\" text,\n"
                                    "    \"copy\" bigint\n"
                                    ");\n" COMMENT);
    buf_done(&out);
    (void) schema_drop(s);
}

static void test_rows_of_change_events(void **state)
{
    (void) state;
    const char *after = "{\"type\":\"struct\",\"optional\":true,\"field\":\"after\",\"fields\":["
                        "" FIELD("id", "int64") "]}";
    char text[512];
    snprintf(text, sizeof text, "{\"type\":\"struct\",\"fields\":[%s," FIELD("op", "string") "]}",
             after);
    const struct schema *s = schema_of(text);
    const struct shape *row = new_table_row(schema_root(s, 0), true);
    assert_non_null(row);
    assert_true(str_eq_z(row->fields[0].name, "id"));
    (void) schema_drop(s);
    s = schema_of(STRUCT(FIELD("after", "string")));
    assert_null(new_table_row(schema_root(s, 0), true));
    (void) schema_drop(s);
    s = schema_of(STRUCT(FIELD("op", "string")));
    assert_null(new_table_row(schema_root(s, 0), true));
    (void) schema_drop(s);
    s = schema_of("{\"type\":\"string\"}");
    assert_null(new_table_row(schema_root(s, 0), false));
    (void) schema_drop(s);
}

static void test_more_fields_than_a_table_has_columns(void **state)
{
    (void) state;
    struct buf text = {0};
    buf_add_z(&text, "{\"type\":\"struct\",\"fields\":[");
    for (int i = 0; i < 1601; i++) {
        buf_printf(&text, "%s{\"field\":\"f%d\",\"type\":\"int8\"}", i == 0 ? "" : ",", i);
    }
    buf_add_z(&text, "]}");
    expect_fault(buf_cstr(&text), NULL, &plain,
                 "the records have 1601 fields, and a table has at most 1600 columns");
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_columns_of_the_route),
        cmocka_unit_test(test_rows_of_change_events),
        cmocka_unit_test(test_more_fields_than_a_table_has_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
