/*
 * A partition's life, as main sees it. Every arrow is taken in set_state.
 *
 *     PLANNING --> CLAIMING --> FETCHING <--> GAPPED      RESETs: the range is asked for, the ledger moved
 *                     ^            |  ^
 *                     |            v  |                   START reports lead back to FETCHING from anywhere
 *                     +--- LOST, STOPPED
 *     any --> RELEASING --> (freed when its worker has let go)
 */
#include "sink/crew.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "sink/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RELEASE_BUDGET (5 * USEC_PER_SEC) /* how long a revocation waits for last batches */
#define LOST_RETRY (30 * USEC_PER_SEC)    /* then the group still says it is ours: a zombie took it, it is dead by now */
#define CORRUPT_RETRY (60 * USEC_PER_SEC)
#define RANGE_RETRY USEC_PER_SEC
#define ENDS_INTERVAL (10 * USEC_PER_SEC)
#define FETCH_RETRY USEC_PER_SEC
#define START_GRACE (300 * USEC_PER_MSEC)

enum partition_state {
    PARTITION_PLANNING,  /* its topic's tables are being looked up */
    PARTITION_CLAIMING,  /* its worker claims it; or its first offset is being asked for */
    PARTITION_FETCHING,
    PARTITION_GAPPED,    /* out of range: being asked for, or the ledger is being moved */
    PARTITION_STOPPED,
    PARTITION_LOST,
    PARTITION_RELEASING,
};

struct partition {
    char *topic;
    int32_t number;
    enum partition_state state;
    uint64_t generation;      /* of this object: answers to older questions are recognized */
    struct worker *worker;    /* NULL while planning; the same for the life of this object (invariant I5) */
    size_t worker_index;
    const struct topic_plan *plan;
    struct feed_route *route;
    struct share share;
    bool fetched;             /* in the library's assignment */
    bool start_due;           /* start_offset, start_seq: to be fetched in this turn */
    bool first_due;           /* its first offset is to be asked for */
    bool range_due;           /* its range is to be asked for */
    int64_t start_offset;
    uint64_t start_seq;
    int64_t reset_offset;     /* GAPPED: what was out of range */
    usec_t retry_at;          /* USEC_NEVER = no */
    int64_t first_stored;     /* until_end: the ledger at the first claim, -1 before */
    int64_t target;           /* until_end: where it ended then, -1 unknown */
    bool target_due;
};

struct crew {
    struct crew_config cc;
    struct partition **partitions; /* all, those being released too */
    size_t count;
    size_t cap;
    struct index index;            /* without those being released */
    size_t *load;                  /* partitions per worker */
    uint64_t last_generation;
    bool assigned_once;
    bool started_once;
    bool starts_due;
    usec_t starts_since;           /* when starts_due became true */
    usec_t fetch_at;               /* not before: the library has refused */
    /* a revocation that is not answered yet */
    bool revoking;
    size_t revoke_waits;           /* partitions whose release is awaited */
    usec_t revoke_deadline;
    struct partition_ref *revoke_refs; /* those that are being fetched; topics copied */
    size_t revoke_ref_count;
    /* questions under way, one of a kind */
    bool asking_first;
    bool asking_ends;
    bool asking_ping;
    usec_t ends_at;
};

/* ---- partitions ---- */

static void set_state(struct partition *p, enum partition_state state)
{
    assert(p->state != PARTITION_RELEASING);
    p->state = state;
    p->retry_at = USEC_NEVER;
}

static int64_t stored_of(const struct partition *p)
{
    return atomic_load_explicit(&p->share.stored, memory_order_acquire);
}

static int64_t end_of(const struct partition *p)
{
    return atomic_load_explicit(&p->share.end, memory_order_relaxed);
}

