/*
 * What a worker does with one of its slots, whatever the reason: begin at an offset, have the log
 * verified again, read again, stop at a record. The caller knows why. Worker thread.
 */
#include "base/mem.h"
#include "row/record/record.h"
#include "sink/plan/plan.h"
#include "sink/plan/policy.h"
#include "sink/shared/delays.h"
#include "sink/shared/remedy.h"
#include "sink/worker/worker_state.h"

#include <stdlib.h>

/* ---- where it begins ---- */

void worker_slot_set_stored(struct slot *s, int64_t next_offset)
{
    s->stored = next_offset;
    atomic_store_explicit(&s->share->stored, next_offset, memory_order_release);
}

/* WAITING, until main has verified the log and begun to fetch from `offset`. The report is to be
 * posted. */
static struct report *new_start(struct worker *w, struct slot *s, int64_t offset,
                                const struct error *why)
{
    s->seq++;
    slot_set(s, SLOT_WAITING);
    struct report *r = worker_report_new(w, REPORT_START, s, offset, why);
    r->known = s->known;
    return r;
}

static void start_at(struct worker *w, struct slot *s, int64_t offset, const struct error *why,
                     bool inserted)
{
    worker_slot_set_stored(s, offset);
    worker_due_begin(w, s, offset);
    s->expect = offset;
    s->gap.to = -1;
    s->known.is_doubted = false;
    s->tail.offset = FINGERPRINT_NONE;
    s->doubtful_broker = -1;
    s->anchors[0] = s->anchors[1] = s->known.fp;
    struct report *r = new_start(w, s, offset, why);
    r->inserted = inserted;
    worker_report_post(w, r);
}

void worker_slot_start(struct worker *w, struct slot *s, int64_t offset, bool inserted)
{
    worker_slot_moves(w, s);
    start_at(w, s, offset, NULL, inserted);
}

/* It still stands, until something of it is stored. */
void worker_slot_try_again(struct worker *w, struct slot *s)
{
    struct error why;

    error_set(&why, ERROR_AGAIN, "%s", standing_name(s->standing->state));
    s->canary = batch_free(s->canary);
    worker_slot_forget_fault(w, s);
    start_at(w, s, s->expect, &why, false);
}

/* What was taken stays in its batches: the next record is still the one that is expected. */
void worker_slot_verify_again(struct worker *w, struct slot *s, struct fingerprint fp,
                              const char *why)
{
    struct error err;

    error_set(&err, ERROR_AGAIN, "%s", why);
    s->known.is_doubted = true;
    if (fp.offset >= 0 && fp.offset < s->known.fp.offset) {
        s->tail = s->known.fp;
        s->known.fp = fp;
    }
    worker_report_post(w, new_start(w, s, s->expect, &err));
}

/*
 * A record of a while ago shows that the log is not a new one of the same name. But the log may
 * have been truncated after it, so the last record has to be there too.
 */
bool worker_slot_verify_tail(struct worker *w, struct slot *s)
{
    if (s->tail.offset < 0) {
        return false;
    }
    s->known.fp = s->tail;
    s->tail.offset = FINGERPRINT_NONE;
    struct report *r = new_start(w, s, s->expect, NULL);
    r->is_tail = true;
    worker_report_post(w, r);
    return true;
}

/* ---- what does not move ---- */

/* The ledger is to have it, or that there is nothing any more. */
static void write_standing(struct worker *w, struct slot *s)
{
    s->stand_changes++;
    w->stand_due = w->link.ledger != NULL;
}

void worker_slot_write_standing(struct worker *w, struct slot *s)
{
    bool is_ours = s->standing != NULL && s->standing->state != STANDING_PAUSED;

    if (is_ours && s->standing_told) {
        write_standing(w, s);
    }
}

static bool is_over_limit(const struct standing *standing)
{
    return standing != NULL && (standing->state == STANDING_OVER_LIMIT || standing->has_excess);
}

