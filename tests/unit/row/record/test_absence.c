/* absence.c: which columns the records of a route never have a field for, and what is said of it.
 */
#include "row/record/absence.h"

#include "row/kit.h"

struct bench {
    struct table *table;
    struct mapping *mapping;
    struct decoder *decoder;
    struct absence absence;
};

static struct bench bench_of(struct table *table, struct mapping_spec spec)
{
    struct bench b = {.table = table, .decoder = decoder_new()};

    spec.route = "t";
    b.mapping = kit_mapping(table, &spec, 0);
    absence_init(&b.absence, b.mapping);
    return b;
}

static void bench_done(struct bench *b)
{
    absence_done(&b->absence);
    decoder_free(b->decoder);
    mapping_free(b->mapping);
    table_free(b->table);
}

static bool add(struct bench *b, const char *value)
{
    struct message msg = kit_message("{\"k\": 1}", value);

    return absence_add(&b->absence, b->decoder, &msg);
}

static void add_all(struct bench *b, const char *value)
{
    for (size_t i = 1; i <= ABSENCE_RECORDS; i++) {
        assert_int_equal(add(b, value), i == ABSENCE_RECORDS);
    }
}

static void expect(const struct bench *b, const char *text, const char *hint)
{
    struct error err;

    assert_true(absence_find(&b->absence, &err));
    kit_assert_text(err.text, text);
    kit_assert_text(err.hint, hint);
    assert_int_equal(err.class, ERROR_SETUP);
}

static void expect_nothing(const struct bench *b)
{
    struct error err;

    if (absence_find(&b->absence, &err)) {
        print_error("%s\n", err.text);
        fail();
    }
}

#define CORRECT                                                                                    \
    "Correct the column's entry in columns, or write keep there if nothing is to fill it. "        \
    "`pgsinkd try` shows a record with all of its fields."

static void test_names_that_differ_in_case(void **state)
{
    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("deliveryid", TYPE_INT4), kit_column("status", TYPE_TEXT),
                  kit_column("weight_kg", TYPE_INT4), kit_column("other", TYPE_INT4)),
        (struct mapping_spec){.format = FORMAT_JSON});
    add_all(&b, "{\"deliveryId\": 1, \"status\": null, \"weightKg\": 2}");
    expect(&b,
           "none of 1,000 records has the field of column 'deliveryid'; there is 'deliveryId'; nor "
           "that of column 'weight_kg'; there is 'weightKg'",
           "Set names: lower, or columns: {deliveryid: value.deliveryId}.");
    bench_done(&b);
}

static void test_which_names(void **state)
{
    static const char *const cases[][3] = {
        {"delivery_id", "deliveryId",
         "Set names: snake_case, or columns: {delivery_id: "
         "value.deliveryId}."},
        {"deliveryId", "delivery_id", "Set columns: {deliveryId: value.delivery_id}."},
        {"delivery_id", "delivery id?", NULL},
        {"deliveryid", "delivery-id", CORRECT},
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b = bench_of(KIT_TABLE(kit_column(cases[i][0], TYPE_INT4)),
                                  (struct mapping_spec){.format = FORMAT_JSON});
        _cleanup_buf_ struct buf value = {0};
        struct error err;
        buf_printf(&value, "{\"%s\": 1}", cases[i][1]);
        add(&b, buf_cstr(&value));
        assert_int_equal(absence_find(&b.absence, &err), cases[i][2] != NULL);
        if (cases[i][2] != NULL) {
            kit_assert_text(err.hint, cases[i][2]);
        }
        bench_done(&b);
    }
}

/* The policy of the route is not named again. */
static void test_a_policy_that_does_not_help(void **state)
{
    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("deliveryid", TYPE_INT4)),
        (struct mapping_spec){.format = FORMAT_JSON, .names = NAMES_SNAKE_CASE});
    add(&b, "{\"deliveryId\": 1}");
    expect(&b, "none of 1 records has the field of column 'deliveryid'; there is 'deliveryId'",
           "Set columns: {deliveryid: value.deliveryId}.");
    bench_done(&b);
}

/* A column that nothing is like may be filled by its DEFAULT or by somebody else. */
static void test_what_is_no_mistake(void **state)
{
    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("id", TYPE_INT4), kit_column("created_at", TYPE_TIMESTAMPTZ),
                  kit_column("_offset", TYPE_INT8), kit_column("_headers", TYPE_JSONB)),
        (struct mapping_spec){.format = FORMAT_JSON});
    add_all(&b, "{\"id\": 1, \"created\": 2, \"Id\": 3}");
    expect_nothing(&b);
    bench_done(&b);
}

