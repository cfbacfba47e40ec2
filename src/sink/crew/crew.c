/*
 * A partition's life, as main sees it. Every arrow is taken in partition_set.
 *
 *     PLANNING --> CLAIMING --> FETCHING <--> GAPPED    the range is asked for, the ledger moved
 *                     ^            |  ^
 *                     |            v  |                 START leads to FETCHING from anywhere
 *                     +--- LOST, STOPPED
 *     any --> RELEASING --> (freed when its worker has let go)
 *
 * Main thread.
 */
#include "sink/crew/crew.h"

#include "base/log.h"
#include "base/mem.h"
#include "sink/crew/crew_state.h"

#include <assert.h>
#include <stdlib.h>

/* If the group still says that it is ours: a zombie had taken it, which is dead by now. */
#define LOST_FIRST_RETRY (2 * USEC_PER_SEC)
#define LOST_RETRY (30 * USEC_PER_SEC)
#define LOST_MEMORY (300 * USEC_PER_SEC)
#define CORRUPT_RETRY (60 * USEC_PER_SEC)

/* ---- partitions ---- */

void partition_set(struct partition *p, enum partition_state state)
{
    assert(p->state != PARTITION_RELEASING);
    p->state = state;
    p->start = START_NONE; /* a start that is under way is overtaken */
    p->verify_due = false;
    p->retry_at = USEC_NEVER;
}

void partition_stop(struct partition *p, const char *why)
{
    partition_set(p, PARTITION_STOPPED);
    free(p->why);
    p->why = mem_strdup(why);
}

struct partition *crew_add(struct crew *c, const struct partition_ref *ref)
{
    struct partition *p = mem_zalloc(sizeof *p);
    p->topic = mem_strdup(ref->topic);
    p->number = ref->partition;
    p->generation = ++c->last_generation;
    p->retry_at = USEC_NEVER;
    p->committed = -1;
    atomic_init(&p->share.stored, -1);
    atomic_init(&p->share.end, -1);
    atomic_init(&p->share.due, -1);
    atomic_init(&p->share.committed, -1);
    c->partitions = mem_grow(c->partitions, &c->cap, c->count, sizeof(struct partition *));
    c->partitions[c->count++] = p;
    index_put(&c->index, p->topic, p->number, p);
    return p;
}

static void partition_free(struct partition *p)
{
    feed_unroute(p->route);
    free(p->topic);
    free(p->why);
    free(p);
}

void crew_forget(struct crew *c, struct partition *p)
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
    crew_commit_forget(c, p);
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

struct order *partition_order(struct partition *p, enum order_kind kind)
{
    struct order *o = mem_zalloc(sizeof *o);
    o->kind = kind;
    o->partition = p;
    o->topic = p->topic;
    o->number = p->number;
    o->plan = p->plan;
    o->share = &p->share;
    return o;
}

void crew_adopt(struct crew *c, struct partition *p, int64_t first_offset)
{
    partition_set(p, PARTITION_CLAIMING);
    if (p->worker == NULL && first_offset < 0 && !config_has_ledger(c->cc.cfg)) {
        p->first_due = true; /* the group knows where it begins */
        return;
    }
    if (p->worker == NULL) {
        p->worker_index = least_loaded(c);
        p->worker = c->cc.workers[p->worker_index];
        c->load[p->worker_index]++;
    }
    struct order *o = partition_order(p, ORDER_ADOPT);
    o->offset = first_offset;
    o->first_reason = p->first_reason;
    worker_post(p->worker, o);
}

/* ---- reports ---- */

static void report_start(struct crew *c, struct partition *p, const struct report *r)
{
    if (r->error.class != ERROR_NONE) {
        log_event(LOG(partition_reads_again), p->topic, p->number, (long long) r->offset,
                  r->error.text);
    } else if (p->state == PARTITION_FETCHING || p->state == PARTITION_STOPPED) {
        log_event(LOG(partition_moved), p->topic, p->number, (long long) r->offset);
    }
    p->retry_at = USEC_NEVER; /* what it was waiting for is overtaken */
    if (r->inserted) {
        log_event(LOG(partition_begins), p->topic, p->number, (long long) r->offset,
                  p->first_reason != NULL ? p->first_reason : "as before");
    }
    p->start_offset = r->offset;
    p->start_seq = r->seq;
    p->known = r->known;
    crew_verify_start(c, p);
    c->started_once = true;
}

