/* decimal.c: decimal text to exact integers and to floats. */
#include "row/text/decimal.h"

#include "row/kit.h"

#include <math.h>

static struct decimal scan(const char *text)
{
    struct decimal d;

    if (!decimal_scan(str_of(text), &d)) {
        print_error("%s\n", text);
        fail();
    }
    return d;
}

static void test_forms(void **state)
{
    (void) state;
    static const char *const good[] = {"0",  "-0",     "+1",  "007",   "1.",
                                       ".5", "-.5e-3", "1E5", "1e+05", "1.5e00"};
    static const char *const bad[] = {"",    "-",    "+",   ".",     "-.",   "e5",    "1e",
                                      "1e+", "1e5x", "1 ",  " 1",    "1..2", "1.2.3", "--1",
                                      "+-1", "0x1",  "1_0", "1e5.0", "NaN",  "inf"};
    struct decimal d;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        (void) scan(good[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (decimal_scan(str_of(bad[i]), &d)) {
            print_error("%s\n", bad[i]);
            fail();
        }
    }
    d = scan("-12.50e-3");
    assert_true(d.negative);
    assert_true(str_eq_z(d.whole, "12"));
    assert_true(str_eq_z(d.frac, "50"));
    assert_int_equal(d.exponent, -3);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(decimal_digit(&d, (size_t) i), "1250"[i] - '0');
    }
    assert_int_equal(scan("1e99999999999999999999999").exponent, DECIMAL_EXPONENT_MAX);
    assert_int_equal(scan("1e-99999999999999999999999").exponent, -DECIMAL_EXPONENT_MAX);
}

struct exact {
    const char *text;
    int shift;
    enum decimal_result result;
    int64_t value;
};

