/*
 * worker_letters.c: how many dead letters a route may have. A worker made by hand, without a thread
 * or a server, whose one route gives up 30 % of its records, with a window of eight. One thread.
 */
#include "row/batch/dead_letter.h"
#include "row/kit.h"
#include "row/record/record.h"

#include "sink/rig.h"

enum { SHARE = 3000, WINDOW = 8, RECORDS = 120 };

static struct target rows = {.id = 0, .route = "r"};
static struct target letters = {.id = 1};
static char route[] = "r";
static struct policy *list[1];
static struct route_stats stats; /* which no test looks at */
static uint64_t seed;

static uint32_t chance(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (seed >> 33) % n;
}

static struct rig *with_limit(struct policy *p)
{
    struct rig *r = rig_new(DELIVERY_EXACTLY_ONCE, COMMIT_SYNC);

    *p = (struct policy){
        .route = route, .limit = {.share = SHARE}, .dead_letter = true, .stats = &stats};
    quota_init_share(&p->quota, SHARE, WINDOW);
    list[0] = p;
    r->policies.list = list;
    r->policies.count = 1;
    r->policies.letters = &letters;
    return r;
}

static void add_letter(struct batch *b)
{
    struct message m = kit_message("k", "v");
    struct error err;
    uint32_t part = batch_part(b, &letters, ROW_INSERT, 0);

    error_set(&err, ERROR_RECORD, "it is bad");
    const struct dead_letter letter = {.sink = "s", .route = "r", .message = &m, .error = &err};
    dead_letter_write(&letter, batch_row_begin(b, part));
    batch_row_end(b, part);
}

static void add_record(struct rig *r, int slot, bool bad)
{
    struct batch *b = r->w.open;

    rig_record_begin(r, slot);
    if (bad) {
        add_letter(b);
    } else {
        uint32_t part = batch_part(b, &rows, ROW_INSERT, 0);
        buf_add_u32(batch_row_begin(b, part), 7);
        batch_row_end(b, part);
    }
    batch_take(b, 0, bad);
    rig_record_end(r, slot);
}

/* Before it stops, its tables are looked up again: nothing has changed. */
static void expect_look(struct rig *r, int slot)
{
    struct worker *w = &r->w;

    worker_plan_doubt_faults(w);
    worker_slot_report_faults(w);
    struct mail *m = mailbox_take(&r->reports);
    const struct report *report = (const struct report *) m;
    assert_non_null(m);
    assert_null(m->next);
    assert_int_equal(report->kind, REPORT_STALE);
    assert_ptr_equal(report->partition, &r->handles[slot]);
    worker_plan_take(w, &(const struct order){.kind = ORDER_PLAN, .seq = report->seq});
    free(m);
    worker_plan_apply(w);
}

/* Takes the only report, which is of the slot; its text begins like that. */
static void expect_stop(struct rig *r, int slot, int64_t offset, const char *text)
{
    expect_look(r, slot);
    struct report *report = rig_only_report(r, REPORT_STOPPED, slot, offset);

    kit_assert_text(report->error.text, text);
    assert_true(*report->error.hint != '\0');
    free(report);
}

static void test_the_batch_is_cut_before_the_one_that_is_too_much(void **state)
{
    struct policy p;
    struct rig *r = with_limit(&p);
    struct worker *w = &r->w;

    (void) state;
    add_record(r, 1, false);
    for (int i = 0; i < WINDOW + 3; i++) {
        add_record(r, 0, true);
        add_record(r, 1, false);
    }
    worker_outbox_seal(w);
    add_record(r, 0, false);
    /* Each pair takes 0.7 and adds 0.3, of the 5.6 that there are at first. */
    while (!worker_letters_fit(w)) {
    }
    assert_int_equal(w->outbox_count, 1);
    worker_settle_commit(w, 0);
    assert_int_equal(w->fault_count, 0);
    rig_free(r);

    r = with_limit(&p);
    w = &r->w;
    for (int i = 0; i < WINDOW + 3; i++) {
        add_record(r, 0, true);
    }
    add_record(r, 1, false);
    worker_outbox_seal(w);
    add_record(r, 0, false);
    assert_false(worker_letters_fit(w)); /* cut */
    assert_int_equal(w->outbox_count, 2);
    assert_int_equal(w->outbox[0]->record_count, WINDOW);
    assert_true(worker_letters_fit(w));
    worker_settle_commit(w, 0);
    assert_int_equal(r->slots[0].state, SLOT_READING);
    assert_false(worker_letters_fit(w)); /* its turn */
    assert_int_equal(r->slots[0].state, SLOT_STOPPED);
    assert_int_equal(r->slots[0].expect, WINDOW);
    assert_true(batch_is_empty(w->open));
    expect_stop(r, 0, WINDOW,
                "t-0@8: route 'r' has had more dead letters than 30% of its records, the next "
                "would be: it is bad");
    assert_true(worker_letters_fit(w)); /* the other one goes on */
    assert_int_equal(w->outbox[0]->record_count, 1);
    worker_settle_commit(w, 0);
    assert_int_equal(r->slots[1].stored, 1);
    rig_free(r);
}

