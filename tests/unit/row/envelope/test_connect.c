/* connect.c: values and keys in Kafka Connect's wrapper, and the schemas that are remembered. */
#include "row/envelope/connect.h"

#include "row/kit.h"

/* A mapping of change events onto id int8 (in the key, too) and day date. */
struct bench {
    struct table *table;
    struct mapping *mapping;
    struct connect *connect;
    struct format_scratch value;
    struct format_scratch key;
    struct cell *cells;
    struct error err;
};

enum { ID, DAY };

static struct mapping_spec spec_of(void)
{
    static const struct mapping_entry entries[] = {{.column = "id", .path = "key.id"}};

    return (struct mapping_spec){
        .envelope = ENVELOPE_DEBEZIUM, .entries = entries, .entry_count = ARRAY_LEN(entries)};
}

static struct bench bench_of(void)
{
    struct bench b = {
        .table = KIT_TABLE(kit_column("id", TYPE_INT8), kit_column("day", TYPE_DATE)),
        .connect = connect_new(),
    };

    struct mapping_spec spec = spec_of();
    b.mapping = kit_mapping(b.table, &spec, 0);
    b.cells = mem_array(b.mapping->cell_count, sizeof *b.cells);
    return b;
}

static void bench_done(struct bench *b)
{
    free(b->cells);
    format_scratch_done(&b->value);
    format_scratch_done(&b->key);
    assert_null(connect_free(b->connect));
    mapping_free(b->mapping);
    table_free(b->table);
}

static bool value_of(struct bench *b, const char *text)
{
    return connect_read_value(b->connect, b->mapping, &b->value, str_of(text), b->cells, &b->err);
}

static bool key_of(struct bench *b, const char *text)
{
    return connect_read_key(b->connect, b->mapping, &b->key, str_of(text),
                            b->cells + mapping_key_cell(b->mapping), &b->err);
}

static const struct logical *logical_of(const struct bench *b, size_t fill)
{
    return connect_logical(b->connect, b->mapping, fill, CONNECTOR_POSTGRESQL);
}

static void expect_read(struct bench *b, const char *text, const char *day, enum logical_kind kind)
{
    if (!value_of(b, text)) {
        print_error("%s\n", b->err.text);
        fail();
    }
    const struct cell *c = &b->cells[b->mapping->fills[DAY].cell];
    if (day == NULL) {
        assert_int_equal(c->kind, CELL_ABSENT);
    } else {
        assert_true(str_eq(c->text, str_of(day)));
    }
    assert_int_equal(logical_of(b, DAY)->kind, kind);
}

static void expect_key(struct bench *b, const char *text, const char *id)
{
    if (!key_of(b, text)) {
        print_error("%s\n", b->err.text);
        fail();
    }
    const struct cell *c = &b->cells[b->mapping->fills[ID].cell];
    if (id == NULL) {
        assert_int_equal(c->kind, CELL_ABSENT);
    } else {
        assert_true(str_eq(c->text, str_of(id)));
    }
}

#define DAYS "{\"type\":\"int32\",\"name\":\"io.debezium.time.Date\",\"field\":\"day\"}"
#define STRINGS "{\"type\":\"string\",\"field\":\"day\"}"
#define SCHEMA(field)                                                                              \
    "{\"type\":\"struct\",\"fields\":[{\"type\":\"struct\",\"fields\":[" field                     \
    "],\"field\":\"after\"}]}"
#define EVENT "{\"op\":\"c\",\"after\":{\"day\":5}}"
#define WRAPPED(schema, payload) "{\"schema\":" schema ",\"payload\":" payload "}"

