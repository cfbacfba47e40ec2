/* table_name.c: names as in SQL, templates, printing back. */
#include "config/table_name.h"

#include "unit.h"

static void expect(const char *text, const char *schema, const char *name, bool template,
                   const char *printed)
{
    struct table_name t = {0};
    struct table_name again = {0};
    _cleanup_buf_ struct buf b = {0};
    struct error err = {0};

    if (!table_name_parse(str_of(text), &t, NULL, &err)) {
        print_error("%s: %s\n", text, err.text);
        fail();
    }
    if (schema == NULL) {
        assert_null(t.schema);
    } else {
        assert_string_equal(t.schema, schema);
    }
    assert_string_equal(t.name, name);
    assert_int_equal(t.is_template, template);
    table_name_print(&t, &b);
    assert_string_equal(buf_cstr(&b), printed);
    assert_true(table_name_parse(buf_str(&b), &again, NULL, &err));
    assert_true(table_name_same(&t, &again));
    assert_int_equal(again.is_template, template);
    table_name_done(&t);
    table_name_done(&again);
    assert_null(t.name);
}

static void expect_fault(const char *text, size_t at, const char *want)
{
    struct table_name t = {0};
    struct error err = {0};
    size_t got = 999;

    assert_false(table_name_parse(str_of(text), &t, &got, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_string_equal(err.text, want);
    assert_int_equal(got, at);
    assert_null(t.name);
    assert_false(table_name_parse(str_of(text), &t, NULL, &err));
}

static void test_parse(void **state)
{
    (void) state;
    expect("orders", NULL, "orders", false, "orders");
    expect("Orders", NULL, "orders", false, "orders");
    expect("Public.ORDERS_2$", "public", "orders_2$", false, "public.orders_2$");
    expect("public.\"Mixed Case\"", "public", "Mixed Case", false, "public.\"Mixed Case\"");
    expect("\"a.b\".\"c\"\"d\"", "a.b", "c\"d", false, "\"a.b\".\"c\"\"d\"");
    expect("\"plain\"", NULL, "plain", false, "plain");
    expect("\"1x\"", NULL, "1x", false, "\"1x\"");
    expect("_x", NULL, "_x", false, "_x");
    expect("t\xc3\xa9", NULL, "t\xc3\xa9", false, "t\xc3\xa9");
    expect("aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123", NULL,
           "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123", false,
           "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123");
}

static void test_template(void **state)
{
    (void) state;
    expect("{topic}", NULL, "{topic}", true, "{topic}");
    expect("S.Events_{topic}", "s", "events_{topic}", true, "s.events_{topic}");
    expect("s.\"Events {topic}\"", "s", "Events {topic}", true, "s.\"Events {topic}\"");
    expect("{topic}1{topic}", NULL, "{topic}1{topic}", true, "{topic}1{topic}");
}

static void test_template_of_records(void **state)
{
    struct table_name t = {0};
    struct error err = {0};

    (void) state;
    expect("e_{value.Type}", NULL, "e_{value.Type}", true, "e_{value.Type}");
    expect("S.E_{key}{meta.partition}", "s", "e_{key}{meta.partition}", true,
           "s.e_{key}{meta.partition}");
    expect("\"E {headers.\"a b\"}\"", NULL, "E {headers.\"a b\"}", true, "\"E {headers.\"a b\"}\"");
    assert_true(table_name_parse(STR_LIT("{topic}_{key.a}"), &t, NULL, &err));
    assert_true(t.is_by_record);
    table_name_done(&t);
    assert_true(table_name_parse(STR_LIT("e_{topic}"), &t, NULL, &err));
    assert_false(t.is_by_record);
    table_name_done(&t);
}

static void test_faults(void **state)
{
    static const char unquoted[] =
        "table name: an unquoted part consists of letters, digits, '_' and '$' and does not "
        "begin with a digit";

    static const char braces[] =
        "'{' in a table name starts '{topic}' or a path, as in '{value.type}'";

    (void) state;
    expect_fault("", 0, "table name: a part is empty");
    expect_fault("a.", 2, "table name: a part is empty");
    expect_fault(".a", 0, "table name: a part is empty");
    expect_fault("\"\"", 2, "table name: a part is empty");
    expect_fault("my-table", 2, unquoted);
    expect_fault("1x", 0, unquoted);
    expect_fault("$x", 0, unquoted);
    expect_fault("a b", 1, unquoted);
    expect_fault("a\"b\"", 1, unquoted);
    expect_fault("a.b.c", 3, "table name: more than a schema and a name");
    expect_fault("\"a", 2, "table name: a double quote is not closed");
    expect_fault("\"a\"\"", 4, "table name: a double quote is not closed");
    expect_fault("\"a\"b", 3, "table name: something follows a closing double quote");
    expect_fault("a.\"b\"c", 5, "table name: something follows a closing double quote");
    expect_fault("{topic}.a", 7, "a template is for the name of the table, not for its schema");
    expect_fault("\"{topic}\".a", 9, "a template is for the name of the table, not for its schema");
    expect_fault("a{b}", 1, braces);
    expect_fault("\"a{\"", 2, braces);
    expect_fault("a{value.x", 1, braces);
    expect_fault("a{value}", 1, braces);
    expect_fault("a{headers}", 1, braces);
    expect_fault("{value.x}.a", 9, "a template is for the name of the table, not for its schema");
    expect_fault("aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234", 64,
                 "table name: a part is longer than 63 bytes");
}

static void test_for_topic(void **state)
{
    struct table_name t = {0};
    _cleanup_buf_ struct buf b = {0};
    struct error err = {0};

    (void) state;
    assert_true(table_name_parse(STR_LIT("s.Events_{topic}_{topic}"), &t, NULL, &err));
    buf_add_z(&b, "<");
    assert_true(table_name_for_topic(&t, STR_LIT("My.Topic-1"), &b, &err));
    assert_string_equal(buf_cstr(&b), "<events_My.Topic-1_My.Topic-1");
    assert_false(table_name_for_topic(&t, STR_LIT("aaaaaaaaaabbbbbbbbbbcccccccccc"), &b, &err));
    assert_string_equal(
        err.text, "topic 'aaaaaaaaaabbbbbbbbbbcccccccccc' gives a table name longer than 63 bytes");
    assert_string_equal(buf_cstr(&b), "<events_My.Topic-1_My.Topic-1");
    table_name_done(&t);

    assert_true(table_name_parse(STR_LIT("orders"), &t, NULL, &err));
    buf_clear(&b);
    assert_true(table_name_for_topic(&t, STR_LIT("other"), &b, &err));
    assert_string_equal(buf_cstr(&b), "orders");
    table_name_done(&t);
}

static void test_same(void **state)
{
    char s[] = "s", n[] = "n", m[] = "m";
    const struct table_name a = {.schema = s, .name = n}, b = {.name = n},
                            c = {.schema = s, .name = m};

    (void) state;
    assert_true(table_name_same(&a, &a));
    assert_true(table_name_same(&b, &b));
    assert_false(table_name_same(&a, &b));
    assert_false(table_name_same(&b, &a));
    assert_false(table_name_same(&a, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_template),
        cmocka_unit_test(test_template_of_records),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_for_topic),
        cmocka_unit_test(test_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
