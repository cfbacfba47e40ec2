/*
 * The crew's state machine, one situation at a time: what main does with a partition from its
 * assignment until it is fetched, when it is moved, lost, stopped, revoked. What kafka.on_gap
 * decides is in test_crew_gap.c; any order of events in test_crew_random.c. One thread.
 */
#include "crew_rig.h"

#define SECOND USEC_PER_SEC
#define ORDERS(n)                                                                                  \
    {                                                                                              \
        .topic = "orders", .partition = (n)                                                        \
    }

/* ---- words ---- */

/* The next order to the partition's worker, which is this one. */
static void expect_order(const struct partition *p, enum order_kind kind, int64_t offset,
                         uint64_t seq)
{
    struct order *o = (struct order *) mailbox_take(&p->worker->orders);

    assert_non_null(o);
    assert_null(o->mail.next);
    assert_int_equal(o->kind, kind);
    assert_ptr_equal(o->partition, p);
    assert_int_equal(o->offset, offset);
    assert_int_equal(o->seq, seq);
    rig_order_free(o);
}

/* Main has stopped it, and the ledger is to say so. */
static void expect_stand(const struct partition *p)
{
    struct order *o = (struct order *) mailbox_take(&p->worker->orders);

    assert_non_null(o);
    assert_null(o->mail.next);
    assert_int_equal(o->kind, ORDER_STAND);
    assert_string_equal(o->fault->text, p->why);
    rig_order_free(o);
}

static void expect_no_order(const struct rig *r)
{
    for (size_t i = 0; i < RIG_WORKERS; i++) {
        assert_null(mailbox_take(&r->list[i]->orders));
    }
}

static void report(struct rig *r, struct partition *p, enum report_kind kind, uint64_t seq,
                   int64_t offset)
{
    struct report report = {.kind = kind, .partition = p, .seq = seq, .offset = offset};

    if (kind == REPORT_STOPPED || kind == REPORT_CORRUPT || kind == REPORT_LOST) {
        error_set(&report.error, ERROR_RECORD, "a fault");
    }
    report.known.fp.offset = FINGERPRINT_NONE;
    report.known.leader_epoch = -1;
    crew_report(r->crew, &report);
}

/* A start whose log cannot be told from others: its ids are given to the worker at once. */
static void report_start(struct rig *r, struct partition *p, uint64_t seq, int64_t offset)
{
    report(r, p, REPORT_START, seq, offset);
    if (config_has_ledger(r->cfg)) {
        expect_order(p, ORDER_NOTE, 0, 0);
    }
}

/* A start whose log can be told from others: a record was stored before. */
static void report_known(struct rig *r, struct partition *p, uint64_t seq, int64_t offset)
{
    struct report report = {.kind = REPORT_START, .partition = p, .seq = seq, .offset = offset};

    report.known.fp.offset = offset - 1;
    report.known.leader_epoch = -1;
    crew_report(r->crew, &report);
}

static void expect_fetched(const char *topic, int32_t number, int64_t offset)
{
    size_t i = rig_find(topic, number);

    assert_true(i < world.fetched_count);
    assert_int_equal(world.fetched[i].offset, offset);
}

/* Assigned, and claimed by its worker. */
static struct partition *claiming(struct rig *r, int32_t number)
{
    rig_assign(r, ORDERS(number));
    struct partition *p = rig_partition(r, "orders", number);
    assert_int_equal(p->state, PARTITION_CLAIMING);
    expect_order(p, ORDER_ADOPT, -1, 0);
    return p;
}

/* The rest of a start whose log cannot be told from others, until it is fetched. */
static void start(struct rig *r, struct partition *p, uint64_t seq, int64_t offset)
{
    report_start(r, p, seq, offset);
    rig_turn(r, SECOND);
    expect_order(p, ORDER_RESUME, 0, seq);
    report(r, p, REPORT_RESUMED, seq, offset);
    rig_turn(r, 0);
    assert_int_equal(p->state, PARTITION_FETCHING);
    assert_true(p->fetched);
    expect_fetched(p->topic, p->number, offset);
    atomic_store(&p->share.stored, offset);
}

static struct partition *fetching(struct rig *r, int32_t number)
{
    struct partition *p = claiming(r, number);

    start(r, p, 1, 100);
    return p;
}

static void expect_place(struct rig *r, const char *topic, int32_t number, enum crew_hold hold)
{
    assert_int_equal(crew_place(r->crew, topic, number).hold, hold);
}

static void answer(struct rig *r, struct scout_mail *m, int64_t offset)
{
    for (size_t i = 0; i < m->ref_count; i++) {
        m->refs[i].offset = offset;
    }
    crew_answer(r->crew, m);
}

static void answer_failed(struct rig *r, struct scout_mail *m)
{
    m->failed = true;
    error_set(&m->error, ERROR_LINK, "away");
    crew_answer(r->crew, m);
}

/* ---- a start ---- */

static void test_from_assigned_to_fetched(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    assert_false(crew_is_ready(r->crew));
    struct partition *p = claiming(r, 3);

    assert_int_equal(world.accepted, 1);
    expect_place(r, "orders", 3, CREW_BUSY);
    report_known(r, p, 7, 100);
    assert_int_equal(p->start, START_UNVERIFIED);
    assert_true(crew_is_ready(r->crew));

    rig_turn(r, SECOND);
    struct scout_mail *m = rig_asked(SCOUT_VERIFY);
    assert_int_equal(m->ref_count, 1);
    assert_int_equal(m->refs[0].offset, 100);
    assert_int_equal(m->logs[0].fp.offset, 99);
    m->logs[0].evidence = EVIDENCE_SAME;
    m->logs[0].broker = 4;
    crew_answer(r->crew, m);
    assert_int_equal(p->start, START_WANTED);

    rig_turn(r, 0);
    struct order *o = (struct order *) mailbox_take(&p->worker->orders);
    assert_int_equal(o->kind, ORDER_RESUME);
    assert_int_equal(o->seq, 7);
    assert_int_equal(o->broker, 4);
    rig_order_free(o);
    rig_turn(r, 0);
    assert_int_equal(world.fetches, 0); /* nothing is fetched before the answer */

    report(r, p, REPORT_RESUMED, 7, 100);
    rig_turn(r, 0);
    assert_int_equal(p->state, PARTITION_FETCHING);
    expect_fetched("orders", 3, 100);
    expect_place(r, "orders", 3, CREW_READING);
    expect_no_order(r);
    rig_free(r);
}

/* Invariant I10. */
static void test_a_topic_that_no_route_takes(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    rig_assign(r, {.topic = "nobody", .partition = 0}, {.topic = "nobody", .partition = 1});
    assert_int_equal(world.accepted, 1);
    assert_int_equal(r->crew->count, 0);
    expect_no_order(r);
    rig_turn(r, SECOND);
    assert_null(rig_asked(SCOUT_PLAN));
    expect_place(r, "nobody", 0, CREW_ELSEWHERE);
    assert_true(crew_is_ready(r->crew)); /* there is nothing to claim */
    struct crew_rebalances seen = crew_rebalances(r->crew);
    assert_int_equal(seen.assigned, 1);
    assert_int_equal(seen.revoked + seen.lost, 0);
    assert_true(seen.last_ms > 0);
    rig_free(r);
}

static const char with_nobody[] = "sink: s\n"
                                  "kafka: {brokers: b}\n"
                                  "postgres: {dsn: ''}\n"
                                  "routes:\n"
                                  "  - {topics: [orders, payments], table: public.a}\n"
                                  "  - {topics: ['^t_', nobody], table: 'c_{topic}'}\n";

/* The group assigns nothing again that stays where it is: it must be remembered. */
static void test_a_route_comes_for_what_is_assigned_already(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct config *cfg = kit_load(*state, with_nobody);
    const uint32_t numbers[] = {0, 1};

    rig_assign(r, {.topic = "nobody", .partition = 0}, {.topic = "nobody", .partition = 1},
               {.topic = "none", .partition = 0}, {.topic = "nobody", .partition = 0});
    assert_int_equal(r->crew->stranger_count, 3);
    rig_revoke(r, {.topic = "nobody", .partition = 1});
    struct plan_renewal *gone = plan_reload(r->plan, cfg, numbers);
    entries_reload(&r->entries, cfg);
    crew_stranger_begin(r->crew);
    assert_int_equal(r->crew->count, 1);
    assert_int_equal(rig_partition(r, "nobody", 0)->state, PARTITION_PLANNING);
    assert_int_equal(r->crew->stranger_count, 1); /* none: still without a route */
    plan_release(r->plan, plan_renewal_number(plan_replaced(r->plan, gone)));
    r->crew->cc.cfg = cfg;
    config_free(r->cfg);
    r->cfg = cfg;
    rig_free(r);
}

