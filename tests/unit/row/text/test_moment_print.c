/* moment_print.c: counts as the texts that moment.c and interval.c read. */
#include "row/text/moment_print.h"

#include "row/kit.h"
#include "row/text/interval.h"
#include "row/text/moment.h"

typedef void printer(int64_t count, unsigned digits, struct buf *out);

static void print_date(int64_t days, unsigned digits, struct buf *out)
{
    (void) digits;
    moment_print_date(days, out);
}

static void expect(printer *print, int64_t count, unsigned digits, const char *want)
{
    _cleanup_buf_ struct buf out = {0};

    print(count, digits, &out);
    kit_assert_text(buf_cstr(&out), want);
}

static void test_dates(void **state)
{
    (void) state;
    expect(print_date, 0, 0, "1970-01-01");
    expect(print_date, -1, 0, "1969-12-31");
    expect(print_date, 59, 0, "1970-03-01");
    expect(print_date, 11016, 0, "2000-02-29");
    expect(print_date, 2932896, 0, "9999-12-31");
    expect(print_date, 2932897, 0, "10000-01-01");
    expect(print_date, -719162, 0, "0001-01-01");
    expect(print_date, -719163, 0, "+0000-12-31");
    expect(print_date, -719529, 0, "-0001-12-31");
    expect(print_date, INT32_MAX, 0, "5881580-07-11");
    expect(print_date, INT32_MIN, 0, "-5877641-06-23");
    expect(print_date, INT64_MAX, 0, "25252734927768524-07-27");
    expect(print_date, INT64_MIN, 0, "-25252734927764585-06-07");
}

/* Every day of eight centuries is read as itself. */
static void test_dates_are_read_again(void **state)
{
    (void) state;
    struct buf scratch = {0};
    struct buf out = {0};
    for (int64_t day = -800000; day < 200000; day++) {
        struct moment m;
        buf_clear(&out);
        moment_print_date(day, &out);
        assert_int_equal(moment_parse(buf_str(&out), &scratch, &m), MOMENT_OK);
        assert_int_equal(m.days + MOMENT_UNIX_DAYS, day);
    }
    buf_done(&out);
    buf_done(&scratch);
}

static void test_times(void **state)
{
    (void) state;
    expect(moment_print_time, 0, 0, "00:00:00");
    expect(moment_print_time, 29700500, 3, "08:15:00.5");
    expect(moment_print_time, 1, 6, "00:00:00.000001");
    expect(moment_print_time, INT64_C(86399999999999), 9, "23:59:59.999999999");
    expect(moment_print_time, 86400000, 3, "24:00:00");
    expect(moment_print_time, 360000, 0, "100:00:00");
    expect(moment_print_time, -1, 3, "-00:00:00.001");
    expect(moment_print_time, INT64_MIN, 0, "-2562047788015215:30:08");
}

static void test_timestamps(void **state)
{
    (void) state;
    expect(moment_print_timestamp, 0, 0, "1970-01-01T00:00:00");
    expect(moment_print_timestamp, -1, 0, "1969-12-31T23:59:59");
    expect(moment_print_timestamp, -1, 3, "1969-12-31T23:59:59.999");
    expect(moment_print_timestamp, -86400000, 3, "1969-12-31T00:00:00");
    expect(moment_print_instant, INT64_C(1769847300500), 3, "2026-01-31T08:15:00.5Z");
    expect(moment_print_instant, INT64_C(1769847300123456), 6, "2026-01-31T08:15:00.123456Z");
    expect(moment_print_instant, INT64_MAX, 9, "2262-04-11T23:47:16.854775807Z");
    expect(moment_print_instant, INT64_MIN, 9, "1677-09-21T00:12:43.145224192Z");
    expect(moment_print_instant, INT64_MIN, 0, "-292277022657-01-27T08:29:52Z");
    expect(moment_print_instant, INT64_MAX, 0, "292277026596-12-04T15:30:07Z");
}

static void test_spans(void **state)
{
    (void) state;
    expect(moment_print_span, 0, 6, "PT0S");
    expect(moment_print_span, 29700500, 3, "PT29700.5S");
    expect(moment_print_span, -1, 9, "PT-0.000000001S");
    expect(moment_print_span, INT64_MIN, 0, "PT-9223372036854775808S");
    struct buf scratch = {0};
    struct buf out = {0};
    struct interval i;
    moment_print_span(-90061000001, 6, &out);
    assert_int_equal(interval_parse(buf_str(&out), &scratch, &i), MOMENT_OK);
    assert_int_equal(i.usec, -90061000001);
    buf_done(&out);
    buf_done(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates), cmocka_unit_test(test_dates_are_read_again),
        cmocka_unit_test(test_times), cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_spans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
