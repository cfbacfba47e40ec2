/* sink/scout/trimmer: which faults of a trim are reported, and how often. */
#include "unit.h"

#include "sink/scout/trimmer.h"

static struct error fault(enum error_class class, const char *sqlstate)
{
    struct error err;

    error_set(&err, class, "history cannot be trimmed");
    snprintf(err.sqlstate, sizeof err.sqlstate, "%s", sqlstate);
    return err;
}

/* A database that goes away cuts off one turn, and then there is no connection for another. */
static void test_a_connection_that_ends_once_is_no_news(void **state)
{
    (void) state;
    struct trimmer t = {0};
    struct error away = fault(ERROR_LINK, "");

    assert_false(trimmer_is_news(&t, false, &away));
    assert_false(trimmer_is_news(&t, true, NULL));
    assert_false(trimmer_is_news(&t, false, &away));
}

static void test_a_trim_that_never_ends_in_time_is_reported_once(void **state)
{
    (void) state;
    struct trimmer t = {0};
    struct error late = fault(ERROR_LINK, "");

    assert_false(trimmer_is_news(&t, false, &late));
    assert_true(trimmer_is_news(&t, false, &late));
    assert_false(trimmer_is_news(&t, false, &late));
    assert_false(trimmer_is_news(&t, true, NULL));
    assert_false(trimmer_is_news(&t, false, &late));
    assert_true(trimmer_is_news(&t, false, &late));
}

static void test_each_other_fault_is_reported_once(void **state)
{
    (void) state;
    struct trimmer t = {0};
    struct error right = fault(ERROR_SETUP, "42501");
    struct error table = fault(ERROR_SETUP, "42P01");

    assert_true(trimmer_is_news(&t, false, &right));
    assert_false(trimmer_is_news(&t, false, &right));
    assert_true(trimmer_is_news(&t, false, &table));
    assert_true(trimmer_is_news(&t, false, &right));
    assert_false(trimmer_is_news(&t, true, NULL));
    assert_true(trimmer_is_news(&t, false, &right));
}

/* A transaction that began before must have ended when it is noted where history begins. */
static void test_audit_turned_on_is_not_due_at_once(void **state)
{
    (void) state;
    const struct config off = {.postgres.timeout = 60 * USEC_PER_SEC};
    struct config on = off;
    on.audit = true;

    struct trimmer t = trimmer_of(&on);
    assert_int_equal(trimmer_deadline(&t), 0); /* at the start there is no such transaction */
    trimmer_configure(&t, &off);
    assert_true(trimmer_deadline(&t) == USEC_NEVER);
    usec_t now = clock_mono();
    trimmer_configure(&t, &on);
    usec_t due = trimmer_deadline(&t);
    assert_true(due > now + on.postgres.timeout && due != USEC_NEVER);
    trimmer_configure(&t, &on); /* another reload */
    assert_true(trimmer_deadline(&t) == due);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_that_ends_once_is_no_news),
        cmocka_unit_test(test_a_trim_that_never_ends_in_time_is_reported_once),
        cmocka_unit_test(test_each_other_fault_is_reported_once),
        cmocka_unit_test(test_audit_turned_on_is_not_due_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
