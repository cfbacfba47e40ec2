/* replayer.c: which question is asked next, and when, by what the answers say. */
#include "sink/crew/replayer.h"

#include "unit.h"

#include <stdlib.h>

#define T0 (1000 * USEC_PER_SEC)

static struct replayer r;

static int setup(void **state)
{
    (void) state;
    replayer_init(&r, true, 2);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    replayer_done(&r);
    return 0;
}

/* The scout's answer to the question that is due, or to none: then false. */
static bool exchange(usec_t now, usec_t took, void (*answer)(struct scout_mail *m))
{
    struct scout_mail *m = replayer_turn(&r, now);

    if (m == NULL) {
        return false;
    }
    assert_int_equal(m->kind, SCOUT_REPLAY);
    assert_null(replayer_turn(&r, now)); /* one at a time */
    assert_false(replayer_is_idle(&r));
    answer(m);
    replayer_answer(&r, m, now + took);
    scout_mail_free(m);
    return true;
}

static void say_over(struct scout_mail *m)
{
    assert_int_equal(m->replay.route, 0);
    m->replay.over = true;
}

static void say_left(struct scout_mail *m)
{
    m->replay.over = true;
    m->replay.left = true;
}

static void say_first_route(struct scout_mail *m)
{
    assert_int_equal(m->replay.route, 0);
    m->replay.route = 1;
    m->replay.stored = 2;
}

static void say_second_route(struct scout_mail *m)
{
    assert_int_equal(m->replay.route, 1);
    m->replay.failed = 1;
}

static void say_end(struct scout_mail *m)
{
    assert_int_equal(m->replay.route, 1);
    assert_int_equal(m->replay.stored + m->replay.failed, 0);
    m->replay.over = true;
}

static void say_failed(struct scout_mail *m)
{
    error_set(&m->error, ERROR_AGAIN, "a test's fault");
    m->failed = true;
}

static void say_useless(struct scout_mail *m)
{
    error_set(&m->error, ERROR_SETUP, "a test's fault");
    m->replay.route++;
}

static void test_once_at_the_start(void **state)
{
    (void) state;
    assert_false(replayer_is_idle(&r));
    assert_true(exchange(T0, 1, say_over));
    assert_true(replayer_is_idle(&r));
    assert_false(exchange(T0, 1, say_over));
    assert_int_equal(replayer_deadline(&r), USEC_NEVER);
}

static void test_no_table(void **state)
{
    (void) state;
    replayer_done(&r);
    replayer_init(&r, false, 2);
    replayer_want(&r);
    assert_true(replayer_is_idle(&r));
    assert_false(exchange(T0, 1, say_over));
    assert_int_equal(replayer_deadline(&r), USEC_NEVER);
}

static void test_goes_on_where_it_stood(void **state)
{
    (void) state;
    assert_true(exchange(T0, 1, say_first_route));
    assert_true(exchange(T0, 1, say_second_route));
    assert_false(replayer_is_idle(&r));
    assert_true(exchange(T0, 1, say_end));
    assert_true(replayer_is_idle(&r));
    assert_int_equal(r.stored, 2);
    assert_int_equal(r.failed, 1);
}

static void test_wanted_meanwhile(void **state)
{
    (void) state;
    assert_true(exchange(T0, 1, say_first_route));
    replayer_want(&r);
    replayer_want(&r);
    assert_true(exchange(T0, 1, say_end));
    assert_false(replayer_is_idle(&r));
    assert_true(exchange(T0, 1, say_over)); /* another one, from the beginning */
    assert_true(replayer_is_idle(&r));
    assert_int_equal(r.stored, 0);
}

static void test_marks_are_left(void **state)
{
    (void) state;
    assert_true(exchange(T0, 1, say_left));
    assert_true(replayer_is_idle(&r)); /* --until-end does not wait for it */
    usec_t again_at = replayer_deadline(&r);
    assert_true(again_at > T0 && again_at < T0 + 60 * USEC_PER_SEC);
    assert_false(exchange(again_at - 1, 1, say_over));
    assert_true(exchange(again_at, 1, say_over));
    assert_int_equal(replayer_deadline(&r), USEC_NEVER);

    replayer_want(&r);
    assert_true(exchange(T0, 1, say_left));
    replayer_want(&r); /* somebody does not wait so long */
    assert_true(exchange(T0 + 1, 1, say_over));
    assert_int_equal(replayer_deadline(&r), USEC_NEVER);
}

static void test_chunks_become_smaller_and_larger(void **state)
{
    (void) state;
    assert_int_equal(r.at.limit, REPLAY_LETTERS);
    assert_true(exchange(T0, 2 * USEC_PER_SEC, say_first_route));
    assert_int_equal(r.at.limit, REPLAY_LETTERS / 2);
    assert_true(exchange(T0, 1, say_failed));
    assert_int_equal(r.at.limit, REPLAY_LETTERS / 4);
    for (int i = 0; i < 20; i++) {
        assert_true(exchange(T0, 1, say_failed));
    }
    assert_int_equal(r.at.limit, 1);
    assert_int_equal(r.at.route, 1); /* nothing is passed over */
    for (int i = 0; i < 20; i++) {
        assert_true(exchange(T0, 1, say_second_route));
    }
    assert_int_equal(r.at.limit, REPLAY_LETTERS);
}

static void test_a_route_of_no_use_is_passed(void **state)
{
    (void) state;
    assert_true(exchange(T0, 1, say_useless));
    assert_false(replayer_is_idle(&r));
    assert_int_equal(r.at.route, 1);
    assert_true(exchange(T0, 1, say_left));
    assert_true(replayer_is_idle(&r));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_once_at_the_start),
        TEST(test_no_table),
        TEST(test_goes_on_where_it_stood),
        TEST(test_wanted_meanwhile),
        TEST(test_marks_are_left),
        TEST(test_chunks_become_smaller_and_larger),
        TEST(test_a_route_of_no_use_is_passed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
