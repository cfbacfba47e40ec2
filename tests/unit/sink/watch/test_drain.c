/* drain.c: what is asked and when, when a drain is over, and what it says then. One thread. */
#include "sink/watch/drain.h"

#include "base/mem.h"
#include "config/config_kit.h"

#define T0 (1000 * USEC_PER_SEC)
#define PATIENCE (35 * USEC_PER_SEC) /* the session's timeout, 20 s, and 15 s */

static const char ledger_text[] = "sink: s\n"
                                  "kafka: {brokers: b, properties: {session.timeout.ms: 20000}}\n"
                                  "postgres: {dsn: ''}\n"
                                  "routes:\n"
                                  "  - {topics: [orders, payments], table: a}\n"
                                  "  - {topics: [orders, '^shop'], table: b}\n";
static const char group_text[] = "sink: s\n"
                                 "delivery: at_least_once\n"
                                 "kafka: {brokers: b}\n"
                                 "postgres: {dsn: ''}\n"
                                 "routes:\n"
                                 "  - {topics: [orders], table: a}\n";

static struct config *cfg;
static struct plan *plan;
static struct drain *d;
static struct buf said;

static void begin(void **state, const char *text)
{
    cfg = kit_load(*state, text);
    plan = plan_new(cfg);
    d = drain_new(cfg, plan);
}

static int setup(void **state)
{
    begin(state, ledger_text);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    drain_free(d);
    plan_free(plan);
    config_free(cfg);
    buf_done(&said);
    return 0;
}

/* ---- the scout ---- */

/* The question that is due is of this kind. */
static struct scout_mail *asked(enum scout_kind kind, usec_t now)
{
    struct scout_mail *m = drain_turn(d, now);

    assert_non_null(m);
    assert_int_equal(m->kind, kind);
    assert_null(drain_turn(d, now)); /* one at a time */
    return m;
}

static void give(struct scout_mail *m, usec_t now)
{
    drain_answer(d, m, now);
    scout_mail_free(m);
}

static void give_failed(struct scout_mail *m, usec_t now)
{
    m->failed = true;
    give(m, now);
}

/* A topic that the brokers know. */
struct there {
    const char *name;
    int partition_count;
};

static void give_topics(struct scout_mail *m, const struct there *topics, size_t n, usec_t now)
{
    m->topics = mem_array(n, sizeof *m->topics);
    m->topic_count = n;
    for (size_t i = 0; i < n; i++) {
        m->topics[i].name = mem_strdup(topics[i].name);
        m->topics[i].partition_count = topics[i].partition_count;
    }
    give(m, now);
}

/* The same offset for all that was asked about. */
static void give_offsets(struct scout_mail *m, int64_t offset, usec_t now)
{
    for (size_t i = 0; i < m->ref_count; i++) {
        m->refs[i].offset = offset;
    }
    give(m, now);
}

static void give_ledger(struct scout_mail *m, int64_t next_offset, const char *owner, usec_t now)
{
    m->owners = mem_array(m->ref_count, sizeof *m->owners);
    for (size_t i = 0; i < m->ref_count; i++) {
        m->owners[i] = mem_strdup(owner);
    }
    give_offsets(m, next_offset, now);
}

/* orders with two partitions, payments with one, all ending at 10: targets 0, 1, 2. */
static void know_targets(void)
{
    const struct there topics[] = {
        {"others", 7},
        {"orders", 2},
        {"payments", 1},
    };

    give_topics(asked(SCOUT_TARGETS, T0), topics, ARRAY_LEN(topics), T0);
    give_offsets(asked(SCOUT_TARGET_ENDS, T0), 10, T0);
    assert_int_equal(drain_count(d), 3);
}

/* ---- the crew ---- */

static void join(usec_t now)
{
    drain_note_group(d, &(struct crew_summary){.joined = true}, now);
}

static void hold(size_t i, enum crew_hold how, int64_t stored, usec_t now)
{
    const struct crew_place place = {
        .hold = how, .stored = stored, .why = how == CREW_STOPPED ? "the fault of a test" : NULL};

    drain_note(d, i, &place, now);
}

static void hold_all(enum crew_hold how, int64_t stored, usec_t now)
{
    for (size_t i = 0; i < drain_count(d); i++) {
        hold(i, how, stored, now);
    }
}

/* ---- the end ---- */

/* What is said of a topic; NULL: nothing. */
static const char *line(const char *topic, enum drain_end end)
{
    for (size_t i = 0; i < drain_topic_count(d); i++) {
        buf_clear(&said);
        if (drain_describe(d, i, end, &said) && strstr(buf_cstr(&said), topic) != NULL) {
            return buf_cstr(&said);
        }
    }
    return NULL;
}

