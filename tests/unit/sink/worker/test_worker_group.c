/*
 * worker_group.c: a worker made by hand, without a thread, a server or a broker; the test is the
 * group. What may be sent when, what falls back when records are dropped, and that a position is
 * never ahead of what is stored (at_least_once) and never behind what is sent (at_most_once). One
 * thread.
 */
#include "sink/worker/worker_state.h"

#include "sink/rig.h"

static struct target target;

/* Records of the slot into the open batch, each with a row, or none. */
static void add(struct rig *r, int slot, int n, bool rows)
{
    struct batch *b = r->w.open;

    while (n-- > 0) {
        rig_record_begin(r, slot);
        if (rows) {
            uint32_t part = batch_part(b, &target, ROW_INSERT, 0);
            buf_add_z(batch_row_begin(b, part), "row");
            batch_row_end(b, part);
        }
        rig_record_end(r, slot);
    }
}

static void expect_due(struct rig *r, int slot, int64_t offset)
{
    assert_int_equal(atomic_load(&r->shares[slot].due), offset);
}

/* Main has heard what is due, and the group has it. */
static void commit(struct rig *r, int slot)
{
    atomic_store(&r->shares[slot].committed, atomic_load(&r->shares[slot].due));
}

static void store(struct rig *r)
{
    worker_settle_commit(&r->w, 0);
    worker_group_stored(&r->w);
}

/* ---- at_least_once ---- */

static void test_sync_waits_for_what_is_stored(void **state)
{
    struct rig *r = rig_new(DELIVERY_AT_LEAST_ONCE, COMMIT_SYNC);

    (void) state;
    add(r, 0, 10, true);
    add(r, 1, 5, true);
    worker_outbox_seal(&r->w);
    assert_true(worker_group_is_ready(&r->w));
    assert_true(worker_group_may_send(&r->w));
    expect_due(r, 0, 0); /* nothing is stored yet */
    store(r);
    expect_due(r, 0, 10);
    expect_due(r, 1, 5);
    assert_int_equal(rig_take_reports(r, REPORT_DUE), 1);
    assert_false(worker_group_is_ready(&r->w));
    assert_true(r->w.awaits_group);
    commit(r, 0);
    assert_false(worker_group_is_ready(&r->w));
    commit(r, 1);
    assert_true(worker_group_is_ready(&r->w));
    assert_false(r->w.awaits_group);
    rig_free(r);
}

static void test_nobody_waits_for_one_on_its_way_out(void **state)
{
    struct rig *r = rig_new(DELIVERY_AT_LEAST_ONCE, COMMIT_SYNC);

    (void) state;
    add(r, 0, 10, true);
    worker_outbox_seal(&r->w);
    store(r);
    r->slots[0].state = SLOT_RELEASING; /* lost: it will never be committed */
    assert_true(worker_group_is_ready(&r->w));
    rig_free(r);
}

static void test_async_and_interval_do_not_wait(void **state)
{
    (void) state;
    for (enum config_commit c = COMMIT_ASYNC; c <= COMMIT_INTERVAL; c++) {
        struct rig *r = rig_new(DELIVERY_AT_LEAST_ONCE, c);
        add(r, 0, 10, true);
        worker_outbox_seal(&r->w);
        store(r);
        expect_due(r, 0, 10);
        assert_int_equal(rig_take_reports(r, REPORT_DUE), c == COMMIT_ASYNC ? 1 : 0);
        assert_true(worker_group_is_ready(&r->w));
        rig_free(r);
    }
}

static void test_an_unknown_commit_is_sent_again(void **state)
{
    struct rig *r = rig_new(DELIVERY_AT_LEAST_ONCE, COMMIT_SYNC);

    (void) state;
    add(r, 0, 10, true);
    worker_outbox_seal(&r->w);
    worker_group_unknown(&r->w);
    assert_int_equal(r->w.outbox_count, 1);
    expect_due(r, 0, 0);
    rig_free(r);
}

static void test_without_rows_nothing_is_sent(void **state)
{
    struct rig *r = rig_new(DELIVERY_AT_LEAST_ONCE, COMMIT_SYNC);

    (void) state;
    add(r, 0, 3, false);
    worker_outbox_seal(&r->w);
    assert_false(worker_group_may_send(&r->w));
    assert_int_equal(r->w.outbox_count, 0);
    expect_due(r, 0, 3);
    rig_free(r);
}

/* ---- at_most_once ---- */

static struct rig *announced(enum config_commit commit)
{
    struct rig *r = rig_new(DELIVERY_AT_MOST_ONCE, commit);

    add(r, 0, 10, true);
    add(r, 1, 5, true);
    worker_outbox_seal(&r->w);
    add(r, 0, 7, true);
    assert_true(worker_group_is_ready(&r->w));
    assert_false(worker_group_may_send(&r->w));
    expect_due(r, 0, 10);
    expect_due(r, 1, 5);
    assert_int_equal(rig_take_reports(r, REPORT_DUE), 1);
    return r;
}

static void test_the_group_has_it_before_it_is_sent(void **state)
{
    struct rig *r = announced(COMMIT_SYNC);

    (void) state;
    commit(r, 0);
    assert_false(worker_group_may_send(&r->w));
    assert_int_equal(rig_take_reports(r, REPORT_DUE), 0); /* once is enough */
    commit(r, 1);
    assert_true(worker_group_may_send(&r->w));
    store(r);
    expect_due(r, 0, 10);
    assert_int_equal(rig_take_reports(r, REPORT_DUE), 0);
    rig_free(r);
}

