/*
 * worker_settle.c: a worker made by hand, without a thread, a server or a broker. What the ledger
 * may say after a claim (invariant I9), a fence, the end of a slot, and the search for the record
 * that PostgreSQL refuses. Rows name their slot and offset, so that each one found shows where it
 * came from. One thread.
 */
#include "sink/worker/worker_state.h"

#include "sink/rig.h"

enum { TARGETS = 2, OFFSETS = 200 };

struct row {
    int32_t slot;
    int64_t offset;
};

static struct target targets[TARGETS];
static uint64_t seed;

static uint32_t chance(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (seed >> 33) % n;
}

/* ---- the rig ---- */

static struct rig *with_ledger(void)
{
    return rig_new(DELIVERY_EXACTLY_ONCE, COMMIT_SYNC);
}

static size_t count_reports(struct rig *r)
{
    worker_slot_report_faults(&r->w);
    assert_int_equal(r->w.fault_count, 0);
    return rig_take_reports(r, RIG_ANY);
}

/* Nothing was reported that no test has looked at. */
static void end(struct rig *r)
{
    assert_int_equal(count_reports(r), 0);
    rig_free(r);
}

static void expect_report(struct rig *r, enum report_kind kind, int slot, int64_t offset)
{
    struct report *report = rig_only_report(r, kind, slot, offset);

    assert_int_equal(report->seq, r->slots[slot].seq);
    free(report);
}

/* Adds a record of the slot to the open batch, with `rows` rows. */
static void add_record(struct rig *r, int slot, uint32_t rows)
{
    struct batch *b = r->w.open;

    rig_record_begin(r, slot);
    for (uint32_t i = 0; i < rows; i++) {
        struct row row = {.slot = slot, .offset = r->slots[slot].expect};
        uint32_t part = batch_part(b, &targets[chance(TARGETS)], ROW_INSERT, chance(2));
        buf_add(batch_row_begin(b, part), &row, sizeof row);
        batch_row_end(b, part);
    }
    rig_record_end(r, slot);
}

/* Offsets that hold no record. */
static void add_hole(struct rig *r, int slot, int64_t n)
{
    struct slot *s = &r->slots[slot];
    struct batch *b = r->w.open;
    uint32_t span = batch_span(b, s, s->topic, s->number, s->owner_epoch, s->expect);

    s->expect += n;
    batch_span_skip(b, span, s->expect);
}

static void add_records(struct rig *r, int slot, int n)
{
    while (n-- > 0) {
        add_record(r, slot, 1);
    }
}

static struct batch *batch_at(struct rig *r, size_t i)
{
    return i < r->w.outbox_count ? r->w.outbox[i] : r->w.open;
}

/* The slot's spans, oldest first; each begins where the one before ends, and so do its rows. */
static size_t chain_of(struct rig *r, int slot, struct span **out)
{
    size_t n = 0;
    int64_t at = -1;

    for (size_t i = 0; i <= r->w.outbox_count; i++) {
        struct batch *b = batch_at(r, i);
        assert_true(i == r->w.outbox_count || !batch_is_empty(b));
        for (size_t k = 0; k < b->record_count; k++) {
            if (b->spans[b->records[k].span].tag == &r->slots[slot]) {
                assert_true(b->records[k].offset > at);
                at = b->records[k].offset;
            }
        }
        struct span *span = batch_find(b, &r->slots[slot]);
        if (span != NULL) {
            assert_true(n == 0 || out[n - 1]->next == span->from);
            out[n++] = span;
        }
    }
    return n;
}

/* Every row is where its record says. */
static void check_rows(struct rig *r)
{
    for (size_t i = 0; i <= r->w.outbox_count; i++) {
        struct batch *b = batch_at(r, i);
        for (size_t p = 0; p < b->part_count; p++) {
            for (size_t k = 0; k < b->parts[p].row_count; k++) {
                struct row row;
                const struct batch_row *at = &b->parts[p].rows[k];
                const struct batch_record *record = &b->records[at->record];
                memcpy(&row, b->parts[p].bytes.p + at->begin, sizeof row);
                assert_ptr_equal(b->spans[record->span].tag, &r->slots[row.slot]);
                assert_int_equal(record->offset, row.offset);
            }
        }
    }
}

