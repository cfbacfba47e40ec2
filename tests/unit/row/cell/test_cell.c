/* cell.c: values in the words of an error text. */
#include "row/cell/cell.h"

#include "row/kit.h"

static void expect(const struct cell *c, const char *want)
{
    struct excerpt x;

    kit_assert_text(excerpt_cell(&x, c), want);
}

static struct cell text_cell(enum cell_kind kind, const char *text)
{
    return (struct cell){.kind = kind, .text = str_of(text)};
}

static void test_each_kind(void **state)
{
    (void) state;
    struct cell c = {.kind = CELL_ABSENT};
    expect(&c, "nothing");
    c.kind = CELL_NULL;
    expect(&c, "null");
    c.kind = CELL_BOOL;
    expect(&c, "false");
    c.truth = true;
    expect(&c, "true");
    c = (struct cell){.kind = CELL_INT, .number = INT64_MIN};
    expect(&c, "-9223372036854775808");
    c = text_cell(CELL_NUMBER, "1.50");
    expect(&c, "1.50");
    c = text_cell(CELL_JSON, "[1]");
    expect(&c, "[1]");
    c = text_cell(CELL_STRING, "a b");
    expect(&c, "\"a b\"");
    c = text_cell(CELL_BYTES, "");
    expect(&c, "\"\"");
}

static void test_kinds_in_words(void **state)
{
    (void) state;
    static const char *const names[] = {
        [CELL_ABSENT] = "nothing", [CELL_NULL] = "null",       [CELL_BOOL] = "a boolean",
        [CELL_INT] = "a number",   [CELL_NUMBER] = "a number", [CELL_STRING] = "a string",
        [CELL_JSON] = "an object", [CELL_BYTES] = "bytes",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct cell c = text_cell((enum cell_kind) i, "{}");
        assert_string_equal(cell_kind_name(&c), names[i]);
    }
    struct cell array = text_cell(CELL_JSON, "[]");
    assert_string_equal(cell_kind_name(&array), "an array");
}

static void test_control_characters_and_bad_bytes_are_escaped(void **state)
{
    (void) state;
    struct cell c = {.kind = CELL_BYTES, .text = STR_LIT("a\n\x7f\0\xff\xc3\xa9\xc3")};
    expect(&c, "\"a\\x0a\\x7f\\x00\\xff\xc3\xa9\\xc3\"");
}

static void test_long_values_are_cut_at_a_character(void **state)
{
    (void) state;
    char text[200];
    char want[200];
    memset(text, 'x', sizeof text);
    text[60] = '\0';
    struct cell c = text_cell(CELL_NUMBER, text);
    expect(&c, text);
    text[60] = 'x';
    text[61] = '\0';
    c = text_cell(CELL_NUMBER, text);
    snprintf(want, sizeof want, "%.60s...", text);
    expect(&c, want);
    memcpy(text + 58, "\xe2\x82\xac\xe2\x82\xac", 7); /* ends after byte 61 */
    c = text_cell(CELL_NUMBER, text);
    snprintf(want, sizeof want, "%.58s...", text);
    expect(&c, want);
    /* The longest possible: everything escaped, quoted and cut. */
    struct excerpt x;
    struct cell zeros = {.kind = CELL_BYTES, .text = {.p = want, .n = sizeof want}};
    memset(want, 1, sizeof want);
    const char *shown = excerpt_cell(&x, &zeros);
    assert_int_equal(strlen(shown), 60 * 4 + 5);
    assert_string_equal(shown + strlen(shown) - 4, "...\"");
}

static void test_fault(void **state)
{
    (void) state;
    struct error err;
    struct cell c = text_cell(CELL_NUMBER, "99999");
    assert_false(cell_fault(&c, &err, "is out of range for %s", "int2"));
    assert_int_equal(err.class, ERROR_RECORD);
    assert_string_equal(err.text, "99999 is out of range for int2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind),
        cmocka_unit_test(test_kinds_in_words),
        cmocka_unit_test(test_control_characters_and_bad_bytes_are_escaped),
        cmocka_unit_test(test_long_values_are_cut_at_a_character),
        cmocka_unit_test(test_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
