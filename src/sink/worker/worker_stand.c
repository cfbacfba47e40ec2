/*
 * Partitions that do not move: what is set aside so that the others go on, and when it is tried
 * again. Why one of them stands is decided in worker_blame.c.
 *
 *     parked     the target refuses. Its first refused record is kept, the canary, and is tried
 *                alone over this connection: with the eager protocol of the group, fetching one
 *                partition would start all of them again. Once the canary is stored, the
 *                partition is fetched.
 *     waiting    nobody knows yet whose fault it is. What may show it is a record after it, so each
 *                try fetches.
 *     poison     alone, it has ended its session, or not returned, three times. It is not tried
 *                again before somebody asks for it. Without a ledger nobody can, so then it is
 *                tried once a minute.
 *
 * Worker thread.
 */
#include "row/record/record.h"
#include "sink/plan/plan.h"
#include "sink/shared/delays.h"
#include "sink/shared/remedy.h"
#include "sink/worker/worker_state.h"

#include <string.h>

/* A record that has cost its session is tried again after this long, alone. */
#define POISON_RETRY USEC_PER_SEC
#define POISON_TIMES 3
/* Tries of a record without a witness until patience is over: one at once, the others in between.
 */
#define PATIENCE_TRIES 5
#define NO_RECORD SIZE_MAX

/* ---- setting aside ---- */

usec_t worker_stand_retry_at(const struct slot *s)
{
    return clock_mono() + delay_retry_after(s->retries);
}

/*
 * Copies the record and its rows: what can be sent alone, once all before it is stored. Without a
 * ledger the group decides what may be sent, so then the partition is fetched for each try.
 */
static struct batch *canary_of(const struct worker *w, const struct batch *b, size_t record)
{
    const struct batch_record *r = &b->records[record];
    const struct span *span = &b->spans[r->span];

    if (w->link.ledger == NULL) {
        return NULL;
    }
    const struct topic_plan *plan = ((const struct slot *) span->tag)->plan;
    struct batch *canary = batch_new();
    uint32_t to = batch_span(canary, span->tag, span->topic, span->partition, span->owner_epoch,
                             r->offset);
    batch_record_begin(canary, to, r->offset, r->timestamp_ms, r->leader_epoch);
    batch_copy_rows(b, record, canary);
    batch_record_end(canary);
    for (size_t i = 0; b->compared_count > 0 && i < plan->route_count; i++) {
        record_compare(&plan->routes[i], canary); /* it may have a dead letter of one of them */
    }
    return canary;
}

/*
 * From this record of outbox[0] on, nothing of its partition is sent: what is before it stays in
 * the outbox, what is after it is dropped, and read again some time. Not while WRITING.
 */
void worker_stand_aside(struct worker *w, size_t record, const struct standing *why)
{
    struct batch *b = w->outbox[0];
    struct slot *s = b->spans[b->records[record].span].tag;
    struct batch *canary = why->state == STANDING_PARKED ? canary_of(w, b, record) : NULL;
    int64_t from = batch_truncate(b, s, record);

    for (size_t i = 1; i < w->outbox_count; i++) {
        batch_drop(w->outbox[i], s);
    }
    batch_drop(w->open, s);
    w->open_id++;
    worker_outbox_drop_empty(w);
    if (!slot_owns(s)) {
        batch_free(canary);
        return;
    }
    if (canary != NULL) {
        canary->spans[0].from = from; /* offsets before it may hold no record */
    }
    s->expect = from;
    s->canary = batch_free(s->canary);
    s->canary = canary;
    worker_slot_stand(w, s, why);
}

/* ---- patience ---- */

bool worker_stand_doubt(struct slot *s, int64_t offset, const char *sqlstate, usec_t patience)
{
    struct doubt *d = &s->doubt;
    usec_t now = clock_mono();

    if (offset <= d->blamed) {
        return true;
    }
    if (d->since == 0 || d->offset != offset || strcmp(d->sqlstate, sqlstate) != 0) {
        *d = (struct doubt){.offset = offset, .since = now, .blamed = d->blamed};
        memcpy(d->sqlstate, sqlstate, MIN(strlen(sqlstate), sizeof d->sqlstate - 1));
    }
    d->attempts++;
    if (d->attempts < PATIENCE_TRIES || now < d->since + patience) {
        return false;
    }
    d->blamed = offset; /* the records after it have to wait for themselves */
    return true;
}

/*
 * The same for a refusal with a strict witness. It concerns all records with the same SQLSTATE:
 * that the target goes on storing others shows that it is not the target's.
 */
bool worker_stand_strict(struct slot *s, int64_t offset, const char *sqlstate)
{
    struct doubt *d = &s->doubt;
    usec_t now = clock_mono();

    if (d->since == 0 || strcmp(d->sqlstate, sqlstate) != 0) {
        *d = (struct doubt){.offset = offset, .since = now, .blamed = d->blamed};
        memcpy(d->sqlstate, sqlstate, MIN(strlen(sqlstate), sizeof d->sqlstate - 1));
    }
    d->attempts++;
    return now >= d->since + delay_strict();
}

