/* json_schema_format.c: JSON as any other, with the shapes of its schema. */
#include "row/format/json_schema_format.h"

#include "row/kit.h"
#include "row/schema/compile.h"

struct bench {
    const struct schema *schema;
    struct fields names;
    struct format_scratch scratch;
    struct cell cells[8];
    struct error err;
};

enum { A = 1, B, C, MAP, KEY, NONE, BELOW };

static const struct schema *schema_of(const char *text)
{
    const struct schema *s;
    struct error err;

    assert_true(schema_compile(SCHEMA_JSON, str_of(text), NULL, 0, &s, &err));
    return s;
}

static void bench_init(struct bench *b)
{
    *b = (struct bench){0};
    b->schema = schema_of(
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"null\",\"string\"],"
        "\"format\":\"date\"},\"b\":{\"$ref\":\"#\"},\"newC\":{\"type\":\"number\"},"
        "\"map\":{\"additionalProperties\":{\"type\":\"integer\"},"
        "\"type\":\"object\"}}}");
    fields_init(&b->names);
    b->names.policy = NAMES_SNAKE_CASE;
    assert_int_equal(fields_add(&b->names, 0, STR_LIT("a")), A);
    assert_int_equal(fields_add(&b->names, 0, STR_LIT("b")), B);
    assert_int_equal(fields_add_row(&b->names, B, STR_LIT("new_c")), C);
    assert_int_equal(fields_add(&b->names, 0, STR_LIT("map")), MAP);
    assert_int_equal(fields_add(&b->names, MAP, STR_LIT("k")), KEY);
    assert_int_equal(fields_add(&b->names, 0, STR_LIT("none")), NONE);
    assert_int_equal(fields_add(&b->names, NONE, STR_LIT("below")), BELOW);
    fields_seal(&b->names);
}

static void bench_done(struct bench *b)
{
    fields_done(&b->names);
    format_scratch_done(&b->scratch);
    b->schema = schema_drop(b->schema);
}

static bool reads(struct bench *b, struct str text)
{
    const struct format_input in = {
        .what = "value",
        .bytes = text,
        .names = &b->names,
        .schema = b->schema,
        .shape = schema_root(b->schema, 0),
    };

    return format_of(FORMAT_JSON_SCHEMA)->read(&b->scratch, &in, b->cells, &b->err);
}

static void expect_kinds(const struct bench *b, const enum shape_kind *kinds)
{
    for (uint32_t i = 0; i < ARRAY_LEN(b->cells); i++) {
        const struct shape *s = format_node_shape(&b->scratch, i);
        assert_int_equal(s == NULL ? SHAPE_NULL : s->kind, kinds[i]);
    }
}

static void test_values_have_the_shapes_of_the_schema(void **state)
{
    (void) state;
    struct bench b;
    static const enum shape_kind all[] = {SHAPE_RECORD, SHAPE_STRING, SHAPE_RECORD, SHAPE_NUMBER,
                                          SHAPE_MAP,    SHAPE_INT64,  SHAPE_NULL,   SHAPE_NULL};
    static const enum shape_kind some[] = {SHAPE_RECORD, SHAPE_NULL, SHAPE_NULL, SHAPE_NULL,
                                           SHAPE_NULL,   SHAPE_NULL, SHAPE_NULL, SHAPE_NULL};

    bench_init(&b);
    assert_true(reads(&b, STR_LIT("{\"a\":\"2024-05-06\",\"b\":{\"newC\":1.5},\"map\":{\"k\":7},"
                                  "\"none\":{\"below\":1}}")));
    expect_kinds(&b, all);
    assert_int_equal(format_node_shape(&b.scratch, A)->sense, SENSE_DATE);
    assert_true(str_eq_z(b.cells[A].text, "2024-05-06"));
    assert_true(b.cells[BELOW].kind != CELL_ABSENT);
    assert_false(b.scratch.is_odd);
    assert_true(reads(&b, STR_LIT("{\"a\":null,\"x\":\"\\u0000\"}")));
    expect_kinds(&b, some);
    assert_true(b.scratch.is_odd);
    assert_true(reads(&b, (struct str){0}));
    assert_null(format_node_shape(&b.scratch, 0));
    bench_done(&b);
}

static void test_no_value_has_no_schema(void **state)
{
    (void) state;
    struct bench b;

    bench_init(&b);
    const struct format_input in = {.what = "value", .names = &b.names};
    assert_true(reads(&b, STR_LIT("{\"a\":\"2024-05-06\"}")));
    assert_true(format_of(FORMAT_JSON_SCHEMA)->read(&b.scratch, &in, b.cells, &b.err));
    assert_int_equal(b.cells[0].kind, CELL_NULL);
    assert_int_equal(b.cells[A].kind, CELL_ABSENT);
    assert_null(format_node_shape(&b.scratch, A));
    bench_done(&b);
}

static void test_bad_json(void **state)
{
    (void) state;
    struct bench b;

    bench_init(&b);
    assert_false(reads(&b, STR_LIT("{\"a\":")));
    assert_int_equal(b.err.class, ERROR_RECORD);
    assert_false(reads(&b, STR_LIT("7")));
    assert_null(format_node_shape(&b.scratch, 0));
    bench_done(&b);
}

/* More schemas than plans are kept: each is found again, or made again. */
static void test_many_schemas(void **state)
{
    (void) state;
    struct bench b;
    const struct schema *schemas[70];

    bench_init(&b);
    b.schema = schema_drop(b.schema);
    for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
        schemas[i] = schema_of(i % 2 == 0 ? "{\"properties\":{\"a\":{\"type\":\"string\"}}}"
                                          : "{\"properties\":{\"a\":{\"type\":\"boolean\"}}}");
    }
    for (size_t i = 0; i < 3 * ARRAY_LEN(schemas); i++) {
        size_t which = i < 20 ? i % 2 : i % ARRAY_LEN(schemas);
        b.schema = schemas[which];
        assert_true(reads(&b, STR_LIT("{\"a\":1}")));
        assert_int_equal(format_node_shape(&b.scratch, A)->kind,
                         which % 2 == 0 ? SHAPE_STRING : SHAPE_BOOL);
    }
    b.schema = NULL;
    for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
        schemas[i] = schema_drop(schemas[i]); /* the plans hold theirs */
    }
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_have_the_shapes_of_the_schema),
        cmocka_unit_test(test_no_value_has_no_schema),
        cmocka_unit_test(test_bad_json),
        cmocka_unit_test(test_many_schemas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
