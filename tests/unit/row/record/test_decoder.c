/* decoder.c, sources.c: records into rows; what is lacking; faults. */
#include "row/record/decoder.h"

#include "row/kit.h"

/* A table, a mapping and a decoder for one test. */
struct bench {
    struct table *table;
    struct mapping *mapping;
    struct decoder *decoder;
    struct buf out;
    omit_mask omit;
    struct error err;
};

static struct bench bench_of(struct table *table, enum format_id format,
                             const struct mapping_entry *entries, size_t n)
{
    struct bench b = {.table = table, .decoder = decoder_new()};
    struct mapping_spec spec = {.format = format, .entries = entries, .entry_count = n};

    b.mapping = kit_mapping(table, &spec, 0);
    return b;
}

static void bench_done(struct bench *b)
{
    decoder_free(b->decoder);
    mapping_free(b->mapping);
    table_free(b->table);
    buf_done(&b->out);
}

static bool row(struct bench *b, const struct message *msg)
{
    buf_clear(&b->out);
    return decoder_read(b->decoder, b->mapping, msg, &b->err) &&
           decoder_judge(b->decoder, &b->err) &&
           decoder_settle(b->decoder, b->mapping, ROW_INSERT, &b->omit, &b->err) &&
           decoder_write(b->decoder, b->mapping, ROW_INSERT, b->omit, &b->out, &b->err);
}

static void expect_row(struct bench *b, const struct message *msg, const char *hex)
{
    if (!row(b, msg)) {
        print_error("%s\n", b->err.text);
        fail();
    }
    kit_assert_text(kit_hex(&b->out, 0), hex);
}

static void expect_fault(struct bench *b, const struct message *msg, const char *column,
                         const char *words)
{
    if (row(b, msg)) {
        print_error("taken: %s\n", kit_hex(&b->out, 0));
        fail();
    }
    assert_int_equal(b->err.class, ERROR_RECORD);
    kit_assert_text(b->err.text, words);
    kit_assert_text(b->err.column, column);
    assert_int_equal(b->out.n, 0);
}

static void test_free_takes_null(void **state)
{
    (void) state;
    assert_null(decoder_free(NULL));
    assert_null(mapping_free(NULL));
}

static void test_fields_into_a_row(void **state)
{
    (void) state;
    static const struct mapping_entry entries[] = {{.column = "doc", .path = "value.a"},
                                                   {.column = "leaf", .path = "value.a.b"},
                                                   {.column = "again", .path = "value.id"}};
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT4), kit_column("doc", TYPE_TEXT),
                                        kit_column("leaf", TYPE_BOOL),
                                        kit_column("again", TYPE_TEXT)),
                              FORMAT_JSON, entries, ARRAY_LEN(entries));
    struct message msg = kit_message(NULL, "{\"id\":7,\"x\":[], \"a\":{\"b\" : true}}");
    expect_row(&b, &msg,
               "0004"
               "00000004"
               "00000007"
               "0000000c"
               "7b226222203a20747275657d"
               "00000001"
               "01"
               "00000001"
               "37");
    msg = kit_message(NULL, "{\"id\":null}");
    expect_row(&b, &msg,
               "0004"
               "ffffffff"
               "ffffffff"
               "ffffffff"
               "ffffffff");
    bench_done(&b);
}

static void test_one_decoder_for_many_mappings(void **state)
{
    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("a", TYPE_INT2)), FORMAT_JSON, NULL, 0);
    struct bench c = bench_of(KIT_TABLE(kit_column("a", TYPE_INT2), kit_column("b", TYPE_INT2),
                                        kit_column("_topic", TYPE_TEXT)),
                              FORMAT_JSON, NULL, 0);
    struct message msg = kit_message(NULL, "{\"b\":2,\"a\":1}");
    struct decoder *own = c.decoder;
    c.decoder = b.decoder;
    for (int i = 0; i < 3; i++) {
        expect_row(&b, &msg,
                   "0001"
                   "00000002"
                   "0001");
        expect_row(&c, &msg,
                   "0003"
                   "00000002"
                   "0001"
                   "00000002"
                   "0002"
                   "00000006"
                   "6f7264657273");
    }
    c.decoder = own;
    bench_done(&b);
    bench_done(&c);
}

