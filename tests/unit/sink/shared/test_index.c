/*
 * index.c: random puts, finds and removes against a plain table. Few topics and numbers, so that
 * keys collide, run around the end and leave holes. One thread.
 */
#include "sink/shared/index.h"

#include "unit.h"

enum { TOPICS = 7, NUMBERS = 50, STEPS = 200000 };

static const char *const topics[TOPICS] = {"a", "b", "ab", "ba", "orders", "orders-1", ""};
static uint64_t seed = 1;

static uint32_t chance(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (seed >> 33) % n;
}

/* Another pointer to the same text: names are compared by content. */
static const char *same_name(uint32_t topic)
{
    static char copy[16];

    snprintf(copy, sizeof copy, "%s", topics[topic]);
    return copy;
}

static void check_all(const struct index *ix, int model[TOPICS][NUMBERS])
{
    size_t count = 0;

    for (uint32_t t = 0; t < TOPICS; t++) {
        for (int n = 0; n < NUMBERS; n++) {
            int *value = &model[t][n];
            assert_ptr_equal(index_find(ix, same_name(t), n), *value ? value : NULL);
            count += *value != 0;
        }
    }
    assert_int_equal(ix->count, count);
    assert_true(2 * ix->count <= ix->size || ix->size == 0);
}

static void test_empty(void **state)
{
    struct index ix = {0};

    (void) state;
    assert_null(index_find(&ix, "a", 0));
    index_remove(&ix, "a", 0);
    index_done(&ix);
    index_done(&ix);
}

static void test_numbers_and_names_are_both_keys(void **state)
{
    struct index ix = {0};
    int x[3];

    (void) state;
    index_put(&ix, "a", 1, &x[0]);
    index_put(&ix, "a", 2, &x[1]);
    index_put(&ix, "b", 1, &x[2]);
    assert_ptr_equal(index_find(&ix, "a", 1), &x[0]);
    assert_ptr_equal(index_find(&ix, "a", 2), &x[1]);
    assert_ptr_equal(index_find(&ix, "b", 1), &x[2]);
    assert_null(index_find(&ix, "b", 2));
    assert_null(index_find(&ix, "a", -1));
    index_remove(&ix, "a", 2);
    assert_null(index_find(&ix, "a", 2));
    assert_ptr_equal(index_find(&ix, "a", 1), &x[0]);
    index_done(&ix);
}

static void test_random(void **state)
{
    static int model[TOPICS][NUMBERS];
    struct index ix = {0};

    (void) state;
    for (int step = 0; step < STEPS; step++) {
        uint32_t t = chance(TOPICS);
        int n = (int) chance(NUMBERS);
        /* Fills up and empties in turns, so that every load is met. */
        if (chance(100) < (step / 5000 % 2 ? 30U : 70U)) {
            if (!model[t][n]) {
                model[t][n] = 1;
                index_put(&ix, topics[t], n, &model[t][n]);
            }
        } else {
            model[t][n] = 0;
            index_remove(&ix, same_name(t), n);
        }
        assert_ptr_equal(index_find(&ix, same_name(t), n), model[t][n] ? &model[t][n] : NULL);
        if (step % 1000 == 0) {
            check_all(&ix, model);
        }
    }
    check_all(&ix, model);
    index_done(&ix);
}

static void put_twice(void *arg)
{
    struct index ix = {0};

    (void) arg;
    index_put(&ix, "a", 1, &ix);
    index_put(&ix, "a", 1, &ix);
}

static void test_a_key_must_be_new(void **state)
{
    (void) state;
    unit_expect_abort(put_twice, NULL, "topic == NULL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_numbers_and_names_are_both_keys),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_a_key_must_be_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