/* As many tries as are wanted before patience is over. */
usec_t worker_stand_look_again_at(const struct slot *s, usec_t patience)
{
    usec_t step = patience / (PATIENCE_TRIES - 1);

    return MAX(clock_mono() + step / 2, s->doubt.since + s->doubt.attempts * step);
}

/* ---- poison ---- */

static void hint_poison(const struct worker *w, const struct slot *s, struct error *err)
{
    if (w->link.ledger != NULL) {
        error_hint(err, "What does the table do with it (triggers, functions, constraints)? "
                        "Repair that.");
        return;
    }
    _cleanup_buf_ struct buf how = {0};
    remedy_move_group(w->wc.cfg, s->topic, s->number, s->poison.offset + 1, &how);
    error_hint(err,
               "What does the table do with it (triggers, functions, constraints)? It is tried "
               "again every minute. To skip it, stop the daemon and run %s",
               buf_cstr(&how));
}

/*
 * The connection was lost while one record was sent alone, although the ledger had been moved
 * (without a ledger: although the server had begun to answer): by the record, as far as anybody can
 * see. The second time it is set aside, so that the others go on.
 */
static void stand_as_poison(const struct worker *w, struct slot *s, const struct error *err,
                            struct standing *out)
{
    bool is_sure = s->poison.times >= POISON_TIMES;
    usec_t sure_at = w->link.ledger != NULL ? USEC_NEVER : clock_mono() + delay_retry_max();

    *out = (struct standing){
        .state = is_sure ? STANDING_POISON : STANDING_PARKED,
        .offset = s->poison.offset,
        .why = *err,
        .retry_at = is_sure ? sure_at : clock_mono() + POISON_RETRY,
    };
    error_wrap(&out->why, "alone, this record has ended its session, or not returned, %u time%s",
               s->poison.times, s->poison.times == 1 ? "" : "s");
    hint_poison(w, s, &out->why);
}

/*
 * Whether it was stored all the same is not known before the ledger is asked: the end of a small
 * transaction has always been sent before its session ends.
 */
static void suspect(struct worker *w, struct slot *s, int64_t offset, const struct error *err)
{
    if (s->poison.offset != offset) {
        s->poison = (struct poison){.offset = offset};
    }
    s->poison.is_lost = true;
    w->poison_due = true;
    w->poison_why = *err;
}

static bool is_first_of_all(const struct worker *w, const struct slot *s)
{
    const struct batch *b = w->outbox_count > 0 ? w->outbox[0] : NULL;

    return b != NULL && b->record_count == 1 && b->spans[b->records[0].span].tag == s &&
           b->records[0].offset == s->poison.offset;
}

/* The second time it is set aside, so that the others go on. */
static void not_stored(struct worker *w, struct slot *s)
{
    struct standing why;

    s->poison.is_lost = false;
    if (s->stored > s->poison.offset) {
        return;
    }
    s->poison.times++;
    stand_as_poison(w, s, &w->poison_why, &why);
    if (s->state == SLOT_STOPPED && s->standing != NULL) {
        worker_slot_stand(w, s, &why);
    } else if (s->poison.times >= 2 && is_first_of_all(w, s)) {
        worker_stand_aside(w, 0, &why);
        w->write_failures = 0;
    } else if (s->poison.times >= POISON_TIMES && !worker_outbox_holds(w, s)) {
        worker_slot_stand(w, s, &why); /* its row was locked by the session that it had taken */
        w->write_failures = 0;
    }
}

void worker_stand_lost(struct worker *w, const struct txn_result *r)
{
    const struct batch *b = w->outbox_count > 0 ? w->outbox[0] : NULL;

    if (b != NULL && b->record_count == 1 && r->advanced) {
        struct slot *s = b->spans[b->records[0].span].tag;
        suspect(w, s, b->records[0].offset, &r->error);
        if (w->link.ledger == NULL && r->outcome == TXN_ROLLED_BACK) {
            not_stored(w, s); /* nobody else could say so */
        }
    }
}

/* To be called when claims are settled, and before anything is written. */
void worker_stand_settle(struct worker *w)
{
    bool is_open = false;

    for (size_t i = 0; w->poison_due && i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        bool is_settled = slot_owns(s) && !s->reclaim && !s->lock.is_held;
        if (s->poison.is_lost && is_settled) {
            not_stored(w, s);
        }
        is_open = is_open || (s->poison.is_lost && s->state != SLOT_RELEASING);
    }
    w->poison_due = is_open;
}

/* The first record of it that may be poison; or NO_RECORD. */
static size_t first_suspect(const struct batch *b)
{
    size_t first = NO_RECORD;

    for (uint32_t k = 0; k < b->span_count; k++) {
        const struct slot *s = b->spans[k].tag;
        int64_t offset = s->poison.offset;
        bool is_here = s->poison.times > 0 && b->spans[k].from <= offset &&
                       offset < b->spans[k].next;
        for (size_t i = 0; is_here && i < b->record_count && i < first; i++) {
            if (b->records[i].span == k && b->records[i].offset == offset) {
                first = i;
            }
        }
    }
    return first;
}