static void claim_again(struct rig *r, int slot, int64_t ledger)
{
    struct ledger_entry e = {.next_offset = ledger, .owner_epoch = 8, .mine = true};

    r->slots[slot].reclaim = true;
    worker_settle_reclaim(&r->w, &r->slots[slot], &e);
}

static void expect_met(struct rig *r, int slot, int64_t ledger, size_t spans)
{
    struct span *chain[8];
    const struct slot *s = &r->slots[slot];

    assert_int_equal(chain_of(r, slot, chain), spans);
    for (size_t i = 0; i < spans; i++) {
        assert_int_equal(chain[i]->owner_epoch, 8);
    }
    assert_true(spans == 0 || (chain[0]->from == ledger && chain[spans - 1]->next == s->expect));
    assert_int_equal(s->state, SLOT_READING);
    assert_int_equal(s->stored, ledger);
    assert_int_equal(atomic_load(&s->share->stored), ledger);
    assert_int_equal(s->owner_epoch, 8);
    assert_false(s->reclaim);
}

static void expect_moved(struct rig *r, int slot, int64_t ledger)
{
    struct span *chain[8];
    const struct slot *s = &r->slots[slot];

    assert_int_equal(chain_of(r, slot, chain), 0);
    assert_int_equal(s->state, SLOT_WAITING);
    assert_int_equal(s->stored, ledger);
    assert_int_equal(s->expect, ledger);
    assert_int_equal(atomic_load(&s->share->stored), ledger);
    assert_false(s->reclaim);
    expect_report(r, REPORT_START, slot, ledger);
}

/* One batch [0,10) on its way, [10,15) in the open one; another slot is in both. */
static struct rig *two_batches(void)
{
    struct rig *r = with_ledger();

    add_records(r, 0, 10);
    add_records(r, 1, 3);
    worker_outbox_seal(&r->w);
    add_records(r, 0, 5);
    add_records(r, 1, 2);
    return r;
}

/* ---- what the ledger says ---- */

static void test_nothing_was_stored(void **state)
{
    struct rig *r = two_batches();

    (void) state;
    claim_again(r, 0, 0);
    expect_met(r, 0, 0, 2);
    assert_int_equal(r->w.outbox_count, 1);
    end(r);
}

static void test_the_first_was_stored(void **state)
{
    struct rig *r = two_batches();
    struct span *chain[8];

    (void) state;
    claim_again(r, 0, 10);
    expect_met(r, 0, 10, 1);
    assert_int_equal(r->w.outbox_count, 1); /* the other slot's records are still there */
    assert_int_equal(chain_of(r, 1, chain), 2);
    claim_again(r, 1, 3);
    expect_met(r, 1, 3, 1);
    assert_int_equal(r->w.outbox_count, 0);
    assert_int_equal(atomic_load(&r->w.stats.transactions), 1); /* counted, and once */
    assert_int_equal(atomic_load(&r->w.stats.records), 13);
    assert_int_equal(atomic_load(&r->shares[0].records), 10);
    assert_int_equal(atomic_load(&r->shares[1].records), 3);
    end(r);
}

static void test_somebody_has_moved_the_row(void **state)
{
    const int64_t places[] = {1, 9, 11, 14, 16, 1000};

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct rig *r = two_batches();
        struct span *chain[8];
        r->slots[0].gap.to = 5;
        claim_again(r, 0, places[i]);
        expect_moved(r, 0, places[i]);
        assert_int_equal(r->slots[0].gap.to, -1);
        assert_int_equal(chain_of(r, 1, chain), 2);
        check_rows(r);
        end(r);
    }
}

