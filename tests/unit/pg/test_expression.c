/* expression.c: what is seen of an expression without a server. */
#include "pg/expression.h"

#include "unit.h"

static void test_what_is_fine(void **state)
{
    (void) state;
    static const char *const fine[] = {
        "1",
        "value->>'x'",
        "f(a, (b), ARRAY[1,(2)])",
        "'it''s ('",
        "E'a\\'('",
        "e'\\\\'",
        "type'a\\'", /* no E of its own */
        "\"odd ( name\"",
        "$$ ( ' $$",
        "$a$ $b$ ( $a$",
        "$1",
        "a$b$c",
        "a$$b",
        "a$$b$ + 1",
        "a$$ + b$$ + (c$$)",
        "type$e'a\\'",
        "E'a'\n'it\\'s ('",
        "E'a' -- it's\n  -- (\r\n\t'it\\'s (' || 'a\\'",
        "E'a''it\\'s ('",
        "E'a'\n + '\\'",
        "f(E'a'\n)",
        "'a'\n'b\\'",
        "1 -- (",
        "1 -- (\n+ 1",
        "1 /* ( /* ) */ ' */",
        "1 / 2 * 3 - 4",
        "'a;b'",
    };

    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        struct error err;
        if (!expression_check(fine[i], &err)) {
            print_error("%s: %s\n", fine[i], err.text);
            fail();
        }
    }
}

static void test_what_is_not(void **state)
{
    (void) state;
    static const char *const bad[][2] = {
        {"f(a", "sql: '(' at byte 2 is not closed"},
        {"f(a))", "sql: ')' at byte 5 closes nothing"},
        {"f(a]", "sql: ']' at byte 4 closes nothing"},
        {"]", "sql: ']' at byte 1 closes nothing"},
        {"'a", "sql: ''' at byte 1 is not closed"},
        {"E'a\\'", "sql: ''' at byte 2 is not closed"},
        {"'a\\' '", "sql: ''' at byte 6 is not closed"},
        {"E'a'\n'b\\'", "sql: ''' at byte 2 is not closed"},
        {"E'a' '\\' '", "sql: ''' at byte 10 is not closed"},
        {"a$$b(", "sql: '(' at byte 5 is not closed"},
        {"\"a", "sql: '\"' at byte 1 is not closed"},
        {"$a$ $b$", "sql: '$' at byte 1 is not closed"},
        {"1 /* /* */", "sql: '/*' at byte 3 is not closed"},
        {"1; DROP", "sql: ';' at byte 2"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error err;
        assert_false(expression_check(bad[i][0], &err));
        assert_string_equal(err.text, bad[i][1]);
        assert_int_equal(err.class, ERROR_SETUP);
    }
}

/* Deeper than what is kept, kinds are not compared any more. */
static void test_deep(void **state)
{
    (void) state;
    struct error err;
    char text[301] = "";

    memset(text, '(', 150);
    assert_false(expression_check(text, &err));
    memset(text + 150, ')', 150);
    assert_true(expression_check(text, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_fine),
        cmocka_unit_test(test_what_is_not),
        cmocka_unit_test(test_deep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
