/*
 * Pauses between retries, with decorrelated jitter: next = min(cap, random(base, 3 * previous)).
 * Spreads the retries of many processes without coordination ("Exponential Backoff And Jitter",
 * M. Brooker, 2015). One thread per object.
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include "base/clock.h"

struct backoff {
    usec_t base;
    usec_t cap;
    usec_t last; /* 0 = fresh */
    uint64_t rng;
};

/* 0 < base <= cap; any seed is good, but each process should have its own. */
void backoff_init(struct backoff *b, usec_t base, usec_t cap, uint64_t seed);
usec_t backoff_next(struct backoff *b);    /* how long to wait now, in microseconds */
usec_t backoff_longest(struct backoff *b); /* the same, but as long as it gets */
void backoff_reset(struct backoff *b);     /* after a success */

#endif
