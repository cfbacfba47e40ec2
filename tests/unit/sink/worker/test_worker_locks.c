/* worker_locks.c: which slots wait for a locked row, what leaves the batches, whose session is to
 * be ended. */
#include "../rig.h"

#define LOCK_TIMEOUT (300 * USEC_PER_MSEC)

static struct rig *rig_of_ledger(void)
{
    struct rig *r = rig_new(DELIVERY_EXACTLY_ONCE, COMMIT_SYNC);

    r->cfg.postgres.lock_timeout = LOCK_TIMEOUT;
    r->cfg.postgres.timeout = USEC_PER_SEC;
    r->w.link.ledger = ledger_new("s", "s", "me");
    r->w.link.entries = mem_array(RIG_SLOTS, sizeof *r->w.link.entries);
    r->w.link.entry_count = RIG_SLOTS;
    for (int i = 0; i < RIG_SLOTS; i++) {
        r->w.link.entries[i] = (struct ledger_entry){
            .topic = "t", .partition = i, .tag = &r->slots[i]};
        rig_record_begin(r, i);
        rig_record_end(r, i);
    }
    worker_outbox_seal(&r->w);
    return r;
}

static void done(struct rig *r)
{
    r->w.link.ledger = ledger_free(r->w.link.ledger);
    free(r->w.link.entries);
    rig_free(r);
}

static struct ledger_lock lock_of(size_t entry, int32_t pid, const char *xid)
{
    struct ledger_lock lock = {.entry = entry, .mine = true, .pid = pid};

    snprintf(lock.xid, sizeof lock.xid, "%s", xid);
    snprintf(lock.holder, sizeof lock.holder, "process %d", pid);
    return lock;
}

/* The text of the only report of the kind; all others are dropped. */
static const char *report_text(struct rig *r, enum report_kind kind)
{
    static char text[800];
    size_t n = 0;

    for (struct mail *m = mailbox_take(&r->reports); m != NULL;) {
        struct mail *next = m->next;
        const struct report *report = (struct report *) m;
        if (report->kind == kind) {
            snprintf(text, sizeof text, "%s", report->error.text);
            n++;
        }
        free(m);
        m = next;
    }
    assert_int_equal(n, 1);
    return text;
}

static void test_only_the_locked_one_leaves_the_batches(void **state)
{
    (void) state;
    struct rig *r = rig_of_ledger();
    const struct ledger_lock lock = lock_of(1, 5, "77");
    uint64_t seq = r->slots[1].seq;

    assert_true(worker_locks_looked(&r->w, &lock, 1));
    assert_int_equal(r->w.outbox_count, 1);
    assert_int_equal(r->w.outbox[0]->span_count, 2);
    assert_null(batch_find(r->w.outbox[0], &r->slots[1]));
    assert_int_equal(r->slots[1].state, SLOT_WAITING);
    assert_true(r->slots[1].lock.is_held && r->slots[1].reclaim);
    assert_true(r->slots[1].seq > seq); /* the answer to an older start means nothing */
    assert_int_equal(r->slots[0].state, SLOT_READING);
    assert_false(worker_ledger_wants_claim(&r->w));
    assert_true(r->w.link.look_at > 0);

    /* Again: nothing new is said. Free: it is to be claimed. */
    assert_int_equal(rig_take_reports(r, REPORT_HELD), 1);
    assert_true(worker_locks_looked(&r->w, &lock, 1));
    assert_int_equal(rig_take_reports(r, RIG_ANY), 0);
    assert_false(worker_locks_looked(&r->w, NULL, 0));
    assert_true(worker_ledger_wants_claim(&r->w));
    worker_locks_claimed(&r->w);
    assert_non_null(
        strstr(report_text(r, REPORT_UNLOCKED), "t-1: its row of the ledger is no longer"));

    /* The ledger stands where its chain would have continued: it is read again nevertheless. */
    struct ledger_entry e = {.next_offset = 1, .owner_epoch = RIG_EPOCH + 1, .mine = true};
    worker_settle_reclaim(&r->w, &r->slots[1], &e);
    assert_int_equal(rig_take_reports(r, REPORT_START), 1);
    assert_int_equal(r->slots[1].expect, 1);
    done(r);
}

