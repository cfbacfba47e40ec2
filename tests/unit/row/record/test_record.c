/* What shapes rows: conditions, constants and coalesce in mappings. place.c, mapping.c, record.c.
 */
#include "row/record/record.h"

#include "row/kit.h"

struct bench {
    struct table *table;
    struct mapping *mapping;
    struct decoder *decoder;
    struct batch *batch;
    struct error err;
};

static struct mapping_spec spec_of(const struct mapping_entry *entries, size_t n, const char *when)
{
    return (struct mapping_spec){
        .format = FORMAT_JSON,
        .entries = entries,
        .entry_count = n,
        .when = when,
        .route = "t",
    };
}

static struct bench bench_of(struct table *table, struct mapping_spec spec)
{
    struct bench b = {.table = table, .decoder = decoder_new(), .batch = batch_new()};

    b.mapping = kit_mapping(table, &spec, 0);
    return b;
}

static void bench_done(struct bench *b)
{
    batch_free(b->batch);
    decoder_free(b->decoder);
    mapping_free(b->mapping);
    table_free(b->table);
}

/* The rows of one record, in a batch of its own. */
static bool rows(struct bench *b, const struct message *msg)
{
    batch_clear(b->batch);
    uint32_t span = batch_span(b->batch, b, "t", 0, 1, msg->offset);
    batch_record_begin(b->batch, span, msg->offset, msg->timestamp_ms, msg->leader_epoch);
    bool ok = record_rows(b->decoder, &(struct record_route){.mapping = b->mapping}, msg, b->batch,
                          &b->err);
    batch_record_end(b->batch);
    return ok;
}

/* The record makes rows of these bytes, all of one part; "" = none. */
static void expect_rows(struct bench *b, const char *value, const char *hex)
{
    struct message msg = kit_message("k", value);

    if (!rows(b, &msg)) {
        print_error("%s\n", b->err.text);
        fail();
    }
    if (batch_row_count(b->batch) == 0) {
        kit_assert_text("", hex);
        return;
    }
    for (size_t i = 0; i < b->batch->part_count; i++) {
        if (b->batch->parts[i].row_count > 0) {
            kit_assert_text(kit_hex(&b->batch->parts[i].bytes, 0), hex);
        }
    }
}

static void expect_fault(struct bench *b, const char *value, const char *words)
{
    struct message msg = kit_message("k", value);

    assert_false(rows(b, &msg));
    assert_int_equal(b->err.class, ERROR_RECORD);
    kit_assert_text(b->err.text, words);
    assert_int_equal(batch_row_count(b->batch), 0);
}

/* The mapping must be refused with these words, and with the fault at this part. */
static void expect_refused(struct table *t, struct mapping_spec spec, enum mapping_part part,
                           const char *words)
{
    struct error err;
    enum mapping_part got = MAPPING_TABLE;

    spec.out_part = &got;
    assert_null(mapping_new(t, &spec, 0, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    kit_assert_text(err.text, words);
    assert_int_equal(got, part);
    table_free(t);
}

static struct bench items_bench(const char *when)
{
    static const struct mapping_entry entry = {.column = "order_id", .path = "value.id"};
    struct mapping_spec spec = spec_of(&entry, 1, when);

    spec.explode = "value.items";
    return bench_of(KIT_TABLE(kit_column("order_id", TYPE_INT2), kit_column("sku", TYPE_INT2),
                              kit_column("_index", TYPE_INT2)),
                    spec);
}

/* ---- when ---- */

static void test_a_condition_takes_some_records(void **state)
{
    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT2)),
                              spec_of(NULL, 0,
                                      "value.type = 'a' and value.at.depth > 1 and key = 'k' and "
                                      "meta.offset = 42"));
    expect_rows(&b, "{\"id\": 1, \"type\": \"a\", \"at\": {\"depth\": 2}}", "0001000000020001");
    expect_rows(&b, "{\"id\": 1, \"type\": \"b\", \"at\": {\"depth\": 2}}", "");
    expect_rows(&b, "{\"id\": 1, \"type\": \"a\", \"at\": {\"depth\": 1}}", "");
    expect_rows(&b, "{\"id\": 1, \"type\": \"a\", \"at\": 5}", "");
    expect_rows(&b, "{\"id\": 1}", "");
    expect_rows(&b, NULL, "");
    bench_done(&b);
}

static void test_faults_of_records_not_taken(void **state)
{
    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT2)),
                              spec_of(NULL, 0, "value.type = 'a'"));
    expect_rows(&b, "{\"id\": \"no number\", \"type\": \"b\"}", "");
    expect_fault(&b, "{\"id\": \"no number\", \"type\": \"a\"}",
                 "column 'id': \"no number\" is not a valid int2");
    expect_fault(&b, "{\"type\": \"b\"",
                 "the value: not valid JSON: expected ',' or '}' at byte 13");
    expect_fault(&b, "[]", "the value is an array, not a JSON object");
    bench_done(&b);
}