static void test_the_record_itself(void **state)
{
    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("_topic", TYPE_VARCHAR), kit_column("_partition", TYPE_INT4),
                  kit_column("_offset", TYPE_TEXT), kit_column("_timestamp", TYPE_TIMESTAMPTZ),
                  kit_column("_key", TYPE_TEXT)),
        FORMAT_JSON, NULL, 0);
    struct message msg = kit_message("k1", "this is not even looked at");
    expect_row(&b, &msg,
               "0005"
               "00000006"
               "6f7264657273"
               "00000004"
               "00000003"
               "00000002"
               "3432"
               "00000008"
               "0002b58341728608"
               "00000002"
               "6b31");
    msg = kit_message(NULL, NULL);
    msg.timestamp_ms = -1;
    msg.offset = INT64_MAX;
    expect_row(&b, &msg,
               "0005"
               "00000006"
               "6f7264657273"
               "00000004"
               "00000003"
               "00000013"
               "39323233333732303336383534373735383037"
               "ffffffff"
               "ffffffff");
    bench_done(&b);
}

static void test_timestamp_as_numbers(void **state)
{
    (void) state;
    static const struct mapping_entry entries[] = {{.column = "a", .path = "meta.timestamp"},
                                                   {.column = "b", .path = "meta.timestamp"},
                                                   {.column = "c", .path = "meta.timestamp"}};
    struct bench b = bench_of(KIT_TABLE(kit_column("a", TYPE_INT8), kit_column("b", TYPE_NUMERIC),
                                        kit_column("c", TYPE_DATE)),
                              FORMAT_JSON, entries, 3);
    struct message msg = kit_message(NULL, NULL);
    msg.timestamp_ms = 86400000;
    expect_row(&b, &msg,
               "0003"
               "00000008"
               "0000000005265c00"
               "0000000a"
               "0001"
               "0001"
               "0000"
               "0000"
               "21c0"
               "00000004"
               "ffffd534");
    bench_done(&b);
}

static void test_raw(void **state)
{
    (void) state;
    struct bench b = bench_of(KIT_TABLE(kit_column("offset", TYPE_INT8),
                                        kit_column("key", TYPE_BYTEA),
                                        kit_column("value", TYPE_BYTEA)),
                              FORMAT_RAW, NULL, 0);
    struct message msg = kit_message("k", "\xff\x01");
    expect_row(&b, &msg,
               "0003"
               "00000008"
               "000000000000002a"
               "00000001"
               "6b"
               "00000002"
               "ff01");
    msg = kit_message("", NULL);
    expect_row(&b, &msg,
               "0003"
               "00000008"
               "000000000000002a"
               "00000000"
               "ffffffff");
    bench_done(&b);
}

static void test_headers(void **state)
{
    (void) state;
    static const struct mapping_entry entries[] = {{.column = "t", .path = "headers.trace"},
                                                   {.column = "n", .path = "headers.n"}};
    struct bench b = bench_of(KIT_TABLE(kit_column("_headers", TYPE_JSON),
                                        kit_column("t", TYPE_TEXT), kit_column("n", TYPE_INT2)),
                              FORMAT_JSON, entries, 2);
    const struct message_header headers[] = {
        {STR_LIT("trace"), STR_LIT("old")},       {STR_LIT("n"), STR_LIT("12")},
        {STR_LIT("trace"), STR_LIT("a\"\\\x01")}, {STR_LIT("null"), {0}},
        {STR_LIT("bin"), STR_LIT("\xff\0")},      {STR_LIT("\xc3\xa9"), STR_LIT("")}};
    struct message msg = kit_message(NULL, NULL);
    msg.headers = headers;
    msg.header_count = ARRAY_LEN(headers);
    assert_true(row(&b, &msg));
    static const char json[] =
        "{\"trace\":\"old\",\"n\":\"12\",\"trace\":\"a\\\"\\\\\\u0001\",\"null\":null,"
        "\"bin\":\"\\\\xff00\",\"\xc3\xa9\":\"\"}";
    assert_int_equal(b.out.n, 2 + 4 + sizeof json - 1 + 4 + 4 + 4 + 2);
    assert_memory_equal(b.out.p + 6, json, sizeof json - 1);
    kit_assert_text(kit_hex(&b.out, 6 + sizeof json - 1), "00000004"
                                                          "61225c01"
                                                          "00000002"
                                                          "000c");
    msg.header_count = 0;
    expect_row(&b, &msg,
               "0003"
               "00000002"
               "7b7d"
               "ffffffff"
               "ffffffff");
    const struct message_header null_header = {STR_LIT("n"), {0}};
    msg.headers = &null_header;
    msg.header_count = 1;
    assert_true(row(&b, &msg));
    const struct message_header bad = {STR_LIT("n"), STR_LIT("x")};
    msg.headers = &bad;
    expect_fault(&b, &msg, "n", "column 'n': \"x\" is not a valid int2");
    bench_done(&b);
}

