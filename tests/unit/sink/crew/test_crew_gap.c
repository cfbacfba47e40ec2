/* crew_gap.c: what kafka.on_gap decides and what it does not, for every cause. librdkafka 2.0.2
 * cannot report a truncated log, nor the ids of topics: here the crew is given the reports.
 * One thread. */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"
#include "sink/worker/worker_state.h"

#include "unit.h"

#include <stdlib.h>

#define LOW 20
#define HIGH 120

struct rig {
    struct config cfg;
    struct worker worker;
    struct crew crew;
    struct partition *p;
};

static struct rig *rig_new(enum config_on_gap policy)
{
    struct rig *r = mem_zalloc(sizeof *r);
    const struct partition_ref ref = {.topic = "orders", .partition = 3};

    r->cfg.sink = mem_strdup("s");
    r->cfg.postgres.schema = mem_strdup("pgsinkd");
    r->cfg.kafka.on_gap = policy;
    r->crew.cc.cfg = &r->cfg;
    mailbox_init(&r->worker.orders);
    r->p = partition_add(&r->crew, &ref);
    r->p->worker = &r->worker;
    r->p->state = PARTITION_FETCHING;
    return r;
}

static void rig_free(struct rig *r)
{
    r->p->worker = NULL; /* whose load the crew would count */
    partition_forget(&r->crew, r->p);
    free(r->crew.partitions);
    index_done(&r->crew.index);
    mailbox_done(&r->worker.orders);
    free(r->cfg.sink);
    free(r->cfg.postgres.schema);
    free(r);
}

/* The library has reported the offset; the scout says where the log begins and ends. */
static void report(struct rig *r, int64_t offset, bool truncated, int64_t log_end)
{
    const struct report report = {
        .kind = REPORT_RESET, .offset = offset, .truncated = truncated, .log_end = log_end};

    crew_gap_report(r->p, &report);
    assert_int_equal(r->p->state, PARTITION_GAPPED);
    assert_true(r->p->range_due);
}

static void answer(struct rig *r)
{
    struct scout_mail *m = scout_mail_new(SCOUT_RANGE, 1);

    scout_mail_add(m, r->p->topic, r->p->number, r->p->generation);
    m->refs[0].offset = LOW;
    m->high = HIGH;
    crew_gap_answer(&r->crew, m);
    scout_mail_free(m);
}

static void expect_stop(struct rig *r, const char *why)
{
    answer(r);
    assert_int_equal(r->p->state, PARTITION_STOPPED);
    struct order *o = (struct order *) mailbox_take(&r->worker.orders);
    assert_non_null(o); /* the ledger is to say so, */
    assert_null(o->mail.next);
    assert_int_equal(o->kind, ORDER_STAND);
    assert_string_equal(o->fault->text, r->p->why);
    assert_true(*o->fault->hint != '\0'); /*   and what can be done */
    free(o->fault);
    free(o);
    assert_non_null(strstr(r->p->why, why));
    assert_true(r->crew.starts_due); /* the others go on without it */
    rig_free(r);
}

static void expect_gap(struct rig *r, int64_t to, enum gap_cause cause)
{
    int64_t from = r->p->reset_offset;

    answer(r);
    assert_int_equal(r->p->state, PARTITION_GAPPED);
    struct order *o = (struct order *) mailbox_take(&r->worker.orders);
    assert_non_null(o);
    assert_null(o->mail.next);
    assert_int_equal(o->kind, ORDER_GAP);
    assert_int_equal(o->gap.from, from);
    assert_int_equal(o->gap.to, to);
    assert_int_equal(o->gap.cause, cause);
    assert_int_equal(o->gap.low, LOW);
    assert_int_equal(o->gap.high, HIGH);
    free(o);
    rig_free(r);
}

static struct rig *reported(enum config_on_gap policy, int64_t offset, bool truncated,
                            int64_t log_end)
{
    struct rig *r = rig_new(policy);

    report(r, offset, truncated, log_end);
    return r;
}

static struct rig *created_again(enum config_on_gap policy, int64_t offset)
{
    struct rig *r = rig_new(policy);