static void expect_took(struct bench *b, const char *value, bool took)
{
    struct message msg = kit_message("k", value);

    assert_true(rows(b, &msg));
    assert_int_equal(decoder_took(b->decoder), took);
}

/* Also a record that makes no row may have been taken: its condition holds, or there is none. */
static void test_which_records_are_taken(void **state)
{
    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT2)),
                              spec_of(NULL, 0, "value.type = 'a'"));
    expect_took(&b, "{\"id\": 1, \"type\": \"a\"}", true);
    expect_took(&b, "{\"id\": 1, \"type\": \"b\"}", false);
    bench_done(&b);
    b = items_bench(NULL);
    expect_took(&b, "{\"id\": 1, \"items\": []}", true);
    bench_done(&b);
    b = items_bench("item.sku > 5");
    expect_took(&b, "{\"id\": 1, \"items\": []}", false);
    expect_took(&b, "{\"id\": 1, \"items\": [{\"sku\": 9}, {\"sku\": 1}]}", true);
    expect_took(&b, "{\"id\": 1, \"items\": [{\"sku\": 1}]}", false);
    bench_done(&b);
}

static void test_a_condition_on_the_whole_value(void **state)
{
    (void) state;
    struct mapping_entry entry = {.column = "v", .path = "value"};
    struct bench b = bench_of(KIT_TABLE(kit_column("v", TYPE_TEXT)),
                              spec_of(&entry, 1, "value in ('a', 5)"));
    expect_rows(&b, "\"a\"", "000100000003226122");
    expect_rows(&b, "5.0", "000100000003352e30");
    expect_rows(&b, "\"b\"", "");
    expect_rows(&b, "{}", "");
    expect_rows(&b, NULL, "");
    bench_done(&b);
}

static void test_a_condition_on_raw_values(void **state)
{
    (void) state;
    struct mapping_spec spec = spec_of(NULL, 0, "value = 'abc' or value is null");
    spec.format = FORMAT_RAW;
    struct bench b = bench_of(KIT_TABLE(kit_column("value", TYPE_BYTEA)), spec);
    expect_rows(&b, "abc", "000100000003616263");
    expect_rows(&b, "abd", "");
    expect_rows(&b, NULL, "0001ffffffff");
    bench_done(&b);
}

static void test_headers_of_a_condition_are_wanted(void **state)
{
    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT2)),
                              spec_of(NULL, 0, "headers.h = 'x'"));
    assert_true(mapping_wants_headers(b.mapping));
    struct message_header header = {STR_LIT("h"), STR_LIT("x")};
    struct message msg = kit_message("k", "{\"id\": 1}");
    assert_true(rows(&b, &msg));
    assert_int_equal(batch_row_count(b.batch), 0);
    msg.headers = &header;
    msg.header_count = 1;
    assert_true(rows(&b, &msg));
    assert_int_equal(batch_row_count(b.batch), 1);
    bench_done(&b);
}

static void test_conditions_that_are_refused(void **state)
{
    (void) state;
    expect_refused(KIT_TABLE(kit_column("id", TYPE_INT2)), spec_of(NULL, 0, "value.a = "),
                   MAPPING_WHEN, "when: expected a value at the end");
    struct mapping_spec spec = spec_of(NULL, 0, "value.a = 1");
    spec.format = FORMAT_RAW;
    expect_refused(KIT_TABLE(kit_column("value", TYPE_BYTEA)), spec, MAPPING_WHEN,
                   "when: with format raw a value has no fields");
}

/* ---- constants ---- */

static void test_constants_go_into_any_type(void **state)
{
    (void) state;
    static const struct mapping_value values[] = {
        {.constant = "web"}, {.constant = "5"},          {.constant = "true"},
        {.constant = "1.5"}, {.constant = "{\"a\": 1}"}, {.constant = "2000-01-02"},
    };
    static const struct mapping_entry entries[] = {
        {.column = "t", .values = &values[0], .value_count = 1},
        {.column = "n", .values = &values[1], .value_count = 1},
        {.column = "b", .values = &values[2], .value_count = 1},
        {.column = "f", .values = &values[3], .value_count = 1},
        {.column = "j", .values = &values[4], .value_count = 1},
        {.column = "d", .values = &values[5], .value_count = 1},
    };
    struct bench b = bench_of(KIT_TABLE(kit_column("t", TYPE_TEXT), kit_column("n", TYPE_INT4),
                                        kit_column("b", TYPE_BOOL), kit_column("f", TYPE_FLOAT4),
                                        kit_column("j", TYPE_JSONB), kit_column("d", TYPE_DATE)),
                              spec_of(entries, ARRAY_LEN(entries), NULL));
    static const char row[] = "0006"
                              "00000003776562"
                              "0000000400000005"
                              "0000000101"
                              "000000043fc00000"
                              "00000009017b2261223a20317d"
                              "0000000400000001";
    expect_rows(&b, "{}", row);
    expect_rows(&b, NULL, row);
    const char *source;
    const char *encoding;
    mapping_describe(b.mapping, 0, &source, &encoding);
    kit_assert_text(source, "'web'");
    bench_done(&b);
}

