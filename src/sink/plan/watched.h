/*
 * What all workers together have seen of the columns that a route's records never have a field for:
 * the counts of one table of one route. Workers count without a lock. Any thread.
 */
#ifndef SINK_PLAN_WATCHED_H
#define SINK_PLAN_WATCHED_H

#include "base/base.h"

#include <stdatomic.h>

/* More tables of a route than that are not watched; each ALTER makes one more. */
#define WATCHED_MAX 256

struct watched_table {
    struct watched_table *next;
    uint32_t target; /* its id, which no other table gets again */
    _Atomic bool is_said;
    _Atomic uint64_t records;
    _Atomic uint64_t found[]; /* a bit for each column that a record had a field for */
};

/* Only grows: what a worker has found stays until watched_done. All zero: empty. */
struct watched {
    _Atomic(struct watched_table *) first;
    _Atomic unsigned count;
};

/* When no worker uses it any more. */
void watched_done(struct watched *w);

/* That of a target with so many columns, begun if nobody has; NULL: there are WATCHED_MAX. */
struct watched_table *watched_of(struct watched *w, uint32_t target, size_t columns);

/* A record had a field for this column, counted from 0. Said before watched_count of that record.
 */
void watched_find(struct watched_table *t, size_t column);

/* One more record; returns how many there are now. Whoever reads that number or a later one sees
 * what was found before it. */
uint64_t watched_count(struct watched_table *t);
uint64_t watched_records(struct watched_table *t);
bool watched_has(struct watched_table *t, size_t column);

#endif