static void test_partitions_are_spread_over_the_workers(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    rig_assign(r, ORDERS(0), ORDERS(1), ORDERS(2), ORDERS(1));
    assert_int_equal(r->crew->count, 3); /* one that is ours already stays what it is */
    assert_int_equal(r->crew->load[0], 2);
    assert_int_equal(r->crew->load[1], 1);
    rig_free(r);
}

static void test_a_table_that_is_looked_up_first(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    rig_assign(r, {.topic = "t_1", .partition = 0}, {.topic = "t_1", .partition = 1});
    struct partition *p = rig_partition(r, "t_1", 0);
    assert_int_equal(p->state, PARTITION_PLANNING);
    answer_failed(r, rig_asked(SCOUT_PLAN));
    struct scout_mail *m = rig_asked(SCOUT_PLAN);
    assert_null(rig_asked(SCOUT_PLAN)); /* asked once for all of its partitions */
    expect_no_order(r);
    assert_int_equal(m->job_count, 1);
    plan_kit_ran(m->jobs[0]);
    crew_answer(r->crew, m);
    assert_int_equal(p->state, PARTITION_CLAIMING);
    assert_int_equal(rig_partition(r, "t_1", 1)->state, PARTITION_CLAIMING);
    expect_order(p, ORDER_ADOPT, -1, 0);
    rig_free(r);
}

static void test_a_table_that_cannot_be_used(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    rig_assign(r, {.topic = "t_1", .partition = 0});
    struct scout_mail *m = rig_asked(SCOUT_PLAN);
    error_set(&m->error, ERROR_SETUP, "table c_t_1 does not exist");
    crew_answer(r->crew, m);
    assert_int_equal(rig_partition(r, "t_1", 0)->state, PARTITION_STOPPED);
    expect_place(r, "t_1", 0, CREW_STOPPED);
    assert_non_null(strstr(crew_place(r->crew, "t_1", 0).why, "does not exist"));
    struct partition *p = rig_partition(r, "t_1", 0);
    struct order *o = (struct order *) mailbox_take(&p->worker->orders);
    assert_non_null(o); /* it is claimed, so that the ledger can say so */
    assert_int_equal(o->kind, ORDER_ADOPT);
    assert_null(o->plan);
    assert_string_equal(o->fault->text, p->why);
    rig_order_free(o);
    assert_true(crew_is_ready(r->crew)); /* nothing more is known of it by a start */
    assert_int_equal(crew_summary(r->crew).standing[STANDING_PARKED], 1);
    rig_revoke(r, {.topic = "t_1", .partition = 0});
    expect_order(p, ORDER_RELEASE, 0, 0);
    report(r, p, REPORT_RELEASED, 0, -1);
    assert_int_equal(world.given_up, 1);
    assert_int_equal(r->crew->count, 0);
    rig_free(r);
}

/* Another SQLSTATE is another reason, and has its own line; a try that finds the same has none. */
static void test_what_stands_for_another_reason(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    rig_assign(r, {.topic = "t_1", .partition = 0});
    struct partition *p = rig_partition(r, "t_1", 0);
    assert_true(partition_stands(p, STANDING_PARKED, "42P01"));
    assert_false(partition_stands(p, STANDING_PARKED, "42P01"));
    assert_false(partition_stands(p, STANDING_PARKED, "")); /* the same, as we have found it */
    assert_true(partition_stands(p, STANDING_PARKED, "42501"));
    assert_false(partition_stands(p, STANDING_PARKED, "42501"));
    assert_true(partition_stands(p, STANDING_STOPPED, ""));
    assert_false(partition_stands(p, STANDING_STOPPED, "23505"));
    assert_true(partition_stands(p, STANDING_PARKED, "23505"));
    rig_free(r);
}

/* When it is there at last, its topic is stored. */
static void test_a_table_that_comes_later(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    rig_assign(r, {.topic = "t_1", .partition = 0}, {.topic = "t_1", .partition = 1});
    struct partition *p = rig_partition(r, "t_1", 0);
    usec_t wait = 0;
    for (int i = 0; i < 6; i++) {
        struct scout_mail *m = rig_asked(SCOUT_PLAN);
        assert_non_null(m);
        assert_null(rig_asked(SCOUT_PLAN)); /* once for all of its partitions */
        error_set(&m->error, ERROR_SETUP, "table c_t_1 does not exist");
        crew_answer(r->crew, m);
        usec_t now = clock_mono();
        assert_true(p->retry_at >= now + wait); /* longer and longer */
        wait = p->retry_at - now - SECOND;
        crew_turn(r->crew, now);
        assert_null(rig_asked(SCOUT_PLAN));
        crew_turn(r->crew, MAX(p->retry_at, rig_partition(r, "t_1", 1)->retry_at));
    }
    assert_in_range(wait, 55 * SECOND, 60 * SECOND);
    struct scout_mail *m = rig_asked(SCOUT_PLAN);
    plan_kit_ran(m->jobs[0]);
    crew_answer(r->crew, m);
    assert_int_equal(p->state, PARTITION_CLAIMING);
    assert_int_equal(rig_partition(r, "t_1", 1)->state, PARTITION_CLAIMING);
    struct report start = {.kind = REPORT_START, .partition = p, .offset = 7};
    crew_report(r->crew, &start);
    assert_int_equal(p->standing, STANDING_NONE);
    rig_free(r);
}

static void answer_unusable(struct rig *r)
{
    struct scout_mail *m = rig_asked(SCOUT_PLAN);

    assert_non_null(m);
    error_set(&m->error, ERROR_SETUP, "table c_t_1 does not exist");
    crew_answer(r->crew, m);
}

/* An operator need not wait for the next try, and one that began before does not count. */
static void test_a_table_that_is_resumed(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    usec_t now = clock_mono();

    rig_assign(r, {.topic = "t_1", .partition = 0}, {.topic = "t_1", .partition = 1});
    struct partition *p = rig_partition(r, "t_1", 0);
    struct partition *other = rig_partition(r, "t_1", 1);
    answer_unusable(r);
    crew_turn(r->crew, now);
    assert_null(rig_asked(SCOUT_PLAN));
    report(r, p, REPORT_RESUMES, 0, 0);
    crew_turn(r->crew, now);
    report(r, other, REPORT_RESUMES, 0, 0);
    crew_turn(r->crew, now);
    answer_unusable(r);
    assert_true(p->retry_at > now);
    crew_turn(r->crew, now);
    answer_unusable(r);
    crew_turn(r->crew, now);
    assert_null(rig_asked(SCOUT_PLAN));
    report(r, p, REPORT_RESUMES, 0, 0);
    crew_turn(r->crew, now);
    struct scout_mail *m = rig_asked(SCOUT_PLAN);
    plan_kit_ran(m->jobs[0]);
    crew_answer(r->crew, m);
    assert_int_equal(p->state, PARTITION_CLAIMING);
    report(r, p, REPORT_RESUMES, 0, 0); /* it was on its way when the answer came */
    assert_int_equal(p->state, PARTITION_CLAIMING);
    rig_free(r);
}

static void test_revoked_while_its_table_is_looked_up(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    rig_assign(r, {.topic = "t_1", .partition = 0});
    struct scout_mail *m = rig_asked(SCOUT_PLAN);
    rig_revoke(r, {.topic = "t_1", .partition = 0});
    answer_failed(r, m);
    assert_null(rig_asked(SCOUT_PLAN)); /* nobody wants to know any more */
    rig_free(r);
}