/* If it is over the limit of a route, then that route is so no more. */
static void end_excess(const struct worker *w, const struct slot *s, bool is_resumed)
{
    if (!is_over_limit(s->standing)) {
        return;
    }
    for (size_t i = 0; s->plan != NULL && i < s->plan->route_count; i++) {
        struct policy *p = policies_at(w->wc.policies, s->plan->routes[i].number);
        if (p->exceeded && is_resumed) {
            policy_refill(p);
        } else if (p->exceeded) {
            policy_forget_excess(p);
        }
    }
}

/*
 * Nobody has been told of it, so nobody could resume it. If the record is read again, here or by
 * another owner, it is found out again; until then its route may have what it could have before.
 */
static void forget_excess(const struct worker *w, const struct slot *s)
{
    if (!s->standing_told || s->fault != NULL) {
        end_excess(w, s, false);
    }
}

static void forget_standing(struct worker *w, struct slot *s)
{
    forget_excess(w, s);
    free(TAKE_PTR(s->standing));
    s->canary = batch_free(s->canary);
    s->standing_told = false;
    s->blamed = -1;
    w->standing_count--;
}

void worker_slot_moves(struct worker *w, struct slot *s)
{
    if (s->standing == NULL) {
        return;
    }
    if (s->standing_told) {
        /* By resume(): what the route may have is there again, once for all that are resumed. */
        end_excess(w, s, true);
        struct report *r = worker_report_new(w, REPORT_MOVES, s, s->stored, NULL);
        r->blamed = s->standing->state == STANDING_WAITING ? s->blamed : -1;
        worker_report_post(w, r);
        if (s->standing->state != STANDING_PAUSED) {
            write_standing(w, s);
        }
    }
    worker_slot_forget_fault(w, s);
    forget_standing(w, s);
    s->retries = 0;
}

/* Without a word: the row of the ledger is another's, or says so itself. */
void worker_slot_forget_standing(struct worker *w, struct slot *s)
{
    s->stand_written = s->stand_changes;
    if (s->standing != NULL) {
        forget_standing(w, s);
    }
    worker_slot_forget_fault(w, s);
}

void worker_slot_free(struct worker *w, struct slot *s)
{
    worker_slot_forget_standing(w, s);
    free(s->unplanned);
    free(s);
}

/* What nobody knows of yet is found out again. */
static void forget_untold(struct worker *w, struct slot *s)
{
    if (s->standing != NULL && !s->standing_told) {
        forget_standing(w, s);
    }
    worker_slot_forget_fault(w, s);
}

void worker_slot_read_again(struct worker *w, struct slot *s, const struct error *why)
{
    worker_outbox_drop(w, s);
    worker_due_take_back(w, s);
    forget_untold(w, s);
    if (slot_owns(s)) {
        start_at(w, s, s->stored, why, false);
    }
}

static struct standing *new_standing(struct worker *w, struct slot *s)
{
    if (s->standing == NULL) {
        s->standing = mem_zalloc(sizeof *s->standing);
        w->standing_count++;
    }
    return s->standing;
}

/* ---- what waits for its row of the ledger ---- */

/*
 * Its row of the ledger is locked: nothing of it can be written before it is claimed again, and
 * that may take hours. So its records are dropped, and it starts again from what the ledger says
 * then. Until then it drops what comes, and an answer to an older start means nothing. What stands
 * has no records, and waits as it is.
 */
void worker_slot_hold(struct worker *w, struct slot *s)
{
    s->reclaim = true;
    if (s->state == SLOT_STOPPED && !worker_outbox_holds(w, s)) {
        return;
    }
    worker_outbox_drop(w, s);
    forget_untold(w, s);
    worker_slot_wait_for_claim(s);
    worker_report(w, REPORT_HELD, s, s->stored, NULL);
}

/* The next claim starts it, or tries it again if it stands. */
void worker_slot_wait_for_claim(struct slot *s)
{
    s->seq++;
    s->expect = -1; /* its chain meets the ledger nowhere */
    s->gap.to = -1;
    s->reclaim = true;
    slot_set(s, SLOT_WAITING);
}

/*
 * One fault per partition, the first in the order of its records: PostgreSQL may still refuse one
 * that was taken before the one that cannot be decoded. So it is reported when everything before it
 * is stored.
 */