static struct partition *partition_new(struct crew *c, const struct partition_ref *ref)
{
    struct partition *p = mem_zalloc(sizeof *p);
    p->topic = mem_strdup(ref->topic);
    p->number = ref->partition;
    p->generation = ++c->last_generation;
    p->retry_at = USEC_NEVER;
    p->first_stored = p->target = -1;
    atomic_init(&p->share.stored, -1);
    atomic_init(&p->share.end, -1);
    c->partitions = mem_grow(c->partitions, &c->cap, c->count, sizeof(struct partition *));
    c->partitions[c->count++] = p;
    index_put(&c->index, p->topic, p->number, p);
    return p;
}

static void partition_free(struct partition *p)
{
    feed_unroute(p->route);
    free(p->topic);
    free(p);
}

static void forget(struct crew *c, struct partition *p)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->partitions[i] == p) {
            c->partitions[i] = c->partitions[--c->count];
            break;
        }
    }
    if (p->worker != NULL) {
        c->load[p->worker_index]--;
    }
    partition_free(p);
}

static size_t least_loaded(const struct crew *c)
{
    size_t best = 0;
    for (size_t i = 1; i < c->cc.worker_count; i++) {
        if (c->load[i] < c->load[best]) {
            best = i;
        }
    }
    return best;
}

/* ---- orders ---- */

static void post(struct partition *p, enum order_kind kind, int64_t offset, uint64_t seq)
{
    struct order *o = mem_zalloc(sizeof *o);
    o->kind = kind;
    o->partition = p;
    o->topic = p->topic;
    o->number = p->number;
    o->plan = p->plan;
    o->share = &p->share;
    o->offset = offset;
    o->seq = seq;
    worker_post(p->worker, o);
}

static void adopt(struct crew *c, struct partition *p, int64_t first_offset)
{
    if (p->worker == NULL) {
        p->worker_index = least_loaded(c);
        p->worker = c->cc.workers[p->worker_index];
        c->load[p->worker_index]++;
    }
    set_state(p, PARTITION_CLAIMING);
    post(p, ORDER_ADOPT, first_offset, 0);
}

/* ---- plans ---- */

static bool plan_is_asked_for(const struct crew *c, const struct partition *other, const char *topic)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        if (p != other && p->state == PARTITION_PLANNING && strcmp(p->topic, topic) == 0) {
            return true;
        }
    }
    return false;
}

static void ask_plan(struct crew *c, const char *topic)
{
    struct scout_mail *m = scout_mail_new(SCOUT_PLAN, 0);
    m->topic = mem_strdup(topic);
    m->job_count = plan_missing(c->cc.plan, topic, &m->jobs);
    scout_ask(c->cc.scout, m);
}

static void plan_or_adopt(struct crew *c, struct partition *p)
{
    p->plan = plan_topic(c->cc.plan, p->topic);
    if (p->plan != NULL) {
        adopt(c, p, -1);
    } else if (!plan_is_asked_for(c, p, p->topic)) {
        ask_plan(c, p->topic);
    }
}

static bool still_planning(const struct crew *c, const char *topic)
{
    return plan_is_asked_for(c, NULL, topic);
}

static void answer_plan(struct crew *c, struct scout_mail *m)
{
    if (m->failed) {
        if (still_planning(c, m->topic)) {
            ask_plan(c, m->topic);
        }
        return;
    }
    bool usable = m->error.class == ERROR_NONE;
    if (usable) {
        for (size_t i = 0; i < m->job_count; i++) {
            plan_add(c->cc.plan, m->jobs[i]);
        }
        m->job_count = 0;
    } else if (still_planning(c, m->topic)) {
        error_wrap(&m->error, "topic '%s' is not stored", m->topic);
        log_fault(LOG_LEVEL_ERROR, &m->error);
    }
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (p->state == PARTITION_PLANNING && strcmp(p->topic, m->topic) == 0) {
            if (usable) {
                plan_or_adopt(c, p);
            } else {
                set_state(p, PARTITION_STOPPED);
            }
        }
    }
}

/* ---- rebalances ---- */

