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
#include "row/batch/dead_letter.h"
#include "sink/worker/worker_state.h"

/* ---- partitions that are no longer ours ---- */

void worker_settle_lost(struct worker *w, struct slot *s)
{
    struct error err;

    error_set(&err, ERROR_FENCED, "%s-%d: claimed by another process", s->topic, s->number);
    worker_outbox_drop(w, s);
    worker_slot_forget_standing(w, s);
    s->reclaim = false;
    slot_set(s, SLOT_LOST);
    worker_report(w, REPORT_LOST, s, s->stored, &err);
}

/* Its row was deleted by hand, so it is nobody's: claim it like one that the ledger never had. */
static void claim_as_new(struct worker *w, struct slot *s)
{
    worker_outbox_drop(w, s);
    worker_slot_forget_standing(w, s);
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

/* What was suspected of a record counts no more when somebody has touched the row. */
static void forget_blame(struct slot *s, const struct ledger_entry *e)
{
    if (is_touched(s, e) || e->next_offset != s->stored) {
        s->doubt = (struct doubt){.blamed = -1};
        s->poison = (struct poison){.offset = -1};
    }
}

static void report_unknown(struct worker *w, const struct slot *s, bool begun)
{
    struct report *r = worker_report_new(w, REPORT_UNKNOWN, s, -1, NULL);

    r->begun = begun;
    worker_report_post(w, r);
}

static bool is_pause(const struct standing *standing)
{
    return standing != NULL && standing->state == STANDING_PAUSED;
}

/* A pause, or its end, does not always touch the row: it may have come while the row was made. */
static bool is_paused_otherwise(const struct slot *s, const struct ledger_entry *e)
{
    return is_pause(e->standing) != is_pause(s->standing);
}

/* A start, unless the ledger says that it stands; we may know already that it moves. */
static void start_or_stay(struct worker *w, struct slot *s, struct ledger_entry *e)
{
    bool moves = s->standing == NULL && s->stand_written != s->stand_changes &&
                 !is_pause(e->standing);

    w->stand_due = w->stand_due || moves;
    if ((e->standing == NULL || moves) && s->unplanned == NULL) {
        worker_slot_start(w, s, e->next_offset, e->inserted);
        return;
    }
    worker_slot_set_stored(s, e->next_offset);
    s->expect = e->next_offset;
    s->gap.to = -1;
    if (e->standing == NULL) {
        worker_slot_unplanned(w, s);
        return;
    }
    worker_slot_stay(w, s, TAKE_PTR(e->standing), e->inserted);
}

/* What was being tried again when its row was found locked: no record of it is anywhere. */
static bool is_tried_again(const struct slot *s, const struct ledger_entry *e)
{
    return s->state == SLOT_WAITING && s->standing != NULL && s->expect < 0 &&
           e->next_offset == s->stored;
}

void worker_settle_claim(struct worker *w, struct slot *s, struct ledger_entry *e)
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
    forget_blame(s, e);
    s->owner_epoch = e->owner_epoch;
    s->reclaim = false;
    s->known = known_log(e);
    start_or_stay(w, s, e);
}

/* Of each route. */
static void count_letters(const struct worker *w, const struct batch_part *p)
{
    for (size_t i = 0; i < p->row_count; i++) {
        struct str route;
        struct error fault;
        dead_letter_read(batch_tuple(p, i), &route, &fault);
        policies_count_letter(w->wc.policies, route, fault.sqlstate);
    }
}

/* Returns how many rows of the batch are dead letters. */
static size_t count_parts(const struct worker *w, const struct batch *b)
{
    size_t letters = 0;

    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        if (p->target == w->wc.policies->letters) {
            count_letters(w, p);
            letters += p->row_count;
        } else if (p->row_count > 0) {
            policies_count_rows(w->wc.policies, p->target, p->row_count);
        }
    }
    return letters;
}

/* Of each partition: records come in runs. */
static void count_records(const struct batch *b)
{
    size_t i = 0;

    while (i < b->record_count) {
        size_t first = i;
        uint32_t span = b->records[first].span;
        while (i < b->record_count && b->records[i].span == span) {
            i++;
        }
        const struct slot *s = b->spans[span].tag;
        stats_count(&s->share->records, i - first);
    }
}