static void test_a_chain_of_three(void **state)
{
    (void) state;
    for (int64_t ledger = 0; ledger <= 30; ledger += 5) {
        struct rig *r = with_ledger();
        for (int i = 0; i < 3; i++) {
            add_records(r, 0, 10);
            if (i < 2) {
                worker_outbox_seal(&r->w);
            }
        }
        claim_again(r, 0, ledger);
        if (ledger % 10 == 0) { /* several may have been on their way */
            expect_met(r, 0, ledger, (size_t) (3 - ledger / 10));
        } else {
            expect_moved(r, 0, ledger);
        }
        end(r);
    }
}

static void test_without_records(void **state)
{
    struct rig *r = with_ledger();

    (void) state;
    r->slots[0].stored = r->slots[0].expect = 20;
    claim_again(r, 0, 20);
    expect_met(r, 0, 20, 0);
    claim_again(r, 0, 19);
    expect_moved(r, 0, 19);
    end(r);
}

static void test_only_the_last_is_left_and_was_stored(void **state)
{
    struct rig *r = with_ledger();

    (void) state;
    add_records(r, 0, 4);
    worker_outbox_seal(&r->w);
    claim_again(r, 0, 4);
    expect_met(r, 0, 4, 0);
    assert_int_equal(r->w.outbox_count, 0);
    end(r);
}

static void test_a_waiting_or_stopped_slot_stays_so(void **state)
{
    const enum slot_state states[] = {SLOT_WAITING, SLOT_STOPPED};

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct rig *r = with_ledger();
        r->slots[0].stored = r->slots[0].expect = 20;
        r->slots[0].state = states[i];
        claim_again(r, 0, 20);
        assert_int_equal(r->slots[0].state, states[i]);
        claim_again(r, 0, 21); /* the operator has moved past what stopped it */
        expect_moved(r, 0, 21);
        end(r);
    }
}

static struct ledger_entry paused(int64_t next_offset, int64_t owner_epoch)
{
    struct ledger_entry e = {.next_offset = next_offset, .owner_epoch = owner_epoch, .mine = true};

    e.standing = mem_zalloc(sizeof *e.standing);
    e.standing->state = STANDING_PAUSED;
    e.standing->retry_at = USEC_NEVER;
    return e;
}

/* pause() could not see the row, which was being made: so its epoch does not say that somebody was
 * there. The same when a pause is over. */
static void test_paused_though_nobody_has_touched_the_row(void **state)
{
    struct rig *r = with_ledger();
    struct slot *s = &r->slots[0];

    (void) state;
    add_records(r, 0, 3);
    struct ledger_entry e = paused(0, s->owner_epoch + 1);
    worker_settle_reclaim(&r->w, s, &e);
    assert_null(e.standing); /* it is the slot's */
    assert_int_equal(s->state, SLOT_STOPPED);
    assert_false(worker_outbox_holds(&r->w, s));
    free(rig_only_report(r, REPORT_STOPPED, 0, 0));

    e = paused(0, s->owner_epoch + 1); /* some other news: it stays so, without a word */
    worker_settle_reclaim(&r->w, s, &e);
    assert_int_equal(s->state, SLOT_STOPPED);
    assert_int_equal(rig_take_reports(r, RIG_ANY), 0);
    free(e.standing);
    assert_int_equal(s->stand_written, s->stand_changes); /* the ledger does not have it from us */

    e = paused(0, s->owner_epoch + 2); /* pause() once more */
    worker_settle_reclaim(&r->w, s, &e);
    assert_int_equal(s->state, SLOT_STOPPED);
    free(rig_only_report(r, REPORT_STOPPED, 0, 0));

    e = (struct ledger_entry){.next_offset = 0, .owner_epoch = s->owner_epoch + 1, .mine = true};
    worker_settle_reclaim(&r->w, s, &e);
    assert_int_equal(s->state, SLOT_WAITING);
    assert_null(s->standing);
    assert_int_equal(rig_take_reports(r, REPORT_START), 1);
    end(r);
}