static void assign(struct crew *c, const struct event *e)
{
    client_accept(c->cc.client);
    c->assigned_once = true;
    log_info("%zu partition%s assigned", e->ref_count, e->ref_count == 1 ? "" : "s");
    for (size_t i = 0; i < e->ref_count; i++) {
        if (index_find(&c->index, e->refs[i].topic, e->refs[i].partition) == NULL) {
            plan_or_adopt(c, partition_new(c, &e->refs[i]));
        }
    }
}

static void end_revoke(struct crew *c)
{
    client_give_up(c->cc.client, c->revoke_refs, c->revoke_ref_count);
    for (size_t i = 0; i < c->revoke_ref_count; i++) {
        free((void *) (uintptr_t) c->revoke_refs[i].topic);
    }
    free(TAKE_PTR(c->revoke_refs));
    c->revoke_ref_count = 0;
    c->revoking = false;
    c->revoke_waits = 0;
}

static void release(struct crew *c, struct partition *p, bool wait)
{
    if (p->fetched) {
        c->revoke_refs[c->revoke_ref_count++] = (struct partition_ref){
            .topic = mem_strdup(p->topic), .partition = p->number, .offset = -1};
    }
    index_remove(&c->index, p->topic, p->number);
    p->start_due = p->first_due = p->range_due = p->target_due = false;
    set_state(p, PARTITION_RELEASING);
    if (p->worker == NULL) {
        forget(c, p);
        return;
    }
    c->revoke_waits += wait;
    post(p, ORDER_RELEASE, -1, 0);
}

static void revoke(struct crew *c, const struct event *e)
{
    if (c->revoking) {
        end_revoke(c); /* the library does not wait for the old answer any more */
    }
    log_info("%zu partition%s %s", e->ref_count, e->ref_count == 1 ? "" : "s",
             e->lost ? "lost: the group has gone on without this member" : "revoked");
    c->revoking = true;
    c->revoke_deadline = clock_mono() + RELEASE_BUDGET;
    c->revoke_refs = mem_array(e->ref_count, sizeof *c->revoke_refs);
    for (size_t i = 0; i < e->ref_count; i++) {
        struct partition *p = index_find(&c->index, e->refs[i].topic, e->refs[i].partition);
        if (p != NULL) {
            release(c, p, !e->lost);
        }
    }
    if (c->revoke_waits == 0) {
        end_revoke(c);
    }
}

static void ask_ping(struct crew *c)
{
    if (!c->asking_ping) {
        c->asking_ping = true;
        scout_ask(c->cc.scout, scout_mail_new(SCOUT_PING, 0));
    }
}

void crew_event(struct crew *c, struct event *e)
{
    if (e->kind == EVENT_ASSIGN) {
        assign(c, e);
    } else if (e->kind == EVENT_REVOKE) {
        revoke(c, e);
    } else if (e->kind == EVENT_AWAY) {
        ask_ping(c);
    }
}

/* ---- reports ---- */

static void note_start(struct crew *c)
{
    if (!c->starts_due) {
        c->starts_due = true;
        c->starts_since = clock_mono();
    }
}

static void report_start(struct crew *c, struct partition *p, const struct report *r)
{
    p->start_due = true;
    p->start_offset = r->offset;
    p->start_seq = r->seq;
    note_start(c);
    c->started_once = true;
    if (p->first_stored < 0) {
        p->first_stored = r->offset;
        p->target_due = c->cc.until_end;
    }
}

static void report_reset(struct partition *p, const struct report *r)
{
    set_state(p, PARTITION_GAPPED);
    p->reset_offset = r->offset;
    p->range_due = true;
}

/*
 * A partition that has stopped costs no traffic. Its worker drops what still comes. With the eager protocol all others are
 * fetched anew without it.
 */
static void stop_fetching(struct crew *c, struct partition *p)
{
    if (!client_is_cooperative(c->cc.client)) {
        note_start(c);
    } else if (p->fetched) {
        bool all;
        struct partition_ref ref = {.topic = p->topic, .partition = p->number, .offset = -1};
        client_unfetch(c->cc.client, &ref, &all);
        p->fetched = false;
    }
}

