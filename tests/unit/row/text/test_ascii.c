/* ascii.h: eight characters at a time, against one at a time. */
#include "row/text/ascii.h"

#include "row/kit.h"

static uint64_t random_state;

/* Every byte after every number of digits, with another digit after it. */
static void test_digit_runs(void **state)
{
    (void) state;
    for (unsigned digits = 0; digits <= 7; digits++) {
        for (int other = 0; other < 256; other++) {
            char text[9] = "98765432";
            text[digits] = (char) other;
            unsigned want = ascii_is_digit((char) other) ? 8 : digits;
            assert_int_equal(ascii_digit_run(ascii_word(text) ^ (ASCII_ONES * '0')), want);
        }
    }
}

static void test_digits(void **state)
{
    (void) state;
    char text[64];
    for (size_t n = 0; n < 40; n++) {
        for (int round = 0; round < 200; round++) {
            uint64_t want = kit_random(&random_state);
            uint64_t got = want;
            memset(text, 'x', sizeof text);
            for (size_t i = 0; i < n; i++) {
                text[i] = (char) ('0' + kit_random(&random_state) % 10);
                want = want * 10 + (uint64_t) (text[i] - '0');
            }
            assert_ptr_equal(ascii_digits(text, &got), text + n);
            assert_true(got == want);
        }
    }
}

/* All bytes at all places. */
static void test_hex_bytes(void **state)
{
    (void) state;
    for (unsigned place = 0; place < 8; place++) {
        for (int c = 0; c < 256; c++) {
            char text[9] = "09afAF5e";
            uint8_t got[4] = {0};
            text[place] = (char) c;
            int digit = ascii_hex((char) c);
            assert_int_equal(ascii_hex_bytes(ascii_word(text), got), digit >= 0);
            for (unsigned i = 0; i < 4 && digit >= 0; i++) {
                assert_int_equal(got[i], ascii_hex(text[2 * i]) * 16 + ascii_hex(text[2 * i + 1]));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digit_runs),
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_hex_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
