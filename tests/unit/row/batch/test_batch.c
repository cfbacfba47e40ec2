/*
 * batch.c: filling, taking back, cutting, dropping. The random tests compare a batch with a plain
 * list of what went into it: every record makes rows whose bytes name it, so that each row found
 * tells where it came from.
 */
#include "row/batch/batch.h"

#include "row/kit.h"

enum { TARGETS = 3, TAGS = 5, RECORDS_MAX = 60 };

static struct target targets[TARGETS];
static int tags[TAGS];
static const char *const topics[TAGS] = {"b", "a", "b", "c", "a"};

/* One row as a test sees it. */
struct seen {
    int tag;
    int64_t offset;
    uint32_t part_key; /* target * 8 + omit */
    uint32_t n;        /* of the record's rows */
};

struct list {
    struct seen rows[RECORDS_MAX * 4];
    size_t n;
};

static uint64_t seed;

static uint32_t chance(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (seed >> 33) % n;
}

static uint32_t open_span(struct batch *b, int tag)
{
    return batch_span(b, &tags[tag], topics[tag], tag, 100 + tag, 10 * tag);
}

/* Appends one row that says what it is, with some filling. */
static void add_row(struct batch *b, const struct seen *row)
{
    uint32_t part = batch_part(b, &targets[row->part_key / 8], ROW_INSERT, row->part_key % 8);
    struct buf *out = batch_row_begin(b, part);

    buf_add(out, row, sizeof *row);
    buf_fill(out, 0xEE, (size_t) row->offset % 7);
    batch_row_end(b, part);
}

/* So many routes take the record of that offset; of some it is a letter. */
static void take(struct batch *b, int64_t offset)
{
    for (uint32_t route = 0; route < (uint32_t) offset % 3; route++) {
        batch_take(b, route, (offset / 3 + route) % 2 == 0);
    }
}

static void add_record(struct batch *b, int tag, int64_t offset, uint32_t rows, struct list *list)
{
    batch_record_begin(b, open_span(b, tag), offset, 1000 + offset, (int32_t) offset % 3);
    for (uint32_t i = 0; i < rows; i++) {
        struct seen row = {tag, offset, chance(TARGETS) * 8 + chance(2), i};
        add_row(b, &row);
        list->rows[list->n++] = row;
    }
    take(b, offset);
    batch_record_end(b);
}

static bool same_row(const struct seen *a, const struct seen *b)
{
    return a->tag == b->tag && a->offset == b->offset && a->part_key == b->part_key && a->n == b->n;
}

/* The batch is consistent and holds list[from .. to) in order, without the rows of `dropped`. */
static void check_rows(const struct batch *b, const struct list *list, size_t from, size_t to,
                       int dropped)
{
    size_t bytes = 0;
    size_t count = 0;

    for (size_t p = 0; p < b->part_count; p++) {
        const struct batch_part *part = &b->parts[p];
        size_t want = from;
        bytes += part->bytes.n;
        for (size_t i = 0; i < part->row_count; i++) {
            struct seen row;
            size_t begin = part->rows[i].begin;
            size_t end = i + 1 < part->row_count ? part->rows[i + 1].begin : part->bytes.n;
            memcpy(&row, part->bytes.p + begin, sizeof row);
            assert_int_equal(end - begin, sizeof row + (size_t) row.offset % 7);
            assert_ptr_equal(part->target, &targets[row.part_key / 8]);
            assert_int_equal(part->omit, row.part_key % 8);
            const struct batch_record *r = &b->records[part->rows[i].record];
            assert_int_equal(r->offset, row.offset);
            assert_int_equal(r->timestamp_ms, 1000 + row.offset);
            assert_ptr_equal(b->spans[r->span].tag, &tags[row.tag]);
            while (want < to && !same_row(&list->rows[want], &row)) {
                want++;
            }
            assert_true(want < to);
            count++;
        }
    }
    size_t expected = 0;
    for (size_t i = from; i < to; i++) {
        expected += list->rows[i].tag != dropped ? 1 : 0;
    }
    assert_int_equal(count, expected);
    assert_int_equal(batch_row_count(b), expected);
    assert_int_equal(b->bytes, bytes);
}

