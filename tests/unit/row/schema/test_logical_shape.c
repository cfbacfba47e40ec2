/*
 * logical_shape.c: what values mean by their shapes. A value of a binary format has to become the
 * same field as the JSON value of the same meaning, in every column that takes that one.
 */
#include "row/schema/shape.h"

#include "row/encode/encode.h"
#include "row/kit.h"

static const struct logical_rules rules = {.has_documents = true, .guesses_bytes = true};
static const struct value_rules as_they_are;

static void column_free(struct column *c)
{
    free(c->name);
    free(c->type_name);
    if (c->element != NULL) {
        column_free(c->element);
        free(c->element);
    }
}

struct shapes {
    struct schema *schema;
    struct encoder encoder;
    struct buf out;
    struct error err;
};

static void shapes_open(struct shapes *x)
{
    *x = (struct shapes){.schema = schema_new(SCHEMA_AVRO)};
}

static void shapes_close(struct shapes *x)
{
    encoder_done(&x->encoder);
    buf_done(&x->out);
    schema_seal(x->schema);
    (void) schema_drop(x->schema);
}

static struct shape *add(struct shapes *x, enum shape_kind kind, enum shape_sense sense)
{
    struct shape *s = schema_add(x->schema, kind);

    s->sense = sense;
    return s;
}

static struct shape *counted(struct shapes *x, enum shape_sense sense, enum time_unit unit)
{
    struct shape *s = add(x, unit == UNIT_DAY ? SHAPE_INT32 : SHAPE_INT64, sense);

    s->unit = unit;
    return s;
}

static struct shape *union_of(struct shapes *x, const struct shape *a, const struct shape *b)
{
    struct shape *s = schema_add(x->schema, SHAPE_UNION);
    const struct shape **branches = arena_alloc(schema_memory(x->schema),
                                                2 * sizeof(struct shape *));

    branches[0] = a;
    branches[1] = b;
    s->branches = branches;
    s->branch_count = 2;
    return s;
}

static struct cell integer(int64_t n)
{
    return (struct cell){.kind = CELL_INT, .number = n};
}

static struct cell bytes_of(const char *p, size_t n)
{
    return (struct cell){.kind = CELL_BYTES, .text = {.p = p, .n = n}};
}

#define BYTES(literal) bytes_of("" literal, sizeof(literal) - 1)

static struct cell string(const char *text)
{
    return (struct cell){.kind = CELL_STRING, .text = str_of(text)};
}

static struct cell number(const char *text)
{
    return (struct cell){.kind = CELL_NUMBER, .text = str_of(text)};
}

/* The field of that value in such a column; l == NULL: its JSON says what it is. */
static bool encode(struct shapes *x, const struct column *c, const struct logical *l,
                   const struct cell *cell)
{
    buf_clear(&x->out);
    x->encoder.logical = l;
    return encode_value(&(struct encoding){.encoder = &x->encoder,
                                           .column = c,
                                           .cell = cell,
                                           .out = &x->out,
                                           .err = &x->err,
                                           .rules = &as_they_are});
}

static bool encode_shape(struct shapes *x, const struct column *c, const struct shape *s,
                         const struct cell *cell)
{
    struct logical l;

    logical_of_shape(s, c, &rules, &l);
    bool ok = encode(x, c, &l, cell);
    logical_done(&l);
    return ok;
}

/* ---- the same as JSON ---- */

static void same_as_json(struct shapes *x, const struct shape *s, struct cell cell,
                         struct cell json)
{
    for (int t = 0; t < COLUMN_TYPES; t++) {
        struct column c = kit_column("c", (enum column_type) t);
        if (t == TYPE_ARRAY) {
            kit_element(&c, TYPE_TEXT);
        }
        if (t != TYPE_BYTEA && encode(x, &c, NULL, &json)) {
            char *want = mem_strdup(kit_hex(&x->out, 0));
            if (!encode_shape(x, &c, s, &cell)) {
                print_error("%s: %s\n", c.type_name, x->err.text);
                fail();
            }
            kit_assert_text(kit_hex(&x->out, 0), want);
            free(want);
        }
        column_free(&c);
    }
}