static void test_an_entry_that_is_used_for_the_first_time(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    r->entries.items[0].used = false;
    rig_assign(r, ORDERS(0));
    struct partition *p = rig_partition(r, "orders", 0);
    assert_int_equal(p->state, PARTITION_PLANNING);
    expect_no_order(r);
    rig_turn(r, 0);
    struct scout_mail *m = rig_asked(SCOUT_TOPICS);
    m->topics = mem_array(2, sizeof *m->topics);
    m->topics[m->topic_count++] = (struct lookup_topic){.name = mem_strdup("orders"),
                                                        .partition_count = 2};
    m->topics[m->topic_count++] = (struct lookup_topic){.name = mem_strdup("payments"),
                                                        .partition_count = 1};
    crew_answer(r->crew, m);
    m = rig_asked(SCOUT_FIRST_USE);
    assert_int_equal(m->ref_count, 2); /* all that it matches, ours or not */
    assert_string_equal(m->entry, "orders");
    answer_failed(r, m);
    expect_no_order(r);

    rig_turn(r, 2 * SECOND);
    m = rig_asked(SCOUT_TOPICS);
    crew_answer(r->crew, m);
    answer(r, rig_asked(SCOUT_FIRST_USE), 5);
    assert_int_equal(p->state, PARTITION_CLAIMING);
    expect_order(p, ORDER_ADOPT, -1, 0);
    rig_free(r);
}

static void test_a_partition_without_a_row(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = claiming(r, 0);

    report(r, p, REPORT_UNKNOWN, 0, -1);
    rig_turn(r, 0);
    struct scout_mail *m = rig_asked(SCOUT_FIRST);
    assert_false(m->by_start[0]); /* it appeared later: from its earliest record */
    rig_turn(r, 0);
    assert_null(rig_asked(SCOUT_FIRST)); /* one at a time */
    answer_failed(r, m);
    rig_turn(r, 0);
    m = rig_asked(SCOUT_FIRST);
    answer(r, m, 40);
    struct order *o = (struct order *) mailbox_take(&p->worker->orders);
    assert_int_equal(o->kind, ORDER_ADOPT);
    assert_int_equal(o->offset, 40);
    assert_non_null(strstr(o->first_reason, "its earliest record"));
    rig_order_free(o);
    start(r, p, 1, 40);
    rig_free(r);
}

static void test_a_first_offset_comes_after_the_partition_has_gone(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = claiming(r, 0);

    report(r, p, REPORT_UNKNOWN, 0, -1);
    rig_turn(r, 0);
    struct scout_mail *m = rig_asked(SCOUT_FIRST);
    rig_lose(r, ORDERS(0));
    expect_order(p, ORDER_RELEASE, 0, 0);
    struct partition *again = claiming(r, 0); /* beside the one that is being released */
    assert_ptr_not_equal(p, again);
    report(r, again, REPORT_UNKNOWN, 0, -1);
    answer(r, m, 40);
    expect_no_order(r); /* the answer was about the other */
    assert_true(again->first_due);
    report(r, p, REPORT_RELEASED, 0, 0);
    assert_int_equal(r->crew->count, 1);
    rig_free(r);
}

/* ---- verified ---- */

static void test_a_verification_without_an_answer(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = claiming(r, 0);

    report_known(r, p, 1, 100);
    rig_turn(r, SECOND);
    answer_failed(r, rig_asked(SCOUT_VERIFY));
    assert_int_equal(p->start, START_UNVERIFIED);
    rig_turn(r, 0);
    assert_null(rig_asked(SCOUT_VERIFY));
    rig_turn(r, SECOND);
    struct scout_mail *m = rig_asked(SCOUT_VERIFY);
    answer(r, m, LOOKUP_FAILED);
    assert_int_equal(p->start, START_UNVERIFIED);
    assert_null(mailbox_take(&p->worker->orders));
    rig_free(r);
}

/* Another start has come meanwhile: the answer says nothing about its offset. */
static void test_a_verification_of_an_older_start(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = claiming(r, 0);

    report_known(r, p, 1, 100);
    rig_turn(r, SECOND);
    struct scout_mail *m = rig_asked(SCOUT_VERIFY);
    report_known(r, p, 2, 50);
    crew_answer(r->crew, m);
    assert_int_equal(p->start, START_UNVERIFIED);
    rig_turn(r, 0);
    m = rig_asked(SCOUT_VERIFY);
    assert_int_equal(m->refs[0].offset, 50);
    assert_int_equal(m->logs[0].seq, 2);
    crew_answer(r->crew, m);
    assert_int_equal(p->start, START_WANTED);
    rig_free(r);
}

static struct scout_mail *verifying(struct rig *r, struct partition *p)
{
    report_known(r, p, 1, 100);
    snprintf(p->known.ids.cluster, sizeof p->known.ids.cluster, "c1");
    snprintf(p->known.ids.topic, sizeof p->known.ids.topic, "id1");
    rig_turn(r, SECOND);
    struct scout_mail *m = rig_asked(SCOUT_VERIFY);
    m->logs[0].ids = p->known.ids;
    return m;
}

static void test_another_log_stops_the_partition(void **state)
{
    struct rig *r = rig_new(*state, "earliest", "");
    struct partition *p = claiming(r, 0);

    struct scout_mail *m = verifying(r, p);
    m->logs[0].evidence = EVIDENCE_OTHER;
    crew_answer(r->crew, m);
    assert_int_equal(p->state, PARTITION_STOPPED);
    assert_non_null(strstr(p->why, "another log"));
    rig_turn(r, SECOND);
    assert_int_equal(world.fetched_count, 0);
    rig_free(r);
}

static void test_another_cluster_stops_the_partition(void **state)
{
    struct rig *r = rig_new(*state, "earliest", "");
    struct partition *p = claiming(r, 0);

    struct scout_mail *m = verifying(r, p);
    snprintf(m->logs[0].ids.cluster, sizeof m->logs[0].ids.cluster, "c2");
    crew_answer(r->crew, m);
    assert_int_equal(p->state, PARTITION_STOPPED);
    assert_non_null(strstr(p->why, "belongs to cluster 'c1', and these brokers to 'c2'"));
    rig_free(r);
}

static void test_a_topic_that_was_created_again(void **state)
{
    struct rig *r = rig_new(*state, "earliest", "");
    struct partition *p = claiming(r, 0);

    struct scout_mail *m = verifying(r, p);
    snprintf(m->logs[0].ids.topic, sizeof m->logs[0].ids.topic, "id2");
    crew_answer(r->crew, m);
    assert_int_equal(p->state, PARTITION_GAPPED);
    rig_turn(r, 0);
    m = rig_asked(SCOUT_RANGE);
    m->high = 30;
    answer(r, m, 0);
    struct order *o = (struct order *) mailbox_take(&p->worker->orders);
    assert_int_equal(o->kind, ORDER_GAP);
    assert_int_equal(o->gap.from, 100);
    assert_int_equal(o->gap.to, 0);
    rig_order_free(o);
    rig_free(r);
}

/* New ids of the same log are given to the worker, to be written down. */
static void test_a_cluster_that_was_migrated(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = claiming(r, 0);

    struct scout_mail *m = verifying(r, p);
    m->logs[0].evidence = EVIDENCE_SAME;
    snprintf(m->logs[0].ids.cluster, sizeof m->logs[0].ids.cluster, "c2");
    crew_answer(r->crew, m);
    assert_int_equal(p->start, START_WANTED);
    struct order *o = (struct order *) mailbox_take(&p->worker->orders);
    assert_int_equal(o->kind, ORDER_NOTE);
    assert_string_equal(o->ids.cluster, "c2");
    rig_order_free(o);
    rig_free(r);
}

/* ---- fetched ---- */

static void test_an_eager_group_waits_for_the_other_claim(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *a = claiming(r, 0);
    struct partition *b = claiming(r, 1);

    report_start(r, a, 1, 100);
    rig_turn(r, 200 * USEC_PER_MSEC);
    assert_int_equal(a->start, START_WANTED);
    report_start(r, b, 1, 50);
    rig_turn(r, 0);
    expect_order(a, ORDER_RESUME, 0, 1);
    expect_order(b, ORDER_RESUME, 0, 1);
    report(r, a, REPORT_RESUMED, 1, 100);
    rig_turn(r, 0);
    assert_int_equal(world.fetches, 0);
    report(r, b, REPORT_RESUMED, 1, 50);
    rig_turn(r, 0);
    assert_int_equal(world.fetches, 1); /* both at once */
    expect_fetched("orders", 0, 100);
    expect_fetched("orders", 1, 50);
    rig_free(r);
}

