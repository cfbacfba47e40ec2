/* buf.c: appends, big-endian order, growth, reuse. */
#include "base/buf.h"

#include "unit.h"

static void test_appends(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf b = {0};

    assert_string_equal(buf_str(&b).p, "");
    buf_add(&b, "ab", 2);
    buf_add(&b, NULL, 0);
    buf_add_str(&b, (struct str){0});
    buf_add_str(&b, STR_LIT("cd"));
    buf_add_z(&b, "ef");
    buf_printf(&b, "%d%s", 12, "!");
    buf_fill(&b, '.', 3);
    buf_fill(&b, '.', 0);
    assert_true(str_eq(buf_str(&b), STR_LIT("abcdef12!...")));
    assert_string_equal(buf_cstr(&b), "abcdef12!...");
    assert_int_equal(b.n, 12);
}

static void test_big_endian(void **state)
{
    (void) state;
    static const uint8_t want[] = {1, 0x12, 0x34, 0xDE, 0xAD, 0xBE, 0xEF, 1, 2, 3, 4, 5, 6, 7, 8};
    _cleanup_buf_ struct buf b = {0};

    buf_add_u8(&b, 1);
    buf_add_u16(&b, 0x1234);
    buf_add_u32(&b, 0xDEADBEEF);
    buf_add_u64(&b, UINT64_C(0x0102030405060708));
    assert_int_equal(b.n, sizeof want);
    assert_memory_equal(b.p, want, sizeof want);
}

static void test_growth_keeps_content(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf b = {0};

    for (uint32_t i = 0; i < 10000; i++) {
        buf_add_u32(&b, i);
    }
    assert_int_equal(b.n, 40000);
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t got;
        memcpy(&got, b.p + i * sizeof got, sizeof got);
        assert_int_equal(__builtin_bswap32(got), i);
    }
    uint8_t *at = buf_reserve(&b, 1000000);
    assert_ptr_equal(at, b.p + b.n);
    assert_true(b.cap - b.n >= 1000000);
}

static void test_clear_and_shrink(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf b = {0};

    buf_fill(&b, 0, 1000);
    uint8_t *before = b.p;
    buf_clear(&b);
    assert_int_equal(b.n, 0);
    buf_shrink(&b, 1 << 20);
    assert_ptr_equal(b.p, before);
    buf_fill(&b, 0, 1000);
    buf_shrink(&b, 100);
    assert_null(b.p);
    assert_int_equal(b.cap, 0);
    buf_add_z(&b, "again");
    assert_string_equal(buf_cstr(&b), "again");
}

static void reserve_overflow(void *arg)
{
    struct buf b = {0};

    (void) arg;
    buf_add_u8(&b, 1);
    buf_reserve(&b, SIZE_MAX);
}

static void test_overflow_aborts(void **state)
{
    (void) state;
    unit_expect_abort(reserve_overflow, NULL, "overflows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_big_endian),
        cmocka_unit_test(test_growth_keeps_content),
        cmocka_unit_test(test_clear_and_shrink),
        cmocka_unit_test(test_overflow_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
