/* table.c: lookup, quoting. */
#include "row/table/table.h"

#include "row/kit.h"

static void test_free_takes_null(void **state)
{
    (void) state;
    table_free(NULL);
}

static void test_column_by_exact_name(void **state)
{
    (void) state;
    struct table *t = KIT_TABLE(kit_column("id", TYPE_INT8), kit_column("Id", TYPE_TEXT));
    assert_ptr_equal(table_column(t, STR_LIT("id")), &t->columns[0]);
    assert_ptr_equal(table_column(t, STR_LIT("Id")), &t->columns[1]);
    assert_null(table_column(t, STR_LIT("ID")));
    assert_null(table_column(t, STR_LIT("")));
    table_free(t);
}

static void test_identifiers_are_always_quoted(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf out = {0};
    table_quote_ident(&out, "plain");
    table_quote_ident(&out, "a\"b");
    table_quote_ident(&out, "");
    kit_assert_text(buf_cstr(&out), "\"plain\"\"a\"\"b\"\"\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_takes_null),
        cmocka_unit_test(test_column_by_exact_name),
        cmocka_unit_test(test_identifiers_are_always_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