static void test_a_wrong_constant_is_found_at_the_start(void **state)
{
    (void) state;
    static const struct mapping_value value = {.constant = "x"};
    static const struct mapping_entry entry = {.column = "n", .values = &value, .value_count = 1};
    expect_refused(KIT_TABLE(kit_column("n", TYPE_INT4)), spec_of(&entry, 1, NULL), MAPPING_COLUMN,
                   "column 'n': constant: \"x\" is not a valid int4");
}

/* ---- coalesce ---- */

static const struct mapping_value names[] = {
    {.path = "value.nick"}, {.path = "value.a.name"}, {.constant = "none"}};

static void test_the_first_that_is_there_counts(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "n", .values = names, .value_count = 3};
    struct bench b = bench_of(KIT_TABLE(kit_column("n", TYPE_TEXT)), spec_of(&entry, 1, NULL));
    expect_rows(&b, "{\"nick\": \"a\", \"a\": {\"name\": \"b\"}}", "00010000000161");
    expect_rows(&b, "{\"nick\": null, \"a\": {\"name\": \"b\"}}", "00010000000162");
    expect_rows(&b, "{\"nick\": \"\", \"a\": {\"name\": \"b\"}}", "000100000000");
    expect_rows(&b, "{\"a\": {\"name\": 5}}", "00010000000135");
    expect_rows(&b, "{\"a\": 5}", "0001000000046e6f6e65");
    expect_rows(&b, NULL, "0001000000046e6f6e65");
    const char *source;
    const char *encoding;
    mapping_describe(b.mapping, 0, &source, &encoding);
    kit_assert_text(source, "coalesce(value.nick, value.a.name, 'none')");
    bench_done(&b);
}

static void test_when_none_is_there(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "n", .values = names, .value_count = 2};
    struct table *t = KIT_TABLE(kit_column("n", TYPE_TEXT), kit_column("id", TYPE_INT2));
    t->columns[0].has_default = true;
    t->columns[0].not_null = true;
    struct bench b = bench_of(t, spec_of(&entry, 1, NULL));
    expect_rows(&b, "{\"id\": 1, \"nick\": \"a\"}", "00020000000161000000020001");
    expect_rows(&b, "{\"id\": 1}", "0001000000020001"); /* the DEFAULT */
    expect_fault(&b, "{\"id\": 1, \"nick\": null}",
                 "column 'n': coalesce(value.nick, value.a.name) is null and the column is NOT "
                 "NULL");
    t->columns[0].has_default = false;
    bench_done(&b);
}

static void test_units_and_the_timestamp_of_the_record(void **state)
{
    (void) state;
    static const struct mapping_value values[] = {{.path = "value.at"}, {.path = "meta.timestamp"}};
    static const struct mapping_entry entry = {
        .column = "at", .values = values, .value_count = 2, .unit = UNIT_S};
    struct bench b = bench_of(KIT_TABLE(kit_column("at", TYPE_TIMESTAMPTZ)),
                              spec_of(&entry, 1, NULL));
    expect_rows(&b, "{\"at\": 946684801}", "00010000000800000000000f4240");
    expect_rows(&b, "{\"at\": \"2000-01-01T00:00:01Z\"}", "00010000000800000000000f4240");
    expect_rows(&b, "{}",
                "000100000008"
                "0002b58341728608");
    bench_done(&b);
}

static void test_values_that_are_refused(void **state)
{
    (void) state;
    static const struct mapping_value bad[] = {{.path = "value.a"}, {.path = "headers"}};
    static const struct mapping_entry entry = {.column = "n", .values = bad, .value_count = 2};
    expect_refused(KIT_TABLE(kit_column("n", TYPE_INT4)), spec_of(&entry, 1, NULL), MAPPING_COLUMN,
                   "column 'n': headers cannot go into int4");
    static const struct mapping_value meta[] = {{.path = "meta.timestamp"}};
    static const struct mapping_entry unit = {
        .column = "at", .values = meta, .value_count = 1, .unit = UNIT_S};
    expect_refused(KIT_TABLE(kit_column("at", TYPE_DATE)), spec_of(&unit, 1, NULL), MAPPING_COLUMN,
                   "column 'at': a unit is for a number that goes into a date or time, not for "
                   "meta.timestamp into date");
}

