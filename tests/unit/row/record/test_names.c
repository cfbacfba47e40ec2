/* Fields that meet columns by a policy for names, through the whole of a record. */
#include "row/kit.h"
#include "row/mapping/mapping_state.h"

/* id (the key) int2, user_id int2, rest jsonb. */
struct bench {
    struct table *table;
    struct mapping *mapping;
    struct decoder *decoder;
    struct buf out;
    struct error err;
};

static struct mapping_spec spec_of(void)
{
    static const char *const key[] = {"id"};

    return (struct mapping_spec){
        .names = NAMES_SNAKE_CASE, .action = ROW_UPSERT, .key = key, .key_count = 1};
}

static struct bench bench_of(struct mapping_spec spec)
{
    struct bench b = {
        .table = KIT_TABLE(kit_column("id", TYPE_INT2), kit_column("user_id", TYPE_INT2),
                           kit_column("rest", TYPE_JSON)),
        .decoder = decoder_new(),
    };

    b.table->uniques = mem_zalloc(sizeof *b.table->uniques);
    b.table->uniques->columns = mem_zalloc(sizeof *b.table->uniques->columns);
    b.table->uniques->column_count = 1;
    b.table->unique_count = 1;
    b.table->may_select = true;
    b.table->may_update = true;
    b.table->may_delete = true;
    b.mapping = kit_mapping(b.table, &spec, 0);
    return b;
}

static void bench_done(struct bench *b)
{
    decoder_free(b->decoder);
    mapping_free(b->mapping);
    table_free(b->table);
    buf_done(&b->out);
}

static bool write_row(struct bench *b, enum row_action action)
{
    uint64_t omit;

    buf_clear(&b->out);
    return decoder_settle(b->decoder, b->mapping, action, &omit, &b->err) &&
           decoder_write(b->decoder, b->mapping, action, omit, &b->out, &b->err);
}

static void expect_row(struct bench *b, const char *value, const char *hex)
{
    struct message msg = kit_message(NULL, value);

    if (!decoder_read(b->decoder, b->mapping, &msg, &b->err) || !write_row(b, ROW_INSERT)) {
        print_error("%s\n", b->err.text);
        fail();
    }
    kit_assert_text(kit_hex(&b->out, 2), hex);
}

static void test_a_row(void **state)
{
    (void) state;
    struct bench b = bench_of(spec_of());
    expect_row(&b, "{\"Id\":1,\"userId\":2,\"REST\":[]}",
               "000000020001"
               "000000020002"
               "000000025b5d");
    struct message msg = kit_message(NULL, "{\"id\":1,\"userId\":2,\"UserId\":3}");
    assert_false(decoder_read(b.decoder, b.mapping, &msg, &b.err));
    kit_assert_text(b.err.text, "the value: 'userId' and 'UserId' both meet column 'user_id'");
    bench_done(&b);
}

static void test_paths_and_conditions_are_exact(void **state)
{
    (void) state;
    static const struct mapping_entry entries[] = {{.column = "rest", .path = "value.user_id"}};
    struct mapping_spec spec = spec_of();
    spec.entries = entries;
    spec.entry_count = 1;
    spec.when = "value.userId = 2";
    struct bench b = bench_of(spec);
    expect_row(&b, "{\"id\":1,\"userId\":2}",
               "000000020001"
               "000000020002"
               "ffffffff");
    assert_true(decoder_takes(b.decoder, b.mapping));
    expect_row(&b, "{\"id\":1,\"user_id\":2}",
               "000000020001"
               "000000020002"
               "0000000132");
    assert_false(decoder_takes(b.decoder, b.mapping));
    bench_done(&b);
}

static void test_unknown_fields(void **state)
{
    (void) state;
    struct mapping_spec spec = spec_of();
    spec.unknown = UNKNOWN_COLLECT;
    spec.unknown_column = "rest";
    struct bench b = bench_of(spec);
    expect_row(&b, "{\"Id\":1,\"userId\":2,\"userid\":3}",
               "000000020001"
               "000000020002"
               "0000000c7b22757365726964223a337d");
    bench_done(&b);
}

static void test_elements(void **state)
{
    (void) state;
    struct mapping_spec spec = spec_of();
    spec.explode = "value.theItems";
    struct bench b = bench_of(spec);
    struct elements elements;
    struct message msg = kit_message(NULL, "{\"theItems\":[{\"Id\":1,\"userId\":2}]}");
    assert_true(decoder_read(b.decoder, b.mapping, &msg, &b.err));
    assert_true(decoder_elements(b.decoder, b.mapping, &elements, &b.err));
    assert_true(elements_next(&elements));
    assert_true(decoder_element(b.decoder, b.mapping, &elements, 0, &b.err));
    assert_true(write_row(&b, ROW_INSERT));
    kit_assert_text(kit_hex(&b.out, 2), "000000020001"
                                        "000000020002"
                                        "ffffffff");
    bench_done(&b);
}

#define TEXT_OF_DECIMAL                                                                            \
    "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\","                      \
    "\"parameters\":{\"scale\":\"0\"},\"field\":\"userId\"}"
#define SCHEMA                                                                                     \
    "{\"type\":\"struct\",\"fields\":[{\"type\":\"struct\",\"fields\":[" TEXT_OF_DECIMAL           \
    "],\"field\":\"after\"}]}"

static void test_change_events(void **state)
{
    (void) state;
    struct mapping_spec spec = spec_of();
    spec.envelope = ENVELOPE_DEBEZIUM;
    spec.deletes = DELETE_CHANGE;
    struct bench b = bench_of(spec);
    struct message msg = kit_message("{\"ID\":7}", "{\"op\":\"d\",\"before\":null}");
    assert_true(decoder_read(b.decoder, b.mapping, &msg, &b.err));
    decoder_turn(b.decoder, true);
    assert_true(decoder_complete(b.decoder, b.mapping, &b.err));
    assert_true(write_row(&b, ROW_DELETE));
    kit_assert_text(kit_hex(&b.out, 0), "0001000000020007");
    msg = kit_message(NULL, "{\"op\":\"d\",\"before\":{\"Id\":8}}");
    assert_true(decoder_read(b.decoder, b.mapping, &msg, &b.err));
    decoder_turn(b.decoder, true);
    assert_true(write_row(&b, ROW_DELETE));
    kit_assert_text(kit_hex(&b.out, 0), "0001000000020008");
    for (int i = 0; i < 2; i++) { /* the schema is learned, then recognised */
        expect_row(&b,
                   "{\"schema\":" SCHEMA
                   ",\"payload\":{\"op\":\"c\",\"after\":{\"Id\":1,\"userId\":\"BQ==\"}}}",
                   "000000020001"
                   "000000020005");
    }
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row),
        cmocka_unit_test(test_paths_and_conditions_are_exact),
        cmocka_unit_test(test_unknown_fields),
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_change_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