static void test_the_same_as_json(void **state)
{
    (void) state;
    struct shapes x;
    shapes_open(&x);
    same_as_json(&x, counted(&x, SENSE_DATE, UNIT_DAY), integer(20484), string("2026-01-31"));
    same_as_json(&x, counted(&x, SENSE_TIME, UNIT_MS), integer(29700500), string("08:15:00.5"));
    same_as_json(&x, counted(&x, SENSE_TIME, UNIT_US), integer(1), string("00:00:00.000001"));
    same_as_json(&x, counted(&x, SENSE_TIMESTAMP, UNIT_MS), integer(1769847300500),
                 string("2026-01-31T08:15:00.5"));
    same_as_json(&x, counted(&x, SENSE_TIMESTAMP, UNIT_US), integer(-1),
                 string("1969-12-31T23:59:59.999999"));
    same_as_json(&x, counted(&x, SENSE_INSTANT, UNIT_MS), integer(1769847300500),
                 string("2026-01-31T08:15:00.5Z"));
    same_as_json(&x, counted(&x, SENSE_INSTANT, UNIT_US), integer(1769847300123456),
                 string("2026-01-31T08:15:00.123456Z"));
    same_as_json(&x, counted(&x, SENSE_INSTANT, UNIT_NS), integer(1769847300123456000),
                 string("2026-01-31T08:15:00.123456Z"));
    same_as_json(&x, counted(&x, SENSE_DURATION, UNIT_US), integer(90061000001),
                 string("PT90061.000001S"));
    same_as_json(&x, add(&x, SHAPE_FIXED, SENSE_DURATION), BYTES("\1\0\0\0\2\0\0\0\xa4\x0b\0\0"),
                 string("P1M2DT2.980S"));
    struct shape *decimal = add(&x, SHAPE_BYTES, SENSE_DECIMAL);
    decimal->scale = 2;
    same_as_json(&x, decimal, BYTES("\x04\xe2"), number("12.50"));
    same_as_json(&x, decimal, BYTES(""), number("0.00"));
    same_as_json(&x, decimal, string("BOI="), number("12.50"));
    same_as_json(&x, decimal, number("12.50"), number("12.50"));
    struct shape *unsaid = add(&x, SHAPE_FIXED, SENSE_DECIMAL);
    unsaid->scale = SHAPE_UNSAID;
    same_as_json(&x, unsaid, BYTES("\xff\xff\x85"), number("-123"));
    same_as_json(&x, add(&x, SHAPE_FIXED, SENSE_UUID),
                 BYTES("\x0f\x8f\xad\x5b\xd9\xcb\x46\x9f\xa1\x65\x70\x86\x76\x28\x95\x0e"),
                 string("0f8fad5b-d9cb-469f-a165-70867628950e"));
    same_as_json(&x, add(&x, SHAPE_STRING, SENSE_UUID),
                 string("0f8fad5b-d9cb-469f-a165-70867628950e"),
                 string("0f8fad5b-d9cb-469f-a165-70867628950e"));
    same_as_json(&x, counted(&x, SENSE_YEAR, UNIT_NONE), integer(2026), number("2026"));
    same_as_json(&x, add(&x, SHAPE_INT64, SENSE_NONE), integer(-5), number("-5"));
    same_as_json(&x, add(&x, SHAPE_DOUBLE, SENSE_NONE), number("1.5"), number("1.5"));
    static const enum shape_sense texts[] = {
        SENSE_NONE, SENSE_ZONED_TIME, SENSE_DECIMAL_TEXT, SENSE_XML,     SENSE_LTREE,
        SENSE_INET, SENSE_ENUM,       SENSE_DATE,         SENSE_INSTANT,
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        same_as_json(&x, add(&x, SHAPE_STRING, texts[i]), string("2026-01-31"),
                     string("2026-01-31"));
    }
    shapes_close(&x);
}

/* ---- what each column makes of it ---- */

