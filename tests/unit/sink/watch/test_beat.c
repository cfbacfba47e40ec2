/* beat.c: when a heartbeat is due, and what it says. */
#include "sink/watch/beat.h"

#include "base/log.h"
#include "unit.h"

#include <unistd.h>

static struct beat b;
static uint32_t workers;
static const struct crew_summary crew = {.partitions = 3};

static int setup(void **state)
{
    (void) state;
    beat_init(&b, "db7:4711:7cc48d16");
    workers = 2;
    return 0;
}

static struct scout_mail *beat_of(uint64_t records, uint64_t rows, usec_t now)
{
    const struct totals t = {.records = records, .rows = rows};

    return beat_turn(&b, &t, &crew, workers, now);
}

/* The next one, when it is due, answered well. */
static usec_t answered(uint64_t records, uint64_t rows, struct heartbeat *out)
{
    usec_t at = beat_deadline(&b);

    assert_null(beat_of(records, rows, at - 1));
    struct scout_mail *m = beat_of(records, rows, at);
    assert_non_null(m);
    assert_int_equal(m->kind, SCOUT_HEARTBEAT);
    assert_int_equal(beat_deadline(&b), USEC_NEVER); /* one at a time */
    *out = *m->beat;
    beat_answer(&b, m);
    scout_mail_free(m);
    return at;
}

static void test_soon_and_then_every_ten_seconds(void **state)
{
    struct heartbeat h;

    (void) state;
    usec_t first = answered(0, 0, &h);
    assert_true(first <= b.started + USEC_PER_SEC);
    assert_string_equal(h.owner, "db7:4711:7cc48d16");
    assert_string_equal(h.host, "db7");
    assert_int_equal(h.pid, getpid());
    assert_int_equal(h.workers, 2);
    assert_int_equal(h.partitions, 3);
    assert_int_equal(answered(0, 0, &h), first + 10 * USEC_PER_SEC);
}

static void test_another_number_of_workers(void **state)
{
    struct heartbeat h;

    (void) state;
    workers = 5;
    (void) answered(0, 0, &h);
    assert_int_equal(h.workers, 5);
}

static void test_rates_since_the_one_before(void **state)
{
    struct heartbeat h;

    (void) state;
    (void) answered(1000, 2000, &h);
    (void) answered(1100, 2200, &h);
    assert_true(h.records_per_second > 9.99 && h.records_per_second < 10.01);
    assert_true(h.rows_per_second > 19.99 && h.rows_per_second < 20.01);
    (void) answered(1100, 2200, &h);
    assert_true(h.records_per_second < 0.01 && h.rows_per_second < 0.01);
}

static void test_a_schema_that_comes_later(void **state)
{
    const struct totals before = {.records = 1000000, .rows = 2000000};
    struct heartbeat h;

    (void) state;
    beat_init(&b, NULL);
    b.started -= 60 * USEC_PER_SEC;
    beat_begin(&b, "db7:4711:7cc48d16", &before);
    (void) answered(before.records, before.rows, &h);
    assert_true(h.records_per_second < 0.01 && h.rows_per_second < 0.01);
    assert_true(h.age_usec >= 60 * USEC_PER_SEC);
}

static void say_errors(void *arg)
{
    struct heartbeat h;

    (void) arg;
    (void) answered(0, 0, &h);
    assert_string_equal(h.last_error, "");
    log_event(LOG_dead_letter, "a warning is none");
    (void) answered(0, 0, &h);
    assert_string_equal(h.last_error, "");
    log_event(LOG_drain_topic_left, "first");
    log_event(LOG_drain_topic_left, "second");
    (void) answered(0, 0, &h);
    assert_string_equal(h.last_error, "second");
    assert_true(h.last_error_age_usec > 5 * USEC_PER_SEC);
    log_event(LOG_drain_topic_left, "\xff is no text");
    (void) answered(0, 0, &h);
    assert_string_equal(h.last_error, "an error whose text is not UTF-8: see the log");
}

/* In a process of its own, which has logged nothing yet. */
static void test_the_last_error(void **state)
{
    (void) state;
    struct unit_end end = unit_run(say_errors, NULL);

    assert_int_equal(end.status, 0);
}

static void test_the_last_one(void **state)
{
    struct heartbeat h;

    (void) state;
    assert_null(beat_end(&b)); /* there is no row */
    (void) answered(0, 0, &h);
    struct scout_mail *m = beat_end(&b);
    assert_int_equal(m->kind, SCOUT_FAREWELL);
    assert_string_equal(m->beat->owner, "db7:4711:7cc48d16");
    scout_mail_free(m);
    assert_int_equal(beat_deadline(&b), USEC_NEVER);
}

static void test_without_a_schema(void **state)
{
    (void) state;
    beat_init(&b, NULL);
    assert_int_equal(beat_deadline(&b), USEC_NEVER);
    assert_null(beat_end(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_soon_and_then_every_ten_seconds, setup),
        cmocka_unit_test_setup(test_another_number_of_workers, setup),
        cmocka_unit_test_setup(test_rates_since_the_one_before, setup),
        cmocka_unit_test_setup(test_a_schema_that_comes_later, setup),
        cmocka_unit_test_setup(test_the_last_error, setup),
        cmocka_unit_test_setup(test_the_last_one, setup),
        cmocka_unit_test_setup(test_without_a_schema, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
