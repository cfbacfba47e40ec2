/* See vitals.h. */
#include "sink/watch/vitals.h"

#include "base/failpoint.h"

#include <assert.h>
#include <stdio.h>

/* Every loop turns every 3 s at least; one that has not turned for this long hangs. */
#define BEAT_LIMIT (10 * USEC_PER_SEC)

_Atomic uint64_t *vitals_worker(struct vitals *v, uint32_t number)
{
    assert(number >= 1 && number <= CONFIG_WORKERS_MAX);
    return &v->worker_usec[number - 1];
}

void vitals_worker_ended(struct vitals *v, uint32_t number)
{
    atomic_store_explicit(vitals_worker(v, number), 0, memory_order_relaxed);
}

void vitals_turn(struct vitals *v, usec_t now)
{
    atomic_store_explicit(&v->main_usec, now, memory_order_relaxed);
}

bool vitals_main_turns(const struct vitals *v)
{
    return atomic_load_explicit(&v->main_usec, memory_order_relaxed) != 0;
}

static bool is_late(const _Atomic uint64_t *beat_usec, usec_t now)
{
    usec_t beat = atomic_load_explicit(beat_usec, memory_order_relaxed);

    return beat != 0 && now > beat && now - beat > failpoint_time(FAILTIME_BEAT_LIMIT, BEAT_LIMIT);
}

bool vitals_alive(const struct vitals *v, usec_t now, char *out_who, size_t size)
{
    if (is_late(&v->main_usec, now)) {
        snprintf(out_who, size, "main");
        return false;
    }
    for (unsigned i = 0; i < CONFIG_WORKERS_MAX; i++) {
        if (is_late(&v->worker_usec[i], now)) {
            snprintf(out_who, size, "worker %u", i + 1);
            return false;
        }
    }
    return true;
}