/* Invariant I4, and that a span names its last record. */
static void check_spans(const struct batch *b)
{
    for (size_t i = 0; i < b->span_count; i++) {
        const struct span *s = &b->spans[i];
        int64_t last = -1;
        int64_t time = -1;
        for (size_t k = 0; k < b->record_count; k++) {
            const struct batch_record *r = &b->records[k];
            if (r->span == i) {
                assert_true(r->offset > last);
                assert_true(r->offset >= s->from && r->offset < s->next);
                last = r->offset;
                time = r->timestamp_ms;
            }
        }
        assert_true(s->from <= s->next);
        assert_int_equal(s->last_timestamp_ms, time);
        assert_int_equal(s->partition, s->tag != NULL ? (int *) s->tag - tags : -1);
        assert_int_equal(s->owner_epoch, 100 + s->partition);
        assert_string_equal(s->topic, topics[s->partition]);
    }
}

/* What the records that are there were taken for, and no others. */
static void check_taken(const struct batch *b)
{
    size_t at = 0;

    for (size_t i = 0; i < b->record_count; i++) {
        int64_t offset = b->records[i].offset;
        for (uint32_t route = 0; route < (uint32_t) offset % 3; route++, at++) {
            assert_true(at < b->taken_count);
            assert_int_equal(b->taken[at].record, i);
            assert_int_equal(b->taken[at].route, route);
            assert_int_equal(b->taken[at].letter, (offset / 3 + route) % 2 == 0);
        }
    }
    assert_int_equal(b->taken_count, at);
}

static struct batch *random_batch(struct list *list, int64_t *next, size_t *first_row)
{
    struct batch *b = batch_new();
    uint32_t records = chance(RECORDS_MAX);

    list->n = 0;
    for (int i = 0; i < TAGS; i++) {
        next[i] = 10 * i;
    }
    for (uint32_t i = 0; i < records; i++) {
        int tag = (int) chance(TAGS);
        next[tag] += chance(3);
        first_row[i] = list->n;
        add_record(b, tag, next[tag]++, chance(4), list);
        if (chance(5) == 0) {
            tag = (int) chance(TAGS);
            next[tag] += chance(4);
            batch_span_skip(b, open_span(b, tag), next[tag]);
        }
    }
    first_row[records] = list->n;
    return b;
}

static void test_empty(void **state)
{
    (void) state;
    struct batch *b = batch_new();
    assert_true(batch_is_empty(b));
    assert_int_equal(batch_row_count(b), 0);
    assert_null(batch_find(b, &tags[0]));
    assert_false(batch_drop(b, &tags[0]));
    batch_clear(b);
    assert_null(batch_free(b));
    assert_null(batch_free(NULL));
}

static void test_a_record_moves_its_span(void **state)
{
    (void) state;
    struct list list = {0};
    struct batch *b = batch_new();
    uint32_t span = open_span(b, 2);
    assert_true(batch_is_empty(b)); /* it has not moved */
    add_record(b, 2, 25, 2, &list);
    const struct span *s = batch_find(b, &tags[2]);
    assert_ptr_equal(s, &b->spans[span]);
    assert_int_equal(s->from, 20);
    assert_int_equal(s->next, 26);
    assert_int_equal(s->last_timestamp_ms, 1025);
    assert_int_equal(s->leader_epoch, 1);
    assert_int_equal(s->end_offset, -1);
    assert_false(batch_is_empty(b));
    assert_int_equal(open_span(b, 2), span);
    assert_int_equal(open_span(b, 1), span + 1);
    assert_int_equal(open_span(b, 2), span);
    check_rows(b, &list, 0, list.n, -1);
    batch_free(b);
}

static void test_the_fingerprint_of_a_span(void **state)
{
    (void) state;
    struct list list = {0};
    struct batch *b = batch_new();
    uint32_t span = open_span(b, 2);
    assert_int_equal(b->spans[span].fp.offset, FINGERPRINT_NONE);
    add_record(b, 2, 25, 1, &list);
    batch_span_mark(b, span, (struct fingerprint){.offset = 25, .crc = 7});
    assert_int_equal(b->spans[span].fp.crc, 7);
    assert_int_equal(batch_memory(b), b->bytes);
    batch_free(b);
}

