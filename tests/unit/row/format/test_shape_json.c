/* shape_json.c: single values as JSON, with what their schema says of them. */
#include "row/format/shape_json.h"

#include "row/kit.h"

#include <math.h>

static void expect(struct buf *b, const char *want)
{
    kit_assert_text(buf_cstr(b), want);
    buf_clear(b);
}

static void test_whole_numbers(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf b = {0};
    const struct shape plain = {.kind = SHAPE_INT64};
    static const struct {
        enum shape_sense sense;
        enum time_unit unit;
        int64_t n;
        const char *want;
    } cases[] = {
        {SENSE_DATE, UNIT_DAY, 19782, "\"2024-02-29\""},
        {SENSE_DATE, UNIT_DAY, -719528, "\"+0000-01-01\""},
        {SENSE_TIME, UNIT_MS, 29700500, "\"08:15:00.5\""},
        {SENSE_TIME, UNIT_US, 1, "\"00:00:00.000001\""},
        {SENSE_TIMESTAMP, UNIT_MS, 1709210096789, "\"2024-02-29T12:34:56.789\""},
        {SENSE_TIMESTAMP, UNIT_S, 0, "\"1970-01-01T00:00:00\""},
        {SENSE_INSTANT, UNIT_NS, -1, "\"1969-12-31T23:59:59.999999999Z\""},
        {SENSE_DURATION, UNIT_US, 1500000, "\"PT1.5S\""},
        {SENSE_YEAR, UNIT_NONE, 2024, "2024"},
        {SENSE_INSTANT, UNIT_NONE, 5, "5"},
        /* Debezium's numbers for infinity; in other units, and of spans, they are what they are. */
        {SENSE_DATE, UNIT_DAY, -622191234, "\"infinity\""},
        {SENSE_DATE, UNIT_DAY, -625821272, "\"-infinity\""},
        {SENSE_TIMESTAMP, UNIT_MS, 9223372036825200, "\"infinity\""},
        {SENSE_INSTANT, UNIT_US, -9223372036832400000, "\"-infinity\""},
        {SENSE_TIMESTAMP, UNIT_US, 9223372036825200, "\"2262-04-11T23:47:16.8252\""},
        {SENSE_DURATION, UNIT_MS, 9223372036825200, "\"PT9223372036825.2S\""},
    };

    shape_json_int(&b, &plain, INT64_MIN);
    expect(&b, "-9223372036854775808");
    shape_json_int(&b, &plain, INT64_MAX);
    expect(&b, "9223372036854775807");
    shape_json_int(&b, &plain, 0);
    expect(&b, "0");
    shape_json_uint(&b, UINT64_MAX);
    expect(&b, "18446744073709551615");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct shape s = {
            .kind = SHAPE_INT64, .sense = cases[i].sense, .unit = cases[i].unit};
        shape_json_int(&b, &s, cases[i].n);
        expect(&b, cases[i].want);
    }
}

static void test_other_scalars(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf b = {0};

    shape_json_bool(&b, true);
    shape_json_bool(&b, false);
    expect(&b, "truefalse");
    shape_json_double(&b, 0.1);
    expect(&b, "0.1");
    shape_json_double(&b, (double) NAN);
    expect(&b, "\"NaN\"");
    shape_json_double(&b, -(double) INFINITY);
    expect(&b, "\"-Infinity\"");
    shape_json_float(&b, 0.1F);
    expect(&b, "0.1");
    shape_json_float(&b, (float) INFINITY);
    expect(&b, "\"Infinity\"");
    shape_json_string(&b, STR_LIT("a\n\"\\\x01"));
    expect(&b, "\"a\\n\\\"\\\\\\u0001\"");
}

static void test_bytes(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf b = {0};
    struct error err;
    const struct shape plain = {.kind = SHAPE_BYTES};
    struct shape decimal = {.kind = SHAPE_BYTES, .sense = SENSE_DECIMAL, .scale = 2};
    const struct shape uuid = {.kind = SHAPE_FIXED, .sense = SENSE_UUID, .length = 16};
    const struct shape duration = {.kind = SHAPE_FIXED, .sense = SENSE_DURATION, .length = 12};

    assert_true(shape_json_bytes(&b, &plain, STR_LIT(""), &err));
    expect(&b, "\"\"");
    assert_true(shape_json_bytes(&b, &plain, STR_LIT("\xFF\xFE"), &err));
    expect(&b, "\"//4=\"");
    assert_true(shape_json_bytes(&b, &decimal, STR_LIT("\xFF\x38"), &err));
    expect(&b, "-2.00");
    assert_true(shape_json_bytes(&b, &decimal, STR_LIT(""), &err));
    expect(&b, "0.00");
    decimal.scale = -2;
    assert_true(shape_json_bytes(&b, &decimal, STR_LIT("\x07"), &err));
    expect(&b, "700");
    decimal.scale = 16384;
    assert_false(shape_json_bytes(&b, &decimal, STR_LIT("\x07"), &err));
    assert_string_equal(err.text,
                        "a decimal of 1 bytes with the scale 16384 is out of range for numeric");
    assert_string_equal(err.sqlstate, "22003");
    assert_int_equal(b.n, 0);
    decimal.scale = -131073;
    assert_false(shape_json_bytes(&b, &decimal, STR_LIT("\x07"), &err));
    const struct str long_one = {.p = "\x01", .n = 62001};
    decimal.scale = 0;
    assert_false(shape_json_bytes(&b, &decimal, long_one, &err));
    assert_true(shape_json_bytes(
        &b, &uuid, STR_LIT("\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14\x17\x40\x00"),
        &err));
    expect(&b, "\"123e4567-e89b-12d3-a456-426614174000\"");
    assert_true(shape_json_bytes(&b, &uuid, STR_LIT("x"), &err));
    expect(&b, "\"eA==\"");
    assert_true(shape_json_bytes(&b, &duration, STR_LIT("\1\0\0\0\2\0\0\0\xB8\x0B\0\0"), &err));
    expect(&b, "\"P1M2DT3S\"");
    assert_true(shape_json_bytes(&b, &duration, STR_LIT("\1\0\0\0\xFF\xFF\xFF\xFF\1\0\0\0"), &err));
    expect(&b, "\"P1M4294967295DT0.001S\"");
    assert_true(shape_json_bytes(&b, &duration, STR_LIT("x"), &err));
    expect(&b, "\"eA==\"");
}

static void test_json_as_a_cell(void **state)
{
    (void) state;
    struct cell c = {.raw = STR_LIT("x")};

    shape_cell_json(&c, STR_LIT("[1]"));
    assert_true(cell_is_array(&c));
    assert_null(c.raw.p);
    shape_cell_json(&c, STR_LIT("{}"));
    assert_true(cell_is_object(&c));
    shape_cell_json(&c, STR_LIT("-12.50"));
    assert_true(cell_is_short(&c));
    assert_int_equal(c.number, -1250);
    assert_int_equal(c.scale, 2);
    shape_cell_json(&c, STR_LIT("1234567890123456789"));
    assert_int_equal(c.kind, CELL_NUMBER);
    assert_false(c.is_short);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_other_scalars),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_json_as_a_cell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
