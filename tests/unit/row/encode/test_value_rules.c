/* What routes decide differently: struct value_rules, and fields that no column takes. */
#include "row/kit.h"

/* Of the record that was read last, if it was wrong. */
static struct error last;

/* The fields of one record after the count of columns, or the text of the fault. */
static const char *row_of(struct table *t, const struct mapping_spec *spec,
                          const struct message *msg)
{
    static char text[1024];
    _cleanup_buf_ struct buf out = {0};
    uint64_t omit;
    struct mapping *m = kit_mapping(t, spec, 0);
    struct decoder *d = decoder_new();

    bool ok = decoder_read(d, m, msg, &last) && decoder_settle(d, m, ROW_INSERT, &omit, &last) &&
              decoder_write(d, m, ROW_INSERT, omit, &out, &last);
    snprintf(text, sizeof text, "%s", ok ? kit_hex(&out, 2) : last.text);
    decoder_free(d);
    mapping_free(m);
    table_free(t);
    return text;
}

/* A table of one column v, of that type; the value of v is the JSON. */
static const char *field(enum column_type type, int32_t typmod, struct value_rules rules,
                         const char *json)
{
    char value[256];
    struct table *t = KIT_TABLE(kit_column("v", type));

    t->columns[0].typmod = typmod;
    snprintf(value, sizeof value, "{\"v\":%s}", json);
    struct message msg = kit_message(NULL, value);
    struct mapping_spec spec = {.format = FORMAT_JSON, .rules = rules};
    return row_of(t, &spec, &msg);
}

static void test_nul(void **state)
{
    (void) state;
    static const char text[] = "\"a\\u0000b\\u00e9\"";
    struct value_rules strip = {.nul = NUL_STRIP};
    struct value_rules replace = {.nul = NUL_REPLACE};
    kit_assert_text(field(TYPE_TEXT, -1, strip, text), "00000004"
                                                       "6162c3a9");
    kit_assert_text(field(TYPE_TEXT, -1, replace, text), "00000007"
                                                         "61efbfbd62c3a9");
    kit_assert_text(field(TYPE_TEXT, -1, strip, "\"\\u0000\""), "00000000");
    /* The length is that of what is left. */
    kit_assert_text(field(TYPE_VARCHAR, 4 + 3, strip, text), "00000004"
                                                             "6162c3a9");
    kit_assert_text(field(TYPE_VARCHAR, 4 + 3, replace, text),
                    "column 'v': \"a\\x00b\xc3\xa9\" is too long for varchar: it has 4 characters");
    /* An escape in JSON, but not what only looks like one. */
    static const char json[] = "[\"a\\u0000\", \"\\\\u0000\", 1]";
    kit_assert_text(
        field(TYPE_JSONB, -1, (struct value_rules){0}, json),
        "column 'v': [\"a\\u0000\", \"\\\\u0000\", 1] contains U+0000, which jsonb cannot "
        "hold");
    kit_assert_text(field(TYPE_JSONB, -1, strip, json), "00000014"
                                                        "01"
                                                        "5b2261222c20225c5c7530303030222c20315d");
    kit_assert_text(field(TYPE_JSON, -1, replace, "\"\\u0000\""), "00000008"
                                                                  "225c756666666422");
    kit_assert_text(field(TYPE_HSTORE, -1, strip, "{\"a\\u0000\":\"\\u0000\"}"), "00000007"
                                                                                 "2261223d3e2222");
    kit_assert_text(field(TYPE_JSONB, -1, strip, "[\"\\u0000\",1e999999]"),
                    "column 'v': 1e999999 is out of range for a number in jsonb");
}

static void test_strict_numbers(void **state)
{
    (void) state;
    struct value_rules strict = {.strict_numbers = true, .unit = UNIT_S};
    kit_assert_text(field(TYPE_INT4, -1, strict, "5"), "0000000400000005");
    kit_assert_text(field(TYPE_INT4, -1, strict, "\"5\""),
                    "column 'v': \"5\" is a string, which int4 does not take with numbers: strict");
    kit_assert_text(
        field(TYPE_NUMERIC, -1, strict, "\"NaN\""),
        "column 'v': \"NaN\" is a string, which numeric does not take with numbers: strict");
    kit_assert_text(field(TYPE_TEXT, -1, strict, "5"),
                    "column 'v': 5 is a number, which text does not take with numbers: strict");
    kit_assert_text(field(TYPE_TEXT, -1, strict, "\"5\""), "0000000135");
    kit_assert_text(field(TYPE_TEXT, -1, strict, "[5]"), "000000035b355d");
    kit_assert_text(field(TYPE_DATE, -1, strict, "0"), "00000004ffffd533");
    kit_assert_text(field(TYPE_DATE, -1, strict, "\"0\""), "column 'v': \"0\" is not a valid date");
    /* A key is not JSON: its text may be a number. */
    static const struct mapping_entry key = {.column = "v", .path = "key"};
    struct mapping_spec spec = {
        .format = FORMAT_RAW, .entries = &key, .entry_count = 1, .rules = strict};
    struct message msg = kit_message("7", NULL);
    kit_assert_text(row_of(KIT_TABLE(kit_column("v", TYPE_INT2)), &spec, &msg), "000000020007");
}

