/* witness.c: what speaks for a target, and what does not. */
#include "pg/witness.h"

#include "unit.h"

/* So many rows of a statement, and how many had an effect; or a refused one. */
#define STORED(st, n, some)                                                                        \
    {                                                                                              \
        .statement = (st), .rows = (n), .effects = (some)                                          \
    }
#define REFUSED(st, code)                                                                          \
    {                                                                                              \
        .statement = (st), .rows = 1, .sqlstate = (code)                                           \
    }

static enum txn_witness witness_of(struct witness_step *steps, size_t n, size_t at)
{
    witness_find(steps, n, 3);
    return steps[at].witness;
}

#define WITNESS_OF(at, ...)                                                                        \
    witness_of((struct witness_step[]){__VA_ARGS__},                                               \
               ARRAY_LEN(((struct witness_step[]){__VA_ARGS__})), at)

static void test_a_row_after_it_speaks_for_the_target(void **state)
{
    (void) state;
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "XX000"), STORED(0, 1, 1)), WITNESS_PLAIN);
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "XX000"), STORED(0, 9, 9)), WITNESS_PLAIN);
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "XX000"), STORED(0, 10, 10)), WITNESS_STRICT);
    assert_int_equal(WITNESS_OF(1, STORED(0, 5, 5), REFUSED(0, "XX000"), STORED(0, 1, 1)),
                     WITNESS_PLAIN);
}

static void test_rows_before_it_prove_nothing(void **state)
{
    (void) state;
    assert_int_equal(WITNESS_OF(1, STORED(0, 1000, 1000), REFUSED(0, "42501")), WITNESS_NONE);
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "42501")), WITNESS_NONE);
}

/* Rows that conflict with what is there, or whose key is not there. */
static void test_rows_without_effect_prove_nothing(void **state)
{
    (void) state;
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "XX000"), STORED(0, 1000, 0)), WITNESS_NONE);
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "XX000"), STORED(0, 1000, 9)), WITNESS_PLAIN);
}

static void test_other_statements_prove_nothing(void **state)
{
    (void) state;
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "XX000"), STORED(1, 50, 50), STORED(2, 50, 50)),
                     WITNESS_NONE);
    assert_int_equal(
        WITNESS_OF(0, REFUSED(0, "XX000"), STORED(1, 50, 50), STORED(0, 1, 1), STORED(2, 50, 50)),
        WITNESS_PLAIN);
}

static void test_one_of_fewer_than_ten_rows(void **state)
{
    (void) state;
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "23514"), REFUSED(0, "23514"), STORED(0, 7, 7)),
                     WITNESS_NONE);
    /* another code is another reason */
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "23514"), REFUSED(0, "XX000"), STORED(0, 7, 7)),
                     WITNESS_PLAIN);
    /* and of another statement too */
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "XX000"), REFUSED(1, "XX000"), STORED(0, 7, 7)),
                     WITNESS_PLAIN);
}

static void test_a_tenth_of_the_rows_from_the_first_on(void **state)
{
    (void) state;
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "XX000"), REFUSED(0, "XX000"), STORED(0, 18, 18)),
                     WITNESS_STRICT);
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "XX000"), REFUSED(0, "XX000"), STORED(0, 17, 17)),
                     WITNESS_NONE);
    /* What came before the first of them does not count. */
    assert_int_equal(WITNESS_OF(1, STORED(0, 100, 100), REFUSED(0, "XX000"), REFUSED(0, "XX000"),
                                STORED(0, 17, 17)),
                     WITNESS_NONE);
    /* Each looks at what comes after itself. */
    assert_int_equal(WITNESS_OF(2, REFUSED(0, "XX000"), STORED(0, 20, 20), REFUSED(0, "XX000")),
                     WITNESS_NONE);
    assert_int_equal(WITNESS_OF(0, REFUSED(0, "XX000"), STORED(0, 20, 20), REFUSED(0, "XX000")),
                     WITNESS_STRICT);
}

static void test_nothing(void **state)
{
    (void) state;
    witness_find(NULL, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_after_it_speaks_for_the_target),
        cmocka_unit_test(test_rows_before_it_prove_nothing),
        cmocka_unit_test(test_rows_without_effect_prove_nothing),
        cmocka_unit_test(test_other_statements_prove_nothing),
        cmocka_unit_test(test_one_of_fewer_than_ten_rows),
        cmocka_unit_test(test_a_tenth_of_the_rows_from_the_first_on),
        cmocka_unit_test(test_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