/* ---- explode ---- */

static void test_a_row_of_each_element(void **state)
{
    (void) state;
    struct bench b = items_bench(NULL);
    expect_rows(&b, "{\"id\": 7, \"items\": [{\"sku\": 1}, {\"sku\": 2, \"x\": 0}, {}]}",
                "0003"
                "000000020007"
                "000000020001"
                "000000020000"
                "0003"
                "000000020007"
                "000000020002"
                "000000020001"
                "0003"
                "000000020007"
                "ffffffff"
                "000000020002");
    assert_int_equal(batch_row_count(b.batch), 3);
    expect_rows(&b, "{\"id\": 7, \"items\": [null]}",
                "0003"
                "000000020007"
                "ffffffff"
                "000000020000");
    bench_done(&b);
}

static void test_records_without_elements(void **state)
{
    (void) state;
    struct bench b = items_bench(NULL);
    expect_rows(&b, "{\"id\": 7, \"items\": []}", "");
    expect_rows(&b, "{\"id\": 7, \"items\": null}", "");
    expect_rows(&b, "{\"id\": \"bad\"}", "");
    expect_rows(&b, NULL, "");
    bench_done(&b);
}

static void test_a_null_element_has_no_fields(void **state)
{
    (void) state;
    struct column a = kit_column("a", TYPE_TEXT);
    a.not_null = true;
    struct mapping_spec spec = spec_of(NULL, 0, NULL);
    spec.explode = "value.e";
    struct bench b = bench_of(KIT_TABLE(a), spec);
    expect_fault(&b, "{\"e\": [null]}",
                 "element 0: column 'a': the element is null, and the column is NOT NULL without a "
                 "default");
    bench_done(&b);
}

static void test_a_bad_element_takes_all_rows_back(void **state)
{
    (void) state;
    struct bench b = items_bench(NULL);
    expect_fault(&b, "{\"id\": 7, \"items\": [{\"sku\": 1}, {\"sku\": \"x\"}, {\"sku\": 2}]}",
                 "element 1: column 'sku': \"x\" is not a valid int2");
    kit_assert_text(b.err.column, "sku");
    expect_fault(&b, "{\"id\": 7, \"items\": [{\"sku\": 1}, 5]}",
                 "element 1: the element is a number, not a JSON object");
    expect_fault(&b, "{\"id\": 7, \"items\": {}}", "value.items is an object, not an array");
    expect_fault(&b, "{\"id\": 7, \"items\": 5}", "value.items is a number, not an array");
    bench_done(&b);
}

static void test_too_many_elements(void **state)
{
    (void) state;
    struct bench b = items_bench(NULL);
    _cleanup_buf_ struct buf value = {0};
    buf_add_z(&value, "{\"items\": [{}");
    for (int i = 1; i < 100000; i++) {
        buf_add_z(&value, ",{}");
    }
    buf_add_z(&value, "]}");
    struct message msg = kit_message("k", buf_cstr(&value));
    /* _index is a smallint: the fault is its, but only beyond 32767 */
    assert_false(rows(&b, &msg));
    kit_assert_text(b.err.text, "element 32768: column '_index': 32768 is out of range for int2");
    bench_done(&b);

    static const struct mapping_entry entry = {.column = "order_id", .path = "value.id"};
    struct mapping_spec spec = spec_of(&entry, 1, NULL);
    spec.explode = "value.items";
    b = bench_of(KIT_TABLE(kit_column("order_id", TYPE_INT2)), spec);
    assert_true(rows(&b, &msg));
    assert_int_equal(batch_row_count(b.batch), 100000);
    value.n -= 2;
    buf_add_z(&value, ",{}]}");
    expect_fault(&b, buf_cstr(&value), "the array has more than 100000 elements");
    bench_done(&b);
}

static void test_whole_elements(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "tag", .path = "item"};
    struct mapping_spec spec = spec_of(&entry, 1, NULL);
    spec.explode = "value.a.tags";
    struct table *t = KIT_TABLE(kit_column("tag", TYPE_TEXT), kit_column("made", TYPE_TIMESTAMPTZ));
    t->columns[1].has_default = true;
    struct bench b = bench_of(t, spec);
    expect_rows(&b, "{\"a\": {\"tags\": [\"x\", 5, null, true]}}",
                "00010000000178"
                "00010000000135"
                "0001ffffffff"
                "00010000000474727565");
    expect_rows(&b, "{\"a\": {\"tags\": [[1]]}}", "0001000000035b315d");
    expect_fault(&b, "{\"a\": 5}",
                 "field 'value.a.tags': there is a number where an object should be");
    expect_rows(&b, "{\"a\": null}", "");
    bench_done(&b);
}

