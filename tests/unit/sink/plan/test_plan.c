/*
 * plan.c, as far as it needs no server: which route takes which topic, which tables are missing,
 * a topic that no route takes, and tables that are loaded while others are renewed. One thread.
 */
#include "sink/plan/plan.h"

#include "config/config_kit.h"
#include "row/kit.h"
#include "sink/plan_kit.h"

static const char text[] = "sink: s\n"
                           "kafka: {brokers: b}\n"
                           "postgres: {dsn: ''}\n"
                           "routes:\n"
                           "  - {topics: [orders, payments], table: public.a}\n"
                           "  - {topics: ['^ord', x], table: b}\n"
                           "  - {topics: ['^(a|b)\\.[0-9]+$'], table: 'c_{topic}'}\n"
                           "  - {topics: [shop], table: 'd_{value.x}', tables: [d_1, D_2]}\n";

static void expect(const struct plan *p, const char *topic, const char *takes)
{
    for (size_t r = 0; takes[r]; r++) {
        if (plan_route_takes(p, r, topic) != (takes[r] == 'y')) {
            print_error("route %zu, topic %s\n", r, topic);
            fail();
        }
    }
    assert_int_equal(plan_takes(p, topic), strchr(takes, 'y') != NULL);
}

static void test_route_takes(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct plan *p = plan_new(cfg);

    expect(p, "orders", "yy.");
    expect(p, "payments", "y..");
    expect(p, "order", ".y.");
    expect(p, "ord", ".y.");
    expect(p, "Orders", "...");
    expect(p, "xorders", "...");
    expect(p, "x", ".y.");
    expect(p, "xy", "...");
    expect(p, "a.1", "..y");
    expect(p, "b.22", "..y");
    expect(p, "a.1x", "...");
    expect(p, "axx1", "...");
    expect(p, "", "...");
    plan_free(p);
}

static void free_jobs(struct plan_job **jobs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        plan_job_free(jobs[i]);
    }
    free(jobs);
}

static void test_missing_tables(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct plan *p = plan_new(cfg);
    struct plan_job **jobs;

    size_t n = plan_missing(p, NULL, &jobs);
    assert_int_equal(n, 4); /* the fixed ones, and those that records may name */
    assert_string_equal(jobs[0]->table_name, "a");
    assert_string_equal(jobs[1]->table_name, "b");
    assert_string_equal(jobs[2]->table_name, "d_1");
    assert_string_equal(jobs[3]->table_name, "D_2");
    assert_int_equal(jobs[3]->route, 3);
    assert_int_not_equal(jobs[0]->target_id, jobs[1]->target_id);
    free_jobs(jobs, n);

    n = plan_missing(p, "a.1", &jobs);
    assert_int_equal(n, 1);
    assert_int_equal(jobs[0]->route, 2);
    assert_string_equal(jobs[0]->table_name, "c_a.1");
    free_jobs(jobs, n);

    n = plan_missing(p, "shop", &jobs);
    assert_int_equal(n, 2);
    free_jobs(jobs, n);
    assert_int_equal(plan_table_count(p, 0), 1);
    assert_int_equal(plan_table_count(p, 3), 2);

    n = plan_missing(p, "nobody's", &jobs);
    assert_int_equal(n, 0);
    free_jobs(jobs, n);
    plan_free(p);
}

static void test_topics_without_all_tables_have_no_plan(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct plan *p = plan_new(cfg);

    assert_null(plan_topic(p, "orders"));
    assert_null(plan_topic(p, "shop"));
    assert_true(plan_wants_headers(p)); /* a table to come may want them */
    plan_free(p);
    assert_null(plan_free(NULL));
}

static void load(struct plan *p, const char *topic)
{
    struct plan_job **jobs;
    size_t n = plan_missing(p, topic, &jobs);

    for (size_t i = 0; i < n; i++) {
        plan_add(p, plan_kit_ran(jobs[i]));
    }
    free(jobs);
}

/* Its number is the place in the file, by which dead letters are counted. */
static void test_routes_of_a_topic_have_their_numbers(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct plan *p = plan_new(cfg);

    load(p, NULL);
    load(p, "a.1");
    assert_int_equal(plan_topic(p, "orders")->route_count, 2);
    assert_int_equal(plan_topic(p, "orders")->routes[1].number, 1);
    assert_int_equal(plan_topic(p, "x")->routes[0].number, 1);
    assert_int_equal(plan_topic(p, "a.1")->routes[0].number, 2);
    plan_free(p);
}

static void test_a_table_loaded_during_a_renewal_stays(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct plan *p = plan_new(cfg);
    struct plan_job **jobs;

    load(p, "a.1");
    const struct topic_plan *before = plan_topic(p, "a.1");
    size_t n = plan_renew_jobs(p, &jobs);
    assert_int_equal(n, 1);
    load(p, "b.2");
    const struct mapping *late = plan_topic(p, "b.2")->routes[0].mapping;
    plan_renew(p, (struct plan_job *[]){plan_kit_ran(jobs[0])}, n);
    free(jobs);

    assert_ptr_not_equal(plan_topic(p, "a.1")->routes[0].mapping, before->routes[0].mapping);
    assert_non_null(plan_topic(p, "b.2"));
    assert_ptr_equal(plan_topic(p, "b.2")->routes[0].mapping, late);
    n = plan_renew_jobs(p, &jobs);
    assert_int_equal(n, 2); /* the next renewal names it */
    free_jobs(jobs, n);
    plan_free(p);
}

static void ask_for_a_plan(void *arg)
{
    plan_topic(arg, "nobody's");
}

/* I10: an empty plan would let the ledger pass its records. */
static void test_a_topic_that_no_route_takes_has_no_plan(void **state)
{
    _cleanup_config_ struct config *cfg = kit_load(*state, text);
    struct plan *p = plan_new(cfg);

    unit_expect_abort(ask_for_a_plan, p, "route_count > 0");
    plan_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route_takes),
        cmocka_unit_test(test_missing_tables),
        cmocka_unit_test(test_topics_without_all_tables_have_no_plan),
        cmocka_unit_test(test_a_topic_that_no_route_takes_has_no_plan),
        cmocka_unit_test(test_routes_of_a_topic_have_their_numbers),
        cmocka_unit_test(test_a_table_loaded_during_a_renewal_stays),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