static void test_the_whole_value(void **state)
{
    (void) state;
    static const struct mapping_entry entries[] = {{.column = "j", .path = "value"},
                                                   {.column = "b", .path = "value"}};
    struct bench b = bench_of(KIT_TABLE(kit_column("j", TYPE_JSON), kit_column("b", TYPE_BYTEA)),
                              FORMAT_JSON, entries, 2);
    struct message msg = kit_message(NULL, " [1, 2] ");
    expect_row(&b, &msg,
               "0002"
               "00000006"
               "5b312c20325d"
               "00000008"
               "205b312c20325d20");
    msg = kit_message(NULL, "\"a\\n\"");
    expect_row(&b, &msg,
               "0002"
               "00000005"
               "22615c6e22"
               "00000005"
               "22615c6e22");
    msg = kit_message(NULL, " true ");
    expect_row(&b, &msg,
               "0002"
               "00000004"
               "74727565"
               "00000006"
               "207472756520");
    msg = kit_message(NULL, "12");
    expect_row(&b, &msg,
               "0002"
               "00000002"
               "3132"
               "00000002"
               "3132");
    msg = kit_message(NULL, "null");
    expect_row(&b, &msg,
               "0002"
               "ffffffff"
               "ffffffff");
    msg = kit_message(NULL, NULL);
    expect_row(&b, &msg,
               "0002"
               "ffffffff"
               "ffffffff");
    msg = kit_message(NULL, "{");
    expect_fault(&b, &msg, "", "the value: not valid JSON: expected a name in quotes at byte 2");
    bench_done(&b);
}

static void test_keys_as_json(void **state)
{
    (void) state;
    static const struct mapping_entry entries[] = {{.column = "id", .path = "key.id"},
                                                   {.column = "k", .path = "key"}};
    struct bench b = bench_of(KIT_TABLE(kit_column("id", TYPE_INT2), kit_column("k", TYPE_JSONB)),
                              FORMAT_RAW, entries, 2);
    struct message msg = kit_message("{\"id\":5}", "not json");
    expect_row(&b, &msg,
               "0002"
               "00000002"
               "0005"
               "00000009"
               "017b226964223a357d");
    msg = kit_message(NULL, NULL);
    expect_row(&b, &msg,
               "0002"
               "ffffffff"
               "ffffffff");
    msg = kit_message("null", NULL);
    expect_row(&b, &msg,
               "0002"
               "ffffffff"
               "00000005"
               "016e756c6c");
    msg = kit_message("x", NULL);
    expect_fault(&b, &msg, "", "the key: not valid JSON: unexpected character at byte 1");
    msg = kit_message("3", NULL);
    expect_fault(&b, &msg, "", "the key is a number, not a JSON object");
    msg = kit_message("{\"id\":\"\\u0000\"}", NULL);
    b.table->columns[0].type = TYPE_JSONB;
    expect_fault(&b, &msg, "id", "column 'id': \"\\x00\" contains U+0000, which jsonb cannot hold");
    bench_done(&b);
}

/* Columns t text, b bytea and j jsonb of the whole key. */
static struct bench whole_keys(enum key_format_id key_format, enum mapping_envelope envelope)
{
    static const struct mapping_entry entries[] = {{.column = "t", .path = "key"},
                                                   {.column = "b", .path = "key"},
                                                   {.column = "j", .path = "key"}};
    struct bench b = {
        .table = KIT_TABLE(kit_column("t", TYPE_TEXT), kit_column("b", TYPE_BYTEA),
                           kit_column("j", TYPE_JSONB)),
        .decoder = decoder_new(),
    };
    struct mapping_spec spec = {.key_format = key_format,
                                .envelope = envelope,
                                .entries = entries,
                                .entry_count = ARRAY_LEN(entries)};