static void test_the_value_itself_is_the_array(void **state)
{
    (void) state;
    struct mapping_spec spec = spec_of(NULL, 0, NULL);
    spec.explode = "value";
    struct bench b = bench_of(KIT_TABLE(kit_column("a", TYPE_INT2)), spec);
    expect_rows(&b, " [{\"a\": 1}, {\"a\": 2}] ",
                "0001000000020001"
                "0001000000020002");
    expect_rows(&b, "[]", "");
    expect_rows(&b, "null", "");
    expect_rows(&b, NULL, "");
    expect_fault(&b, "{}", "value is an object, not an array");
    bench_done(&b);
}

static void test_conditions_of_records_and_of_elements(void **state)
{
    (void) state;
    struct bench b = items_bench("value.id = 7");
    expect_rows(&b, "{\"id\": 7, \"items\": [{\"sku\": 1}]}",
                "0003000000020007000000020001000000020000");
    expect_rows(&b, "{\"id\": 8, \"items\": 5}", "");
    bench_done(&b);
    b = items_bench("value.id = 7 and item.sku > 1 or meta.index = 3");
    expect_rows(&b, "{\"id\": 7, \"items\": [{\"sku\": 1}, {\"sku\": 2}]}",
                "0003000000020007000000020002000000020001");
    expect_rows(&b, "{\"id\": 8, \"items\": [{}, {}, {\"sku\": \"bad\"}, {}]}",
                "0003000000020008ffffffff000000020003");
    bench_done(&b);
}

/* That one element is not told says nothing of the next one, nor of the next record. */
static void test_elements_that_are_not_told(void **state)
{
    (void) state;
    struct column b_ = kit_column("b", TYPE_TEXT);
    b_.not_null = true;
    struct mapping_spec spec = spec_of(NULL, 0, NULL);
    spec.explode = "value.e";
    spec.placeholder = "__gone";
    struct bench b = bench_of(KIT_TABLE(kit_column("a", TYPE_TEXT), b_), spec);
    expect_fault(
        &b, "{\"e\": [{\"a\": \"__gone\", \"b\": \"x\"}, {\"a\": \"y\"}]}",
        "element 1: column 'b': field 'b' is missing and the column is NOT NULL without a default");
    expect_fault(
        &b, "{\"e\": [{\"a\": \"y\"}]}",
        "element 0: column 'b': field 'b' is missing and the column is NOT NULL without a default");
    bench_done(&b);
}

static void test_coalesce_of_element_and_record(void **state)
{
    (void) state;
    static const struct mapping_value values[] = {{.path = "item.note"}, {.path = "value.note"}};
    static const struct mapping_entry entry = {
        .column = "note", .values = values, .value_count = 2};
    struct mapping_spec spec = spec_of(&entry, 1, NULL);
    spec.explode = "value.items";
    struct bench b = bench_of(KIT_TABLE(kit_column("note", TYPE_TEXT)), spec);
    expect_rows(&b, "{\"note\": \"v\", \"items\": [{\"note\": \"i\"}, {}, {\"note\": \"k\"}]}",
                "00010000000169"
                "00010000000176"
                "0001000000016b");
    bench_done(&b);
}

static void test_explode_that_is_refused(void **state)
{
    (void) state;
    struct mapping_spec spec = spec_of(NULL, 0, NULL);
    spec.explode = "items";
    expect_refused(KIT_TABLE(kit_column("a", TYPE_TEXT)), spec, MAPPING_EXPLODE,
                   "explode: 'items' is not a path: it does not start with value, key, headers, "
                   "item or meta");
    spec.explode = "key.items";
    expect_refused(KIT_TABLE(kit_column("a", TYPE_TEXT)), spec, MAPPING_EXPLODE,
                   "explode: the array is in the value");
    spec.explode = "value.items";
    spec.format = FORMAT_RAW;
    expect_refused(KIT_TABLE(kit_column("value", TYPE_TEXT)), spec, MAPPING_EXPLODE,
                   "explode: with format raw a value has no fields");
    spec.format = FORMAT_JSON;
    spec.deletes = DELETE_TOMBSTONE;
    expect_refused(KIT_TABLE(kit_column("a", TYPE_TEXT)), spec, MAPPING_EXPLODE,
                   "explode: a tombstone has no elements, so nothing would be deleted");
    static const struct mapping_entry entry = {.column = "a", .path = "item.x"};
    expect_refused(KIT_TABLE(kit_column("a", TYPE_TEXT)), spec_of(&entry, 1, NULL), MAPPING_COLUMN,
                   "column 'a': item.x: there are no elements");
    expect_refused(KIT_TABLE(kit_column("a", TYPE_TEXT)), spec_of(NULL, 0, "meta.index = 0"),
                   MAPPING_WHEN, "when: there are no elements");
}

