/*
 * The crew under any order of events: partitions are assigned, revoked and lost, workers claim,
 * lose, stop and are late, the scout fails, the library refuses. Workers are a model of theirs
 * (sink/worker/worker.c): orders and reports each keep their order, and nothing else does. After
 * each step the invariants of partition states must hold; a fetch must meet a slot that reads as
 * of this very start (I5); and when trouble is over, all that is ours is fetched. Seeded: a failure
 * prints the number of its run. One thread.
 */
#include "crew_rig.h"

enum { PARTITIONS = 6, STEPS = 400, RUNS = 500, SLOTS = 64, REPORTS = 256 };

/* A worker's slot, as far as main can tell. */
enum hand_state {
    HAND_CLAIMING,
    HAND_UNKNOWN,
    HAND_WAITING,
    HAND_READING,
    HAND_STOPPED,
    HAND_LOST,
};

struct hand {
    struct partition *partition; /* NULL: free */
    size_t worker;
    enum hand_state state;
    uint64_t seq;
    int64_t expect;
};

static uint64_t run_number;
static uint64_t seed;
static struct rig *rig;
static bool calm; /* no more trouble */
static struct hand hands[SLOTS];
static struct order *orders[RIG_WORKERS]; /* taken from the mailboxes, oldest first */
static struct report *reports[REPORTS];   /* oldest first */
static size_t report_count;
static bool ours[PARTITIONS]; /* as the group has it */
static uint64_t revocations;

static uint32_t chance(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (seed >> 33) % n;
}

static bool trouble(uint32_t n)
{
    return !calm && chance(n) == 0;
}

/* ---- the model of a worker ---- */

static struct hand *hand_of(const struct partition *p)
{
    for (size_t i = 0; i < SLOTS; i++) {
        if (hands[i].partition == p) {
            return &hands[i];
        }
    }
    return NULL;
}

static void post(const struct hand *h, enum report_kind kind)
{
    struct report *r = mem_zalloc(sizeof *r);

    r->kind = kind;
    r->partition = h->partition;
    r->offset = h->expect;
    r->seq = h->seq;
    r->known.leader_epoch = -1;
    r->known.fp.offset = chance(2) == 0 ? h->expect - 1 : FINGERPRINT_BY_HAND;
    if (kind != REPORT_START && kind != REPORT_RESUMED) {
        error_set(&r->error, ERROR_RECORD, "trouble");
    }
    assert_true(report_count < REPORTS);
    reports[report_count++] = r;
}

static void start(struct hand *h, int64_t offset)
{
    h->state = HAND_WAITING;
    h->expect = offset;
    h->seq++;
    atomic_store(&h->partition->share.stored, offset);
    post(h, REPORT_START);
}

static void claim(struct hand *h, int64_t first_offset)
{
    if (trouble(6)) {
        h->state = HAND_LOST;
        post(h, REPORT_LOST);
    } else if (first_offset < 0 && trouble(4)) {
        h->state = HAND_UNKNOWN;
        post(h, REPORT_UNKNOWN);
    } else {
        start(h, first_offset >= 0 ? first_offset : 100 + (int64_t) chance(100));
    }
}

static void adopt(size_t worker, struct partition *p, int64_t first_offset)
{
    struct hand *h = hand_of(p);

    if (h == NULL) {
        h = hand_of(NULL);
        assert_non_null(h);
        *h = (struct hand){.partition = p, .worker = worker};
        h->state = HAND_CLAIMING;
    }
    assert_int_equal(h->worker, worker); /* one worker for life (I5) */
    if (h->state == HAND_STOPPED) {
        start(h, h->expect);
    } else if (h->state != HAND_WAITING && h->state != HAND_READING) {
        claim(h, first_offset);
    }
}

static void obey(size_t worker, const struct order *o)
{
    struct hand *h = hand_of(o->partition);

    if (o->kind == ORDER_ADOPT) {
        adopt(worker, o->partition, o->offset);
        return;
    }
    assert_non_null(h);
    if (o->kind == ORDER_RESUME && h->state == HAND_WAITING && h->seq == o->seq) {
        h->state = HAND_READING;
        post(h, REPORT_RESUMED);
    } else if (o->kind == ORDER_VERIFY && h->state == HAND_READING) {
        start(h, h->expect);
    } else if (o->kind == ORDER_GAP && h->expect == o->gap.from) {
        start(h, o->gap.to);
    } else if (o->kind == ORDER_RELEASE) {
        post(h, REPORT_RELEASED);
        h->partition = NULL;
    }
}

