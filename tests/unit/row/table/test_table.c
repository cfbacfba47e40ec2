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

/* id and name, both of them the primary key, or only one column unique. */
static struct table *keyed_table(bool is_primary, uint32_t columns)
{
    struct table *t = KIT_TABLE(kit_column("id", TYPE_INT8), kit_column("name", TYPE_TEXT));

    t->unique_count = 1;
    t->uniques = mem_array(1, sizeof *t->uniques);
    t->uniques[0] = (struct unique){.is_primary = is_primary,
                                    .columns = mem_array(2, sizeof(uint32_t)),
                                    .column_count = columns};
    t->uniques[0].columns[1] = columns > 1 ? 1 : 0;
    return t;
}

static void test_a_table_that_has_changed(void **state)
{
    (void) state;
    struct table *t = keyed_table(true, 2);
    struct table *others[] = {keyed_table(true, 2), keyed_table(false, 2), keyed_table(true, 1),
                              keyed_table(true, 2), keyed_table(true, 2),  keyed_table(true, 2)};
    others[3]->uniques[0].columns[1] = 0;
    others[4]->columns[1].not_null = !t->columns[1].not_null;
    others[5]->may_select = !t->may_select;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(table_is_same(t, others[i]), i == 0);
        table_free(others[i]);
    }
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_takes_null),
        cmocka_unit_test(test_column_by_exact_name),
        cmocka_unit_test(test_identifiers_are_always_quoted),
        cmocka_unit_test(test_a_table_that_has_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
