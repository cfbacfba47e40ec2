/* connect_schema.c: the schema part of Kafka Connect's JSON into shapes. */
#include "row/schema/connect_schema.h"

#include "row/kit.h"

static const struct schema *schema_of(const char *text)
{
    const struct schema *s = NULL;
    struct error err;

    if (!connect_schema_read(str_of(text), &s, &err)) {
        print_error("%s\n", err.text);
        fail();
    }
    return s;
}

static void expect_fault(const char *text, const char *want)
{
    const struct schema *s = NULL;
    struct error err;

    assert_false(connect_schema_read(str_of(text), &s, &err));
    assert_null(s);
    assert_int_equal(err.class, ERROR_SETUP);
    kit_assert_text(err.text, want);
}

static const struct shape *field(const struct shape *s, const char *name)
{
    const struct shape_field *f = shape_field_of(s, str_of(name));

    assert_non_null(f);
    return f->shape;
}

static void test_a_struct(void **state)
{
    (void) state;
    const struct schema *s = schema_of(
        " {\"type\":\"struct\",\"name\":\"shop.Order\",\"optional\":false,\"fields\":["
        "{\"type\":\"int64\",\"optional\":false,\"field\":\"id\"},"
        "{\"type\":\"int16\",\"optional\":true,\"field\":\"\\u0066ew\",\"doc\":[1,{\"type\":2}]},"
        "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"field\":\"tags\"},"
        "{\"type\":\"map\",\"keys\":{\"type\":\"string\"},\"values\":{\"type\":\"double\"},"
        "\"optional\":true,\"field\":\"rates\"},"
        "{\"type\":\"struct\",\"field\":\"of\",\"fields\":[]}]} ");
    assert_int_equal(schema_language(s), SCHEMA_CONNECT);
    assert_int_equal(schema_root_count(s), 1);
    const struct shape *root = schema_root(s, 0);
    assert_int_equal(root->kind, SHAPE_RECORD);
    assert_true(str_eq_z(root->name, "shop.Order"));
    assert_int_equal(root->field_count, 5);
    assert_false(root->fields[0].is_optional);
    assert_int_equal(root->fields[0].shape->kind, SHAPE_INT64);
    assert_true(root->fields[1].is_optional);
    assert_true(str_eq_z(root->fields[1].name, "few"));
    assert_int_equal(root->fields[1].shape->bits, 16);
    assert_int_equal(field(root, "tags")->element->kind, SHAPE_STRING);
    assert_int_equal(field(root, "rates")->kind, SHAPE_MAP);
    assert_int_equal(field(root, "rates")->element->kind, SHAPE_DOUBLE);
    assert_int_equal(field(root, "of")->field_count, 0);
    (void) schema_drop(s);
}

static void test_primitives(void **state)
{
    (void) state;
    static const struct {
        const char *type;
        enum shape_kind kind;
        int32_t bits;
    } cases[] = {
        {"boolean", SHAPE_BOOL, 0},  {"int8", SHAPE_INT32, 8},    {"int16", SHAPE_INT32, 16},
        {"int32", SHAPE_INT32, 0},   {"int64", SHAPE_INT64, 0},   {"float", SHAPE_FLOAT, 0},
        {"float32", SHAPE_FLOAT, 0}, {"double", SHAPE_DOUBLE, 0}, {"float64", SHAPE_DOUBLE, 0},
        {"string", SHAPE_STRING, 0}, {"bytes", SHAPE_BYTES, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"type\":\"%s\"}", cases[i].type);
        const struct schema *s = schema_of(text);
        assert_int_equal(schema_root(s, 0)->kind, cases[i].kind);
        assert_int_equal(schema_root(s, 0)->bits, cases[i].bits);
        (void) schema_drop(s);
    }
}

