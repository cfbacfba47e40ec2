/*
 * worker_blame.c: which partitions stand, and from where on, when a lock is not available; what is
 * sent alone before it is blamed. A worker made by hand, without a thread or a server: what that
 * refuses is said by the tests. One thread.
 */
#include "row/kit.h"

#include "sink/rig.h"

enum { RECORDS = 12 };

static struct txn_refusal refusals[1];

bool __wrap_txn_fits_each(const struct txn *t, const struct batch *b);
const struct txn_refusal *__wrap_txn_refusals(const struct txn *t, size_t *out_n);

bool __wrap_txn_fits_each(const struct txn *t, const struct batch *b)
{
    (void) t;
    (void) b;
    return true;
}

const struct txn_refusal *__wrap_txn_refusals(const struct txn *t, size_t *out_n)
{
    (void) t;
    *out_n = ARRAY_LEN(refusals);
    return refusals;
}

static char name[] = "t";
static struct table tables[] = {{.schema = name, .name = name}, {.schema = name, .name = name}};
static struct target rows = {.id = 0, .route = "r", .table = &tables[0]};
static struct target others = {.id = 1, .route = "o", .table = &tables[1]};

static void add_record(struct rig *r, int slot, const struct target *target)
{
    rig_record_begin(r, slot);
    uint32_t part = batch_part(r->w.open, target, ROW_INSERT, 0);
    buf_add_u32(batch_row_begin(r->w.open, part), 7);
    batch_row_end(r->w.open, part);
    rig_record_end(r, slot);
}

/* Records of all slots in turn; those of the last one are for another table. */
static struct rig *with_batch(void)
{
    struct rig *r = rig_new(DELIVERY_EXACTLY_ONCE, COMMIT_SYNC);

    for (int i = 0; i < RECORDS; i++) {
        int slot = i % RIG_SLOTS;
        add_record(r, slot, slot == RIG_SLOTS - 1 ? &others : &rows);
    }
    worker_outbox_seal(&r->w);
    return r;
}

static struct txn_result locked(size_t row)
{
    struct txn_result result = {
        .outcome = TXN_ROLLED_BACK,
        .path = TXN_EACH,
        .part = row != TXN_NO_ROW ? 0 : TXN_NO_ROW,
        .row = row,
        .target = &rows,
        .advanced = true,
    };

    error_set(&result.error, ERROR_TARGET, "canceling statement due to lock timeout (55P03)");
    snprintf(result.error.sqlstate, sizeof result.error.sqlstate, "55P03");
    return result;
}

/* The slot stands before the offset; -1: it does not. */
static void expect_stand(const struct rig *r, int slot, int64_t offset)
{
    const struct slot *s = &r->slots[slot];

    assert_int_equal(s->standing != NULL, offset >= 0);
    if (s->standing != NULL) {
        assert_int_equal(s->standing->state, STANDING_PARKED);
        assert_int_equal(s->standing->offset, offset);
        assert_int_equal(s->expect, offset);
        assert_non_null(strstr(s->standing->why.hint, "holds a lock"));
    }
}

/* Rows of slot 0 and slot 1 in turn: row 3 is that of offset 1 of slot 1. */
static void test_a_row_is_locked(void **state)
{
    struct rig *r = with_batch();
    const struct txn_result result = locked(3);

    (void) state;
    worker_blame(&r->w, &result);
    expect_stand(r, 0, -1);
    expect_stand(r, 1, 1);
    expect_stand(r, 2, -1);
    assert_int_equal(r->w.outbox[0]->record_count, RECORDS - 3);
    assert_true(r->w.link.each_once); /* which names the next one */
    rig_free(r);
}

static void test_the_table_is_locked(void **state)
{
    struct rig *r = with_batch();
    const struct txn_result result = locked(TXN_NO_ROW);

    (void) state;
    worker_blame(&r->w, &result);
    expect_stand(r, 0, 0);
    expect_stand(r, 1, 0);
    expect_stand(r, 2, -1);
    assert_int_equal(r->w.outbox[0]->record_count, RECORDS / RIG_SLOTS);
    assert_false(r->w.link.each_once);
    rig_free(r);
}

/* What is before the row that is named last is stored all the same. */
static void test_more_rows_are_locked_than_are_looked_for(void **state)
{
    struct rig *r = with_batch();
    const struct txn_result result = locked(3);

    (void) state;
    r->w.locked_rows = 3;
    worker_blame(&r->w, &result);
    expect_stand(r, 0, 2);
    expect_stand(r, 1, 1);
    expect_stand(r, 2, -1);
    assert_int_equal(r->w.outbox[0]->record_count, RECORDS / RIG_SLOTS + 3);
    worker_settle_commit(&r->w, 0);
    assert_int_equal(r->w.locked_rows, 0);
    rig_free(r);
}

static void test_the_last_partition_of_the_batch_stands(void **state)
{
    struct rig *r = rig_new(DELIVERY_EXACTLY_ONCE, COMMIT_SYNC);
    const struct txn_result result = locked(0);

    (void) state;
    add_record(r, 0, &rows);
    worker_outbox_seal(&r->w);
    add_record(r, 1, &rows);
    worker_outbox_seal(&r->w);
    worker_blame(&r->w, &result);
    expect_stand(r, 0, 0);
    assert_int_equal(r->w.outbox_count, 1);
    assert_false(r->w.link.each_once); /* nothing is known of the next batch */
    rig_free(r);
}