/* All are fetched again: the one that was only in the way from what is stored of it. */
static void test_an_eager_group_fetches_all_again_for_a_late_claim(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *a = fetching(r, 0);
    struct partition *b = claiming(r, 1);

    atomic_store(&a->share.stored, 140);
    report_start(r, b, 1, 50);
    rig_turn(r, SECOND);
    expect_order(b, ORDER_RESUME, 0, 1);
    assert_null(mailbox_take(&a->worker->orders)); /* its slot goes on */
    assert_int_equal(world.fetched_count, 0);
    report(r, b, REPORT_RESUMED, 1, 50);
    rig_turn(r, 0);
    expect_fetched("orders", 0, 140);
    expect_fetched("orders", 1, 50);
    assert_int_equal(a->state, PARTITION_FETCHING);
    rig_free(r);
}

static void test_a_cooperative_group_leaves_the_others_alone(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    world.cooperative = true;
    struct partition *a = fetching(r, 0);

    atomic_store(&a->share.stored, 140);
    fetching(r, 1);
    expect_fetched("orders", 0, 100); /* as it was */
    rig_free(r);
}

static void test_a_late_claim_is_not_waited_for_longer(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *a = claiming(r, 0);

    claiming(r, 1);
    report_start(r, a, 1, 100);
    rig_turn(r, 299 * USEC_PER_MSEC);
    assert_int_equal(a->start, START_WANTED);
    assert_true(crew_deadline(r->crew) <= world.now + USEC_PER_MSEC);
    rig_turn(r, USEC_PER_MSEC);
    expect_order(a, ORDER_RESUME, 0, 1);
    rig_free(r);
}

static void test_a_stale_answer_starts_nothing(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = claiming(r, 0);

    report_start(r, p, 1, 100);
    rig_turn(r, SECOND);
    expect_order(p, ORDER_RESUME, 0, 1);
    report_start(r, p, 2, 60);
    report(r, p, REPORT_RESUMED, 1, 100);
    rig_turn(r, SECOND);
    expect_order(p, ORDER_RESUME, 0, 2);
    report(r, p, REPORT_RESUMED, 1, 100);
    rig_turn(r, 0);
    assert_int_equal(p->start, START_ASKED);
    assert_int_equal(world.fetched_count, 0);
    report(r, p, REPORT_RESUMED, 2, 60);
    rig_turn(r, 0);
    expect_fetched("orders", 0, 60);
    report(r, p, REPORT_RESUMED, 2, 60); /* of no start at all */
    assert_int_equal(p->start, START_NONE);
    rig_free(r);
}

static void test_the_library_refuses_to_fetch(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = claiming(r, 0);

    report_start(r, p, 1, 100);
    rig_turn(r, SECOND);
    report(r, p, REPORT_RESUMED, 1, 100);
    world.refuses = true;
    rig_turn(r, 0);
    assert_false(p->fetched);
    world.refuses = false;
    rig_turn(r, 0);
    assert_false(p->fetched); /* not in a tight loop */
    rig_turn(r, SECOND);
    assert_true(p->fetched);
    assert_int_equal(p->state, PARTITION_FETCHING);
    rig_free(r);
}

/* An operator, a failover, a fence: the same exchange again. */
static void test_moved_while_it_is_fetched(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = fetching(r, 0);

    assert_true(p->fetched);
    start(r, p, 2, 10);
    rig_free(r);
}

/* ---- trouble ---- */

static void test_lost_and_claimed_again(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = fetching(r, 0);

    report(r, p, REPORT_LOST, 0, 100);
    assert_int_equal(p->state, PARTITION_LOST);
    expect_place(r, "orders", 0, CREW_ELSEWHERE);
    assert_int_equal(crew_summary(r->crew).lost, 1);
    rig_turn(r, 1900 * USEC_PER_MSEC);
    expect_no_order(r);
    rig_turn(r, 100 * USEC_PER_MSEC);
    assert_int_equal(p->state, PARTITION_CLAIMING);
    expect_order(p, ORDER_ADOPT, -1, 0);

    report(r, p, REPORT_LOST, 0, 100); /* another process fights for it: slowly now */
    rig_turn(r, 29 * SECOND);
    expect_no_order(r);
    rig_turn(r, SECOND);
    expect_order(p, ORDER_ADOPT, -1, 0);

    world.now += 300 * SECOND;
    report(r, p, REPORT_LOST, 0, 100); /* that is forgotten */
    rig_turn(r, 2 * SECOND);
    expect_order(p, ORDER_ADOPT, -1, 0);
    rig_free(r);
}

static void test_a_lost_partition_is_not_fetched_in_a_cooperative_group(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    world.cooperative = true;
    struct partition *a = fetching(r, 0);
    struct partition *b = fetching(r, 1);
    report(r, a, REPORT_LOST, 0, 100);
    rig_turn(r, SECOND);
    assert_false(a->fetched);
    assert_true(b->fetched);
    assert_int_equal(world.fetched_count, 1);
    rig_free(r);
}

/* There every change starts all again: only the next that is made anyway leaves it out. */
static void test_a_lost_partition_is_left_out_by_the_next_change(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *a = fetching(r, 0);
    struct partition *b = fetching(r, 1);
    struct partition *c = fetching(r, 2);

    report(r, a, REPORT_LOST, 0, 100);
    rig_turn(r, SECOND);
    assert_true(a->fetched);
    report(r, b, REPORT_STOPPED, 0, 100);
    rig_turn(r, 100 * USEC_PER_MSEC);
    assert_false(a->fetched);
    assert_false(b->fetched);
    assert_true(c->fetched);
    rig_free(r);
}

static void test_stopped_by_a_record(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *a = fetching(r, 0);

    struct partition *b = fetching(r, 1);
    atomic_store(&a->share.stored, 120);
    report(r, a, REPORT_STOPPED, 0, 120);
    assert_int_equal(a->state, PARTITION_STOPPED);
    expect_place(r, "orders", 0, CREW_STOPPED);
    assert_string_equal(crew_place(r->crew, "orders", 0).why, "a fault");
    rig_turn(r, SECOND);
    assert_false(a->fetched);
    assert_true(b->fetched); /* goes on without it */
    rig_turn(r, 1000 * SECOND);
    expect_no_order(r);  /* it waits for a person, */
    start(r, a, 2, 121); /* who has moved it */
    rig_free(r);
}

static void test_stopped_in_a_cooperative_group(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    world.cooperative = true;
    struct partition *a = fetching(r, 0);
    struct partition *b = fetching(r, 1);

    report(r, a, REPORT_STOPPED, 0, 100);
    rig_turn(r, SECOND);
    assert_false(a->fetched);
    assert_true(b->fetched);
    assert_int_equal(world.fetched_count, 1);
    rig_free(r);
}

static void test_corrupt_records_are_tried_again(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = fetching(r, 0);

    report(r, p, REPORT_CORRUPT, 0, 100);
    assert_int_equal(p->state, PARTITION_STOPPED);
    rig_turn(r, SECOND);
    assert_int_equal(world.fetched_count, 0);
    rig_turn(r, 58 * SECOND);
    expect_no_order(r);
    rig_turn(r, SECOND);
    expect_order(p, ORDER_ADOPT, -1, 0);
    rig_free(r);
}

static void out_of_range(struct rig *r, struct partition *p, int64_t low, int64_t high)
{
    report(r, p, REPORT_RESET, 0, 100);
    assert_int_equal(p->state, PARTITION_GAPPED);
    rig_turn(r, 0);
    answer_failed(r, rig_asked(SCOUT_RANGE));
    rig_turn(r, 0);
    struct scout_mail *m = rig_asked(SCOUT_RANGE);
    m->high = high;
    answer(r, m, low);
}

static void test_out_of_range_and_moved(void **state)
{
    struct rig *r = rig_new(*state, "latest", "");
    struct partition *p = fetching(r, 0);

    out_of_range(r, p, 200, 300);
    expect_order(p, ORDER_GAP, 0, 0);
    rig_turn(r, SECOND);
    assert_int_equal(p->state, PARTITION_GAPPED); /* until the ledger is moved */
    start(r, p, 2, 300);
    rig_free(r);
}

