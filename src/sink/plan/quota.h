/*
 * A rate (count per period), shared by threads: how many records a route may give up. A bucket that
 * is full at first and refills steadily: as many as the rate names may come at once, and as many
 * again in each period. One atomic word holds all of it, the time at which the bucket will be full
 * again (GCRA); so there is no lock and no clean-up. Knows no clock and decides nothing. Any
 * thread.
 */
#ifndef SINK_PLAN_QUOTA_H
#define SINK_PLAN_QUOTA_H

#include "base/clock.h"

#include <stdatomic.h>

struct quota {
    _Atomic int64_t full_at_ns;
    int64_t step_ns;   /* in which one comes back; 0 = without a limit */
    int64_t period_ns; /* in which all do */
};

/* count 0 = without a limit. At most 1,000 in a millisecond, or steps would have no length. */
void quota_init(struct quota *q, uint64_t count, usec_t per);

/*
 * Takes one if there is one. now is clock_mono()'s; threads may differ in what they think it is.
 * False: over the rate, and nothing is taken.
 */
bool quota_take(struct quota *q, usec_t now) _must_;

/* How many could be taken now, if no other thread took any. */
uint64_t quota_room(const struct quota *q, usec_t now);

#endif