static void expect(struct shapes *x, const struct shape *s, enum column_type type,
                   const char *type_name, struct cell cell, const char *want)
{
    struct column c = kit_column("c", type);

    free(c.type_name);
    c.type_name = mem_strdup(type_name);
    bool ok = encode_shape(x, &c, s, &cell);
    bool is_text = x->out.n > 4 && ok && type != TYPE_BYTEA && !column_type_is_number(type);
    if (is_text) {
        char *text = mem_strndup((const char *) x->out.p + 4, x->out.n - 4);
        kit_assert_text(text + (type == TYPE_JSONB ? 1 : 0), want);
        free(text);
    } else {
        kit_assert_text(ok ? kit_hex(&x->out, 0) : x->err.text, want);
    }
    column_free(&c);
}

static void test_times_are_text_where_the_column_is(void **state)
{
    (void) state;
    struct shapes x;
    shapes_open(&x);
    const struct shape *date = counted(&x, SENSE_DATE, UNIT_DAY);
    const struct shape *instant = counted(&x, SENSE_INSTANT, UNIT_MS);
    expect(&x, date, TYPE_TEXT, "text", integer(0), "1970-01-01");
    expect(&x, date, TYPE_JSONB, "jsonb", integer(0), "\"1970-01-01\"");
    expect(&x, date, TYPE_INT4, "integer", integer(20484), "0000000400005004");
    expect(&x, date, TYPE_TEXT, "text", integer(-622191234), "infinity");
    expect(&x, date, TYPE_TEXT, "text", string("2026-01-31"), "2026-01-31");
    expect(&x, instant, TYPE_TEXT, "text", integer(9223372036825200), "infinity");
    expect(&x, instant, TYPE_JSONB, "jsonb", number("1.5"), "1.5");
    expect(&x, instant, TYPE_INT8, "bigint", integer(1500), "0000000800000000000005dc");
    struct cell micros = integer(1500);
    micros.unit = UNIT_US;
    expect(&x, instant, TYPE_TEXT, "text", micros, "1970-01-01T00:00:00.0015Z");
    expect(&x, counted(&x, SENSE_TIME, UNIT_MS), TYPE_OTHER, "time with time zone", integer(1500),
           "00:00:01.5");
    expect(&x, counted(&x, SENSE_TIME, UNIT_MS), TYPE_TIMESTAMP, "timestamp", integer(1500),
           "\"00:00:01.5\" is not a valid timestamp");
    expect(&x, counted(&x, SENSE_TIMESTAMP, UNIT_MS), TYPE_TIME, "time", integer(1500),
           "\"1970-01-01T00:00:01.5\" is not a valid time");
    expect(&x, counted(&x, SENSE_DURATION, UNIT_NS), TYPE_TEXT, "text", integer(-1500),
           "PT-0.0000015S");
    expect(&x, add(&x, SHAPE_FIXED, SENSE_DURATION), TYPE_INTERVAL, "interval", BYTES("\1"),
           "\"\\x01\" is not a duration of 12 bytes");
    expect(&x, add(&x, SHAPE_FIXED, SENSE_DURATION), TYPE_BYTEA, "bytea", BYTES("\1\2"),
           "000000020102");
    expect(&x, add(&x, SHAPE_STRING, SENSE_DURATION), TYPE_TEXT, "text", string("P1Y"), "P1Y");
    expect(&x, counted(&x, SENSE_YEAR, UNIT_NONE), TYPE_DATE, "date", integer(2026),
           "2026 is a year, which is no date and no time");
    shapes_close(&x);
}