static void report_resumed(struct partition *p, const struct report *r)
{
    if (p->start == START_ASKED && p->start_seq == r->seq) {
        p->start = START_ANSWERED;
    }
}

/* How to go on behind a record that stops its partition. */
static void hint_skip(const struct config *cfg, const struct partition *p, long long next,
                      struct error *err)
{
    if (config_has_ledger(cfg)) {
        error_hint(err,
                   "Fix the cause and try again: SELECT %s.seek('%s', '%s', %d, %lld); with %lld "
                   "it skips the record.",
                   cfg->postgres.schema, cfg->sink, p->topic, p->number, next - 1, next);
    } else {
        error_hint(err,
                   "Fix the cause and restart, or stop and skip the record: "
                   "kafka-consumer-groups.sh --group %s --topic %s:%d --reset-offsets "
                   "--to-offset %lld --execute",
                   cfg->kafka.group, p->topic, p->number, next);
    }
}

static void report_stopped(struct crew *c, struct partition *p, const struct report *r)
{
    struct error err = r->error;
    if (err.hint[0] == '\0') {
        hint_skip(c->cc.cfg, p, (long long) r->offset + 1, &err);
    }
    partition_stop(p, err.text);
    crew_note_start(c); /* the others go on without it */
    log_fault(LOG_partition_stopped, &err);
}

/* Trouble that time may mend. The state is set already. */
static void report_trouble(struct partition *p, const struct report *r, usec_t retry)
{
    log_event(LOG(partition_trouble), r->error.text, (unsigned long long) (retry / USEC_PER_SEC));
    p->retry_at = clock_mono() + retry;
}

/*
 * Most often a late claim has won that nobody stands behind any more: soon again. A second time in
 * a row there may be another process that fights for it: then slowly.
 */
static void report_lost(struct partition *p, const struct report *r)
{
    usec_t now = clock_mono();
    bool again = p->lost_at != 0 && now < p->lost_at + LOST_MEMORY;
    p->lost_at = now;
    partition_set(p, PARTITION_LOST);
    report_trouble(p, r, again ? LOST_RETRY : LOST_FIRST_RETRY);
}

void crew_let_go(struct crew *c, struct partition *p)
{
    bool awaited = p->awaited;
    crew_forget(c, p);
    if (awaited && c->revoking && c->revoke_waits > 0 && --c->revoke_waits == 0) {
        crew_end_revoke(c);
    }
}

/* Whoever reads it next begins where the group says: so that is brought up to date first. */
static void report_released(struct crew *c, struct partition *p)
{
    p->released = true;
    if (!p->awaited || crew_commit_is_settled(c, p)) {
        crew_let_go(c, p);
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
        crew_first_unknown(p, r->begun);
        break;
    case REPORT_START:
        report_start(c, p, r);
        break;
    case REPORT_RESUMED:
        report_resumed(p, r);
        break;
    case REPORT_RESET:
        crew_gap_report(p, r);
        break;
    case REPORT_STOPPED:
        report_stopped(c, p, r);
        break;
    case REPORT_CORRUPT:
        partition_stop(p, r->error.text);
        report_trouble(p, r, CORRUPT_RETRY);
        crew_note_start(c); /* the others go on without it */
        break;
    case REPORT_LOST:
        report_lost(p, r);
        break;
    case REPORT_DUE:
    case REPORT_DOUBTFUL:
    case REPORT_RELEASED:
    case REPORT_DOWN:
    case REPORT_UP:
    case REPORT_EVICTED:
    case REPORT_TROUBLE:
    case REPORT_EASED:
    case REPORT_REPLAY:
    case REPORT_LETTER:
    case REPORT_STALE:
    case REPORT_FATAL:
    case REPORT_ENDED:
        break;
    }
}

/* ---- the turn ---- */