void worker_slot_stand(struct worker *w, struct slot *s, const struct standing *why)
{
    enum report_kind kind = why->is_corrupt ? REPORT_CORRUPT : REPORT_STOPPED;
    struct standing *now = new_standing(w, s);

    if (why->state != STANDING_OVER_LIMIT) {
        forget_excess(w, s); /* an earlier record is refused */
    }
    *now = *why;
    remedy_for(w->wc.cfg, s->topic, s->number, now);
    error_wrap(&now->why, "%s-%d@%lld", s->topic, s->number, (long long) why->offset);
    worker_slot_forget_fault(w, s);
    s->fault = worker_report_new(w, kind, s, why->offset, &now->why);
    s->fault->standing = why->state;
    s->fault->by_itself = why->retry_at != USEC_NEVER;
    s->fault->lacks_schema = why->lacks_schema;
    s->fault_after = 0;
    w->fault_count++;
    w->flush = true;
    if (s->state != SLOT_STOPPED) {
        slot_set(s, SLOT_STOPPED);
    }
}

void worker_slot_stop(struct worker *w, struct slot *s, int64_t offset, const struct error *err)
{
    const struct standing why = {
        .state = STANDING_STOPPED, .offset = offset, .why = *err, .retry_at = USEC_NEVER};

    worker_slot_stand(w, s, &why);
}

/* The ledger has said so, at a claim. */
void worker_slot_stay(struct worker *w, struct slot *s, struct standing *kept, bool inserted)
{
    kept->has_excess = kept->state == STANDING_PAUSED && is_over_limit(s->standing);
    worker_slot_forget_standing(w, s);
    s->standing = kept;
    s->standing_told = true;
    w->standing_count++;
    if (s->state != SLOT_STOPPED) {
        slot_set(s, SLOT_STOPPED);
    }
    struct report *r = worker_report_new(w, REPORT_STOPPED, s, kept->offset, &kept->why);
    r->standing = kept->state;
    r->kept = true;
    r->inserted = inserted;
    worker_report_post(w, r);
}

/* Its tables cannot be used. Main knows, and tries again. */
void worker_slot_unplanned(struct worker *w, struct slot *s)
{
    worker_slot_forget_standing(w, s);
    *new_standing(w, s) = (struct standing){.state = STANDING_PARKED,
                                            .offset = s->expect,
                                            .why = *s->unplanned,
                                            .retry_at = clock_mono() + delay_retry()};
    s->standing_told = true;
    write_standing(w, s);
    if (s->state != SLOT_STOPPED) {
        slot_set(s, SLOT_STOPPED);
    }
}

void worker_slot_planned(struct worker *w, struct slot *s, const struct topic_plan *plan)
{
    bool waits = s->state == SLOT_STOPPED && s->standing != NULL &&
                 s->standing->state == STANDING_PARKED;

    s->plan = s->plan != NULL ? s->plan : plan;
    free(TAKE_PTR(s->unplanned));
    if (waits) {
        worker_slot_try_again(w, s);
    }
}

/* Main has found out, and knows. */
void worker_slot_stopped_by_main(struct worker *w, struct slot *s, const struct error *err)
{
    worker_slot_forget_standing(w, s);
    *new_standing(w, s) = (struct standing){
        .state = STANDING_STOPPED, .offset = s->expect, .why = *err, .retry_at = USEC_NEVER};
    s->standing_told = true;
    write_standing(w, s);
    if (s->state != SLOT_STOPPED) {
        slot_set(s, SLOT_STOPPED);
    }
}

void worker_slot_forget_fault(struct worker *w, struct slot *s)
{
    s->fault_after = 0;
    if (s->fault != NULL) {
        free(TAKE_PTR(s->fault));
        w->fault_count--;
    }
}

void worker_slot_report_faults(struct worker *w)
{
    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        bool is_certain = s->fault_after <= w->plan_answered;
        if (s->fault != NULL && is_certain && !worker_outbox_holds(w, s)) {
            worker_report_post(w, TAKE_PTR(s->fault));
            w->fault_count--;
            s->standing_told = true;
            write_standing(w, s);
        }
    }
}
