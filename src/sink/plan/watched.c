/*
 * See watched.h. Tables are put in front of a list and never leave it, so it is read without a
 * lock.
 *
 *   worker 1: find(column)  count -> 999
 *   worker 2:                             count -> 1000, has(column)
 *
 * Each count releases what its worker has found and acquires what others have, so worker 2 sees it.
 */
#include "sink/plan/watched.h"

#include "base/mem.h"

#include <stdlib.h>

#define BITS 64

void watched_done(struct watched *w)
{
    struct watched_table *t = atomic_load(&w->first);

    while (t != NULL) {
        struct watched_table *next = t->next;
        free(t);
        t = next;
    }
    atomic_store(&w->first, NULL);
    atomic_store(&w->count, 0);
}

static struct watched_table *find(struct watched_table *first, uint32_t target)
{
    struct watched_table *t = first;

    while (t != NULL && t->target != target) {
        t = t->next;
    }
    return t;
}

struct watched_table *watched_of(struct watched *w, uint32_t target, size_t columns)
{
    struct watched_table *first = atomic_load_explicit(&w->first, memory_order_acquire);
    struct watched_table *t = find(first, target);

    if (t != NULL || atomic_load_explicit(&w->count, memory_order_relaxed) >= WATCHED_MAX) {
        return t;
    }
    struct watched_table *mine = mem_zalloc(sizeof *mine +
                                            (columns / BITS + 1) * sizeof mine->found[0]);
    mine->target = target;
    do {
        t = find(first, target);
        if (t != NULL) { /* another worker was faster */
            free(mine);
            return t;
        }
        mine->next = first;
    } while (!atomic_compare_exchange_weak_explicit(&w->first, &first, mine, memory_order_acq_rel,
                                                    memory_order_acquire));
    atomic_fetch_add_explicit(&w->count, 1, memory_order_relaxed);
    return mine;
}

void watched_find(struct watched_table *t, size_t column)
{
    if (!watched_has(t, column)) {
        atomic_fetch_or_explicit(&t->found[column / BITS], UINT64_C(1) << (column % BITS),
                                 memory_order_relaxed);
    }
}

uint64_t watched_count(struct watched_table *t)
{
    return atomic_fetch_add_explicit(&t->records, 1, memory_order_acq_rel) + 1;
}

uint64_t watched_records(struct watched_table *t)
{
    return atomic_load_explicit(&t->records, memory_order_acquire);
}

bool watched_has(struct watched_table *t, size_t column)
{
    uint64_t word = atomic_load_explicit(&t->found[column / BITS], memory_order_relaxed);

    return (word >> (column % BITS) & 1) != 0;
}
