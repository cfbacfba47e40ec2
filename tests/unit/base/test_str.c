/* str.c: views, numbers, UTF-8, hash, nearest name. */
#include "base/str.h"

#include "unit.h"

#include <stdio.h>

static const struct str absent = {0};

static void test_equal_and_order(void **state)
{
    (void) state;
    assert_true(str_eq(STR_LIT("ab"), str_of("ab")));
    assert_false(str_eq(STR_LIT("ab"), str_of("ac")));
    assert_false(str_eq(STR_LIT("ab"), str_of("a")));
    assert_true(str_eq(absent, str_of(NULL)));
    assert_false(str_eq(absent, STR_LIT("")));
    assert_true(str_eq(STR_LIT(""), STR_LIT("")));
    assert_true(str_eq_z(STR_LIT("x"), "x"));
    assert_true(str_eq_z(absent, NULL));

    assert_true(str_cmp(STR_LIT("a"), STR_LIT("b")) < 0);
    assert_true(str_cmp(STR_LIT("\xFF"), STR_LIT("a")) > 0);
    assert_true(str_cmp(STR_LIT("a"), STR_LIT("ab")) < 0);
    assert_true(str_cmp(STR_LIT("ab"), STR_LIT("a")) > 0);
    assert_true(str_cmp(absent, STR_LIT("")) < 0);
    assert_true(str_cmp(STR_LIT(""), absent) > 0);
    assert_int_equal(str_cmp(absent, absent), 0);
    assert_int_equal(str_cmp(STR_LIT("a"), STR_LIT("a")), 0);
}

static void test_prefix_and_trim(void **state)
{
    (void) state;
    assert_true(str_starts(STR_LIT("value.id"), "value."));
    assert_false(str_starts(STR_LIT("val"), "value."));
    assert_false(str_starts(STR_LIT("walue."), "value."));
    assert_true(str_starts(absent, ""));

    assert_true(str_eq_z(str_trim(STR_LIT(" \t\r\n\v\f a b  ")), "a b"));
    assert_true(str_eq_z(str_trim(STR_LIT("ab")), "ab"));
    assert_int_equal(str_trim(STR_LIT("   ")).n, 0);
    assert_null(str_trim(absent).p);
}

static void test_format_argument(void **state)
{
    (void) state;
    char text[20];

    snprintf(text, sizeof text, "[" STR_FMT "|" STR_FMT "]", STR_ARG(STR_LIT("ab")),
             STR_ARG(absent));
    assert_string_equal(text, "[ab|]");
}

static void check_i64(const char *text, bool ok, int64_t want)
{
    int64_t got = 77;

    assert_int_equal(str_to_i64(str_of(text), &got), ok);
    assert_true(got == (ok ? want : 77));
}

static void test_i64(void **state)
{
    (void) state;
    check_i64("0", true, 0);
    check_i64("-0", true, 0);
    check_i64("+12", true, 12);
    check_i64("00012", true, 12);
    check_i64("9223372036854775807", true, INT64_MAX);
    check_i64("-9223372036854775808", true, INT64_MIN);
    check_i64("9223372036854775808", false, 0);
    check_i64("-9223372036854775809", false, 0);
    check_i64("99999999999999999999999", false, 0);
    check_i64("", false, 0);
    check_i64(NULL, false, 0);
    check_i64("-", false, 0);
    check_i64("+-1", false, 0);
    check_i64(" 1", false, 0);
    check_i64("1 ", false, 0);
    check_i64("1.0", false, 0);
    check_i64("0x10", false, 0);
    check_i64("1:", false, 0);
}

static void check_u64(const char *text, bool ok, uint64_t want)
{
    uint64_t got = 77;

    assert_int_equal(str_to_u64(str_of(text), &got), ok);
    assert_true(got == (ok ? want : 77));
}

