/*
 * What a worker counts, and the sum over all workers; made from stats.def. Each number is a single
 * atomic word with one writer, so they may be of slightly different moments.
 */
#ifndef SINK_SHARED_STATS_H
#define SINK_SHARED_STATS_H

#include "base/base.h"

#include <stdatomic.h>

/* Written by its worker alone, read by any thread at any time. */
struct worker_stats {
#define STAT(name, kind, unit, help) _Atomic uint64_t name;
#include "sink/shared/stats.def"
#undef STAT
    /* When the worker's loop turned last, in monotonic microseconds: for the watchdog, no number to
     * be added up. */
    _Atomic uint64_t beat_usec;
};

/* The same of all workers. */
struct totals {
#define STAT(name, kind, unit, help) uint64_t name;
#include "sink/shared/stats.def"
#undef STAT
};

/* To be called by the writer only. @thread worker */
void stats_count(_Atomic uint64_t *counter, uint64_t n);
void stats_set(_Atomic uint64_t *gauge, uint64_t value);

/* Adds one worker's numbers. @thread any */
void stats_add(struct totals *t, const struct worker_stats *s);
/* The same of one that ends: what it has counted. @thread any */
void stats_keep(struct totals *t, const struct worker_stats *s);

#endif