static void test_bytes(void **state)
{
    (void) state;
    struct shapes x;
    shapes_open(&x);
    const struct shape *bytes = add(&x, SHAPE_BYTES, SENSE_NONE);
    expect(&x, bytes, TYPE_BYTEA, "bytea", BYTES("\0\1"), "000000020001");
    expect(&x, bytes, TYPE_BYTEA, "bytea", string("AAE="), "000000020001");
    expect(&x, bytes, TYPE_TEXT, "text", BYTES("abc"), "abc");
    expect(&x, bytes, TYPE_TEXT, "text", BYTES("\xff"), "\"\\xff\" is not valid UTF-8");
    expect(&x, bytes, TYPE_OTHER, "box", string("KDEp"), "(1)");
    expect(&x, bytes, TYPE_OTHER, "box", BYTES("(1)"), "(1)");
    struct shape *bits = add(&x, SHAPE_BYTES, SENSE_BITS);
    bits->length = 3;
    expect(&x, bits, TYPE_OTHER, "bit varying", BYTES("\5"), "101");
    expect(&x, bits, TYPE_OTHER, "bit varying", string("BQ=="), "101");
    expect(&x, bits, TYPE_INT4, "integer", BYTES("\5"), "0000000400000005");
    expect(&x, bits, TYPE_BYTEA, "bytea", BYTES("\5"), "0000000105");
    expect(&x, add(&x, SHAPE_BYTES, SENSE_BITS), TYPE_TEXT, "text", BYTES("\5"), "101");
    expect(&x, add(&x, SHAPE_BOOL, SENSE_NONE), TYPE_OTHER, "bit(1)",
           (struct cell){.kind = CELL_BOOL, .truth = true}, "1");
    const struct shape *uuid = add(&x, SHAPE_FIXED, SENSE_UUID);
    expect(&x, uuid, TYPE_TEXT, "text", BYTES("0123456789abcdef"),
           "30313233-3435-3637-3839-616263646566");
    expect(&x, uuid, TYPE_UUID, "uuid", BYTES("abc"), "\"abc\" is not a UUID of 16 bytes");
    expect(&x, uuid, TYPE_BYTEA, "bytea", BYTES("0123456789abcdef"),
           "0000001030313233343536373839616263646566");
    const struct shape *text = add(&x, SHAPE_STRING, SENSE_NONE);
    expect(&x, text, TYPE_BYTEA, "bytea", string("deadbeef"),
           "\"deadbeef\" may be hexadecimal digits or base64");
    shapes_close(&x);
}

static void test_documents_and_records(void **state)
{
    (void) state;
    struct shapes x;
    shapes_open(&x);
    const struct shape *json = add(&x, SHAPE_STRING, SENSE_JSON);
    expect(&x, json, TYPE_JSONB, "jsonb", string("{\"a\": 1}"), "{\"a\": 1}");
    expect(&x, json, TYPE_JSONB, "jsonb", string("no \"document\""), "\"no \\\"document\\\"\"");
    expect(&x, json, TYPE_HSTORE, "hstore", string("{\"a\":\"1\"}"), "\"a\"=>\"1\"");
    expect(&x, json, TYPE_TEXT, "text", string("{}"), "{}");
    const struct cell scaled = {.kind = CELL_JSON,
                                .text = STR_LIT("{\"scale\":2,\"value\":\"BOI=\"}")};
    expect(&x, add(&x, SHAPE_RECORD, SENSE_SCALED), TYPE_TEXT, "text", scaled, "12.50");
    const struct cell point = {
        .kind = CELL_JSON,
        .text = STR_LIT("{\"x\":1,\"y\":2,\"wkb\":\"AQEAAAAAAAAAAAD4PwAAAAAAAADA\"}")};
    const char *wkb = "0101000000000000000000f83f00000000000000c0";
    expect(&x, add(&x, SHAPE_RECORD, SENSE_POINT), TYPE_OTHER, "point", point, "(1,2)");
    expect(&x, add(&x, SHAPE_RECORD, SENSE_POINT), TYPE_OTHER, "geometry", point, wkb);
    expect(&x, add(&x, SHAPE_RECORD, SENSE_GEOMETRY), TYPE_OTHER, "geometry", point, wkb);
    expect(&x, add(&x, SHAPE_RECORD, SENSE_GEOGRAPHY), TYPE_OTHER, "geography", point, wkb);
    static const enum shape_sense plain[] = {
        SENSE_DYNAMIC,        SENSE_PACKED_ANY,        SENSE_CALENDAR_DATE, SENSE_TIME_OF_DAY,
        SENSE_DECIMAL_RECORD, SENSE_CONFLUENT_DECIMAL, SENSE_WRAPPER,
    };
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        expect(&x, add(&x, SHAPE_RECORD, plain[i]), TYPE_TEXT, "text", string("x"), "x");
    }
    shapes_close(&x);
}