static void expect_line(const char *topic, enum drain_end end, const char *text)
{
    const char *got = line(topic, end);

    assert_non_null(got);
    assert_string_equal(got, text);
}

/* ---- topics ---- */

static void test_topics_that_routes_take(void **state)
{
    (void) state;
    const struct there topics[] = {
        {"shop.1", 1}, {"payments", 3}, {"workshop", 1}, {"orders", 1}, {"shop.2", 2}};
    give_topics(asked(SCOUT_TARGETS, T0), topics, ARRAY_LEN(topics), T0);
    assert_int_equal(drain_count(d), 7);
    assert_string_equal(drain_ref(d, 0).topic, "shop.1");
    assert_string_equal(drain_ref(d, 3).topic, "payments");
    assert_int_equal(drain_ref(d, 3).partition, 2);
    assert_string_equal(drain_ref(d, 6).topic, "shop.2");
    struct scout_mail *m = asked(SCOUT_TARGET_ENDS, T0);
    assert_int_equal(m->ref_count, 7);
    give_offsets(m, 10, T0);
    assert_null(line("^shop", DRAIN_OVER));
}

static void test_a_missing_topic_is_asked_for_again(void **state)
{
    (void) state;
    const struct there some[] = {{"orders", 1}, {"payments", 0}};
    give_topics(asked(SCOUT_TARGETS, T0), some, ARRAY_LEN(some), T0);
    give_offsets(asked(SCOUT_TARGET_ENDS, T0), 10, T0);
    join(T0);
    hold_all(CREW_READING, 10, T0);
    assert_false(drain_is_over(d, T0));
    assert_null(drain_turn(d, T0 + USEC_PER_SEC - 1));

    const struct there all[] = {{"orders", 1}, {"payments", 1}};
    give_topics(asked(SCOUT_TARGETS, T0 + USEC_PER_SEC), all, ARRAY_LEN(all), T0);
    assert_int_equal(drain_count(d), 2);
    struct scout_mail *m = asked(SCOUT_TARGET_ENDS, T0 + USEC_PER_SEC);
    assert_int_equal(m->ref_count, 1);
    give_offsets(m, 10, T0);
    hold_all(CREW_READING, 10, T0);
    assert_true(drain_is_over(d, T0));
    assert_int_equal(drain_report(d, DRAIN_OVER), EXIT_OK);
}

static void test_a_topic_that_is_missing_for_good(void **state)
{
    (void) state;
    const struct there some[] = {{"orders", 1}};
    give_topics(asked(SCOUT_TARGETS, T0), some, 1, T0);
    give_offsets(asked(SCOUT_TARGET_ENDS, T0), 10, T0);
    expect_line("payments", DRAIN_SIGNAL,
                "topic 'payments': ended by a signal before it was read to its end");
    give_topics(asked(SCOUT_TARGETS, T0 + USEC_PER_SEC), some, 1, T0);
    join(T0);
    hold_all(CREW_READING, 9, T0);
    assert_false(drain_is_over(d, T0)); /* the others first */
    hold_all(CREW_READING, 10, T0);
    assert_true(drain_is_over(d, T0));
    expect_line("payments", DRAIN_OVER, "topic 'payments' does not exist, or may not be seen");
    assert_null(line("orders", DRAIN_OVER));
    assert_int_equal(drain_report(d, DRAIN_OVER), EXIT_SOURCE);
    hold(0, CREW_STOPPED, 9, T0);
    assert_int_equal(drain_report(d, DRAIN_OVER), EXIT_SOURCE); /* beside another fault, too */
}

static void test_kafka_is_never_reached(void **state)
{
    (void) state;
    expect_line("orders", DRAIN_TIMEOUT,
                "topic 'orders': --timeout expired before it was read to the end");
    assert_int_equal(drain_report(d, DRAIN_TIMEOUT), EXIT_FAULT); /* it was not asked */
    give_failed(asked(SCOUT_TARGETS, T0), T0);
    give_failed(asked(SCOUT_TARGETS, T0), T0);
    assert_false(drain_is_over(d, T0 + 100 * PATIENCE));
    expect_line("^shop", DRAIN_SIGNAL,
                "topic '^shop': ended by a signal before it was read to its end");
    assert_int_equal(drain_report(d, DRAIN_SIGNAL), EXIT_FAULT);
    assert_int_equal(drain_report(d, DRAIN_TIMEOUT), EXIT_SOURCE);
}