static void test_the_payload_is_read_and_the_schema_says_what_it_is(void **state)
{
    (void) state;
    struct bench b = bench_of();
    for (int i = 0; i < 3; i++) { /* learned, then recognised */
        expect_read(&b, WRAPPED(SCHEMA(DAYS), EVENT), "5", LOGICAL_DAYS);
        expect_read(&b, WRAPPED(SCHEMA(STRINGS), EVENT), "5", LOGICAL_PLAIN);
    }
    expect_read(&b, WRAPPED(SCHEMA(DAYS), "{\"after\":{\"day\":7}}"), "7", LOGICAL_DAYS);
    bench_done(&b);
}

static void test_what_is_not_wrapped_is_read_as_it_is(void **state)
{
    (void) state;
    struct bench b = bench_of();
    expect_read(&b, WRAPPED(SCHEMA(STRINGS), EVENT), "5", LOGICAL_PLAIN);
    expect_read(&b, EVENT, "5", LOGICAL_DAYS); /* as the column has it */
    expect_read(&b, "{\"payload\":" EVENT "}", NULL, LOGICAL_DAYS);
    expect_read(&b, WRAPPED(SCHEMA(DAYS), "[1]"), NULL, LOGICAL_DAYS);
    expect_read(&b, NULL, NULL, LOGICAL_DAYS);
    assert_int_equal(b.cells[0].kind, CELL_NULL);
    bench_done(&b);
}

static void test_a_wrapper_that_connect_did_not_write(void **state)
{
    (void) state;
    struct bench b = bench_of();
    for (int i = 0; i < 2; i++) {
        expect_read(&b, " { \"payload\": " EVENT ", \"schema\": " SCHEMA(DAYS) " } ", "5",
                    LOGICAL_DAYS);
    }
    expect_read(&b, WRAPPED("null", EVENT), "5", LOGICAL_DAYS);
    expect_read(&b, WRAPPED("{\"fields\":7}", EVENT), "5", LOGICAL_PLAIN);
    expect_read(&b, WRAPPED("{\"fields\":[1,{\"field\":2}]}", EVENT), "5", LOGICAL_PLAIN);
    bench_done(&b);
}

static void test_a_payload_that_is_null(void **state)
{
    (void) state;
    struct bench b = bench_of();
    for (int i = 0; i < 2; i++) {
        assert_true(value_of(&b, WRAPPED(SCHEMA(DAYS), "null")));
        assert_int_equal(b.cells[0].kind, CELL_NULL);
    }
    bench_done(&b);
}

static void expect_fault(struct bench *b, bool ok, const char *words)
{
    assert_false(ok);
    assert_int_equal(b->err.class, ERROR_RECORD);
    if (strstr(b->err.text, words) == NULL) {
        print_error("%s\n", b->err.text);
        fail();
    }
}

/* The place of a fault is one in the whole value, whether the schema was recognised or not. */
static void test_what_is_not_valid(void **state)
{
    (void) state;
    struct bench b = bench_of();
    expect_fault(&b, value_of(&b, WRAPPED(SCHEMA(DAYS), "{\"op\":}")), "the value: not valid JSON");
    _cleanup_mem_ char *unknown = mem_strdup(b.err.text);
    expect_read(&b, WRAPPED(SCHEMA(DAYS), EVENT), "5", LOGICAL_DAYS);
    expect_fault(&b, value_of(&b, WRAPPED(SCHEMA(DAYS), "{\"op\":}")), unknown);
    expect_fault(&b, value_of(&b, "{\"schema\":" SCHEMA(DAYS) ",\"payload\":" EVENT), "not valid");
    expect_fault(&b, value_of(&b, "{\"schema\":" SCHEMA(DAYS) "}x"), "not valid JSON");
    expect_fault(&b, key_of(&b, "{\"schema\""), "the key: not valid JSON");
    bench_done(&b);
}

#define KEY_SCHEMA "{\"type\":\"struct\",\"fields\":[{\"type\":\"int64\",\"field\":\"id\"}]}"

