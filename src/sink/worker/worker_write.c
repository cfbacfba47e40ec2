/*
 * Batches on their way to PostgreSQL. Mostly there is one, while the next is being filled. When the
 * round trip is long, more follow by unnest before its answer is here, so that the time is not
 * spent waiting. If one of them fails, the advance of those after it misses (SK001): that is a
 * consequence and no fence. So refused batches wait in the outbox until all are answered, and only
 * the first of them decides what is done. Without a ledger no advance would miss, so then none
 * follows. Worker thread.
 */
#include "sink/shared/delays.h"
#include "sink/worker/worker_state.h"

/* A batch that the server cannot store within postgres.timeout (triggers, foreign keys) is cut. */
#define HALVE_AFTER 2
/* With a shorter round trip a second batch on its way gains nothing and makes both smaller. */
#define FOLLOW_ROUND_TRIP USEC_PER_MSEC
/* Then the link is left idle for a moment: to read notifications and to publish ends. */
#define FOLLOWERS_MAX 64

static bool open_is_due(const struct worker *w)
{
    if (batch_is_empty(w->open)) {
        return false;
    }
    return w->flush || w->stopping || !worker_fill_has_room(w) ||
           clock_mono() >= w->open->opened_usec + w->wc.cfg->batch.linger;
}

static void send_batch(struct worker *w, const struct batch *b, enum txn_path path, bool searches)
{
    struct error err;
    struct link *l = &w->link;

    worker_link_sent(w);
    l->follow_at = clock_mono() + conn_round_trip(l->conn) / TXN_FLIGHTS;
    l->given = false;
    if (path == TXN_EACH && searches) {
        txn_set_lock_timeout(l->txn, delay_lock()); /* it waits for the same lock several times */
    }
    worker_link_begin(w, LINK_WRITING, txn_start(l->txn, l->conn, b, path, &err), &err);
}

bool worker_write_start(struct worker *w)
{
    struct link *l = &w->link;

    if (!worker_group_is_ready(w)) {
        return false;
    }
    do {
        if (w->outbox_count == 0 && open_is_due(w)) {
            worker_outbox_seal(w);
        }
        if (w->outbox_count == 0 || !worker_group_may_send(w)) {
            return false;
        }
        policies_give_back(w->wc.policies,
                           w->outbox[0]); /* after a lost write that is not stored */
        if (w->write_failures >= HALVE_AFTER && w->outbox[0]->record_count > 1) {
            worker_outbox_cut(w, w->outbox[0]->record_count / 2);
        }
        worker_stand_part_suspect(w);
    } while (!worker_letters_fit(w));
    const struct batch *b = w->outbox[0];
    /* After a lost write too: if only a pipeline fails on something, COPY gets past it. */
    bool copy = l->copy_once || w->write_failures > 0 || worker_blame_is_alone(w);
    bool each = l->each_once || (!copy && write_path_expects_refusals(&l->path, b));
    enum txn_path path = each && worker_blame_may_try_each(w) ? TXN_EACH
                         : copy                               ? TXN_COPY
                                                              : write_path_choose(&l->path, b);
    bool searches = l->each_once;
    l->copy_once = false;
    l->each_once = false;
    l->followers = 0;
    send_batch(w, b, path, searches);
    return true;
}

/* ---- batches that follow ---- */

static bool may_follow(const struct worker *w)
{
    const struct link *l = &w->link;

    return l->state == LINK_WRITING && l->ledger != NULL && l->failed == 0 &&
           l->followers < FOLLOWERS_MAX && conn_round_trip(l->conn) >= FOLLOW_ROUND_TRIP &&
           !l->reconfigured && l->canary == NULL && txn_may_follow(l->txn) &&
           w->write_failures == 0 && !w->stale && !worker_ledger_wants_claim(w);
}

usec_t worker_write_deadline(const struct worker *w)
{
    bool waits = w->outbox_count > w->link.flying || !batch_is_empty(w->open);

    return waits && may_follow(w) ? w->link.follow_at : USEC_NEVER;
}

/*
 * Sends another when it is time. They are spread evenly over the round trip, so that a new record
 * waits for a part of it at most. Whatever prevents sending moves follow_at, or the worker would
 * not sleep.
 */
static void follow(struct worker *w)
{
    struct link *l = &w->link;

    if (!may_follow(w) || clock_mono() < l->follow_at) {
        return;
    }
    struct batch *next = w->open;
    struct policy *policy;
    size_t record;
    if (w->outbox_count > l->flying) {
        next = w->outbox[l->flying];
    } else if (batch_is_empty(w->open)) {
        return;
    } else if (!open_is_due(w)) {
        l->follow_at = w->open->opened_usec + w->wc.cfg->batch.linger;
        return;
    }
    if (!write_path_may_follow(&l->path, next) || !txn_fits_unnest(l->txn, next)) {
        l->follow_at = USEC_NEVER; /* large: it grows until the link is free */
        return;
    }
    if (!policies_reserve(w->wc.policies, next, clock_mono(), &record, &policy)) {
        l->follow_at = USEC_NEVER; /* it is cut when the link is free */
        return;
    }
    if (next == w->open) {
        worker_outbox_seal(w);
    }
    l->followers++;
    send_batch(w, next, TXN_UNNEST, false);
}

