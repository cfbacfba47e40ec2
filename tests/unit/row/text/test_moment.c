/* moment.c: dates and times as text. What PostgreSQL makes of the same texts is in
 * tests/integration/test_encode.py. */
#include "row/text/moment.h"

#include "row/kit.h"

static struct buf scratch;

static void expect(const char *text, int64_t days, int64_t usec, int64_t offset)
{
    struct moment m;

    if (moment_parse(str_of(text), &scratch, &m) != MOMENT_OK) {
        print_error("%s\n", text);
        fail();
    }
    assert_int_equal(m.kind, MOMENT_FINITE);
    assert_int_equal(m.days, days);
    assert_int_equal(m.usec, usec);
    assert_int_equal(m.offset_sec, offset);
}

static void test_days(void **state)
{
    (void) state;
    expect("2000-01-01", 0, 0, 0);
    expect("1970-01-01", -MOMENT_UNIX_DAYS, 0, 0);
    expect("2000-02-29", 59, 0, 0);
    expect("2000-03-01", 60, 0, 0);
    expect("2001-01-01", 366, 0, 0);
    expect("0001-01-01", -730119, 0, 0);
    expect("9999999-12-31", 3651694514, 0, 0);
}

static void test_years_with_a_sign(void **state)
{
    (void) state;
    expect("+2000-01-01", 0, 0, 0);
    expect("+99999-03-15T12:00:00Z", 35793473, USEC_PER_DAY / 2, 0);
    expect("+292278994-08-16", 106751980209, 0, 0);
    expect("+0000-12-31", -730120, 0, 0);
    expect("-0000-12-31", -730120, 0, 0);
    expect("-0001-01-01", -730850, 0, 0);
    expect("-0004-02-29", -731887, 0, 0);
    expect("-0043-03-15T12:00:00.5Z", -746117, USEC_PER_DAY / 2 + 500000, 0);
    expect("-4713-11-24", -2451545, 0, 0);
}

static void test_a_date_with_a_zone(void **state)
{
    (void) state;
    expect("2000-01-02Z", 1, 0, 0);
    expect("+2000-01-02Z", 1, 0, 0);
}

/* Every day from year 1 to year 3000 follows the one before. */
static void test_days_are_without_gaps(void **state)
{
    (void) state;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = -730119;
    char text[40];
    struct moment m;
    for (int year = 1; year <= 3000; year++) {
        bool leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
        for (int month = 1; month <= 12; month++) {
            int length = lengths[month - 1] + (month == 2 && leap ? 1 : 0);
            for (int day = 1; day <= length; day += day == 1 ? length - 1 : 1) {
                snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
                expect(text, days + day - 1, 0, 0);
            }
            snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, length + 1);
            assert_int_equal(moment_parse(str_of(text), &scratch, &m), MOMENT_FIELD);
            days += length;
        }
    }
}

#define ZEROS_50 "00000000000000000000000000000000000000000000000000"
#define ZEROS_400 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50

static void test_times_and_offsets(void **state)
{
    (void) state;
    const int64_t second = 1000000;
    expect("2000-01-01T00:00:01Z", 0, second, 0);
    expect("2000-01-01t00:00:01z", 0, second, 0);
    expect("2000-01-01 00:01", 0, 60 * second, 0);
    expect("2000-01-01T24:00:00", 0, USEC_PER_DAY, 0);
    expect("2000-01-01T23:59:60", 0, USEC_PER_DAY, 0);
    expect("2000-01-01T00:00:00.1", 0, 100000, 0);
    expect("2000-01-01T00:00:00.123456", 0, 123456, 0);
    expect("2000-01-01T00:00:00.1234564999", 0, 123456, 0);
    expect("2000-01-01T00:00:00.9999999", 0, second, 0);
    expect("2000-01-01T23:59:59.9999999", 0, USEC_PER_DAY, 0);
    expect("2000-01-01T00:00:00." ZEROS_400 "1", 0, 0, 0);
    expect("2000-01-01T00:00+01", 0, 0, 3600);
    expect("2000-01-01T00:00:00-0130", 0, 0, -5400);
    expect("2000-01-01T00:00:00+15:59:59", 0, 0, 57599);
}

