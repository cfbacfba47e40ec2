/* units.c: numbers with units, both ways. */
#include "config/units.h"

#include "unit.h"

struct number_case {
    const char *text;
    enum units_result result;
    uint64_t value;
};

static void test_number(void **state)
{
    static const struct number_case cases[] = {
        {"0", UNITS_OK, 0},
        {"7", UNITS_OK, 7},
        {"50000", UNITS_OK, 50000},
        {"18446744073709551615", UNITS_OK, UINT64_MAX},
        {"18446744073709551616", UNITS_RANGE, 0},
        {"-1", UNITS_RANGE, 0},
        {"-0", UNITS_RANGE, 0},
        {"-", UNITS_BAD, 0},
        {"", UNITS_BAD, 0},
        {"00", UNITS_BAD, 0},
        {"01", UNITS_BAD, 0},
        {"-01", UNITS_BAD, 0},
        {"+1", UNITS_BAD, 0},
        {" 1", UNITS_BAD, 0},
        {"1 ", UNITS_BAD, 0},
        {"1.0", UNITS_BAD, 0},
        {"1e3", UNITS_BAD, 0},
        {"0x10", UNITS_BAD, 0},
        {"1_000", UNITS_BAD, 0},
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value = 42;

        assert_int_equal(units_number(str_of(cases[i].text), &value), cases[i].result);
        assert_int_equal(value, cases[i].result == UNITS_OK ? cases[i].value : 42);
    }
}

static void test_size(void **state)
{
    static const struct number_case cases[] = {
        {"0", UNITS_OK, 0},
        {"1024", UNITS_OK, 1024},
        {"5B", UNITS_OK, 5},
        {"1kB", UNITS_OK, 1000},
        {"2MB", UNITS_OK, 2000000},
        {"3GB", UNITS_OK, 3000000000},
        {"1KiB", UNITS_OK, 1024},
        {"16MiB", UNITS_OK, 16777216},
        {"1GiB", UNITS_OK, 1073741824},
        {"17179869183GiB", UNITS_OK, UINT64_C(17179869183) << 30},
        {"17179869184GiB", UNITS_RANGE, 0},
        {"99999999999999999999kB", UNITS_RANGE, 0},
        {"-1MiB", UNITS_RANGE, 0},
        {"-1", UNITS_RANGE, 0},
        {"1mib", UNITS_BAD, 0},
        {"1KB", UNITS_BAD, 0},
        {"1 MiB", UNITS_BAD, 0},
        {"1.5MiB", UNITS_BAD, 0},
        {"01MiB", UNITS_BAD, 0},
        {"MiB", UNITS_BAD, 0},
        {"-MiB", UNITS_BAD, 0},
        {"1MiBx", UNITS_BAD, 0},
        {"", UNITS_BAD, 0},
        {"x", UNITS_BAD, 0},
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value = 42;

        assert_int_equal(units_size(str_of(cases[i].text), &value), cases[i].result);
        assert_int_equal(value, cases[i].result == UNITS_OK ? cases[i].value : 42);
    }
}

static void test_duration(void **state)
{
    static const struct number_case cases[] = {
        {"0", UNITS_OK, 0},          {"0s", UNITS_OK, 0},
        {"500ms", UNITS_OK, 500000}, {"5s", UNITS_OK, 5000000},
        {"2m", UNITS_OK, 120000000}, {"1h", UNITS_OK, 3600000000},
        {"5", UNITS_NO_UNIT, 0},     {"-5", UNITS_RANGE, 0},
        {"-5s", UNITS_RANGE, 0},     {"9999999999999999h", UNITS_RANGE, 0},
        {"5S", UNITS_BAD, 0},        {"5 s", UNITS_BAD, 0},
        {"5us", UNITS_BAD, 0},       {"5d", UNITS_BAD, 0},
        {"5min", UNITS_BAD, 0},      {"1h30m", UNITS_BAD, 0},
        {"", UNITS_BAD, 0},          {"s", UNITS_BAD, 0},
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        usec_t value = 42;

        assert_int_equal(units_duration(str_of(cases[i].text), &value), cases[i].result);
        assert_int_equal(value, cases[i].result == UNITS_OK ? cases[i].value : 42);
    }
}