static void test_patterns_alone_that_match_nothing(void **state)
{
    teardown(state);
    begin(state, "sink: s\nkafka: {brokers: b}\npostgres: {dsn: ''}\n"
                 "routes: [{topics: ['^shop'], table: a}]\n");
    assert_false(drain_is_over(d, T0));
    give_topics(asked(SCOUT_TARGETS, T0), NULL, 0, T0);
    assert_null(drain_turn(d, T0));
    assert_true(drain_is_over(d, T0));
    assert_int_equal(drain_report(d, DRAIN_OVER), EXIT_OK);
}

/* ---- what is ours ---- */

static void test_all_is_ours(void **state)
{
    (void) state;
    know_targets();
    assert_false(drain_is_over(d, T0));
    join(T0);
    hold_all(CREW_BUSY, -1, T0);
    assert_false(drain_is_over(d, T0));
    hold_all(CREW_READING, 4, T0);
    assert_false(drain_is_over(d, T0 + 2 * PATIENCE)); /* however long it takes */
    assert_int_equal(drain_left(d).total, 18);
    hold_all(CREW_READING, 6, T0);
    assert_int_equal(drain_left(d).to_go, 12);
    assert_null(drain_turn(d, T0 + 2 * PATIENCE));
    expect_line("orders", DRAIN_SIGNAL,
                "topic 'orders': ended by a signal before it was read to its end: "
                "partition 0 stands at offset 6 of 10; partition 1 stands at offset 6 of 10");
    hold_all(CREW_READING, 10, T0);
    assert_true(drain_is_over(d, T0));
    assert_int_equal(drain_report(d, DRAIN_SIGNAL), EXIT_OK);
    assert_int_equal(drain_report(d, DRAIN_TIMEOUT), EXIT_OK);
}

static void test_a_claim_alone_does_not_say_that_it_is_read(void **state)
{
    (void) state;
    know_targets();
    join(T0);
    hold_all(CREW_BUSY, 10, T0); /* its log may turn out to be another one */
    assert_false(drain_is_over(d, T0));
    hold_all(CREW_READING, 10, T0);
    assert_true(drain_is_over(d, T0));
}

static void test_the_ledger_goes_back(void **state)
{
    (void) state;
    know_targets();
    join(T0);
    hold_all(CREW_READING, 10, T0);
    assert_true(drain_is_over(d, T0));
    hold(1, CREW_READING, 5, T0);
    assert_false(drain_is_over(d, T0));
}

static void test_stopped(void **state)
{
    (void) state;
    know_targets();
    join(T0);
    hold_all(CREW_READING, 10, T0);
    hold(1, CREW_STOPPED, 7, T0);
    assert_true(drain_is_over(d, T0));
    expect_line("orders", DRAIN_OVER,
                "topic 'orders': it is not read to its end: partition 1 has stopped at offset 7 "
                "of 10: the fault of a test");
    assert_null(line("payments", DRAIN_OVER));
    assert_int_equal(drain_report(d, DRAIN_OVER), EXIT_FAULT);
    drain_note(d, 2, &(struct crew_place){.hold = CREW_STOPPED, .stored = -1}, T0);
    expect_line("payments", DRAIN_OVER,
                "topic 'payments': it is not read to its end: partition 0 has stopped at offset 10 "
                "of 10: a fault");
}

static void test_ends_that_are_not_known_are_asked_for_again(void **state)
{
    (void) state;
    const struct there topics[] = {{"orders", 2}, {"payments", 1}};
    give_topics(asked(SCOUT_TARGETS, T0), topics, ARRAY_LEN(topics), T0);
    struct scout_mail *m = asked(SCOUT_TARGET_ENDS, T0);
    m->refs[0].offset = m->refs[2].offset = 10;
    m->refs[1].offset = LOOKUP_FAILED;
    give(m, T0);
    join(T0);
    hold_all(CREW_READING, 10, T0);
    assert_false(drain_is_over(d, T0 + 2 * PATIENCE));
    expect_line("orders", DRAIN_TIMEOUT,
                "topic 'orders': --timeout expired before it was read to the end: partition 1: "
                "its end is not known yet");
    hold(1, CREW_STOPPED, 10, T0);
    expect_line("orders", DRAIN_OVER,
                "topic 'orders': it is not read to its end: partition 1 has stopped at offset 10: "
                "the fault of a test");
    hold(1, CREW_READING, 10, T0);
    assert_null(drain_turn(d, T0));
    m = asked(SCOUT_TARGET_ENDS, T0 + USEC_PER_SEC);
    assert_int_equal(m->ref_count, 1);
    assert_int_equal(m->refs[0].partition, 1);
    give_offsets(m, 10, T0);
    assert_true(drain_is_over(d, T0));
}

