/* batch_keep.c: records are read back as they came, also after others have gone. */
#include "row/batch/batch.h"

#include "row/kit.h"

enum { TAGS = 2 };

static int tags[TAGS];

/* Record n of the batch: every second one has no key, every third one no value and two headers. */
static struct message message_of(int64_t n)
{
    static const struct message_header headers[] = {
        {.name = {.p = "trace", .n = 5}, .value = {.p = "a\0b", .n = 3}},
        {.name = {.p = "", .n = 0}},
    };
    static char key[32];
    struct message m = kit_message("key", "some value");

    m.topic = STR_LIT("t");
    m.partition = (int32_t) (n % TAGS);
    m.offset = n;
    snprintf(key, sizeof key, "key %d", (int) n);
    m.key = n % 2 == 0 ? str_of(key) : (struct str){0};
    if (n % 3 == 0) {
        m.value = (struct str){0};
        m.headers = headers;
        m.header_count = ARRAY_LEN(headers);
    } else if (n % 3 == 1) {
        m.value = STR_LIT("");
    }
    return m;
}

static void begin(struct batch *b, int64_t n)
{
    struct message m = message_of(n);
    uint32_t span = batch_span(b, &tags[m.partition], "t", m.partition, 1, 0);

    batch_record_begin(b, span, n, m.timestamp_ms, m.leader_epoch);
}

static void add(struct batch *b, int64_t n)
{
    struct message m = message_of(n);

    begin(b, n);
    batch_keep(b, &m);
    batch_record_end(b);
}

static void expect_str(struct str got, struct str want)
{
    assert_int_equal(got.p == NULL, want.p == NULL);
    assert_true(want.p == NULL || str_eq(got, want));
}

/* Record i of the batch is the one that came as number n. */
static void expect_kept(const struct batch *b, size_t i, int64_t n)
{
    struct message want = message_of(n);
    struct message got;
    struct message_header headers[2];

    assert_true(batch_has_kept(b, i));
    assert_int_equal(batch_kept_headers(b, i), want.header_count);
    batch_kept(b, i, &got, headers);
    expect_str(got.topic, want.topic);
    assert_int_equal(got.partition, want.partition);
    assert_int_equal(got.offset, n);
    assert_int_equal(got.timestamp_ms, want.timestamp_ms);
    assert_int_equal(got.leader_epoch, want.leader_epoch);
    expect_str(got.key, want.key);
    expect_str(got.value, want.value);
    for (size_t k = 0; k < want.header_count; k++) {
        expect_str(got.headers[k].name, want.headers[k].name);
        expect_str(got.headers[k].value, want.headers[k].value);
    }
}

static struct batch *batch_of(int64_t count)
{
    struct batch *b = batch_new();

    for (int64_t n = 0; n < count; n++) {
        add(b, n);
    }
    return b;
}

static void test_records_are_read_back(void **state)
{
    (void) state;
    struct batch *b = batch_of(12);
    for (int64_t n = 0; n < 12; n++) {
        expect_kept(b, (size_t) n, n);
    }
    assert_int_equal(batch_memory(b), b->raw.n); /* it has no rows */
    batch_free(b);
}

static void test_a_record_taken_back_is_not_kept(void **state)
{
    (void) state;
    struct batch *b = batch_of(2);
    size_t bytes = b->raw.n;
    struct message m = message_of(2);
    begin(b, 2);
    batch_keep(b, &m);
    batch_record_abort(b);
    assert_int_equal(b->raw.n, bytes);
    begin(b, 3); /* not kept */
    batch_record_end(b);
    add(b, 4);
    assert_false(batch_has_kept(b, 2));
    expect_kept(b, 1, 1);
    expect_kept(b, 3, 4);
    batch_free(b);
}

static void test_cut_anywhere(void **state)
{
    (void) state;
    for (size_t count = 0; count <= 7; count++) {
        struct batch *b = batch_of(7);
        struct batch *head = batch_new();
        batch_split(b, count, head);
        for (size_t i = 0; i < 7; i++) {
            expect_kept(i < count ? head : b, i < count ? i : i - count, (int64_t) i);
        }
        batch_free(head);
        batch_free(b);
    }
}

static void test_dropping_a_partition(void **state)
{
    (void) state;
    struct batch *b = batch_of(9);
    size_t bytes = b->raw.n;
    assert_true(batch_drop(b, &tags[1]));
    assert_int_equal(b->record_count, 5);
    for (size_t i = 0; i < 5; i++) {
        expect_kept(b, i, 2 * (int64_t) i);
    }
    assert_true(b->raw.n < bytes);
    batch_free(b);
}

static void test_kept_again_in_another_batch(void **state)
{
    (void) state;
    struct batch *from = batch_of(4);
    struct batch *b = batch_new();
    begin(from, 4); /* not kept */
    batch_record_end(from);
    for (size_t i = 0; i < 5; i += 2) {
        begin(b, (int64_t) i);
        batch_keep_again(b, from, i);
        batch_record_end(b);
    }
    expect_kept(b, 0, 0);
    expect_kept(b, 1, 2);
    assert_false(batch_has_kept(b, 2));
    batch_free(from);
    batch_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_are_read_back),
        cmocka_unit_test(test_a_record_taken_back_is_not_kept),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_dropping_a_partition),
        cmocka_unit_test(test_kept_again_in_another_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