struct rate_case {
    const char *text;
    enum units_result result;
    uint64_t count;
    usec_t per;
};

static void test_rate(void **state)
{
    static const struct rate_case cases[] = {
        {"1000 per 1m", UNITS_OK, 1000, 60000000},
        {"0 per 5ms", UNITS_OK, 0, 5000},
        {"1 per 0", UNITS_RANGE, 0, 0},
        {"1 per 0s", UNITS_RANGE, 0, 0},
        {"-1 per 1m", UNITS_RANGE, 0, 0},
        {"1 per -1m", UNITS_RANGE, 0, 0},
        {"1 per 60", UNITS_NO_UNIT, 0, 0},
        {"1 per m", UNITS_BAD, 0, 0},
        {"1 per 1m ", UNITS_BAD, 0, 0},
        {" 1 per 1m", UNITS_BAD, 0, 0},
        {"1  per 1m", UNITS_BAD, 0, 0},
        {"1 per  1m", UNITS_BAD, 0, 0},
        {"1 per 1m per 1m", UNITS_BAD, 0, 0},
        {" per 1m", UNITS_BAD, 0, 0},
        {"1 per ", UNITS_BAD, 0, 0},
        {"1k per 1m", UNITS_BAD, 0, 0},
        {"1/1m", UNITS_BAD, 0, 0},
        {"", UNITS_BAD, 0, 0},
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool ok = cases[i].result == UNITS_OK;
        uint64_t count = 42;
        usec_t per = 43;

        assert_int_equal(units_rate(str_of(cases[i].text), &count, &per), cases[i].result);
        assert_int_equal(count, ok ? cases[i].count : 42);
        assert_int_equal(per, ok ? cases[i].per : 43);
    }
    assert_int_equal(units_rate((struct str){0}, NULL, NULL), UNITS_BAD);
}

static void test_share(void **state)
{
    static const struct {
        const char *text;
        enum units_result result;
        uint32_t share;
        const char *printed; /* NULL: the same */
    } cases[] = {
        {"50%", UNITS_OK, 5000, NULL},
        {"0%", UNITS_OK, 0, NULL},
        {"100%", UNITS_OK, 10000, NULL},
        {"0.01%", UNITS_OK, 1, NULL},
        {"0.1%", UNITS_OK, 10, NULL},
        {"99.99%", UNITS_OK, 9999, NULL},
        {"7.50%", UNITS_OK, 750, "7.5%"},
        {"7.0%", UNITS_OK, 700, "7%"},
        {"100.00%", UNITS_OK, 10000, "100%"},
        {"100.01%", UNITS_RANGE, 0, NULL},
        {"101%", UNITS_RANGE, 0, NULL},
        {"18446744073709551615%", UNITS_RANGE, 0, NULL},
        {"18446744073709551616%", UNITS_RANGE, 0, NULL},
        {"-1%", UNITS_RANGE, 0, NULL},
        {"0.001%", UNITS_BAD, 0, NULL},
        {"1.%", UNITS_BAD, 0, NULL},
        {".5%", UNITS_BAD, 0, NULL},
        {"1.-5%", UNITS_BAD, 0, NULL},
        {"1.2.3%", UNITS_BAD, 0, NULL},
        {"050%", UNITS_BAD, 0, NULL},
        {"50 %", UNITS_BAD, 0, NULL},
        {"%", UNITS_BAD, 0, NULL},
        {"50", UNITS_BAD, 0, NULL},
        {"50%%", UNITS_BAD, 0, NULL},
        {"", UNITS_BAD, 0, NULL},
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_buf_ struct buf out = {0};
        uint32_t share = 42;

        assert_int_equal(units_share(str_of(cases[i].text), &share), cases[i].result);
        if (cases[i].result != UNITS_OK) {
            assert_int_equal(share, 42);
            continue;
        }
        assert_int_equal(share, cases[i].share);
        units_print_share(share, &out);
        const char *printed = cases[i].printed != NULL ? cases[i].printed : cases[i].text;
        assert_string_equal(buf_cstr(&out), printed);
    }
    assert_int_equal(units_share((struct str){0}, NULL), UNITS_BAD);
}

