/* trial.c: what becomes of records through one route, counted. */
#include "row/record/trial.h"

#include "row/kit.h"

struct bench {
    struct table *tables[2];
    struct mapping *mappings[2];
    struct chooser *chooser;
    struct record_route route;
    struct trial trial;
};

static void bench_init(struct bench *b, struct table *table, struct mapping_spec spec)
{
    *b = (struct bench){.tables = {table}};
    spec.route = "t";
    b->mappings[0] = kit_mapping(table, &spec, 0);
    b->route = (struct record_route){.mapping = b->mappings[0]};
    trial_init(&b->trial, &b->route);
}

static void bench_done(struct bench *b)
{
    trial_done(&b->trial);
    chooser_free(b->chooser);
    for (size_t i = 0; i < ARRAY_LEN(b->tables); i++) {
        mapping_free(b->mappings[i]);
        table_free(b->tables[i]);
    }
}

static void add(struct bench *b, int64_t offset, const char *key, const char *value)
{
    struct message msg = kit_message(key, value);

    msg.offset = offset;
    trial_add(&b->trial, &msg);
}

static void test_rows_and_reasons(void **state)
{
    (void) state;
    struct bench b;

    bench_init(&b, KIT_TABLE(kit_column("id", TYPE_INT2), kit_column("n", TYPE_INT2)),
               (struct mapping_spec){.format = FORMAT_JSON});
    add(&b, 1, NULL, "{\"id\": 1}");
    add(&b, 2, NULL, "{\"id\": 99999}");
    add(&b, 3, NULL, "{\"id\": 1, \"n\": 99999, \"more\": 1}");
    add(&b, 4, NULL, "{\"id\": 88888}");
    assert_int_equal(b.trial.records, 4);
    assert_int_equal(b.trial.rejected, 3);
    assert_int_equal(b.trial.table_count, 1);
    assert_int_equal(b.trial.tables[0].rows[ROW_INSERT], 1);
    assert_int_equal(b.trial.reason_count, 2);
    assert_int_equal(b.trial.reasons[0].offset, 2);
    assert_int_equal(b.trial.reasons[0].count, 2);
    kit_assert_text(b.trial.reasons[0].why.column, "id");
    assert_int_equal(b.trial.reasons[1].offset, 3);
    /* Fields of rejected records count too. */
    assert_int_equal(b.trial.tables[0].survey.rows, 4);
    assert_int_equal(b.trial.tables[0].survey.field_count, 1);
    bench_done(&b);
}

static void test_more_reasons_than_are_kept(void **state)
{
    (void) state;
    struct bench b;
    char value[32];

    bench_init(&b,
               KIT_TABLE(kit_column("c0", TYPE_INT2), kit_column("c1", TYPE_INT2),
                         kit_column("c2", TYPE_INT2), kit_column("c3", TYPE_INT2),
                         kit_column("c4", TYPE_INT2), kit_column("c5", TYPE_INT2)),
               (struct mapping_spec){.format = FORMAT_JSON});
    for (int i = 0; i <= TRIAL_REASONS; i++) {
        snprintf(value, sizeof value, "{\"c%d\": true}", i);
        add(&b, i, NULL, value);
    }
    assert_int_equal(b.trial.reason_count, TRIAL_REASONS);
    assert_int_equal(b.trial.rejected, TRIAL_REASONS + 1);
    bench_done(&b);
}

static void test_records_without_rows(void **state)
{
    (void) state;
    struct bench b;

    bench_init(&b, KIT_TABLE(kit_column("id", TYPE_INT2)),
               (struct mapping_spec){.format = FORMAT_JSON, .when = "value.id > 5"});
    add(&b, 1, NULL, "{\"id\": 1}");
    assert_int_equal(b.trial.nothing[NOTHING_WHEN], 1);
    assert_int_equal(b.trial.table_count, 0);
    bench_done(&b);

    bench_init(&b, KIT_TABLE(kit_column("id", TYPE_INT2)),
               (struct mapping_spec){
                   .format = FORMAT_JSON, .explode = "value.items", .when = "item.id > 5"});
    add(&b, 1, NULL, "{\"items\": []}");
    add(&b, 2, NULL, "{\"items\": [{\"id\": 1}]}");
    add(&b, 3, NULL, "{\"items\": [{\"id\": 7}, {\"id\": 1}, {\"id\": 8}]}");
    assert_int_equal(b.trial.nothing[NOTHING_ELEMENTS], 2);
    assert_int_equal(b.trial.tables[0].rows[ROW_INSERT], 2);
    bench_done(&b);

    bench_init(&b, KIT_TABLE(kit_column("id", TYPE_INT2)),
               (struct mapping_spec){.format = FORMAT_JSON, .explode = "value.items"});
    add(&b, 1, NULL, "{\"items\": null}");
    assert_int_equal(b.trial.nothing[NOTHING_ELEMENTS], 1);
    bench_done(&b);
}

