/*
 * Which offsets are committed to the group, and when. Two uses:
 *
 * With a ledger they are for lag tools only: every kafka.commit_interval, what is stored, where
 * nothing is at stake; never read, and nobody waits for the answer.
 *
 * Without one they are the truth: what the workers say is due, as kafka.commit says, and workers
 * may wait for it. What is refused is tried again as long as the partition is ours. A revocation
 * is answered when all that it takes away is committed, so that an orderly hand-over neither
 * duplicates nor loses a record.
 *
 * One commit is on its way at a time: the library's next rebalance waits for it. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_BASE (50 * USEC_PER_MSEC)
#define NOT_NOW (10 * USEC_PER_MSEC)
#define RETRY_CAP (2 * USEC_PER_SEC)

static bool has_ledger(const struct crew *c)
{
    return config_has_ledger(c->cc.cfg);
}

static int64_t due(const struct crew *c, const struct partition *p)
{
    return has_ledger(c) ? partition_stored(p)
                         : atomic_load_explicit(&p->share.due, memory_order_acquire);
}

static bool may_commit(const struct crew *c, const struct partition *p)
{
    if (has_ledger(c)) {
        return p->state == PARTITION_FETCHING && p->fetched && !c->revoking && !c->away &&
               client_may_inform(c->cc.client);
    }
    return p->state != PARTITION_RELEASING || p->awaited || p->moves;
}

static bool is_due(const struct crew *c, const struct partition *p)
{
    int64_t offset = due(c, p);

    return offset >= 0 && offset != p->committed && may_commit(c, p);
}

/* An older offset that is still on its way would be the last that the group hears. */
bool crew_commit_is_settled(const struct crew *c, const struct partition *p)
{
    return !p->committing && !is_due(c, p);
}

/* ---- when ---- */

void crew_commit_init(struct crew *c)
{
    backoff_init(&c->commit_backoff, RETRY_BASE, RETRY_CAP, clock_mono());
    crew_commit_configure(c);
}

void crew_commit_configure(struct crew *c)
{
    c->commit_at = has_ledger(c) && c->cc.cfg->kafka.commit_interval == 0 ? USEC_NEVER : 0;
}

/* Does the next commit wait for commit_interval, or for nothing? */
static bool by_interval(const struct crew *c)
{
    return has_ledger(c) || c->cc.cfg->kafka.commit == COMMIT_INTERVAL;
}

static usec_t next_time(const struct crew *c)
{
    bool urgent = !has_ledger(c) && (c->revoking || c->stopping || c->moving > 0);

    return urgent ? c->commit_retry_at : MAX(c->commit_at, c->commit_retry_at);
}

static bool any_due(const struct crew *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (is_due(c, c->partitions[i])) {
            return true;
        }
    }
    return false;
}

usec_t crew_commit_deadline(const struct crew *c)
{
    return c->committing || !any_due(c) ? USEC_NEVER : next_time(c);
}

/* ---- workers that wait for it ---- */

static void wake(struct worker *w)
{
    struct order *o = mem_zalloc(sizeof *o);

    o->kind = ORDER_COMMITTED;
    worker_post(w, o);
}

/* Those that have any of these partitions. */
static void wake_workers(const struct crew *c, struct partition *const *moved, size_t n)
{
    for (size_t i = 0; i < c->cc.worker_count; i++) {
        for (size_t k = 0; k < n; k++) {
            if (moved[k]->worker == c->cc.workers[i]) {
                wake(c->cc.workers[i]);
                break;
            }
        }
    }
}

static void publish(struct partition *p, int64_t offset)
{
    atomic_store_explicit(&p->share.committed, offset, memory_order_release);
}

void crew_commit_note(struct partition *p, int64_t offset)
{
    p->committed = offset;
    publish(p, offset);
}

/* ---- committing ---- */

/* at_most_once without waiting for the answer: when the commit is on its way, the rows may follow.
 */
static void note_sent(struct crew *c, struct partition *const *sent,
                      const struct partition_ref *refs, size_t n)
{
    c->committing = true;
    for (size_t i = 0; i < n; i++) {
        sent[i]->committing = true;
    }
    if (c->cc.cfg->delivery != DELIVERY_AT_MOST_ONCE || c->cc.cfg->kafka.commit != COMMIT_ASYNC) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        publish(sent[i], refs[i].offset);
    }
    wake_workers(c, sent, n);
}