static void test_bool(void **state)
{
    static const char *const bad[] = {"yes",  "no", "on", "off", "True",
                                      "TRUE", "1",  "0",  "",    "truex"};
    bool value = false;

    (void) state;
    assert_int_equal(units_bool(STR_LIT("true"), &value), UNITS_OK);
    assert_true(value);
    assert_int_equal(units_bool(STR_LIT("false"), &value), UNITS_OK);
    assert_false(value);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        value = true;
        assert_int_equal(units_bool(str_of(bad[i]), &value), UNITS_BAD);
        assert_true(value);
    }
}

struct time_case {
    const char *text;
    enum units_result result;
    int64_t ms;
};

static void test_time(void **state)
{
    static const struct time_case cases[] = {
        {"1970-01-01T00:00:00Z", UNITS_OK, 0},
        {"1970-01-01T00:00:00.001Z", UNITS_OK, 1},
        {"1970-01-01T00:00:00.1Z", UNITS_OK, 100},
        {"1970-01-01T00:00:00.25Z", UNITS_OK, 250},
        {"2000-02-29T12:34:56Z", UNITS_OK, INT64_C(951827696000)},
        {"2026-01-31T08:30:00.250+01:00", UNITS_OK, INT64_C(1769844600250)},
        {"2026-01-31t08:30:00z", UNITS_OK, INT64_C(1769848200000)},
        {"2026-01-31 08:30:00-08:30", UNITS_OK, INT64_C(1769878800000)},
        {"9999-12-31T23:59:59.999Z", UNITS_OK, INT64_C(253402300799999)},
        {"1969-12-31T23:59:59Z", UNITS_RANGE, 0},
        {"1970-01-01T00:00:00+00:01", UNITS_RANGE, 0},
        {"2100-02-29T00:00:00Z", UNITS_BAD, 0},
        {"2026-00-01T00:00:00Z", UNITS_BAD, 0},
        {"2026-13-01T00:00:00Z", UNITS_BAD, 0},
        {"2026-04-31T00:00:00Z", UNITS_BAD, 0},
        {"2026-04-00T00:00:00Z", UNITS_BAD, 0},
        {"2026-04-01T24:00:00Z", UNITS_BAD, 0},
        {"2026-04-01T00:60:00Z", UNITS_BAD, 0},
        {"2026-04-01T00:00:60Z", UNITS_BAD, 0},
        {"2026-04-01T00:00:00", UNITS_BAD, 0},
        {"2026-04-01T00:00:00+24:00", UNITS_BAD, 0},
        {"2026-04-01T00:00:00+01:60", UNITS_BAD, 0},
        {"2026-04-01T00:00:00+0100", UNITS_BAD, 0},
        {"2026-04-01T00:00:00Zx", UNITS_BAD, 0},
        {"2026-04-01T00:00:00.Z", UNITS_BAD, 0},
        {"2026-04-01T00:00:00.0001Z", UNITS_BAD, 0},
        {"2026-04-01", UNITS_BAD, 0},
        {"26-04-01T00:00:00Z", UNITS_BAD, 0},
        {"2026/04/01T00:00:00Z", UNITS_BAD, 0},
        {"", UNITS_BAD, 0},
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = 42;

        assert_int_equal(units_time(str_of(cases[i].text), &ms), cases[i].result);
        assert_int_equal(ms, cases[i].result == UNITS_OK ? cases[i].ms : 42);
    }
}