static void test_keys(void **state)
{
    (void) state;
    struct bench b = bench_of();
    assert_true(value_of(&b, EVENT));
    expect_key(&b, WRAPPED(KEY_SCHEMA, "{\"id\":1}"), "1");
    expect_key(&b, WRAPPED(KEY_SCHEMA, "{\"id\":2}"), "2");
    expect_key(&b, "{\"id\":3}", "3");
    expect_key(&b, "{\"id\":4,\"schema\":{}}", "4");
    expect_key(&b, WRAPPED(KEY_SCHEMA, "7"), NULL);
    expect_key(&b, NULL, NULL);
    bench_done(&b);
}

/* The same text may be the schema of a key and of a value, and one for two mappings. */
static void test_a_schema_is_remembered_for_its_mapping_and_part(void **state)
{
    (void) state;
    struct bench b = bench_of();
    struct mapping_spec text = spec_of();
    struct table *t = KIT_TABLE(kit_column("id", TYPE_INT8), kit_column("day", TYPE_TEXT));
    struct mapping *first = b.mapping;
    struct mapping *second = kit_mapping(t, &text, 0);
    assert_true(second->cell_count <= first->cell_count);
    for (int i = 0; i < 2; i++) {
        b.mapping = first;
        expect_read(&b, WRAPPED(SCHEMA(DAYS), EVENT), "5", LOGICAL_DAYS);
        assert_true(key_of(&b, WRAPPED(SCHEMA(DAYS), EVENT)));
        assert_int_equal(logical_of(&b, ID)->kind, LOGICAL_PLAIN);
        b.mapping = second;
        expect_read(&b, WRAPPED(SCHEMA(STRINGS), EVENT), "5", LOGICAL_PLAIN);
    }
    b.mapping = first;
    mapping_free(second);
    table_free(t);
    bench_done(&b);
}

/* A source that never writes the same schema twice costs no memory without end. */
static void test_more_schemas_than_are_remembered(void **state)
{
    (void) state;
    struct bench b = bench_of();
    _cleanup_buf_ struct buf text = {0};
    for (int i = 0; i < 3 * CONNECT_SCHEMAS_MAX; i++) {
        buf_clear(&text);
        buf_printf(&text, "{\"schema\":{\"version\":%d,\"fields\":[]},\"payload\":%s}", i, EVENT);
        expect_read(&b, buf_cstr(&text), "5", LOGICAL_PLAIN);
        expect_key(&b, buf_cstr(&text), NULL);
    }
    for (int i = 0; i < 3; i++) {
        buf_clear(&text);
        buf_printf(&text, "{\"schema\":{\"version\":%d,\"doc\":\"", i);
        buf_fill(&text, 'x', CONNECT_SCHEMA_BYTES_MAX);
        buf_printf(&text, "\"},\"payload\":%s}", EVENT);
        expect_read(&b, buf_cstr(&text), "5", LOGICAL_PLAIN);
    }
    expect_read(&b, WRAPPED(SCHEMA(DAYS), EVENT), "5", LOGICAL_DAYS);
    bench_done(&b);
}

/* ---- envelope: connect ---- */

/* A column that takes the whole payload. */
static struct bench payload_bench(void)
{
    static const struct mapping_entry entry = {.column = "v", .path = "value"};
    const struct mapping_spec spec = {
        .envelope = ENVELOPE_CONNECT, .entries = &entry, .entry_count = 1};
    struct bench b = {
        .table = KIT_TABLE(kit_column("v", TYPE_TEXT)),
        .connect = connect_new(),
    };

    b.mapping = kit_mapping(b.table, &spec, 0);
    b.cells = mem_array(b.mapping->cell_count, sizeof *b.cells);
    return b;
}

static const struct cell *payload_of(struct bench *b, const char *text)
{
    if (!value_of(b, text)) {
        print_error("%s\n", b->err.text);
        fail();
    }
    return &b->cells[b->mapping->fills[0].cell];
}