static void test_owned_by_another(void **state)
{
    struct rig *r = two_batches();
    struct ledger_entry e = {.next_offset = 0, .owner_epoch = 8, .mine = false};
    struct span *chain[8];

    (void) state;
    r->slots[0].reclaim = true;
    worker_settle_reclaim(&r->w, &r->slots[0], &e);
    assert_int_equal(r->slots[0].state, SLOT_LOST);
    assert_false(r->slots[0].reclaim);
    assert_int_equal(chain_of(r, 0, chain), 0);
    assert_int_equal(chain_of(r, 1, chain), 2);
    expect_report(r, REPORT_LOST, 0, 0);
    end(r);
}

/* seek() to where it stands: the value is the same, so only the epoch says that somebody was there.
 */
static void test_try_again(void **state)
{
    struct rig *r = with_ledger();
    struct ledger_entry e = {.next_offset = 0, .owner_epoch = 9, .mine = true};
    struct slot *s = &r->slots[0];

    (void) state;
    add_records(r, 0, 3);
    worker_settle_reclaim(&r->w, s, &e);
    assert_int_equal(s->owner_epoch, 9);
    assert_false(worker_outbox_holds(&r->w, s));
    expect_moved(r, 0, 0);

    s->state = SLOT_STOPPED;
    e.owner_epoch = 11;
    worker_settle_reclaim(&r->w, s, &e);
    expect_moved(r, 0, 0);
    end(r);
}

static void test_an_answer_that_comes_too_late(void **state)
{
    struct rig *r = with_ledger();
    struct ledger_entry e = {.next_offset = 5, .owner_epoch = 8, .mine = true};

    (void) state;
    r->slots[0].state = SLOT_LOST;
    worker_settle_reclaim(&r->w, &r->slots[0], &e);
    assert_int_equal(r->slots[0].state, SLOT_LOST);
    worker_settle_claim(&r->w, &r->slots[1], &e); /* is reading already */
    assert_int_equal(r->slots[1].state, SLOT_READING);
    end(r);
}

static void test_first_claim(void **state)
{
    struct rig *r = with_ledger();
    struct ledger_entry e = {.next_offset = LEDGER_UNKNOWN, .mine = false};
    struct slot *s = &r->slots[2];

    (void) state;
    s->state = SLOT_CLAIMING;
    worker_settle_claim(&r->w, s, &e);
    assert_int_equal(s->state, SLOT_UNKNOWN);
    expect_report(r, REPORT_UNKNOWN, 2, -1);

    slot_set(s, SLOT_CLAIMING);
    e = (struct ledger_entry){.next_offset = 42, .owner_epoch = 8, .mine = true};
    worker_settle_claim(&r->w, s, &e);
    assert_int_equal(s->owner_epoch, 8);
    assert_int_equal(s->seq, 1);
    expect_moved(r, 2, 42);
    end(r);
}

/* Random chains of three slots, each settled against a list of its spans. */
static void test_random_chains(void **state)
{
    (void) state;
    for (uint64_t round = 1; round <= 3000; round++) {
        struct rig *r = with_ledger();
        struct span *chain[8];
        seed = round;
        uint32_t batches = 1 + chance(4);
        for (uint32_t b = 0; b < batches; b++) {
            for (uint32_t k = chance(12); k > 0; k--) {
                if (chance(6) == 0) {
                    add_hole(r, (int) chance(RIG_SLOTS), 1 + chance(3));
                } else {
                    add_record(r, (int) chance(RIG_SLOTS), chance(3));
                }
            }
            if (b + 1 < batches && !batch_is_empty(r->w.open)) {
                worker_outbox_seal(&r->w);
            }
        }
        for (int slot = 0; slot < RIG_SLOTS; slot++) {
            size_t n = chain_of(r, slot, chain);
            int64_t from = n > 0 ? chain[0]->from : r->slots[slot].expect;
            int64_t next = n > 0 ? chain[chance((uint32_t) n)]->next : from;
            int64_t ledger = chance(3) == 0 ? from : chance(2) == 0 ? next : (int64_t) chance(30);
            bool meets = ledger == r->slots[slot].expect;
            size_t left = 0;
            for (size_t i = 0; i < n; i++) {
                meets = meets || chain[i]->from == ledger;
                left += chain[i]->next > ledger;
            }
            claim_again(r, slot, ledger);
            if (meets) {
                expect_met(r, slot, ledger, left);
            } else {
                expect_moved(r, slot, ledger);
            }
            check_rows(r);
        }
        end(r);
    }
}