static void test_infinity(void **state)
{
    (void) state;
    struct moment m;
    assert_int_equal(moment_parse(STR_LIT("Infinity"), &scratch, &m), MOMENT_OK);
    assert_int_equal(m.kind, MOMENT_INFINITY);
    assert_int_equal(moment_parse(STR_LIT("-infinity"), &scratch, &m), MOMENT_OK);
    assert_int_equal(m.kind, MOMENT_MINUS_INFINITY);
    assert_int_equal(moment_parse(STR_LIT("infinityx"), &scratch, &m), MOMENT_SYNTAX);
}

/* ISO 8601 without separators, days of the year and of the week, and a comma. */
static void test_other_forms_of_iso_8601(void **state)
{
    (void) state;
    const int64_t hour = INT64_C(3600000000);
    expect("20000101", 0, 0, 0);
    expect("20000102T080000Z", 1, 8 * hour, 0);
    expect("20000102t0800", 1, 8 * hour, 0);
    expect("20000102T080000.5-0130", 1, 8 * hour + 500000, -5400);
    expect("20000102 080000,25+01", 1, 8 * hour + 250000, 3600);
    expect("20000102T240000Z", 1, USEC_PER_DAY, 0);
    expect("20000102Z", 1, 0, 0);
    expect("20000102T08:00:00Z", 1, 8 * hour, 0);
    expect("2000-01-02T080000Z", 1, 8 * hour, 0);
    expect("2000-01-01z", 0, 0, 0);
    expect("2000-01-01T08:00:00,123456Z", 0, 8 * hour + 123456, 0);
    expect("2000-01-01T08:00:00,1234567Z", 0, 8 * hour + 123457, 0);
    expect("2000-01-01T08:00:00," ZEROS_50 "1", 0, 8 * hour, 0);
    expect("2000-001", 0, 0, 0);
    expect("2000-366T08:00Z", 365, 8 * hour, 0);
    expect("2026-031", 9527, 0, 0);
    expect("2026-W05-6", 9527, 0, 0);
    expect("2026W056T080000Z", 9527, 8 * hour, 0);
    expect("2004-W53-6", 1827, 0, 0); /* 2005-01-01 */
    expect("2005-W01-1", 1829, 0, 0); /* 2005-01-03 */
    expect("0001-W01-1", -730119, 0, 0);
}

static void test_zones_that_are_written_out(void **state)
{
    (void) state;
    const int64_t hour = INT64_C(3600000000);
    expect("2000-01-01 08:00:00 +0000", 0, 8 * hour, 0);
    expect("2000-01-01 08:00:00 +0100", 0, 8 * hour, 3600);
    expect("2000-01-01 08:00:00 Z", 0, 8 * hour, 0);
    expect("2000-01-01 08:00:00 UTC", 0, 8 * hour, 0);
    expect("2000-01-01 08:00 gmt", 0, 8 * hour, 0);
    expect("2000-01-01T08:00:00UTC", 0, 8 * hour, 0);
    expect("2000-01-01 08:00:00.5 +0000 UTC", 0, 8 * hour + 500000, 0);
    expect("2000-01-01T08:00:00-00:00", 0, 8 * hour, 0);
    expect("2000-01-01T08:00+01:00[Europe/Berlin]", 0, 8 * hour, 3600);
    expect("2000-01-01T08:00:00.25Z[UTC]", 0, 8 * hour + 250000, 0);
    expect("2000-01-01T08:00:00Z[Etc/GMT+1][u-ca=iso8601]", 0, 8 * hour, 0);
    expect("2000-01-01T08:00:00+01:00[+01:00]", 0, 8 * hour, 3600);
    expect("2000-01-01Z[UTC]", 0, 0, 0);
}

static void test_a_name_is_no_offset(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "2000-01-01T08:00:00[Europe/Berlin]",
        "2000-01-01T08:00[UTC][u-ca=iso8601]",
        "20000101T080000[Europe/Berlin]",
        "2000-01-01[Europe/Berlin]",
    };
    struct moment m;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(moment_parse(str_of(texts[i]), &scratch, &m), MOMENT_ZONE);
    }
    assert_int_equal(moment_parse_time(STR_LIT("08:00[UTC]"), &scratch, &m), MOMENT_ZONE);
}

