/*
 * How long the sink waits before it blames, tries again or repeats itself, when something cannot be
 * stored (docs/decisions/025). They are the same for everybody, and no option: what a user may want
 * to change is the fault. Builds with failpoints read others from the environment, so that tests
 * need not wait:
 *     PGSINKD_TEST_TIMES="patience=2s,strict=2s,retry=200ms,retry_max=1s,lock=100ms,again=1s"
 * Set by main before the other threads start; then read by all.
 */
#ifndef SINK_SHARED_DELAYS_H
#define SINK_SHARED_DELAYS_H

#include "base/clock.h"

struct delays {
    usec_t patience;  /* a refusal without a witness lasts this long before its record is blamed */
    usec_t strict;    /* one for which the target is more likely, with a witness */
    usec_t retry;     /* between the first tries of what is parked */
    usec_t retry_max; /* ... and what the time between them grows to */
    usec_t lock;      /* such a try waits for its table's lock at most this long */
    usec_t again;     /* serialization failures and deadlocks of one batch, before it is parked */
    usec_t corrupt;   /* before records that cannot be read are fetched again */
    usec_t repeat;    /* after which the log says again what stands */
};

extern struct delays delays;

/* Reads the environment, in such builds. Ends the program if it cannot be understood. */
void delays_init(void);

#endif