/* ---- the batch on its way ---- */

static void test_commit(void **state)
{
    struct rig *r = with_ledger();

    (void) state;
    atomic_store(&r->shares[0].end, 99);
    r->slots[1].end_published = 50;
    add_records(r, 0, 10);
    add_records(r, 1, 3);
    worker_outbox_seal(&r->w);
    add_records(r, 0, 5);
    worker_settle_commit(&r->w, 0);
    assert_int_equal(r->w.outbox_count, 0);
    assert_int_equal(r->slots[0].stored, 10);
    assert_int_equal(atomic_load(&r->shares[0].stored), 10);
    assert_int_equal(r->slots[0].end_published, 99);
    assert_int_equal(r->slots[1].stored, 3);
    assert_int_equal(r->slots[1].end_published, 50); /* not known now */
    assert_int_equal(atomic_load(&r->w.stats.records), 13);
    assert_int_equal(atomic_load(&r->w.stats.rows), 13);
    assert_int_equal(atomic_load(&r->w.stats.transactions), 1);
    assert_int_equal(r->w.open->record_count, 5);
    end(r);
}

static void test_a_fence_claims_all_of_the_batch_again(void **state)
{
    struct rig *r = two_batches();
    struct span *chain[8];

    (void) state;
    r->slots[1].state = SLOT_RELEASING;
    worker_settle_fence(&r->w);
    assert_true(r->slots[0].reclaim);
    assert_false(r->slots[1].reclaim);
    assert_false(r->slots[2].reclaim); /* not in it */
    assert_int_equal(chain_of(r, 0, chain), 2);
    assert_int_equal(chain_of(r, 1, chain), 0); /* the new owner has it */
    check_rows(r);
    end(r);
}

static void drop_while_writing(void *arg)
{
    struct rig *r = arg;

    r->w.link.state = LINK_WRITING;
    worker_outbox_drop(&r->w, &r->slots[0]);
}

static void test_nothing_is_dropped_from_a_batch_on_its_way(void **state)
{
    struct rig *r = two_batches();

    (void) state;
    unit_expect_abort(drop_while_writing, r, "LINK_WRITING");
    end(r);
}

static void test_drop(void **state)
{
    struct rig *r = two_batches();
    struct span *chain[8];
    uint64_t id = r->w.open_id;

    (void) state;
    assert_true(worker_outbox_holds(&r->w, &r->slots[0]));
    assert_false(worker_outbox_holds(&r->w, &r->slots[2]));
    worker_outbox_drop(&r->w, &r->slots[0]);
    assert_true(r->w.open_id > id); /* span indices may have changed */
    assert_false(worker_outbox_holds(&r->w, &r->slots[0]));
    assert_int_equal(chain_of(r, 1, chain), 2);
    check_rows(r);
    worker_outbox_drop(&r->w, &r->slots[1]);
    assert_int_equal(r->w.outbox_count, 0);
    assert_true(batch_is_empty(r->w.open));
    end(r);
}

/* ---- the record that PostgreSQL refuses ---- */