/* ---- above the end ---- */

static void test_the_log_has_grown(void **state)
{
    (void) state;
    know_targets();
    join(T0);
    hold_all(CREW_READING, 10, T0);
    hold(0, CREW_READING, 12, T0);
    assert_false(drain_is_over(d, T0));
    struct scout_mail *m = asked(SCOUT_TARGET_ENDS, T0 + USEC_PER_SEC);
    assert_int_equal(m->ref_count, 1);
    hold(0, CREW_READING, 20, T0); /* while it is asked for */
    give_offsets(m, 13, T0);
    assert_true(drain_is_over(d, T0));
    assert_int_equal(drain_report(d, DRAIN_OVER), EXIT_OK);
}

static void test_the_log_is_another_one(void **state)
{
    (void) state;
    know_targets();
    join(T0);
    hold_all(CREW_READING, 10, T0);
    hold(0, CREW_READING, 12, T0);
    give_offsets(asked(SCOUT_TARGET_ENDS, T0 + USEC_PER_SEC), 10, T0);
    assert_false(drain_is_over(d, T0));
    expect_line("orders", DRAIN_SIGNAL,
                "topic 'orders': ended by a signal before it was read to its end: partition 0: "
                "next_offset 12 is above the log, which ends at 10");
    give_offsets(asked(SCOUT_TARGET_ENDS, T0 + 2 * USEC_PER_SEC), 10, T0); /* again and again */
    hold(0, CREW_STOPPED, 12, T0);
    assert_true(drain_is_over(d, T0));
    expect_line("orders", DRAIN_OVER,
                "topic 'orders': it is not read to its end: partition 0 has stopped at offset 12, "
                "beyond its end 10: the fault of a test");
    assert_int_equal(drain_report(d, DRAIN_OVER), EXIT_FAULT);
}

/* ---- what others hold ---- */

/* orders-1 is another's; the rest is ours, and read. */
static void share(usec_t now)
{
    know_targets();
    join(now);
    hold_all(CREW_READING, 10, now);
    hold(1, CREW_ELSEWHERE, -1, now);
}

static void test_others_are_asked_about_when_ours_are_read(void **state)
{
    (void) state;
    share(T0);
    hold(0, CREW_READING, 9, T0);
    assert_null(drain_turn(d, T0));
    hold(0, CREW_READING, 10, T0);
    struct scout_mail *m = asked(SCOUT_LEDGER, T0);
    assert_int_equal(m->ref_count, 1);
    assert_string_equal(m->refs[0].topic, "orders");
    assert_int_equal(m->refs[0].partition, 1);
    give_ledger(m, 4, "h:1:a", T0);
    assert_false(drain_is_over(d, T0));
    assert_null(drain_turn(d, T0 + USEC_PER_SEC - 1));
    give_ledger(asked(SCOUT_LEDGER, T0 + USEC_PER_SEC), 10, "h:1:a", T0 + USEC_PER_SEC);
    assert_true(drain_is_over(d, T0 + USEC_PER_SEC));
    assert_int_equal(drain_report(d, DRAIN_OVER), EXIT_OK);
}

static void test_patience_ends_when_nothing_moves(void **state)
{
    (void) state;
    share(T0);
    give_ledger(asked(SCOUT_LEDGER, T0), 4, "h:1:a", T0);
    usec_t t = T0 + PATIENCE - 1;
    assert_false(drain_is_over(d, t));
    give_ledger(asked(SCOUT_LEDGER, t), 5, "h:1:a", t);
    t += PATIENCE - 1;
    assert_false(drain_is_over(d, t));
    give_ledger(asked(SCOUT_LEDGER, t), 5, "h:2:b", t); /* somebody has taken over */
    t += PATIENCE - 1;
    give_failed(asked(SCOUT_LEDGER, t), t); /* not seen */
    t += PATIENCE - 1;
    drain_note_group(d, &(struct crew_summary){.joined = true, .away = true}, t);
    assert_false(drain_is_over(d, t + PATIENCE - 1));
    give_ledger(asked(SCOUT_LEDGER, t), 5, "h:2:b", t);
    assert_true(drain_is_over(d, t + PATIENCE));
    expect_line("orders", DRAIN_OVER,
                "topic 'orders': it is not read to its end: partition 1 is held by h:2:b, and "
                "stands at offset 5 of 10");
    assert_int_equal(drain_report(d, DRAIN_OVER), EXIT_FAULT);
}