static void note_refused(struct crew *c, usec_t now, const char *why)
{
    c->commit_retry_at = now + backoff_next(&c->commit_backoff);
    if (has_ledger(c)) {
        log_event(LOG(lag_not_committed), why);
    } else if (!c->commit_logged) {
        c->commit_logged = true;
        log_event(LOG(commit_fails), why);
    }
}

static void commit(struct crew *c, usec_t now)
{
    struct partition_ref *refs = mem_array(c->count, sizeof *refs);
    struct partition **sent = mem_array(c->count, sizeof *sent);
    size_t n = 0;

    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (is_due(c, p)) {
            sent[n] = p;
            refs[n++] = (struct partition_ref){
                .topic = p->topic, .partition = p->number, .offset = due(c, p)};
        }
    }
    if (n > 0 && failpoint_hit(FAILPOINT_CREW_BEFORE_COMMIT)) {
        note_refused(c, now, "failpoint");
    } else if (client_commit(c->cc.client, refs, n)) {
        c->commit_at = by_interval(c) ? now + c->cc.cfg->kafka.commit_interval : 0;
        note_sent(c, sent, refs, n);
    } else if (n > 0) {
        c->commit_retry_at = now + NOT_NOW;
    }
    free(sent);
    free(refs);
}

void crew_commit_turn(struct crew *c, usec_t now)
{
    if (!c->committing && now >= next_time(c) && any_due(c)) {
        commit(c, now);
    }
}

/* ---- the answer ---- */

/* Also a partition that is being given up: a revocation, or its next beginning, may be waiting for
 * this. */
static struct partition *find(const struct crew *c, const struct partition_ref *ref)
{
    struct partition *p = index_find(&c->index, ref->topic, ref->partition);

    for (size_t i = 0; i < c->count && p == NULL; i++) {
        struct partition *q = c->partitions[i];
        if ((q->awaited || q->moves) && q->number == ref->partition &&
            strcmp(q->topic, ref->topic) == 0) {
            p = q;
        }
    }
    return p;
}

/* Not of a partition that has not begun yet: then the answer is about an older one. */
static void take_committed(struct crew *c, const struct event *e)
{
    struct partition **moved = mem_array(e->ref_count, sizeof *moved);
    size_t n = 0;

    for (size_t i = 0; i < e->ref_count; i++) {
        struct partition *p = find(c, &e->refs[i]);
        if (p != NULL && due(c, p) >= 0) {
            crew_commit_note(p, e->refs[i].offset);
            moved[n++] = p;
        }
    }
    if (!has_ledger(c) && c->cc.cfg->kafka.commit == COMMIT_SYNC) {
        wake_workers(c, moved, n);
    }
    free(moved);
}

void crew_commit_answer(struct crew *c, const struct event *e)
{
    c->committing = false;
    for (size_t i = 0; i < c->count; i++) {
        c->partitions[i]->committing = false;
    }
    if (failpoint_hit(FAILPOINT_CREW_AFTER_COMMIT)) {
        note_refused(c, clock_mono(), "failpoint");
        return;
    }
    take_committed(c, e);
    if (e->text[0] != '\0') {
        note_refused(c, clock_mono(), e->text);
        return;
    }
    backoff_reset(&c->commit_backoff);
    c->commit_retry_at = 0;
    if (c->commit_logged) {
        c->commit_logged = false;
        log_event(LOG(commit_works));
    }
}

/* ---- the end ---- */

/* at_most_once: records that were not sent although the group is past them: nobody reads them
 * again. */
void crew_commit_forget(const struct crew *c, const struct partition *p)
{
    int64_t from = due(c, p);

    if (c->cc.cfg->delivery == DELIVERY_AT_MOST_ONCE && from >= 0 && p->committed > from) {
        log_event(LOG(records_lost), p->topic, p->number, (long long) from,
                  (long long) p->committed - 1);
    }
}

void crew_commit_hurry(struct crew *c)
{
    c->stopping = true;
}

bool crew_commit_is_over(const struct crew *c)
{
    return has_ledger(c) || !(c->committing || any_due(c));
}

void crew_commit_last(struct crew *c)
{
    if (has_ledger(c)) {
        if (c->commit_at != USEC_NEVER && !c->committing) {
            commit(c, clock_mono());
        }
        return;
    }
    if (!crew_commit_is_over(c)) {
        log_event(LOG(last_offsets_missing), c->cc.cfg->delivery == DELIVERY_AT_LEAST_ONCE
                                                 ? "some records will be stored again"
                                                 : "some records may be lost");
    }
    for (size_t i = 0; i < c->count; i++) {
        crew_commit_forget(c, c->partitions[i]);
    }
}