/* ---- deletes ---- */

/* id int8 of the key, with a primary key, and a mark of that type. */
static struct bench marked_bench(enum column_type mark)
{
    static const struct mapping_entry entries[] = {{.column = "id", .path = "key"}};
    struct table *t = KIT_TABLE(kit_column("id", TYPE_INT8), kit_column("gone", mark));

    t->may_select = t->may_update = t->may_delete = true;
    t->uniques = mem_array(1, sizeof *t->uniques);
    t->uniques[0] = (struct unique){
        .is_primary = true, .columns = mem_array(1, sizeof(uint32_t)), .column_count = 1};
    t->unique_count = 1;
    struct mapping_spec spec = spec_of(entries, 1, NULL);
    spec.action = ROW_UPSERT;
    spec.deletes = DELETE_TOMBSTONE;
    spec.soft_delete = "gone";
    return bench_of(t, spec);
}

/* The row of key 1 and that value is of this action and has these bytes. */
static void expect_action(struct bench *b, const char *value, enum row_action action,
                          const char *hex)
{
    struct message msg = kit_message("1", value);

    assert_true(rows(b, &msg));
    for (size_t i = 0; i < b->batch->part_count; i++) {
        if (b->batch->parts[i].row_count > 0) {
            assert_int_equal(b->batch->parts[i].action, action);
            kit_assert_text(kit_hex(&b->batch->parts[i].bytes, 0), hex);
        }
    }
    assert_int_equal(batch_row_count(b->batch), 1);
}

#define ID_1 "000000080000000000000001"

static void test_a_tombstone_marks_its_row(void **state)
{
    (void) state;
    struct bench b = marked_bench(TYPE_BOOL);
    expect_action(&b, "{}", ROW_UPSERT, "0002" ID_1 "0000000100");
    expect_action(&b, NULL, ROW_SOFT_DELETE, "0002" ID_1 "0000000101");
    bench_done(&b);
    b = marked_bench(TYPE_TIMESTAMPTZ);
    expect_action(&b, "{}", ROW_UPSERT, "0002" ID_1 "ffffffff");
    expect_action(&b, NULL, ROW_SOFT_DELETE, "0002" ID_1 "000000080002b58341728608");
    bench_done(&b);
}

/* ---- expressions ---- */

static void expect_inputs(const struct mapping *m, const char *want)
{
    _cleanup_buf_ struct buf got = {0};
    const struct target *t = mapping_target(m);

    for (size_t i = 0; i < t->column_count; i++) {
        buf_printf(&got, "%s%s%s ", t->columns[i].column->name, t->columns[i].is_input ? ":" : "",
                   t->columns[i].is_input ? t->columns[i].column->wire_name : "");
    }
    kit_assert_text(buf_cstr(&got), want);
}

static struct bench sql_bench(const char *sql, struct mapping_spec spec)
{
    struct mapping_entry entry = {.column = "x", .sql = sql};

    spec.route = "t";
    spec.entries = &entry;
    spec.entry_count = 1;
    return bench_of(KIT_TABLE(kit_column("id", TYPE_INT2), kit_column("x", TYPE_TEXT)), spec);
}

static void test_what_expressions_name_is_staged(void **state)
{
    (void) state;
    struct bench b = sql_bench("lower(value->>'a')", (struct mapping_spec){0});
    expect_inputs(b.mapping, "id value:pg_catalog.jsonb ");
    expect_rows(&b, "{\"id\": 1}",
                "0002"
                "000000020001"
                "0000000a01"
                "7b226964223a20317d");
    const struct target *t = mapping_target(b.mapping);
    assert_int_equal(t->expression_count, 1);
    kit_assert_text(t->expressions[0].column->name, "x");
    kit_assert_text(t->expressions[0].sql, "lower(value->>'a')");
    const char *source;
    const char *encoding;
    mapping_describe(b.mapping, 1, &source, &encoding);
    kit_assert_text(source, "lower(value->>'a')");
    kit_assert_text(encoding, "computed by PostgreSQL");
    bench_done(&b);

    b = sql_bench("KEY || topic || \"offset\"::text||partition-headers, record.timestamp valued, "
                  "the_key, item",
                  (struct mapping_spec){0});
    expect_inputs(b.mapping,
                  "id key:pg_catalog.text headers:pg_catalog.jsonb topic:pg_catalog.text "
                  "partition:pg_catalog.int4 offset:pg_catalog.int8 "
                  "timestamp:pg_catalog.timestamptz ");
    assert_true(mapping_wants_headers(b.mapping));
    bench_done(&b);
    b = sql_bench("item->>index", (struct mapping_spec){.explode = "value.items"});
    expect_inputs(b.mapping, "id item:pg_catalog.jsonb index:pg_catalog.int4 ");
    expect_rows(&b, "{\"items\": [{\"id\": 1}]}",
                "0003"
                "000000020001"
                "0000000a01"
                "7b226964223a20317d"
                "0000000400000000");
    bench_done(&b);
}

