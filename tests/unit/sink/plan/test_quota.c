/* quota.c: the credit of a share, and the bucket of a rate, which all threads share. */
#include "sink/plan/quota.h"

#include "base/thread.h"

#include "unit.h"

#define T0 (1000 * USEC_PER_SEC)

enum { PERCENT = QUOTA_SHARE_PARTS / 100 };

/* So many of the same kind. */
static bool take_run(struct quota *q, int goods, int letters, usec_t now, int64_t *out_amount)
{
    struct quota_use use;

    quota_use_begin(q, &use);
    for (int i = 0; i < goods; i++) {
        quota_use_good(q, &use);
    }
    for (int i = 0; i < letters; i++) {
        quota_use_letter(q, &use);
    }
    return quota_take(q, &use, now, out_amount);
}

/* One after the other. */
static bool take_one(struct quota *q, bool letter)
{
    int64_t amount;

    return take_run(q, !letter, letter, T0, &amount);
}

/* How many of `tries` letters are given at that time, one by one. */
static int take(struct quota *q, int tries, usec_t now)
{
    int taken = 0;
    int64_t amount;

    for (int i = 0; i < tries; i++) {
        taken += take_run(q, 0, 1, now, &amount);
    }
    return taken;
}

/* How many fit at once. */
static int room(struct quota *q, usec_t now)
{
    struct quota_use use;
    int n = 0;

    for (quota_use_begin(q, &use);; n++) {
        quota_use_letter(q, &use);
        if (!quota_fits(q, &use, now)) {
            return n;
        }
    }
}

/* ---- a share ---- */

static void test_all_bad_from_the_start(void **state)
{
    static const uint32_t shares[] = {1, 25, 1 * PERCENT, 50 * PERCENT, 99 * PERCENT, 9999};
    struct quota q;

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(shares); i++) {
        quota_init_share(&q, shares[i], QUOTA_WINDOW);
        assert_int_equal(room(&q, T0), QUOTA_WINDOW);
        assert_int_equal(take(&q, 5000, T0), QUOTA_WINDOW);
        assert_int_equal(room(&q, T0), 0);
    }
}

/* Every n-th record is bad, spread evenly. Records until it is over; 0: never, in a million. */
static int64_t records_until_over(uint32_t share, uint32_t bad_share)
{
    struct quota q;
    uint32_t due = 0;

    quota_init_share(&q, share, QUOTA_WINDOW);
    for (int64_t n = 1; n <= 1000000; n++) {
        due += bad_share;
        bool letter = due >= QUOTA_SHARE_PARTS;
        due -= letter ? QUOTA_SHARE_PARTS : 0;
        if (!take_one(&q, letter)) {
            return n;
        }
    }
    return 0;
}

static void test_a_steady_share(void **state)
{
    (void) state;
    for (uint32_t share = 5 * PERCENT; share < 100 * PERCENT; share += 15 * PERCENT) {
        for (uint32_t bad = 3 * PERCENT; bad <= 100 * PERCENT; bad += 7 * PERCENT) {
            int64_t n = records_until_over(share, bad);
            if (bad <= share) {
                assert_int_equal(n, 0);
                continue;
            }
            double expected = (double) QUOTA_WINDOW * (QUOTA_SHARE_PARTS - share) / (bad - share);
            assert_in_range(n, (int64_t) (expected * 0.99) - 40, (int64_t) (expected * 1.01) + 40);
        }
    }
}

static void test_a_run_is_forgiven_once_the_credit_is_full(void **state)
{
    struct quota q;

    (void) state;
    quota_init_share(&q, 50 * PERCENT, QUOTA_WINDOW);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5000; i++) {
            assert_true(take_one(&q, false));
        }
        assert_int_equal(take(&q, 2000, T0), QUOTA_WINDOW);
    }
    for (int i = 0; i < 100; i++) {
        assert_true(take_one(&q, false));
    }
    assert_int_equal(take(&q, 2000, T0), 100); /* at 50 %: one for each good one */
}

static uint64_t seed;

