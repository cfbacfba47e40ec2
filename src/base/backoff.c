/* See backoff.h. Its random numbers need to be spread, not secret. One thread per object. */
#include "base/backoff.h"

#include <assert.h>

/* splitmix64 (Steele, Lea, Flood 2014): one addition and a mix, any seed is good. */
static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void backoff_init(struct backoff *b, usec_t base, usec_t cap, uint64_t seed)
{
    assert(base > 0 && base <= cap && cap <= UINT64_MAX / 4);
    *b = (struct backoff){.base = base, .cap = cap, .rng = seed};
}

usec_t backoff_next(struct backoff *b)
{
    usec_t previous = b->last ? b->last : b->base;
    usec_t span = previous * 3 - b->base + 1;
    usec_t wait = b->base + next_random(&b->rng) % span;

    b->last = MIN(b->cap, wait);
    return b->last;
}

usec_t backoff_longest(struct backoff *b)
{
    b->last = b->cap;
    return b->cap;
}

void backoff_reset(struct backoff *b)
{
    b->last = 0;
}