static void test_skipping_only_goes_forward(void **state)
{
    (void) state;
    struct batch *b = batch_new();
    uint32_t span = open_span(b, 1);
    batch_span_skip(b, span, 15);
    batch_span_skip(b, span, 12);
    assert_int_equal(b->spans[span].next, 15);
    assert_int_equal(b->spans[span].last_timestamp_ms, -1);
    assert_false(batch_is_empty(b));
    batch_free(b);
}

static void test_abort_takes_back_one_record(void **state)
{
    (void) state;
    struct list list = {0};
    struct batch *b = batch_new();
    add_record(b, 0, 5, 3, &list);
    uint32_t span = open_span(b, 0);
    batch_record_begin(b, span, 6, 1, 1);
    for (uint32_t i = 0; i < 4; i++) {
        add_row(b, &(struct seen){0, 6, i % 2 * 8, i});
    }
    batch_take(b, 7, true);
    batch_take(b, 8, false);
    batch_record_abort(b);
    check_taken(b);
    assert_int_equal(b->spans[span].next, 6);
    assert_int_equal(b->record_count, 1);
    check_rows(b, &list, 0, list.n, -1);

    /* With a row half written. */
    batch_record_begin(b, span, 6, 1, 1);
    add_row(b, &(struct seen){0, 6, 8, 0});
    buf_add_z(batch_row_begin(b, batch_part(b, &targets[1], ROW_INSERT, 0)), "rubbish");
    batch_record_abort(b);
    check_rows(b, &list, 0, list.n, -1);
    add_record(b, 0, 6, 2, &list);
    check_rows(b, &list, 0, list.n, -1);
    check_spans(b);
    batch_free(b);
}

static void test_clear_keeps_memory_up_to_a_limit(void **state)
{
    (void) state;
    struct list list = {0};
    struct batch *b = batch_new();
    add_record(b, 0, 5, 3, &list);
    size_t cap = b->parts[0].bytes.cap;
    batch_clear(b);
    assert_true(batch_is_empty(b));
    assert_int_equal(b->bytes, 0);
    assert_int_equal(b->parts[0].bytes.cap, cap);

    batch_record_begin(b, open_span(b, 0), 1, 1, 1);
    uint32_t part = batch_part(b, &targets[0], ROW_INSERT, 0);
    buf_fill(batch_row_begin(b, part), 1, (size_t) 40 << 20);
    batch_row_end(b, part);
    for (int i = 0; i < 300000; i++) {
        (void) batch_row_begin(b, part);
        batch_row_end(b, part);
    }
    batch_record_end(b);
    for (int64_t i = 2; i < 300000; i++) {
        batch_record_begin(b, 0, i, 1, 1);
        batch_record_end(b);
    }
    batch_clear(b);
    assert_int_equal(b->parts[0].bytes.cap, 0);
    assert_int_equal(b->parts[0].row_cap, 0);
    assert_int_equal(b->record_cap, 0);
    list.n = 0;
    add_record(b, 0, 5, 3, &list);
    check_rows(b, &list, 0, list.n, -1);
    batch_free(b);
}

static void test_split_anywhere(void **state)
{
    (void) state;
    static struct list list;
    int64_t next[TAGS];
    size_t first_row[RECORDS_MAX + 1];
    for (seed = 1; seed < 3000 * 2; seed += 2) {
        uint64_t start = seed;
        struct batch *b = random_batch(&list, next, first_row);
        struct batch *head = batch_new();
        size_t spans = b->span_count;
        size_t count = chance((uint32_t) b->record_count + 1);
        batch_split(b, count, head);
        check_rows(head, &list, 0, first_row[count], -1);
        check_rows(b, &list, first_row[count], list.n, -1);
        check_spans(head);
        check_spans(b);
        check_taken(head);
        check_taken(b);
        for (size_t i = 0; i < head->span_count; i++) {
            const struct span *h = &head->spans[i];
            const struct span *s = batch_find(b, h->tag);
            assert_int_equal(h->from, 10 * h->partition);
            assert_int_equal(s != NULL ? s->from : next[h->partition], h->next);
            assert_int_equal(h->next, h->last_timestamp_ms - 1000 + 1);
            spans -= s != NULL ? 0 : 1;
        }
        for (size_t i = 0; i < b->span_count; i++) {
            const struct span *s = &b->spans[i];
            assert_int_equal(s->next, next[s->partition]);
            spans -= 1;
        }
        assert_int_equal(spans, 0);
        batch_free(head);
        batch_free(b);
        seed = start;
    }
}

