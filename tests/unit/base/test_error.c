/* error.c: what is set, cleared, wrapped and cut. */
#include "base/error.h"

#include "unit.h"

static void test_set_clears(void **state)
{
    (void) state;
    struct error err = {.sqlstate = "22003", .column = "amount", .hint = "Old hint."};

    assert_false(error_set(&err, ERROR_LINK, "gone after %d s", 3));
    assert_int_equal(err.class, ERROR_LINK);
    assert_string_equal(err.text, "gone after 3 s");
    assert_string_equal(err.sqlstate, "");
    assert_string_equal(err.column, "");
    assert_string_equal(err.hint, "");
}

static void test_wrap_goes_outward(void **state)
{
    (void) state;
    struct error err;

    error_set(&err, ERROR_RECORD, "numeric out of range");
    assert_false(error_sqlstate(&err, "22003"));
    assert_false(error_hint(&err, "Widen the column '%s'.", "amount"));
    assert_false(error_wrap(&err, "column '%s'", "amount"));
    assert_false(error_wrap(&err, "orders-3@%d", 18211));
    assert_string_equal(err.text, "orders-3@18211: column 'amount': numeric out of range");
    assert_string_equal(err.hint, "Widen the column 'amount'.");
    assert_string_equal(err.sqlstate, "22003");
    assert_int_equal(err.class, ERROR_RECORD);
}

static void test_own_field_as_argument(void **state)
{
    (void) state;
    struct error err;

    error_set(&err, ERROR_AGAIN, "one");
    error_set(&err, ERROR_AGAIN, "%s, two", err.text);
    error_wrap(&err, "%s", err.text);
    assert_string_equal(err.text, "one, two: one, two");
}

static void test_cut_at_a_character(void **state)
{
    (void) state;
    static const char *const chars[] = {"a", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    struct error err;
    char long_text[2000];

    for (size_t c = 0; c < ARRAY_LEN(chars); c++) {
        size_t len = strlen(chars[c]);
        for (size_t shift = 0; shift < 4; shift++) {
            memset(long_text, 'x', shift);
            for (size_t i = shift; i + len < sizeof long_text; i += len) {
                memcpy(long_text + i, chars[c], len + 1);
            }
            error_set(&err, ERROR_RECORD, "%s", long_text);
            size_t n = strlen(err.text);
            assert_true(n < sizeof err.text && n > sizeof err.text - 5);
            assert_int_equal((n - shift) % len, 0);

            error_set(&err, ERROR_RECORD, "%.700s", long_text + shift);
            err.text[700 / len * len] = '\0';
            error_wrap(&err, "%0*d", (int) (60 + shift), 0);
            n = strlen(err.text);
            assert_true(n < sizeof err.text);
            assert_int_equal((n - 60 - shift - 2) % len, 0);
        }
    }
}

static void test_cut_of_bytes_that_are_no_text(void **state)
{
    (void) state;
    char bytes[1000];
    struct error err;

    memset(bytes, 0x80, sizeof bytes - 1);
    bytes[sizeof bytes - 1] = '\0';
    error_set(&err, ERROR_RECORD, "%s", bytes);
    assert_true(strlen(err.text) >= sizeof err.text - 5);
}

static void test_names(void **state)
{
    (void) state;
    assert_string_equal(error_class_name(ERROR_NONE), "none");
    assert_string_equal(error_class_name(ERROR_AGAIN), "again");
    assert_string_equal(error_class_name(ERROR_LINK), "link");
    assert_string_equal(error_class_name(ERROR_FENCED), "fenced");
    assert_string_equal(error_class_name(ERROR_RECORD), "record");
    assert_string_equal(error_class_name(ERROR_SETUP), "setup");
    assert_string_equal(error_class_name(ERROR_KAFKA), "kafka");
}

static void test_reasons(void **state)
{
    (void) state;
    struct error one;
    struct error other;

    error_set(&one, ERROR_LINK, "one");
    error_set(&other, ERROR_LINK, "other");
    assert_true(error_reason(&one) != 0);
    assert_true(error_reason(&one) != error_reason(&other));
    error_sqlstate(&one, "28P01");
    assert_true(error_reason(&one) != error_reason(&other));
    error_sqlstate(&other, "28P01");
    assert_true(error_reason(&one) == error_reason(&other));
}

static void test_short_text(void **state)
{
    (void) state;
    struct error err;
    char out[8];

    error_set(&err, ERROR_LINK, "gone");
    error_short_text(&err, out, sizeof out);
    assert_string_equal(out, "gone");
    error_set(&err, ERROR_LINK, "123456\xc3\xa4");
    error_short_text(&err, out, sizeof out);
    assert_string_equal(out, "123456");
    error_set(&err, ERROR_LINK, "1234567890");
    error_short_text(&err, out, sizeof out);
    assert_string_equal(out, "1234567");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_clears),
        cmocka_unit_test(test_short_text),
        cmocka_unit_test(test_wrap_goes_outward),
        cmocka_unit_test(test_own_field_as_argument),
        cmocka_unit_test(test_cut_at_a_character),
        cmocka_unit_test(test_cut_of_bytes_that_are_no_text),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
