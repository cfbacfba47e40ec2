/* failpoint.c, compiled into this program with failpoints on: what arms, what acts, what is
 * refused. */
#include "base/failpoint.h"

#include "base/base.h"
#include "unit.h"

static void arm(const char *text)
{
    setenv("PGSINKD_FAILPOINTS", text, 1);
    failpoint_init();
}

static void parse_only(void *arg)
{
    arm(arg);
}

static void test_unarmed(void **state)
{
    (void) state;
    unsetenv("PGSINKD_FAILPOINTS");
    failpoint_init();
    for (enum failpoint f = 0; f < FAILPOINT_COUNT; f++) {
        assert_false(failpoint_hit(f));
    }
}

static void crash_body(void *arg)
{
    arm(arg);
    for (int i = 0; i < 3; i++) {
        (void) failpoint_hit(FAILPOINT_TXN_MID_COPY);
    }
}

static void test_crash(void **state)
{
    (void) state;
    unit_expect_exit(crash_body, (char[]){"txn.mid_copy=crash"}, 99);
    unit_expect_exit(crash_body, (char[]){"txn.mid_copy=crash@3"}, 99);
    unit_expect_exit(crash_body, (char[]){"txn.mid_copy=crash@4"}, 0);
    unit_expect_exit(crash_body, (char[]){"txn.before_commit=crash"}, 0);
}

static void error_body(void *arg)
{
    (void) arg;
    arm("txn.before_commit=error@2,ledger.after_claim=error");
    assert_true(failpoint_hit(FAILPOINT_LEDGER_AFTER_CLAIM));
    assert_false(failpoint_hit(FAILPOINT_LEDGER_AFTER_CLAIM));
    assert_false(failpoint_hit(FAILPOINT_TXN_BEFORE_COMMIT));
    assert_true(failpoint_hit(FAILPOINT_TXN_BEFORE_COMMIT));
    assert_false(failpoint_hit(FAILPOINT_TXN_BEFORE_COMMIT));
    assert_false(failpoint_hit(FAILPOINT_TXN_AFTER_COMMIT));
}

static void test_error_once(void **state)
{
    (void) state;
    error_body(NULL);
}

static void test_refused(void **state)
{
    (void) state;
    static char bad[][32] = {
        "no.such=crash",   "txn.mid_copy",         "txn.mid_copy=",
        "txn.mid_copy=hm", "txn.mid_copy=crash@0", "txn.mid_copy=crash@x",
        "=crash",          "txn.mid_copy=crash@",  "txn.mid_copy=crash,,",
    };

    unit_expect_exit(parse_only, (char[]){""}, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct unit_end end = unit_run(parse_only, bad[i]);
        assert_true(WIFEXITED(end.status));
        assert_int_equal(WEXITSTATUS(end.status), 2);
        assert_non_null(strstr(end.said, "PGSINKD_FAILPOINTS"));
    }
}

static void set_times(void *arg)
{
    setenv("PGSINKD_FAILTIMES", arg, 1);
    failpoint_init();
    assert_true(failpoint_time(FAILTIME_REFUSED_PAUSE, 7) == 200 * USEC_PER_MSEC);
    assert_true(failpoint_time(FAILTIME_REFUSED_START, 7) == 7);
}

static void test_a_journal_of_the_test(void **state)
{
    (void) state;
    assert_string_equal(failpoint_journal("usual"), "usual");
    setenv("PGSINKD_JOURNAL", "mine", 1);
    assert_string_equal(failpoint_journal("usual"), "mine");
    unsetenv("PGSINKD_JOURNAL");
}

static void test_times(void **state)
{
    (void) state;
    static char bad[][32] = {"no_such=1", "refused_pause", "refused_pause=", "refused_pause=0",
                             "refused_pause=1s"};

    set_times((char[]){"refused_pause=200"});
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct unit_end end = unit_run(set_times, bad[i]);
        assert_true(WIFEXITED(end.status));
        assert_int_equal(WEXITSTATUS(end.status), 2);
        assert_non_null(strstr(end.said, "PGSINKD_FAILTIMES"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unarmed),    cmocka_unit_test(test_crash),
        cmocka_unit_test(test_error_once), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_times),      cmocka_unit_test(test_a_journal_of_the_test),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
