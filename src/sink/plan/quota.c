/* A rate that threads share, see quota.h. */
#include "sink/plan/quota.h"

#include <assert.h>

#define NSEC_PER_USEC INT64_C(1000)

void quota_init(struct quota *q, uint64_t count, usec_t per)
{
    int64_t period_ns = (int64_t) per * NSEC_PER_USEC;

    atomic_init(&q->full_at_ns, 0);
    q->period_ns = period_ns;
    q->step_ns = count == 0 ? 0 : period_ns / (int64_t) count;
    assert(count == 0 || q->step_ns >= NSEC_PER_USEC);
}

/*
 * Each one taken puts off the time at which the bucket is full by a step. It is empty when that
 * time lies a whole period ahead; steps were rounded down, so the last of a period still fits.
 */
bool quota_take(struct quota *q, usec_t now)
{
    int64_t now_ns = (int64_t) now * NSEC_PER_USEC;
    int64_t full_at = atomic_load_explicit(&q->full_at_ns, memory_order_relaxed);
    int64_t next;

    if (q->step_ns == 0) {
        return true;
    }
    do {
        next = MAX(full_at, now_ns) + q->step_ns;
        if (next > now_ns + q->period_ns) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&q->full_at_ns, &full_at, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

uint64_t quota_room(const struct quota *q, usec_t now)
{
    int64_t now_ns = (int64_t) now * NSEC_PER_USEC;
    int64_t full_at = atomic_load_explicit(&q->full_at_ns, memory_order_relaxed);

    if (q->step_ns == 0) {
        return UINT64_MAX;
    }
    int64_t left = now_ns + q->period_ns - MAX(full_at, now_ns);
    return left <= 0 ? 0 : (uint64_t) (left / q->step_ns);
}