static void test_numbers_are_booleans(void **state)
{
    (void) state;
    struct value_rules number = {.number_booleans = true};
    static const char yes[] = "0000000101";
    static const char no[] = "0000000100";
    static const char *const trues[] = {"1", "2", "-128", "0.5", "1e3", "1e-400", "true", "\"on\""};
    static const char *const falses[] = {"0", "-0", "0.00", "0e9", "0e999", "false", "\"f\""};
    for (size_t i = 0; i < ARRAY_LEN(trues); i++) {
        kit_assert_text(field(TYPE_BOOL, -1, number, trues[i]), yes);
    }
    for (size_t i = 0; i < ARRAY_LEN(falses); i++) {
        kit_assert_text(field(TYPE_BOOL, -1, number, falses[i]), no);
    }
    kit_assert_text(field(TYPE_BOOL, -1, number, "\"2\""), "column 'v': \"2\" is not a valid bool");
}

static void test_booleans_are_numbers(void **state)
{
    (void) state;
    struct value_rules number = {.number_booleans = true, .strict_numbers = true};
    kit_assert_text(field(TYPE_INT2, -1, number, "true"), "000000020001");
    kit_assert_text(field(TYPE_INT4, -1, number, "false"), "0000000400000000");
    kit_assert_text(field(TYPE_INT8, -1, number, "true"), "000000080000000000000001");
    kit_assert_text(field(TYPE_FLOAT4, -1, number, "true"), "000000043f800000");
    kit_assert_text(field(TYPE_FLOAT8, -1, number, "false"), "000000080000000000000000");
    kit_assert_text(field(TYPE_NUMERIC, -1, number, "true"), "0000000a00010000000000000001");
    kit_assert_text(field(TYPE_TEXT, -1, number, "true"), "0000000474727565");
    kit_assert_text(field(TYPE_JSON, -1, number, "true"), "0000000474727565");
    kit_assert_text(field(TYPE_DATE, -1, number, "true"), "column 'v': true is not a valid date");
}

static void test_strict_booleans(void **state)
{
    (void) state;
    struct value_rules none = {0};
    kit_assert_text(field(TYPE_BOOL, -1, none, "1"), "0000000101");
    kit_assert_text(field(TYPE_BOOL, -1, none, "2"), "column 'v': 2 is not a valid bool");
    assert_non_null(strstr(last.hint, "booleans: number"));
    kit_assert_text(field(TYPE_INT2, -1, none, "true"), "column 'v': true is not a valid int2");
    assert_non_null(strstr(last.hint, "booleans: number"));
    kit_assert_text(field(TYPE_NUMERIC, -1, none, "false"),
                    "column 'v': false is not a valid numeric");
    assert_non_null(strstr(last.hint, "booleans: number"));
    kit_assert_text(field(TYPE_FLOAT4, -1, none, "false"),
                    "column 'v': false is not a valid float4");
    assert_non_null(strstr(last.hint, "booleans: number"));
    kit_assert_text(field(TYPE_INT2, -1, none, "\"x\""), "column 'v': \"x\" is not a valid int2");
    assert_string_equal(last.hint, "");
}

static void test_too_long(void **state)
{
    (void) state;
    struct value_rules truncate = {.truncates = true};
    kit_assert_text(field(TYPE_VARCHAR, 4 + 2, truncate, "\"\\u00e9bc\""), "00000003"
                                                                           "c3a962");
    kit_assert_text(field(TYPE_BPCHAR, 4 + 1, truncate, "true"), "0000000174");
    kit_assert_text(field(TYPE_VARCHAR, 4 + 3, truncate, "\"abc\""), "00000003616263");
}