/* ---- answers ---- */

/* Between tables that change again and again. */
#define CHANGED_PAUSE (100 * USEC_PER_MSEC)

/* A table is not the one that the rows were made for. Looking it up again helps, or says why no
 * rows can be made for it. */
static void take_change(struct worker *w, const struct txn_result *r)
{
    worker_link_succeeded(w);
    if (w->stale_rounds > 0 && worker_blame_unusable(w, r)) {
        return;
    }
    w->link.retry_at = w->stale_rounds > 0 ? clock_mono() + CHANGED_PAUSE : 0;
    worker_plan_changed(w, r->target, &r->error);
}

/* Has it been refused for so long that time does not help? */
static bool is_lasting(struct worker *w, const struct txn_result *r)
{
    struct link *l = &w->link;

    if (r->error.class != ERROR_AGAIN || r->target == NULL) {
        return false;
    }
    l->again_since = l->again_since != 0 ? l->again_since : clock_mono();
    return clock_mono() >= l->again_since + delay_again();
}

/* Is it a record's, or its target's? Else it is the connection's, the ledger's or the session's. */
static bool is_refused(const struct txn_result *r)
{
    switch (r->error.class) {
    case ERROR_RECORD:
    case ERROR_DOUBT:
    case ERROR_UNFIT:
    case ERROR_TARGET:
        return true;
    case ERROR_NONE:
    case ERROR_AGAIN:
    case ERROR_LINK:
    case ERROR_FENCED:
    case ERROR_SETUP:
    case ERROR_KAFKA:
        break;
    }
    return false;
}

/* All are answered, and the oldest in the outbox was refused. */
static void act_on(struct worker *w, struct txn_result *r)
{
    struct link *l = &w->link;

    if (is_lasting(w, r)) {
        r->error.class = ERROR_TARGET;
    }
    if (r->ledger_locked) {
        worker_ledger_look_at_batch(w, w->outbox[0]);
    } else if (r->error.class == ERROR_FENCED) {
        worker_link_succeeded(w);
        worker_settle_fence(w);
    } else if (r->changed) {
        take_change(w, r);
    } else if (r->no_temporary && r->path == TXN_EACH) {
        w->each_denied_until = clock_mono() + delay_retry_max(); /* somebody may grant it */
        worker_link_succeeded(w);
        l->copy_once = true; /* names one row at a time */
    } else if (is_refused(r)) {
        worker_link_succeeded(w);
        worker_blame(w, r);
    } else {
        worker_link_failed(w, &r->error);
    }
}

/* The oldest that is on its way is answered. */
static void count_result(struct worker *w, const struct txn_result *r)
{
    struct link *l = &w->link;

    if (r->outcome == TXN_COMMITTED) {
        usec_t sent_at = l->sent_at[(l->sent - l->flying) % TXN_FLIGHTS];
        stats_observe(&w->stats, transaction_duration_seconds, clock_mono() - sent_at);
    } else {
        stats_count(&w->stats.retries, 1);
        stats_count(&w->stats.retries_by_class[r->error.class], 1);
    }
}

static void take_result(struct worker *w, const struct txn_result *r)
{
    struct link *l = &w->link;

    l->flying--;
    if (l->canary != NULL) {
        worker_stand_canary(w, r);
        return;
    }
    bool given = l->given;
    l->given = false;
    if (r->outcome == TXN_COMMITTED) {
        if (!given) {
            write_path_learn(&l->path, batch_row_count(w->outbox[l->failed]), 0);
        }
        w->write_failures = 0;
        w->stale_tried = false;
        w->stale_rounds = 0;
        l->again_since = 0;
        worker_settle_commit(w, l->failed);
        worker_group_stored(w);
    } else {
        policies_give_back(w->wc.policies, w->outbox[l->failed]);
        if (l->failed++ == 0) {
            l->verdict = *r;
        }
    }
    if (l->flying > 0) {
        return;
    }
    if (l->failed == 0) {
        worker_link_succeeded(w);
        return;
    }
    l->failed = 0;
    act_on(w, &l->verdict);
}

/* Until the transaction has to wait, or one is done. */
static enum txn_step step(struct worker *w, struct txn_result *out)
{
    struct link *l = &w->link;
    enum txn_step result;

    while ((result = txn_step(l->txn, out)) == TXN_TRIED) {
        l->given = l->canary == NULL && worker_letters_give(w);
        if (!l->given) {
            txn_refuse(l->txn);
        }
    }
    return result;
}

void worker_write_step(struct worker *w)
{
    struct txn_result r;
    struct link *l = &w->link;

    while (l->state == LINK_WRITING && step(w, &r) == TXN_DONE) {
        count_result(w, &r);
        if (r.error.class == ERROR_LINK && l->canary == NULL) {
            w->write_failures++;
            worker_link_failed(w, &r.error);
            worker_stand_lost(w, &r); /* first: outbox[0] is still what was lost */
            if (r.outcome == TXN_UNKNOWN) {
                worker_group_unknown(w);
            }
            return;
        }
        take_result(w, &r);
    }
    follow(w);
}