/* Once, however many of its partitions say so. */
static void count_stored(struct worker *w, struct batch *b)
{
    if (b->was_counted) {
        return;
    }
    b->was_counted = true;
    size_t letters = count_parts(w, b);

    count_records(b);
    stats_count(&w->stats.records, b->record_count);
    stats_count(&w->stats.rows, batch_row_count(b) - letters);
    stats_count(&w->stats.dead_letters, letters);
    stats_count(&w->stats.bytes, b->bytes);
    stats_count(&w->stats.transactions, 1);
    stats_observe(&w->stats, batch_rows, batch_row_count(b));
    stats_set(&w->stats.committed_ms, (uint64_t) clock_wall_ms());
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
            if (b != w->open) {
                count_stored(w, b); /* its transaction was committed */
            }
            policies_keep(b);
            batch_drop(b, s);
            w->open_id++;
        } else if (span != NULL) {
            span->owner_epoch = s->owner_epoch;
        }
    }
    return true;
}

void worker_settle_reclaim(struct worker *w, struct slot *s, struct ledger_entry *e)
{
    if (!slot_owns(s)) {
        return;
    }
    if (!e->mine && e->next_offset == LEDGER_UNKNOWN) {
        claim_as_new(w, s);
        return;
    }
    if (!e->mine) {
        worker_settle_lost(w, s);
        return;
    }
    bool touched = is_touched(s, e) || is_paused_otherwise(s, e);
    forget_blame(s, e);
    s->owner_epoch = e->owner_epoch;
    s->reclaim = false;
    s->relinked = false;
    if (!touched && meet_ledger(w, s, e->next_offset)) {
        worker_slot_set_stored(s, e->next_offset);
        worker_outbox_drop_empty(w);
        worker_slot_write_standing(w, s); /* it may be lost with the server's last commits */
        return;
    }
    worker_outbox_drop(w, s);
    s->known = known_log(e);
    if (!touched && is_tried_again(s, e)) {
        s->expect = e->next_offset;
        worker_slot_write_standing(w, s);
        worker_slot_try_again(w, s);
        return;
    }
    start_or_stay(w, s, e);
    if (s->unplanned != NULL) {
        worker_report(w, REPORT_RESUMES, s, s->stored, NULL); /* main tries what has no plan */
    }
}

/* ---- the batch on its way ---- */

/* What was not known of a record, or stood because of it, is over. */
static void got_past(struct worker *w, struct slot *s)
{
    if (s->standing != NULL && s->stored > s->standing->offset) {
        worker_slot_moves(w, s);
    }
    if (s->stored > s->doubt.offset) {
        s->doubt.since = 0;
    }
    if (s->stored > s->poison.offset) {
        s->poison.times = 0;
    }
}

void worker_settle_stored(struct worker *w, struct batch *b)
{
    for (size_t i = 0; i < b->span_count; i++) {
        struct slot *s = b->spans[i].tag;
        worker_slot_set_stored(s, b->spans[i].next);
        if (b->spans[i].last_timestamp_ms >= 0) {
            atomic_store_explicit(&s->share->timestamp_ms, b->spans[i].last_timestamp_ms,
                                  memory_order_relaxed);
        }
        got_past(w, s);
        if (b->spans[i].end_offset >= 0) {
            s->end_published = b->spans[i].end_offset;
            s->published_at = clock_mono();
        }
    }
    count_stored(w, b);
}

static bool has_rows_for(const struct batch *b, const struct table *table)
{
    for (size_t i = 0; i < b->part_count; i++) {
        if (b->parts[i].row_count > 0 && b->parts[i].target->table == table) {
            return true;
        }
    }
    return false;
}

void worker_settle_commit(struct worker *w, size_t place)
{
    worker_settle_stored(w, w->outbox[place]);
    w->locked_rows = 0;
    if (w->unfit_records > 0 && has_rows_for(w->outbox[place], w->unfit_table)) {
        w->unfit_records = 0;
    }
    policies_keep(w->outbox[place]);
    worker_outbox_remove(w, place);
}

/* Who owns these partitions now? The next claim, of only what is still ours, says so for each. */
void worker_settle_fence(struct worker *w)
{
    struct batch *b = w->outbox[0];

    stats_count(&w->stats.fences, 1);
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
