/*
 * Counting, and the sum over all workers. A counter has one writer, so a load and a store are
 * enough: no locked addition on the way of every batch. Any thread.
 */
#include "sink/shared/stats.h"

/* The kinds that a row may name. */
enum stat_kind { COUNTER, GAUGE };
#define STAT(name, kind, unit, help)                                                               \
    _Static_assert((kind) == COUNTER || (kind) == GAUGE, #name " is of no known kind");
#include "sink/shared/stats.def"
#undef STAT

void stats_count(_Atomic uint64_t *counter, uint64_t n)
{
    stats_set(counter, atomic_load_explicit(counter, memory_order_relaxed) + n);
}

void stats_set(_Atomic uint64_t *gauge, uint64_t value)
{
    atomic_store_explicit(gauge, value, memory_order_relaxed);
}

void stats_add(struct totals *t, const struct worker_stats *s)
{
#define STAT(name, kind, unit, help)                                                               \
    t->name += atomic_load_explicit(&s->name, memory_order_relaxed);
#include "sink/shared/stats.def"
#undef STAT
}

void stats_keep(struct totals *t, const struct worker_stats *s)
{
#define STAT(name, kind, unit, help)                                                               \
    t->name += (kind) == COUNTER ? atomic_load_explicit(&s->name, memory_order_relaxed) : 0;
#include "sink/shared/stats.def"
#undef STAT
}
