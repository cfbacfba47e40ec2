/*
 * Counting, and the sum over all workers. A counter of a worker has one writer, so a load and a
 * store are enough: no locked addition on the way of every batch. Those of a route have several,
 * and are added to once for each part of a batch. Any thread.
 */
#include "sink/shared/stats.h"

#include <string.h>

/* The kinds that a row may name. */
enum stat_kind { COUNTER, GAUGE, BUCKETS };
#define KIND(name, kind)                                                                           \
    _Static_assert((kind) == COUNTER || (kind) == GAUGE, #name " is of no known kind");
#define STAT(name, kind, unit, help) KIND(name, kind)
#define STAT_BY(name, kind, unit, labels, help) KIND(name, kind)
#define SEEN(name, kind, unit, labels, help)                                                       \
    _Static_assert((kind) <= BUCKETS, #name " is of no known kind");
#define PROCESS(name, kind, unit, help) KIND(name, kind)
#include "sink/shared/stats.def"

#define HISTOGRAM(name, unit, scale, help, ...)                                                    \
    static const uint64_t bounds_##name[] = {__VA_ARGS__};                                         \
    _Static_assert(ARRAY_LEN(bounds_##name) <= HISTOGRAM_BOUNDS, #name " has too many bounds");
#include "sink/shared/stats.def"

const uint64_t *stats_bounds(enum stats_histogram which, size_t *out_n)
{
    static const struct {
        const uint64_t *at;
        size_t n;
    } all[] = {
#define HISTOGRAM(name, unit, scale, help, ...)                                                    \
    [HISTOGRAM_##name] = {bounds_##name, ARRAY_LEN(bounds_##name)},
#include "sink/shared/stats.def"
    };

    *out_n = all[which].n;
    return all[which].at;
}

static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

void stats_count(_Atomic uint64_t *counter, uint64_t n)
{
    stats_set(counter, get(counter) + n);
}

void stats_set(_Atomic uint64_t *gauge, uint64_t value)
{
    atomic_store_explicit(gauge, value, memory_order_relaxed);
}

void stats_observe_in(struct histogram_words *h, enum stats_histogram which, uint64_t value)
{
    size_t n;
    const uint64_t *at = stats_bounds(which, &n);
    size_t i = 0;

    while (i < n && value > at[i]) {
        i++;
    }
    stats_count(&h->counts[i], 1);
    stats_count(&h->sum, value);
}

static void add_histogram(struct histogram *to, const struct histogram_words *from)
{
    for (size_t i = 0; i < ARRAY_LEN(to->counts); i++) {
        to->counts[i] += get(&from->counts[i]);
    }
    to->sum += get(&from->sum);
}

void stats_add(struct totals *t, const struct worker_stats *s)
{
#define STAT(name, kind, unit, help) t->name += get(&s->name);
#define STAT_BY(name, kind, unit, labels, help) t->name += get(&s->name);
#define HISTOGRAM(name, unit, scale, help, ...) add_histogram(&t->name, &s->name);
#include "sink/shared/stats.def"
    for (size_t i = 0; i < STATS_ERROR_CLASSES; i++) {
        t->retries_by_class[i] += get(&s->retries_by_class[i]);
    }
    uint64_t committed_ms = get(&s->committed_ms);
    t->committed_ms = MAX(t->committed_ms, committed_ms);
}

void stats_keep(struct totals *t, const struct worker_stats *s)
{
    struct totals before = *t;

    stats_add(t, s);
#define STAT(name, kind, unit, help) t->name = (kind) == COUNTER ? t->name : before.name;
#include "sink/shared/stats.def"
}

/* ---- routes ---- */

static void add(_Atomic uint64_t *word, uint64_t n)
{
    atomic_fetch_add_explicit(word, n, memory_order_relaxed);
}

void stats_route_rows(struct route_stats *r, uint64_t n)
{
    add(&r->rows, n);
}

/* Never 0: "" is a code as well. */
static uint64_t code_of(const char *sqlstate)
{
    uint64_t code = 1;

    for (size_t i = 0; i < 5 && sqlstate[i] != '\0'; i++) {
        code = code << 8 | (uint8_t) sqlstate[i];
    }
    return code;
}

void stats_code_text(uint64_t code, char out[static 6])
{
    size_t n = 0;

    for (int shift = 56; shift >= 0; shift -= 8) {
        char c = (char) (code >> shift & 0xff);
        if (c > 1 && n < 5) {
            out[n++] = c;
        }
    }
    out[n] = '\0';
}

void stats_route_letter(struct route_stats *r, const char *sqlstate)
{
    uint64_t code = code_of(sqlstate);

    for (size_t i = 0; i < ROUTE_CODES; i++) {
        uint64_t there = get(&r->codes[i].code);
        /* A free entry is taken by whoever is first; `there` is what it has become otherwise. */
        if (there == code ||
            (there == 0 &&
             (atomic_compare_exchange_strong(&r->codes[i].code, &there, code) || there == code))) {
            add(&r->codes[i].count, 1);
            return;
        }
    }
    add(&r->others, 1);
}