static void retry(struct crew *c, struct partition *p)
{
    if (p->start == START_UNVERIFIED) {
        crew_verify_again(p);
    } else if (p->state == PARTITION_GAPPED && config_has_ledger(c->cc.cfg)) {
        crew_verify_doubt(p, "its offset was outside of the log for a moment");
    } else if (p->state == PARTITION_GAPPED) {
        p->start = START_ANSWERED; /* its slot is still reading: no RESUME is needed */
        p->start_offset = p->reset_offset;
        crew_note_start(c);
        p->retry_at = USEC_NEVER;
    } else {
        crew_adopt(c, p, -1);
    }
}

void crew_turn(struct crew *c, usec_t now)
{
    if (c->revoking && now >= c->revoke_deadline) {
        log_event(LOG(revoke_late));
        crew_end_revoke(c);
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->partitions[i]->retry_at <= now) {
            retry(c, c->partitions[i]);
        }
    }
    crew_verify_turn(c, now);
    crew_member_turn(c, now);
    crew_unread_turn(c, now);
    crew_ask_turn(c, now);
    crew_fetch_turn(c, now);
    crew_commit_turn(c, now);
}

usec_t crew_deadline(const struct crew *c)
{
    if (c->stopping) {
        return crew_commit_deadline(c);
    }
    usec_t at = c->asking_ends ? USEC_NEVER : c->ends_at; /* an answer wakes by itself */
    if (c->revoking) {
        at = MIN(at, c->revoke_deadline);
    }
    at = MIN(at, MIN(crew_fetch_deadline(c), crew_commit_deadline(c)));
    at = MIN(at, MIN(crew_member_deadline(c), crew_unread_deadline(c)));
    at = MIN(at, crew_first_deadline(c));
    for (size_t i = 0; i < c->count; i++) {
        at = MIN(at, c->partitions[i]->retry_at);
    }
    return at;
}

/* ---- what others ask ---- */

bool crew_is_ready(const struct crew *c)
{
    bool started = c->started_once || (c->count == 0 && (c->assigned_once || c->nothing_matches));
    return started && crew_member_is_at_rest(c);
}

static uint64_t above(int64_t high, int64_t low)
{
    return high > low ? (uint64_t) (high - low) : 0;
}

struct crew_summary crew_summary(const struct crew *c)
{
    struct crew_summary s = {.joined = c->assigned_once, .away = c->away};
    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        if (p->state == PARTITION_RELEASING) {
            continue;
        }
        s.partitions++;
        s.fetching += p->state == PARTITION_FETCHING;
        s.stopped += p->state == PARTITION_STOPPED;
        s.lost += p->state == PARTITION_LOST;
        int64_t stored = partition_stored(p);
        if (stored >= 0 && partition_end(p) >= 0) {
            s.lag += above(partition_end(p), stored);
        }
    }
    return s;
}

static enum crew_hold hold_of(const struct partition *p)
{
    if (p == NULL || p->state == PARTITION_LOST) {
        return CREW_ELSEWHERE;
    }
    if (p->state == PARTITION_STOPPED && p->start == START_NONE) {
        return CREW_STOPPED;
    }
    bool reads = p->state == PARTITION_FETCHING && p->start == START_NONE;
    return reads ? CREW_READING : CREW_BUSY;
}

struct crew_place crew_place(const struct crew *c, const char *topic, int32_t partition)
{
    const struct partition *p = index_find(&c->index, topic, partition);
    return (struct crew_place){
        .hold = hold_of(p),
        .stored = p != NULL ? partition_stored(p) : -1,
        .why = p != NULL ? p->why : NULL,
    };
}

struct crew *crew_new(const struct crew_config *cc)
{
    struct crew *c = mem_zalloc(sizeof *c);
    c->cc = *cc;
    c->load = mem_array(cc->worker_count, sizeof *c->load);
    crew_commit_init(c);
    crew_member_init(c);
    crew_unread_init(c);
    return c;
}

void crew_free(struct crew *c)
{
    if (c == NULL) {
        return;
    }
    if (c->revoking) {
        crew_end_revoke(c); /* or the library would wait for it when it is closed */
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
    crew_member_done(c);
    unread_free(c->unread);
    free(c);
}