static void test_an_unknown_commit_is_not_sent_again(void **state)
{
    struct rig *r = announced(COMMIT_SYNC);

    (void) state;
    r->w.write_failures = 1;
    worker_group_unknown(&r->w);
    assert_int_equal(r->w.outbox_count, 0);
    assert_int_equal(r->w.write_failures, 0);
    assert_int_equal(rig_take_reports(r, REPORT_DOUBTFUL), 2);
    expect_due(r, 0, 10);
    rig_free(r);
}

static void test_released_while_the_group_is_asked(void **state)
{
    struct rig *r = announced(COMMIT_SYNC);

    (void) state;
    r->slots[0].state = SLOT_RELEASING;
    worker_group_release(&r->w, &r->slots[0]);
    assert_false(worker_outbox_holds(&r->w, &r->slots[0]));
    assert_true(worker_outbox_holds(&r->w, &r->slots[1]));
    expect_due(r, 0, 0);
    assert_int_equal(rig_take_reports(r, REPORT_DUE), 1);
    rig_free(r);
}

static void test_released_when_the_group_has_it(void **state)
{
    struct rig *r = announced(COMMIT_SYNC);

    (void) state;
    commit(r, 0);
    r->slots[0].state = SLOT_RELEASING;
    worker_group_release(&r->w, &r->slots[0]);
    assert_non_null(batch_find(r->w.outbox[0], &r->slots[0])); /* it is to be stored */
    assert_null(batch_find(r->w.open, &r->slots[0]));
    expect_due(r, 0, 10);
    rig_free(r);
}

static void test_nothing_is_sent_before_what_was_taken_back(void **state)
{
    struct rig *r = announced(COMMIT_SYNC);
    struct error why;

    (void) state;
    commit(r, 0);
    commit(r, 1);
    error_set(&why, ERROR_RECORD, "read again");
    worker_slot_read_again(&r->w, &r->slots[0], &why);
    rig_take_reports(r, REPORT_START);
    expect_due(r, 0, 0);
    r->slots[0].state = SLOT_READING;
    add(r, 0, 4, true);
    worker_outbox_seal(&r->w);
    store(r);                                   /* that of slot 1 */
    assert_false(worker_group_may_send(&r->w)); /* the group has 10, and must have 0 first */
    expect_due(r, 0, 0);
    commit(r, 0);
    assert_false(worker_group_may_send(&r->w));
    expect_due(r, 0, 4);
    commit(r, 0);
    assert_true(worker_group_may_send(&r->w));
    rig_free(r);
}

static void test_the_end_takes_back_what_is_left(void **state)
{
    struct rig *r = announced(COMMIT_SYNC);

    (void) state;
    commit(r, 0);
    commit(r, 1);
    worker_group_end(&r->w);
    expect_due(r, 0, 0);
    expect_due(r, 1, 0);
    rig_free(r);
}

/* ---- where a partition begins ---- */

static void test_it_begins_where_the_group_says(void **state)
{
    struct rig *r = rig_new(DELIVERY_AT_LEAST_ONCE, COMMIT_SYNC);
    struct slot *s = &r->slots[1];

    (void) state;
    s->state = SLOT_CLAIMING;
    s->first_offset = 42;
    worker_group_adopt(&r->w, s);
    assert_int_equal(s->state, SLOT_WAITING);
    assert_int_equal(s->expect, 42);
    assert_int_equal(s->stored, 42);
    expect_due(r, 1, 42);
    assert_int_equal(rig_take_reports(r, REPORT_START), 1);
    rig_free(r);
}

static void test_with_a_ledger_nothing_of_this_happens(void **state)
{
    struct rig *r = rig_new(DELIVERY_EXACTLY_ONCE, COMMIT_SYNC);

    (void) state;
    add(r, 0, 3, false);
    worker_outbox_seal(&r->w);
    assert_true(worker_group_is_ready(&r->w));
    assert_true(worker_group_may_send(&r->w)); /* a batch without rows moves the ledger */
    worker_group_unknown(&r->w);
    worker_group_release(&r->w, &r->slots[0]);
    worker_group_end(&r->w);
    store(r);
    expect_due(r, 0, 0);
    assert_int_equal(rig_take_reports(r, REPORT_DUE), 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sync_waits_for_what_is_stored),
        cmocka_unit_test(test_nobody_waits_for_one_on_its_way_out),
        cmocka_unit_test(test_async_and_interval_do_not_wait),
        cmocka_unit_test(test_an_unknown_commit_is_sent_again),
        cmocka_unit_test(test_without_rows_nothing_is_sent),
        cmocka_unit_test(test_the_group_has_it_before_it_is_sent),
        cmocka_unit_test(test_an_unknown_commit_is_not_sent_again),
        cmocka_unit_test(test_released_while_the_group_is_asked),
        cmocka_unit_test(test_released_when_the_group_has_it),
        cmocka_unit_test(test_nothing_is_sent_before_what_was_taken_back),
        cmocka_unit_test(test_the_end_takes_back_what_is_left),
        cmocka_unit_test(test_it_begins_where_the_group_says),
        cmocka_unit_test(test_with_a_ledger_nothing_of_this_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