    crew_gap_begin(r->p, offset, RESET_CREATED_AGAIN);
    return r;
}

static void test_below_the_log(void **state)
{
    (void) state;
    expect_stop(reported(ON_GAP_STOP, 10, false, -1), "next_offset 10 is below the log");
    expect_gap(reported(ON_GAP_EARLIEST, 10, false, -1), LOW, GAP_DELETED);
    expect_gap(reported(ON_GAP_LATEST, 10, false, -1), HIGH, GAP_DELETED);
}

/* Nobody knows why: a policy must neither read a whole log again nor pass it. */
static void test_above_the_log(void **state)
{
    (void) state;
    expect_stop(reported(ON_GAP_STOP, 130, false, -1), "next_offset 130 is above the log");
    expect_stop(reported(ON_GAP_EARLIEST, 130, false, -1), "is above the log");
    expect_stop(reported(ON_GAP_LATEST, 130, false, -1), "is above the log");
}

/* The offset may lie inside of the log again: it has grown since, with other records. */
static void test_truncated_at_a_known_offset(void **state)
{
    (void) state;
    expect_stop(reported(ON_GAP_STOP, 100, true, 90), "the log was truncated at offset 90");
    expect_gap(reported(ON_GAP_EARLIEST, 100, true, 90), 90, GAP_OVERWRITTEN);
    expect_gap(reported(ON_GAP_LATEST, 100, true, 90), HIGH, GAP_OVERWRITTEN);
    expect_gap(reported(ON_GAP_EARLIEST, 100, true, 5), LOW, GAP_OVERWRITTEN);
    expect_gap(reported(ON_GAP_EARLIEST, 130, true, 90), 90, GAP_OVERWRITTEN);
}

/* To begin at the start would store what is left of the old log twice. */
static void test_truncated_nobody_knows_where(void **state)
{
    (void) state;
    expect_stop(reported(ON_GAP_STOP, 100, true, -1), "truncated");
    expect_stop(reported(ON_GAP_EARLIEST, 100, true, -1), "truncated");
    expect_stop(reported(ON_GAP_LATEST, 100, true, -1), "truncated");
}

static void test_created_again(void **state)
{
    (void) state;
    expect_stop(created_again(ON_GAP_STOP, 100), "the topic was created again");
    expect_gap(created_again(ON_GAP_EARLIEST, 100), LOW, GAP_CREATED_AGAIN);
    expect_gap(created_again(ON_GAP_LATEST, 100), HIGH, GAP_CREATED_AGAIN);
    expect_gap(created_again(ON_GAP_EARLIEST, 500), LOW, GAP_CREATED_AGAIN);
}

static void expect_retry(struct rig *r)
{
    answer(r);
    assert_int_equal(r->p->state, PARTITION_GAPPED);
    assert_null(mailbox_take(&r->worker.orders));
    assert_true(r->p->retry_at != USEC_NEVER);
    rig_free(r);
}

/* Also when the log was cut after what was read: nothing that was stored is lost. */
static void test_inside_after_all(void **state)
{
    (void) state;
    expect_retry(reported(ON_GAP_STOP, LOW, false, -1));
    expect_retry(reported(ON_GAP_EARLIEST, HIGH, false, -1));
    expect_retry(reported(ON_GAP_EARLIEST, 100, true, 100));
    expect_retry(reported(ON_GAP_EARLIEST, 100, true, 110));
}

static void test_an_answer_that_comes_too_late(void **state)
{
    (void) state;
    struct rig *r = reported(ON_GAP_EARLIEST, 10, false, -1);
    r->p->start = START_UNVERIFIED; /* an operator was faster */
    answer(r);
    assert_null(mailbox_take(&r->worker.orders));
    assert_int_equal(r->p->state, PARTITION_GAPPED);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_below_the_log),
        cmocka_unit_test(test_above_the_log),
        cmocka_unit_test(test_truncated_at_a_known_offset),
        cmocka_unit_test(test_truncated_nobody_knows_where),
        cmocka_unit_test(test_created_again),
        cmocka_unit_test(test_inside_after_all),
        cmocka_unit_test(test_an_answer_that_comes_too_late),
    };

    log_init(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