static void test_out_of_range_and_stopped(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = fetching(r, 0);

    out_of_range(r, p, 200, 300);
    assert_int_equal(p->state, PARTITION_STOPPED);
    expect_stand(p);
    rig_turn(r, SECOND);
    assert_int_equal(world.fetched_count, 0);
    expect_no_order(r);
    rig_free(r);
}

/* The log may be another one: its start is verified before it is fetched again. */
static void test_out_of_range_for_a_moment(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = fetching(r, 0);

    out_of_range(r, p, 0, 300);
    assert_int_equal(p->state, PARTITION_GAPPED);
    rig_turn(r, SECOND);
    expect_order(p, ORDER_VERIFY, 0, 0);
    rig_turn(r, SECOND);
    expect_no_order(r);
    start(r, p, 2, 100);
    rig_free(r);
}

static void test_doubts_about_a_log_that_is_read(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = fetching(r, 0);
    struct event e = {.kind = EVENT_DOUBT, .topic = "orders", .partition = 0};

    crew_event(r->crew, &e);
    expect_order(p, ORDER_VERIFY, 0, 0);
    rig_turn(r, 10 * SECOND);
    answer(r, rig_asked(SCOUT_ENDS), 250);
    expect_no_order(r);
    assert_int_equal(crew_summary(r->crew).lag, 150);
    rig_turn(r, 10 * SECOND);
    answer(r, rig_asked(SCOUT_ENDS), 99); /* below what is stored */
    expect_order(p, ORDER_VERIFY, 0, 0);
    snprintf(world.cluster, sizeof world.cluster, "c2");
    rig_turn(r, 5 * SECOND);
    expect_order(p, ORDER_VERIFY, 0, 0);

    report(r, p, REPORT_STOPPED, 0, 100);
    crew_event(r->crew, &e);
    e.partition = 9; /* not ours */
    crew_event(r->crew, &e);
    expect_no_order(r);
    rig_free(r);
}

/* ---- given up ---- */

static void test_revoked_from_a_worker_that_is_late(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = fetching(r, 0);
    struct partition *q = fetching(r, 1);

    rig_revoke(r, ORDERS(0), ORDERS(1));
    expect_order(p, ORDER_RELEASE, 0, 0);
    expect_order(q, ORDER_RELEASE, 0, 0);
    expect_place(r, "orders", 0, CREW_ELSEWHERE);
    report(r, p, REPORT_RELEASED, 0, 0);
    rig_turn(r, 4 * SECOND);
    assert_int_equal(world.given_up, 0);
    assert_int_equal(crew_deadline(r->crew), world.now + SECOND);
    rig_turn(r, SECOND);
    assert_int_equal(world.given_up, 1);
    assert_int_equal(r->crew->count, 1); /* the worker still has it */
    report(r, q, REPORT_START, 5, 1);    /* too late to mean anything */
    report(r, q, REPORT_RELEASED, 0, 0);
    assert_int_equal(r->crew->count, 0);
    assert_int_equal(world.given_up, 1);
    assert_int_equal(r->crew->load[0] + r->crew->load[1], 0);
    rig_free(r);
}

/* What was stored of a topic, as /metrics adds it up: of all partitions, and of those that go. */
static uint64_t records_of(const struct rig *r, const char *topic)
{
    uint64_t sum = 0;
    uint64_t records;
    struct crew_view view;

    for (size_t i = 0; i < crew_view_count(r->crew); i++) {
        sum += crew_view(r->crew, i, &view) && strcmp(view.topic, topic) == 0 ? view.records : 0;
    }
    for (size_t i = 0; i < crew_gone_count(r->crew); i++) {
        const char *name = crew_gone(r->crew, i, &records);
        sum += name != NULL && strcmp(name, topic) == 0 ? records : 0;
    }
    return sum;
}

static void test_what_is_counted_never_falls(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = fetching(r, 0);

    atomic_store(&p->share.records, 7);
    assert_int_equal(records_of(r, "orders"), 7);
    rig_revoke(r, ORDERS(0));
    expect_order(p, ORDER_RELEASE, 0, 0);
    assert_int_equal(records_of(r, "orders"), 7); /* its worker has it still, */
    atomic_store(&p->share.records, 9);
    assert_int_equal(records_of(r, "orders"), 9); /*   and may store more */
    report(r, p, REPORT_RELEASED, 0, 0);
    assert_int_equal(r->crew->count, 0);
    assert_int_equal(records_of(r, "orders"), 9);
    rig_free(r);
}

static void test_revoked_in_the_middle_of_a_start(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = claiming(r, 0);

    report_start(r, p, 1, 100);
    rig_turn(r, SECOND);
    expect_order(p, ORDER_RESUME, 0, 1);
    rig_revoke(r, ORDERS(0));
    report(r, p, REPORT_RESUMED, 1, 100);
    rig_turn(r, 0);
    assert_int_equal(world.fetched_count, 0);
    expect_order(p, ORDER_RELEASE, 0, 0);
    report(r, p, REPORT_RELEASED, 0, 0);
    assert_int_equal(world.given_up, 1);
    rig_free(r);
}

static void test_a_lost_assignment_is_answered_at_once(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = fetching(r, 0);

    rig_lose(r, ORDERS(0));
    assert_int_equal(world.given_up, 1);
    assert_int_equal(r->crew->count, 1);
    expect_order(p, ORDER_RELEASE, 0, 0);
    report(r, p, REPORT_RELEASED, 0, 0);
    assert_int_equal(r->crew->count, 0);
    rig_free(r);
}

static void test_a_second_revocation_ends_the_first(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    world.cooperative = true;
    struct partition *p = fetching(r, 0);
    struct partition *q = fetching(r, 1);

    rig_revoke(r, ORDERS(0));
    rig_revoke(r, ORDERS(1));
    assert_int_equal(world.given_up, 1);
    report(r, p, REPORT_RELEASED, 0, 0); /* nobody waits for it any more */
    assert_int_equal(world.given_up, 1);
    report(r, q, REPORT_RELEASED, 0, 0);
    assert_int_equal(world.given_up, 2);
    rig_free(r);
}

static void test_a_revocation_is_answered_at_the_end(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    fetching(r, 0);
    rig_revoke(r, ORDERS(0));
    rig_free(r);
    assert_int_equal(world.given_up, 1);
}

/* ---- tables that have changed ---- */

static struct report stale(struct rig *r, size_t worker, uint64_t seq)
{
    return (struct report){
        .kind = REPORT_STALE, .worker = &r->workers[worker], .seq = seq, .offset = -1};
}

static void answer_renew(struct rig *r, struct scout_mail *m, bool altered)
{
    for (size_t i = 0; i < m->job_count; i++) {
        plan_kit_ran(m->jobs[i])->table->oid += altered ? 1 : 0;
    }
    crew_answer(r->crew, m);
}

/* The next order of a worker, which is about tables. */
static const struct plan_renewal *expect_plan(struct rig *r, size_t worker, uint64_t seq)
{
    struct mail *m = mailbox_take(&r->workers[worker].orders);

    assert_non_null(m);
    assert_null(m->next);
    const struct order *o = (const struct order *) m;
    assert_int_equal(o->kind, ORDER_PLAN);
    assert_int_equal(o->seq, seq);
    const struct plan_renewal *renewal = o->renewal;
    free(m);
    return renewal;
}

/* One order for each worker, also for one that has not asked. */
static void test_tables_are_looked_up_again(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct partition *p = fetching(r, 0);
    const struct topic_plan *before = p->plan;
    struct report first = stale(r, 0, 1);
    struct report second = stale(r, 1, 1);

    crew_plan_renew(r->crew, &first);
    crew_plan_renew(r->crew, &second); /* while that is being looked up */
    struct scout_mail *m = rig_asked(SCOUT_RENEW);
    assert_null(rig_asked(SCOUT_RENEW));
    answer_renew(r, m, true);
    assert_ptr_not_equal(p->plan, before);
    const struct plan_renewal *renewal = expect_plan(r, 0, 1);
    assert_ptr_equal(plan_renewal_of(renewal, before), p->plan);
    assert_ptr_equal(expect_plan(r, 1, 0), renewal);

    m = rig_asked(SCOUT_RENEW);
    m->failed = true;
    crew_answer(r->crew, m);
    expect_no_order(r);
    m = rig_asked(SCOUT_RENEW);
    assert_int_equal(m->job_count, 1); /* the same as before */
    for (size_t i = 0; i < m->job_count; i++) {
        plan_kit_ran(m->jobs[i])->table->oid = 1;
    }
    before = p->plan;
    crew_answer(r->crew, m);
    assert_ptr_equal(p->plan, before);
    assert_null(expect_plan(r, 1, 1)); /* nothing has changed: only who has asked is told */
    expect_no_order(r);
    assert_null(rig_asked(SCOUT_RENEW));

    struct report renewed = {.kind = REPORT_RENEWED, .worker = &r->workers[0], .offset = 1};
    crew_plan_renewed(r->crew, &renewed);
    assert_ptr_equal(plan_renewal_of(renewal, p->plan), p->plan); /* the other may use it yet */
    renewed.worker = &r->workers[1];
    crew_plan_renewed(r->crew, &renewed);
    rig_free(r);
}