/* A record stops its partition: say how to go on. */
static void report_stopped(struct crew *c, struct partition *p, const struct report *r)
{
    struct error err = r->error;
    if (err.hint[0] == '\0') {
        error_hint(&err,
                   "Mend the cause and restart, or skip the record: UPDATE %s.offsets SET next_offset = %lld "
                   "WHERE sink = '%s' AND topic = '%s' AND partition = %d;",
                   c->cc.cfg->postgres.schema, (long long) r->offset + 1, c->cc.cfg->sink, p->topic,
                   p->number);
    }
    set_state(p, PARTITION_STOPPED);
    stop_fetching(c, p);
    log_fault(LOG_LEVEL_ERROR, &err);
}

/* Trouble that time may mend. */
static void report_trouble(struct partition *p, enum partition_state state, const struct report *r,
                           usec_t retry)
{
    set_state(p, state);
    log_warning("%s; trying again in %llu s", r->error.text,
                (unsigned long long) (retry / USEC_PER_SEC));
    p->retry_at = clock_mono() + retry;
}

static void report_released(struct crew *c, struct partition *p)
{
    forget(c, p);
    if (c->revoking && c->revoke_waits > 0 && --c->revoke_waits == 0) {
        end_revoke(c);
    }
}

void crew_report(struct crew *c, const struct report *r)
{
    struct partition *p = r->partition;
    if (r->kind == REPORT_RELEASED) {
        report_released(c, p);
        return;
    }
    if (p == NULL || p->state == PARTITION_RELEASING) {
        return;
    }
    switch (r->kind) {
    case REPORT_UNKNOWN:
        p->first_due = true;
        break;
    case REPORT_START:
        report_start(c, p, r);
        break;
    case REPORT_RESET:
        report_reset(p, r);
        break;
    case REPORT_STOPPED:
        report_stopped(c, p, r);
        break;
    case REPORT_CORRUPT:
        report_trouble(p, PARTITION_STOPPED, r, CORRUPT_RETRY);
        stop_fetching(c, p);
        break;
    case REPORT_LOST:
        report_trouble(p, PARTITION_LOST, r, LOST_RETRY);
        break;
    case REPORT_RELEASED:
    case REPORT_DOWN:
    case REPORT_UP:
    case REPORT_EVICTED:
    case REPORT_TROUBLE:
    case REPORT_FATAL:
    case REPORT_ENDED:
        break;
    }
}

/* ---- questions and answers ---- */

static struct partition *wanted(const struct crew *c, const struct scout_mail *m, size_t i)
{
    struct partition *p = index_find(&c->index, m->refs[i].topic, m->refs[i].partition);
    return p != NULL && p->generation == m->generations[i] ? p : NULL;
}

/* Asks one question about all partitions that `due` selects; NULL when there are none. */
static struct scout_mail *question(struct crew *c, enum scout_kind kind,
                                   bool (*due)(const struct partition *p))
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        n += due(c->partitions[i]);
    }
    if (n == 0) {
        return NULL;
    }
    struct scout_mail *m = scout_mail_new(kind, n);
    n = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        if (due(p)) {
            scout_mail_set(m, n++, p->topic, p->number, p->generation);
        }
    }
    return m;
}

static bool first_is_due(const struct partition *p)
{
    return p->first_due;
}

static bool end_is_due(const struct partition *p)
{
    return p->target_due || p->state == PARTITION_FETCHING;
}

static bool target_is_due(const struct partition *p)
{
    return p->target_due;
}

static void ask_first(struct crew *c)
{
    struct scout_mail *m = c->asking_first ? NULL : question(c, SCOUT_FIRST, first_is_due);
    if (m != NULL) {
        c->asking_first = true;
        scout_ask(c->cc.scout, m);
    }
}

