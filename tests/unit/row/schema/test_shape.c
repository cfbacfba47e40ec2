/* shape.c: building a schema, holding it, and what is asked of shapes. */
#include "row/schema/shape.h"

#include "row/kit.h"

static void test_languages(void **state)
{
    (void) state;
    assert_string_equal(schema_language_name(SCHEMA_AVRO), "AVRO");
    assert_string_equal(schema_language_name(SCHEMA_PROTOBUF), "PROTOBUF");
    assert_string_equal(schema_language_name(SCHEMA_JSON), "JSON");
    assert_string_equal(schema_language_name(SCHEMA_CONNECT), "CONNECT");
}

static void test_a_schema_lives_as_long_as_somebody_holds_it(void **state)
{
    (void) state;
    struct schema *s = schema_new(SCHEMA_PROTOBUF);
    struct shape *a = schema_add(s, SHAPE_RECORD);
    struct shape *b = schema_add(s, SHAPE_INT64);

    a->name = arena_copy(schema_memory(s), STR_LIT("shop.Order"));
    schema_add_root(s, a);
    schema_add_root(s, b);
    schema_seal(s);
    assert_int_equal(schema_language(s), SCHEMA_PROTOBUF);
    assert_int_equal(schema_root_count(s), 2);
    assert_ptr_equal(schema_root(s, 0), a);
    assert_ptr_equal(schema_root(s, 1), b);
    assert_int_equal(schema_shape_count(s), 2);
    assert_int_equal(a->serial, 0);
    assert_int_equal(b->serial, 1);
    assert_true(schema_bytes(s) > 2 * sizeof *a);
    const struct schema *second = schema_hold(s);
    assert_null(schema_drop(s));
    assert_true(str_eq_z(schema_root(second, 0)->name, "shop.Order"));
    assert_null(schema_drop(second));
    assert_null(schema_drop(NULL));
}

static void test_a_new_shape_says_nothing(void **state)
{
    (void) state;
    struct schema *s = schema_new(SCHEMA_AVRO);
    const struct shape *shape = schema_add(s, SHAPE_BYTES);

    assert_int_equal(shape->kind, SHAPE_BYTES);
    assert_int_equal(shape->sense, SENSE_NONE);
    assert_int_equal(shape->unit, UNIT_NONE);
    assert_int_equal(shape->precision, SHAPE_UNSAID);
    assert_int_equal(shape->scale, 0);
    assert_int_equal(shape->length, SHAPE_UNSAID);
    assert_int_equal(shape->source_length, SHAPE_UNSAID);
    assert_int_equal(shape->source_scale, SHAPE_UNSAID);
    assert_null(shape->name.p);
    assert_null(shape->logical.p);
    assert_null(shape->source_type.p);
    schema_drop(s);
}

static void test_null_beside_one_type_is_that_type(void **state)
{
    (void) state;
    struct schema *s = schema_new(SCHEMA_AVRO);
    const struct shape *null = schema_add(s, SHAPE_NULL);
    const struct shape *text = schema_add(s, SHAPE_STRING);
    const struct shape *branches[] = {null, text, null};
    struct shape u = {.kind = SHAPE_UNION, .branches = branches, .branch_count = 2};
    bool nullable = false;

    assert_ptr_equal(shape_beyond_null(&u, &nullable), text);
    assert_true(nullable);
    u.branches = branches + 1;
    nullable = false;
    assert_ptr_equal(shape_beyond_null(&u, &nullable), text);
    assert_true(nullable);
    u.branch_count = 1;
    assert_ptr_equal(shape_beyond_null(&u, &nullable), &u);
    assert_false(nullable);
    u.branches = branches;
    u.branch_count = 3;
    assert_ptr_equal(shape_beyond_null(&u, NULL), &u);
    branches[0] = text;
    u.branch_count = 2;
    assert_ptr_equal(shape_beyond_null(&u, &nullable), &u);
    assert_false(nullable);
    assert_ptr_equal(shape_beyond_null(text, &nullable), text);
    assert_false(nullable);
    assert_ptr_equal(shape_beyond_null(null, &nullable), null);
    assert_true(nullable);
    schema_drop(s);
}

static void test_fields_by_name(void **state)
{
    (void) state;
    const struct shape text = {.kind = SHAPE_STRING};
    const struct shape_field fields[] = {
        {.name = STR_LIT("a"), .shape = &text},
        {.name = STR_LIT("b"), .shape = &text},
    };
    const struct shape record = {.kind = SHAPE_RECORD, .fields = fields, .field_count = 2};

    assert_ptr_equal(shape_field_of(&record, STR_LIT("b")), &fields[1]);
    assert_null(shape_field_of(&record, STR_LIT("B")));
    assert_null(shape_field_of(&text, STR_LIT("a")));
}

static void test_names_of_connect_and_debezium(void **state)
{
    (void) state;
    enum time_unit unit = UNIT_S;

    assert_int_equal(shape_sense_of_connect(STR_LIT("io.debezium.time.MicroTimestamp"), &unit),
                     SENSE_TIMESTAMP);
    assert_int_equal(unit, UNIT_US);
    assert_int_equal(
        shape_sense_of_connect(STR_LIT("org.apache.kafka.connect.data.Decimal"), &unit),
        SENSE_DECIMAL);
    assert_int_equal(unit, UNIT_NONE);
    assert_int_equal(shape_sense_of_connect(STR_LIT("io.debezium.time.Date"), &unit), SENSE_DATE);
    assert_int_equal(unit, UNIT_DAY);
    assert_int_equal(shape_sense_of_connect(STR_LIT("shop.Order"), &unit), SENSE_NONE);
    assert_int_equal(unit, UNIT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_a_schema_lives_as_long_as_somebody_holds_it),
        cmocka_unit_test(test_a_new_shape_says_nothing),
        cmocka_unit_test(test_null_beside_one_type_is_that_type),
        cmocka_unit_test(test_fields_by_name),
        cmocka_unit_test(test_names_of_connect_and_debezium),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