static void test_rows_of_expressions_have_a_field(void **state)
{
    (void) state;
    struct bench b = sql_bench("now()", (struct mapping_spec){0});
    expect_inputs(b.mapping, "id partition:pg_catalog.int4 ");
    bench_done(&b);
    struct mapping_entry entry = {.column = "x", .sql = "convert_from(value, 'latin1')"};
    struct mapping_spec spec = spec_of(&entry, 1, NULL);
    spec.format = FORMAT_RAW;
    b = bench_of(KIT_TABLE(kit_column("x", TYPE_TEXT)), spec);
    expect_inputs(b.mapping, "value:pg_catalog.bytea ");
    expect_rows(&b, "ab",
                "0001"
                "000000026162");
    bench_done(&b);
}

static void test_a_column_named_like_an_input(void **state)
{
    (void) state;
    struct mapping_entry entry = {.column = "x", .sql = "value->>'y'"};
    struct mapping_spec spec = spec_of(&entry, 1, NULL);
    static const char *const version = "value";
    spec.only_if_newer = &version;
    spec.only_if_newer_count = 1;
    expect_refused(KIT_TABLE(kit_column("id", TYPE_INT2), kit_column("x", TYPE_TEXT)), spec,
                   MAPPING_TABLE,
                   "only_if_newer: nothing fills column 'value' of table "
                   "\"public\".\"t\"");
    struct bench b = bench_of(KIT_TABLE(kit_column("value", TYPE_INT2), kit_column("x", TYPE_TEXT)),
                              spec_of(&entry, 1, NULL));
    expect_inputs(b.mapping, "value value:pg_catalog.jsonb ");
    bench_done(&b);
}

/* ---- root and parse ---- */

static struct bench root_bench(const char *root, bool parses)
{
    struct mapping_spec spec = spec_of(NULL, 0, NULL);

    spec.root = root;
    spec.parses_root = parses;
    return bench_of(KIT_TABLE(kit_column("id", TYPE_INT2)), spec);
}

static void test_the_fields_of_a_root(void **state)
{
    (void) state;
    struct bench b = root_bench("value.a.data", false);
    expect_rows(&b, "{\"id\": 1, \"a\": {\"data\": {\"id\": 7}}}", "0001000000020007");
    expect_rows(&b, NULL, "");
    expect_fault(&b, "{\"id\": 1}", "there is no row: the root 'value.a.data' is missing");
    assert_non_null(strstr(b.err.hint, "when: value.a.data is not null"));
    expect_fault(&b, "{\"a\": {\"data\": null}}",
                 "there is no row: the root 'value.a.data' is null");
    expect_fault(&b, "{\"a\": 5}",
                 "field 'value.a.data': there is a number where an object should be");
    kit_assert_text(b.err.sqlstate, "22P02");
    bench_done(&b);
}

static void test_a_root_that_is_parsed(void **state)
{
    (void) state;
    struct bench b = root_bench("value.data", true);
    expect_rows(&b, "{\"data\": \"{\\\"id\\\": 7}\"}", "0001000000020007");
    expect_rows(&b, "{\"data\": {\"id\": 8}}", "0001000000020008");
    expect_rows(&b, NULL, "");
    expect_fault(&b, "{\"data\": null}", "there is no row: the root 'value.data' is null");
    expect_fault(&b, "{}", "there is no row: the root 'value.data' is missing");
    expect_fault(&b, "{\"data\": \"{\"}",
                 "the root: not valid JSON: expected a name in quotes at byte 2");
    expect_fault(&b, "{\"data\": true}", "the root is a boolean, not a JSON object");
    expect_fault(&b, "{\"data\": \"[]\"}", "the root is an array, not a JSON object");
    bench_done(&b);
}

