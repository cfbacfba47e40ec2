/* target_marks.c */
#include "pg/target_marks.h"

#include "unit.h"

static struct target targets[1000];

static void test_a_mark_begins_with_nothing_said_and_is_found_again(void **state)
{
    struct target_marks marks = {0};

    (void) state;
    target_marks_begin(&marks, 2);
    struct target_mark *mark = target_marks_of(&marks, &targets[0]);
    assert_false(mark->is_checked);
    assert_false(mark->is_staged);
    assert_int_equal(mark->row_count, 0);
    mark->is_staged = true;
    assert_false(target_marks_of(&marks, &targets[1])->is_staged);
    assert_ptr_equal(target_marks_of(&marks, &targets[0]), mark);
    assert_true(mark->is_staged);
    target_marks_done(&marks);
}

static void test_as_many_targets_as_were_announced(void **state)
{
    struct target_marks marks = {0};

    (void) state;
    target_marks_begin(&marks, ARRAY_LEN(targets));
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        target_marks_of(&marks, &targets[i])->row_count = i;
    }
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        assert_int_equal(target_marks_of(&marks, &targets[i])->row_count, i);
    }
    target_marks_done(&marks);
}

static void test_the_next_transaction_knows_nothing(void **state)
{
    static const size_t sizes[] = {500, 3, 0, 1000};
    struct target_marks marks = {0};

    (void) state;
    for (size_t n = 0; n < ARRAY_LEN(sizes); n++) {
        target_marks_begin(&marks, sizes[n]);
        for (size_t i = 0; i < sizes[n]; i++) {
            assert_false(target_marks_of(&marks, &targets[i])->is_checked);
            target_marks_of(&marks, &targets[i])->is_checked = true;
        }
    }
    target_marks_done(&marks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_mark_begins_with_nothing_said_and_is_found_again),
        cmocka_unit_test(test_as_many_targets_as_were_announced),
        cmocka_unit_test(test_the_next_transaction_knows_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
