/* sqlstate.c: every class of PostgreSQL's manual, and the codes that differ from their class. */
#include "pg/sqlstate.h"

#include "unit.h"

struct expectation {
    const char *code;
    enum error_class class;
};

static void expect(const struct expectation *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (sqlstate_class(e[i].code) != e[i].class) {
            print_error("%s is '%s'\n", e[i].code, error_class_name(sqlstate_class(e[i].code)));
            fail();
        }
    }
}

static void test_without_code(void **state)
{
    (void) state;
    assert_int_equal(sqlstate_class(NULL), ERROR_LINK);
    assert_int_equal(sqlstate_class(""), ERROR_LINK);
}

/* What PostgreSQL itself raises when its surroundings fail is never taken for a fault of a record.
 */
static void test_infrastructure(void **state)
{
    (void) state;
    static const struct expectation e[] = {
        {"08000", ERROR_LINK},  {"08006", ERROR_LINK},  {"08P01", ERROR_LINK},
        {"25006", ERROR_LINK},  {"25P02", ERROR_AGAIN}, {"25P03", ERROR_LINK},
        {"25P04", ERROR_LINK},  {"26000", ERROR_LINK},  {"40001", ERROR_AGAIN},
        {"40P01", ERROR_AGAIN}, {"53100", ERROR_AGAIN}, {"53200", ERROR_AGAIN},
        {"53300", ERROR_AGAIN}, {"53400", ERROR_AGAIN}, {"55P03", ERROR_AGAIN},
        {"55006", ERROR_AGAIN}, {"57014", ERROR_AGAIN}, {"57000", ERROR_AGAIN},
        {"57P01", ERROR_LINK},  {"57P02", ERROR_LINK},  {"57P03", ERROR_LINK},
        {"57P04", ERROR_LINK},  {"57P05", ERROR_LINK},  {"58000", ERROR_AGAIN},
        {"58030", ERROR_AGAIN}, {"58P01", ERROR_AGAIN}, {"72000", ERROR_AGAIN},
        {"HV00N", ERROR_AGAIN}, {"XX000", ERROR_AGAIN}, {"XX001", ERROR_AGAIN},
    };
    expect(e, ARRAY_LEN(e));
}

static void test_operator(void **state)
{
    (void) state;
    static const struct expectation e[] = {
        {"0A000", ERROR_SETUP}, {"22P04", ERROR_SETUP}, {"28000", ERROR_SETUP},
        {"28P01", ERROR_SETUP}, {"3D000", ERROR_SETUP}, {"3F000", ERROR_SETUP},
        {"42501", ERROR_SETUP}, {"42601", ERROR_SETUP}, {"42703", ERROR_SETUP},
        {"42P01", ERROR_SETUP}, {"54011", ERROR_SETUP}, {"55P02", ERROR_SETUP},
        {"F0000", ERROR_SETUP}, {"39P01", ERROR_SETUP},
    };
    expect(e, ARRAY_LEN(e));
}

static void test_record(void **state)
{
    (void) state;
    static const struct expectation e[] = {
        {"22001", ERROR_RECORD}, {"22003", ERROR_RECORD}, {"22021", ERROR_RECORD},
        {"22P03", ERROR_RECORD}, {"23502", ERROR_RECORD}, {"23503", ERROR_RECORD},
        {"23505", ERROR_RECORD}, {"23514", ERROR_RECORD}, {"23P01", ERROR_RECORD},
        {"40002", ERROR_RECORD}, {"44000", ERROR_RECORD}, {"54000", ERROR_RECORD},
        {"54001", ERROR_RECORD}, {"P0001", ERROR_RECORD}, {"P0004", ERROR_RECORD},
        {"MY001", ERROR_RECORD}, /* an application's own */
    };
    expect(e, ARRAY_LEN(e));
}

static void test_fenced(void **state)
{
    (void) state;
    assert_int_equal(sqlstate_class(SQLSTATE_FENCED), ERROR_FENCED);
}

static void test_a_code_is_of_its_class(void **state)
{
    (void) state;
    assert_true(sqlstate_is("42501", SQLSTATE_INSUFFICIENT_PRIVILEGE));
    assert_false(sqlstate_is("42500", SQLSTATE_INSUFFICIENT_PRIVILEGE));
    assert_true(sqlstate_is("28P01", SQLSTATE_INVALID_AUTHORIZATION));
    assert_false(sqlstate_is("08P01", SQLSTATE_INVALID_AUTHORIZATION));
    assert_false(sqlstate_is("", SQLSTATE_FENCED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_code), cmocka_unit_test(test_infrastructure),
        cmocka_unit_test(test_operator),     cmocka_unit_test(test_record),
        cmocka_unit_test(test_fenced),       cmocka_unit_test(test_a_code_is_of_its_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
