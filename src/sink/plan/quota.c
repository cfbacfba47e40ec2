/* See quota.h. */
#include "sink/plan/quota.h"

#include <assert.h>

#define NSEC_PER_USEC INT64_C(1000)
#define NEVER INT64_MAX /* as need: no credit is enough */

void quota_init_share(struct quota *q, uint32_t share, uint32_t window)
{
    assert(share > 0 && share < QUOTA_SHARE_PARTS && window > 0 && window <= 1000000);
    q->kind = QUOTA_SHARE;
    q->good = share;
    q->letter = QUOTA_SHARE_PARTS - share;
    q->full = window * q->letter;
    atomic_init(&q->state, q->full);
}

void quota_init_rate(struct quota *q, uint64_t count, usec_t per)
{
    assert(count > 0);
    q->kind = QUOTA_RATE;
    q->good = 0;
    q->full = (int64_t) per * NSEC_PER_USEC;
    q->letter = q->full / (int64_t) count;
    assert(q->letter >= NSEC_PER_USEC);
    atomic_init(&q->state, 0);
}

void quota_init_off(struct quota *q)
{
    q->kind = QUOTA_OFF;
    q->good = q->letter = q->full = 0;
    atomic_init(&q->state, 0);
}

/* ---- a run of records ---- */

/*
 * Each record makes min(full, credit + good), or credit - letter, of the credit. So a run of them
 * makes min(top, credit + sum) of it, as long as no letter was more than there was.
 */
void quota_use_begin(const struct quota *q, struct quota_use *out)
{
    *out = (struct quota_use){.top = q->full, .need = INT64_MIN};
}

void quota_use_good(const struct quota *q, struct quota_use *use)
{
    use->sum += q->good;
    use->top = MIN(use->top + q->good, q->full);
}

void quota_use_letter(const struct quota *q, struct quota_use *use)
{
    use->letters++;
    if (q->kind == QUOTA_RATE) {
        return; /* which only counts them; its steps may add up to more than a number holds */
    }
    use->sum -= q->letter;
    use->top -= q->letter;
    if (use->top < 0) {
        use->need = NEVER;
    } else {
        use->need = MAX(use->need, -use->sum);
    }
}

/* ---- what may be had ---- */

/*
 * What the run would make of the state; false: it does not fit. Each letter of a rate puts off the
 * time at which the bucket is full by a step. It is empty when that time lies a whole period ahead;
 * steps were rounded down, so the last of a period still fits.
 */
static bool state_after(const struct quota *q, const struct quota_use *use, usec_t now,
                        int64_t state, int64_t *out)
{
    int64_t now_ns = (int64_t) now * NSEC_PER_USEC;

    switch (q->kind) {
    case QUOTA_OFF:
        *out = state;
        return true;
    case QUOTA_SHARE:
        *out = MIN(use->top, state + use->sum);
        return state >= use->need;
    case QUOTA_RATE:
        *out = state;
        if (use->letters == 0) {
            return true;
        }
        if (use->letters > q->full / q->letter) {
            return false; /* and their steps may be more than a number holds */
        }
        *out = MAX(state, now_ns) + use->letters * q->letter;
        return *out <= now_ns + q->full;
    }
    __builtin_unreachable();
}

bool quota_fits(const struct quota *q, const struct quota_use *use, usec_t now)
{
    int64_t after;

    return state_after(q, use, now, atomic_load_explicit(&q->state, memory_order_relaxed), &after);
}

bool quota_take(struct quota *q, const struct quota_use *use, usec_t now, int64_t *out_amount)
{
    int64_t state = atomic_load_explicit(&q->state, memory_order_relaxed);
    int64_t after;

    do {
        if (!state_after(q, use, now, state, &after)) {
            return false;
        }
    } while (after != state &&
             !atomic_compare_exchange_weak_explicit(&q->state, &state, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    *out_amount = q->kind == QUOTA_RATE ? use->letters * q->letter : after - state;
    return true;
}

/* A credit may fall below 0 here, when others have used meanwhile what good records had added. */
void quota_give_back(struct quota *q, int64_t amount)
{
    int64_t state = atomic_load_explicit(&q->state, memory_order_relaxed);
    int64_t after;

    do {
        after = q->kind == QUOTA_SHARE ? MIN(q->full, state - amount) : state - amount;
    } while (!atomic_compare_exchange_weak_explicit(&q->state, &state, after, memory_order_relaxed,
                                                    memory_order_relaxed));
}

void quota_refill(struct quota *q)
{
    atomic_store_explicit(&q->state, q->kind == QUOTA_SHARE ? q->full : 0, memory_order_relaxed);
}
