/* quota.c: a full bucket at first, a steady refill, and one bucket for all threads. */
#include "sink/plan/quota.h"

#include "base/thread.h"

#include "unit.h"

#define T0 (1000 * USEC_PER_SEC)

/* How many of `tries` are given at that time. */
static int take(struct quota *q, int tries, usec_t now)
{
    int taken = 0;

    for (int i = 0; i < tries; i++) {
        taken += quota_take(q, now);
    }
    return taken;
}

static void test_burst_and_refill(void **state)
{
    (void) state;
    struct quota q;

    quota_init(&q, 10, 10 * USEC_PER_SEC);
    assert_int_equal(take(&q, 20, T0), 10);
    assert_int_equal(take(&q, 20, T0 + USEC_PER_SEC - 1), 0);
    assert_int_equal(take(&q, 20, T0 + USEC_PER_SEC), 1);
    assert_int_equal(take(&q, 20, T0 + 4 * USEC_PER_SEC), 3);
    assert_int_equal(take(&q, 20, T0 + 100 * USEC_PER_SEC), 10);
    assert_int_equal(take(&q, 20, T0 + 100 * USEC_PER_SEC), 0);
}

/* A steady flow at the rate is never refused; a little above it, soon. */
static void test_flow(void **state)
{
    (void) state;
    struct quota q;
    usec_t now = T0;

    quota_init(&q, 1000, 60 * USEC_PER_SEC);
    for (int i = 0; i < 100000; i++, now += 60000) {
        assert_true(quota_take(&q, now));
    }
    quota_init(&q, 1000, 60 * USEC_PER_SEC);
    int given = 0;
    for (int i = 0; i < 100000; i++, now += 30000) {
        given += quota_take(&q, now);
    }
    assert_in_range(given, 50900, 51010); /* 3,000 s, and the full bucket at first */
}

static void test_rates_that_do_not_divide(void **state)
{
    (void) state;
    struct quota q;

    quota_init(&q, 7, USEC_PER_SEC);
    assert_int_equal(take(&q, 20, T0), 7);
    quota_init(&q, 1000000, USEC_PER_SEC);
    assert_int_equal(take(&q, 1000100, T0), 1000000);
    quota_init(&q, 1, 24 * 3600 * USEC_PER_SEC);
    assert_int_equal(take(&q, 3, T0), 1);
    assert_int_equal(take(&q, 3, T0 + 24 * 3600 * USEC_PER_SEC), 1);
}

/* From the very start of the clock; who looked at it a moment earlier gets rather less than more.
 */
static void test_clock(void **state)
{
    (void) state;
    struct quota q;

    quota_init(&q, 2, USEC_PER_SEC);
    assert_int_equal(take(&q, 3, 0), 2);
    quota_init(&q, 2, USEC_PER_SEC);
    assert_true(quota_take(&q, T0));
    assert_false(quota_take(&q, T0 - 1));
    assert_int_equal(take(&q, 2, T0), 1);
}

static void test_without_a_limit(void **state)
{
    (void) state;
    struct quota q;

    quota_init(&q, 0, 0);
    assert_int_equal(take(&q, 100000, T0), 100000);
}

static void test_room(void **state)
{
    (void) state;
    struct quota q;

    quota_init(&q, 1000, 1000 * USEC_PER_SEC);
    assert_int_equal(quota_room(&q, T0), 1000);
    assert_int_equal(take(&q, 400, T0), 400);
    assert_int_equal(quota_room(&q, T0), 600);
    assert_int_equal(quota_room(&q, T0 + 100 * USEC_PER_SEC), 700);
    assert_int_equal(take(&q, 2000, T0), 600);
    assert_int_equal(quota_room(&q, T0), 0);
    assert_int_equal(quota_room(&q, T0 + USEC_PER_SEC - 1), 0);
    quota_init(&q, 0, 0);
    assert_true(quota_room(&q, T0) == UINT64_MAX);
}

struct taker {
    struct thread thread;
    struct quota *q;
    int taken;
};

static void taker_body(void *arg)
{
    struct taker *t = arg;

    t->taken = take(t->q, 200000, T0);
}

static void test_threads_share_it(void **state)
{
    (void) state;
    struct quota q;
    struct taker takers[4];
    int taken = 0;

    quota_init(&q, 500000, 60 * USEC_PER_SEC);
    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        takers[i] = (struct taker){.q = &q};
        thread_start(&takers[i].thread, "taker", taker_body, &takers[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        thread_join(&takers[i].thread);
        taken += takers[i].taken;
    }
    assert_int_equal(taken, 500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_and_refill),
        cmocka_unit_test(test_flow),
        cmocka_unit_test(test_rates_that_do_not_divide),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_without_a_limit),
        cmocka_unit_test(test_threads_share_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