/*
 * Nobody knows whose 54000 it is, and patience is over. Which limit of the server it is can be told
 * only by COPY, so the record goes alone, after those before it; when COPY says that it is not the
 * server's, the partition stops there.
 */
static void test_a_limit_is_blamed_only_after_it_was_met_alone(void **state)
{
    struct rig *r = with_batch();
    struct slot *s = &r->slots[1];
    struct txn_result result = locked(TXN_NO_ROW);

    (void) state;
    error_set(&result.error, ERROR_DOUBT, "too many multixacts (54000)");
    snprintf(result.error.sqlstate, sizeof result.error.sqlstate, "54000");
    refusals[0] = (struct txn_refusal){
        .part = 0, .row = 3, .error = &result.error, .class = ERROR_DOUBT};
    s->cleared_offset = -1;
    s->doubt.blamed = 1;
    worker_blame(&r->w, &result);
    expect_stand(r, 1, -1);
    assert_int_equal(r->w.outbox_count, 3);
    assert_int_equal(r->w.outbox[0]->record_count, 4);
    assert_false(worker_blame_is_alone(&r->w));
    worker_settle_commit(&r->w, 0);
    assert_true(worker_blame_is_alone(&r->w));
    result.path = TXN_COPY;
    worker_blame(&r->w, &result);
    assert_int_equal(s->standing->state, STANDING_STOPPED);
    assert_int_equal(s->standing->offset, 1);
    expect_stand(r, 0, -1);
    rig_free(r);
}

static struct txn_result unfit(enum txn_path path, size_t row)
{
    struct txn_result result = locked(row);

    result.path = path;
    error_set(&result.error, ERROR_UNFIT, "no partition of relation found for row (23514)");
    snprintf(result.error.sqlstate, sizeof result.error.sqlstate, "23514");
    return result;
}

static void expect_parked(const struct rig *r, int slot, int64_t offset)
{
    const struct slot *s = &r->slots[slot];

    assert_non_null(s->standing);
    assert_int_equal(s->standing->state, STANDING_PARKED);
    assert_int_equal(s->standing->offset, offset);
}

/* Without store_each() COPY names the row: its record's partition is parked, and no other. */
static void test_one_odd_record_where_only_copy_can_tell(void **state)
{
    struct rig *r = with_batch();
    struct txn_result result = unfit(TXN_UNNEST, TXN_NO_ROW);

    (void) state;
    worker_blame(&r->w, &result);
    assert_true(r->w.link.copy_once);
    assert_int_equal(r->w.outbox_count, 1);
    result = unfit(TXN_COPY, 3);
    worker_blame(&r->w, &result);
    assert_int_equal(r->w.outbox_count, 2);
    assert_int_equal(r->w.outbox[0]->record_count, 4);
    worker_settle_commit(&r->w, 0);
    expect_stand(r, 1, -1);
    result = unfit(TXN_COPY, 0);
    worker_blame(&r->w, &result);
    expect_parked(r, 1, 1);
    expect_stand(r, 0, -1);
    expect_stand(r, 2, -1);
    assert_int_equal(r->w.unfit_records, 1);
    assert_int_equal(r->w.outbox[0]->record_count, RECORDS - 4 - 3);
    worker_settle_commit(&r->w, 0);
    assert_int_equal(r->w.unfit_records, 0); /* the table stores others */
    rig_free(r);
}

/* Nothing of the table is stored in between: it is the table. */
static void test_a_table_that_refuses_all_where_only_copy_can_tell(void **state)
{
    struct rig *r = with_batch();
    struct txn_result result = unfit(TXN_COPY, 0);

    (void) state;
    r->w.unfit_table = &tables[0];
    r->w.unfit_records = 3;
    worker_blame(&r->w, &result);
    expect_parked(r, 0, 0);
    expect_parked(r, 1, 0);
    expect_stand(r, 2, -1);
    assert_int_equal(r->w.outbox[0]->record_count, RECORDS / RIG_SLOTS);
    rig_free(r);
}

/* Somebody may have granted it since. */
static void test_temporary_tables_are_tried_again_after_a_while(void **state)
{
    struct rig *r = with_batch();

    (void) state;
    r->w.wc.policies->letters = &others;
    assert_true(worker_blame_may_try_each(&r->w));
    r->w.each_denied_until = clock_mono() + USEC_PER_SEC;
    assert_false(worker_blame_may_try_each(&r->w));
    r->w.each_denied_until = clock_mono();
    assert_true(worker_blame_may_try_each(&r->w));
    r->w.wc.policies->letters = NULL;
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_is_locked),
        cmocka_unit_test(test_the_table_is_locked),
        cmocka_unit_test(test_more_rows_are_locked_than_are_looked_for),
        cmocka_unit_test(test_the_last_partition_of_the_batch_stands),
        cmocka_unit_test(test_one_odd_record_where_only_copy_can_tell),
        cmocka_unit_test(test_a_table_that_refuses_all_where_only_copy_can_tell),
        cmocka_unit_test(test_temporary_tables_are_tried_again_after_a_while),
        cmocka_unit_test(test_a_limit_is_blamed_only_after_it_was_met_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