static void test_a_string_that_is_parsed(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "v", .path = "value.v", .parses = true};
    for (int empty = 0; empty <= 1; empty++) {
        struct mapping_spec spec = spec_of(&entry, 1, "value.skip is null");
        spec.rules.empty_as_null = empty == 1;
        struct bench b = bench_of(KIT_TABLE(kit_column("v", TYPE_INT2)), spec);
        expect_rows(&b, "{\"v\": \" 5 \"}", "0001000000020005");
        expect_rows(&b, "{\"v\": 6}", "0001000000020006");
        expect_rows(&b, "{\"v\": \"null\"}", "0001ffffffff");
        expect_rows(&b, "{}", "0001ffffffff");
        expect_rows(&b, "{\"v\": \"{\", \"skip\": 1}", "");
        expect_fault(&b, "{\"v\": \"{\"}",
                     "the string: not valid JSON: expected a name in quotes at byte 2");
        if (empty == 1) {
            expect_rows(&b, "{\"v\": \"\"}", "0001ffffffff");
        } else {
            struct message msg = kit_message("k", "{\"v\": \"\"}");
            assert_false(rows(&b, &msg));
            assert_non_null(strstr(b.err.text, "the string: not valid JSON"));
        }
        bench_done(&b);
    }
}

static void test_a_bad_key_counts_only_if_the_record_is_taken(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "id", .path = "key.id"};
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT2)),
                              spec_of(&entry, 1, "value.type = 'a'"));
    expect_rows(&b, "{\"type\": \"b\"}", "");
    expect_fault(&b, "{\"type\": \"a\"}",
                 "the key: not valid JSON: unexpected character at byte 1");
    bench_done(&b);
    b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT2)), spec_of(&entry, 1, "key.id is not null"));
    struct message msg = kit_message("{\"id\": 1, }", "{}"); /* nothing is found in it */
    assert_true(rows(&b, &msg));
    assert_int_equal(batch_row_count(b.batch), 0);
    msg.key = STR_LIT("{\"id\": 1}");
    assert_true(rows(&b, &msg));
    assert_int_equal(batch_row_count(b.batch), 1);
    msg.key = STR_LIT("{\"id\": 1, }");
    assert_true(rows(&b, &msg));
    assert_int_equal(batch_row_count(b.batch), 0);
    bench_done(&b);
}

static void test_rows_of_elements_that_are_too_long(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "big", .path = "value.big"};
    struct mapping_spec spec = spec_of(&entry, 1, NULL);
    spec.explode = "value.e";
    struct bench b = bench_of(KIT_TABLE(kit_column("big", TYPE_TEXT)), spec);
    _cleanup_buf_ struct buf value = {0};
    buf_add_z(&value, "{\"big\": \"");
    buf_fill(&value, 'x', 9 << 20);
    buf_add_z(&value, "\", \"e\": [{},{},{},{},{},{},{},{},{}]}");
    expect_fault(&b, buf_cstr(&value), "the rows of its elements have more than 64 MiB");
    kit_assert_text(b.err.sqlstate, "54000");
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_condition_takes_some_records),
        cmocka_unit_test(test_faults_of_records_not_taken),
        cmocka_unit_test(test_which_records_are_taken),
        cmocka_unit_test(test_a_condition_on_the_whole_value),
        cmocka_unit_test(test_a_condition_on_raw_values),
        cmocka_unit_test(test_headers_of_a_condition_are_wanted),
        cmocka_unit_test(test_conditions_that_are_refused),
        cmocka_unit_test(test_constants_go_into_any_type),
        cmocka_unit_test(test_a_wrong_constant_is_found_at_the_start),
        cmocka_unit_test(test_the_first_that_is_there_counts),
        cmocka_unit_test(test_when_none_is_there),
        cmocka_unit_test(test_units_and_the_timestamp_of_the_record),
        cmocka_unit_test(test_values_that_are_refused),
        cmocka_unit_test(test_a_row_of_each_element),
        cmocka_unit_test(test_records_without_elements),
        cmocka_unit_test(test_a_null_element_has_no_fields),
        cmocka_unit_test(test_a_bad_element_takes_all_rows_back),
        cmocka_unit_test(test_too_many_elements),
        cmocka_unit_test(test_whole_elements),
        cmocka_unit_test(test_the_value_itself_is_the_array),
        cmocka_unit_test(test_conditions_of_records_and_of_elements),
        cmocka_unit_test(test_elements_that_are_not_told),
        cmocka_unit_test(test_coalesce_of_element_and_record),
        cmocka_unit_test(test_explode_that_is_refused),
        cmocka_unit_test(test_a_tombstone_marks_its_row),
        cmocka_unit_test(test_what_expressions_name_is_staged),
        cmocka_unit_test(test_rows_of_expressions_have_a_field),
        cmocka_unit_test(test_a_column_named_like_an_input),
        cmocka_unit_test(test_the_fields_of_a_root),
        cmocka_unit_test(test_a_root_that_is_parsed),
        cmocka_unit_test(test_a_string_that_is_parsed),
        cmocka_unit_test(test_a_bad_key_counts_only_if_the_record_is_taken),
        cmocka_unit_test(test_rows_of_elements_that_are_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
