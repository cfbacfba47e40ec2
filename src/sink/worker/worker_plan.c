/*
 * When tables change while we run. When a transaction finds a table that is not as the plan has it,
 * or a table refuses a batch as a whole, main is asked to look it up again; meanwhile nothing is
 * written. The answer is one order for all slots. Where a plan has changed, all records that are
 * not stored are read and encoded again, and what is parked is tried again; other partitions go on
 * with what they have. A table that cannot be used any more leaves the plan as it was, with the
 * reason: what is refused after that is parked (worker_blame.c), and so is what would stop because
 * of a record that its former columns cannot take. Worker thread.
 */
#include "base/mem.h"
#include "sink/plan/plan.h"
#include "sink/shared/delays.h"
#include "sink/worker/worker_state.h"

#include <stdlib.h>

#define ANY_TARGET (-1)

/* ---- questions ---- */

/* About the tables of the slot's topic, else about that of the target, else about all. */
static uint64_t ask(struct worker *w, const struct slot *s, const struct target *target,
                    const struct error *err)
{
    bool is_of_plan = target != NULL && target->route != NULL; /* and not of dead letters */
    struct report *r = worker_report_new(w, REPORT_STALE, s,
                                         is_of_plan ? (int64_t) target->id : ANY_TARGET, err);

    r->seq = ++w->plan_asked;
    worker_report_post(w, r);
    return w->plan_asked;
}

void worker_plan_changed(struct worker *w, const struct target *target, const struct error *err)
{
    if (!w->stale) {
        w->stale = true;
        w->stale_until = ask(w, NULL, target, err);
    }
}

bool worker_plan_stale(struct worker *w, const struct target *target, const struct error *err)
{
    if (w->stale_tried) {
        return false;
    }
    worker_plan_changed(w, target, err);
    return true;
}

void worker_plan_look(struct worker *w, const struct target *target)
{
    (void) ask(w, NULL, target, NULL);
}

void worker_plan_doubt_faults(struct worker *w)
{
    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        if (s->fault != NULL && s->fault_after == UINT64_MAX && !worker_outbox_holds(w, s)) {
            s->fault_after = ask(w, s, NULL, NULL);
        }
    }
}

/* ---- answers ---- */

void worker_plan_take(struct worker *w, const struct order *o)
{
    w->plan_told = MAX(w->plan_told, o->seq);
    if (o->renewal != NULL) {
        w->renewals = mem_grow(w->renewals, &w->renewal_cap, w->renewal_count,
                               sizeof(const struct plan_renewal *));
        w->renewals[w->renewal_count++] = o->renewal;
    }
}

/* Set aside, and not being tried just now. */
static bool is_aside(const struct worker *w, const struct slot *s)
{
    return s->standing != NULL && s->state == SLOT_STOPPED &&
           (s->standing->state == STANDING_PARKED || s->standing->state == STANDING_WAITING) &&
           !worker_outbox_holds(w, s);
}

static void renew_slot(struct worker *w, struct slot *s)
{
    const struct topic_plan *former = s->plan;
    struct error why;

    if (former == NULL) {
        return; /* main has it made */
    }

    for (size_t i = 0; i < w->renewal_count; i++) {
        s->plan = plan_renewal_of(w->renewals[i], s->plan);
    }
    if (s->plan == former) {
        return;
    }
    bool is_same = plan_topic_is_same(s->plan, former); /* but for whether it can be used */
    if (!is_same) {
        worker_absence_renewed(w, s->plan);
        s->canary = batch_free(s->canary);
    }
    error_set(&why, ERROR_SETUP, "its tables have changed");
    if (s->lock.is_held) {
        return; /* it is read again when it is claimed again */
    }
    if (is_aside(w, s)) {
        if (s->plan->why == NULL) {
            worker_slot_try_again(w, s);
        }
    } else if (!is_same && (s->state == SLOT_READING || s->state == SLOT_WAITING ||
                            s->fault_after != 0 || worker_outbox_holds(w, s))) {
        worker_slot_read_again(w, s, &why);
    }
}

/* No slot has a row of these any more; what else names them goes too. */
static void forget_targets(struct worker *w, const struct plan_renewal *r)
{
    size_t n;
    const struct target *const *gone = plan_renewal_gone(r, &n);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < w->slot_count; k++) {
            if (w->slots[k]->canary != NULL) {
                batch_forget(w->slots[k]->canary, gone[i]);
            }
        }
        batch_forget(w->open, gone[i]);
        for (size_t k = 0; k < w->outbox_count; k++) {
            batch_forget(w->outbox[k], gone[i]);
        }
    }
    txn_forget(w->link.txn, gone, n);
}

static void renew(struct worker *w)
{
    if (w->renewal_count == 0) {
        return;
    }
    worker_absence_reset(w);
    for (size_t i = 0; i < w->slot_count; i++) {
        renew_slot(w, w->slots[i]);
    }
    for (size_t i = 0; i < w->renewal_count; i++) {
        forget_targets(w, w->renewals[i]);
    }
    uint64_t last = plan_renewal_number(w->renewals[w->renewal_count - 1]);
    worker_report(w, REPORT_RENEWED, NULL, (int64_t) last, NULL);
    w->renewal_count = 0;
}

/*
 * Its tables were looked up before it stops, and cannot be used: what they will be decides about
 * the record, not what they were. It is read again for each try.
 */
static void park_unusable(struct worker *w, struct slot *s)
{
    bool is_answered = s->fault_after != 0 && s->fault_after <= w->plan_answered;

    if (s->fault == NULL || !is_answered || s->plan->why == NULL) {
        return;
    }
    const struct standing why = {
        .state = STANDING_PARKED,
        .offset = s->standing->offset,
        .why = *s->plan->why,
        .retry_at = clock_mono() + delay_retry_after(s->retries),
    };
    s->retries++;
    worker_slot_stand(w, s, &why);
}

void worker_plan_apply(struct worker *w)
{
    if (w->renewal_count == 0 && w->plan_answered == w->plan_told) {
        return;
    }
    w->stale_changed |= w->stale && w->renewal_count > 0;
    renew(w);
    w->plan_answered = w->plan_told;
    for (size_t i = 0; w->fault_count > 0 && i < w->slot_count; i++) {
        park_unusable(w, w->slots[i]);
    }
    if (w->stale && w->plan_answered >= w->stale_until) {
        w->stale = false;
        w->stale_tried = !w->stale_changed;
        w->stale_changed = false;
        w->stale_rounds++;
    }
}

void worker_plan_done(struct worker *w)
{
    free(w->renewals);
}
