/*
 * The batches that a worker holds: the open one, and the sealed ones in the outbox, oldest first.
 * Seals, cuts and drops them, but does not decide when they are sent.
 * Worker thread.
 */
#include "base/mem.h"
#include "sink/worker/worker_state.h"

#include <assert.h>

struct batch *worker_outbox_spare(struct worker *w)
{
    for (size_t i = 0; i < WORKER_SPARE_BATCHES; i++) {
        if (w->spare[i] != NULL) {
            return TAKE_PTR(w->spare[i]);
        }
    }
    return batch_new();
}

void worker_outbox_recycle(struct worker *w, struct batch *b)
{
    policies_give_back(w->wc.policies, b);
    batch_clear(b);
    for (size_t i = 0; i < WORKER_SPARE_BATCHES; i++) {
        if (w->spare[i] == NULL) {
            w->spare[i] = b;
            return;
        }
    }
    batch_free(b);
}

static void outbox_insert(struct worker *w, size_t at, struct batch *b)
{
    w->outbox = mem_grow(w->outbox, &w->outbox_cap, w->outbox_count, sizeof(struct batch *));
    for (size_t i = w->outbox_count; i > at; i--) {
        w->outbox[i] = w->outbox[i - 1];
    }
    w->outbox[at] = b;
    w->outbox_count++;
}

void worker_outbox_remove(struct worker *w, size_t at)
{
    worker_outbox_recycle(w, w->outbox[at]);
    w->outbox_count--;
    for (size_t i = at; i < w->outbox_count; i++) {
        w->outbox[i] = w->outbox[i + 1];
    }
}

void worker_outbox_seal(struct worker *w)
{
    struct batch *b = w->open;

    for (size_t i = 0; i < b->span_count; i++) {
        struct slot *s = b->spans[i].tag;
        b->spans[i].end_offset = atomic_load_explicit(&s->share->end, memory_order_relaxed);
    }
    outbox_insert(w, w->outbox_count, b);
    w->open = worker_outbox_spare(w);
    w->open_id++;
    w->flush = false;
}

void worker_outbox_cut(struct worker *w, size_t records)
{
    struct batch *head = worker_outbox_spare(w);

    batch_split(w->outbox[0], records, head);
    outbox_insert(w, 0, head);
}

bool worker_outbox_holds(const struct worker *w, const struct slot *s)
{
    for (size_t i = 0; i < w->outbox_count; i++) {
        if (batch_find(w->outbox[i], s) != NULL) {
            return true;
        }
    }
    return batch_find(w->open, s) != NULL;
}

void worker_outbox_drop_empty(struct worker *w)
{
    for (size_t i = w->outbox_count; i-- > 0;) {
        if (batch_is_empty(w->outbox[i])) {
            worker_outbox_remove(w, i);
        }
    }
}

void worker_outbox_drop(struct worker *w, struct slot *s)
{
    assert(w->link.state != LINK_WRITING);
    for (size_t i = 0; i < w->outbox_count; i++) {
        batch_drop(w->outbox[i], s);
    }
    batch_drop(w->open, s);
    w->open_id++;
    worker_outbox_drop_empty(w);
}
