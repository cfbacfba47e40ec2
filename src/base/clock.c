/* Reading the two clocks, see clock.h. Any thread. */
#include "base/clock.h"

#include <assert.h>
#include <limits.h>
#include <time.h>

static struct timespec read_clock(clockid_t id)
{
    struct timespec ts;

    int rc = clock_gettime(id, &ts);
    assert(rc == 0);
    return ts;
}

usec_t clock_mono(void)
{
    struct timespec ts = read_clock(CLOCK_MONOTONIC);

    return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    struct timespec ts = read_clock(CLOCK_REALTIME);

    return (int64_t) ts.tv_sec * 1000 + (int64_t) ts.tv_nsec / 1000000;
}

int clock_poll_ms(usec_t now, usec_t deadline)
{
    if (deadline == USEC_NEVER) {
        return -1;
    }
    if (deadline <= now) {
        return 0;
    }
    /* Rounded up: a poll that returned a little early would spin until the deadline has come. */
    usec_t ms = (deadline - now - 1) / USEC_PER_MSEC + 1;
    return ms > INT_MAX ? INT_MAX : (int) ms;
}
