/*
 * worker_schema.c: records that wait for the schema they were written with. A worker made by hand;
 * the test is main and the clock, and says which schema the decoder lacks. One thread.
 */
#include "row/record/written.h"

#include "sink/rig.h"

static usec_t now;
static const struct schema_ref *lacked;
static unsigned learned;

usec_t __wrap_clock_mono(void);
const struct schema_ref *__wrap_decoder_lacks(const struct decoder *d);
void __wrap_decoder_learn(struct decoder *d, const struct schema_ref *ref,
                          const struct schema *schema, const struct error *fault);

usec_t __wrap_clock_mono(void)
{
    return now;
}

const struct schema_ref *__wrap_decoder_lacks(const struct decoder *d)
{
    (void) d;
    return lacked;
}

void __wrap_decoder_learn(struct decoder *d, const struct schema_ref *ref,
                          const struct schema *schema, const struct error *fault)
{
    (void) d;
    (void) ref;
    (void) schema;
    (void) fault;
    learned++;
}

static const struct schema_ref seven = {.kind = SCHEMA_REF_ID, .id = 7};
static const struct schema_ref eight = {.kind = SCHEMA_REF_ID, .id = 8};

static struct rig *rig_begin(void)
{
    now = 1000 * USEC_PER_SEC;
    learned = 0;
    return rig_new(DELIVERY_EXACTLY_ONCE, COMMIT_SYNC);
}

static void rig_end(struct rig *r)
{
    worker_schema_done(&r->w);
    worker_slot_report_faults(&r->w);
    rig_free(r);
}

/* The record that the slot expects was taken, and names a schema that is not known. */
static void lack(struct rig *r, int slot, const struct schema_ref *ref)
{
    const struct feed_item item = {.kind = FEED_MESSAGE, .offset = r->slots[slot].expect};

    lacked = ref;
    worker_schema_lack(&r->w, &r->slots[slot], &item);
}

/* Main answers: with a schema of which only the address counts, or with a fault, or that it has
 * forgotten it. */
enum answer { SCHEMA, FAULT, FORGOTTEN };

static void answer(struct rig *r, const struct schema_ref *ref, enum answer what)
{
    static struct error fault;
    static const int any;
    const struct order o = {
        .ref = *ref,
        .schema = what == SCHEMA ? (const struct schema *) &any : NULL,
        .fault = what == FAULT ? &fault : NULL,
    };

    worker_schema_take(&r->w, &o);
}

/* It was in hand, and nothing is any more. */
static void expect_taken(struct rig *r, int64_t offset)
{
    struct feed_item item;

    assert_false(worker_schema_waits(&r->w));
    assert_true(worker_schema_take_hand(&r->w, &item));
    assert_int_equal(item.kind, FEED_MESSAGE);
    assert_int_equal(item.offset, offset);
    assert_true(r->w.more);
    assert_false(worker_schema_take_hand(&r->w, &item));
    assert_int_equal(item.kind, FEED_NONE);
}

static void expect_parked(const struct rig *r, int slot, const struct schema_ref *ref)
{
    const struct slot *s = &r->slots[slot];

    assert_int_equal(s->state, SLOT_STOPPED);
    assert_int_equal(s->standing->state, STANDING_PARKED);
    assert_int_equal(s->standing->offset, s->expect);
    assert_true(s->standing->lacks_schema);
    assert_true(schema_ref_same(&s->lacked, ref));
    assert_non_null(strstr(s->standing->why.text, ref->id == 7 ? "schema 7" : "schema 8"));
}

/* ---- in hand ---- */

static void test_it_is_asked_for_once_and_the_record_goes_on(void **state)
{
    (void) state;
    struct rig *r = rig_begin();
    r->slots[0].expect = 5;
    assert_false(worker_schema_waits(&r->w));
    assert_int_equal(worker_schema_deadline(&r->w), USEC_NEVER);
    lack(r, 0, &seven);
    assert_true(worker_schema_waits(&r->w));
    assert_int_equal(worker_schema_deadline(&r->w), now + USEC_PER_SEC);
    struct report *report = (struct report *) mailbox_take(&r->reports);
    assert_int_equal(report->kind, REPORT_SCHEMA);
    assert_true(schema_ref_same(&report->ref, &seven));
    assert_null(report->mail.next);
    free(report);
    rig_end(r);
}

static void test_an_answer_lets_it_go_on(void **state)
{
    (void) state;
    for (enum answer what = SCHEMA; what <= FAULT; what++) {
        struct rig *r = rig_begin();
        r->slots[0].expect = 5;
        lack(r, 0, &seven);
        answer(r, &eight, what); /* of something else */
        assert_true(worker_schema_waits(&r->w));
        answer(r, &seven, FORGOTTEN);
        assert_true(worker_schema_waits(&r->w));
        answer(r, &seven, what);
        assert_int_equal(learned, 3);
        expect_taken(r, 5);
        now += 2 * USEC_PER_SEC;
        worker_schema_turn(&r->w);
        assert_null(r->slots[0].standing);
        assert_int_equal(rig_take_reports(r, REPORT_SCHEMA), 1);
        lack(r, 0, &seven); /* forgotten meanwhile: another question */
        assert_int_equal(rig_take_reports(r, REPORT_SCHEMA), 1);
        rig_end(r);
    }
}