/* ---- without a ledger ---- */

#define AT_LEAST_ONCE "delivery: at_least_once\n"

static void test_without_a_ledger_the_group_says_where(void **state)
{
    struct rig *r = rig_new(*state, "stop", AT_LEAST_ONCE);

    rig_assign(r, ORDERS(0));
    struct partition *p = rig_partition(r, "orders", 0);
    expect_no_order(r);
    rig_turn(r, 0);
    struct scout_mail *m = rig_asked(SCOUT_FIRST);
    m->in_group[0] = true;
    answer(r, m, 70);
    assert_int_equal(atomic_load(&p->share.committed), 70);
    expect_order(p, ORDER_ADOPT, 70, 0);
    start(r, p, 1, 70); /* nothing is verified */
    assert_null(rig_asked(SCOUT_VERIFY));
    rig_free(r);
}

static struct partition *fetching_without_ledger(struct rig *r)
{
    rig_assign(r, ORDERS(0));
    struct partition *p = rig_partition(r, "orders", 0);
    rig_turn(r, 0);
    answer(r, rig_asked(SCOUT_FIRST), 70);
    expect_order(p, ORDER_ADOPT, 70, 0);
    start(r, p, 1, 70);
    return p;
}

static void group_has(struct rig *r, int64_t offset, const char *text)
{
    struct event e = {.kind = EVENT_COMMITTED, .ref_count = 1};

    e.refs = RIG_REFS({.topic = "orders", .partition = 0, .offset = offset});
    snprintf(e.text, sizeof e.text, "%s", text);
    crew_event(r->crew, &e);
}

/* An orderly hand-over doubles and loses nothing. */
static void test_a_revocation_waits_for_the_group(void **state)
{
    struct rig *r = rig_new(*state, "stop", AT_LEAST_ONCE);
    struct partition *p = fetching_without_ledger(r);

    world.commits = true;
    rig_revoke(r, ORDERS(0));
    expect_order(p, ORDER_RELEASE, 0, 0);
    atomic_store(&p->share.due, 90);
    report(r, p, REPORT_RELEASED, 0, 0);
    assert_int_equal(world.given_up, 0);
    rig_turn(r, 0);
    assert_int_equal(world.committed_count, 1);
    assert_int_equal(world.committed[0].offset, 90);
    group_has(r, 80, "refused");
    assert_int_equal(world.given_up, 0); /* not that one */
    rig_turn(r, 2 * SECOND);
    group_has(r, 90, "");
    assert_int_equal(world.given_up, 1);
    assert_int_equal(r->crew->count, 0);
    rig_free(r);
}

static void test_a_revocation_does_not_wait_for_ever_for_the_group(void **state)
{
    struct rig *r = rig_new(*state, "stop", AT_LEAST_ONCE);
    struct partition *p = fetching_without_ledger(r);

    rig_revoke(r, ORDERS(0));
    atomic_store(&p->share.due, 90);
    report(r, p, REPORT_RELEASED, 0, 0);
    rig_turn(r, 5 * SECOND);
    assert_int_equal(world.given_up, 1);
    assert_int_equal(r->crew->count, 0);
    rig_free(r);
}

static void test_out_of_range_for_a_moment_without_a_ledger(void **state)
{
    struct rig *r = rig_new(*state, "stop", AT_LEAST_ONCE);
    struct partition *p = fetching_without_ledger(r);

    out_of_range(r, p, 0, 300);
    rig_turn(r, SECOND);
    expect_fetched("orders", 0, 100);
    assert_int_equal(p->state, PARTITION_FETCHING);
    expect_no_order(r); /* its slot is still reading */
    rig_free(r);
}

/* ---- rights ---- */

static void deny_group(struct rig *r)
{
    struct event e = {.kind = EVENT_DENIED, .denial = DENIAL_GROUP};

    snprintf(e.text, sizeof e.text, "GROUP_AUTHORIZATION_FAILED");
    crew_event(r->crew, &e);
    assert_true(crew_summary(r->crew).group_denied);
}

/* A refusal that is shorter than the session ends without an assignment. */
static void test_a_group_is_refused_for_a_moment(void **state)
{
    struct rig *r = rig_new(*state, "stop", AT_LEAST_ONCE);

    fetching_without_ledger(r);
    deny_group(r);
    group_has(r, 80, "refused");
    assert_true(crew_summary(r->crew).group_denied);
    group_has(r, 80, "");
    assert_false(crew_summary(r->crew).group_denied);
    assert_string_equal(crew_summary(r->crew).lacks, "");
    deny_group(r);
    rig_assign(r, ORDERS(0));
    assert_false(crew_summary(r->crew).group_denied);
    rig_free(r);
}

static void deny(struct partition *p, bool denied)
{
    atomic_store(&p->share.denied, denied);
    atomic_store(&p->share.fetched, !denied);
}

#define NOT_READ "1 topic may not be read: orders"

/* Without a ledger there is no verification: it is fetched again from where it is. */
static void test_an_idle_topic_is_refused_without_a_ledger(void **state)
{
    struct rig *r = rig_new(*state, "stop", AT_LEAST_ONCE);
    struct partition *p = fetching_without_ledger(r);

    atomic_store(&p->share.stored, 100);
    atomic_store(&p->share.end, 100);
    deny(p, true);
    rig_turn(r, 2 * SECOND);
    assert_string_equal(crew_summary(r->crew).lacks, NOT_READ);
    rig_turn(r, 600 * SECOND);
    rig_turn(r, SECOND);
    expect_fetched("orders", 0, 100);
    assert_string_equal(crew_summary(r->crew).lacks, NOT_READ);
    deny(p, false); /* the end has come */
    rig_turn(r, 2 * SECOND);
    assert_string_equal(crew_summary(r->crew).lacks, "");
    rig_free(r);
}

/* With Describe, and without Read, its end is known and nothing can be read. */
static void test_a_known_end_does_not_show_that_a_topic_may_be_read(void **state)
{
    struct rig *r = rig_new(*state, "stop", AT_LEAST_ONCE);
    struct partition *p = fetching_without_ledger(r);

    deny(p, true);
    rig_turn(r, 2 * SECOND);
    atomic_store(&p->share.denied, false); /* as after a rebalance: not reported again */
    atomic_store(&p->share.end, 100);
    rig_turn(r, 2 * SECOND);
    assert_string_equal(crew_summary(r->crew).lacks, NOT_READ);
    deny(p, false);
    rig_turn(r, 2 * SECOND);
    assert_string_equal(crew_summary(r->crew).lacks, "");
    rig_free(r);
}

/* ---- brokers ---- */

static void test_nothing_exists_that_a_route_takes(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    rig_turn(r, 0);
    crew_answer(r->crew, rig_asked(SCOUT_TOPICS));
    assert_true(crew_is_ready(r->crew));
    assert_false(crew_summary(r->crew).joined);
    rig_assign(r, ORDERS(0));
    assert_false(crew_is_ready(r->crew)); /* not before the first claim */
    rig_free(r);
}

