/* survey.c: fields without a column, columns without a value, and what may be meant. */
#include "row/record/survey.h"

#include "row/schema/compile.h"

#include "row/kit.h"

struct bench {
    struct table *table;
    struct mapping *mapping;
    struct decoder *decoder;
    struct survey survey;
};

static struct bench bench_of(struct table *table, struct mapping_spec spec)
{
    struct bench b = {.table = table, .decoder = decoder_new()};

    spec.route = "t";
    b.mapping = kit_mapping(table, &spec, 0);
    survey_init(&b.survey, b.mapping);
    return b;
}

static void bench_done(struct bench *b)
{
    survey_done(&b->survey);
    decoder_free(b->decoder);
    mapping_free(b->mapping);
    table_free(b->table);
}

static void add(struct bench *b, const char *value)
{
    struct message msg = kit_message("{\"k\": 1}", value);

    survey_add(&b->survey, b->decoder, &msg);
}

/* "name:count ..." */
static void expect_fields(const struct bench *b, const char *want)
{
    _cleanup_buf_ struct buf got = {0};

    for (size_t i = 0; i < b->survey.field_count; i++) {
        buf_printf(&got, "%s%s:%zu", i > 0 ? " " : "", b->survey.fields[i].name,
                   b->survey.fields[i].count);
    }
    kit_assert_text(buf_cstr(&got), want);
}

static void expect_filled(const struct bench *b, const char *want)
{
    _cleanup_buf_ struct buf got = {0};

    for (size_t i = 0; i < b->survey.column_count; i++) {
        buf_printf(&got, "%s%s:%zu", i > 0 ? " " : "", b->survey.columns[i].name,
                   b->survey.columns[i].filled);
    }
    kit_assert_text(buf_cstr(&got), want);
}

static void expect_meant(const struct bench *b, const char *field, const char *want, bool same)
{
    bool is_same = !same;
    const char *meant = survey_meant(&b->survey, field, &is_same);

    kit_assert_text(meant != NULL ? meant : "", want);
    assert_int_equal(is_same, same);
}

static void test_fields_and_columns_are_counted(void **state)
{
    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT4), kit_column("note", TYPE_TEXT),
                                        kit_column("_offset", TYPE_INT8)),
                              (struct mapping_spec){.format = FORMAT_JSON});
    add(&b, "{\"id\": 1, \"a\": {\"x\": 1}}");
    add(&b, "{\"id\": 2, \"b\": 1, \"a\": null, \"note\": null}");
    add(&b, "{\"a\": 1, \"caf\\u00e9\\\"\": [1]}");
    add(&b, "{\"id\": ");
    add(&b, "[]");
    assert_int_equal(b.survey.rows, 3);
    expect_fields(&b, "a:3 b:1 caf\xc3\xa9\":1");
    expect_filled(&b, "id:2 note:0 _offset:3");
    kit_assert_text(b.survey.columns[1].source, "value.note");
    bench_done(&b);
}

static void test_fields_that_are_data(void **state)
{
    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT4)),
                              (struct mapping_spec){.format = FORMAT_JSON});
    char value[64];

    for (int i = 0; i < 200; i++) {
        snprintf(value, sizeof value, "{\"id\": 1, \"k%d\": 1}", i);
        add(&b, value);
    }
    assert_int_equal(b.survey.field_count, 200);
    assert_false(b.survey.is_full);
    add(&b, "{\"id\": 1, \"one more\": 1, \"k7\": 1}");
    assert_int_equal(b.survey.field_count, 200);
    assert_int_equal(b.survey.fields[7].count, 2);
    assert_true(b.survey.is_full);
    bench_done(&b);
}

static void test_what_may_be_meant(void **state)
{
    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("user_id", TYPE_INT4),
                                        kit_column("amount", TYPE_INT4),
                                        kit_column("taken", TYPE_INT4)),
                              (struct mapping_spec){.format = FORMAT_JSON});
    add(&b, "{\"taken\": 1, \"userId\": 2}");
    expect_meant(&b, "userId", "user_id", true);
    expect_meant(&b, "USER-ID", "user_id", true);
    expect_meant(&b, "user_ids", "user_id", false);
    expect_meant(&b, "amuont", "amount", false);
    expect_meant(&b, "amount", "amount", false); /* its entry leads elsewhere */
    expect_meant(&b, "Taken", "", false);        /* which gets its values */
    expect_meant(&b, "quite_other", "", false);
    bench_done(&b);
}