static void expect_text(struct buf *b, const char *want)
{
    assert_string_equal(buf_cstr(b), want);
    buf_clear(b);
}

static void test_print(void **state)
{
    _cleanup_buf_ struct buf b = {0};

    (void) state;
    units_print_size(0, &b);
    expect_text(&b, "0");
    units_print_size(1, &b);
    expect_text(&b, "1B");
    units_print_size(1500, &b);
    expect_text(&b, "1500B");
    units_print_size(1024000, &b);
    expect_text(&b, "1000KiB");
    units_print_size(2000000, &b);
    expect_text(&b, "2MB");
    units_print_size(3 * UINT64_C(1000000000), &b);
    expect_text(&b, "3GB");
    units_print_size(UINT64_C(5) << 30, &b);
    expect_text(&b, "5GiB");
    units_print_duration(0, &b);
    expect_text(&b, "0");
    units_print_duration(90 * USEC_PER_SEC, &b);
    expect_text(&b, "90s");
    units_print_duration(120 * USEC_PER_SEC, &b);
    expect_text(&b, "2m");
    units_print_duration(7200 * USEC_PER_SEC, &b);
    expect_text(&b, "2h");
    units_print_duration(1500 * USEC_PER_MSEC, &b);
    expect_text(&b, "1500ms");
}

/* Every day for two centuries, and odd milliseconds: print, read, compare. */
static void test_time_round_trip(void **state)
{
    _cleanup_buf_ struct buf b = {0};

    (void) state;
    for (int64_t ms = 0; ms < INT64_C(7000000000000); ms += 86400000 + 1234567) {
        int64_t back = -1;

        buf_clear(&b);
        units_print_time(ms, &b);
        assert_int_equal(units_time(buf_str(&b), &back), UNITS_OK);
        assert_int_equal(back, ms);
    }
    buf_clear(&b);
    units_print_time(INT64_C(951827696000), &b);
    assert_string_equal(buf_cstr(&b), "2000-02-29T12:34:56Z");
}

static void test_zone(void **state)
{
    static const struct {
        const char *text;
        enum units_result result;
        int32_t sec;
        const char *print;
    } cases[] = {
        {"UTC", UNITS_OK, 0, "UTC"},
        {"Z", UNITS_OK, 0, "UTC"},
        {"+00:00", UNITS_OK, 0, "UTC"},
        {"+02:00", UNITS_OK, 7200, "\"+02:00\""},
        {"-03:30", UNITS_OK, -12600, "\"-03:30\""},
        {"-15:59", UNITS_OK, -57540, "\"-15:59\""},
        {"+16:00", UNITS_RANGE, 0, NULL},
        {"-16:00", UNITS_RANGE, 0, NULL},
        {"", UNITS_BAD, 0, NULL},
        {"utc", UNITS_BAD, 0, NULL},
        {"+2", UNITS_BAD, 0, NULL},
        {"+02:60", UNITS_BAD, 0, NULL},
        {"Europe/Berlin", UNITS_BAD, 0, NULL},
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_buf_ struct buf b = {0};
        int32_t sec = 1;

        assert_int_equal(units_zone(str_of(cases[i].text), &sec), cases[i].result);
        if (cases[i].result == UNITS_OK) {
            assert_int_equal(sec, cases[i].sec);
            units_print_zone(sec, &b);
            assert_string_equal(buf_cstr(&b), cases[i].print);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number),   cmocka_unit_test(test_size),
        cmocka_unit_test(test_duration), cmocka_unit_test(test_rate),
        cmocka_unit_test(test_share),    cmocka_unit_test(test_bool),
        cmocka_unit_test(test_time),     cmocka_unit_test(test_zone),
        cmocka_unit_test(test_print),    cmocka_unit_test(test_time_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