static void work(size_t worker)
{
    struct mail *m = mailbox_take(&rig->list[worker]->orders);
    struct order **end = &orders[worker];

    while (*end != NULL) {
        end = (struct order **) &(*end)->mail.next;
    }
    *end = (struct order *) m;
    for (uint32_t n = chance(4); n > 0 && orders[worker] != NULL; n--) {
        struct order *o = orders[worker];
        orders[worker] = (struct order *) o->mail.next;
        obey(worker, o);
        rig_order_free(o);
    }
}

/* What a slot meets by itself. */
static void suffer(struct hand *h)
{
    static const enum report_kind kinds[] = {REPORT_RESET, REPORT_STOPPED, REPORT_CORRUPT,
                                             REPORT_LOST,  REPORT_START,   REPORT_HELD};
    enum report_kind kind = kinds[chance(ARRAY_LEN(kinds))];

    if (h->partition == NULL || h->state != HAND_READING) {
        return;
    }
    if (kind == REPORT_START) {
        start(h, (int64_t) chance(200)); /* an operator has moved it */
        return;
    }
    if (kind == REPORT_HELD) {
        h->state = HAND_WAITING; /* its row of the ledger is locked, */
        h->seq++;
        post(h, REPORT_HELD);
        start(h, h->expect); /*   and free again */
        return;
    }
    if (kind != REPORT_RESET) {
        h->state = kind == REPORT_LOST ? HAND_LOST : HAND_STOPPED;
    }
    post(h, kind);
}

static void deliver(void)
{
    if (report_count == 0) {
        return;
    }
    struct report *r = reports[0];
    memmove(&reports[0], &reports[1], --report_count * sizeof(struct report *));
    crew_report(rig->crew, r);
    free(r);
}

/* ---- the model of the scout ---- */

static void answer(void)
{
    if (world.question_count == 0) {
        return;
    }
    struct scout_mail *m = world.questions[0];
    memmove(&world.questions[0], &world.questions[1],
            --world.question_count * sizeof(struct scout_mail *));
    m->failed = trouble(4);
    if (m->failed) {
        error_set(&m->error, ERROR_LINK, "away");
    }
    for (size_t i = 0; i < m->ref_count && !m->failed; i++) {
        if (m->kind == SCOUT_VERIFY) {
            m->logs[i].evidence = trouble(8) ? EVIDENCE_OTHER : EVIDENCE_SAME;
        } else if (m->kind == SCOUT_RANGE) {
            m->refs[i].offset = trouble(2) ? 150 : 0;
        } else {
            m->refs[i].offset = 300;
        }
    }
    m->high = 300;
    crew_answer(rig->crew, m);
}

/* ---- the model of the group ---- */

static void rebalance(enum event_kind kind, bool lost)
{
    struct partition_ref refs[PARTITIONS];
    bool gives = kind == EVENT_ASSIGN;
    size_t n = 0;

    for (int32_t i = 0; i < PARTITIONS; i++) {
        bool all = lost || (!gives && !world.cooperative);
        if (ours[i] != gives && (all || chance(2) == 0)) {
            refs[n++] = (struct partition_ref){.topic = "orders", .partition = i, .offset = -1};
            ours[i] = gives;
        }
    }
    if (n > 0) {
        revocations += !gives;
        rig_rebalance(rig, kind, lost, refs, n);
    }
}

/* Nothing is assigned before a revocation is answered; but more may be taken away. */
static void regroup(void)
{
    uint32_t what = chance(6);

    if (what < 2) {
        rebalance(EVENT_REVOKE, what == 0);
    } else if (!rig->crew->revoking) {
        rebalance(EVENT_ASSIGN, false);
    }
}

/* ---- what must hold ---- */

/* A fetch begins where its slot reads, or has gone elsewhere since, which main will hear. */
static void check_fetch(const struct partition_ref *ref)
{
    struct partition *p = rig_partition(rig, ref->topic, ref->partition);
    struct hand *h = hand_of(p);

    assert_non_null(h);
    assert_non_null(p->route);
    assert_int_equal(p->route->number, ref->partition);
    if (p->start == START_ANSWERED) {
        assert_int_equal(ref->offset, p->start_offset);
        bool reads = h->seq == p->start_seq && h->state != HAND_WAITING;
        assert_true(reads || h->seq > p->start_seq);
    } else {
        assert_int_equal(p->state, PARTITION_FETCHING);
    }
}

