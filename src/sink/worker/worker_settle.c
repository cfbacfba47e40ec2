/*
 * What an answer of the database means for slots and batches.
 *
 * One rule settles everything that a lost connection, a fence, a failover or an operator can leave
 * behind. After a claim the ledger says L for a partition whose batches hold the chain of spans
 * [a,b) [b,c) [c,d):
 *     L = a      nothing of it is stored: send it, under the new epoch
 *     L = b,c,d  what lies before is stored (the answers to COMMIT were lost): take it out, go on
 *                with the rest
 *     else       somebody has moved the line, or the server has lost commits: drop all, begin at L
 * Somebody may have moved it to just such a place. Then the same is right: what lies before is not
 * to be stored, and the rest is what would be read again. Worker thread.
 */
#include "base/mem.h"
#include "sink/worker/worker_state.h"

#include <assert.h>
#include <stdlib.h>

/* ---- batches ---- */

struct batch *worker_take_spare(struct worker *w)
{
    for (size_t i = 0; i < WORKER_SPARE_BATCHES; i++) {
        if (w->spare[i] != NULL) {
            return TAKE_PTR(w->spare[i]);
        }
    }
    return batch_new();
}

void worker_recycle(struct worker *w, struct batch *b)
{
    batch_clear(b);
    for (size_t i = 0; i < WORKER_SPARE_BATCHES; i++) {
        if (w->spare[i] == NULL) {
            w->spare[i] = b;
            return;
        }
    }
    batch_free(b);
}

static void outbox_insert(struct worker *w, size_t at, struct batch *b)
{
    w->outbox = mem_grow(w->outbox, &w->outbox_cap, w->outbox_count, sizeof(struct batch *));
    for (size_t i = w->outbox_count; i > at; i--) {
        w->outbox[i] = w->outbox[i - 1];
    }
    w->outbox[at] = b;
    w->outbox_count++;
}

static void outbox_remove(struct worker *w, size_t at)
{
    worker_recycle(w, w->outbox[at]);
    w->outbox_count--;
    for (size_t i = at; i < w->outbox_count; i++) {
        w->outbox[i] = w->outbox[i + 1];
    }
}

void worker_seal(struct worker *w)
{
    struct batch *b = w->open;
    for (size_t i = 0; i < b->span_count; i++) {
        struct slot *s = b->spans[i].tag;
        b->spans[i].end_offset = atomic_load_explicit(&s->share->end, memory_order_relaxed);
    }
    outbox_insert(w, w->outbox_count, b);
    w->open = worker_take_spare(w);
    w->open_id++;
    w->flush = false;
}

bool worker_in_batches(const struct worker *w, const struct slot *s)
{
    for (size_t i = 0; i < w->outbox_count; i++) {
        if (batch_find(w->outbox[i], s) != NULL) {
            return true;
        }
    }
    return batch_find(w->open, s) != NULL;
}

static void drop_empty(struct worker *w)
{
    for (size_t i = w->outbox_count; i-- > 0;) {
        if (batch_is_empty(w->outbox[i])) {
            outbox_remove(w, i);
        }
    }
}

void worker_drop(struct worker *w, struct slot *s)
{
    assert(w->link.state != LINK_WRITING);
    for (size_t i = 0; i < w->outbox_count; i++) {
        batch_drop(w->outbox[i], s);
    }
    batch_drop(w->open, s);
    w->open_id++;
    drop_empty(w);
}

/* ---- slots ---- */

static void set_stored(struct slot *s, int64_t next_offset)
{
    s->stored = next_offset;
    atomic_store_explicit(&s->share->stored, next_offset, memory_order_release);
}

/* WAITING, until main has verified the log and begun to fetch from `offset`. */
static void ask_start(struct worker *w, struct slot *s, int64_t offset, const struct error *why,
                      bool inserted)
{
    s->seq++;
    slot_set(s, SLOT_WAITING);
    struct report *r = worker_report_new(w, REPORT_START, s, offset, why);
    r->known = s->known;
    r->inserted = inserted;
    mailbox_post(w->wc.reports, &r->mail);
}

static void start_at(struct worker *w, struct slot *s, int64_t offset, const struct error *why,
                     bool inserted)
{
    set_stored(s, offset);
    worker_group_begin(w, s, offset);
    s->expect = offset;
    s->gap.to = -1;
    s->known.is_doubted = false;
    s->doubtful_broker = -1;
    s->anchors[0] = s->anchors[1] = s->known.fp;
    worker_forget_fault(w, s);
    ask_start(w, s, offset, why, inserted);
}

void worker_start_at(struct worker *w, struct slot *s, int64_t offset)
{
    start_at(w, s, offset, NULL, false);
}

/* What was taken stays in its batches: the next record is still the one that is expected. */
void worker_verify_again(struct worker *w, struct slot *s, struct fingerprint fp, const char *why)
{
    struct error err;
    error_set(&err, ERROR_AGAIN, "%s", why);
    s->known.is_doubted = true;
    s->known.fp = fp.offset >= 0 ? fp : s->known.fp;
    ask_start(w, s, s->expect, &err, false);
}

void worker_read_again(struct worker *w, struct slot *s, const struct error *why)
{
    worker_drop(w, s);
    worker_group_take_back(w, s);
    if (slot_owns(s)) {
        start_at(w, s, s->stored, why, false);
    }
}

/*
 * One fault per partition, the first in the order of its records: PostgreSQL may still refuse one
 * that was taken before the one that cannot be decoded. So it is told when all before it is stored.
 */