static void test_a_slot_that_begins_again_has_none_in_hand(void **state)
{
    (void) state;
    struct rig *r = rig_begin();
    struct feed_item item;
    lack(r, 0, &seven);
    r->slots[0].seq++;
    answer(r, &seven, SCHEMA);
    assert_false(worker_schema_take_hand(&r->w, &item)); /* of an older fetch */
    assert_false(worker_schema_waits(&r->w));
    lack(r, 0, &seven);
    r->slots[0].seq++;
    now += USEC_PER_SEC;
    worker_schema_turn(&r->w);
    assert_null(r->slots[0].standing);
    assert_false(worker_schema_waits(&r->w));
    rig_end(r);
}

static void test_a_slot_that_goes_has_none_in_hand(void **state)
{
    (void) state;
    struct rig *r = rig_begin();
    lack(r, 0, &seven);
    worker_schema_forget(&r->w, &r->slots[1]);
    assert_true(worker_schema_waits(&r->w));
    r->w.more = false;
    worker_schema_forget(&r->w, &r->slots[0]);
    assert_false(worker_schema_waits(&r->w));
    assert_true(r->w.more);
    rig_end(r);
}

static void test_one_on_its_way_out_is_not_parked(void **state)
{
    (void) state;
    struct rig *r = rig_begin();
    lack(r, 0, &seven);
    r->slots[0].state = SLOT_RELEASING;
    now += USEC_PER_SEC;
    worker_schema_turn(&r->w);
    assert_null(r->slots[0].standing);
    assert_false(worker_schema_waits(&r->w));
    rig_end(r);
}

/* ---- parked ---- */

static void test_after_a_second_its_partition_is_parked(void **state)
{
    (void) state;
    struct rig *r = rig_begin();
    r->slots[1].expect = 9;
    lack(r, 1, &seven);
    now += USEC_PER_SEC - 1;
    worker_schema_turn(&r->w);
    assert_true(worker_schema_waits(&r->w));
    now += 1;
    worker_schema_turn(&r->w);
    assert_false(worker_schema_waits(&r->w));
    assert_true(r->w.more);
    expect_parked(r, 1, &seven);
    assert_int_equal(r->slots[1].expect, 9); /* it is read again */
    rig_end(r);
}

/* The others of a worker are held up once, and not once for each schema. */
static void test_while_one_waits_in_vain_no_other_is_kept_in_hand(void **state)
{
    (void) state;
    struct rig *r = rig_begin();
    lack(r, 0, &seven);
    now += USEC_PER_SEC;
    worker_schema_turn(&r->w);
    lack(r, 1, &seven); /* asked for already, in vain */
    assert_false(worker_schema_waits(&r->w));
    expect_parked(r, 1, &seven);
    assert_int_equal(rig_take_reports(r, REPORT_SCHEMA), 1);
    lack(r, 2, &eight);
    assert_false(worker_schema_waits(&r->w));
    expect_parked(r, 2, &eight);
    assert_int_equal(rig_take_reports(r, REPORT_SCHEMA), 1);
    rig_end(r);
}

static void test_an_answer_wakes_who_waits_for_it(void **state)
{
    (void) state;
    struct rig *r = rig_begin();
    lack(r, 0, &seven);
    now += USEC_PER_SEC;
    worker_schema_turn(&r->w);
    lack(r, 1, &seven);
    lack(r, 2, &eight);
    usec_t later = r->slots[2].standing->retry_at;
    assert_true(later > now);
    answer(r, &seven, FORGOTTEN);
    assert_true(r->slots[0].standing->retry_at > now);
    now += USEC_PER_SEC;
    answer(r, &seven, SCHEMA);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(r->slots[i].standing->retry_at, now);
        assert_int_equal(r->slots[i].lacked.kind, SCHEMA_REF_NONE);
    }
    assert_int_equal(r->slots[2].standing->retry_at, later);
    answer(r, &eight, FAULT);
    assert_int_equal(r->slots[2].standing->retry_at, now);
    /* Nothing waits in vain any more: the next record is kept in hand again. */
    r->slots[0].state = SLOT_READING;
    lack(r, 0, &eight);
    assert_true(worker_schema_waits(&r->w));
    rig_end(r);
}

/* A schema that cannot be used is tried again now and then, and waits for no answer. */
static void test_what_cannot_be_used_is_tried_again(void **state)
{
    (void) state;
    struct rig *r = rig_begin();
    struct slot *s = &r->slots[0];
    struct error err;
    error_set(&err, ERROR_SETUP, "schema 7 has no fields");
    worker_schema_park(&r->w, s, 0, &err);
    usec_t first = s->standing->retry_at;
    assert_true(first > now);
    assert_false(s->standing->lacks_schema);
    answer(r, &seven, SCHEMA);
    assert_int_equal(s->standing->retry_at, first);
    worker_schema_park(&r->w, s, 0, &err);
    assert_true(s->standing->retry_at - now > first - now);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_asked_for_once_and_the_record_goes_on),
        cmocka_unit_test(test_an_answer_lets_it_go_on),
        cmocka_unit_test(test_a_slot_that_begins_again_has_none_in_hand),
        cmocka_unit_test(test_a_slot_that_goes_has_none_in_hand),
        cmocka_unit_test(test_one_on_its_way_out_is_not_parked),
        cmocka_unit_test(test_after_a_second_its_partition_is_parked),
        cmocka_unit_test(test_while_one_waits_in_vain_no_other_is_kept_in_hand),
        cmocka_unit_test(test_an_answer_wakes_who_waits_for_it),
        cmocka_unit_test(test_what_cannot_be_used_is_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