static void test_integers(void **state)
{
    (void) state;
    static const struct exact cases[] = {
        {"0", 0, DECIMAL_OK, 0},
        {"-0.000", 0, DECIMAL_OK, 0},
        {"0e999999999", 6, DECIMAL_OK, 0},
        {"1", 3, DECIMAL_OK, 1000},
        {"1500", -3, DECIMAL_ROUNDED, 2},
        {"1499", -3, DECIMAL_ROUNDED, 1},
        {"-1500", -3, DECIMAL_ROUNDED, -2},
        {"0.5", 0, DECIMAL_ROUNDED, 1},
        {"-0.5", 0, DECIMAL_ROUNDED, -1},
        {"0.4999", 0, DECIMAL_ROUNDED, 0},
        {"0.05", 0, DECIMAL_ROUNDED, 0},
        {"0.05", 1, DECIMAL_ROUNDED, 1},
        {"1e-999999999", 0, DECIMAL_ROUNDED, 0},
        {"1.000", 0, DECIMAL_OK, 1},
        {"12.34e2", 0, DECIMAL_OK, 1234},
        {"1234e-2", 2, DECIMAL_OK, 1234},
        {"000000000000000000000000000001", 0, DECIMAL_OK, 1},
        {"9223372036854775807", 0, DECIMAL_OK, INT64_MAX},
        {"9223372036854775807.4", 0, DECIMAL_ROUNDED, INT64_MAX},
        {"9223372036854775807.5", 0, DECIMAL_RANGE, 0},
        {"9223372036854775808", 0, DECIMAL_RANGE, 0},
        {"-9223372036854775808", 0, DECIMAL_OK, INT64_MIN},
        {"-9223372036854775808.5", 0, DECIMAL_RANGE, 0},
        {"9999999999999999999.9", 0, DECIMAL_RANGE, 0},
        {"18446744073709551616", 0, DECIMAL_RANGE, 0},
        {"1e19", 0, DECIMAL_RANGE, 0},
        {"1e999999999", 0, DECIMAL_RANGE, 0},
        {"1", 19, DECIMAL_RANGE, 0},
        {"922337203685477580.7", 1, DECIMAL_OK, INT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct decimal d = scan(cases[i].text);
        int64_t value = 0;
        if (decimal_to_i64(&d, cases[i].shift, &value) != cases[i].result ||
            value != cases[i].value) {
            print_error("%s: %lld\n", cases[i].text, (long long) value);
            fail();
        }
    }
}

static void test_magnitudes(void **state)
{
    (void) state;
    uint64_t value;
    struct decimal d = scan("-9999999999999999999.5");
    assert_int_equal(decimal_to_u64(&d, 0, &value), DECIMAL_ROUNDED);
    assert_true(value == UINT64_C(10000000000000000000));
    d = scan("10000000000000000000");
    assert_int_equal(decimal_to_u64(&d, 0, &value), DECIMAL_RANGE);
}

static void test_floats(void **state)
{
    (void) state;
    static const char *const good[] = {"0",
                                       "-0.0",
                                       "0.1",
                                       "1e22",
                                       "1e23",
                                       "9007199254740993",
                                       "5e-324",
                                       "1e-322",
                                       "123456789012345678901234567890",
                                       "1.7976931348623157e308",
                                       "1e-22",
                                       "3.14159265358979",
                                       "16777217",
                                       "1e10",
                                       "3.4e38",
                                       "1e-45"};
    static const char *const bad[] = {"1e309", "-1e309", "1e-400", "2e-324", "1e999999999"};
    _cleanup_buf_ struct buf scratch = {0};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct decimal d = scan(good[i]);
        double got;
        double want = strtod(good[i], NULL);
        assert_true(decimal_to_double(&d, &scratch, &got));
        assert_memory_equal(&got, &want, sizeof got);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct decimal d = scan(good[i]);
        float got;
        float want = strtof(good[i], NULL);
        bool fits = !isinf(want) && (fpclassify(want) != FP_ZERO || i < 2);
        assert_int_equal(decimal_to_float(&d, &scratch, &got), fits);
        if (fits) {
            assert_memory_equal(&got, &want, sizeof got);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct decimal d = scan(bad[i]);
        double wide;
        float narrow;
        assert_false(decimal_to_double(&d, &scratch, &wide));
        assert_false(decimal_to_float(&d, &scratch, &narrow));
    }
}

/* Wherever the quotient answers, it is what strtod makes of the text. */
static void test_quotients(void **state)
{
    (void) state;
    static const int64_t edges[] = {0,
                                    1,
                                    -1,
                                    INT64_C(1) << 53,
                                    -(INT64_C(1) << 53),
                                    (INT64_C(1) << 53) + 1,
                                    -(INT64_C(1) << 53) - 1};
    uint64_t random = 53;
    double got;
    for (size_t i = 0; i < 20000; i++) {
        int64_t n = i < ARRAY_LEN(edges)
                        ? edges[i]
                        : (int64_t) kit_random(&random) >> (kit_random(&random) % 64);
        unsigned scale = (unsigned) (kit_random(&random) % 25);
        bool exact = n >= -(INT64_C(1) << 53) && n <= INT64_C(1) << 53 && scale <= 22;
        char text[64];
        snprintf(text, sizeof text, "%llde-%u", (long long) n, scale);
        assert_int_equal(decimal_quotient(n, scale, &got), exact);
        double want = strtod(text, NULL);
        /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): equal to the last bit */
        if (exact && memcmp(&got, &want, sizeof got) != 0) {
            print_error("%s\n", text);
            fail();
        }
    }
}

static void test_order(void **state)
{
    (void) state;
    /* Rising; texts in one row are the same number. */
    static const char *const rows[][4] = {
        {"-1e99999999999999999", NULL},
        {"-1e100", "-10e99", NULL},
        {"-12.51", "-12510e-3", "-0012.5100", NULL},
        {"-12.5", "-1.25e1", NULL},
        {"-1e-50", NULL},
        {"0", "-0", "0.000e77", "00"},
        {"1e-50", "0.1e-49", NULL},
        {"0.999", ".999", NULL},
        {"1", "1.", "1.000", "0.001e3"},
        {"9.99", NULL},
        {"10", "+10", "1e1", NULL},
        {"123456789012345678901234567890.1", NULL},
        {"123456789012345678901234567890.12", "1234567890123456789012345678901200e-4", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows) * 4; i++) {
        for (size_t k = 0; k < ARRAY_LEN(rows) * 4; k++) {
            if (rows[i / 4][i % 4] != NULL && rows[k / 4][k % 4] != NULL) {
                struct decimal a = scan(rows[i / 4][i % 4]);
                struct decimal b = scan(rows[k / 4][k % 4]);
                assert_int_equal(decimal_compare(&a, &b), (i / 4 > k / 4) - (i / 4 < k / 4));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),      cmocka_unit_test(test_integers),
        cmocka_unit_test(test_magnitudes), cmocka_unit_test(test_quotients),
        cmocka_unit_test(test_floats),     cmocka_unit_test(test_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