static void ask_ends(struct crew *c, usec_t now)
{
    if (c->asking_ends) {
        return;
    }
    struct scout_mail *m = NULL;
    if (now >= c->ends_at) {
        c->ends_at = now + ENDS_INTERVAL;
        m = question(c, SCOUT_ENDS, end_is_due);
        if (m == NULL) {
            ask_ping(c);
        }
    } else {
        m = question(c, SCOUT_ENDS, target_is_due);
    }
    if (m != NULL) {
        c->asking_ends = true;
        scout_ask(c->cc.scout, m);
    }
}

static void ask_ranges(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (p->range_due) {
            p->range_due = false;
            struct scout_mail *m = scout_mail_new(SCOUT_RANGE, 1);
            scout_mail_set(m, 0, p->topic, p->number, p->generation);
            scout_ask(c->cc.scout, m);
        }
    }
}

static void answer_first(struct crew *c, const struct scout_mail *m)
{
    c->asking_first = false;
    for (size_t i = 0; i < m->ref_count && !m->failed; i++) {
        struct partition *p = wanted(c, m, i);
        if (p != NULL && p->first_due) {
            p->first_due = false;
            adopt(c, p, m->refs[i].offset);
        }
    }
}

static void answer_ends(struct crew *c, const struct scout_mail *m)
{
    c->asking_ends = false;
    for (size_t i = 0; i < m->ref_count && !m->failed; i++) {
        struct partition *p = wanted(c, m, i);
        if (p == NULL) {
            continue;
        }
        atomic_store_explicit(&p->share.end, m->refs[i].offset, memory_order_relaxed);
        if (p->target_due) {
            p->target_due = false;
            p->target = m->refs[i].offset;
        }
    }
}

static const char *on_gap_place(enum config_on_gap policy)
{
    return policy == ON_GAP_EARLIEST ? "earliest" : "latest";
}

/* The ledger's offset is outside [low, high]: stop, or go on where the operator has chosen and write down what is passed. */
static void decide_gap(struct crew *c, struct partition *p, int64_t low, int64_t high)
{
    struct error err;
    enum config_on_gap policy = c->cc.cfg->kafka.on_gap;
    long long at = p->reset_offset;
    bool below = p->reset_offset < low;
    if (policy == ON_GAP_STOP) {
        error_set(&err, ERROR_RECORD,
                  "%s-%d@%lld: next_offset %lld is %s the log, which holds offsets %lld to %lld",
                  p->topic, p->number, at, at, below ? "below" : "above", (long long) low,
                  (long long) high);
        error_hint(&err,
                   below ? "Kafka has deleted these records. Set kafka.on_gap, or move the ledger: UPDATE "
                           "%s.offsets SET next_offset = ... WHERE sink = '%s' AND topic = '%s' AND partition = %d;"
                         : "Was the topic created anew, or is this another cluster? To go on, move the ledger: "
                           "UPDATE %s.offsets SET next_offset = ... WHERE sink = '%s' AND topic = '%s' AND "
                           "partition = %d;",
                   c->cc.cfg->postgres.schema, c->cc.cfg->sink, p->topic, p->number);
        log_fault(LOG_LEVEL_ERROR, &err);
        set_state(p, PARTITION_STOPPED);
        return;
    }
    int64_t to = policy == ON_GAP_EARLIEST ? low : high;
    log_warning("%s-%d@%lld: outside the log, which holds offsets %lld to %lld; going on at the %s, %lld, "
                "and writing the range to %s.gaps",
                p->topic, p->number, at, (long long) low, (long long) high, on_gap_place(policy),
                (long long) to, c->cc.cfg->postgres.schema);
    post(p, ORDER_GAP, to, 0);
}

static void answer_range(struct crew *c, const struct scout_mail *m)
{
    struct partition *p = wanted(c, m, 0);
    if (p == NULL || p->state != PARTITION_GAPPED) {
        return;
    }
    if (m->failed) {
        p->range_due = true;
    } else if (p->reset_offset >= m->refs[0].offset && p->reset_offset <= m->high) {
        p->retry_at = clock_mono() + RANGE_RETRY; /* inside by now: fetch again, but not in a tight loop */
    } else {
        decide_gap(c, p, m->refs[0].offset, m->high);
    }
}