static void test_a_payload_may_be_any_value(void **state)
{
    (void) state;
    struct bench b = payload_bench();
    for (int i = 0; i < 2; i++) { /* learned, then recognised */
        const struct cell *c = payload_of(&b, WRAPPED("{\"type\":\"int32\"}", "5"));
        assert_int_equal(c->kind, CELL_NUMBER);
        assert_true(str_eq_z(c->text, "5"));
        c = payload_of(&b, WRAPPED("{\"type\":\"boolean\"}", "true"));
        assert_int_equal(c->kind, CELL_BOOL);
        assert_true(c->truth);
        c = payload_of(&b, WRAPPED("{\"type\":\"boolean\"}", "false"));
        assert_int_equal(c->kind, CELL_BOOL);
        assert_false(c->truth);
        c = payload_of(&b, WRAPPED("{\"type\":\"string\"}", "\"a\\\"b\""));
        assert_int_equal(c->kind, CELL_STRING);
        assert_true(str_eq_z(c->text, "a\"b"));
        c = payload_of(&b, WRAPPED("{\"type\":\"array\"}", "[1,2]"));
        assert_true(str_eq_z(c->text, "[1,2]"));
        assert_int_equal(payload_of(&b, WRAPPED("null", "null"))->kind, CELL_NULL);
    }
    bench_done(&b);
}

static void test_a_value_must_be_wrapped(void **state)
{
    (void) state;
    struct bench b = payload_bench();
    static const char *const bare[] = {"5", "{\"v\":5}", "{\"payload\":5}", "{\"schema\":null}"};
    for (size_t i = 0; i < ARRAY_LEN(bare); i++) {
        expect_fault(&b, value_of(&b, bare[i]), "the value has no schema and payload around it");
        assert_non_null(strstr(b.err.hint, "envelope: none"));
        kit_assert_text(b.err.sqlstate, "22P02");
    }
    assert_int_equal(payload_of(&b, NULL)->kind, CELL_NULL);
    bench_done(&b);
}

static void test_a_schema_with_white_space_is_found_again(void **state)
{
    (void) state;
    struct bench b = bench_of();
    for (int i = 0; i < 3; i++) {
        expect_read(&b, "{\"schema\" : " SCHEMA(DAYS) ", \"payload\" : " EVENT "}", "5",
                    LOGICAL_DAYS);
        expect_read(&b, "{\"schema\" : " SCHEMA(STRINGS) ", \"payload\" : " EVENT "}", "5",
                    LOGICAL_PLAIN);
        expect_key(&b, "{\"schema\" : " KEY_SCHEMA ", \"payload\" : {\"id\":6}}", "6");
    }
    bench_done(&b);
}

static void test_each_place_of_a_choice_has_its_meaning(void **state)
{
    (void) state;
    static const struct mapping_value values[] = {
        {.path = "value.after.day"}, {.path = "value.after.text"}, {.path = "key.day"}};
    static const struct mapping_entry entries[] = {
        {.column = "id", .values = &values[1], .value_count = 2},
        {.column = "day", .values = values, .value_count = 3}};
    const struct mapping_spec spec = {
        .envelope = ENVELOPE_DEBEZIUM, .entries = entries, .entry_count = 2};
    struct bench b = {
        .table = KIT_TABLE(kit_column("id", TYPE_TEXT), kit_column("day", TYPE_DATE)),
        .connect = connect_new(),
    };
    b.mapping = kit_mapping(b.table, &spec, 0);
    b.cells = mem_array(b.mapping->cell_count, sizeof *b.cells);
    assert_int_equal(b.mapping->meaning_count, 2 + 2 + 3);
    size_t first = b.mapping->choices[b.mapping->fills[DAY].place.number].first_meaning;
    for (size_t i = 0; i < 3; i++) {
        struct meant v = mapping_meant(b.mapping, first + i);
        assert_ptr_equal(v.fill, &b.mapping->fills[DAY]);
        assert_int_equal(v.place.origin, i == 2 ? ORIGIN_KEY : ORIGIN_VALUE);
    }
    for (int i = 0; i < 2; i++) {
        assert_true(
            value_of(&b, WRAPPED(SCHEMA(DAYS ",{\"type\":\"string\",\"field\":\"text\"}"), EVENT)));
        assert_true(
            key_of(&b, WRAPPED("{\"type\":\"struct\",\"fields\":[" DAYS "]}", "{\"day\":1}")));
        assert_int_equal(logical_of(&b, first)->kind, LOGICAL_DAYS);
        assert_int_equal(logical_of(&b, first + 1)->kind, LOGICAL_PLAIN);
        assert_int_equal(logical_of(&b, first + 2)->kind, LOGICAL_DAYS);
    }
    bench_done(&b);
}

