/* Records that name the schema that they were written with: what is lacking, faults, meanings. */
#include "row/record/written.h"

#include "row/schema/avro_schema.h"

#include "row/kit.h"

#define ORDER                                                                                      \
    "{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"shop\",\"fields\":[{\"name\":\"id\"," \
    "\"type\":\"int\"},{\"name\":\"day\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}}]}"

/* id 1, the second day; and with its framing. */
#define PAYLOAD "\x02\x02"
#define RECORD "\0\0\0\0\x07" PAYLOAD

struct rig {
    struct table *table;
    struct mapping *mapping;
    struct decoder *decoder;
    struct buf out;
    struct error err;
};

static const struct schema_ref seven = {.kind = SCHEMA_REF_ID, .id = 7};

static struct rig rig_of(void)
{
    struct rig r = {
        .table = KIT_TABLE(kit_column("id", TYPE_INT4), kit_column("day", TYPE_DATE),
                           kit_column("name", TYPE_TEXT), kit_column("number", TYPE_TEXT)),
        .decoder = decoder_new(),
    };
    const struct mapping_entry entries[] = {
        {.column = "name", .path = "meta.schema"},
        {.column = "number", .path = "meta.schema_id"},
    };
    const struct mapping_spec spec = {
        .format = FORMAT_AVRO,
        .entries = entries,
        .entry_count = ARRAY_LEN(entries),
    };

    r.mapping = kit_mapping(r.table, &spec, 0);
    return r;
}

static void rig_done(struct rig *r)
{
    decoder_free(r->decoder);
    mapping_free(r->mapping);
    table_free(r->table);
    buf_done(&r->out);
}

static const struct schema *order(void)
{
    const struct schema *s;
    struct error err;

    assert_true(avro_schema_read(STR_LIT(ORDER), NULL, 0, &s, &err));
    return s;
}

static void learn(struct rig *r, const struct schema_ref *ref)
{
    const struct schema *s = order();

    decoder_learn(r->decoder, ref, s, NULL);
    schema_drop(s);
}

static bool reads(struct rig *r, struct str value)
{
    struct message msg = kit_message(NULL, NULL);

    msg.value = value;
    return decoder_read(r->decoder, r->mapping, &msg, &r->err);
}

static void expect_row(struct rig *r, const char *hex)
{
    omit_mask omit;

    assert_true(decoder_settle(r->decoder, r->mapping, ROW_INSERT, &omit, &r->err));
    buf_clear(&r->out);
    assert_true(decoder_write(r->decoder, r->mapping, ROW_INSERT, omit, &r->out, &r->err));
    kit_assert_text(kit_hex(&r->out, 0), hex);
}

static void test_what_is_lacking_is_learned(void **state)
{
    (void) state;
    struct rig r = rig_of();
    for (int i = 0; i < 2; i++) {
        assert_false(reads(&r, STR_LIT(RECORD)));
        assert_int_equal(r.err.class, ERROR_AGAIN);
        assert_string_equal(r.err.text, "schema 7 is not known yet");
        assert_true(schema_ref_same(decoder_lacks(r.decoder), &seven));
        learn(&r, &seven);
        for (int k = 0; k < 2; k++) { /* the second row by what the first has found out */
            assert_true(reads(&r, STR_LIT(RECORD)));
            assert_null(decoder_lacks(r.decoder));
            /* 1, 2000-01-01 minus 10956 days, shop.Order, 7 */
            expect_row(&r, "0004"
                           "0000000400000001"
                           "00000004ffffd534"
                           "0000000a73686f702e4f72646572"
                           "0000000137");
        }
        decoder_learn(r.decoder, &seven, NULL, NULL); /* forgotten, and asked for again */
    }
    decoder_learn(r.decoder, &seven, NULL, NULL); /* nothing more to forget */
    rig_done(&r);
}

static void test_faults_of_schemas(void **state)
{
    (void) state;
    struct rig r = rig_of();
    struct error fault;
    error_set(&fault, ERROR_SETUP, "it is no schema");
    decoder_learn(r.decoder, &seven, NULL, &fault);
    assert_false(reads(&r, STR_LIT(RECORD)));
    assert_int_equal(r.err.class, ERROR_SETUP);
    assert_string_equal(r.err.text, "it is no schema");
    assert_null(decoder_lacks(r.decoder));

    struct schema *json = schema_new(SCHEMA_JSON);
    schema_add_root(json, schema_add(json, SHAPE_ANY));
    schema_seal(json);
    decoder_learn(r.decoder, &seven, json, NULL);
    schema_drop(json);
    assert_false(reads(&r, STR_LIT(RECORD)));
    assert_int_equal(r.err.class, ERROR_RECORD);
    assert_string_equal(r.err.text,
                        "the value was written with schema 7, which is of type JSON, not AVRO");
    assert_false(reads(&r, STR_LIT("{}")));
    assert_non_null(strstr(r.err.text, "they look like JSON"));
    rig_done(&r);
}