static void check_partition(const struct partition *p)
{
    bool released = p->state == PARTITION_RELEASING;
    bool fetched = rig_find(p->topic, p->number) < world.fetched_count;
    const struct partition *found = index_find(&rig->crew->index, p->topic, p->number);

    assert_true((found == p) == !released);
    assert_true(released || p->fetched == fetched);
    assert_true(p->worker != NULL || p->state == PARTITION_CLAIMING);
    if (released) {
        assert_int_equal(p->start, START_NONE);
        return;
    }
    assert_false(p->awaited);
    assert_true(ours[p->number]);
    if (p->start >= START_ASKED) {
        assert_false(p->fetched); /* nothing of an older fetch can be taken any more */
        assert_true(rig->crew->starts_due);
    }
    if (p->start != START_NONE) {
        assert_true(p->start_offset >= 0);
    }
    if (p->start == START_WANTED || (p->state == PARTITION_STOPPED && p->fetched)) {
        assert_true(rig->crew->starts_due); /* or nobody would start it, or stop fetching it */
    }
    if (p->start == START_UNVERIFIED) {
        assert_true(p->verify_due || rig->crew->asking_verify || p->retry_at != USEC_NEVER);
    }
    if (p->state == PARTITION_LOST && p->start == START_NONE) {
        assert_true(p->retry_at != USEC_NEVER);
    }
}

static void check(void)
{
    const struct crew *c = rig->crew;
    size_t load[RIG_WORKERS] = {0};
    size_t awaited = 0;
    size_t held = 0;
    size_t routed = 0;

    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        check_partition(p);
        load[p->worker_index] += p->worker != NULL;
        awaited += p->awaited;
        held += p->state != PARTITION_RELEASING;
        routed += p->route != NULL;
    }
    for (size_t i = 0; i < RIG_WORKERS; i++) {
        assert_int_equal(load[i], c->load[i]);
    }
    for (size_t i = 0; i < PARTITIONS; i++) {
        held -= ours[i];
    }
    assert_int_equal(held, 0);
    assert_int_equal(world.routes, routed);
    assert_int_equal(awaited, c->revoking ? c->revoke_waits : 0);
    assert_int_equal(world.given_up + c->revoking, revocations); /* each is answered once */
}

/* ---- a run ---- */

static void step(void)
{
    switch (chance(8)) {
    case 0:
    case 1:
        work(chance(RIG_WORKERS));
        break;
    case 2:
    case 3:
        deliver();
        break;
    case 4:
        answer();
        break;
    case 5:
        if (trouble(2)) {
            suffer(&hands[chance(SLOTS)]);
        }
        break;
    case 6:
        if (trouble(4)) {
            regroup();
        }
        break;
    default:
        world.refuses = trouble(4);
        rig_turn(rig, chance(2) * chance(3 * USEC_PER_SEC));
        break;
    }
    check();
}

/* A partition that has stopped waits for a person; one whose log is another one does, too. */
static void operator_moves_what_stopped(void)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct partition *p = hands[i].partition;
        if (p != NULL && p->state == PARTITION_STOPPED && p->start == START_NONE &&
            hands[i].state != HAND_LOST) {
            start(&hands[i], 10);
        }
    }
}

static bool all_fetched(void)
{
    size_t n = 0;

    for (size_t i = 0; i < PARTITIONS; i++) {
        n += ours[i];
    }
    return world.fetched_count == n && crew_summary(rig->crew).fetching == n && report_count == 0 &&
           !rig->crew->starts_due && !rig->crew->revoking;
}

static void settle(void)
{
    calm = true;
    for (int i = 0; i < 20000 && !all_fetched(); i++) {
        step();
        if (i % 500 == 499) {
            operator_moves_what_stopped();
        }
    }
    assert_true(all_fetched());
}

static void done(void)
{
    for (size_t i = 0; i < RIG_WORKERS; i++) {
        while (orders[i] != NULL) {
            struct order *next = (struct order *) orders[i]->mail.next;
            rig_order_free(orders[i]);
            orders[i] = next;
        }
    }
    while (report_count > 0) {
        free(reports[--report_count]);
    }
    memset(hands, 0, sizeof hands);
    memset(ours, 0, sizeof ours);
    revocations = 0;
    calm = false;
    rig_free(rig);
}

static void run(struct kit *kit)
{
    seed = run_number * 7919;
    rig = rig_new(kit, run_number % 3 == 0 ? "earliest" : "stop", "");
    world.cooperative = run_number % 2 == 0;
    world.on_fetch = check_fetch;
    for (int i = 0; i < STEPS; i++) {
        step();
    }
    settle();
    done();
}

static void test_any_order_of_events(void **state)
{
    for (run_number = 1; run_number <= RUNS; run_number++) {
        run(*state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order_of_events),
    };

    log_init(LOG_LEVEL_ERROR);
    int failed = cmocka_run_group_tests(tests, kit_open, kit_close);
    if (failed != 0) {
        print_error("in run %llu\n", (unsigned long long) run_number);
    }
    return failed;
}
