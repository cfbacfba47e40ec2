/* hex.c. */
#include "row/text/hex.h"

#include "row/kit.h"

static void test_bytes_become_digits(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf out = {0};
    hex_add(&out, NULL, 0);
    kit_assert_text(buf_cstr(&out), "");
    hex_add(&out, "\x00\x7f\xab\xff", 4);
    hex_add(&out, "\x10", 1);
    kit_assert_text(buf_cstr(&out), "007fabff10");
}

static void expect(const char *text, const char *want)
{
    _cleanup_buf_ struct buf out = {0};
    size_t n = strlen(text) / 2;
    bool ok = hex_decode(str_of(text), buf_reserve(&out, n + 1));

    if (want == NULL) {
        assert_false(ok);
        return;
    }
    assert_true(ok);
    out.n = n;
    kit_assert_text(kit_hex(&out, 0), want);
}

static void test_digits_become_bytes(void **state)
{
    (void) state;
    expect("", "");
    expect("aB", "ab");
    expect("00112233445566778899AAbbCCddEEff01", "00112233445566778899aabbccddeeff01");
    expect("0", NULL);
    expect("0g", NULL);
    expect("001122334455667 ", NULL);
    expect("00112233x0", NULL);
    expect("\\x00", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_become_digits),
        cmocka_unit_test(test_digits_become_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