static void test_one_line_for_all_rows_of_a_transaction(void **state)
{
    (void) state;
    struct rig *r = rig_of_ledger();
    const struct ledger_lock locks[] = {lock_of(0, 5, "77"), lock_of(1, 5, "77"),
                                        lock_of(2, 5, "77")};

    worker_locks_looked(&r->w, locks, 3);
    assert_int_equal(r->w.outbox_count, 0);
    assert_non_null(strstr(report_text(r, REPORT_LOCKED),
                           "t-0 and 2 others: their rows of the ledger are locked by process 5"));
    worker_locks_claimed(&r->w);
    assert_non_null(strstr(report_text(r, REPORT_UNLOCKED),
                           "t-0 and 2 others: their rows of the ledger are no longer"));
    done(r);
}

static const char *to_end(struct rig *r, int slot)
{
    struct ledger_entry e = {.tag = &r->slots[slot]};

    worker_locks_prepare(&r->w, &r->slots[slot], &e);
    return e.end_xid;
}

/* Another transaction has the row at each look: so it was free meanwhile, and the claim takes its
 * turn. */
static void test_another_holder(void **state)
{
    (void) state;
    struct rig *r = rig_of_ledger();
    struct ledger_lock lock = lock_of(1, 5, "77");

    worker_locks_looked(&r->w, &lock, 1);
    lock = lock_of(1, 5, "78");
    worker_locks_looked(&r->w, &lock, 1);
    assert_false(r->slots[1].lock.is_held);
    assert_true(worker_ledger_wants_claim(&r->w));
    worker_locks_looked(&r->w, &lock, 1); /* the claim has waited in vain again */
    assert_true(r->slots[1].lock.is_held);
    report_text(r, REPORT_LOCKED); /* one line, for it is the same session */

    lock = lock_of(1, 6, "79");
    worker_locks_looked(&r->w, &lock, 1);
    assert_non_null(strstr(report_text(r, REPORT_LOCKED), "process 6"));
    done(r);
}

static void test_whose_session_is_ended(void **state)
{
    (void) state;
    struct rig *r = rig_of_ledger();
    const struct ledger_lock locks[] = {lock_of(0, 5, "77"), lock_of(1, 5, "77"),
                                        lock_of(2, 5, "77")};

    r->slots[0].state = SLOT_CLAIMING; /* the group has just given it to us */
    r->slots[1].relinked = true;       /* our own session of before may hold it */
    worker_locks_looked(&r->w, locks, 3);
    assert_null(to_end(r, 0)); /* not before lock_timeout */
    assert_null(to_end(r, 1));
    for (int i = 0; i < RIG_SLOTS; i++) {
        r->slots[i].lock.xid_since -= LOCK_TIMEOUT;
    }
    assert_string_equal(to_end(r, 0), "77");
    assert_string_equal(to_end(r, 1), "77");
    assert_null(to_end(r, 2)); /* an operator's */
    done(r);
}

static void test_a_row_of_another_owner_is_not_waited_for(void **state)
{
    (void) state;
    struct rig *r = rig_of_ledger();
    struct ledger_lock lock = lock_of(1, 5, "77");

    lock.mine = false;
    worker_locks_looked(&r->w, &lock, 1);
    assert_int_equal(r->slots[1].state, SLOT_LOST);
    assert_false(r->slots[1].lock.is_held);
    assert_int_equal(rig_take_reports(r, REPORT_LOCKED), 0);
    done(r);
}

static void test_one_that_is_being_released(void **state)
{
    (void) state;
    struct rig *r = rig_of_ledger();
    const struct ledger_lock lock = lock_of(1, 5, "77");

    slot_set(&r->slots[1], SLOT_RELEASING);
    worker_locks_looked(&r->w, &lock, 1);
    assert_false(worker_outbox_holds(&r->w, &r->slots[1])); /* so it can go */
    assert_int_equal(rig_take_reports(r, RIG_ANY), 0);
    done(r);
}

/* Slot 1 stands at offset 0, as main and the ledger know. */
static void stand(struct rig *r)
{
    struct standing why = {.state = STANDING_PARKED, .offset = 0, .retry_at = 0};

    error_set(&why.why, ERROR_TARGET, "refused");
    worker_outbox_drop(&r->w, &r->slots[1]);
    r->slots[1].expect = 0;
    worker_slot_stand(&r->w, &r->slots[1], &why);
    worker_slot_report_faults(&r->w);
    r->slots[1].stand_written = r->slots[1].stand_changes;
    assert_int_equal(rig_take_reports(r, REPORT_STOPPED), 1);
}

static struct ledger_entry claimed_at(struct rig *r, int64_t next_offset)
{
    worker_locks_looked(&r->w, NULL, 0);
    worker_locks_claimed(&r->w);
    rig_take_reports(r, REPORT_UNLOCKED);
    return (struct ledger_entry){
        .next_offset = next_offset, .owner_epoch = RIG_EPOCH + 1, .mine = true};
}