static void test_split_at_the_end_leaves_what_was_skipped(void **state)
{
    (void) state;
    struct list list = {0};
    struct batch *b = batch_new();
    struct batch *head = batch_new();
    add_record(b, 0, 5, 1, &list);
    add_record(b, 1, 15, 1, &list);
    batch_find(b, &tags[0])->end_offset = 77;
    batch_span_skip(b, open_span(b, 1), 20);
    b->opened_usec = 99;
    batch_split(b, 2, head);
    assert_int_equal(head->opened_usec, 99);
    assert_int_equal(batch_find(head, &tags[0])->end_offset, 77);
    assert_null(batch_find(b, &tags[0]));
    const struct span *s = batch_find(b, &tags[1]);
    assert_int_equal(s->from, 16);
    assert_int_equal(s->next, 20);
    assert_int_equal(s->last_timestamp_ms, -1);
    assert_int_equal(s->leader_epoch, -1);
    assert_int_equal(batch_row_count(b), 0);
    batch_free(head);
    batch_free(b);
}

static void test_drop_one_partition(void **state)
{
    (void) state;
    static struct list list;
    int64_t next[TAGS];
    size_t first_row[RECORDS_MAX + 1];
    for (seed = 2; seed < 3000 * 2; seed += 2) {
        uint64_t start = seed;
        struct batch *b = random_batch(&list, next, first_row);
        int tag = (int) chance(TAGS);
        size_t spans = b->span_count;
        bool there = batch_find(b, &tags[tag]) != NULL;
        assert_int_equal(batch_drop(b, &tags[tag]), there);
        assert_null(batch_find(b, &tags[tag]));
        assert_int_equal(b->span_count, spans - (there ? 1 : 0));
        check_rows(b, &list, 0, list.n, tag);
        check_spans(b);
        check_taken(b);
        for (size_t i = 0; i < b->span_count; i++) {
            assert_int_equal(b->spans[i].next, next[b->spans[i].partition]);
        }
        batch_free(b);
        seed = start;
    }
}

/* Those that are left when the rows of a partition from an offset on are taken out. */
static struct list *list_before(const struct list *list, int tag, int64_t offset)
{
    static struct list left;

    left.n = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (list->rows[i].tag != tag || list->rows[i].offset < offset) {
            left.rows[left.n++] = list->rows[i];
        }
    }
    return &left;
}

/* Where the last record of a partition before record k ends, or its span begins. */
static int64_t end_before(const struct batch *b, int tag, size_t k)
{
    int64_t end = 10 * tag;

    for (size_t i = 0; i < k; i++) {
        if (b->spans[b->records[i].span].tag == &tags[tag]) {
            end = b->records[i].offset + 1;
        }
    }
    return end;
}

static void test_truncate_one_partition(void **state)
{
    (void) state;
    static struct list list;
    int64_t next[TAGS];
    size_t first_row[RECORDS_MAX + 1];
    for (seed = 2; seed < 3000 * 2; seed += 2) {
        uint64_t start = seed;
        struct batch *b = random_batch(&list, next, first_row);
        if (b->record_count > 0) {
            size_t k = chance((uint32_t) b->record_count);
            uint32_t span = b->records[k].span;
            int64_t offset = b->records[k].offset;
            int tag = (int) ((int *) b->spans[span].tag - tags);
            int64_t end = end_before(b, tag, k);
            batch_span_mark(b, span, (struct fingerprint){.offset = offset, .crc = 7});
            assert_int_equal(batch_truncate(b, &tags[tag], k), end);
            const struct list *left = list_before(&list, tag, offset);
            check_rows(b, left, 0, left->n, -1);
            check_spans(b);
            check_taken(b);
            const struct span *s = batch_find(b, &tags[tag]);
            assert_int_equal(s == NULL, end == 10 * tag);
            assert_int_equal(s != NULL ? s->next : end, end);
            assert_int_equal(s != NULL ? s->fp.offset : FINGERPRINT_NONE, FINGERPRINT_NONE);
        }
        batch_free(b);
        seed = start;
    }
}

