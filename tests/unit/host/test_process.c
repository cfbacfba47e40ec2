/* process.c: what this very process costs. One thread. */
#include "host/process.h"

#include "unit.h"

static void test_it_looks_at_itself(void **state)
{
    struct process_cost a = {0};
    struct process_cost b;

    (void) state;
    process_look(&a);
    assert_true(a.resident_bytes > 0 && a.resident_bytes < a.virtual_bytes);
    assert_true(a.open_fds >= 3 && a.open_fds < a.max_fds);
    assert_true(a.threads >= 1); /* a sanitizer has one of its own */
    int64_t age_ms = clock_wall_ms() - (int64_t) (a.start_seconds * 1000);
    assert_in_range(age_ms + 1000, 0, 60 * 1000);
    b = a;
    for (int i = 0; i < 100; i++) { /* or its restarts could not be told from its looks */
        process_look(&b);
        assert_true(b.start_seconds >= a.start_seconds && b.start_seconds <= a.start_seconds);
    }
    assert_true(b.cpu_usec >= a.cpu_usec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_looks_at_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