/* Column id is the primary key. */
static struct table *keyed(void)
{
    struct table *t = KIT_TABLE(kit_column("id", TYPE_INT2));

    t->uniques = mem_array(1, sizeof *t->uniques);
    t->uniques[0] = (struct unique){
        .is_primary = true, .columns = mem_array(1, sizeof(uint32_t)), .column_count = 1};
    t->unique_count = 1;
    t->may_select = t->may_update = t->may_delete = true;
    return t;
}

static void test_change_events(void **state)
{
    (void) state;
    struct bench b;

    bench_init(&b, keyed(),
               (struct mapping_spec){
                   .format = FORMAT_JSON, .envelope = ENVELOPE_DEBEZIUM, .action = ROW_UPSERT});
    add(&b, 1, NULL, "{\"op\": \"c\", \"after\": {\"id\": 1}}");
    add(&b, 2, NULL, "{\"op\": \"d\", \"before\": {\"id\": 1}}");
    add(&b, 3, NULL, "{\"op\": \"m\"}");
    add(&b, 4, NULL, NULL);
    assert_int_equal(b.trial.tables[0].rows[ROW_UPSERT], 1);
    assert_int_equal(b.trial.nothing[NOTHING_IGNORED], 1);
    assert_int_equal(b.trial.nothing[NOTHING_EVENT], 1);
    assert_int_equal(b.trial.nothing[NOTHING_TOMBSTONE], 1);
    assert_int_equal(b.trial.values[GUESS_DEBEZIUM], 2);
    bench_done(&b);
}

static void test_tables_that_records_name(void **state)
{
    (void) state;
    static const char *const NAMES[] = {"of_a", "of_b"};
    static const struct mapping_entry key = {.column = "k", .path = "key"};
    struct bench b = {0};
    struct error err;
    struct mapping_spec spec = {.format = FORMAT_JSON, .route = "r", .named_by = "of_{value.type}"};

    b.chooser = chooser_new(&spec, &err);
    assert_non_null(b.chooser);
    spec.entries = &key;
    spec.entry_count = 1;
    for (uint32_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        b.tables[i] = KIT_TABLE(kit_column("id", TYPE_INT2), kit_column("k", TYPE_TEXT));
        b.mappings[i] = kit_mapping(b.tables[i], &spec, i);
        chooser_add(b.chooser, NAMES[i], b.mappings[i]);
    }
    b.route = (struct record_route){
        .mapping = chooser_mapping(b.chooser),
        .chooser = b.chooser,
    };
    trial_init(&b.trial, &b.route);
    add(&b, 1, "\"x\"", "{\"type\": \"b\", \"id\": 1}");
    add(&b, 2, "x", "{\"type\": \"a\", \"id\": 2, \"more\": 1}");
    add(&b, 3, "x", "{\"type\": \"c\", \"id\": 3}");
    add(&b, 4, "x", "{");
    assert_int_equal(b.trial.table_count, 2);
    assert_ptr_equal(b.trial.tables[0].target, mapping_target(b.mappings[1]));
    assert_int_equal(b.trial.tables[0].rows[ROW_INSERT], 1);
    assert_int_equal(b.trial.tables[1].rows[ROW_INSERT], 1);
    assert_int_equal(b.trial.rejected, 2);
    assert_int_equal(b.trial.keys[GUESS_KEY_QUOTED], 1);
    bench_done(&b);
}

/* A key that no column takes is nobody's business. */
static void test_keys_that_nobody_takes(void **state)
{
    (void) state;
    struct bench b;

    bench_init(&b, KIT_TABLE(kit_column("id", TYPE_INT2)),
               (struct mapping_spec){.format = FORMAT_JSON});
    add(&b, 1, "\"x\"", "{\"id\": 1}");
    assert_int_equal(b.trial.keys[GUESS_KEY_QUOTED], 0);
    assert_int_equal(b.trial.keys[GUESS_NONE], 1);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_reasons),
        cmocka_unit_test(test_more_reasons_than_are_kept),
        cmocka_unit_test(test_records_without_rows),
        cmocka_unit_test(test_change_events),
        cmocka_unit_test(test_tables_that_records_name),
        cmocka_unit_test(test_keys_that_nobody_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