static void test_what_others_held_becomes_ours(void **state)
{
    (void) state;
    share(T0);
    give_ledger(asked(SCOUT_LEDGER, T0), 4, "h:1:a", T0);
    struct scout_mail *late = asked(SCOUT_LEDGER, T0 + USEC_PER_SEC);
    hold(1, CREW_BUSY, -1, T0 + USEC_PER_SEC);
    hold(1, CREW_READING, 6, T0 + 2 * PATIENCE);
    give_ledger(late, 4, "h:1:a", T0 + 2 * PATIENCE);
    expect_line("orders", DRAIN_TIMEOUT,
                "topic 'orders': --timeout expired before it was read to the end: partition 1 "
                "stands at offset 6 of 10");
    assert_false(drain_is_over(d, T0 + 2 * PATIENCE));
    hold(1, CREW_READING, 10, T0 + 2 * PATIENCE);
    assert_true(drain_is_over(d, T0 + 2 * PATIENCE));
}

static void test_ours_become_anothers(void **state)
{
    (void) state;
    share(T0);
    give_ledger(asked(SCOUT_LEDGER, T0), 10, "h:1:a", T0);
    hold(0, CREW_ELSEWHERE, -1, T0); /* what was stored while it was ours counts */
    assert_true(drain_is_over(d, T0));
    hold(2, CREW_READING, 5, T0);
    hold(2, CREW_ELSEWHERE, -1, T0);
    assert_false(drain_is_over(d, T0));
}

static void test_nobody_has_claimed_it(void **state)
{
    (void) state;
    share(T0);
    give_ledger(asked(SCOUT_LEDGER, T0), -1, NULL, T0);
    assert_true(drain_is_over(d, T0 + PATIENCE));
    expect_line("orders", DRAIN_OVER,
                "topic 'orders': it is not read to its end: partition 1 is held by nobody, and "
                "stands before its first claim");
}

static void test_the_group_does_not_let_us_in(void **state)
{
    (void) state;
    know_targets();
    struct scout_mail *m = asked(SCOUT_LEDGER, T0);
    assert_int_equal(m->ref_count, 3);
    give_ledger(m, 10, "h:1:a", T0);
    assert_false(drain_is_over(d, T0)); /* nobody has looked at the log */
    assert_true(drain_is_over(d, T0 + PATIENCE));
    assert_int_equal(drain_report(d, DRAIN_OVER), EXIT_OK);
}

static void test_a_long_line_ends(void **state)
{
    (void) state;
    const struct there topics[] = {{"orders", 5}, {"payments", 1}};
    give_topics(asked(SCOUT_TARGETS, T0), topics, ARRAY_LEN(topics), T0);
    give_offsets(asked(SCOUT_TARGET_ENDS, T0), 10, T0);
    join(T0);
    hold_all(CREW_READING, 1, T0);
    expect_line("orders", DRAIN_TIMEOUT,
                "topic 'orders': --timeout expired before it was read to the end: "
                "partition 0 stands at offset 1 of 10; partition 1 stands at offset 1 of 10; "
                "partition 2 stands at offset 1 of 10; and 2 more");
}

static void test_without_a_ledger(void **state)
{
    teardown(state);
    begin(state, group_text);
    give_topics(asked(SCOUT_TARGETS, T0), &(const struct there){"orders", 1}, 1, T0);
    give_offsets(asked(SCOUT_TARGET_ENDS, T0), 10, T0);
    join(T0);
    give_ledger(asked(SCOUT_LEDGER, T0), 4, NULL, T0);
    expect_line("orders", DRAIN_OVER,
                "topic 'orders': it is not read to its end: partition 0 is held by another member "
                "of the group, and stands at offset 4 of 10");
    assert_false(drain_is_over(d, T0 + 60 * USEC_PER_SEC - 1)); /* the library's session timeout */
    give_ledger(asked(SCOUT_LEDGER, T0 + USEC_PER_SEC), LOOKUP_FAILED, NULL, T0);
    assert_true(drain_is_over(d, T0 + 60 * USEC_PER_SEC));
    assert_null(drain_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_topics_that_routes_take, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_missing_topic_is_asked_for_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_topic_that_is_missing_for_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kafka_is_never_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(test_patterns_alone_that_match_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_is_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_claim_alone_does_not_say_that_it_is_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_ledger_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends_that_are_not_known_are_asked_for_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_log_has_grown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_log_is_another_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others_are_asked_about_when_ours_are_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_patience_ends_when_nothing_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_others_held_becomes_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ours_become_anothers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_has_claimed_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_group_does_not_let_us_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_long_line_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_ledger, setup, teardown),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
