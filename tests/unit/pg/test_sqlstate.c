/* sqlstate.c: every class of PostgreSQL's manual, and the codes that differ from their class, for
 * sessions and for rows. */
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

/* ---- of the session ---- */

static void test_time_or_a_new_connection_helps(void **state)
{
    (void) state;
    static const struct expectation e[] = {
        {"08000", ERROR_LINK},  {"08006", ERROR_LINK},  {"08P01", ERROR_LINK},
        {"25006", ERROR_LINK},  {"25P02", ERROR_AGAIN}, {"25P03", ERROR_LINK},
        {"25P04", ERROR_LINK},  {"26000", ERROR_LINK},  {"42P05", ERROR_LINK},
        {"40001", ERROR_AGAIN}, {"40003", ERROR_AGAIN}, {"40P01", ERROR_AGAIN},
        {"53100", ERROR_AGAIN}, {"53200", ERROR_AGAIN}, {"53300", ERROR_AGAIN},
        {"53400", ERROR_AGAIN}, {"54000", ERROR_AGAIN}, {"55P03", ERROR_AGAIN},
        {"55006", ERROR_AGAIN}, {"57014", ERROR_AGAIN}, {"57000", ERROR_AGAIN},
        {"57P01", ERROR_LINK},  {"57P02", ERROR_LINK},  {"57P03", ERROR_LINK},
        {"57P04", ERROR_LINK},  {"57P05", ERROR_LINK},  {"58000", ERROR_AGAIN},
        {"58030", ERROR_AGAIN}, {"58P01", ERROR_AGAIN}, {"72000", ERROR_AGAIN},
        {"HV00N", ERROR_AGAIN}, {"XX000", ERROR_AGAIN}, {"XX001", ERROR_AGAIN},
    };
    expect(e, ARRAY_LEN(e));
}

/* No record is concerned by what our own statements do. */
static void test_an_operator_helps(void **state)
{
    (void) state;
    static const struct expectation e[] = {
        {"0A000", ERROR_SETUP}, {"22P04", ERROR_SETUP}, {"28000", ERROR_SETUP},
        {"28P01", ERROR_SETUP}, {"3D000", ERROR_SETUP}, {"3F000", ERROR_SETUP},
        {"42501", ERROR_SETUP}, {"42601", ERROR_SETUP}, {"42703", ERROR_SETUP},
        {"42P01", ERROR_SETUP}, {"54011", ERROR_SETUP}, {"55P02", ERROR_SETUP},
        {"F0000", ERROR_SETUP}, {"39P01", ERROR_SETUP}, {"22003", ERROR_SETUP},
        {"23505", ERROR_SETUP}, {"P0001", ERROR_SETUP}, {"MY001", ERROR_SETUP},
        {"40002", ERROR_SETUP},
    };
    expect(e, ARRAY_LEN(e));
}

static void test_fenced(void **state)
{
    (void) state;
    const struct sqlstate_fault f = {.code = SQLSTATE_FENCED};

    assert_int_equal(sqlstate_class(SQLSTATE_FENCED), ERROR_FENCED);
    assert_int_equal(sqlstate_blame(&f), ERROR_FENCED);
}

/* ---- of rows ---- */

static void expect_blame(enum error_class class, const char *const *codes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct sqlstate_fault f = {.code = codes[i]};
        if (sqlstate_blame(&f) != class) {
            print_error("%s is '%s'\n", codes[i], error_class_name(sqlstate_blame(&f)));
            fail();
        }
    }
}

#define EXPECT_BLAME(class, ...)                                                                   \
    expect_blame(class, (const char *const[]){__VA_ARGS__},                                        \
                 ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

static void test_of_nobody(void **state)
{
    (void) state;
    EXPECT_BLAME(ERROR_AGAIN, "40000", "40001", "40003", "40P01");
    EXPECT_BLAME(ERROR_LINK, "26000");
}

static void test_of_the_target(void **state)
{
    (void) state;
    EXPECT_BLAME(ERROR_TARGET, "08001", "08006", "25006", "25P02", "53100", "53200", "55P03",
                 "55006", "57014", "57P01", "57P03", "58000", "58030", "72000", "XX001", "XX002");
    EXPECT_BLAME(ERROR_UNFIT, "0A000", "2200H", "22P04", "3F000", "42501", "42703", "42704",
                 "42883", "42P01", "42P10", "53400", "55000", "58P01", "28P01", "3D000");
}

static void test_of_either(void **state)
{
    (void) state;
    EXPECT_BLAME(ERROR_DOUBT, "XX000", "22P03", "20000", "21000", "2F005", "38000", "39P01",
                 "54000", "54001", "HV00N", "42601", "42622", "42804", "02000", "2D000");
}

static void test_of_the_record(void **state)
{
    (void) state;
    EXPECT_BLAME(ERROR_RECORD, "22001", "22003", "22021", "22P02", "23503", "23505", "23P01",
                 "23001", "40002", "44000", "P0001", "P0004", "MY001");
}

static void test_a_fault_is_known_by_what_it_names(void **state)
{
    (void) state;
    static const struct {
        struct sqlstate_fault f;
        enum error_class class;
    } e[] = {
        {{"23502", .column = true}, ERROR_RECORD},
        {{"23502", .datatype = true}, ERROR_RECORD},
        {{.code = "23502"}, ERROR_DOUBT},
        {{"23514", .constraint = true}, ERROR_RECORD},
        {{"23514", .datatype = true}, ERROR_RECORD},
        {{"23514", .column = true}, ERROR_UNFIT}, /* no partition */
        {{.code = "23514"}, ERROR_UNFIT},
    };

    for (size_t i = 0; i < ARRAY_LEN(e); i++) {
        assert_int_equal(sqlstate_blame(&e[i].f), e[i].class);
    }
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
        cmocka_unit_test(test_without_code),
        cmocka_unit_test(test_time_or_a_new_connection_helps),
        cmocka_unit_test(test_an_operator_helps),
        cmocka_unit_test(test_fenced),
        cmocka_unit_test(test_of_nobody),
        cmocka_unit_test(test_of_the_target),
        cmocka_unit_test(test_of_either),
        cmocka_unit_test(test_of_the_record),
        cmocka_unit_test(test_a_fault_is_known_by_what_it_names),
        cmocka_unit_test(test_a_code_is_of_its_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