static void test_u64(void **state)
{
    (void) state;
    check_u64("18446744073709551615", true, UINT64_MAX);
    check_u64("18446744073709551616", false, 0);
    check_u64("18446744073709551620", false, 0);
    check_u64("+5", true, 5);
    check_u64("-5", false, 0);
    check_u64("-0", false, 0);
    check_u64("", false, 0);
}

static void check_utf8(struct str s, bool ok, size_t want)
{
    size_t chars = 77;

    assert_int_equal(str_utf8(s, &chars), ok);
    assert_int_equal(chars, ok ? want : 77);
    assert_int_equal(str_utf8(s, NULL), ok);
}

static void test_utf8(void **state)
{
    (void) state;
    check_utf8(absent, true, 0);
    check_utf8(STR_LIT("a"), true, 1);
    check_utf8(STR_LIT("0123456789abcdefgh"), true, 18);
    check_utf8(STR_LIT("a\0b"), true, 3);
    check_utf8(STR_LIT("\xC2\x80\xDF\xBF"), true, 2);
    check_utf8(STR_LIT("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"), true, 4);
    check_utf8(STR_LIT("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"), true, 2);
    check_utf8(STR_LIT("0123456\xF0\x9F\x98\x80 end"), true, 12);

    check_utf8(STR_LIT("\x80"), false, 0);
    check_utf8(STR_LIT("\xC0\x80"), false, 0);
    check_utf8(STR_LIT("\xC1\xBF"), false, 0);
    check_utf8(STR_LIT("\xC2"), false, 0);
    check_utf8(STR_LIT("\xC2\x41"), false, 0);
    check_utf8(STR_LIT("\xC2\xC2"), false, 0);
    check_utf8(STR_LIT("\xE0\x9F\xBF"), false, 0);
    check_utf8(STR_LIT("\xED\xA0\x80"), false, 0);
    check_utf8(STR_LIT("\xE2\x82"), false, 0);
    check_utf8(STR_LIT("\xE2\x82\x41"), false, 0);
    check_utf8(STR_LIT("\xF0\x8F\xBF\xBF"), false, 0);
    check_utf8(STR_LIT("\xF4\x90\x80\x80"), false, 0);
    check_utf8(STR_LIT("\xF5\x80\x80\x80"), false, 0);
    check_utf8(STR_LIT("\xFF"), false, 0);
    check_utf8(STR_LIT("01234567\xFF"), false, 0);
    check_utf8(STR_LIT("\xF0\x9F\x98"), false, 0);
    check_utf8(STR_LIT("\xF0\x9F\x98\xC0"), false, 0);
}

static void test_hash(void **state)
{
    (void) state;
    /* Published FNV-1a values. */
    assert_true(str_hash(absent) == UINT64_C(0xCBF29CE484222325));
    assert_true(str_hash(STR_LIT("a")) == UINT64_C(0xAF63DC4C8601EC8C));
    assert_true(str_hash(STR_LIT("foobar")) == UINT64_C(0x85944171F73967E8));
}

static void test_nearest(void **state)
{
    (void) state;
    char long_name[100];
    const char *const names[] = {"topics", "table", "max_rows", "max_bytes", "key", long_name};
    const size_t n = ARRAY_LEN(names);

    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_string_equal(str_nearest("topic", names, n), "topics");
    assert_string_equal(str_nearest("tpoics", names, n), "topics");
    assert_string_equal(str_nearest("Table", names, n), "table");
    assert_string_equal(str_nearest("max-row", names, n), "max_rows");
    assert_string_equal(str_nearest("maxbytes", names, n), "max_bytes");
    assert_string_equal(str_nearest("kye", names, n), "key");
    assert_null(str_nearest("x", names, n));
    assert_null(str_nearest("", names, n));
    assert_null(str_nearest("password", names, n));
    assert_null(str_nearest(long_name, names, n));
    assert_null(str_nearest("topic", names, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_and_order),
        cmocka_unit_test(test_prefix_and_trim),
        cmocka_unit_test(test_format_argument),
        cmocka_unit_test(test_i64),
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