static void test_what_stands_waits_as_it_is(void **state)
{
    (void) state;
    struct rig *r = rig_of_ledger();
    const struct ledger_lock lock = lock_of(1, 5, "77");

    stand(r);
    worker_locks_looked(&r->w, &lock, 1);
    assert_int_equal(r->slots[1].state, SLOT_STOPPED);
    assert_true(r->slots[1].lock.is_held && r->slots[1].reclaim);
    assert_true(worker_stand_deadline(&r->w) == USEC_NEVER); /* or it would not sleep */
    assert_int_equal(rig_take_reports(r, REPORT_HELD), 0);

    struct ledger_entry e = claimed_at(r, 0);
    worker_settle_reclaim(&r->w, &r->slots[1], &e);
    assert_int_equal(r->slots[1].state, SLOT_STOPPED);
    assert_true(r->w.stand_due);
    assert_true(worker_stand_deadline(&r->w) == 0);
    worker_slot_forget_standing(&r->w, &r->slots[1]);
    done(r);
}

/* Main may have it tried again while it is held. */
static void test_what_is_read_while_it_is_held_is_dropped(void **state)
{
    (void) state;
    struct rig *r = rig_of_ledger();
    const struct ledger_lock lock = lock_of(1, 5, "77");

    stand(r);
    worker_locks_looked(&r->w, &lock, 1);
    worker_slot_try_again(&r->w, &r->slots[1]);
    slot_set(&r->slots[1], SLOT_READING);
    rig_record_begin(r, 1);
    rig_record_end(r, 1);
    rig_take_reports(r, RIG_ANY);
    worker_locks_looked(&r->w, &lock, 1);
    assert_false(worker_outbox_holds(&r->w, &r->slots[1]));
    assert_int_equal(rig_take_reports(r, REPORT_HELD), 1);
    worker_slot_forget_standing(&r->w, &r->slots[1]);
    done(r);
}

static void test_what_is_tried_again_still_stands(void **state)
{
    (void) state;
    struct rig *r = rig_of_ledger();
    const struct ledger_lock lock = lock_of(1, 5, "77");

    stand(r);
    worker_slot_try_again(&r->w, &r->slots[1]);
    rig_take_reports(r, REPORT_START);
    worker_locks_looked(&r->w, &lock, 1);
    assert_int_equal(rig_take_reports(r, REPORT_HELD), 1);

    struct ledger_entry e = claimed_at(r, 0);
    worker_settle_reclaim(&r->w, &r->slots[1], &e);
    assert_non_null(r->slots[1].standing);
    assert_int_equal(r->slots[1].expect, 0);
    assert_int_equal(r->slots[1].state, SLOT_WAITING);
    assert_int_equal(rig_take_reports(r, REPORT_START), 1);
    worker_slot_forget_standing(&r->w, &r->slots[1]);
    done(r);
}

/* The ledger could not be told, because the row was locked. */
static void test_what_moves_does_not_stand_by_the_ledger(void **state)
{
    (void) state;
    struct rig *r = rig_of_ledger();
    const struct ledger_lock lock = lock_of(1, 5, "77");
    struct standing old = {.state = STANDING_STOPPED, .retry_at = USEC_NEVER};

    stand(r);
    worker_slot_start(&r->w, &r->slots[1], 0, false);
    worker_locks_looked(&r->w, &lock, 1);
    r->w.stand_due = false;
    rig_take_reports(r, RIG_ANY);

    struct ledger_entry e = claimed_at(r, 0);
    e.standing = &old;
    worker_settle_reclaim(&r->w, &r->slots[1], &e);
    assert_null(r->slots[1].standing);
    assert_true(r->w.stand_due);
    assert_int_equal(rig_take_reports(r, REPORT_START), 1);
    done(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_locked_one_leaves_the_batches),
        cmocka_unit_test(test_one_line_for_all_rows_of_a_transaction),
        cmocka_unit_test(test_another_holder),
        cmocka_unit_test(test_whose_session_is_ended),
        cmocka_unit_test(test_a_row_of_another_owner_is_not_waited_for),
        cmocka_unit_test(test_one_that_is_being_released),
        cmocka_unit_test(test_what_stands_waits_as_it_is),
        cmocka_unit_test(test_what_is_read_while_it_is_held_is_dropped),
        cmocka_unit_test(test_what_is_tried_again_still_stands),
        cmocka_unit_test(test_what_moves_does_not_stand_by_the_ledger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
