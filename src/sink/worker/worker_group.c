/*
 * Positions in the Kafka group, where there is no ledger (delivery at_least_once and at_most_once):
 * what main commits for the worker, and what waits for that.
 *
 * at_least_once: due is what is stored. With kafka.commit sync no batch is written before the group
 * has what the one before has stored, so a crash leaves one batch of each worker to be stored
 * again.
 *
 * at_most_once: due is the end of the batch that is to be sent next, and it is not sent before the
 * group has that. From then on only this worker has these records: it sends them again until they
 * are stored, unless the answer to a COMMIT is lost. Then they may be stored, so they are not sent
 * again. Records that certainly are not stored, but must be dropped, are taken back: due falls to
 * the first of them, and the next reader of the partition begins there.
 *
 * Nothing is claimed and nothing is fenced: the group decides where a partition begins and who
 * reads it. Worker thread.
 */
#include "sink/worker/worker_state.h"

#include <assert.h>

/* ---- where a partition begins ---- */

void worker_group_adopt(struct worker *w, struct slot *s)
{
    struct ledger_entry e = {.next_offset = s->first_offset, .mine = true};

    assert(s->first_offset >= 0);
    worker_settle_claim(w, s, &e);
}

/* ---- before a batch is written ---- */

static bool all_confirmed(const struct worker *w)
{
    for (size_t i = 0; i < w->slot_count; i++) {
        const struct slot *s = w->slots[i];
        if (s->state != SLOT_RELEASING && worker_due_committed(s) != worker_due_of(s)) {
            return false;
        }
    }
    return true;
}

bool worker_group_is_ready(struct worker *w)
{
    if (w->delivery != DELIVERY_AT_LEAST_ONCE || w->wc.cfg->kafka.commit != COMMIT_SYNC) {
        return true;
    }
    w->confirmed = w->confirmed || all_confirmed(w);
    w->awaits_group = !w->confirmed;
    return w->confirmed;
}

/* at_most_once: does the group have all of the batch? If not, main is asked to commit. */
static bool group_has(struct worker *w, const struct batch *b)
{
    bool has = true;
    bool asked = true;

    for (size_t i = 0; i < b->span_count; i++) {
        struct slot *s = b->spans[i].tag;
        s->taken_back = s->taken_back && worker_due_committed(s) != worker_due_of(s);
        if (!s->taken_back && worker_due_of(s) < b->spans[i].next) {
            worker_due_set(s, b->spans[i].next);
            asked = false;
        }
        has = has && !s->taken_back && worker_due_committed(s) >= b->spans[i].next;
    }
    if (!asked) {
        worker_due_report(w);
    }
    return has;
}

bool worker_group_may_send(struct worker *w)
{
    if (w->delivery == DELIVERY_EXACTLY_ONCE) {
        return true;
    }
    while (w->outbox_count > 0 && batch_row_count(w->outbox[0]) == 0) {
        worker_settle_commit(w, 0); /* has no rows: it only passes offsets */
        worker_group_stored(w);
    }
    w->awaits_group = w->delivery == DELIVERY_AT_MOST_ONCE && w->outbox_count > 0 &&
                      !group_has(w, w->outbox[0]);
    return w->outbox_count > 0 && !w->awaits_group;
}

/* ---- afterwards ---- */

void worker_group_stored(struct worker *w)
{
    bool moved = false;

    for (size_t i = 0; i < w->slot_count && w->delivery != DELIVERY_EXACTLY_ONCE; i++) {
        struct slot *s = w->slots[i];
        if (s->stored > worker_due_of(s)) {
            worker_due_set(s, s->stored);
            moved = true;
        }
    }
    if (moved) {
        w->confirmed = false;
        if (w->wc.cfg->kafka.commit != COMMIT_INTERVAL) {
            worker_due_report(w);
        }
    }
}

static void report_doubt(struct worker *w, const struct batch *b)
{
    for (size_t i = 0; i < b->span_count; i++) {
        const struct span *span = &b->spans[i];
        struct error err;
        error_set(&err, ERROR_LINK,
                  "%s-%d: the answer to COMMIT is lost, so the records at offsets %lld to %lld are "
                  "stored or lost; with at_most_once they are not sent again",
                  span->topic, span->partition, (long long) span->from, (long long) span->next - 1);
        worker_report(w, REPORT_DOUBTFUL, span->tag, span->from, &err);
    }
}

void worker_group_unknown(struct worker *w)
{
    if (w->delivery == DELIVERY_AT_MOST_ONCE) {
        report_doubt(w, w->outbox[0]);
        w->write_failures = 0;
        worker_settle_commit(w, 0); /* counted as stored */
    }
}

/* ---- records that are dropped ---- */

/* What the group has is still stored; the rest is for the next reader of the partition. */
void worker_group_release(struct worker *w, struct slot *s)
{
    if (w->delivery != DELIVERY_AT_MOST_ONCE) {
        return;
    }
    const struct span *next = w->outbox_count > 0 ? batch_find(w->outbox[0], s) : NULL;
    if (next != NULL && next->next > worker_due_committed(s)) {
        worker_outbox_drop(w, s); /* the batch is not on its way: it waits for the group */
        worker_due_take_back(w, s);
    } else {
        batch_drop(w->open, s);
        w->open_id++;
    }
}

void worker_group_end(struct worker *w)
{
    if (w->delivery != DELIVERY_AT_MOST_ONCE) {
        return;
    }
    if (w->link.state == LINK_WRITING) {
        if (txn_abandon(w->link.txn) == TXN_UNKNOWN) {
            report_doubt(w, w->outbox[0]);
            worker_settle_commit(w, 0);
        }
    }
    for (size_t i = 0; i < w->slot_count; i++) {
        worker_due_take_back(w, w->slots[i]);
    }
}
