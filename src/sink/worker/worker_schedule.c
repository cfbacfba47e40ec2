/*
 * What the connection does next. One operation at a time, in this order of precedence: renew the
 * session where another configuration wants it otherwise, look whether rows of the ledger are still
 * locked, claim new partitions, claim again what may have changed (nothing is written before that
 * is settled: invariant I9), move over gaps, write down what is known of logs and of what stands,
 * write the oldest batch, publish ends. Every state moves on by itself when the socket or a
 * deadline says so. Worker thread.
 */
#include "sink/worker/worker_state.h"

/* Whoever may connect may notify: so it costs at most this many claims. */
#define MOVED_PAUSE (100 * USEC_PER_MSEC)

static bool look_for_news(struct worker *w)
{
    struct link *l = &w->link;
    struct error err;
    struct conn_news news;

    if (!l->check_idle) {
        return true;
    }
    l->check_idle = false;
    if (!conn_idle(l->conn, &news, &err)) {
        worker_link_lost(w, &err);
        return false;
    }
    if (news.replay) {
        worker_report(w, REPORT_REPLAY, NULL, 0, NULL);
    }
    if (news.seek) {
        worker_report(w, REPORT_SEEK, NULL, 0, NULL);
    }
    l->moved = l->moved || (news.ledger && l->ledger != NULL);
    return true;
}

/* The first time at once, so that an operator need not wait. */
static void reclaim_moved(struct worker *w)
{
    struct link *l = &w->link;
    usec_t now = clock_mono();

    if (!l->moved || now < l->moved_at) {
        return;
    }
    l->moved = false;
    l->moved_at = now + MOVED_PAUSE;
    for (size_t i = 0; i < w->slot_count; i++) {
        w->slots[i]->reclaim = slot_owns(w->slots[i]);
    }
}

/* In turns: with many canaries, each of which waits for a lock, nothing else would be written. */
static bool start_writing(struct worker *w)
{
    struct link *l = &w->link;
    bool is_outbox_first = l->canary_before;

    l->canary_before = false;
    if (is_outbox_first && worker_write_start(w)) {
        return true;
    }
    if (worker_stand_start(w)) {
        l->canary_before = true;
        return true;
    }
    return !is_outbox_first && worker_write_start(w);
}

/* True when an operation was started. */
static bool start_next(struct worker *w)
{
    worker_link_is_well(w);
    if (!look_for_news(w)) {
        return false;
    }
    if (clock_mono() < w->link.retry_at) {
        return false;
    }
    if (worker_link_renew(w)) {
        return true;
    }
    reclaim_moved(w);
    worker_plan_apply(w);
    if (!w->stopping && (worker_ledger_start_look(w) || worker_ledger_start_claim(w, false))) {
        return true;
    }
    if (worker_ledger_start_claim(w, true)) {
        return true;
    }
    worker_stand_settle(w);
    return worker_ledger_start_gap(w) || worker_ledger_start_note(w) ||
           worker_ledger_start_stand(w) || (!w->stale && start_writing(w)) ||
           (!w->stopping && w->link.ledger != NULL && worker_ledger_start_publish(w));
}

static void step(struct worker *w)
{
    switch (w->link.state) {
    case LINK_DOWN:
        worker_link_connect(w);
        break;
    case LINK_CONNECTING:
    case LINK_RENEWING:
        worker_link_step(w);
        break;
    case LINK_IDLE:
        break;
    case LINK_CLAIMING:
    case LINK_LOOKING:
    case LINK_GAPPING:
    case LINK_NOTING:
    case LINK_STANDING:
    case LINK_PUBLISHING:
        worker_ledger_step(w);
        break;
    case LINK_WRITING:
        worker_write_step(w);
        break;
    }
}

void worker_schedule_run(struct worker *w)
{
    thread_assert_owner(&w->owner);
    step(w);
    if (w->link.state == LINK_IDLE && start_next(w)) {
        step(w);
    }
}

usec_t worker_schedule_deadline(const struct worker *w)
{
    const struct link *l = &w->link;

    if (l->state == LINK_DOWN) {
        return w->stopping ? USEC_NEVER : l->retry_at;
    }
    if (l->state == LINK_WRITING) {
        return MIN(conn_deadline(l->conn), worker_write_deadline(w));
    }
    if (l->state != LINK_IDLE) {
        return conn_deadline(l->conn);
    }
    if (l->retry_at > clock_mono()) {
        return l->retry_at;
    }
    usec_t at = w->stale ? USEC_NEVER : worker_stand_deadline(w);
    at = MIN(at, l->look_at > 0 && !w->stopping ? l->look_at : USEC_NEVER);
    return MIN(at, l->moved ? l->moved_at : USEC_NEVER);
}
