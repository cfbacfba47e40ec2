/*
 * When tables change while we run. When a table refuses a batch as a whole, or a transaction finds
 * columns that the plan does not have, main is asked to read the catalog again; meanwhile nothing
 * is written. With the new plan all records that are not stored are read and encoded again. If
 * nothing can be stored then either, an operator must act. Worker thread.
 */
#include "sink/worker/worker_state.h"

void worker_plan_changed(struct worker *w, const struct error *err)
{
    if (!w->stale) {
        w->stale = true;
        worker_report(w, REPORT_STALE, NULL, 0, err);
    }
}

/* What a new plan did not help is not tried again and again. */
bool worker_plan_stale(struct worker *w, const struct error *err)
{
    if (w->stale_tried) {
        return false;
    }
    worker_plan_changed(w, err);
    return true;
}

void worker_plan_take(struct worker *w, struct slot *s, const struct topic_plan *plan)
{
    if (s == NULL) {
        return;
    }
    s->next_plan = plan;
    w->plans_due = true;
}

static void renew(struct worker *w, struct slot *s)
{
    struct error why;

    error_set(&why, ERROR_SETUP, "its tables have changed");
    s->plan = s->next_plan;
    s->next_plan = NULL;
    if (s->lock.is_held) {
        return; /* it is read again when it is claimed again */
    }
    if (s->state == SLOT_READING || s->state == SLOT_WAITING || worker_outbox_holds(w, s)) {
        worker_slot_read_again(w, s, &why);
    }
}

void worker_plan_apply(struct worker *w)
{
    if (!w->plans_due) {
        return;
    }
    w->plans_due = false;
    for (size_t i = 0; i < w->slot_count; i++) {
        if (w->slots[i]->next_plan != NULL) {
            renew(w, w->slots[i]);
        }
    }
    w->stale_tried = w->stale;
    w->stale = false;
}
