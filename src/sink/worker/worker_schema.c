/*
 * Records that wait for the schema that they were written with. It comes from main (ORDER_SCHEMA),
 * which asks the registry once, whoever wants it.
 *
 *     a record names a schema that is not known     REPORT_SCHEMA, once for each ref
 *     for a second the record is kept in hand,      the answer takes milliseconds, as a rule, and
 *     and nothing more is taken from the queue      then it goes on with that record
 *     if it has not come by then, the partition     all others go on; the partition is fetched
 *     is parked at the record                       again when the schema comes
 *     the schema cannot be used                     the same, but tried again now and then
 *
 * A record in hand is dropped when its slot has begun again meanwhile, or is on its way out: it is
 * one of an older fetch then (invariant I5). Worker thread.
 */
#include "row/record/record.h"
#include "row/record/written.h"
#include "sink/shared/delays.h"
#include "sink/worker/worker_state.h"

#include <string.h>

/* How long all partitions of a worker may wait for the schema of one. */
#define IN_HAND (USEC_PER_SEC)

bool worker_schema_waits(const struct worker *w)
{
    return w->hand.item.kind != FEED_NONE && !w->hand.is_ready;
}

usec_t worker_schema_deadline(const struct worker *w)
{
    return worker_schema_waits(w) ? w->hand.until : USEC_NEVER;
}

/* ---- parked at a record ---- */

static void park(struct worker *w, struct slot *s, int64_t offset, const struct error *err,
                 usec_t retry_at)
{
    const struct standing why = {.state = STANDING_PARKED,
                                 .offset = offset,
                                 .why = *err,
                                 .retry_at = retry_at,
                                 .lacks_schema = s->lacked.kind != SCHEMA_REF_NONE};

    worker_slot_stand(w, s, &why);
}

static void park_lacking(struct worker *w, struct slot *s, int64_t offset,
                         const struct schema_ref *ref)
{
    _cleanup_buf_ struct buf name = {0};
    struct error err;

    s->lacked = *ref;
    written_print_ref(ref, &name);
    error_set(&err, ERROR_SETUP, "waits for %s, which the registry has not given yet",
              buf_cstr(&name));
    error_hint(&err, "It continues by itself when the registry answers.");
    park(w, s, offset, &err, clock_mono() + delay_repeat());
}

void worker_schema_park(struct worker *w, struct slot *s, int64_t offset, const struct error *err)
{
    usec_t retry_at = clock_mono() + delay_retry_after(s->retries);

    s->retries++;
    s->lacked = (struct schema_ref){0};
    park(w, s, offset, err, retry_at);
}

/* ---- in hand ---- */

/* Until when a new question may hold up the others: not at all while an older one waits in vain. */
static usec_t patience(const struct worker *w)
{
    const struct schema_entry *oldest = w->asked.oldest;
    usec_t now = clock_mono();

    return oldest != NULL && oldest->until <= now ? now : now + IN_HAND;
}

static struct schema_entry *ask(struct worker *w, const struct schema_ref *ref)
{
    struct schema_entry *e = schema_table_find(&w->asked, ref);

    if (e == NULL) {
        usec_t until = patience(w);
        e = schema_table_add(&w->asked, ref);
        e->until = until;
        struct report *r = worker_report_new(w, REPORT_SCHEMA, NULL, 0, NULL);
        r->ref = *ref;
        worker_report_post(w, r);
    }
    return e;
}

void worker_schema_lack(struct worker *w, struct slot *s, const struct feed_item *item)
{
    const struct schema_ref *ref = decoder_lacks(w->decoder);
    const struct schema_entry *e = ask(w, ref);

    if (clock_mono() >= e->until) {
        park_lacking(w, s, item->offset, ref);
        return;
    }
    w->hand = (struct waiting){
        .item = *item,
        .slot = s,
        .seq = s->seq,
        .ref = *ref,
        .until = e->until,
    };
}

/* It is let go; its event is still held by the feed. */
static void empty_hand(struct worker *w)
{
    w->hand = (struct waiting){.item.kind = FEED_NONE};
    w->more = true; /* what came meanwhile was not looked at */
}

bool worker_schema_take_hand(struct worker *w, struct feed_item *out)
{
    const struct slot *s = w->hand.slot;
    bool is_same = w->hand.item.kind != FEED_NONE && w->hand.seq == s->seq;

    *out = w->hand.item;
    if (w->hand.item.kind != FEED_NONE) {
        empty_hand(w);
    }
    return is_same;
}

void worker_schema_forget(struct worker *w, const struct slot *s)
{
    if (w->hand.item.kind != FEED_NONE && w->hand.slot == s) {
        empty_hand(w);
    }
}

void worker_schema_turn(struct worker *w)
{
    struct slot *s = w->hand.slot;

    if (!worker_schema_waits(w) || clock_mono() < w->hand.until) {
        return;
    }
    if (w->hand.seq == s->seq && slot_accepts(s, w->hand.item.offset)) {
        park_lacking(w, s, w->hand.item.offset, &w->hand.ref);
    }
    empty_hand(w);
}

/* ---- answers ---- */

static void wake(struct worker *w, const struct schema_ref *ref)
{
    for (size_t i = 0; w->standing_count > 0 && i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        bool is_parked = s->standing != NULL && s->standing->state == STANDING_PARKED;
        if (is_parked && schema_ref_same(&s->lacked, ref)) {
            s->lacked = (struct schema_ref){0};
            s->standing->retry_at = clock_mono();
        }
    }
}

void worker_schema_take(struct worker *w, const struct order *o)
{
    struct schema_entry *asked = schema_table_find(&w->asked, &o->ref);

    decoder_learn(w->decoder, &o->ref, o->schema, o->fault);
    if (o->schema == NULL && o->fault == NULL) {
        return;
    }
    if (asked != NULL) {
        schema_table_remove(&w->asked, asked);
    }
    if (worker_schema_waits(w) && schema_ref_same(&w->hand.ref, &o->ref)) {
        w->hand.is_ready = true;
        w->more = true;
    }
    wake(w, &o->ref);
}

void worker_schema_done(struct worker *w)
{
    schema_table_done(&w->asked);
}