static void test_refused(void **state)
{
    (void) state;
    static const char *const syntax[] = {
        "",
        "2000",
        "2000-1-01",
        "2000-01-1",
        "200-01-01",
        "12345678-01-01",
        "2000-01-01x",
        "2000-01-01T",
        "2000-01-01T1",
        "2000-01-01T10",
        "2000-01-01T10:",
        "2000-01-01T10:1",
        "2000-01-01T10:11:",
        "2000-01-01T10:11:1",
        "2000-01-01T10:11:12.",
        "2000-01-01T10:11:12.x",
        "2000-01-01T10:11.5",
        "2000-01-01T10:11:12+",
        "2000-01-01T10:11:12+1",
        "2000-01-01T10:11:12+01:",
        "2000-01-01T10:11:12+01:3",
        "2000-01-01T10:11:12+013",
        "2000-01-01T10:11:12+01:30:",
        "2000-01-01T10:11:12Zx",
        "2000-01-01T10:11:12+01x",
        "2000-01-01T10:11:12x",
        "2000/01/01",
        "--2000-01-01",
        "-200-01-01",
        "+1234567890-01-01",
        " 2000-01-01",
        "2000-01-0:",
        "2000-01-01  10:11",
        "2000-01-01T10:11:12,",
        "2000-01-01T10:11:12 ",
        "2000-01-01T10:11:12  +00",
        "2000-01-01T10:11:12 CET",
        "2000-01-01T10:11:12 UTC+1",
        "2000-01-01T10:11:12 UT",
        "2000-01-01T10:11:12+01:00 UTC",
        "2000-01-01T10:11:12+00:00 CET",
        "2000-01-01T10:11:12Z[",
        "2000-01-01T10:11:12Z[]",
        "2000-01-01T10:11:12Z[UTC",
        "2000-01-01T10:11:12Z[UTC]x",
        "2000-01-01T10:11:12Z[!Europe/Berlin]",
        "2000-01-01T10:11:12Z[a b]",
        "2000-01-01T10:11:12[UTC",
        "20000101T10",
        "20000101T1011122",
        "20000101101112",
        "200001010",
        "2000010",
        "2000-01",
        "2000-0001",
        "2000-W01",
        "2000-W1-1",
        "2000-W01-11",
        "2000W01-1",
        "2000-W011",
    };
    static const char *const field[] = {
        "0000-01-01",
        "-10000-01-01",
        "2000-00-01",
        "2000-13-01",
        "2000-01-00",
        "2001-02-29",
        "2000-01-01T25:00",
        "2000-01-01T10:60",
        "2000-01-01T10:11:61",
        "2000-01-01T24:00:01",
        "2000-01-01T23:59:60.000001",
        "2000-01-01T00:00:00+16",
        "2000-01-01T00:00:00+01:60",
        "2000-01-01T00:00:00+01:00:60",
        "20001301",
        "00000101",
        "20000101T2500",
        "20000101T101161",
        "2000-000",
        "2001-366",
        "2000-W00-1",
        "2000-W01-0",
        "2000-W01-8",
        "2000-W53-1",
        "2004-W54-1",
        "0000-W01-1",
        "0000-001",
    };
    struct moment m;
    for (size_t i = 0; i < ARRAY_LEN(syntax); i++) {
        if (moment_parse(str_of(syntax[i]), &scratch, &m) != MOMENT_SYNTAX) {
            print_error("%s\n", syntax[i]);
            fail();
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(field); i++) {
        if (moment_parse(str_of(field[i]), &scratch, &m) != MOMENT_FIELD) {
            print_error("%s\n", field[i]);
            fail();
        }
    }
}

/*
 * A year of five digits takes the way of the general parser, and one more zero in front does not
 * change the time: both ways say the same of every text.
 */
static void expect_same_both_ways(const char *text)
{
    struct moment usual = {0};
    struct moment general = {0};
    char longer[80];

    snprintf(longer, sizeof longer, "0%s", text);
    enum moment_result want = moment_parse(str_of(longer), &scratch, &general);
    if (moment_parse(str_of(text), &scratch, &usual) != want ||
        (want == MOMENT_OK &&
         (usual.kind != general.kind || usual.days != general.days || usual.usec != general.usec ||
          usual.offset_sec != general.offset_sec))) {
        print_error("%s\n", text);
        fail();
    }
}

static void test_the_usual_form_is_the_general_one(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "2024-02-29T23:59:60.999999Z", "2023-02-29 00:00:00",      "1900-02-29T00:00:00",
        "0001-01-01T00:00:00+15:59",   "9999-12-31t24:00:00-00",   "2024-12-31T24:00:00.000001",
        "0000-01-01T00:00:00",         "2024-00-01T00:00:00x",     "2024-06-31T00:00:00",
        "2024-06-30T23:59:59.1234567", "2024-06-30T23:59:59.",     "2024-06-30T23:59:59.Z",
        "2024-06-30T23:60:00",         "2024-06-30T23:59:61",      "2024-06-30T23:59:5",
        "2024-06-30T23:59:59.5+1:00",  "2024-06-30T23:59:59+1400", "2024-06-30T23:59:59 Z",
    };
    static const char odd[] = "0123456789-:.TtZz +/;,\x01\x7f\x80\xff";
    uint64_t random = 19;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        expect_same_both_ways(texts[i]);
    }
    for (int round = 0; round < 200000; round++) {
        char text[64];
        uint64_t x = kit_random(&random);
        snprintf(text, sizeof text, "%04u-%02u-%02u%c%02u:%02u:%02u%.*s", (unsigned) (x % 10000),
                 (unsigned) (x >> 16) % 14, (unsigned) (x >> 20) % 33, "Tt "[(x >> 61) % 3],
                 (unsigned) (x >> 26) % 26, (unsigned) (x >> 32) % 61, (unsigned) (x >> 38) % 62,
                 (int) ((x >> 44) % 10), x >> 50 & 1 ? ".123456Z" : "+01:30:15");
        size_t n = strlen(text);
        for (uint64_t changes = x >> 60 & 3; changes > 0; changes--) {
            size_t place = 4 + kit_random(&random) % (n - 4);
            text[place] = odd[kit_random(&random) % (sizeof odd - 1)];
        }
        if (text[4] == '-') { /* else it may be a year of seven digits already */
            expect_same_both_ways(text);
        }
    }
}

