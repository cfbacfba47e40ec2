/* json_format.c: documents, values that are null, and values that are no objects. */
#include "row/format/json_format.h"

#include "row/kit.h"

/* Wants {"a": ..., "b": {"c": ...}}. */
struct bench {
    struct fields names;
    struct format_scratch scratch;
    struct cell cells[4];
    struct error err;
};

enum { A = 1, B = 2, C = 3 };

static void bench_init(struct bench *b)
{
    *b = (struct bench){0};
    fields_init(&b->names);
    assert_int_equal(fields_add(&b->names, 0, STR_LIT("a")), A);
    assert_int_equal(fields_add(&b->names, 0, STR_LIT("b")), B);
    assert_int_equal(fields_add(&b->names, B, STR_LIT("c")), C);
    fields_seal(&b->names);
}

static void bench_done(struct bench *b)
{
    fields_done(&b->names);
    format_scratch_done(&b->scratch);
}

static bool reads(struct bench *b, const char *text)
{
    const struct format_input in = {.what = "value", .bytes = str_of(text), .names = &b->names};

    for (size_t i = 0; i < ARRAY_LEN(b->cells); i++) {
        b->cells[i].kind = CELL_BYTES; /* each has to be set */
    }
    return json_format_read(&b->scratch, &in, b->cells, &b->err);
}

static void expect_kinds(const struct bench *b, enum cell_kind root, enum cell_kind a,
                         enum cell_kind c)
{
    assert_int_equal(b->cells[0].kind, root);
    assert_int_equal(b->cells[A].kind, a);
    assert_int_equal(b->cells[C].kind, c);
}

static void test_fields_that_are_asked_for(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b);
    assert_true(reads(&b, "{\"a\": 1, \"x\": 2, \"b\": {\"c\": \"y\"}}"));
    expect_kinds(&b, CELL_JSON, CELL_NUMBER, CELL_STRING);
    assert_true(reads(&b, "{\"b\": 7}"));
    expect_kinds(&b, CELL_JSON, CELL_ABSENT, CELL_ABSENT);
    bench_done(&b);
}

static void test_null_has_no_fields(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b);
    assert_true(reads(&b, NULL));
    expect_kinds(&b, CELL_NULL, CELL_ABSENT, CELL_ABSENT);
    assert_true(reads(&b, " null "));
    expect_kinds(&b, CELL_NULL, CELL_ABSENT, CELL_ABSENT);
    bench_done(&b);
}

static void test_a_byte_order_mark(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b);
    assert_true(reads(&b, "\xEF\xBB\xBF{\"a\":\"x\"}"));
    expect_kinds(&b, CELL_JSON, CELL_STRING, CELL_ABSENT);
    assert_true(str_eq_z(b.cells[0].text, "{\"a\":\"x\"}"));
    assert_false(reads(&b, "\xEF\xBB\xBF"));
    assert_string_equal(b.err.text, "the value: not valid JSON: it is empty");
    assert_false(reads(&b, "\xEF\xBB\xBF\xEF\xBB\xBF{}"));
    assert_false(reads(&b, " \xEF\xBB\xBF{}"));
    assert_false(reads(&b, "\xEF\xBB"));
    bench_done(&b);
}

static void expect_fault(struct bench *b, const char *text, const char *words)
{
    assert_false(reads(b, text));
    assert_int_equal(b->err.class, ERROR_RECORD);
    kit_assert_text(b->err.text, words);
}

static void test_what_is_no_object(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b);
    expect_fault(&b, "[1]", "the value is an array, not a JSON object");
    assert_string_equal(b.err.sqlstate, "22P02");
    expect_fault(&b, "7", "the value is a number, not a JSON object");
    expect_fault(&b, "{", "the value: not valid JSON: expected a name in quotes at byte 2");
    bench_done(&b);
}

static void test_without_fields_any_document_will_do(void **state)
{
    (void) state;
    struct fields none;
    struct format_scratch s = {0};
    struct cell root;
    struct error err;
    fields_init(&none);
    fields_seal(&none);
    const struct format_input in = {.what = "key", .bytes = STR_LIT("[1]"), .names = &none};
    assert_true(json_format_read(&s, &in, &root, &err));
    assert_true(cell_is_array(&root));
    format_scratch_done(&s);
    fields_done(&none);
}

static void test_what_jsonb_may_refuse_is_said_of_the_document_read_last(void **state)
{
    (void) state;
    struct bench b;
    bench_init(&b);
    assert_true(reads(&b, "{\"a\": \"\\u0000\"}"));
    assert_true(b.scratch.is_odd);
    assert_true(reads(&b, "{\"a\": \"x\"}"));
    assert_false(b.scratch.is_odd);
    assert_true(reads(&b, "{\"a\": \"\\u0000\"}"));
    assert_true(reads(&b, NULL));
    assert_false(b.scratch.is_odd);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_that_are_asked_for),
        cmocka_unit_test(test_null_has_no_fields),
        cmocka_unit_test(test_a_byte_order_mark),
        cmocka_unit_test(test_what_is_no_object),
        cmocka_unit_test(test_without_fields_any_document_will_do),
        cmocka_unit_test(test_what_jsonb_may_refuse_is_said_of_the_document_read_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