/* A column that takes the whole value leaves nothing over. */
static void test_whole_values(void **state)
{
    (void) state;
    static const struct mapping_entry whole = {.column = "doc", .path = "value"};
    static const struct mapping_value values[] = {{.path = "value.a"}, {.path = "value"}};
    static const struct mapping_entry choice = {
        .column = "doc", .values = values, .value_count = ARRAY_LEN(values)};
    static const struct mapping_entry *const entries[] = {&whole, &choice};

    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        struct bench b = bench_of(
            KIT_TABLE(kit_column("id", TYPE_INT4), kit_column("doc", TYPE_JSONB)),
            (struct mapping_spec){.format = FORMAT_JSON, .entries = entries[i], .entry_count = 1});
        add(&b, "{\"id\": 1, \"b\": 2}");
        expect_fields(&b, "");
        expect_filled(&b, "id:1 doc:1");
        bench_done(&b);
    }
    struct bench raw = bench_of(KIT_TABLE(kit_column("value", TYPE_BYTEA)),
                                (struct mapping_spec){.format = FORMAT_RAW});
    add(&raw, "{\"b\": 2}");
    expect_fields(&raw, "");
    expect_filled(&raw, "value:1");
    bench_done(&raw);
}

static void test_documents_in_strings(void **state)
{
    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("doc", TYPE_JSONB), kit_column("note", TYPE_TEXT)),
        (struct mapping_spec){.format = FORMAT_JSON});
    add(&b, "{\"doc\": \"{\\\"a\\\": 1}\", \"note\": \"{}\"}");
    add(&b, "{\"doc\": \"[1]\"}");
    add(&b, "{\"doc\": \"{\"}");
    add(&b, "{\"doc\": {\"a\": 1}}");
    assert_int_equal(b.survey.columns[0].documents, 2);
    assert_int_equal(b.survey.columns[1].documents, 0);
    bench_done(&b);
}

static void test_elements(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "id", .path = "value.id"};
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT4), kit_column("sku", TYPE_TEXT)),
                              (struct mapping_spec){.format = FORMAT_JSON,
                                                    .entries = &entry,
                                                    .entry_count = 1,
                                                    .explode = "value.items",
                                                    .when = "item.sku != 'z'"});
    add(&b, "{\"id\": 1, \"a\": 1, \"items\": [{\"sku\": \"x\", \"b\": 1}, {\"sku\": \"z\", \"c\": "
            "1}, {\"sku\": \"y\", \"b\": 2}]}");
    add(&b, "{\"id\": 1, \"items\": 5}");
    add(&b, "{\"id\": 1, \"items\": [5, {\"sku\": \"x\", \"d\": 1}]}");
    assert_int_equal(b.survey.rows, 2);
    expect_fields(&b, "b:2");
    expect_filled(&b, "id:2 sku:2");
    bench_done(&b);
}

/* Only the fields of the row count, wherever it is. */
static void test_rows_below_a_root(void **state)
{
    (void) state;
    struct mapping_spec spec = {.format = FORMAT_JSON, .root = "value.data"};
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT4)), spec);
    add(&b, "{\"a\": 1, \"data\": {\"id\": 1, \"b\": 2}}");
    expect_fields(&b, "b:1");
    expect_filled(&b, "id:1");
    bench_done(&b);

    spec.parses_root = true;
    b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT4)), spec);
    add(&b, "{\"a\": 1, \"data\": \"{\\\"id\\\": 1, \\\"c\\\": 2}\"}");
    add(&b, "{\"data\": \"no JSON\"}");
    expect_fields(&b, "c:1");
    expect_filled(&b, "id:1");
    bench_done(&b);
}

/* A column that takes the parsed string as a whole leaves nothing over. */
static void test_whole_documents_of_strings(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "doc", .path = "value", .parses = true};
    struct bench b = bench_of(
        KIT_TABLE(kit_column("doc", TYPE_JSONB)),
        (struct mapping_spec){.format = FORMAT_JSON, .entries = &entry, .entry_count = 1});
    add(&b, "\"{\\\"a\\\": 1}\"");
    expect_fields(&b, "");
    expect_filled(&b, "doc:1");
    bench_done(&b);
}

