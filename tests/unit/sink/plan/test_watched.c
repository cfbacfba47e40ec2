/* watched.c: what several workers have seen of one table's columns is one count. */
#include "sink/plan/watched.h"

#include "unit.h"

#include <pthread.h>

static void test_each_target_has_its_own(void **state)
{
    (void) state;
    struct watched w = {.first = NULL};
    struct watched_table *a = watched_of(&w, 1, 130);
    struct watched_table *b = watched_of(&w, 2, 1);

    assert_ptr_not_equal(a, b);
    assert_ptr_equal(watched_of(&w, 1, 130), a);
    watched_find(a, 0);
    watched_find(a, 129);
    watched_find(a, 129);
    assert_true(watched_has(a, 0) && watched_has(a, 129));
    assert_false(watched_has(a, 1) || watched_has(a, 128) || watched_has(b, 0));
    assert_int_equal(watched_count(a), 1);
    assert_int_equal(watched_count(a), 2);
    assert_int_equal(watched_records(a), 2);
    assert_int_equal(watched_records(b), 0);
    watched_done(&w);
    assert_int_equal(watched_records(watched_of(&w, 1, 130)), 0);
    watched_done(&w);
}

static void test_there_is_an_end(void **state)
{
    (void) state;
    struct watched w = {.first = NULL};

    for (uint32_t i = 0; i < WATCHED_MAX; i++) {
        assert_non_null(watched_of(&w, i, 3));
    }
    assert_null(watched_of(&w, WATCHED_MAX, 3));
    assert_non_null(watched_of(&w, 0, 3));
    watched_done(&w);
}

#define WORKERS 4
#define TARGETS 16
#define RECORDS 2000

struct party {
    struct watched *w;
    size_t column;
    unsigned last; /* how often it has counted the last record */
};

static void *work(void *arg)
{
    struct party *p = arg;

    for (size_t i = 0; i < RECORDS; i++) {
        for (uint32_t target = 0; target < TARGETS; target++) {
            struct watched_table *t = watched_of(p->w, target, WORKERS);
            watched_find(t, p->column);
            if (watched_count(t) == WORKERS * RECORDS) {
                p->last++;
                for (size_t k = 0; k < WORKERS; k++) {
                    p->last += watched_has(t, k) ? 0 : 1000;
                }
            }
        }
    }
    return NULL;
}

static void test_workers_count_together(void **state)
{
    (void) state;
    struct watched w = {.first = NULL};
    struct party parties[WORKERS];
    pthread_t threads[WORKERS];
    unsigned last = 0;

    for (size_t i = 0; i < WORKERS; i++) {
        parties[i] = (struct party){.w = &w, .column = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &parties[i]), 0);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        last += parties[i].last;
    }
    assert_int_equal(last, TARGETS); /* one worker each, which saw what all had found */
    watched_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_target_has_its_own),
        cmocka_unit_test(test_there_is_an_end),
        cmocka_unit_test(test_workers_count_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
