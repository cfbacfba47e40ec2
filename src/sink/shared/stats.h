/*
 * What is counted, and the sums over all workers; made from stats.def. Each number is a single
 * atomic word, so they may be of slightly different moments.
 */
#ifndef SINK_SHARED_STATS_H
#define SINK_SHARED_STATS_H

#include "base/error.h"

#include <stdatomic.h>

/* How many bounds a histogram may have. */
#define HISTOGRAM_BOUNDS 16
#define STATS_ERROR_CLASSES (ERROR_KAFKA + 1)

/* Written by its worker alone, read by any thread at any time. */
struct histogram_words {
    _Atomic uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* of each bucket alone; the last has no bound */
    _Atomic uint64_t sum;
};

struct worker_stats {
#define STAT(name, kind, unit, help) _Atomic uint64_t name;
#define STAT_BY(name, kind, unit, labels, help) _Atomic uint64_t name;
#define HISTOGRAM(name, unit, scale, help, ...) struct histogram_words name;
#include "sink/shared/stats.def"
    _Atomic uint64_t retries_by_class[STATS_ERROR_CLASSES];
    _Atomic uint64_t committed_ms; /* Unix time of the last COMMIT; 0: none yet */
};

/* The same of all workers. */
struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS + 1];
    uint64_t sum;
};

struct totals {
#define STAT(name, kind, unit, help) uint64_t name;
#define STAT_BY(name, kind, unit, labels, help) uint64_t name;
#define HISTOGRAM(name, unit, scale, help, ...) struct histogram name;
#include "sink/shared/stats.def"
    uint64_t retries_by_class[STATS_ERROR_CLASSES];
    uint64_t committed_ms; /* the latest */
};

enum stats_histogram {
#define HISTOGRAM(name, unit, scale, help, ...) HISTOGRAM_##name,
#include "sink/shared/stats.def"
};

/* The bounds of a histogram, in rising order; their number goes to *out_n. */
const uint64_t *stats_bounds(enum stats_histogram which, size_t *out_n);

/* To be called by the writer only. @thread worker */
void stats_count(_Atomic uint64_t *counter, uint64_t n);
void stats_set(_Atomic uint64_t *gauge, uint64_t value);
#define stats_observe(stats, name, value)                                                          \
    stats_observe_in(&(stats)->name, HISTOGRAM_##name, (value))
void stats_observe_in(struct histogram_words *h, enum stats_histogram which, uint64_t value);

/* Adds one worker's numbers. @thread any */
void stats_add(struct totals *t, const struct worker_stats *s);
/* The same of one that ends: what it has counted. @thread any */
void stats_keep(struct totals *t, const struct worker_stats *s);

/*
 * What a route has stored, counted by all workers and read by any thread. Dead letters have a word
 * for each SQLSTATE: entries are taken in order and never given back, and what comes after the last
 * is counted by `others`. A code is its five characters as a number; 0: the entry is free.
 */
#define ROUTE_CODES 31
struct route_stats {
    _Atomic uint64_t rows;
    struct route_code {
        _Atomic uint64_t code;
        _Atomic uint64_t count;
    } codes[ROUTE_CODES];
    _Atomic uint64_t others;
    size_t users; /* policies that count in it: main's */
};
void stats_route_rows(struct route_stats *r, uint64_t n);
void stats_route_letter(struct route_stats *r, const char *sqlstate);
/* The code as a text: "" where a dead letter has none. */
void stats_code_text(uint64_t code, char out[static 6]);

#endif