static void test_names_by_a_policy(void **state)
{
    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("user_id", TYPE_INT4)),
        (struct mapping_spec){.format = FORMAT_JSON, .names = NAMES_SNAKE_CASE});
    add(&b, "{\"userId\": 1, \"otherId\": 2}");
    expect_fields(&b, "otherId:1");
    expect_filled(&b, "user_id:1");
    bench_done(&b);
}

/* The row after a change counts; what is deleted holds only a key. */
static void test_change_events(void **state)
{
    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("id", TYPE_INT4), kit_column("note", TYPE_TEXT)),
        (struct mapping_spec){.format = FORMAT_JSON, .envelope = ENVELOPE_DEBEZIUM});
    add(&b, "{\"op\": \"c\", \"after\": {\"id\": 1, \"more\": 2}}");
    add(&b, "{\"op\": \"u\", \"before\": {\"old\": 1}, \"after\": {\"id\": 1, \"note\": \"x\"}}");
    add(&b, "{\"op\": \"d\", \"before\": {\"id\": 1, \"gone\": 2}}");
    add(&b, "{\"op\": \"m\"}");
    add(&b, NULL);
    assert_int_equal(b.survey.rows, 2);
    expect_fields(&b, "more:1");
    expect_filled(&b, "id:2 note:1");
    bench_done(&b);
}

/* ---- formats with schemas ---- */

#define SCHEMA_NUMBER "\0\0\0\0\x07"

/* The schema with ' for ". */
static void learn(struct bench *b, enum schema_language language, const char *text)
{
    _cleanup_buf_ struct buf quoted = {0};
    const struct schema_ref seven = {.kind = SCHEMA_REF_ID, .id = 7};
    const struct schema *schema;
    struct error err;

    for (const char *p = text; *p != '\0'; p++) {
        buf_add_u8(&quoted, *p == '\'' ? '"' : (uint8_t) *p);
    }
    assert_true(schema_compile(language, buf_str(&quoted), NULL, 0, &schema, &err));
    decoder_learn(b->decoder, &seven, schema, NULL);
    schema_drop(schema);
}

static void add_bytes(struct bench *b, struct str value)
{
    struct message msg = kit_message(NULL, NULL);

    msg.value = value;
    survey_add(&b->survey, b->decoder, &msg);
}

/* The bytes say nothing of names. A path that leads into a field takes it. */
static void test_fields_of_a_schema(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "x", .path = "value.deep.x"};
    struct bench b = bench_of(
        KIT_TABLE(kit_column("id", TYPE_INT4), kit_column("x", TYPE_INT4),
                  kit_column("none", TYPE_TEXT)),
        (struct mapping_spec){
            .format = FORMAT_AVRO, .entries = &entry, .entry_count = 1, .names = NAMES_LOWER});
    learn(&b, SCHEMA_AVRO,
          "{'type': 'record', 'name': 'R', 'fields': ["
          "{'name': 'ID', 'type': 'int'},"
          "{'name': 'deep', 'type': {'type': 'record', 'name': 'D', 'fields': ["
          "{'name': 'x', 'type': 'int'}, {'name': 'y', 'type': 'int'}]}},"
          "{'name': 'a name of thirteen', 'type': 'int'}, {'name': 'gone', 'type': 'null'}]}");
    add_bytes(&b, STR_LIT(SCHEMA_NUMBER "\x02\x02\x02\x02"));
    add_bytes(&b, STR_LIT(SCHEMA_NUMBER "\x02\x02\x02\x02"));
    add_bytes(&b, STR_LIT(SCHEMA_NUMBER "\x02")); /* cut short */
    assert_int_equal(b.survey.rows, 2);
    expect_fields(&b, "a name of thirteen:2 gone:2");
    expect_filled(&b, "id:2 x:2 none:0");
    bench_done(&b);
}

