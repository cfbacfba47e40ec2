/*
 * What an answer of the database means for slots and batches.
 *
 * One rule settles everything that a lost connection, a fence, a failover or an operator can leave
 * open. After a claim the ledger says L for a partition whose batches hold the chain of spans
 * [a,b) [b,c) [c,d):
 *     L = a      nothing of it is stored: send it, under the new epoch
 *     L = b,c,d  what lies before is stored (the answers to COMMIT were lost): take it out,
 *                send the rest
 *     else       somebody has moved the row, or the server has lost commits: drop all, start at L
 * If somebody has moved the row to exactly such a place, the rule gives the right result as well:
 * what lies before is not to be stored, and the rest is what would be read again. Worker thread.
 */
#include "sink/worker/worker_state.h"

/* ---- partitions that are no longer ours ---- */

static void lose(struct worker *w, struct slot *s)
{
    struct error err;

    error_set(&err, ERROR_FENCED, "%s-%d: claimed by another process", s->topic, s->number);
    worker_outbox_drop(w, s);
    worker_slot_forget_fault(w, s);
    s->reclaim = false;
    slot_set(s, SLOT_LOST);
    worker_report(w, REPORT_LOST, s, s->stored, &err);
}

/* Its row was deleted by hand, so it is nobody's: claim it like one that the ledger never had. */
static void claim_as_new(struct worker *w, struct slot *s)
{
    worker_outbox_drop(w, s);
    worker_slot_forget_fault(w, s);
    s->reclaim = false;
    /* Or the row is gone with commits that the server has lost: then the partition starts where
     * it had started. */
    s->first_offset = s->relinked ? s->inserted_at : LEDGER_UNKNOWN;
    s->first_reason = "its row was lost with the server's last commits: where it had begun";
    s->relinked = false;
    slot_set(s, SLOT_LOST);
    slot_set(s, SLOT_CLAIMING);
}

/* ---- claims ---- */

static struct known_log known_log(const struct ledger_entry *e)
{
    return (struct known_log){.fp = e->fp, .ids = e->ids, .leader_epoch = e->leader_epoch};
}

/* seek() to exactly where it was changes nothing but the epoch: it means "try again". */
static bool is_touched(const struct slot *s, const struct ledger_entry *e)
{
    return e->owner_epoch > s->owner_epoch + 1;
}

static void report_unknown(struct worker *w, const struct slot *s, bool begun)
{
    struct report *r = worker_report_new(w, REPORT_UNKNOWN, s, -1, NULL);

    r->begun = begun;
    worker_report_post(w, r);
}

void worker_settle_claim(struct worker *w, struct slot *s, const struct ledger_entry *e)
{
    if (s->state != SLOT_CLAIMING) {
        return;
    }
    if (!e->mine) {
        slot_set(s, SLOT_UNKNOWN);
        report_unknown(w, s, e->begun);
        return;
    }
    if (e->inserted || e->owner_epoch == 1) {
        s->inserted_at = e->next_offset; /* nobody had the row before us */
    }
    s->owner_epoch = e->owner_epoch;
    s->reclaim = false;
    s->known = known_log(e);
    worker_slot_start(w, s, e->next_offset, e->inserted);
}

/* The batches that hold the chain, oldest first; the last is the open one. */
static struct batch *link_of_chain(const struct worker *w, size_t i)
{
    return i < w->outbox_count ? w->outbox[i] : w->open;
}

/* Does a span of s begin at the ledger's offset, or the chain end there? */
static bool chain_meets(const struct worker *w, const struct slot *s, int64_t ledger)
{
    for (size_t i = 0; i <= w->outbox_count; i++) {
        const struct span *span = batch_find(link_of_chain(w, i), s);
        if (span != NULL && span->from == ledger) {
            return true;
        }
    }
    return s->expect == ledger;
}

/*
 * The rule above for the spans of s. Takes out what is stored and renews the epoch of the rest.
 * False: the chain does not meet the ledger.
 */
static bool meet_ledger(struct worker *w, struct slot *s, int64_t ledger)
{
    if (!chain_meets(w, s, ledger)) {
        return false;
    }
    for (size_t i = 0; i <= w->outbox_count; i++) {
        struct batch *b = link_of_chain(w, i);
        struct span *span = batch_find(b, s);
        if (span != NULL && span->next <= ledger) {
            policies_keep(b); /* its transaction was committed */
            batch_drop(b, s);
            w->open_id++;
        } else if (span != NULL) {
            span->owner_epoch = s->owner_epoch;
        }
    }
    return true;
}

void worker_settle_reclaim(struct worker *w, struct slot *s, const struct ledger_entry *e)
{
    if (!slot_owns(s)) {
        return;
    }
    if (!e->mine && e->next_offset == LEDGER_UNKNOWN) {
        claim_as_new(w, s);
        return;
    }
    if (!e->mine) {
        lose(w, s);
        return;
    }
    bool touched = is_touched(s, e);
    s->owner_epoch = e->owner_epoch;
    s->reclaim = false;
    s->relinked = false;
    if (!touched && meet_ledger(w, s, e->next_offset)) {
        worker_slot_set_stored(s, e->next_offset);
        worker_outbox_drop_empty(w);
        return;
    }
    worker_outbox_drop(w, s);
    s->known = known_log(e);
    worker_slot_start(w, s, e->next_offset, false);
}

/* ---- the batch on its way ---- */

static size_t count_letters(const struct worker *w, const struct batch *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->part_count; i++) {
        n += b->parts[i].target == w->wc.policies->letters ? b->parts[i].row_count : 0;
    }
    return n;
}

void worker_settle_commit(struct worker *w, size_t place)
{
    struct batch *b = w->outbox[place];

    for (size_t i = 0; i < b->span_count; i++) {
        struct slot *s = b->spans[i].tag;
        worker_slot_set_stored(s, b->spans[i].next);
        if (b->spans[i].end_offset >= 0) {
            s->end_published = b->spans[i].end_offset;
            s->published_at = clock_mono();
        }
    }
    stats_count(&w->stats.records, b->record_count);
    size_t letters = count_letters(w, b);
    stats_count(&w->stats.rows, batch_row_count(b) - letters);
    stats_count(&w->stats.letters, letters);
    stats_count(&w->stats.bytes, b->bytes);
    stats_count(&w->stats.transactions, 1);
    policies_keep(b);
    worker_outbox_remove(w, place);
}

/* Who owns these partitions now? The next claim, of only what is still ours, says so for each. */
void worker_settle_fence(struct worker *w)
{
    struct batch *b = w->outbox[0];

    for (size_t i = 0; i < b->span_count; i++) {
        struct slot *s = b->spans[i].tag;
        if (slot_owns(s)) {
            s->reclaim = true;
        }
    }
    for (size_t i = b->span_count; i-- > 0;) {
        struct slot *s = b->spans[i].tag;
        if (s->state == SLOT_RELEASING) {
            worker_outbox_drop(w, s); /* on its way out and fenced: the new owner has it */
            break;
        }
    }
}