static void test_time_of_day(void **state)
{
    (void) state;
    struct moment m;
    assert_int_equal(moment_parse_time(STR_LIT("01:02:03.5+02:00"), &scratch, &m), MOMENT_OK);
    assert_int_equal(m.usec, 3723500000);
    assert_int_equal(m.offset_sec, 7200);
    assert_int_equal(moment_parse_time(STR_LIT("25:00"), &scratch, &m), MOMENT_FIELD);
    assert_int_equal(moment_parse_time(STR_LIT("infinity"), &scratch, &m), MOMENT_SYNTAX);
    assert_int_equal(moment_parse_time(STR_LIT("10:00 "), &scratch, &m), MOMENT_SYNTAX);
    assert_int_equal(moment_parse_time(STR_LIT("T010203,5Z"), &scratch, &m), MOMENT_OK);
    assert_int_equal(m.usec, 3723500000);
    assert_int_equal(moment_parse_time(STR_LIT("t01:02:03.5"), &scratch, &m), MOMENT_OK);
    assert_int_equal(m.usec, 3723500000);
    assert_int_equal(moment_parse_time(STR_LIT("010203"), &scratch, &m), MOMENT_SYNTAX);
    assert_int_equal(moment_parse_time(STR_LIT("T"), &scratch, &m), MOMENT_SYNTAX);
}

static int done(void **state)
{
    (void) state;
    buf_done(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_years_with_a_sign),
        cmocka_unit_test(test_a_date_with_a_zone),
        cmocka_unit_test(test_days_are_without_gaps),
        cmocka_unit_test(test_times_and_offsets),
        cmocka_unit_test(test_infinity),
        cmocka_unit_test(test_other_forms_of_iso_8601),
        cmocka_unit_test(test_zones_that_are_written_out),
        cmocka_unit_test(test_a_name_is_no_offset),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_the_usual_form_is_the_general_one),
        cmocka_unit_test(test_time_of_day),
    };

    return cmocka_run_group_tests(tests, NULL, done);
}