/* Or it would cost all that are sent with it the connection, again and again. */
void worker_stand_part_suspect(struct worker *w)
{
    size_t at;

    while (w->outbox[0]->record_count > 1 && (at = first_suspect(w->outbox[0])) != NO_RECORD) {
        worker_outbox_cut(w, MAX(at, 1));
    }
}

/* ---- trying again ---- */

/* Is it tried again by this worker? Main does it for those without a plan. */
static bool waits_for_us(const struct slot *s)
{
    return s->standing != NULL && s->state == SLOT_STOPPED && s->fault == NULL && !s->reclaim &&
           s->unplanned == NULL;
}

/*
 * What has been due for longest. In the order of the slots, partitions whose tries each wait for a
 * lock would be due again before the last one ever had its turn.
 */
static struct slot *next_due(const struct worker *w, usec_t now)
{
    struct slot *next = NULL;

    for (size_t i = 0; w->standing_count > 0 && i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        bool is_due = waits_for_us(s) && s->standing->retry_at <= now;
        if (is_due && (next == NULL || s->standing->retry_at < next->standing->retry_at)) {
            next = s;
        }
    }
    return next;
}

usec_t worker_stand_deadline(const struct worker *w)
{
    usec_t at = USEC_NEVER;

    for (size_t i = 0; w->standing_count > 0 && i < w->slot_count; i++) {
        const struct slot *s = w->slots[i];
        if (waits_for_us(s)) {
            at = MIN(at, s->standing->retry_at);
        }
    }
    return at;
}

static bool canary_is_ready(const struct slot *s)
{
    return s->canary != NULL && s->canary->spans[0].from == s->stored;
}

/* True: a canary is on its way. */
bool worker_stand_start(struct worker *w)
{
    struct link *l = &w->link;
    struct slot *s;

    while (!w->stopping && (s = next_due(w, clock_mono())) != NULL) {
        if (!canary_is_ready(s)) {
            s->standing->retry_at = USEC_NEVER; /* the next refusal sets it */
            worker_slot_try_again(w, s);
            continue;
        }
        struct error err;
        s->canary->spans[0].owner_epoch = s->owner_epoch;
        l->canary = s;
        worker_link_sent(w);
        txn_set_lock_timeout(l->txn, delay_lock());
        worker_link_begin(w, LINK_WRITING, txn_start(l->txn, l->conn, s->canary, TXN_COPY, &err),
                          &err);
        return true;
    }
    return false;
}

static void stands_still(struct worker *w, struct slot *s, const struct error *err)
{
    struct standing why = *s->standing;

    s->retries++;
    why.why = *err;
    if (why.why.hint[0] == '\0' && strcmp(err->sqlstate, s->standing->why.sqlstate) == 0) {
        memcpy(why.why.hint, s->standing->why.hint, sizeof why.why.hint); /* still what helps */
    }
    why.retry_at = worker_stand_retry_at(s);
    worker_slot_stand(w, s, &why);
}

/*
 * A fault that may be the record's is found out among its neighbours, so it is fetched like any
 * other.
 */
static bool is_still_the_targets(const struct txn_result *r)
{
    return r->error.class == ERROR_TARGET || r->error.class == ERROR_UNFIT ||
           r->error.class == ERROR_AGAIN;
}

/* It may be stored all the same: the claim that follows says so. */
static void canary_lost(struct worker *w, struct slot *s, const struct txn_result *r)
{
    worker_link_failed(w, &r->error);
    if (slot_owns(s)) {
        s->standing->retry_at = clock_mono() + POISON_RETRY;
        if (r->advanced) {
            suspect(w, s, s->standing->offset, &r->error);
        }
    }
}

void worker_stand_canary(struct worker *w, const struct txn_result *r)
{
    struct slot *s = TAKE_PTR(w->link.canary);

    if (r->outcome == TXN_COMMITTED) {
        struct batch *canary = TAKE_PTR(s->canary);
        worker_link_succeeded(w);
        worker_settle_stored(w, canary);
        batch_free(canary);
        if (slot_owns(s)) {
            worker_slot_start(w, s, s->stored, false);
        }
        return;
    }
    if (r->error.class == ERROR_LINK || (r->error.class == ERROR_SETUP && !r->advanced)) {
        canary_lost(w, s, r);
        return;
    }
    if (r->ledger_locked && slot_owns(s)) {
        s->standing->retry_at = worker_stand_retry_at(s);
        w->link.verdict = *r;
        worker_ledger_look_at_batch(w, s->canary);
        return;
    }
    worker_link_succeeded(w);
    if (!slot_owns(s)) {
        return;
    }
    if (r->error.class == ERROR_FENCED) {
        s->reclaim = true;
    } else if (is_still_the_targets(r)) {
        stands_still(w, s, &r->error);
    } else if (r->changed) {
        s->retries++;
        s->standing->retry_at = worker_stand_retry_at(s); /* a new plan is tried at once */
        worker_plan_look(w, r->target);
    } else {
        s->standing->retry_at = USEC_NEVER;
        worker_slot_try_again(w, s);
    }
}
