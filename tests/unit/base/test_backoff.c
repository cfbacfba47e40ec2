/* backoff.c: between base and cap, spread, and fresh after a reset. */
#include "base/backoff.h"

#include "unit.h"

static void test_bounds(void **state)
{
    (void) state;
    struct backoff b;
    usec_t last = 0;
    bool capped = false;

    backoff_init(&b, 100, 5000, 42);
    for (int i = 0; i < 1000; i++) {
        usec_t wait = backoff_next(&b);
        assert_true(wait >= 100 && wait <= 5000);
        assert_true(wait <= MAX(last, (usec_t) 100) * 3);
        last = wait;
        capped = capped || wait == 5000;
    }
    assert_true(capped);

    backoff_reset(&b);
    assert_true(backoff_next(&b) <= 300);
}

static void test_seeds_differ(void **state)
{
    (void) state;
    struct backoff a;
    struct backoff b;
    int same = 0;

    backoff_init(&a, 1000, 10 * USEC_PER_SEC, 0);
    backoff_init(&b, 1000, 10 * USEC_PER_SEC, 1);
    for (int i = 0; i < 50; i++) {
        same += backoff_next(&a) == backoff_next(&b);
    }
    assert_true(same < 25);
}

static void test_equal_bounds(void **state)
{
    (void) state;
    struct backoff b;

    backoff_init(&b, 7, 7, 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(backoff_next(&b), 7);
    }
}

static void test_longest(void **state)
{
    (void) state;
    struct backoff b;

    backoff_init(&b, 7, 50, 1);
    assert_int_equal(backoff_longest(&b), 50);
    for (int i = 0; i < 10; i++) {
        assert_in_range(backoff_next(&b), 7, 50);
    }
}

static void zero_base(void *arg)
{
    struct backoff b;

    (void) arg;
    backoff_init(&b, 0, 1, 1);
}

static void test_wrong_bounds_abort(void **state)
{
    (void) state;
    unit_expect_abort(zero_base, NULL, "base > 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_equal_bounds),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_wrong_bounds_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
