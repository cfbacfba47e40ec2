/* chooser.c: which table a record names, and records that name none. */
#include "row/mapping/chooser.h"

#include "row/kit.h"
#include "row/record/record.h"

#define TABLES 3

struct bench {
    struct table *tables[TABLES];
    struct mapping *mappings[TABLES];
    struct chooser *chooser;
    struct decoder *decoder;
    struct batch *batch;
    struct error err;
};

static struct bench bench_of(const char *template, const char *const names[TABLES],
                             struct mapping_spec spec)
{
    struct bench b = {.decoder = decoder_new(), .batch = batch_new()};

    spec.route = "r";
    spec.named_by = template;
    b.chooser = chooser_new(&spec, &b.err);
    if (b.chooser == NULL) {
        print_error("%s\n", b.err.text);
        fail();
    }
    for (uint32_t i = 0; i < TABLES; i++) {
        b.tables[i] = KIT_TABLE(kit_column("id", TYPE_INT2));
        b.mappings[i] = mapping_new(b.tables[i], &spec, i, &b.err);
        assert_non_null(b.mappings[i]);
        chooser_add(b.chooser, names[i], b.mappings[i]);
    }
    return b;
}

static void bench_done(struct bench *b)
{
    chooser_free(b->chooser);
    for (size_t i = 0; i < TABLES; i++) {
        mapping_free(b->mappings[i]);
        table_free(b->tables[i]);
    }
    batch_free(b->batch);
    decoder_free(b->decoder);
}

static bool rows(struct bench *b, const char *key, const char *value)
{
    struct message msg = kit_message(key, value);

    batch_clear(b->batch);
    uint32_t span = batch_span(b->batch, b, "t", 0, 1, msg.offset);
    batch_record_begin(b->batch, span, msg.offset, msg.timestamp_ms, msg.leader_epoch);
    const struct record_route route = {
        .mapping = chooser_mapping(b->chooser),
        .chooser = b->chooser,
    };
    bool ok = record_rows(b->decoder, &route, &msg, b->batch, &b->err);
    batch_record_end(b->batch);
    return ok;
}

/* The record makes a row in the table of that number; -1: none, and no fault. */
static void expect(struct bench *b, const char *key, const char *value, int table)
{
    if (!rows(b, key, value)) {
        print_error("%s: %s\n", value, b->err.text);
        fail();
    }
    assert_int_equal(batch_row_count(b->batch), table >= 0 ? 1 : 0);
    for (size_t i = 0; i < b->batch->part_count; i++) {
        if (b->batch->parts[i].row_count > 0) {
            assert_int_equal(b->batch->parts[i].target->id, table);
        }
    }
}

static void expect_fault(struct bench *b, const char *value, const char *words)
{
    assert_false(rows(b, "k", value));
    assert_int_equal(b->err.class, ERROR_RECORD);
    kit_assert_text(b->err.text, words);
    assert_int_equal(batch_row_count(b->batch), 0);
}

static void test_a_field_names_the_table(void **state)
{
    (void) state;
    static const char *const names[] = {"e_order", "e_7", "e_a"};
    struct bench b = bench_of("e_{value.at.type}", names, (struct mapping_spec){0});
    expect(&b, "k", "{\"id\": 1, \"at\": {\"type\": \"order\"}}", 0);
    expect(&b, "k", "{\"id\": 1, \"at\": {\"type\": 7}}", 1);
    expect(&b, "k", "{\"id\": 1, \"at\": {\"type\": \"\\u0061\"}}", 2);
    expect_fault(&b, "{\"id\": 1, \"at\": {\"type\": \"Order\"}}",
                 "no table of this route is called 'e_Order'");
    assert_non_null(strstr(b.err.hint, "tables:"));
    expect_fault(&b, "{\"id\": 1, \"at\": {\"type\": \"\"}}",
                 "no table of this route is called 'e_'");
    expect_fault(&b, "{\"id\": 1, \"at\": {\"type\": null}}",
                 "value.at.type names the table, and it is null");
    expect_fault(&b, "{\"id\": 1, \"at\": {\"type\": [1]}}",
                 "value.at.type names the table, and it is an array");
    expect_fault(&b, "{\"id\": 1}", "value.at.type names the table, and it is missing");
    expect_fault(&b, NULL, "value.at.type names the table, and it is missing");
    expect_fault(&b, "{", "the value: not valid JSON: expected a name in quotes at byte 2");
    expect_fault(&b, "{\"id\": \"x\", \"at\": {\"type\": \"a\"}}",
                 "column 'id': \"x\" is not a valid int2");
    bench_done(&b);
}

static void test_several_parts(void **state)
{
    (void) state;
    static const char *const names[] = {"k_orders_true-3.x", "k_orders_false-3.x", "orders"};
    struct bench b = bench_of("{key}_{topic}_{value.b}-{meta.partition}.x", names,
                              (struct mapping_spec){0});
    expect(&b, "k", "{\"b\": true}", 0);
    expect(&b, "k", "{\"b\": false}", 1);
    assert_false(rows(&b, NULL, "{\"b\": false}"));
    kit_assert_text(b.err.text, "key names the table, and it is null");
    bench_done(&b);
}