static void test_the_rows_of_a_record_are_copied(void **state)
{
    (void) state;
    static struct list list;
    int64_t next[TAGS];
    size_t first_row[RECORDS_MAX + 1];
    for (seed = 2; seed < 300 * 2; seed += 2) {
        uint64_t start = seed;
        struct batch *b = random_batch(&list, next, first_row);
        struct batch *to = batch_new();
        for (size_t i = 0; i < b->record_count; i++) {
            const struct batch_record *r = &b->records[i];
            int tag = (int) ((int *) b->spans[r->span].tag - tags);
            batch_record_begin(to, open_span(to, tag), r->offset, r->timestamp_ms, r->leader_epoch);
            batch_copy_rows(b, i, to);
            batch_record_end(to);
        }
        check_rows(to, &list, 0, list.n, -1);
        check_spans(to);
        batch_free(to);
        batch_free(b);
        seed = start;
    }
}

static void test_what_is_compared(void **state)
{
    (void) state;
    struct batch *b = batch_new();
    struct batch *to = batch_new();
    struct list list = {0};
    batch_compare(b, &targets[0]);
    batch_compare(b, &targets[1]);
    batch_compare(b, &targets[0]);
    assert_int_equal(b->compared_count, 2);
    batch_compare(to, &targets[1]);
    batch_compare_as(to, b);
    assert_int_equal(to->compared_count, 2);
    batch_forget(to, &targets[1]);
    assert_int_equal(to->compared_count, 1);
    assert_ptr_equal(to->compared[0], &targets[0]);

    assert_int_equal(batch_part(b, &targets[1], ROW_INSERT, 0), 0); /* parts without rows */
    assert_int_equal(batch_part(b, &targets[0], ROW_INSERT, 1), 1);
    batch_forget(b, &targets[1]);
    assert_int_equal(b->part_count, 1);
    assert_ptr_equal(b->parts[0].target, &targets[0]);
    add_record(b, 1, 11, 3, &list);
    check_rows(b, &list, 0, list.n, -1);
    batch_free(to);
    batch_free(b);
}

static void test_spans_in_key_order(void **state)
{
    (void) state;
    struct batch *b = batch_new();
    uint32_t order[TAGS];
    batch_span_order(b, order);
    for (int i = 0; i < TAGS; i++) {
        open_span(b, i);
    }
    batch_span_order(b, order);
    static const uint32_t want[TAGS] = {1, 4, 0, 2, 3}; /* a1 a4 b0 b2 c3 */
    assert_memory_equal(order, want, sizeof want);
    batch_free(b);
}

static void offset_goes_back(void *arg)
{
    (void) arg;
    struct batch *b = batch_new();
    batch_record_begin(b, open_span(b, 1), 9, 0, 0);
}

static void test_an_offset_never_goes_back(void **state)
{
    (void) state;
    unit_expect_abort(offset_goes_back, NULL, "offset >=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_a_record_moves_its_span),
        cmocka_unit_test(test_the_fingerprint_of_a_span),
        cmocka_unit_test(test_skipping_only_goes_forward),
        cmocka_unit_test(test_abort_takes_back_one_record),
        cmocka_unit_test(test_clear_keeps_memory_up_to_a_limit),
        cmocka_unit_test(test_split_anywhere),
        cmocka_unit_test(test_split_at_the_end_leaves_what_was_skipped),
        cmocka_unit_test(test_drop_one_partition),
        cmocka_unit_test(test_truncate_one_partition),
        cmocka_unit_test(test_the_rows_of_a_record_are_copied),
        cmocka_unit_test(test_what_is_compared),
        cmocka_unit_test(test_spans_in_key_order),
        cmocka_unit_test(test_an_offset_never_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