    b.mapping = kit_mapping(b.table, &spec, 0);
    return b;
}

static void test_whole_keys_as_json(void **state)
{
    (void) state;
    struct bench b = whole_keys(KEY_JSON, ENVELOPE_NONE);
    struct message msg = kit_message("\"c\"", "{}");
    expect_row(&b, &msg,
               "0003"
               "0000000163"
               "00000003226322"
               "0000000401226322");
    msg = kit_message("\xEF\xBB\xBF{}", NULL);
    expect_row(&b, &msg,
               "0003"
               "000000027b7d"
               "00000005efbbbf7b7d"
               "00000003017b7d");
    msg = kit_message("null", NULL);
    expect_row(&b, &msg,
               "0003"
               "ffffffff"
               "000000046e756c6c"
               "ffffffff");
    msg = kit_message("c", NULL);
    expect_fault(&b, &msg, "", "the key: not valid JSON: unexpected character at byte 1");
    bench_done(&b);
}

static void test_whole_keys_as_numbers(void **state)
{
    (void) state;
    static const enum mapping_envelope envelopes[] = {ENVELOPE_NONE, ENVELOPE_DEBEZIUM};
    for (size_t i = 0; i < ARRAY_LEN(envelopes); i++) {
        struct bench b = whole_keys(KEY_INT32, envelopes[i]);
        struct message msg = kit_message(NULL, "{\"op\":\"c\",\"after\":{}}");
        msg.key = (struct str){"\xff\xff\xff\xd6", 4};
        expect_row(&b, &msg,
                   "0003"
                   "000000032d3432"
                   "00000004ffffffd6"
                   "00000004012d3432");
        msg.key = (struct str){"\0", 1};
        expect_fault(&b, &msg, "", "the key has 1 byte, and key_format: int32 reads 4");
        msg.key = (struct str){0};
        expect_row(&b, &msg, "0003ffffffffffffffffffffffff");
        bench_done(&b);
    }
}

/* The columns of the key of a change event are fields of a key that has fields. */
static void test_a_key_without_fields_completes_no_delete(void **state)
{
    (void) state;
    for (int format = KEY_AUTO; format <= KEY_INT64; format++) {
        struct bench b = {.table = KIT_TABLE(kit_column("id", TYPE_INT2)),
                          .decoder = decoder_new()};
        static const char *const key[] = {"id"};
        struct unique *u = mem_zalloc(sizeof *u);
        u->columns = mem_zalloc(sizeof *u->columns);
        u->column_count = 1;
        u->is_primary = true;
        b.table->uniques = u;
        b.table->unique_count = 1;
        b.table->may_select = true;
        b.table->may_update = true;
        b.table->may_delete = true;
        struct mapping_spec spec = {.key_format = (enum key_format_id) format,
                                    .envelope = ENVELOPE_DEBEZIUM,
                                    .action = ROW_UPSERT,
                                    .deletes = DELETE_CHANGE,
                                    .key = key,
                                    .key_count = 1};
        b.mapping = kit_mapping(b.table, &spec, 0);
        struct message msg = kit_message("{\"id\":7}", "{\"op\":\"d\",\"before\":{}}");
        assert_true(decoder_read(b.decoder, b.mapping, &msg, &b.err));
        decoder_turn(b.decoder, true);
        assert_true(decoder_complete(b.decoder, b.mapping, &b.err));
        bool settles = decoder_settle(b.decoder, b.mapping, ROW_DELETE, &b.omit, &b.err);
        assert_int_equal(settles, format == KEY_AUTO || format == KEY_JSON);
        bench_done(&b);
    }
}

static void test_the_root_must_be_an_object(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "all", .path = "value"};
    struct bench b = bench_of(KIT_TABLE(kit_column("a", TYPE_INT4), kit_column("all", TYPE_TEXT)),
                              FORMAT_JSON, &entry, 1);
    static const char *const roots[][2] = {
        {"5", "a number"}, {"[1]", "an array"}, {"\"x\"", "a string"}, {"true", "a boolean"}};
    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        struct message msg = kit_message(NULL, roots[i][0]);
        char words[80];
        snprintf(words, sizeof words, "the value is %s, not a JSON object", roots[i][1]);
        expect_fault(&b, &msg, "", words);
    }
    struct message msg = kit_message(NULL, "{\"a\":1}");
    expect_row(&b, &msg,
               "0002"
               "00000004"
               "00000001"
               "00000007"
               "7b2261223a317d");
    bench_done(&b);
}

