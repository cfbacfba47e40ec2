/* ascii.h: every character, against the C library without a locale. */
#include "base/ascii.h"

#include "unit.h"

#include <ctype.h>

static void test_every_character(void **state)
{
    (void) state;
    for (int c = 0; c < 256; c++) {
        assert_int_equal(ascii_is_digit((char) c), isdigit(c) != 0);
        assert_int_equal(ascii_is_space((char) c), isspace(c) != 0);
        assert_int_equal(ascii_lower((char) c), (char) tolower(c));
        assert_int_equal(ascii_hex((char) c) >= 0, isxdigit(c) != 0);
    }
}

static void test_hexadecimal_digits(void **state)
{
    static const char digits[] = "0123456789abcdef";

    (void) state;
    for (int i = 0; i < 16; i++) {
        assert_int_equal(ascii_hex(digits[i]), i);
        assert_int_equal(ascii_hex((char) toupper(digits[i])), i);
    }
}

static void test_words_in_any_case(void **state)
{
    static const struct {
        const char *text;
        const char *word;
        bool want;
    } cases[] = {
        {"Infinity", "infinity", true},   {"", "", true},     {"inf", "infinity", false},
        {"infinity ", "infinity", false}, {"", "nan", false}, {NULL, "nan", false},
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(ascii_is_word(str_of(cases[i].text), cases[i].word), cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_hexadecimal_digits),
        cmocka_unit_test(test_words_in_any_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