static void test_empty_as_null(void **state)
{
    (void) state;
    struct value_rules empty = {.empty_as_null = true};
    kit_assert_text(field(TYPE_TEXT, -1, empty, "\"\""), "ffffffff");
    kit_assert_text(field(TYPE_INT8, -1, empty, "\"\""), "ffffffff");
    kit_assert_text(field(TYPE_TEXT, -1, empty, "\" \""), "0000000120");
    kit_assert_text(field(TYPE_JSONB, -1, empty, "\"\""), "00000003012222");
    kit_assert_text(field(TYPE_TEXT, -1, empty, "[]"), "000000025b5d");
    struct table *t = KIT_TABLE(kit_column("v", TYPE_TEXT));
    t->columns[0].not_null = true;
    struct mapping_spec spec = {.format = FORMAT_JSON, .rules = empty};
    struct message msg = kit_message(NULL, "{\"v\":\"\"}");
    kit_assert_text(row_of(t, &spec, &msg),
                    "column 'v': value.v is empty and the column is NOT NULL");
    static const struct mapping_entry key = {.column = "v", .path = "key"};
    spec = (struct mapping_spec){
        .format = FORMAT_RAW, .entries = &key, .entry_count = 1, .rules = empty};
    msg = kit_message("", NULL);
    kit_assert_text(row_of(KIT_TABLE(kit_column("v", TYPE_BYTEA)), &spec, &msg), "ffffffff");
}

static void test_unit(void **state)
{
    (void) state;
    struct value_rules ms = {.unit = UNIT_MS};
    kit_assert_text(field(TYPE_DATE, -1, ms, "86400000"), "00000004ffffd534");
    kit_assert_text(field(TYPE_INT4, -1, ms, "7"), "0000000400000007");
    static const struct mapping_entry at = {.column = "v", .path = "value.v", .unit = UNIT_S};
    struct mapping_spec spec = {
        .format = FORMAT_JSON, .entries = &at, .entry_count = 1, .rules = ms};
    struct message msg = kit_message(NULL, "{\"v\":86400}");
    kit_assert_text(row_of(KIT_TABLE(kit_column("v", TYPE_DATE)), &spec, &msg), "00000004ffffd534");
}

static void test_zone(void **state)
{
    (void) state;
    struct value_rules east = {.zone_sec = 3600};
    static const char midnight[] = "0000000800000000"
                                   "00000000";
    static const char before[] = "00000008ffffffff"
                                 "296c5c00"; /* an hour */
    kit_assert_text(field(TYPE_TIMESTAMPTZ, -1, east, "\"2000-01-01T00:00:00\""), before);
    kit_assert_text(field(TYPE_TIMESTAMPTZ, -1, east, "\"2000-01-01\""), before);
    kit_assert_text(field(TYPE_TIMESTAMPTZ, -1, east, "\"2000-01-01T00:00:00Z\""), midnight);
    kit_assert_text(field(TYPE_TIMESTAMPTZ, -1, east, "\"2000-01-01T00:00:00+00\""), midnight);
    kit_assert_text(field(TYPE_TIMESTAMP, -1, east, "\"2000-01-01T00:00:00\""), midnight);
}

static void test_bytes(void **state)
{
    (void) state;
    struct value_rules base64 = {.bytes = BYTES_BASE64};
    struct value_rules hex = {.bytes = BYTES_HEX};
    struct value_rules utf8 = {.bytes = BYTES_UTF8};
    kit_assert_text(field(TYPE_BYTEA, -1, base64, "\"AP8=\""), "0000000200ff");
    kit_assert_text(field(TYPE_BYTEA, -1, base64, "\"\\\\x00\""),
                    "column 'v': \"\\x00\" is not base64");
    kit_assert_text(field(TYPE_BYTEA, -1, hex, "\"00Ff\""), "0000000200ff");
    kit_assert_text(field(TYPE_BYTEA, -1, hex, "\"\\\\x00ff\""), "0000000200ff");
    kit_assert_text(field(TYPE_BYTEA, -1, hex, "\"AP8=\""),
                    "column 'v': \"AP8=\" is not hexadecimal digits");
    kit_assert_text(field(TYPE_BYTEA, -1, utf8, "\"\\\\x\\u0000\\u00e9\""), "000000055c7800c3a9");
    kit_assert_text(field(TYPE_BYTEA, -1, utf8, "1"), "column 'v': 1 is not a valid bytea");
    kit_assert_text(field(TYPE_BYTEA, -1, (struct value_rules){0}, "\"00ff\""), "00000003d347df");
}

/* ---- fields that no column takes ---- */