static void test_brokers_go_away_and_come_back(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct event e = {.kind = EVENT_AWAY};

    crew_event(r->crew, &e);
    crew_event(r->crew, &e);
    crew_answer(r->crew, rig_asked(SCOUT_TOPICS));
    assert_null(rig_asked(SCOUT_TOPICS)); /* one at a time */
    crew_answer(r->crew, scout_mail_new(SCOUT_AWAY, 0));
    assert_true(crew_summary(r->crew).away);
    assert_string_equal(crew_summary(r->crew).why_away, "brokers cannot be reached ()");
    usec_t again = r->crew->away_say_at;
    assert_true(again > world.now);
    assert_true(crew_deadline(r->crew) <= again);
    world.why = "a:1: Connection refused"; /* only now the library says why */
    rig_turn(r, SECOND);
    assert_string_equal(crew_summary(r->crew).why_away,
                        "brokers cannot be reached (a:1: Connection refused)");
    assert_true(r->crew->away_say_at > again); /* that is worth a line, */
    again = r->crew->away_say_at;
    rig_turn(r, SECOND);
    assert_true(r->crew->away_say_at == again); /* but one */
    rig_turn(r, 600 * SECOND);
    assert_true(r->crew->away_say_at > again);
    crew_answer(r->crew, scout_mail_new(SCOUT_REACHABLE, 0));
    assert_false(crew_summary(r->crew).away);
    assert_null(crew_summary(r->crew).why_away);
    rig_free(r);
}

/* ---- topics ---- */

/* Runs `what` where the log is kept, which is returned. */
static struct unit_end run_with_log(void (*what)(void *arg), void *arg)
{
    log_set_level(LOG_LEVEL_WARNING);
    struct unit_end end = unit_run(what, arg);
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(end.status, 0);
    return end;
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;

    while ((text = strstr(text, word)) != NULL) {
        text += strlen(word);
        n++;
    }
    return n;
}

/* Answers with the topics orders, payments, or one that is called nearly so, and one for ^t_. */
static void there_are_also(struct rig *r, const char *payments, const char *t)
{
    struct scout_mail *m = rig_asked(SCOUT_TOPICS);

    assert_non_null(m);
    m->topics = mem_array(3, sizeof *m->topics);
    m->topics[m->topic_count++] = (struct lookup_topic){.name = mem_strdup(t),
                                                        .partition_count = 1};
    m->topics[m->topic_count++] = (struct lookup_topic){.name = mem_strdup("orders"),
                                                        .partition_count = 2};
    m->topics[m->topic_count++] = (struct lookup_topic){.name = mem_strdup(payments),
                                                        .partition_count = 1};
    crew_answer(r->crew, m);
    rig_turn(r, 0);
}

static void there_are(struct rig *r, const char *payments)
{
    there_are_also(r, payments, "t_1");
}

#define MISSING_LINE "topic 'payments' does not exist"
#define NO_PAYMENTS "topic 'payments' does not exist, or may not be seen"

static void test_a_topic_of_the_file_is_missing(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct event e = {.kind = EVENT_NO_TOPIC, .topic = "payments"};

    rig_turn(r, 10 * SECOND);
    there_are(r, "payment");
    assert_string_equal(crew_summary(r->crew).lacks, ""); /* it may be being made */
    rig_turn(r, 5 * SECOND);
    there_are(r, "payment");
    assert_string_equal(crew_summary(r->crew).lacks, NO_PAYMENTS " (did you mean 'payment'?)");
    rig_turn(r, 20 * SECOND);
    there_are(r, "else");
    assert_string_equal(crew_summary(r->crew).lacks, NO_PAYMENTS);
    rig_turn(r, 20 * SECOND);
    answer_failed(r, rig_asked(SCOUT_TOPICS));
    assert_string_equal(crew_summary(r->crew).lacks, NO_PAYMENTS); /* nothing is known now */
    rig_turn(r, 20 * SECOND);
    there_are(r, "payments");
    assert_string_equal(crew_summary(r->crew).lacks, "");
    rig_turn(r, 3000 * SECOND);
    assert_false(r->crew->topics_asked.asking);

    crew_event(r->crew, &e); /* it is deleted, which the brokers know one after the other */
    rig_turn(r, SECOND);
    there_are(r, "payments");
    assert_string_equal(crew_summary(r->crew).lacks, "");
    rig_turn(r, 5 * SECOND);
    there_are(r, "else");
    rig_turn(r, 5 * SECOND);
    there_are(r, "else");
    assert_string_equal(crew_summary(r->crew).lacks, NO_PAYMENTS);
    rig_free(r);
}

static void test_a_pattern_that_matches_no_topic(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    rig_turn(r, 10 * SECOND);
    there_are_also(r, "payments", "not_t_1");
    assert_string_equal(crew_summary(r->crew).lacks, "");
    rig_turn(r, 5 * SECOND);
    there_are_also(r, "payments", "not_t_1");
    assert_string_equal(crew_summary(r->crew).lacks,
                        "pattern '^t_' matches no topic that may be seen");
    rig_turn(r, 20 * SECOND);
    there_are_also(r, "payment", "not_t_1");
    rig_turn(r, 5 * SECOND);
    there_are_also(r, "payment", "not_t_1");
    assert_string_equal(crew_summary(r->crew).lacks,
                        "2 topics do not exist, or may not be seen: ^t_, ...");
    rig_turn(r, 20 * SECOND);
    there_are(r, "payments");
    assert_string_equal(crew_summary(r->crew).lacks, "");
    rig_turn(r, 3000 * SECOND);
    assert_false(r->crew->topics_asked.asking);
    rig_free(r);
}

static void test_a_topic_that_may_not_be_seen(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct event e = {.kind = EVENT_DENIED, .denial = DENIAL_TOPIC, .topic = "payments"};

    crew_event(r->crew, &e);
    rig_turn(r, 10 * SECOND);
    there_are(r, "else");
    assert_string_equal(crew_summary(r->crew).lacks, NO_PAYMENTS);
    rig_turn(r, 20 * SECOND);
    there_are(r, "payments");
    assert_string_equal(crew_summary(r->crew).lacks, "");
    rig_free(r);
}

/* Also where nothing was to be asked any more. */
static void test_a_topic_is_denied_later(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct event e = {.kind = EVENT_DENIED, .denial = DENIAL_TOPIC, .topic = "payments"};

    rig_turn(r, 10 * SECOND);
    there_are(r, "payments");
    rig_turn(r, 3000 * SECOND);
    assert_false(r->crew->topics_asked.asking);
    crew_event(r->crew, &e);
    rig_turn(r, SECOND);
    assert_true(r->crew->topics_asked.asking);
    there_are(r, "else");
    assert_string_equal(crew_summary(r->crew).lacks, NO_PAYMENTS);
    rig_free(r);
}

/* The answer that was under way is of before: it is asked again. */
static void test_a_topic_is_denied_while_it_is_asked(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");
    struct event e = {.kind = EVENT_DENIED, .denial = DENIAL_TOPIC, .topic = "payments"};

    rig_turn(r, 10 * SECOND);
    crew_event(r->crew, &e);
    there_are(r, "payments");
    rig_turn(r, 5 * SECOND);
    assert_true(r->crew->topics_asked.asking);
    there_are(r, "else");
    rig_turn(r, 5 * SECOND);
    there_are(r, "else");
    assert_string_equal(crew_summary(r->crew).lacks, NO_PAYMENTS);
    rig_free(r);
}

static void grant_what_does_not_exist(void *kit)
{
    struct rig *r = rig_new(kit, "stop", "");
    struct event denied = {.kind = EVENT_DENIED, .denial = DENIAL_TOPIC, .topic = "payments"};
    struct event missing = {.kind = EVENT_NO_TOPIC, .topic = "payments"};

    crew_event(r->crew, &denied);
    rig_turn(r, 10 * SECOND);
    there_are(r, "else");
    rig_turn(r, 10 * SECOND);
    there_are(r, "else");
    fprintf(stderr, "granted\n");
    crew_event(r->crew, &missing);
    rig_turn(r, SECOND);
    there_are(r, "else");
    rig_turn(r, 5 * SECOND);
    there_are(r, "else");
    rig_free(r);
}

static void test_a_topic_is_granted_that_does_not_exist(void **state)
{
    struct unit_end end = run_with_log(grant_what_does_not_exist, *state);
    const char *granted = strstr(end.said, "granted");

    assert_non_null(granted);
    assert_int_equal(count(granted, MISSING_LINE), 1);
    assert_int_equal(count(end.said, MISSING_LINE), 1); /* not before */
}

