/* format.c: the table of formats is complete. */
#include "row/format/format.h"

#include "row/kit.h"

static void test_each_format_has_its_row(void **state)
{
    (void) state;
    for (int id = 0; id < FORMAT_COUNT; id++) {
        const struct format *f = format_of((enum format_id) id);
        assert_non_null(f->name);
        assert_int_equal(f->has_fields, f->read != NULL);
        for (int other = 0; other < id; other++) {
            assert_string_not_equal(f->name, format_of((enum format_id) other)->name);
        }
    }
}

static void test_what_differs(void **state)
{
    (void) state;
    assert_string_equal(format_of(FORMAT_JSON)->name, "json");
    assert_true(format_of(FORMAT_JSON)->has_fields);
    assert_string_equal(format_of(FORMAT_RAW)->name, "raw");
    assert_false(format_of(FORMAT_RAW)->has_fields);
    assert_false(format_of(FORMAT_JSON)->wants_schema);
}

static void test_scratch_that_nothing_was_read_with(void **state)
{
    (void) state;
    struct format_scratch s = {0};
    format_scratch_done(&s);
    assert_null(s.document);
    format_scratch_init(&s);
    assert_non_null(s.document);
    format_scratch_done(&s);
    assert_null(s.document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_format_has_its_row),
        cmocka_unit_test(test_what_differs),
        cmocka_unit_test(test_scratch_that_nothing_was_read_with),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