static const char *rest_of(enum unknown_policy policy, enum column_type type, const char *value)
{
    static const struct mapping_entry deep = {.column = "deep", .path = "value.known.deep"};
    struct table *t = KIT_TABLE(kit_column("id", TYPE_INT2), kit_column("deep", TYPE_INT2),
                                kit_column("rest", type));
    struct mapping_spec spec = {.format = FORMAT_JSON,
                                .entries = &deep,
                                .entry_count = 1,
                                .unknown = policy,
                                .unknown_column = "rest"};
    struct message msg = kit_message(NULL, value);

    return row_of(t, &spec, &msg);
}

static void test_unknown_fields_are_collected(void **state)
{
    (void) state;
    static const char none[] = "ffffffff"
                               "ffffffff"
                               "000000027b7d";
    kit_assert_text(rest_of(UNKNOWN_COLLECT, TYPE_JSON, "{ }"), none);
    kit_assert_text(rest_of(UNKNOWN_COLLECT, TYPE_JSON, "{\"known\":{\"x\":1},\"i\\u0064\":null}"),
                    none);
    kit_assert_text(
        rest_of(UNKNOWN_COLLECT, TYPE_JSON, " {\"id\":1, \"a\" : [1, \"]\"] , \"b\":1.50}"),
        "000000020001"
        "ffffffff"
        "00000019"
        "7b226122203a205b312c20225d225d2c2262223a312e35307d");
}

static void test_unknown_fields_are_a_fault(void **state)
{
    (void) state;
    kit_assert_text(
        rest_of(UNKNOWN_FAULT, TYPE_JSON, "{\"id\":1,\"known\":{\"deep\":2,\"x\":3},\"rest\":{}}"),
        "000000020001"
        "000000020002"
        "000000027b7d");
    kit_assert_text(rest_of(UNKNOWN_FAULT, TYPE_JSON, "{\"id\":1,\"\\u00fcber\":2,\"x\":3}"),
                    "no column takes the field '\xc3\xbc"
                    "ber', and unknown_fields is error");
}

static void test_values_without_fields(void **state)
{
    (void) state;
    kit_assert_text(rest_of(UNKNOWN_COLLECT, TYPE_JSONB, NULL), "ffffffffffffffffffffffff");
    kit_assert_text(rest_of(UNKNOWN_COLLECT, TYPE_JSONB, "null"), "ffffffffffffffffffffffff");
    static const struct mapping_entry whole = {.column = "v", .path = "value"};
    struct mapping_spec spec = {
        .format = FORMAT_JSON, .entries = &whole, .entry_count = 1, .unknown = UNKNOWN_FAULT};
    struct message msg = kit_message(NULL, "[1]");
    kit_assert_text(row_of(KIT_TABLE(kit_column("v", TYPE_JSON)), &spec, &msg), "000000035b315d");
}

static void expect_refused(struct table *t, const struct mapping_spec *spec, const char *words)
{
    struct error err;

    assert_null(mapping_new(t, spec, 0, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    kit_assert_text(err.text, words);
    assert_true(*err.hint);
    table_free(t);
}

static void test_faults_of_unknown_fields(void **state)
{
    (void) state;
    struct mapping_spec spec = {
        .format = FORMAT_JSON, .unknown = UNKNOWN_COLLECT, .unknown_column = "rest"};
    expect_refused(KIT_TABLE(kit_column("id", TYPE_INT4)), &spec,
                   "unknown_fields: table \"public\".\"t\" has no column 'rest'");
    expect_refused(KIT_TABLE(kit_column("rest", TYPE_TEXT)), &spec,
                   "column 'rest': unknown_fields: it is text");
    struct table *t = KIT_TABLE(kit_column("rest", TYPE_JSONB));
    t->columns[0].generated = true;
    expect_refused(t, &spec, "column 'rest': unknown_fields: it is generated");
    static const struct mapping_entry entry = {.column = "rest", .path = "value.x"};
    spec.entries = &entry;
    spec.entry_count = 1;
    expect_refused(KIT_TABLE(kit_column("rest", TYPE_JSONB)), &spec,
                   "column 'rest': unknown_fields fills it");
    spec.format = FORMAT_RAW;
    expect_refused(KIT_TABLE(kit_column("rest", TYPE_JSONB)), &spec,
                   "unknown_fields: with format raw a value has no fields");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_strict_numbers),
        cmocka_unit_test(test_numbers_are_booleans),
        cmocka_unit_test(test_booleans_are_numbers),
        cmocka_unit_test(test_strict_booleans),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_empty_as_null),
        cmocka_unit_test(test_unit),
        cmocka_unit_test(test_zone),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_unknown_fields_are_collected),
        cmocka_unit_test(test_unknown_fields_are_a_fault),
        cmocka_unit_test(test_values_without_fields),
        cmocka_unit_test(test_faults_of_unknown_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
