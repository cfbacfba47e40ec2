/* interval.c: intervals as text. What PostgreSQL makes of the same texts is in
 * tests/integration/test_encode.py. */
#include "row/text/interval.h"

#include "row/kit.h"

static struct buf scratch;

static void expect(const char *text, int32_t months, int32_t days, int64_t usec)
{
    struct interval i;

    if (interval_parse(str_of(text), &scratch, &i) != MOMENT_OK) {
        print_error("%s\n", text);
        fail();
    }
    assert_int_equal(i.months, months);
    assert_int_equal(i.days, days);
    assert_int_equal(i.usec, usec);
}

static void expect_fault(const char *text, enum moment_result want)
{
    struct interval i;
    enum moment_result got = interval_parse(str_of(text), &scratch, &i);

    if (got != want) {
        print_error("%s: %d\n", text, (int) got);
        fail();
    }
}

#define HOUR INT64_C(3600000000)

static void test_iso(void **state)
{
    (void) state;
    expect("P1Y2M3W4DT5H6M7.5S", 14, 25, 5 * HOUR + 6 * 60000000 + 7500000);
    expect("PT-2H", 0, 0, -2 * HOUR);
    expect("P+1D", 0, 1, 0);
    expect("-P1Y1DT1H", -12, -1, -HOUR);
    expect("P1.5Y", 18, 0, 0);
    expect("P1.5M", 1, 15, 0);
    expect("P-1.5D", 0, -1, -12 * HOUR);
    expect("PT0.0000005S", 0, 0, 0);
    expect("PT0.00000051S", 0, 0, 1);
    expect("PT-0.00000051S", 0, 0, -1);
    static const char *const bad[] = {"",      "P",    "-P",   "PT",  "P1",   "P1H", "PT1Y",
                                      "P1D1D", "P1DT", "P1.D", "p1d", "P1Dx", "PD"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        expect_fault(bad[i], MOMENT_SYNTAX);
    }
}

static void test_words(void **state)
{
    (void) state;
    expect("1 year 2 mons -3 days -04:05:06.5", 14, -3, -(4 * HOUR + 5 * 60000000 + 6500000));
    expect("@ 1 day 2 hours ago", 0, -1, -2 * HOUR);
    expect("\t2h30m \n", 0, 0, 2 * HOUR + HOUR / 2);
    expect("1 WEEK", 0, 7, 0);
    expect("1 second 3 ms 5 us", 0, 0, 1003005);
    expect("02:03", 0, 0, 2 * HOUR + 3 * 60000000);
    static const char *const bad[] = {
        "1",           "1 century", "1 day 1 day", "1 hour 01:00",     "1:2",
        "01:60",       "01:00:61",  "01:00:00.",   "1.5 seconds 3 ms", "ago",
        "1 day ago x", "day",       "1 day,",      "1. day",           "@"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        expect_fault(bad[i], MOMENT_SYNTAX);
    }
}

static void test_ranges(void **state)
{
    (void) state;
    expect("2147483647 days", 0, INT32_MAX, 0);
    expect("-2147483648 mons", INT32_MIN, 0, 0);
    expect("9223372036854775807 us", 0, 0, INT64_MAX);
    static const char *const bad[] = {
        "2147483648 days",         "-2147483649 days",          "-2147483648 days ago",
        "178956971 years",         "9223372036854775808 us",    "99999999999999999999 s",
        "3000000000:00",           "9223372036854775807 hours", "-P-2147483648M",
        "2562047788:00:54.775808", "PT9223372036854775807.6S",  "P99999999999999999999D"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        expect_fault(bad[i], MOMENT_FIELD);
    }
}

static void test_fractions_too_small_for_a_double(void **state)
{
    (void) state;
    char text[600];
    snprintf(text, sizeof text, "0.%0500d1 seconds", 0);
    expect(text, 0, 0, 0);
    snprintf(text, sizeof text, "PT0.%0500d1S", 0);
    expect(text, 0, 0, 0);
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
        cmocka_unit_test(test_iso),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_fractions_too_small_for_a_double),
    };

    return cmocka_run_group_tests(tests, NULL, done);
}
