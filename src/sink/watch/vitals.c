/* See vitals.h. */
#include "sink/watch/vitals.h"

#include "base/failpoint.h"

#include <stdio.h>

/* Every loop turns every 3 s at least; one that has not turned for this long hangs. */
#define BEAT_LIMIT (10 * USEC_PER_SEC)

void vitals_begin(struct vitals *v, struct worker *const *workers, size_t n)
{
    v->workers = workers;
    atomic_store_explicit(&v->worker_count, n, memory_order_release);
}

void vitals_turn(struct vitals *v, usec_t now)
{
    atomic_store_explicit(&v->main_usec, now, memory_order_relaxed);
}

static usec_t main_beat(const struct vitals *v)
{
    return atomic_load_explicit(&v->main_usec, memory_order_relaxed);
}

bool vitals_main_turns(const struct vitals *v)
{
    return main_beat(v) != 0;
}

static bool is_late(usec_t beat, usec_t now)
{
    return now > beat && now - beat > failpoint_time(FAILTIME_BEAT_LIMIT, BEAT_LIMIT);
}

bool vitals_alive(const struct vitals *v, usec_t now, char *out_who, size_t size)
{
    size_t n = atomic_load_explicit(&v->worker_count, memory_order_acquire);

    if (vitals_main_turns(v) && is_late(main_beat(v), now)) {
        snprintf(out_who, size, "main");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        usec_t beat = atomic_load_explicit(&worker_stats(v->workers[i])->beat_usec,
                                           memory_order_relaxed);
        if (is_late(beat, now)) {
            snprintf(out_who, size, "worker %u", worker_number(v->workers[i]));
            return false;
        }
    }
    return true;
}