static void refuse(struct rig *r, size_t part, size_t row)
{
    struct txn_result result = {.outcome = TXN_ROLLED_BACK, .part = part, .row = row};

    error_set(&result.error, ERROR_RECORD, "refused");
    worker_letters_isolate(&r->w, &result);
}

static size_t records_at(struct rig *r, size_t i)
{
    return batch_at(r, i)->record_count;
}

static void test_where_a_batch_is_cut(void **state)
{
    struct rig *r = with_ledger();

    (void) state;
    add_records(r, 0, 10);
    worker_outbox_seal(&r->w);
    /* One part alone holds all, or several: look for the row of record 7. */
    for (size_t p = 0; p < r->w.outbox[0]->part_count; p++) {
        const struct batch_part *part = &r->w.outbox[0]->parts[p];
        for (size_t k = 0; k < part->row_count; k++) {
            if (part->rows[k].record == 7) {
                refuse(r, p, k);
                p = SIZE_MAX - 1;
                break;
            }
        }
    }
    assert_int_equal(r->w.outbox_count, 2);
    assert_int_equal(records_at(r, 0), 7); /* before it */
    assert_int_equal(records_at(r, 1), 3); /* it comes first */
    refuse(r, TXN_NO_ROW, TXN_NO_ROW);
    assert_int_equal(r->w.outbox_count, 3);
    assert_int_equal(records_at(r, 0), 3); /* halves */
    assert_int_equal(records_at(r, 1), 4);
    check_rows(r);
    end(r);
}

static void test_the_first_of_a_batch_is_tried_alone(void **state)
{
    struct rig *r = with_ledger();
    struct span *chain[8];

    (void) state;
    add_records(r, 0, 4);
    add_records(r, 1, 4);
    worker_outbox_seal(&r->w);
    add_records(r, 0, 1);
    uint32_t first = 0;
    while (r->w.outbox[0]->parts[first].row_count == 0 ||
           r->w.outbox[0]->parts[first].rows[0].record != 0) {
        first++;
    }
    refuse(r, first, 0);
    assert_int_equal(records_at(r, 0), 1);
    assert_int_equal(r->slots[0].state, SLOT_READING); /* not yet proved */
    refuse(r, TXN_NO_ROW, TXN_NO_ROW);
    assert_int_equal(r->slots[0].state, SLOT_STOPPED);
    assert_int_equal(r->slots[0].expect, 0);
    assert_true(r->w.flush);
    free(rig_only_report(r, REPORT_STOPPED, 0, 0));
    assert_int_equal(chain_of(r, 0, chain), 0);
    assert_int_equal(chain_of(r, 1, chain), 1); /* its neighbours' records stay */
    check_rows(r);
    end(r);
}

static void stop(struct rig *r, int slot)
{
    struct error err;

    error_set(&err, ERROR_RECORD, "cannot be decoded");
    worker_slot_stop(&r->w, &r->slots[slot], r->slots[slot].expect, &err);
}

static struct report *next_start(struct rig *r, int64_t verified_by)
{
    struct report *report = rig_only_report(r, REPORT_START, 0, r->slots[0].expect);

    assert_int_equal(report->known.fp.offset, verified_by);
    return report;
}

/* A record of a while ago is there, and the log was truncated after it: the last one decides. */
static void test_a_doubt_is_settled_by_two_records(void **state)
{
    struct rig *r = with_ledger();
    struct slot *s = &r->slots[0];

    (void) state;
    s->tail.offset = FINGERPRINT_NONE;
    s->known.fp.offset = 109;
    worker_slot_verify_again(&r->w, s, (struct fingerprint){.offset = 99}, "a doubt");
    struct report *first = next_start(r, 99);
    assert_false(first->is_tail);
    assert_true(worker_slot_verify_tail(&r->w, s));
    struct report *second = next_start(r, 109);
    assert_true(second->is_tail);
    assert_int_equal(second->seq, first->seq + 1);
    assert_int_equal(second->offset, first->offset);
    assert_false(worker_slot_verify_tail(&r->w, s));
    free(first);
    free(second);
    rig_free(r);
}