static void test_a_partition_on_its_way_out_does_not_stop(void **state)
{
    struct policy p;
    struct rig *r = with_limit(&p);

    (void) state;
    for (int i = 0; i <= WINDOW; i++) {
        add_record(r, 0, true);
    }
    worker_outbox_seal(&r->w);
    r->slots[0].state = SLOT_RELEASING;
    assert_false(worker_letters_fit(&r->w));
    assert_true(worker_letters_fit(&r->w));
    worker_settle_commit(&r->w, 0);
    assert_false(worker_letters_fit(&r->w));
    assert_int_equal(r->slots[0].state, SLOT_RELEASING);
    assert_int_equal(r->w.outbox_count, 0);
    assert_int_equal(r->w.fault_count, 0);
    rig_free(r);
}

/* Slot 0 has more dead letters than there may be. Those before are not stored, so the route still
 * has what it had. */
static struct rig *over_limit(struct policy *p)
{
    static struct record_route routes[] = {{.number = 0}};
    struct rig *r = with_limit(p);

    for (int i = 0; i <= WINDOW; i++) {
        add_record(r, 0, true);
    }
    worker_outbox_seal(&r->w);
    assert_false(worker_letters_fit(&r->w)); /* cut */
    assert_true(worker_letters_fit(&r->w));
    worker_outbox_remove(&r->w, 0);
    p->exceeded = true;
    assert_false(worker_letters_fit(&r->w));
    assert_int_equal(r->slots[0].standing->state, STANDING_OVER_LIMIT);
    r->plan = (struct topic_plan){.routes = routes, .route_count = 1};
    return r;
}

/* As many dead letters of the other partition fit as the window has, and no more. */
static void expect_the_window(struct rig *r)
{
    for (int i = 0; i <= WINDOW; i++) {
        add_record(r, 1, true);
    }
    worker_outbox_seal(&r->w);
    assert_false(worker_letters_fit(&r->w));
    assert_int_equal(r->w.outbox_count, 2);
    assert_int_equal(r->w.outbox[0]->record_count, WINDOW);
    assert_int_equal(r->slots[1].state, SLOT_READING);
}

static void test_it_is_gone_before_anybody_knows(void **state)
{
    struct policy p;
    struct rig *r = over_limit(&p);

    (void) state;
    worker_settle_lost(&r->w, &r->slots[0]);
    expect_the_window(r);
    rig_free(r);
}

/* What it has used is used: a table that changes again and again does not make more of it. */
static void test_it_is_read_again_before_anybody_knows(void **state)
{
    struct policy p;
    struct rig *r = over_limit(&p);

    (void) state;
    add_record(r, 1, true);
    worker_outbox_seal(&r->w);
    p.exceeded = false;
    assert_true(worker_letters_fit(&r->w));
    worker_settle_commit(&r->w, 0);
    p.exceeded = true;
    struct error why = {0};
    worker_slot_read_again(&r->w, &r->slots[0], &why);
    assert_false(p.exceeded);
    for (int i = 0; i < WINDOW; i++) {
        add_record(r, 1, true);
    }
    worker_outbox_seal(&r->w);
    assert_false(worker_letters_fit(&r->w));
    assert_int_equal(r->w.outbox[0]->record_count, WINDOW - 1);
    rig_free(r);
}

/* They are dead letters by what the table was before. */
static void test_its_table_cannot_be_used(void **state)
{
    static const struct error why = {.text = "table 't' does not exist"};
    struct policy p;
    struct rig *r = over_limit(&p);

    (void) state;
    r->plan.why = &why;
    expect_look(r, 0);
    struct report *report = rig_only_report(r, REPORT_STOPPED, 0, WINDOW);
    assert_int_equal(report->standing, STANDING_PARKED);
    assert_true(report->by_itself);
    kit_assert_text(report->error.text, "t-0@8: table 't' does not exist");
    free(report);
    expect_the_window(r);
    rig_free(r);
}

static void test_what_main_knows_ends_by_resume(void **state)
{
    struct policy p;
    struct rig *r = over_limit(&p);

    (void) state;
    expect_look(r, 0);
    worker_slot_hold(&r->w, &r->slots[0]);
    assert_true(p.exceeded && r->slots[0].standing != NULL);
    worker_slot_moves(&r->w, &r->slots[0]);
    expect_the_window(r);
    rig_free(r);
}