static void test_a_topic_that_is_held_is_denied(void **state)
{
    struct rig *r = rig_new(*state, "stop", AT_LEAST_ONCE);
    struct partition *p = fetching_without_ledger(r);
    struct event e = {.kind = EVENT_DENIED, .denial = DENIAL_TOPIC, .topic = "orders"};

    rig_turn(r, 10 * SECOND);
    crew_event(r->crew, &e);
    rig_turn(r, SECOND);
    assert_string_equal(crew_summary(r->crew).lacks,
                        "topic 'orders' does not exist, or may not be seen");
    deny(p, true);
    rig_turn(r, 2 * SECOND);
    assert_string_equal(crew_summary(r->crew).lacks, NOT_READ); /* once */
    deny(p, false);
    rig_turn(r, 2 * SECOND);
    assert_string_equal(crew_summary(r->crew).lacks,
                        "topic 'orders' does not exist, or may not be seen");
    rig_free(r);
}

static void test_some_brokers_are_missing(void **state)
{
    struct rig *r = rig_new(*state, "stop", "");

    rig_turn(r, 2 * SECOND);
    assert_string_equal(crew_summary(r->crew).lacks, "");
    world.missing = 1;
    rig_turn(r, 2 * SECOND);
    assert_string_equal(crew_summary(r->crew).lacks, "kafka: some brokers cannot be reached (1)");
    assert_false(crew_summary(r->crew).away);
    usec_t again = r->crew->missing_say_at;
    assert_true(again > world.now);
    rig_turn(r, 2 * SECOND);
    assert_true(r->crew->missing_say_at == again);
    world.missing = 2; /* one more has a line, */
    rig_turn(r, 2 * SECOND);
    assert_true(r->crew->missing_say_at > again);
    again = r->crew->missing_say_at;
    world.missing = 1; /* one less has not, */
    rig_turn(r, 2 * SECOND);
    assert_true(r->crew->missing_say_at == again);
    rig_turn(r, 600 * SECOND); /* what lasts is said again, */
    assert_true(r->crew->missing_say_at > again);
    crew_answer(r->crew, scout_mail_new(SCOUT_AWAY, 0)); /* and where none answers, that is */
    rig_turn(r, 0);
    assert_string_equal(crew_summary(r->crew).lacks, "");
    crew_answer(r->crew, scout_mail_new(SCOUT_REACHABLE, 0));
    rig_turn(r, 2 * SECOND);
    assert_int_equal(r->crew->missing_said, 1);
    world.missing = 0;
    rig_turn(r, 2 * SECOND);
    assert_string_equal(crew_summary(r->crew).lacks, "");
    assert_int_equal(r->crew->missing_said, 0);
    rig_free(r);
}

/* After each look the log has a mark. */
static void look_at_missing(struct rig *r, uint64_t first, size_t n)
{
    world.missing_first = first;
    world.missing = n;
    rig_turn(r, 2 * SECOND);
    fprintf(stderr, "#");
}

static void others_are_missing(void *kit)
{
    struct rig *r = rig_new(kit, "stop", "");

    look_at_missing(r, 1, 1); /* said */
    look_at_missing(r, 2, 1); /* said: one recovers as the other goes */
    look_at_missing(r, 1, 2); /* both have been named */
    look_at_missing(r, 1, 1);
    look_at_missing(r, 1, 2);
    look_at_missing(r, 2, 2); /* said */
    look_at_missing(r, 0, 0);
    look_at_missing(r, 2, 2); /* said: it was said that there were none */
    rig_turn(r, 600 * SECOND);
    fprintf(stderr, "#"); /* said again */
    rig_free(r);
}

static void test_other_brokers_are_missing(void **state)
{
    static const unsigned want[] = {1, 1, 0, 0, 0, 1, 0, 1, 1};
    struct unit_end end = run_with_log(others_are_missing, *state);
    char *rest = end.said;

    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        char *stop = strchr(rest, '#');
        assert_non_null(stop);
        *stop = '\0';
        assert_int_equal(count(rest, "some brokers cannot be reached"), want[i]);
        rest = stop + 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_assigned_to_fetched),
        cmocka_unit_test(test_a_topic_that_no_route_takes),
        cmocka_unit_test(test_a_route_comes_for_what_is_assigned_already),
        cmocka_unit_test(test_partitions_are_spread_over_the_workers),
        cmocka_unit_test(test_a_table_that_is_looked_up_first),
        cmocka_unit_test(test_a_table_that_cannot_be_used),
        cmocka_unit_test(test_what_stands_for_another_reason),
        cmocka_unit_test(test_a_table_that_comes_later),
        cmocka_unit_test(test_a_table_that_is_resumed),
        cmocka_unit_test(test_revoked_while_its_table_is_looked_up),
        cmocka_unit_test(test_an_entry_that_is_used_for_the_first_time),
        cmocka_unit_test(test_a_partition_without_a_row),
        cmocka_unit_test(test_a_first_offset_comes_after_the_partition_has_gone),
        cmocka_unit_test(test_a_verification_without_an_answer),
        cmocka_unit_test(test_a_verification_of_an_older_start),
        cmocka_unit_test(test_another_log_stops_the_partition),
        cmocka_unit_test(test_another_cluster_stops_the_partition),
        cmocka_unit_test(test_a_topic_that_was_created_again),
        cmocka_unit_test(test_a_cluster_that_was_migrated),
        cmocka_unit_test(test_an_eager_group_waits_for_the_other_claim),
        cmocka_unit_test(test_an_eager_group_fetches_all_again_for_a_late_claim),
        cmocka_unit_test(test_a_cooperative_group_leaves_the_others_alone),
        cmocka_unit_test(test_a_late_claim_is_not_waited_for_longer),
        cmocka_unit_test(test_a_stale_answer_starts_nothing),
        cmocka_unit_test(test_the_library_refuses_to_fetch),
        cmocka_unit_test(test_moved_while_it_is_fetched),
        cmocka_unit_test(test_lost_and_claimed_again),
        cmocka_unit_test(test_a_lost_partition_is_not_fetched_in_a_cooperative_group),
        cmocka_unit_test(test_a_lost_partition_is_left_out_by_the_next_change),
        cmocka_unit_test(test_stopped_by_a_record),
        cmocka_unit_test(test_stopped_in_a_cooperative_group),
        cmocka_unit_test(test_corrupt_records_are_tried_again),
        cmocka_unit_test(test_out_of_range_and_moved),
        cmocka_unit_test(test_out_of_range_and_stopped),
        cmocka_unit_test(test_out_of_range_for_a_moment),
        cmocka_unit_test(test_doubts_about_a_log_that_is_read),
        cmocka_unit_test(test_revoked_from_a_worker_that_is_late),
        cmocka_unit_test(test_what_is_counted_never_falls),
        cmocka_unit_test(test_revoked_in_the_middle_of_a_start),
        cmocka_unit_test(test_a_lost_assignment_is_answered_at_once),
        cmocka_unit_test(test_a_second_revocation_ends_the_first),
        cmocka_unit_test(test_a_revocation_is_answered_at_the_end),
        cmocka_unit_test(test_tables_are_looked_up_again),
        cmocka_unit_test(test_without_a_ledger_the_group_says_where),
        cmocka_unit_test(test_a_revocation_waits_for_the_group),
        cmocka_unit_test(test_a_revocation_does_not_wait_for_ever_for_the_group),
        cmocka_unit_test(test_out_of_range_for_a_moment_without_a_ledger),
        cmocka_unit_test(test_a_group_is_refused_for_a_moment),
        cmocka_unit_test(test_nothing_exists_that_a_route_takes),
        cmocka_unit_test(test_brokers_go_away_and_come_back),
        cmocka_unit_test(test_an_idle_topic_is_refused_without_a_ledger),
        cmocka_unit_test(test_a_known_end_does_not_show_that_a_topic_may_be_read),
        cmocka_unit_test(test_a_topic_of_the_file_is_missing),
        cmocka_unit_test(test_a_pattern_that_matches_no_topic),
        cmocka_unit_test(test_a_topic_that_may_not_be_seen),
        cmocka_unit_test(test_a_topic_is_denied_later),
        cmocka_unit_test(test_a_topic_is_denied_while_it_is_asked),
        cmocka_unit_test(test_a_topic_is_granted_that_does_not_exist),
        cmocka_unit_test(test_a_topic_that_is_held_is_denied),
        cmocka_unit_test(test_some_brokers_are_missing),
        cmocka_unit_test(test_other_brokers_are_missing),
    };

    log_init(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
