/*
 * What a worker does with one of its slots, whatever the reason: begin at an offset, have the log
 * verified again, read again, stop at a record. The caller knows why. Worker thread.
 */
#include "base/mem.h"
#include "sink/worker/worker_state.h"

#include <stdlib.h>

/* ---- where it begins ---- */

void worker_slot_set_stored(struct slot *s, int64_t next_offset)
{
    s->stored = next_offset;
    atomic_store_explicit(&s->share->stored, next_offset, memory_order_release);
}

/* WAITING, until main has verified the log and begun to fetch from `offset`. The report is to be
 * posted. */
static struct report *new_start(struct worker *w, struct slot *s, int64_t offset,
                                const struct error *why)
{
    s->seq++;
    slot_set(s, SLOT_WAITING);
    struct report *r = worker_report_new(w, REPORT_START, s, offset, why);
    r->known = s->known;
    return r;
}

static void start_at(struct worker *w, struct slot *s, int64_t offset, const struct error *why,
                     bool inserted)
{
    worker_slot_set_stored(s, offset);
    worker_due_begin(w, s, offset);
    s->expect = offset;
    s->gap.to = -1;
    s->known.is_doubted = false;
    s->tail.offset = FINGERPRINT_NONE;
    s->doubtful_broker = -1;
    s->anchors[0] = s->anchors[1] = s->known.fp;
    worker_slot_forget_fault(w, s);
    struct report *r = new_start(w, s, offset, why);
    r->inserted = inserted;
    worker_report_post(w, r);
}

void worker_slot_start(struct worker *w, struct slot *s, int64_t offset, bool inserted)
{
    start_at(w, s, offset, NULL, inserted);
}

/* What was taken stays in its batches: the next record is still the one that is expected. */
void worker_slot_verify_again(struct worker *w, struct slot *s, struct fingerprint fp,
                              const char *why)
{
    struct error err;

    error_set(&err, ERROR_AGAIN, "%s", why);
    s->known.is_doubted = true;
    if (fp.offset >= 0 && fp.offset < s->known.fp.offset) {
        s->tail = s->known.fp;
        s->known.fp = fp;
    }
    worker_report_post(w, new_start(w, s, s->expect, &err));
}

/*
 * A record of a while ago shows that the log is not a new one of the same name. But the log may
 * have been truncated after it, so the last record has to be there too.
 */
bool worker_slot_verify_tail(struct worker *w, struct slot *s)
{
    if (s->tail.offset < 0) {
        return false;
    }
    s->known.fp = s->tail;
    s->tail.offset = FINGERPRINT_NONE;
    struct report *r = new_start(w, s, s->expect, NULL);
    r->is_tail = true;
    worker_report_post(w, r);
    return true;
}

void worker_slot_read_again(struct worker *w, struct slot *s, const struct error *why)
{
    worker_outbox_drop(w, s);
    worker_due_take_back(w, s);
    if (slot_owns(s)) {
        start_at(w, s, s->stored, why, false);
    }
}

/* ---- faults ---- */

/*
 * One fault per partition, the first in the order of its records: PostgreSQL may still refuse one
 * that was taken before the one that cannot be decoded. So it is
 * reported when everything before it is stored.
 */
void worker_slot_stop(struct worker *w, struct slot *s, int64_t offset, enum report_kind kind,
                      struct error *err)
{
    error_wrap(err, "%s-%d@%lld", s->topic, s->number, (long long) offset);
    worker_slot_forget_fault(w, s);
    s->fault = worker_report_new(w, kind, s, offset, err);
    w->fault_count++;
    w->flush = true;
    if (s->state != SLOT_STOPPED) {
        slot_set(s, SLOT_STOPPED);
    }
}

void worker_slot_forget_fault(struct worker *w, struct slot *s)
{
    if (s->fault != NULL) {
        free(TAKE_PTR(s->fault));
        w->fault_count--;
    }
}

void worker_slot_report_faults(struct worker *w)
{
    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        if (s->fault != NULL && !worker_outbox_holds(w, s)) {
            worker_report_post(w, TAKE_PTR(s->fault));
            w->fault_count--;
        }
    }
}
