/*
 * How long the sink waits before it blames, tries again or repeats itself, when something cannot be
 * stored (docs/decisions/025). They are no options: what a user wants to change is the fault. Tests
 * shorten them, see base/failpoint.h. Any thread.
 */
#ifndef SINK_SHARED_DELAYS_H
#define SINK_SHARED_DELAYS_H

#include "base/failpoint.h"

/* A refusal without a witness lasts this long before its record is blamed. */
static inline usec_t delay_patience(void)
{
    return failpoint_time(FAILTIME_PATIENCE, 30 * USEC_PER_SEC);
}

/* The same of one for which the target is more likely, with a strict witness. */
static inline usec_t delay_strict(void)
{
    return failpoint_time(FAILTIME_STRICT, 30 * USEC_PER_SEC);
}

/* Between the first tries of what is parked, and what the time between them grows to. */
static inline usec_t delay_retry(void)
{
    return failpoint_time(FAILTIME_RETRY, 5 * USEC_PER_SEC);
}

static inline usec_t delay_retry_max(void)
{
    return failpoint_time(FAILTIME_RETRY_MAX, 60 * USEC_PER_SEC);
}

/* How long until the next try, after that many in vain: twice as long each time. */
static inline usec_t delay_retry_after(unsigned tries)
{
    usec_t wait = delay_retry();

    for (unsigned i = 0; i < tries && wait < delay_retry_max(); i++) {
        wait *= 2;
    }
    return MIN(wait, delay_retry_max());
}

/* Such a try waits this long for its table's lock. */
static inline usec_t delay_lock(void)
{
    return failpoint_time(FAILTIME_LOCK, 100 * USEC_PER_MSEC);
}

/* Serialization failures and deadlocks of one batch, before it is parked. */
static inline usec_t delay_again(void)
{
    return failpoint_time(FAILTIME_AGAIN, 10 * USEC_PER_SEC);
}

/* Before records that cannot be read are fetched again. */
static inline usec_t delay_corrupt(void)
{
    return failpoint_time(FAILTIME_CORRUPT, 60 * USEC_PER_SEC);
}

/* After which the log says again what stands. */
static inline usec_t delay_repeat(void)
{
    return failpoint_time(FAILTIME_REPEAT, 600 * USEC_PER_SEC);
}

/* How long a fault of a schema is believed before the registry is asked again. */
static inline usec_t delay_schema_fault(void)
{
    return failpoint_time(FAILTIME_SCHEMA_FAULT, 60 * USEC_PER_SEC);
}

/* How long the registry must say that it does not have a schema before that is believed. */
static inline usec_t delay_schema_absent(void)
{
    return failpoint_time(FAILTIME_SCHEMA_ABSENT, 10 * USEC_PER_SEC);
}

/* Between two looks at when certificates expire. */
static inline usec_t delay_certificates(void)
{
    return failpoint_time(FAILTIME_CERTIFICATES, 86400 * USEC_PER_SEC);
}

#endif