/* ---- against a plain count, one record after the other ---- */

struct line {
    int slot;
    bool bad;
};

/* Where each slot stops; RECORDS: it does not. */
static void count_plainly(const struct line *lines, size_t n, int64_t *stops)
{
    const int64_t full = (int64_t) WINDOW * (QUOTA_SHARE_PARTS - SHARE);
    int64_t credit = full;
    int64_t at[RIG_SLOTS] = {0};
    bool over = false;

    for (int i = 0; i < RIG_SLOTS; i++) {
        stops[i] = RECORDS;
    }
    for (size_t i = 0; i < n; i++) {
        int slot = lines[i].slot;
        int64_t offset = at[slot]++;
        if (stops[slot] < RECORDS) {
            continue;
        }
        if (!lines[i].bad) {
            credit = MIN(full, credit + SHARE);
        } else if (over || credit < QUOTA_SHARE_PARTS - SHARE) {
            over = true;
            stops[slot] = offset;
        } else {
            credit -= QUOTA_SHARE_PARTS - SHARE;
        }
    }
}

/* The connection breaks at COMMIT, and the next claim says whether it was stored. */
static void lose_the_answer(struct rig *r, bool is_stored)
{
    int64_t ledger[RIG_SLOTS];

    for (int i = 0; i < RIG_SLOTS; i++) {
        const struct span *span = batch_find(r->w.outbox[0], &r->slots[i]);
        ledger[i] = is_stored && span != NULL ? span->next : r->slots[i].stored;
    }
    for (int i = 0; i < RIG_SLOTS; i++) {
        struct slot *s = &r->slots[i];
        struct ledger_entry e = {
            .next_offset = ledger[i],
            .owner_epoch = s->owner_epoch + 1,
            .mine = true,
        };
        worker_settle_reclaim(&r->w, s, &e);
    }
}

/* What a server and a connection may do with the batch that is sent. */
static void play(struct rig *r)
{
    struct worker *w = &r->w;

    if (chance(4) == 0) { /* rolled back, and sent again */
        policies_give_back(&r->policies, w->outbox[0]);
        if (chance(2) == 0 && w->outbox[0]->record_count > 1) {
            worker_outbox_cut(w, 1 + chance((uint32_t) w->outbox[0]->record_count - 1));
        }
    } else if (chance(4) == 0) {
        lose_the_answer(r, chance(2) == 0);
    } else {
        worker_settle_commit(w, 0);
    }
}

static void drain(struct rig *r)
{
    while (r->w.outbox_count > 0) {
        if (worker_letters_fit(&r->w)) {
            play(r);
        }
    }
}

static void test_random_records(void **state)
{
    (void) state;
    for (uint64_t round = 1; round <= 3000; round++) {
        struct policy p;
        struct rig *r = with_limit(&p);
        struct line lines[RECORDS];
        int64_t stops[RIG_SLOTS];
        seed = round;
        uint32_t rate = 1 + chance(6);
        uint32_t size = 1 + chance(40);
        for (size_t i = 0; i < RECORDS; i++) {
            lines[i] = (struct line){.slot = (int) chance(RIG_SLOTS), .bad = chance(rate) == 0};
        }
        for (size_t i = 0; i < RECORDS; i++) {
            if (r->slots[lines[i].slot].state == SLOT_READING) {
                add_record(r, lines[i].slot, lines[i].bad);
            }
            if (chance(size) == 0 && !batch_is_empty(r->w.open)) {
                worker_outbox_seal(&r->w);
                if (chance(2) == 0) {
                    drain(r);
                }
            }
        }
        if (!batch_is_empty(r->w.open)) {
            worker_outbox_seal(&r->w);
        }
        drain(r);
        count_plainly(lines, RECORDS, stops);
        for (int i = 0; i < RIG_SLOTS; i++) {
            bool stopped = r->slots[i].state == SLOT_STOPPED;
            assert_int_equal(stopped, stops[i] < RECORDS);
            assert_true(!stopped || r->slots[i].stored == stops[i]);
        }
        rig_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_batch_is_cut_before_the_one_that_is_too_much),
        cmocka_unit_test(test_a_partition_on_its_way_out_does_not_stop),
        cmocka_unit_test(test_it_is_gone_before_anybody_knows),
        cmocka_unit_test(test_it_is_read_again_before_anybody_knows),
        cmocka_unit_test(test_its_table_cannot_be_used),
        cmocka_unit_test(test_what_main_knows_ends_by_resume),
        cmocka_unit_test(test_random_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