void crew_answer(struct crew *c, struct scout_mail *m)
{
    switch (m->kind) {
    case SCOUT_FIRST:
        answer_first(c, m);
        break;
    case SCOUT_ENDS:
        answer_ends(c, m);
        break;
    case SCOUT_RANGE:
        answer_range(c, m);
        break;
    case SCOUT_PLAN:
        answer_plan(c, m);
        break;
    case SCOUT_PING:
        c->asking_ping = false;
        break;
    case SCOUT_AWAY:
        log_warning("kafka: brokers cannot be reached: %s; trying again until they can", m->error.text);
        break;
    case SCOUT_REACHABLE:
        log_notice("kafka: brokers can be reached again");
        break;
    }
    scout_mail_free(m);
}

/* ---- fetching ---- */

/*
 * Stops fetching whatever is to start anew. With the eager protocol that stops all: the others start again from
 * what is stored; their workers drop what they have already taken, by its offset.
 */
static void unfetch_starting(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (!p->start_due || !p->fetched) {
            continue;
        }
        bool all;
        struct partition_ref ref = {.topic = p->topic, .partition = p->number, .offset = -1};
        client_unfetch(c->cc.client, &ref, &all);
        p->fetched = false;
        for (size_t k = 0; all && k < c->count; k++) {
            c->partitions[k]->fetched = false;
        }
    }
}

/* In the next client_fetch: those to be started, and with the eager protocol all others again. */
static bool to_fetch(const struct partition *p, bool all)
{
    return p->start_due || (p->state == PARTITION_FETCHING && (all || !p->fetched));
}

/* Routes and orders before the library is told: collects what to fetch. */
static size_t prepare_fetch(struct crew *c, bool all, struct partition_ref *refs)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (!to_fetch(p, all)) {
            continue;
        }
        refs[n++] = (struct partition_ref){
            .topic = p->topic,
            .partition = p->number,
            .offset = p->start_due ? p->start_offset : stored_of(p),
        };
        feed_unroute(p->route);
        p->route = feed_route(worker_feed(p->worker), p->topic, p->number);
        if (p->start_due) {
            post(p, ORDER_RESUME, -1, p->start_seq);
        }
    }
    return n;
}

static void note_fetched(struct crew *c, bool all)
{
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (to_fetch(p, all)) {
            p->fetched = true;
            p->start_due = false;
            set_state(p, PARTITION_FETCHING);
        } else if (all) {
            p->fetched = false;
        }
    }
    c->starts_due = false;
}

/*
 * The order of the three steps is what sink/mail.h rests on: nothing old can be taken after unfetch, RESUME is in the
 * mailbox before anything new can be.
 */
static void start_fetching(struct crew *c, usec_t now)
{
    struct error err;
    bool all = !client_is_cooperative(c->cc.client);
    unfetch_starting(c);
    (void) failpoint_hit(FAILPOINT_CREW_BEFORE_ASSIGN);
    struct partition_ref *refs = mem_array(c->count, sizeof *refs);
    size_t n = prepare_fetch(c, all, refs);
    if (client_fetch(c->cc.client, refs, n, &err)) {
        note_fetched(c, all);
    } else {
        c->fetch_at = now + FETCH_RETRY;
        log_warning("kafka: %s; trying again", err.text);
    }
    free(refs);
}

/*
 * With the eager protocol every start makes all partitions start anew: better wait a little for the claims that are still
 * under way, and start them together.
 */
static bool starts_can_wait(const struct crew *c, usec_t now)
{
    if (client_is_cooperative(c->cc.client) || now >= c->starts_since + START_GRACE) {
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->partitions[i]->state == PARTITION_CLAIMING && !c->partitions[i]->start_due) {
            return true;
        }
    }
    return false;
}

