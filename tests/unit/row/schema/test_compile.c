/* compile.c: a language that nobody reads is an operator's fault, and says which. One thread. */
#include "row/schema/compile.h"

#include "unit.h"

/* Connect's schema part comes with each record, and never from a registry. */
static void test_a_language_without_a_reader(void **state)
{
    const struct schema *s = NULL;
    struct error err;

    (void) state;
    assert_false(schema_compile(SCHEMA_CONNECT, STR_LIT("{}"), NULL, 0, &s, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_non_null(strstr(err.text, "CONNECT"));
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_language_without_a_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