static struct table *strict_table(void)
{
    struct table *t = KIT_TABLE(kit_column("id", TYPE_INT4), kit_column("at", TYPE_TEXT),
                                kit_column("note", TYPE_TEXT));

    t->columns[0].not_null = true;
    t->columns[1].not_null = true;
    t->columns[1].has_default = true;
    return t;
}

static void test_defaults_and_not_null(void **state)
{
    (void) state;
    struct bench b = bench_of(strict_table(), FORMAT_JSON, NULL, 0);
    struct message msg = kit_message(NULL, "{\"id\":1,\"at\":\"x\",\"note\":\"y\"}");
    expect_row(&b, &msg,
               "0003"
               "00000004"
               "00000001"
               "00000001"
               "78"
               "00000001"
               "79");
    assert_int_equal(b.omit, 0);
    msg = kit_message(NULL, "{\"id\":1}");
    expect_row(&b, &msg,
               "0002"
               "00000004"
               "00000001"
               "ffffffff");
    assert_int_equal(b.omit, 1);
    msg = kit_message(NULL, "{\"id\":1,\"at\":null}");
    expect_fault(&b, &msg, "at", "column 'at': value.at is null and the column is NOT NULL");
    msg = kit_message(NULL, "{\"note\":\"y\"}");
    expect_fault(&b, &msg, "id",
                 "column 'id': field 'id' is missing and the column is NOT NULL without a default");
    msg = kit_message(NULL, "null");
    expect_fault(
        &b, &msg, "id",
        "column 'id': the value is JSON null, and the column is NOT NULL without a default");
    msg = kit_message(NULL, NULL);
    expect_fault(&b, &msg, "id",
                 "column 'id': the value is null (a tombstone), and the column is NOT NULL "
                 "without a default");
    b.table->columns[0].not_null = false;
    expect_row(&b, &msg,
               "0002"
               "ffffffff"
               "ffffffff");
    assert_int_equal(b.omit, 1);
    bench_done(&b);
}

/* Columns a, b, ... with a DEFAULT that SQL can compute. */
static struct table *many_defaults(size_t n)
{
    _cleanup_mem_ struct column *columns = mem_array(n, sizeof *columns);

    for (size_t i = 0; i < n; i++) {
        char name[3] = {(char) ('a' + i % 26), i < 26 ? '\0' : (char) ('a' + i / 26), '\0'};
        columns[i] = kit_column(name, TYPE_INT2);
        columns[i].has_default = true;
        columns[i].default_sql = mem_strdup("7");
    }
    struct table *t = kit_table(columns, n);
    t->may_stage = true;
    return t;
}

/* Sixteen sets of fields have a statement of their own. */
static void test_rows_of_many_shapes_are_mixed(void **state)
{
    (void) state;
    struct bench b = bench_of(many_defaults(10), FORMAT_JSON, NULL, 0);
    for (uint64_t mask = 1; mask <= 20; mask++) {
        _cleanup_buf_ struct buf text = {0};
        buf_add_z(&text, "{\"j\":1");
        for (unsigned int i = 0; i < 9; i++) {
            if ((mask >> i & 1) == 0) {
                buf_printf(&text, ",\"%c\":2", (int) ('a' + i));
            }
        }
        buf_add_z(&text, "}");
        struct message msg = kit_message(NULL, buf_cstr(&text));
        assert_true(row(&b, &msg));
        assert_true(b.omit == (mask <= 16 ? mask : OMIT_MIXED));
    }
    struct message msg = kit_message(NULL, "{\"a\":1,\"c\":null,\"j\":2}");
    expect_row(&b, &msg,
               "000b"
               "000000020001" /* a */
               "ffffffff"     /* b is lacking, c null, and d to i are lacking */
               "ffffffff"
               "ffffffffffffffffffffffffffffffffffffffffffffffff"
               "000000020002"
               "00000002"
               "0502"); /* a, c; j */
    msg = kit_message(NULL,
                      "{\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1}");
    assert_true(row(&b, &msg));
    assert_int_equal(b.omit, 1);
    bench_done(&b);
}