/* The fault of a record is reported when everything before it is stored. */
static void test_a_fault_waits_for_what_is_before_it(void **state)
{
    struct rig *r = two_batches();

    (void) state;
    stop(r, 0);
    assert_int_equal(r->slots[0].state, SLOT_STOPPED);
    assert_true(r->w.flush);
    worker_outbox_seal(&r->w);
    for (int i = 0; i < 2; i++) {
        worker_slot_report_faults(&r->w);
        assert_null(mailbox_take(&r->reports));
        worker_settle_commit(&r->w, 0);
    }
    expect_report(r, REPORT_STOPPED, 0, 15);
    end(r);
}

/* ... for PostgreSQL may refuse one of those: then that one alone is the partition's fault. */
static void test_the_first_of_two_faults_is_reported(void **state)
{
    struct rig *r = with_ledger();

    (void) state;
    add_records(r, 0, 1);
    worker_outbox_seal(&r->w);
    stop(r, 0);
    refuse(r, TXN_NO_ROW, TXN_NO_ROW);
    assert_int_equal(r->slots[0].state, SLOT_STOPPED);
    assert_int_equal(r->slots[0].expect, 0);
    free(rig_only_report(r, REPORT_STOPPED, 0, 0));
    end(r);
}

/* What is not reported yet is void when the row is another's, or has moved. */
static void test_a_fault_is_void_when_the_row_moves(void **state)
{
    struct ledger_entry e = {.next_offset = 0, .owner_epoch = 8, .mine = false};
    struct rig *r = two_batches();

    (void) state;
    stop(r, 0);
    stop(r, 1);
    claim_again(r, 0, 100);
    expect_moved(r, 0, 100);
    worker_settle_reclaim(&r->w, &r->slots[1], &e);
    expect_report(r, REPORT_LOST, 1, 0);
    end(r);
}

static void test_a_culprit_of_a_partition_on_its_way_out(void **state)
{
    struct rig *r = with_ledger();

    (void) state;
    add_records(r, 0, 1);
    worker_outbox_seal(&r->w);
    r->slots[0].state = SLOT_RELEASING;
    refuse(r, TXN_NO_ROW, TXN_NO_ROW);
    assert_int_equal(r->slots[0].state, SLOT_RELEASING);
    assert_int_equal(r->w.outbox_count, 0);
    end(r);
}

/* The first bad row in the order in which the parts are sent. */
static bool find_bad(const struct batch *b, bool bad[RIG_SLOTS][OFFSETS], size_t *part, size_t *row)
{
    for (*part = 0; *part < b->part_count; (*part)++) {
        const struct batch_part *p = &b->parts[*part];
        for (*row = 0; *row < p->row_count; (*row)++) {
            struct row it;
            memcpy(&it, p->bytes.p + p->rows[*row].begin, sizeof it);
            if (bad[it.slot][it.offset]) {
                return true;
            }
        }
    }
    return false;
}

/* What a server would do with the outbox, one batch after the other. Returns the tries. */
static unsigned play_server(struct rig *r, bool bad[RIG_SLOTS][OFFSETS], bool names_rows,
                            bool stored[RIG_SLOTS][OFFSETS])
{
    unsigned tries = 0;

    for (; r->w.outbox_count > 0; tries++) {
        const struct batch *b = r->w.outbox[0];
        size_t part;
        size_t row;
        if (find_bad(b, bad, &part, &row)) {
            bool name = names_rows && chance(4) > 0;
            refuse(r, name ? part : TXN_NO_ROW, name ? row : TXN_NO_ROW);
            continue;
        }
        for (size_t i = 0; i < b->record_count; i++) {
            const struct slot *s = b->spans[b->records[i].span].tag;
            assert_false(stored[s->number][b->records[i].offset]);
            stored[s->number][b->records[i].offset] = true;
        }
        worker_settle_commit(&r->w, 0);
    }
    return tries;
}

