/* key_arrays.c */
#include "pg/key_arrays.h"

#include "pg/sql.h"

#include "unit.h"

static void test_arrays_side_by_side(void **state)
{
    _cleanup_key_arrays_ struct key_arrays keys = {0};

    (void) state;
    key_arrays_begin(&keys);
    key_arrays_add(&keys, "orders", 3);
    sql_array_i64(&keys.of[KEY_ARRAYS_MORE], 42);
    key_arrays_add(&keys, "a\"b", 0);
    sql_array_null(&keys.of[KEY_ARRAYS_MORE]);
    assert_string_equal(key_arrays_end(&keys, KEY_ARRAYS_TOPIC), "{\"orders\",\"a\\\"b\"}");
    assert_string_equal(key_arrays_end(&keys, KEY_ARRAYS_PARTITION), "{3,0}");
    assert_string_equal(key_arrays_end(&keys, KEY_ARRAYS_MORE), "{42,NULL}");
}

static void test_the_next_statement_begins_with_none(void **state)
{
    _cleanup_key_arrays_ struct key_arrays keys = {0};

    (void) state;
    key_arrays_begin(&keys);
    key_arrays_add(&keys, "orders", 3);
    key_arrays_begin(&keys);
    assert_string_equal(key_arrays_end(&keys, KEY_ARRAYS_TOPIC), "{}");
    assert_string_equal(key_arrays_end(&keys, KEY_ARRAYS_PARTITION), "{}");
    assert_string_equal(key_arrays_end(&keys, KEY_ARRAYS_MAX - 1), "{}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays_side_by_side),
        cmocka_unit_test(test_the_next_statement_begins_with_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