static void test_once_is_enough(void **state)
{
    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT4), kit_column("rare", TYPE_TEXT)),
                              (struct mapping_spec){.format = FORMAT_JSON});
    add(&b, "{\"id\": 1, \"rare\": null}");
    add(&b, "{\"id\": 2, \"Rare\": 1}");
    expect_nothing(&b);
    bench_done(&b);
}

/* An entry that leads to nothing is worth a word, whatever there is. */
static void test_entries(void **state)
{
    static const struct mapping_value some[] = {{.path = "value.no"}, {.path = "value.id"}};
    static const struct mapping_value none[] = {{.path = "value.no"}, {.path = "headers.no"}};
    static const struct mapping_value constant[] = {{.path = "value.no"}, {.constant = "x"}};
    static const struct mapping_entry entries[] = {
        {.column = "customer", .path = "value.custmer.name"},
        {.column = "kind", .path = "headers.kind"},
        {.column = "some", .values = some, .value_count = 2},
        {.column = "nobody", .values = none, .value_count = 2},
        {.column = "fixed", .values = constant, .value_count = 2},
        {.column = "doc", .path = "value.doc", .parses = true},
        {.column = "kept", .path = "keep"},
        {.column = "k", .path = "key.nothing"},
    };

    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("customer", TYPE_TEXT), kit_column("kind", TYPE_TEXT),
                  kit_column("some", TYPE_TEXT), kit_column("nobody", TYPE_TEXT),
                  kit_column("fixed", TYPE_TEXT), kit_column("doc", TYPE_JSONB),
                  kit_column("kept", TYPE_TEXT), kit_column("k", TYPE_TEXT)),
        (struct mapping_spec){.format = FORMAT_JSON,
                              .key_format = KEY_JSON,
                              .entries = entries,
                              .entry_count = ARRAY_LEN(entries)});
    add_all(&b, "{\"id\": 1, \"customer\": {\"name\": \"n\"}, \"kept\": 1}");
    struct error err;
    assert_true(absence_find(&b.absence, &err));
    assert_non_null(strstr(err.text, "of column 'customer' (value.custmer.name); there is "
                                     "'customer'; nor that of column 'kind' (headers.kind); nor "
                                     "that of column 'nobody'"));
    assert_non_null(strstr(err.text, "; nor those of 2 more"));
    kit_assert_text(err.hint, CORRECT);
    bench_done(&b);
}

/* Deletes have no row; a created one has no former row; what an update leaves out is not missing.
 */
static void test_change_events(void **state)
{
    static const struct mapping_entry entries[] = {
        {.column = "was", .path = "value.before.id"},
        {.column = "big", .path = "value.after.big"},
        {.column = "number", .path = "value.after.number"},
    };

    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("userid", TYPE_INT4),
                                        kit_column("was", TYPE_INT4), kit_column("big", TYPE_TEXT),
                                        kit_column("number", TYPE_INT4)),
                              (struct mapping_spec){.format = FORMAT_JSON,
                                                    .envelope = ENVELOPE_DEBEZIUM,
                                                    .entries = entries,
                                                    .entry_count = ARRAY_LEN(entries)});
    for (int i = 0; i < 2000; i++) {
        assert_false(add(&b, "{\"op\": \"d\", \"before\": {\"id\": 1}, \"after\": null}"));
    }
    expect_nothing(&b); /* there was none */
    add(&b, "{\"op\": \"c\", \"before\": null, \"after\": {\"userId\": 1}}");
    add(&b, "{\"op\": \"u\", \"before\": null, \"after\": {\"userId\": 1, \"big\": "
            "\"__debezium_unavailable_value\"}}");
    expect(&b,
           "none of 2 records has the field of column 'userid'; there is 'userId'; nor that of "
           "column 'number' (value.after.number)",
           "Set names: lower, or columns: {userid: value.after.userId}.");
    bench_done(&b);
}

/* Each record counts once; what its elements do not have, they do not. */
static void test_elements(void **state)
{
    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("sku", TYPE_TEXT), kit_column("qty", TYPE_INT4)),
        (struct mapping_spec){.format = FORMAT_JSON, .explode = "value.items"});
    add(&b, "{\"items\": []}");
    add_all(&b, "{\"items\": [{\"sku\": \"a\", \"QTY\": 1}, {\"sku\": \"b\"}]}");
    expect(&b, "none of 1,000 records has the field of column 'qty'; there is 'QTY'",
           "Set names: snake_case, or columns: {qty: item.QTY}.");
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_that_differ_in_case),
        cmocka_unit_test(test_which_names),
        cmocka_unit_test(test_a_policy_that_does_not_help),
        cmocka_unit_test(test_what_is_no_mistake),
        cmocka_unit_test(test_once_is_enough),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_change_events),
        cmocka_unit_test(test_elements),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