static void test_a_column_beyond_the_mask_is_omitted_by_mixed_rows(void **state)
{
    (void) state;
    struct bench b = bench_of(many_defaults(TARGET_OMIT_MAX + 2), FORMAT_JSON, NULL, 0);
    for (size_t lacking = 0; lacking < TARGET_OMIT_MAX + 2; lacking++) {
        _cleanup_buf_ struct buf text = {0};
        buf_add_z(&text, "{\"?\":1");
        for (size_t i = 0; i < b.table->column_count; i++) {
            if (i != lacking) {
                buf_printf(&text, ",\"%s\":2", b.table->columns[i].name);
            }
        }
        buf_add_z(&text, "}");
        struct message msg = kit_message(NULL, buf_cstr(&text));
        assert_true(row(&b, &msg));
        assert_true(b.omit == (lacking < 16 ? UINT64_C(1) << lacking : OMIT_MIXED));
        size_t bytes = target_there_bytes(mapping_target(b.mapping));
        uint8_t byte = b.out.p[b.out.n - bytes + lacking / 8];
        assert_true(lacking < 16 || byte == (lacking >= 128 ? 0 : 0xff ^ 1U << lacking % 8));
    }
    bench_done(&b);
}

static void test_what_the_record_lacks(void **state)
{
    (void) state;
    static const struct mapping_entry entries[] = {{.column = "h", .path = "headers.h"},
                                                   {.column = "k", .path = "key.a"},
                                                   {.column = "t", .path = "meta.timestamp"}};
    struct table *t = KIT_TABLE(kit_column("h", TYPE_TEXT), kit_column("k", TYPE_TEXT),
                                kit_column("t", TYPE_INT8));
    struct bench b = bench_of(t, FORMAT_RAW, entries, 3);
    struct message msg = kit_message(NULL, NULL);
    msg.timestamp_ms = -1;
    t->columns[0].not_null = true;
    expect_fault(
        &b, &msg, "h",
        "column 'h': the record has no headers.h, and the column is NOT NULL without a default");
    t->columns[0].not_null = false;
    t->columns[2].not_null = true;
    expect_fault(&b, &msg, "t",
                 "column 't': the record has no meta.timestamp, and the column is NOT NULL "
                 "without a default");
    t->columns[1].not_null = true;
    expect_fault(&b, &msg, "k",
                 "column 'k': the key is null, and the column is NOT NULL without a default");
    msg.key = STR_LIT("null");
    expect_fault(&b, &msg, "k",
                 "column 'k': the key is JSON null, and the column is NOT NULL without a default");
    msg.key = STR_LIT("{}");
    expect_fault(&b, &msg, "k",
                 "column 'k': field 'a' is missing and the column is NOT NULL without a default");
    bench_done(&b);
}

static void test_something_in_the_way_of_a_path(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "c", .path = "value.a.b.c"};
    struct bench b = bench_of(KIT_TABLE(kit_column("c", TYPE_TEXT)), FORMAT_JSON, &entry, 1);
    static const char *const fine[] = {
        "{}", "{\"a\":null}", "{\"a\":{}}", "{\"a\":{\"b\":null}}", "{\"a\":{\"b\":{}}}", "null"};
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        struct message msg = kit_message(NULL, fine[i]);
        expect_row(&b, &msg,
                   "0001"
                   "ffffffff");
    }
    struct message msg = kit_message(NULL, "{\"a\":\"x\"}");
    expect_fault(&b, &msg, "c",
                 "column 'c': field 'a.b.c': there is a string where an object should be");
    msg = kit_message(NULL, "{\"a\":{\"b\":[{\"c\":1}]}}");
    expect_fault(&b, &msg, "c",
                 "column 'c': field 'a.b.c': there is an array where an object should be");
    bench_done(&b);
}

