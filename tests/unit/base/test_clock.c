/* clock.c: time goes forward, waits for poll(2) are rounded up and capped. */
#include "base/clock.h"

#include "unit.h"

#include <limits.h>
#include <time.h>

static void test_clocks(void **state)
{
    (void) state;
    usec_t before = clock_mono();
    int64_t wall = clock_wall_ms();

    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    assert_true(clock_mono() >= before + 2000);
    assert_true(wall / 1000 <= (int64_t) time(NULL));
    assert_true(wall / 1000 >= (int64_t) time(NULL) - 60);
}

static void test_poll_ms(void **state)
{
    (void) state;
    assert_int_equal(clock_poll_ms(5, USEC_NEVER), -1);
    assert_int_equal(clock_poll_ms(5, 5), 0);
    assert_int_equal(clock_poll_ms(5, 4), 0);
    assert_int_equal(clock_poll_ms(5, 6), 1);
    assert_int_equal(clock_poll_ms(0, 1000), 1);
    assert_int_equal(clock_poll_ms(0, 1001), 2);
    assert_int_equal(clock_poll_ms(0, USEC_NEVER - 1), INT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_poll_ms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
