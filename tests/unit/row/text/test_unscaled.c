/* unscaled.c: two's complement of any length as decimal text. */
#include "row/text/unscaled.h"

#include "row/kit.h"

static void expect(const char *bytes, size_t n, int32_t scale, const char *want)
{
    _cleanup_buf_ struct buf out = {0};

    unscaled_print((const uint8_t *) bytes, n, scale, &out);
    kit_assert_text(buf_cstr(&out), want);
}

#define EXPECT(bytes, scale, want) expect("" bytes, sizeof(bytes) - 1, scale, want)

static void test_short_numbers(void **state)
{
    (void) state;
    expect("", 0, 0, "0");
    EXPECT("\x00", 0, "0");
    EXPECT("\x7f", 0, "127");
    EXPECT("\x80", 0, "-128");
    EXPECT("\xff", 0, "-1");
    EXPECT("\x00\xff", 0, "255");
    EXPECT("\x7f\xff\xff\xff\xff\xff\xff\xff", 0, "9223372036854775807");
    EXPECT("\x80\x00\x00\x00\x00\x00\x00\x00", 0, "-9223372036854775808");
}

static void test_the_point(void **state)
{
    (void) state;
    EXPECT("\x30\x39", 2, "123.45");
    EXPECT("\x30\x39", 5, "0.12345");
    EXPECT("\x30\x39", 7, "0.0012345");
    EXPECT("\xcf\xc7", 2, "-123.45");
    EXPECT("\x00", 2, "0.00");
    EXPECT("\x64", 2, "1.00");
}

static void test_a_negative_scale_multiplies(void **state)
{
    (void) state;
    EXPECT("\x0c", -3, "12000");
    EXPECT("\xf4", -3, "-12000");
    EXPECT("\x00", -3, "0");
}

static void test_long_numbers(void **state)
{
    (void) state;
    EXPECT("\x00\x80\x00\x00\x00\x00\x00\x00\x00", 0, "9223372036854775808");
    EXPECT("\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 0, "-9223372036854775809");
    EXPECT("\xff\xff\xff\xff\xff\xff\xff\xff\xff", 0, "-1");
    EXPECT("\x80\x00\x00\x00\x00\x00\x00\x00\x00", 0, "-2361183241434822606848");
    EXPECT("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x2a", 1, "4.2");
    /* as PostgreSQL's numeric was written by Debezium */
    EXPECT("\x5c\xe0\xe9\xa5\x60\x15\xfe\xc5\xaa\xdf\xa3\x28\xae\x39\x81\x15", 9,
           "123456789012345678901234567890.123456789");
}

/* 256^n - 1 by bytes, and the same as its negative. */
static void test_powers_of_two(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "18446744073709551615",
        "4722366482869645213695",
        "1208925819614629174706175",
        "309485009821345068724781055",
        "79228162514264337593543950335",
        "20282409603651670423947251286015",
        "5192296858534827628530496329220095",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char bytes[24] = {0};
        char negative[40];
        size_t n = 8 + i + 1;
        memset(bytes + 1, 0xFF, n - 1);
        expect(bytes, n, 0, texts[i]);
        memset(bytes, 0xFF, 1);
        memset(bytes + 1, 0, n - 2);
        bytes[n - 1] = 1;
        snprintf(negative, sizeof negative, "-%s", texts[i]);
        expect(bytes, n, 0, negative);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_numbers),
        cmocka_unit_test(test_the_point),
        cmocka_unit_test(test_a_negative_scale_multiplies),
        cmocka_unit_test(test_long_numbers),
        cmocka_unit_test(test_powers_of_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
