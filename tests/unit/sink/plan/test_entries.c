/* entries.c, as far as it needs no server: each entry once, and which one takes a topic first. */
#include "sink/plan/entries.h"

#include "config/config_kit.h"

static const char text[] = "sink: s\n"
                           "kafka: {brokers: b}\n"
                           "postgres: {dsn: ''}\n"
                           "routes:\n"
                           "  - {topics: [orders, '^pay'], table: a}\n"
                           "  - {topics: ['^pay', '^ord'], table: b}\n";

static void test_each_text_once(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct entries e = entries_of(cfg);

    assert_int_equal(e.count, 3);
    assert_string_equal(e.items[0].text, "orders");
    assert_string_equal(e.items[1].text, "^pay");
    assert_int_equal(e.items[1].route, 0);
    assert_string_equal(e.items[2].text, "^ord");
    assert_int_equal(e.items[2].route, 1);
    assert_int_equal(e.items[2].item, 1);
    assert_true(entries_all_used(&e));
    entries_done(&e);
    assert_int_equal(e.count, 0);
}

static void test_the_first_entry_that_is_not_used(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct plan *p = plan_new(cfg);
    struct entries e = entries_of(cfg);

    assert_null(entries_unused(&e, p, "orders"));
    e.items[2].used = false;
    assert_false(entries_all_used(&e));
    assert_ptr_equal(entries_unused(&e, p, "orders"), &e.items[2]);
    assert_null(entries_unused(&e, p, "payments"));
    e.items[0].used = false;
    assert_ptr_equal(entries_unused(&e, p, "orders"), &e.items[0]);
    assert_ptr_equal(entries_unused(&e, p, "order"), &e.items[2]);
    entries_done(&e);
    plan_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_text_once),
        cmocka_unit_test(test_the_first_entry_that_is_not_used),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