static void test_a_very_long_name(void **state)
{
    (void) state;
    static const char *const names[] = {"a", "b", "c"};
    struct bench b = bench_of("{value.x}", names, (struct mapping_spec){0});
    _cleanup_buf_ struct buf value = {0};
    buf_add_z(&value, "{\"x\": \"a");
    buf_fill(&value, 'x', 100000);
    buf_add_z(&value, "\"}");
    assert_false(rows(&b, "k", buf_cstr(&value)));
    assert_non_null(strstr(b.err.text, "is called 'axxx"));
    bench_done(&b);
}

static void test_the_condition_comes_first(void **state)
{
    (void) state;
    static const char *const names[] = {"a", "b", "c"};
    struct bench b = bench_of("{value.t}", names, (struct mapping_spec){.when = "value.id > 1"});
    expect(&b, "k", "{\"id\": 1, \"t\": \"unknown\"}", -1);
    expect(&b, "k", "{\"id\": 1}", -1);
    expect(&b, "k", "{\"id\": 2, \"t\": \"b\"}", 1);
    expect_fault(&b, "{\"id\": 2, \"t\": \"x\"}", "no table of this route is called 'x'");
    bench_done(&b);
}

static void test_elements_of_a_named_table(void **state)
{
    (void) state;
    static const char *const names[] = {"a", "b", "c"};
    struct bench b = bench_of("{value.t}", names,
                              (struct mapping_spec){.explode = "value.e", .when = "item.id > 1"});
    expect(&b, "k", "{\"t\": \"c\", \"e\": [{\"id\": 1}, {\"id\": 2}]}", 2);
    expect(&b, "k", "{\"t\": \"c\", \"e\": []}", -1);
    expect_fault(&b, "{\"t\": \"x\", \"e\": []}", "no table of this route is called 'x'");
    bench_done(&b);
}

static void test_what_names_the_table_is_no_unknown_field(void **state)
{
    (void) state;
    static const char *const names[] = {"a", "b", "c"};
    struct bench b = bench_of("{value.t}", names,
                              (struct mapping_spec){.unknown = UNKNOWN_FAULT, .when = "key = 'k'"});
    expect(&b, "k", "{\"id\": 1, \"t\": \"b\"}", 1);
    expect_fault(&b, "{\"id\": 1, \"t\": \"b\", \"u\": 0}",
                 "no column takes the field 'u', and unknown_fields is error");
    bench_done(&b);
}

static void expect_refused(const char *template, struct mapping_spec spec, enum mapping_part part,
                           const char *words)
{
    struct error err;
    enum mapping_part got = MAPPING_COLUMN;

    spec.out_part = &got;
    spec.named_by = template;
    assert_null(chooser_new(&spec, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    kit_assert_text(err.text, words);
    assert_int_equal(got, part);
}

static void test_templates_that_are_refused(void **state)
{
    (void) state;
    expect_refused(
        "a{meta.x}", (struct mapping_spec){0}, MAPPING_TABLE,
        "{meta.x}: 'meta.x' is not a path: meta has topic, partition, offset, timestamp, "
        "index, schema and schema_id");
    expect_refused("a{value.x}", (struct mapping_spec){.format = FORMAT_RAW}, MAPPING_TABLE,
                   "{value.x}: with format raw a value has no fields");
    expect_refused("a{meta.index}", (struct mapping_spec){0}, MAPPING_TABLE,
                   "{meta.index}: there are no elements");
    expect_refused("a{meta.index}", (struct mapping_spec){.explode = "value.x"}, MAPPING_TABLE,
                   "{meta.index}: an element cannot name the table");
    expect_refused("a{key}", (struct mapping_spec){.when = "value.a ="}, MAPPING_WHEN,
                   "when: expected a value at the end");
}

/* Any of the tables may be the one that a record was meant for. */
static void test_what_a_rejected_record_depends_on(void **state)
{
    (void) state;
    static const char *const names[] = {"e_order", "e_7", "e_a"};
    struct bench b = bench_of("e_{value.at.type}", names, (struct mapping_spec){0});
    const struct record_route chosen = {.chooser = b.chooser};
    const struct record_route one = {.mapping = b.mappings[1]};

    record_compare(&one, b.batch);
    assert_int_equal(b.batch->compared_count, 1);
    assert_int_equal(b.batch->compared[0]->id, 1);
    record_compare(&chosen, b.batch);
    assert_int_equal(b.batch->compared_count, TABLES);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_field_names_the_table),
        cmocka_unit_test(test_several_parts),
        cmocka_unit_test(test_a_very_long_name),
        cmocka_unit_test(test_the_condition_comes_first),
        cmocka_unit_test(test_elements_of_a_named_table),
        cmocka_unit_test(test_what_names_the_table_is_no_unknown_field),
        cmocka_unit_test(test_templates_that_are_refused),
        cmocka_unit_test(test_what_a_rejected_record_depends_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
