/* sql.c and the texts of schema.c: quoting, and a script without a variable left in it. */
#include "pg/sql.h"

#include "base/buf.h"
#include "pg/schema.h"
#include "pg/steps.h"

#include "unit.h"

static void test_literals(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf b = {0};

    sql_literal(&b, "it's");
    assert_string_equal(buf_cstr(&b), "'it''s'");
}

static void test_arrays(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf b = {0};

    sql_array_open(&b);
    sql_array_close(&b);
    sql_array_open(&b);
    sql_array_text(&b, "a");
    sql_array_text(&b, "it's {\"b\\c\"}");
    sql_array_text_quoted(&b, "it's");
    sql_array_close(&b);
    sql_array_open(&b);
    sql_array_i64(&b, 0);
    sql_array_i64(&b, -1);
    sql_array_i64(&b, INT64_MAX);
    sql_array_i64(&b, INT64_MIN);
    sql_array_close(&b);
    assert_string_equal(buf_cstr(&b), "{}{\"a\",\"it's {\\\"b\\\\c\\\"}\",\"it''s\"}"
                                      "{0,-1,9223372036854775807,-9223372036854775808}");
}

static void test_script(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf b = {0};

    schema_print("o'dd \"one", &b);
    const char *script = buf_cstr(&b);
    assert_null(strstr(script, ":\"schema\""));
    assert_null(strstr(script, ":'schema'"));
    assert_non_null(strstr(script, "CREATE TABLE \"o'dd \"\"one\".offsets ("));
    assert_non_null(strstr(script, "'pgsinkd ' OPERATOR(pg_catalog.||) 'o''dd \"one'"));
    assert_non_null(strstr(script, "GRANT USAGE ON SCHEMA \"o'dd \"\"one\" TO :\"role\";"));
    assert_non_null(strstr(script, "::integer")); /* a cast is no variable */
}

static void test_steps(void **state)
{
    (void) state;
    assert_true(schema_version_wanted() >= 1);
    assert_null(steps_lines(0));
    assert_null(steps_lines(steps_count() + 1));
    for (int v = 1; v <= steps_count(); v++) {
        char last[100];
        const char *const *lines = steps_lines(v);
        assert_non_null(lines);
        snprintf(last, sizeof last,
                 "INSERT INTO :\"schema\".schema_version (version) VALUES (%d);\n", v);
        size_t n = 0;
        while (lines[n] != NULL) {
            n++;
        }
        assert_string_equal(lines[n - 1], last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_script),
        cmocka_unit_test(test_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