void worker_stop_slot(struct worker *w, struct slot *s, int64_t offset, enum report_kind kind,
                      struct error *err)
{
    error_wrap(err, "%s-%d@%lld", s->topic, s->number, (long long) offset);
    worker_forget_fault(w, s);
    s->fault = worker_report_new(w, kind, s, offset, err);
    w->fault_count++;
    w->flush = true;
    if (s->state != SLOT_STOPPED) {
        slot_set(s, SLOT_STOPPED);
    }
}

void worker_forget_fault(struct worker *w, struct slot *s)
{
    if (s->fault != NULL) {
        free(TAKE_PTR(s->fault));
        w->fault_count--;
    }
}

void worker_tell_faults(struct worker *w)
{
    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        if (s->fault != NULL && !worker_in_batches(w, s)) {
            mailbox_post(w->wc.reports, &TAKE_PTR(s->fault)->mail);
            w->fault_count--;
        }
    }
}

static void lose(struct worker *w, struct slot *s)
{
    struct error err;
    error_set(&err, ERROR_FENCED, "%s-%d: claimed by another process", s->topic, s->number);
    worker_drop(w, s);
    worker_forget_fault(w, s);
    s->reclaim = false;
    slot_set(s, SLOT_LOST);
    worker_report(w, REPORT_LOST, s, s->stored, &err);
}

/* Its line was deleted by hand: nobody's, so claim it as one that the ledger has never seen. */
static void begin_anew(struct worker *w, struct slot *s)
{
    worker_drop(w, s);
    worker_forget_fault(w, s);
    s->reclaim = false;
    /* Gone with commits that the server has lost, and not by hand: then where it began is where it
     * begins. */
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

/* By seek() to just where it was, for no value changes otherwise: "try again". */
static bool is_touched(const struct slot *s, const struct ledger_entry *e)
{
    return e->owner_epoch > s->owner_epoch + 1;
}

static void report_unknown(struct worker *w, const struct slot *s, bool begun)
{
    struct report *r = worker_report_new(w, REPORT_UNKNOWN, s, -1, NULL);
    r->begun = begun;
    mailbox_post(w->wc.reports, &r->mail);
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
        s->inserted_at = e->next_offset; /* nobody has had the row before */
    }
    s->owner_epoch = e->owner_epoch;
    s->reclaim = false;
    s->known = known_log(e);
    start_at(w, s, e->next_offset, NULL, e->inserted);
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
        begin_anew(w, s);
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
        set_stored(s, e->next_offset);
        drop_empty(w);
        return;
    }
    worker_drop(w, s);
    s->known = known_log(e);
    worker_start_at(w, s, e->next_offset);
}

/* ---- the batch on its way ---- */

static void add_stat(_Atomic uint64_t *cell, uint64_t n)
{
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void worker_settle_commit(struct worker *w, size_t place)
{
    struct batch *b = w->outbox[place];
    for (size_t i = 0; i < b->span_count; i++) {
        struct slot *s = b->spans[i].tag;
        set_stored(s, b->spans[i].next);
        if (b->spans[i].end_offset >= 0) {
            s->end_told = b->spans[i].end_offset;
            s->told_at = clock_mono();
        }
    }
    add_stat(&w->stats.records, b->record_count);
    size_t letters = worker_count_letters(w, b);
    add_stat(&w->stats.rows, batch_row_count(b) - letters);
    add_stat(&w->stats.letters, letters);
    add_stat(&w->stats.bytes, b->bytes);
    add_stat(&w->stats.transactions, 1);
    outbox_remove(w, place);
}

/* Who owns these partitions now? The next claim (only of what is still ours) tells, for each. */
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
            worker_drop(w, s); /* on its way out and fenced: the new owner has it */
            break;
        }
    }
}

/* ---- finding the record that PostgreSQL refuses ---- */

/* The only record of outbox[0] is refused: its partition stops there. */
static void stop_culprit(struct worker *w, const struct error *cause)
{
    struct batch *b = w->outbox[0];
    struct slot *s = b->spans[b->records[0].span].tag;
    int64_t offset = b->records[0].offset;
    struct error err = *cause;
    worker_drop(w, s);
    worker_group_take_back(w, s);
    if (slot_owns(s)) {
        s->expect = s->stored;
        worker_stop_slot(w, s, offset, REPORT_STOPPED, &err);
    }
}

static void send_first(struct worker *w, size_t records)
{
    struct batch *head = worker_take_spare(w);
    batch_split(w->outbox[0], records, head);
    outbox_insert(w, 0, head);
}

void worker_halve(struct worker *w)
{
    send_first(w, w->outbox[0]->record_count / 2);
}

/*
 * The batch was rolled back for one of its records. The part before the record that PostgreSQL
 * names, or half of them when it names none, goes first and alone; a batch of one record that is
 * refused is the proof. Each step sends fewer records, so this ends.
 */
void worker_isolate(struct worker *w, const struct txn_result *r)
{
    struct batch *b = w->outbox[0];
    if (b->record_count <= 1) {
        struct error why;
        assert(b->record_count == 1);
        if (!worker_bury_only(w, r, &why)) {
            stop_culprit(w, &why);
        }
        return;
    }
    size_t cut = b->record_count / 2;
    if (r->row != TXN_NO_ROW) {
        size_t record = b->parts[r->part].rows[r->row].record;
        cut = record > 0 ? record : 1;
    }
    send_first(w, cut);
}