static void test_a_tombstone_has_no_schema(void **state)
{
    (void) state;
    struct rig r = rig_of();
    assert_true(reads(&r, (struct str){0}));
    expect_row(&r, "0004ffffffffffffffffffffffffffffffff");
    rig_done(&r);
}

static void expect_ref(const struct schema_ref *ref, const char *text)
{
    _cleanup_buf_ struct buf out = {0};

    written_print_ref(ref, &out);
    assert_string_equal(buf_cstr(&out), text);
}

static void test_names_of_refs(void **state)
{
    (void) state;
    const struct schema_ref guid = {
        .kind = SCHEMA_REF_GUID,
        .guid = {0x4c, 0x85, 0x53, 0xa0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
                 0xbb, 0xcc},
    };
    const struct schema_ref global = {.kind = SCHEMA_REF_GLOBAL, .id = 8};
    const struct schema_ref content = {.kind = SCHEMA_REF_CONTENT, .id = 9};
    expect_ref(&seven, "schema 7");
    expect_ref(&guid, "schema 4c8553a0-1122-3344-5566-778899aabbcc");
    expect_ref(&global, "schema globalId 8");
    expect_ref(&content, "schema contentId 9");
}

static void test_a_guid_into_a_column(void **state)
{
    (void) state;
    struct rig r = rig_of();
    struct schema_ref guid = {.kind = SCHEMA_REF_GUID};
    memset(guid.guid, 'a', sizeof guid.guid);
    learn(&r, &guid);
    assert_true(reads(&r, STR_LIT("\1aaaaaaaaaaaaaaaa" PAYLOAD)));
    expect_row(&r,
               "0004"
               "0000000400000001"
               "00000004ffffd534"
               "0000000a73686f702e4f72646572"
               "0000002436313631363136312d363136312d363136312d363136312d363136313631363136313631");
    rig_done(&r);
}

/* A value that is no record, as a whole into a jsonb and a text column. */
static void expect_whole(const char *schema, struct str value, const char *hex)
{
    static const struct mapping_entry entries[] = {
        {.column = "doc", .path = "value"},
        {.column = "plain", .path = "value"},
    };
    const struct mapping_spec spec = {
        .format = FORMAT_AVRO, .entries = entries, .entry_count = ARRAY_LEN(entries)};
    struct rig r = {
        .table = KIT_TABLE(kit_column("doc", TYPE_JSONB), kit_column("plain", TYPE_TEXT)),
        .decoder = decoder_new(),
    };
    const struct schema *s;

    r.mapping = kit_mapping(r.table, &spec, 0);
    assert_true(avro_schema_read(str_of(schema), NULL, 0, &s, &r.err));
    decoder_learn(r.decoder, &seven, s, NULL);
    schema_drop(s);
    assert_true(reads(&r, value));
    expect_row(&r, hex);
    rig_done(&r);
}

static void test_values_that_are_no_records(void **state)
{
    (void) state;
    expect_whole("\"int\"", STR_LIT("\0\0\0\0\x07\x02"),
                 "0002"
                 "000000020131"
                 "0000000131");
    expect_whole("\"string\"", STR_LIT("\0\0\0\0\x07\x04hi"),
                 "0002"
                 "000000050122686922"
                 "000000026869");
    expect_whole("\"bytes\"", STR_LIT("\0\0\0\0\x07\x04[]"),
                 "0002"
                 "00000003015b5d"
                 "000000025b5d");
    expect_whole("\"boolean\"", STR_LIT("\0\0\0\0\x07\x01"),
                 "0002"
                 "000000050174727565"
                 "0000000474727565");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_lacking_is_learned),
        cmocka_unit_test(test_faults_of_schemas),
        cmocka_unit_test(test_a_tombstone_has_no_schema),
        cmocka_unit_test(test_names_of_refs),
        cmocka_unit_test(test_a_guid_into_a_column),
        cmocka_unit_test(test_values_that_are_no_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