/* The row after a change is a branch of a union. */
static void test_fields_of_a_change(void **state)
{
    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("id", TYPE_INT4)),
        (struct mapping_spec){.format = FORMAT_AVRO, .envelope = ENVELOPE_DEBEZIUM});
    learn(&b, SCHEMA_AVRO,
          "{'type': 'record', 'name': 'Envelope', 'fields': ["
          "{'name': 'before', 'type': ['null', {'type': 'record', 'name': 'Value', 'fields': ["
          "{'name': 'id', 'type': 'int'}, {'name': 'more', 'type': 'int'}]}]},"
          "{'name': 'after', 'type': ['null', 'Value']}, {'name': 'op', 'type': 'string'}]}");
    add_bytes(&b, STR_LIT(SCHEMA_NUMBER "\x00\x02\x02\x04\x02"
                                        "c"));
    add_bytes(&b, STR_LIT(SCHEMA_NUMBER "\x02\x02\x04\x00\x02"
                                        "d"));
    assert_int_equal(b.survey.rows, 1);
    expect_fields(&b, "more:1");
    expect_filled(&b, "id:1");
    bench_done(&b);
}

/* A schema of JSON may allow what a record does not have: the record counts. */
static void test_fields_of_json_with_a_schema(void **state)
{
    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT4)),
                              (struct mapping_spec){.format = FORMAT_JSON_SCHEMA});
    learn(&b, SCHEMA_JSON,
          "{'type': 'object', 'properties': {'id': {'type': 'integer'},"
          "'never': {'type': 'string'}, 'more': {'type': 'string'}}}");
    add_bytes(&b, STR_LIT(SCHEMA_NUMBER "{\"id\": 1, \"more\": \"x\", \"unsaid\": 2}"));
    add_bytes(&b, STR_LIT(SCHEMA_NUMBER "{}"));
    expect_fields(&b, "more:1 unsaid:1");
    expect_filled(&b, "id:1");
    bench_done(&b);
}

/* Elements of arrays are JSON, whatever the value is. */
static void test_elements_of_a_schema(void **state)
{
    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("sku", TYPE_TEXT)),
        (struct mapping_spec){.format = FORMAT_AVRO, .explode = "value.items"});
    learn(&b, SCHEMA_AVRO,
          "{'type': 'record', 'name': 'R', 'fields': ["
          "{'name': 'items', 'type': {'type': 'array', 'items':"
          "{'type': 'record', 'name': 'I', 'fields': ["
          "{'name': 'sku', 'type': 'string'}, {'name': 'n', 'type': 'int'}]}}}]}");
    add_bytes(&b, STR_LIT(SCHEMA_NUMBER "\x04\x02"
                                        "a"
                                        "\x02\x02"
                                        "b"
                                        "\x02\x00"));
    assert_int_equal(b.survey.rows, 2);
    expect_fields(&b, "n:2");
    expect_filled(&b, "sku:2");
    bench_done(&b);
}

static void test_who_takes_the_key(void **state)
{
    (void) state;
    static const struct mapping_entry field = {.column = "id", .path = "key.k"};
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT4)),
                              (struct mapping_spec){.entries = &field, .entry_count = 1});
    assert_true(survey_wants_key(b.mapping, false));
    assert_false(survey_wants_key(b.mapping, true));
    bench_done(&b);
    static const struct mapping_entry whole = {.column = "id", .path = "key"};
    b = bench_of(KIT_TABLE(kit_column("id", TYPE_TEXT)),
                 (struct mapping_spec){.entries = &whole, .entry_count = 1});
    assert_true(survey_wants_key(b.mapping, false));
    assert_true(survey_wants_key(b.mapping, true));
    bench_done(&b);
    b = bench_of(KIT_TABLE(kit_column("id", TYPE_TEXT)), (struct mapping_spec){0});
    assert_false(survey_wants_key(b.mapping, false));
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_and_columns_are_counted),
        cmocka_unit_test(test_fields_that_are_data),
        cmocka_unit_test(test_what_may_be_meant),
        cmocka_unit_test(test_whole_values),
        cmocka_unit_test(test_documents_in_strings),
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_rows_below_a_root),
        cmocka_unit_test(test_whole_documents_of_strings),
        cmocka_unit_test(test_names_by_a_policy),
        cmocka_unit_test(test_change_events),
        cmocka_unit_test(test_fields_of_a_schema),
        cmocka_unit_test(test_fields_of_a_change),
        cmocka_unit_test(test_fields_of_json_with_a_schema),
        cmocka_unit_test(test_elements_of_a_schema),
        cmocka_unit_test(test_who_takes_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
