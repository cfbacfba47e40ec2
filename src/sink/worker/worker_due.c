/*
 * The words of a partition's share by which positions go to the Kafka group, where there is no
 * ledger: `due` is what the group is to have, which the worker writes; `committed` what it has,
 * which main writes. What waits for them is worker_group.c. Worker thread.
 */
#include "sink/worker/worker_state.h"

int64_t worker_due_committed(const struct slot *s)
{
    return atomic_load_explicit(&s->share->committed, memory_order_acquire);
}

int64_t worker_due_of(const struct slot *s)
{
    return atomic_load_explicit(&s->share->due, memory_order_relaxed);
}

void worker_due_set(struct slot *s, int64_t offset)
{
    s->taken_back = s->taken_back || offset < worker_due_of(s);
    atomic_store_explicit(&s->share->due, offset, memory_order_release);
}

void worker_due_report(struct worker *w)
{
    worker_report(w, REPORT_DUE, NULL, 0, NULL);
}

/* Before REPORT_START, which makes main look. */
void worker_due_begin(const struct worker *w, struct slot *s, int64_t offset)
{
    if (w->delivery != DELIVERY_EXACTLY_ONCE) {
        worker_due_set(s, offset);
    }
}

void worker_due_take_back(struct worker *w, struct slot *s)
{
    if (w->delivery == DELIVERY_AT_MOST_ONCE && worker_due_of(s) > s->stored) {
        worker_due_set(s, s->stored);
        worker_due_report(w);
    }
}