static void retry(struct crew *c, struct partition *p)
{
    if (p->state == PARTITION_GAPPED) {
        p->start_due = true;
        p->start_offset = p->reset_offset;
        p->start_seq = 0; /* its slot is still reading: no RESUME is awaited */
        note_start(c);
        p->retry_at = USEC_NEVER;
    } else {
        adopt(c, p, -1);
    }
}

void crew_turn(struct crew *c, usec_t now)
{
    if (c->revoking && now >= c->revoke_deadline) {
        log_warning("a revoked partition's last batch is not stored yet; giving up its partitions all the same");
        end_revoke(c);
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->partitions[i]->retry_at <= now) {
            retry(c, c->partitions[i]);
        }
    }
    ask_first(c);
    ask_ranges(c);
    ask_ends(c, now);
    if (c->starts_due && now >= c->fetch_at && !starts_can_wait(c, now)) {
        start_fetching(c, now);
    }
}

usec_t crew_deadline(const struct crew *c)
{
    usec_t at = c->ends_at;
    if (c->revoking) {
        at = MIN(at, c->revoke_deadline);
    }
    if (c->starts_due) {
        at = MIN(at, MAX(c->fetch_at, c->starts_since + START_GRACE));
    }
    for (size_t i = 0; i < c->count; i++) {
        at = MIN(at, c->partitions[i]->retry_at);
    }
    return at;
}

/* ---- what others ask ---- */

bool crew_is_ready(const struct crew *c)
{
    return c->started_once || (c->assigned_once && c->count == 0);
}

bool crew_at_end(const struct crew *c)
{
    if (!c->assigned_once || c->revoking) {
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        bool over = p->state == PARTITION_STOPPED || (p->target >= 0 && stored_of(p) >= p->target);
        if (!over) {
            return false;
        }
    }
    return true;
}

static uint64_t above(int64_t high, int64_t low)
{
    return high > low ? (uint64_t) (high - low) : 0;
}

struct crew_summary crew_summary(const struct crew *c)
{
    struct crew_summary s = {0};
    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        if (p->state == PARTITION_RELEASING) {
            continue;
        }
        s.partitions++;
        s.fetching += p->state == PARTITION_FETCHING;
        s.stopped += p->state == PARTITION_STOPPED;
        s.lost += p->state == PARTITION_LOST;
        int64_t stored = stored_of(p);
        if (stored >= 0 && end_of(p) >= 0) {
            s.lag += above(end_of(p), stored);
        }
        if (p->target >= 0) {
            s.total += above(p->target, p->first_stored);
            s.to_go += above(p->target, stored);
        }
    }
    return s;
}

/* Next offsets that are stored, for the informational commit. The caller frees; topics are borrowed. */
size_t crew_stored(const struct crew *c, struct partition_ref **out)
{
    struct partition_ref *refs = mem_array(c->count, sizeof *refs);
    size_t n = 0;
    for (size_t i = 0; i < c->count && !c->revoking; i++) {
        const struct partition *p = c->partitions[i];
        int64_t stored = stored_of(p);
        if (p->state == PARTITION_FETCHING && p->fetched && stored >= 0) {
            refs[n++] = (struct partition_ref){
                .topic = p->topic, .partition = p->number, .offset = stored};
        }
    }
    *out = refs;
    return n;
}

struct crew *crew_new(const struct crew_config *cc)
{
    struct crew *c = mem_zalloc(sizeof *c);
    c->cc = *cc;
    c->load = mem_array(cc->worker_count, sizeof *c->load);
    return c;
}

void crew_free(struct crew *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        partition_free(c->partitions[i]);
    }
    for (size_t i = 0; i < c->revoke_ref_count; i++) {
        free((void *) (uintptr_t) c->revoke_refs[i].topic);
    }
    free(c->revoke_refs);
    free(c->partitions);
    free(c->load);
    index_done(&c->index);
    free(c);
}
