/* seeker.c: when the scout looks for requests of seek(), and when again. */
#include "sink/crew/seeker.h"

#include "unit.h"

#define T0 (1000 * USEC_PER_SEC)

static struct seeker s;

static int setup(void **state)
{
    (void) state;
    seeker_init(&s, "host:1:abc");
    return 0;
}

/* Asks if it is due, and answers: so many are found, so many of them moved. */
static bool exchange(usec_t now, size_t found, size_t moved)
{
    struct scout_mail *m = seeker_turn(&s, now);

    if (m == NULL) {
        return false;
    }
    assert_int_equal(m->kind, SCOUT_SEEKS);
    assert_string_equal(m->seeking.owner, "host:1:abc");
    seeker_want(&s);
    assert_null(seeker_turn(&s, now)); /* one at a time */
    s.wanted = false;
    m->seeking.found = found;
    m->seeking.moved = moved;
    seeker_answer(&s, m, now);
    scout_mail_free(m);
    return true;
}

static void test_only_when_wanted(void **state)
{
    (void) state;
    assert_false(exchange(T0, 0, 0));
    assert_int_equal(seeker_deadline(&s), USEC_NEVER);
    seeker_want(&s);
    assert_true(exchange(T0, 2, 2));
    assert_false(exchange(T0 + 3600 * USEC_PER_SEC, 0, 0));
}

static void test_not_too_often(void **state)
{
    (void) state;
    seeker_want(&s);
    assert_true(exchange(T0, 0, 0));
    seeker_want(&s);
    usec_t at = seeker_deadline(&s);
    assert_true(at > T0 && at < T0 + USEC_PER_SEC);
    assert_false(exchange(at - 1, 0, 0));
    assert_true(exchange(at, 0, 0));
}

static void test_again_while_some_are_left(void **state)
{
    (void) state;
    seeker_want(&s);
    assert_true(exchange(T0, 2, 1));
    usec_t at = seeker_deadline(&s);
    assert_true(at > T0 && at < T0 + 10 * USEC_PER_SEC);
    assert_false(exchange(at - 1, 0, 0));
    assert_true(exchange(at, 1, 1));
    assert_int_equal(seeker_deadline(&s), USEC_NEVER);
}

/* A topic that is gone from Kafka is not asked for every 2 s for ever; a heartbeat changes nothing.
 */
static void test_more_and_more_seldom_in_vain(void **state)
{
    (void) state;
    usec_t at = T0;
    usec_t former = 0;
    seeker_want(&s);
    for (int i = 0; i < 8; i++) {
        assert_true(exchange(at, 1, 0));
        usec_t pause = seeker_deadline(&s) - at;
        assert_true(pause >= former && pause <= 30 * USEC_PER_SEC);
        seeker_remind(&s);
        assert_int_equal(seeker_deadline(&s), at + pause);
        former = pause;
        at += pause;
    }
    assert_int_equal(former, 30 * USEC_PER_SEC);
    seeker_want(&s); /* a new request, which can be done */
    assert_true(exchange(seeker_deadline(&s), 2, 1));
    assert_true(seeker_deadline(&s) < at + 3 * USEC_PER_SEC);
}

/* For lack of time: then at once. And after a failure, because nobody knows what there is. */
static void test_again_after_half_a_round(void **state)
{
    (void) state;
    seeker_want(&s);
    struct scout_mail *m = seeker_turn(&s, T0);
    m->seeking.left = true;
    m->seeking.found = 2;
    error_set(&m->seeking.why, ERROR_LINK, "t-0: kafka: a test's fault");
    seeker_answer(&s, m, T0);
    assert_true(seeker_deadline(&s) < T0 + USEC_PER_SEC);
    m->failed = true;
    s.wanted = false;
    seeker_answer(&s, m, T0);
    scout_mail_free(m);
    assert_true(seeker_deadline(&s) < T0 + 10 * USEC_PER_SEC);
}

static void test_without_a_ledger(void **state)
{
    (void) state;
    seeker_init(&s, NULL);
    seeker_want(&s);
    assert_false(exchange(T0, 0, 0));
    assert_int_equal(seeker_deadline(&s), USEC_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_only_when_wanted, setup),
        cmocka_unit_test_setup(test_not_too_often, setup),
        cmocka_unit_test_setup(test_again_while_some_are_left, setup),
        cmocka_unit_test_setup(test_more_and_more_seldom_in_vain, setup),
        cmocka_unit_test_setup(test_again_after_half_a_round, setup),
        cmocka_unit_test_setup(test_without_a_ledger, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