static void test_a_fault_takes_back_the_row(void **state)
{
    (void) state;
    struct bench b = bench_of(
        KIT_TABLE(kit_column("a", TYPE_TEXT), kit_column("amount", TYPE_INT2)), FORMAT_JSON, NULL,
        0);
    struct message msg = kit_message(NULL, "{\"a\":\"text\",\"amount\":99999}");
    expect_fault(&b, &msg, "amount", "column 'amount': 99999 is out of range for int2");
    buf_add_z(&b.out, "before");
    assert_true(decoder_read(b.decoder, b.mapping, &msg, &b.err));
    assert_true(decoder_settle(b.decoder, b.mapping, ROW_INSERT, &b.omit, &b.err));
    assert_false(decoder_write(b.decoder, b.mapping, ROW_INSERT, b.omit, &b.out, &b.err));
    kit_assert_text(buf_cstr(&b.out), "before");
    bench_done(&b);
}

#define WRAPPER "{\"schema\":{\"type\":\"string\"},\"payload\":\"c\"}"

static void test_whole_keys_that_are_wrapped(void **state)
{
    (void) state;
    struct bench b = whole_keys(KEY_JSON, ENVELOPE_DEBEZIUM);
    struct message msg = kit_message(WRAPPER, "{\"op\":\"c\",\"after\":{}}");
    expect_fault(&b, &msg, "",
                 "the key is an object of exactly 'schema' and 'payload', as Kafka Connect writes "
                 "it, and a column takes it as it is");
    kit_assert_text(b.err.sqlstate, "22P02");
    msg.key = STR_LIT("{}");
    assert_true(row(&b, &msg));
    bench_done(&b);
    static const struct mapping_entry entry = {.column = "t", .path = "key"};
    struct mapping_spec spec = {
        .key_format = KEY_JSON, .envelope = ENVELOPE_DEBEZIUM, .entries = &entry, .entry_count = 1};
    b = (struct bench){.table = KIT_TABLE(kit_column("t", TYPE_TEXT)), .decoder = decoder_new()};
    b.mapping = kit_mapping(b.table, &spec, 0);
    msg.key = STR_LIT(WRAPPER);
    expect_row(&b, &msg, "00010000000163");
    bench_done(&b);
}

static void test_a_wrapper_without_an_envelope(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "k", .path = "key.id"};
    struct bench b = bench_of(KIT_TABLE(kit_column("k", TYPE_TEXT), kit_column("v", TYPE_TEXT)),
                              FORMAT_JSON, &entry, 1);
    struct message msg = kit_message("{}", " { \"payload\": {\"v\":1}, \"schema\": null } ");
    expect_fault(&b, &msg, "",
                 "the value is an object of exactly 'schema' and 'payload', as Kafka Connect "
                 "writes it, and no envelope is declared");
    assert_non_null(strstr(b.err.hint, "envelope: connect"));
    msg = kit_message(WRAPPER, "{\"v\":\"a\"}");
    expect_fault(&b, &msg, "",
                 "the key is an object of exactly 'schema' and 'payload', as Kafka Connect writes "
                 "it, and no envelope is declared");
    msg = kit_message("{\"id\":\"b\"}", "{\"schema\":null,\"v\":\"a\"}");
    expect_row(&b, &msg, "000200000001620000000161");
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_takes_null),
        cmocka_unit_test(test_fields_into_a_row),
        cmocka_unit_test(test_one_decoder_for_many_mappings),
        cmocka_unit_test(test_the_record_itself),
        cmocka_unit_test(test_timestamp_as_numbers),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_the_whole_value),
        cmocka_unit_test(test_keys_as_json),
        cmocka_unit_test(test_whole_keys_as_json),
        cmocka_unit_test(test_whole_keys_as_numbers),
        cmocka_unit_test(test_a_key_without_fields_completes_no_delete),
        cmocka_unit_test(test_the_root_must_be_an_object),
        cmocka_unit_test(test_defaults_and_not_null),
        cmocka_unit_test(test_rows_of_many_shapes_are_mixed),
        cmocka_unit_test(test_a_column_beyond_the_mask_is_omitted_by_mixed_rows),
        cmocka_unit_test(test_what_the_record_lacks),
        cmocka_unit_test(test_something_in_the_way_of_a_path),
        cmocka_unit_test(test_a_fault_takes_back_the_row),
        cmocka_unit_test(test_whole_keys_that_are_wrapped),
        cmocka_unit_test(test_a_wrapper_without_an_envelope),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