static void test_names_of_a_schema_are_folded_like_those_of_the_row(void **state)
{
    (void) state;
    struct bench b = {
        .table = KIT_TABLE(kit_column("id", TYPE_INT8), kit_column("day", TYPE_DATE)),
        .connect = connect_new(),
    };
    struct mapping_spec spec = spec_of();
    spec.names = NAMES_LOWER;
    b.mapping = kit_mapping(b.table, &spec, 0);
    b.cells = mem_array(b.mapping->cell_count, sizeof *b.cells);
    static const char schema[] = WRAPPED(SCHEMA("{\"type\":\"string\",\"field\":\"Date\"},"
                                                "{\"type\":\"string\",\"field\":\"Day\"}"),
                                         "{\"op\":\"c\",\"after\":{\"Day\":5}}");
    expect_read(&b, schema, "5", LOGICAL_PLAIN); /* the column would make days of it */
    expect_read(&b, schema, "5", LOGICAL_PLAIN);
    expect_read(&b,
                WRAPPED(SCHEMA("{\"type\":\"int32\",\"name\":\"io.debezium.time.Date\","
                               "\"field\":\"DAY\"}"),
                        "{\"op\":\"c\",\"after\":{\"DAY\":6}}"),
                "6", LOGICAL_DAYS);
    bench_done(&b);
}

static void test_what_a_wrapper_is(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        bool is;
    } cases[] = {
        {"{\"schema\":{\"type\":\"int32\"},\"payload\":5}", true},
        {"{\"payload\":{}, \"schema\":{\"optional\":true,\"type\":\"struct\"}}", true},
        {"{\"schema\":null,\"payload\":null}", true},
        {"{\"schema\":{\"type\":5},\"payload\":5}", false},
        {"{\"schema\":{},\"payload\":5}", false},
        {"{\"schema\":\"type\",\"payload\":5}", false},
        {"{\"schema\":null}", false},
        {"{\"payload\":5}", false},
        {"{\"schema\":null,\"payload\":5,\"more\":1}", false},
        {"{}", false},
    };
    _cleanup_buf_ struct buf plain = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (connect_is_wrapper(str_of(cases[i].text), &plain) != cases[i].is) {
            print_error("%s\n", cases[i].text);
            fail();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_payload_is_read_and_the_schema_says_what_it_is),
        cmocka_unit_test(test_what_is_not_wrapped_is_read_as_it_is),
        cmocka_unit_test(test_a_wrapper_that_connect_did_not_write),
        cmocka_unit_test(test_a_payload_that_is_null),
        cmocka_unit_test(test_what_is_not_valid),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_a_schema_is_remembered_for_its_mapping_and_part),
        cmocka_unit_test(test_more_schemas_than_are_remembered),
        cmocka_unit_test(test_a_payload_may_be_any_value),
        cmocka_unit_test(test_a_value_must_be_wrapped),
        cmocka_unit_test(test_a_schema_with_white_space_is_found_again),
        cmocka_unit_test(test_each_place_of_a_choice_has_its_meaning),
        cmocka_unit_test(test_names_of_a_schema_are_folded_like_those_of_the_row),
        cmocka_unit_test(test_what_a_wrapper_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