static void test_senses(void **state)
{
    (void) state;
    static const struct {
        const char *type;
        const char *name;
        enum shape_sense sense;
        enum time_unit unit;
    } cases[] = {
        {"int32", "io.debezium.time.Date", SENSE_DATE, UNIT_DAY},
        {"int64", "io.debezium.time.MicroTimestamp", SENSE_TIMESTAMP, UNIT_US},
        {"string", "io.debezium.time.ZonedTimestamp", SENSE_INSTANT, UNIT_NONE},
        {"int32", "io.debezium.time.Year", SENSE_YEAR, UNIT_NONE},
        {"bytes", "io.debezium.data.Bits", SENSE_BITS, UNIT_NONE},
        {"bytes", "org.apache.kafka.connect.data.Decimal", SENSE_DECIMAL, UNIT_NONE},
        /* on another type a name means nothing */
        {"string", "io.debezium.time.Date", SENSE_NONE, UNIT_NONE},
        {"string", "org.apache.kafka.connect.data.Decimal", SENSE_NONE, UNIT_NONE},
        {"int64", "io.debezium.data.Json", SENSE_NONE, UNIT_NONE},
        {"string", "io.debezium.data.VariableScaleDecimal", SENSE_NONE, UNIT_NONE},
        {"string", "io.debezium.data.geometry.Point", SENSE_NONE, UNIT_NONE},
        {"string", "io.debezium.data.geometry.Geometry", SENSE_NONE, UNIT_NONE},
        {"string", "io.debezium.data.geometry.Geography", SENSE_NONE, UNIT_NONE},
        {"int64", "shop.Money", SENSE_NONE, UNIT_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"type\":\"%s\",\"name\":\"%s\"}", cases[i].type,
                 cases[i].name);
        const struct schema *s = schema_of(text);
        const struct shape *shape = schema_root(s, 0);
        assert_int_equal(shape->sense, cases[i].sense);
        assert_int_equal(shape->unit, cases[i].unit);
        assert_true(str_eq_z(shape->logical, cases[i].name));
        (void) schema_drop(s);
    }
}

static void test_parameters(void **state)
{
    (void) state;
    const struct schema *s = schema_of(
        "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{"
        "\"scale\":\"2\",\"connect.decimal.precision\":\"12\",\"length\":\"x\",\"other\":1,"
        "\"__debezium.source.column.type\":\"NUMERIC\","
        "\"__debezium.source.column.length\":\"12\",\"__debezium.source.column.scale\":\"2\"}}");
    const struct shape *shape = schema_root(s, 0);
    assert_int_equal(shape->scale, 2);
    assert_int_equal(shape->precision, 12);
    assert_int_equal(shape->length, SHAPE_UNSAID);
    assert_true(str_eq_z(shape->source_type, "NUMERIC"));
    assert_int_equal(shape->source_length, 12);
    assert_int_equal(shape->source_scale, 2);
    (void) schema_drop(s);
    s = schema_of("{\"type\":\"bytes\",\"parameters\":{\"scale\":\"99999999999\","
                  "\"__debezium.source.column.type\":7}}");
    assert_int_equal(schema_root(s, 0)->scale, SHAPE_UNSAID);
    assert_null(schema_root(s, 0)->source_type.p);
    (void) schema_drop(s);
    s = schema_of("{\"type\":\"string\",\"parameters\":null}");
    assert_int_equal(schema_root(s, 0)->kind, SHAPE_STRING);
    (void) schema_drop(s);
}

static void test_faults(void **state)
{
    (void) state;
    expect_fault("", "the schema cannot be read: not valid JSON: it is empty");
    expect_fault("[]", "the schema cannot be read: it is no object");
    expect_fault("{\"type\":",
                 "the schema cannot be read: not valid JSON: unexpected end at byte 9");
    expect_fault("{}", "the schema cannot be read: it has an unknown type ''");
    expect_fault("{\"type\":\"decimal\"}",
                 "the schema cannot be read: it has an unknown type 'decimal'");
    expect_fault("{\"type\":\"array\"}",
                 "the schema cannot be read: there is no type of what is in the 'array'");
    expect_fault("{\"type\":\"struct\",\"name\":\"S\"}",
                 "the schema cannot be read: there are no fields of the struct 'S'");
    expect_fault("{\"type\":\"struct\",\"fields\":[1]}",
                 "the schema cannot be read: a field is no object");
    expect_fault("{\"type\":\"struct\",\"fields\":[{\"type\":\"int8\"}]}",
                 "the schema cannot be read: a field has no name");
    expect_fault("{\"type\":\"struct\",\"fields\":[{\"type\":\"int7\",\"field\":\"a\"}]}",
                 "the schema cannot be read: a: it has an unknown type 'int7'");
}

static void test_bounds(void **state)
{
    (void) state;
    struct buf text = {0};
    for (int i = 0; i < 70; i++) {
        buf_add_z(&text, "{\"type\":\"array\",\"items\":");
    }
    buf_add_z(&text, "{\"type\":\"string\"}");
    buf_fill(&text, '}', 70);
    expect_fault(buf_cstr(&text),
                 "the schema cannot be read: it has more than 64 levels or 100000 types");
    buf_clear(&text);
    buf_fill(&text, '1', (8 << 20) + 1);
    expect_fault(buf_cstr(&text), "the schema has more than 8388608 bytes");
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_struct), cmocka_unit_test(test_primitives),
        cmocka_unit_test(test_senses),   cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_faults),   cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