static struct logical of(const struct shape *s, enum column_type type, enum column_type element)
{
    struct column c = kit_column("c", type);
    struct logical l;

    if (type == TYPE_ARRAY) {
        kit_element(&c, element);
    }
    logical_of_shape(s, &c, &rules, &l);
    column_free(&c);
    return l;
}

static void test_null_and_wrappers(void **state)
{
    (void) state;
    struct shapes x;
    shapes_open(&x);
    const struct shape *null = add(&x, SHAPE_NULL, SENSE_NONE);
    const struct shape *date = counted(&x, SENSE_DATE, UNIT_DAY);
    const struct shape *either = union_of(&x, date, add(&x, SHAPE_STRING, SENSE_NONE));
    assert_int_equal(of(union_of(&x, null, date), TYPE_DATE, 0).kind, LOGICAL_DAYS);
    assert_int_equal(of(union_of(&x, date, null), TYPE_DATE, 0).kind, LOGICAL_DAYS);
    assert_int_equal(of(either, TYPE_DATE, 0).kind, LOGICAL_PLAIN);
    struct shape_field field = {.name = STR_LIT("value"), .shape = date};
    struct shape *wrapper = add(&x, SHAPE_RECORD, SENSE_WRAPPER);
    wrapper->fields = &field;
    wrapper->field_count = 1;
    assert_int_equal(of(wrapper, TYPE_DATE, 0).kind, LOGICAL_DAYS);
    field.shape = wrapper; /* a schema that was made to hang us */
    assert_int_equal(of(wrapper, TYPE_DATE, 0).kind, LOGICAL_PLAIN);
    shapes_close(&x);
}

static void test_arrays(void **state)
{
    (void) state;
    struct shapes x;
    shapes_open(&x);
    struct shape *array = add(&x, SHAPE_ARRAY, SENSE_NONE);
    struct shape *matrix = add(&x, SHAPE_ARRAY, SENSE_NONE);
    array->element = union_of(&x, add(&x, SHAPE_NULL, SENSE_NONE),
                              counted(&x, SENSE_INSTANT, UNIT_US));
    matrix->element = array;
    struct logical l = of(array, TYPE_ARRAY, TYPE_TIMESTAMPTZ);
    assert_int_equal(l.kind, LOGICAL_ARRAY);
    assert_int_equal(l.element->kind, LOGICAL_INSTANT);
    assert_int_equal(l.element->unit, UNIT_US);
    logical_done(&l);
    l = of(matrix, TYPE_ARRAY, TYPE_TIMESTAMPTZ);
    assert_int_equal(l.element->kind, LOGICAL_INSTANT);
    logical_done(&l);
    l = of(matrix, TYPE_ARRAY, TYPE_JSONB);
    assert_int_equal(l.element->kind, LOGICAL_PLAIN);
    logical_done(&l);
    assert_int_equal(of(array, TYPE_JSONB, 0).kind, LOGICAL_PLAIN);
    array->element = array;
    l = of(array, TYPE_ARRAY, TYPE_TEXT);
    assert_int_equal(l.kind, LOGICAL_PLAIN);
    logical_done(&l);
    struct shape *set = add(&x, SHAPE_STRING, SENSE_SET);
    l = of(set, TYPE_ARRAY, TYPE_TEXT);
    assert_int_equal(l.kind, LOGICAL_SET);
    struct logical_scratch scratch = {0};
    struct cell in = string("a,b\"c");
    struct cell out;
    assert_true(logical_apply(&l, &in, &scratch, &out, &x.err));
    char *text = mem_strndup(out.text.p, out.text.n);
    kit_assert_text(text, "[\"a\",\"b\\\"c\"]");
    free(text);
    logical_scratch_done(&scratch);
    shapes_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_as_json),
        cmocka_unit_test(test_times_are_text_where_the_column_is),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_documents_and_records),
        cmocka_unit_test(test_null_and_wrappers),
        cmocka_unit_test(test_arrays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