static uint32_t chance(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (seed >> 33) % n;
}

/* A run taken at once is what its records are one by one, and given back leaves no trace. */
static void test_a_run_is_its_records(void **state)
{
    (void) state;
    for (uint64_t round = 1; round < 3000; round++) {
        seed = round;
        struct quota one;
        struct quota all;
        struct quota_use use;
        uint32_t share = 1 + chance(QUOTA_SHARE_PARTS - 1);
        uint32_t rate = 1 + chance(4);
        quota_init_share(&one, share, 20);
        quota_init_share(&all, share, 20);
        int before = (int) chance(21);
        assert_int_equal(take(&one, before, T0), before);
        assert_int_equal(take(&all, before, T0), before);
        quota_use_begin(&all, &use);
        bool fits = true;
        for (uint32_t i = chance(60); i > 0; i--) {
            bool letter = chance(4) < rate;
            fits = fits && take_one(&one, letter);
            if (letter) {
                quota_use_letter(&all, &use);
            } else {
                quota_use_good(&all, &use);
            }
            assert_int_equal(quota_fits(&all, &use, T0), fits);
        }
        int64_t amount;
        int64_t credit = atomic_load(&all.state);
        assert_int_equal(quota_take(&all, &use, T0, &amount), fits);
        if (fits) {
            assert_int_equal(atomic_load(&all.state), atomic_load(&one.state));
            quota_give_back(&all, amount);
        }
        assert_int_equal(atomic_load(&all.state), credit);
    }
}

/* Several are on their way when the first fails: they are given back in any order. */
static void test_given_back(void **state)
{
    struct quota q;
    int64_t amounts[3];

    (void) state;
    quota_init_share(&q, 10 * PERCENT, 100);
    int64_t full = atomic_load(&q.state);
    for (int i = 0; i < 3; i++) {
        assert_true(take_run(&q, 50, 30, T0, &amounts[i]));
    }
    assert_int_equal(take(&q, 100, T0), 21); /* 100 - 90, and 2 x 50 good ones give 11 */
    quota_give_back(&q, amounts[1]);
    quota_give_back(&q, amounts[0]);
    quota_give_back(&q, amounts[2]);
    assert_true(atomic_load(&q.state) <= full);
    assert_int_equal(take(&q, 100, T0), 79);
}

/* What good records had added was used by others, and is given back: until it is there again, good
 * records go on, and letters do not. */
static void test_below_zero(void **state)
{
    struct quota q;
    int64_t amount;

    (void) state;
    quota_init_share(&q, 50 * PERCENT, 10);
    assert_int_equal(take(&q, 10, T0), 10);
    assert_true(take_run(&q, 10, 0, T0, &amount));
    assert_int_equal(take(&q, 20, T0), 10);
    quota_give_back(&q, amount);
    assert_true(take_run(&q, 10, 0, T0, &amount));
    assert_int_equal(room(&q, T0), 0);
    assert_true(take_run(&q, 10, 10, T0, &amount)); /* good ones first */
}

static void test_refilled(void **state)
{
    struct quota q;

    (void) state;
    quota_init_share(&q, 50 * PERCENT, QUOTA_WINDOW);
    assert_int_equal(take(&q, 2000, T0), 1000);
    quota_refill(&q);
    assert_int_equal(take(&q, 2000, T0), 1000);
    quota_init_rate(&q, 10, 10 * USEC_PER_SEC);
    assert_int_equal(take(&q, 20, T0), 10);
    quota_refill(&q);
    assert_int_equal(take(&q, 20, T0), 10);
}

/* ---- a rate ---- */

static void test_burst_and_refill(void **state)
{
    (void) state;
    struct quota q;

    quota_init_rate(&q, 10, 10 * USEC_PER_SEC);
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

    quota_init_rate(&q, 1000, 60 * USEC_PER_SEC);
    for (int i = 0; i < 100000; i++, now += 60000) {
        assert_int_equal(take(&q, 1, now), 1);
    }
    quota_init_rate(&q, 1000, 60 * USEC_PER_SEC);
    int given = 0;
    for (int i = 0; i < 100000; i++, now += 30000) {
        given += take(&q, 1, now);
    }
    assert_in_range(given, 50900, 51010); /* 3,000 s, and the full bucket at first */
}

