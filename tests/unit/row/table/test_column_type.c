/* column_type.c and types.def. unit/pg/server_schema.c compares the numbers, names and storage with
 * those of PostgreSQL. */
#include "row/table/column_type.h"

#include "row/kit.h"

#define EACH_TYPE(t) (enum column_type t = 0; (int) t < COLUMN_TYPES; t++)

static void test_names_differ(void **state)
{
    (void) state;
    for
        EACH_TYPE(a)
        {
            assert_true(strlen(column_type_name(a)) > 0);
        for
            EACH_TYPE(b)
            {
                assert_true(a == b || strcmp(column_type_name(a), column_type_name(b)) != 0);
            }
        }
    assert_string_equal(column_type_name(TYPE_TIMESTAMPTZ), "timestamptz");
    assert_string_equal(column_type_name(TYPE_OTHER), "other");
}

static void test_numbers_lead_to_their_types(void **state)
{
    (void) state;
    for
        EACH_TYPE(t)
        {
            uint32_t oid = column_type_oid(t);
            assert_true((oid == 0) == (column_type_array_oid(t) == 0));
            if (oid != 0) {
                assert_int_equal(column_type_find(oid, ""), t);
                assert_int_equal(column_type_find(column_type_array_oid(t), "array"), TYPE_ARRAY);
            }
        }
    assert_int_equal(OID_TEXT, 25);
    assert_int_equal(OID_TEXT_ARRAY, 1009);
    assert_int_equal(column_type_oid(TYPE_INT8), OID_INT8);
}

static void test_types_without_a_number_are_known_by_kind(void **state)
{
    (void) state;
    assert_int_equal(column_type_find(70000, "enum"), TYPE_ENUM);
    assert_int_equal(column_type_find(70000, "array"), TYPE_ARRAY);
    assert_int_equal(column_type_find(70000, "composite"), TYPE_COMPOSITE);
    assert_int_equal(column_type_find(70000, "hstore_recv"), TYPE_HSTORE);
    assert_int_equal(column_type_find(70000, "textrecv"), TYPE_TEXT); /* citext */
    assert_int_equal(column_type_find(70000, "int4recv"), TYPE_OTHER);
    assert_int_equal(column_type_find(70000, ""), TYPE_OTHER);
    assert_int_equal(column_type_find(0, ""), TYPE_OTHER);
}

/* The names of all types of which it is true. */
static void says(bool (*is)(enum column_type), const char *names)
{
    _cleanup_buf_ struct buf found = {0};

    for
        EACH_TYPE(t)
        {
            if (is(t)) {
                buf_printf(&found, "%s%s", found.n > 0 ? " " : "", column_type_name(t));
            }
        }
    kit_assert_text(buf_cstr(&found), names);
}

static void test_what_types_are(void **state)
{
    (void) state;
    says(column_type_is_text, "text varchar bpchar");
    says(column_type_is_json, "json jsonb");
    says(column_type_is_number, "int2 int4 int8 float4 float8 numeric money");
    says(column_type_is_timestamp, "timestamp timestamptz");
    says(column_type_is_time, "date time timestamp timestamptz interval");
    says(column_type_is_version, "int2 int4 int8 text varchar date timestamp timestamptz");
    says(column_type_is_various, "enum array composite other");
    says(column_type_is_cast, "money hstore composite other");
    says(column_type_is_toastable,
         "numeric text varchar bpchar bytea json jsonb array hstore composite other");
}

static void test_what_they_are_sent_as(void **state)
{
    (void) state;
    for
        EACH_TYPE(t)
        {
            enum column_type as = column_type_sent_as(t);
            assert_true(column_type_is_cast(t) ? !column_type_is_cast(as) : as == t);
            assert_true(column_type_oid(as) != 0 || as == t);
        }
    assert_int_equal(column_type_sent_as(TYPE_HSTORE), TYPE_TEXT);
    assert_int_equal(column_type_sent_as(TYPE_MONEY), TYPE_NUMERIC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_differ),
        cmocka_unit_test(test_numbers_lead_to_their_types),
        cmocka_unit_test(test_types_without_a_number_are_known_by_kind),
        cmocka_unit_test(test_what_types_are),
        cmocka_unit_test(test_what_they_are_sent_as),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