/* Exactly what stands before the first bad record of each slot is stored, all of the others. */
static void check_stored(struct rig *r, int slot, const bool *bad, const bool *stored, int64_t end,
                         bool stopped)
{
    const struct slot *s = &r->slots[slot];
    int64_t first = 0;

    while (first < end && !bad[first]) {
        first++;
    }
    for (int64_t i = 0; i < end; i++) {
        assert_int_equal(stored[i], i < first);
    }
    assert_int_equal(s->stored, first);
    assert_int_equal(s->state, first < end || stopped ? SLOT_STOPPED : SLOT_READING);
    assert_int_equal(s->expect, first);
}

static void test_random_culprits(void **state)
{
    (void) state;
    for (uint64_t round = 1; round <= 3000; round++) {
        struct rig *r = with_ledger();
        bool bad[RIG_SLOTS][OFFSETS] = {{false}};
        bool stored[RIG_SLOTS][OFFSETS] = {{false}};
        int64_t ends[RIG_SLOTS];
        seed = round;
        uint32_t n = 1 + chance(60);
        uint32_t rate = 2 + chance(40);
        size_t culprits = 0;
        for (uint32_t i = 0; i < n; i++) {
            int slot = (int) chance(RIG_SLOTS);
            bad[slot][r->slots[slot].expect] = chance(rate) == 0;
            add_record(r, slot, 1 + chance(2));
        }
        for (int i = 0; i < RIG_SLOTS; i++) {
            ends[i] = r->slots[i].expect;
        }
        worker_outbox_seal(&r->w);
        bool stopped[RIG_SLOTS]; /* by one that cannot be decoded, after all of these */
        for (int i = 0; i < RIG_SLOTS; i++) {
            stopped[i] = chance(3) == 0;
            if (stopped[i]) {
                stop(r, i);
            }
        }
        unsigned tries = play_server(r, bad, round % 2 == 0, stored);
        for (int i = 0; i < RIG_SLOTS; i++) {
            check_stored(r, i, bad[i], stored[i], ends[i], stopped[i]);
            culprits += r->slots[i].state == SLOT_STOPPED;
        }
        assert_true(tries <= 2 * n);
        assert_int_equal(count_reports(r), culprits);
        end(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_was_stored),
        cmocka_unit_test(test_the_first_was_stored),
        cmocka_unit_test(test_somebody_has_moved_the_row),
        cmocka_unit_test(test_a_chain_of_three),
        cmocka_unit_test(test_without_records),
        cmocka_unit_test(test_only_the_last_is_left_and_was_stored),
        cmocka_unit_test(test_a_waiting_or_stopped_slot_stays_so),
        cmocka_unit_test(test_paused_though_nobody_has_touched_the_row),
        cmocka_unit_test(test_owned_by_another),
        cmocka_unit_test(test_try_again),
        cmocka_unit_test(test_an_answer_that_comes_too_late),
        cmocka_unit_test(test_first_claim),
        cmocka_unit_test(test_random_chains),
        cmocka_unit_test(test_commit),
        cmocka_unit_test(test_a_fence_claims_all_of_the_batch_again),
        cmocka_unit_test(test_nothing_is_dropped_from_a_batch_on_its_way),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_where_a_batch_is_cut),
        cmocka_unit_test(test_the_first_of_a_batch_is_tried_alone),
        cmocka_unit_test(test_a_doubt_is_settled_by_two_records),
        cmocka_unit_test(test_a_fault_waits_for_what_is_before_it),
        cmocka_unit_test(test_the_first_of_two_faults_is_reported),
        cmocka_unit_test(test_a_fault_is_void_when_the_row_moves),
        cmocka_unit_test(test_a_culprit_of_a_partition_on_its_way_out),
        cmocka_unit_test(test_random_culprits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