static void test_rates_that_do_not_divide(void **state)
{
    (void) state;
    struct quota q;

    quota_init_rate(&q, 7, USEC_PER_SEC);
    assert_int_equal(take(&q, 20, T0), 7);
    quota_init_rate(&q, 1000000, USEC_PER_SEC);
    assert_int_equal(take(&q, 1000100, T0), 1000000);
    quota_init_rate(&q, 1, 24 * 3600 * USEC_PER_SEC);
    assert_int_equal(take(&q, 3, T0), 1);
    assert_int_equal(take(&q, 3, T0 + 24 * 3600 * USEC_PER_SEC), 1);
}

/* From the very start of the clock; who looked at it a moment earlier gets rather less than more.
 */
static void test_clock(void **state)
{
    (void) state;
    struct quota q;

    quota_init_rate(&q, 2, USEC_PER_SEC);
    assert_int_equal(take(&q, 3, 0), 2);
    quota_init_rate(&q, 2, USEC_PER_SEC);
    assert_int_equal(take(&q, 1, T0), 1);
    assert_int_equal(take(&q, 1, T0 - 1), 0);
    assert_int_equal(take(&q, 2, T0), 1);
}

static void test_a_run_of_a_rate(void **state)
{
    (void) state;
    struct quota q;
    int64_t amount;

    quota_init_rate(&q, 1000, 1000 * USEC_PER_SEC);
    assert_int_equal(room(&q, T0), 1000);
    assert_true(take_run(&q, 5000, 400, T0, &amount));
    assert_int_equal(room(&q, T0), 600);
    assert_int_equal(room(&q, T0 + 100 * USEC_PER_SEC), 700);
    assert_false(take_run(&q, 5000, 601, T0, &amount));
    assert_true(take_run(&q, 0, 600, T0, &amount));
    assert_int_equal(room(&q, T0), 0);
    quota_give_back(&q, amount);
    assert_int_equal(room(&q, T0), 600);
    quota_init_rate(&q, 1, 24 * 3600 * USEC_PER_SEC); /* more steps than a number of ns holds */
    assert_false(take_run(&q, 0, 200000, T0, &amount));
}

/* ---- both ---- */

static void test_without_a_limit(void **state)
{
    (void) state;
    struct quota q;
    int64_t amount;

    quota_init_off(&q);
    assert_int_equal(take(&q, 100000, T0), 100000);
    assert_true(take_run(&q, 3, 100000, T0, &amount));
    assert_int_equal(amount, 0);
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

static int take_by_threads(struct quota *q)
{
    struct taker takers[4];
    int taken = 0;

    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        takers[i] = (struct taker){.q = q};
        thread_start(&takers[i].thread, "taker", taker_body, &takers[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        thread_join(&takers[i].thread);
        taken += takers[i].taken;
    }
    return taken;
}

static void test_threads_share_it(void **state)
{
    (void) state;
    struct quota q;

    quota_init_rate(&q, 500000, 60 * USEC_PER_SEC);
    assert_int_equal(take_by_threads(&q), 500000);
    quota_init_share(&q, 30 * PERCENT, 500000);
    assert_int_equal(take_by_threads(&q), 500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_bad_from_the_start),
        cmocka_unit_test(test_a_steady_share),
        cmocka_unit_test(test_a_run_is_forgiven_once_the_credit_is_full),
        cmocka_unit_test(test_a_run_is_its_records),
        cmocka_unit_test(test_given_back),
        cmocka_unit_test(test_below_zero),
        cmocka_unit_test(test_refilled),
        cmocka_unit_test(test_burst_and_refill),
        cmocka_unit_test(test_flow),
        cmocka_unit_test(test_rates_that_do_not_divide),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_a_run_of_a_rate),
        cmocka_unit_test(test_without_a_limit),
        cmocka_unit_test(test_threads_share_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
