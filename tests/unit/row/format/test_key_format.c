/* key_format.c: the whole key, by every format. */
#include "row/format/key_format.h"

#include "row/kit.h"

struct bench {
    struct fields names;
    struct format_scratch scratch;
    struct cell cells[1];
    struct error err;
};

static void bench_init(struct bench *b)
{
    *b = (struct bench){0};
    fields_init(&b->names);
    fields_seal(&b->names);
}

static void bench_done(struct bench *b)
{
    fields_done(&b->names);
    format_scratch_done(&b->scratch);
}

static bool reads(struct bench *b, enum key_format_id id, struct str bytes)
{
    const struct format_input in = {.what = "key", .bytes = bytes, .names = &b->names};

    b->cells[0].kind = CELL_BYTES; /* it has to be set */
    return key_format_of(id)->read(&b->scratch, &in, b->cells, &b->err);
}

static void expect_number(struct bench *b, enum key_format_id id, struct str bytes, int64_t want)
{
    assert_true(reads(b, id, bytes));
    assert_int_equal(b->cells[0].kind, CELL_INT);
    assert_int_equal(b->cells[0].number, want);
    assert_int_equal(b->cells[0].unit, UNIT_NONE);
}

static void expect_fault(struct bench *b, enum key_format_id id, struct str bytes,
                         const char *words)
{
    assert_false(reads(b, id, bytes));
    assert_int_equal(b->err.class, ERROR_RECORD);
    kit_assert_text(b->err.text, words);
}

static void test_each_format_has_its_row(void **state)
{
    (void) state;
    for (int id = 0; id < KEY_FORMAT_COUNT; id++) {
        const struct key_format *f = key_format_of((enum key_format_id) id);
        assert_non_null(f->name);
        assert_int_equal(f->has_fields || f->has_value, f->read != NULL);
        for (int other = 0; other < id; other++) {
            assert_string_not_equal(f->name, key_format_of((enum key_format_id) other)->name);
        }
    }
}

static void test_numbers(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b);
    expect_number(&b, KEY_INT32, (struct str){"\0\0\1\2", 4}, 258);
    expect_number(&b, KEY_INT32, (struct str){"\x7f\xff\xff\xff", 4}, INT32_MAX);
    expect_number(&b, KEY_INT32, (struct str){"\x80\0\0\0", 4}, INT32_MIN);
    expect_number(&b, KEY_INT32, (struct str){"\xff\xff\xff\xfe", 4}, -2);
    expect_number(&b, KEY_INT64, (struct str){"\0\0\0\0\0\0\1\2", 8}, 258);
    expect_number(&b, KEY_INT64, (struct str){"\x7f\xff\xff\xff\xff\xff\xff\xff", 8}, INT64_MAX);
    expect_number(&b, KEY_INT64, (struct str){"\x80\0\0\0\0\0\0\0", 8}, INT64_MIN);
    bench_done(&b);
}

static void test_numbers_of_another_length(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b);
    expect_fault(&b, KEY_INT32, (struct str){"\0\0\0\0\0\0\1\2", 8},
                 "the key has 8 bytes, and key_format: int32 reads 4");
    assert_string_equal(b.err.sqlstate, "22P03");
    assert_true(*b.err.hint);
    expect_fault(&b, KEY_INT64, STR_LIT("abc"),
                 "the key has 3 bytes, and key_format: int64 reads 8");
    expect_fault(&b, KEY_INT64, STR_LIT(""), "the key has 0 bytes, and key_format: int64 reads 8");
    bench_done(&b);
}

static void test_json(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b);
    assert_true(reads(&b, KEY_JSON, STR_LIT("\"c-1\"")));
    assert_int_equal(b.cells[0].kind, CELL_STRING);
    assert_true(str_eq_z(b.cells[0].text, "c-1"));
    assert_true(reads(&b, KEY_JSON, STR_LIT("7")));
    assert_int_equal(b.cells[0].kind, CELL_NUMBER);
    assert_true(reads(&b, KEY_JSON, STR_LIT("null")));
    assert_int_equal(b.cells[0].kind, CELL_NULL);
    expect_fault(&b, KEY_JSON, STR_LIT("c-1"),
                 "the key: not valid JSON: unexpected character at byte 1");
    bench_done(&b);
}

static void test_no_key(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b);
    for (int id = 0; id < KEY_FORMAT_COUNT; id++) {
        if (key_format_of((enum key_format_id) id)->read != NULL) {
            assert_true(reads(&b, (enum key_format_id) id, (struct str){0}));
            assert_int_equal(b.cells[0].kind, CELL_NULL);
        }
    }
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_format_has_its_row),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_of_another_length),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_no_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
