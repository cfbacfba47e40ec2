/* policy.c: which routes write dead letters, to which table, and until how many. One thread. */
#include "sink/plan/policy.h"

#include "config/config_kit.h"
#include "row/kit.h"

static const char text[] =
    "sink: s\n"
    "kafka: {brokers: b}\n"
    "postgres: {dsn: ''}\n"
    "routes:\n"
    "  - {topics: [a], table: public.a, on_error: stop}\n"
    "  - {topics: [b], table: b, on_error: dead_letter, max_dead_letters: 2 per 1h}\n";

/* The table dead_letters with these columns only. */
static struct table *letters_of(const char *const *names, size_t n)
{
    struct column columns[32];

    assert_in_range(n, 0, ARRAY_LEN(columns));
    for (size_t i = 0; i < n; i++) {
        columns[i] = kit_column(names[i], TYPE_TEXT);
    }
    return kit_table(columns, n);
}

static const char *const names[] = {
    "sink",        "topic",    "partition", "offset",       "route",
    "timestamp",   "key",      "value",     "header_names", "header_values",
    "error_class", "sqlstate", "message",   "column",       "attempts",
};

static void test_routes_and_their_letters(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct policies *p = policies_new(cfg);

    assert_int_equal(p->count, 2);
    assert_false(p->list[0].dead_letter);
    assert_true(p->list[1].dead_letter);
    assert_true(policies_want_letters(p));
    assert_ptr_equal(policies_find(p, &(struct target){.route = "b"}), &p->list[1]);
    assert_null(policies_find(p, &(struct target){.route = "c"}));
    assert_null(policies_find(p, &(struct target){.route = NULL}));
    assert_null(policies_free(p));
    assert_null(policies_free(NULL));
}

static void test_no_route_writes_letters(void **state)
{
    static const char plain[] = "sink: s\n"
                                "kafka: {brokers: b}\n"
                                "postgres: {dsn: ''}\n"
                                "routes:\n"
                                "  - {topics: [a], table: public.a, on_error: stop}\n";
    _cleanup_config_ struct config *cfg = kit_load(*state, plain);
    struct policies *p = policies_new(cfg);

    assert_false(policies_want_letters(p));
    policies_free(p);
}

static void test_the_table_of_letters(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct policies *p = policies_new(cfg);
    struct error err;

    assert_false(policies_set_letters(p, letters_of(names, ARRAY_LEN(names) - 1), &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_null(p->letters);
    assert_true(policies_set_letters(p, letters_of(names, ARRAY_LEN(names)), &err));
    assert_non_null(p->letters);
    assert_true(policies_set_letters(p, letters_of(names, ARRAY_LEN(names)), &err)); /* renewed */
    assert_ptr_equal(p->letters->table, p->letters_table);
    policies_free(p);
}

static void test_a_route_has_no_more_letters(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct policies *p = policies_new(cfg);
    struct policy *b = &p->list[1];
    struct error err;

    assert_int_equal(policy_room(b), 2);
    policy_take(b);
    assert_int_equal(policy_room(b), 1);
    policy_take(b);
    assert_int_equal(policy_room(b), 0);
    policy_take(b); /* another worker was faster: one more does not matter */
    error_set(&err, ERROR_RECORD, "a@7: refused");
    assert_false(policy_exceeded(b, &err));
    kit_assert_text(err.text, "route 'b' has had 2 dead letters in 3600 s, the next would be: "
                              "a@7: refused");
    assert_non_null(strstr(err.hint, "max_dead_letters"));
    assert_int_equal(policy_room(b), 0);
    policies_free(p);
}

static void test_once_exceeded_it_stays_so(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct policies *p = policies_new(cfg);
    struct error err;

    error_set(&err, ERROR_RECORD, "a@7: refused");
    assert_int_equal(policy_room(&p->list[1]), 2);
    assert_false(policy_exceeded(&p->list[1], &err));
    assert_int_equal(policy_room(&p->list[1]), 0);
    policies_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_and_their_letters),
        cmocka_unit_test(test_no_route_writes_letters),
        cmocka_unit_test(test_the_table_of_letters),
        cmocka_unit_test(test_a_route_has_no_more_letters),
        cmocka_unit_test(test_once_exceeded_it_stays_so),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
