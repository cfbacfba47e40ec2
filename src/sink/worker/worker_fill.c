/*
 * From the queue into the open batch: the hot path. Each record is decoded, encoded and released
 * at once. Nothing here touches the connection; a record that makes no rows because something is
 * wrong with it becomes a dead letter, or stops its partition. Worker thread.
 */
#include "kafka/feed.h"
#include "row/record/record.h"
#include "sink/plan/plan.h"
#include "sink/shared/delays.h"
#include "sink/worker/worker_state.h"

#include <assert.h>

/* Records taken before the connection is looked at again: keeps PostgreSQL fed while a batch is
 * being filled. */
#define FILL_RECORDS 512

bool worker_fill_has_room(const struct worker *w)
{
    return !w->stopping && !worker_schema_waits(w) &&
           w->open->record_count < w->wc.cfg->batch.max_rows &&
           batch_memory(w->open) < w->wc.cfg->batch.max_bytes;
}

static struct slot *find_slot(struct worker *w, const struct feed_item *item)
{
    if (w->last_slot != NULL && w->last_topic_id == item->topic_id &&
        w->last_number == item->partition) {
        return w->last_slot;
    }
    struct slot *s = index_find(&w->index, item->message.topic.p, item->partition);
    if (s != NULL) {
        w->last_topic_id = item->topic_id;
        w->last_number = item->partition;
        w->last_slot = s;
    }
    return s;
}

/* The slot's span in the open batch, made when it has none. */
static uint32_t span_of(struct worker *w, struct slot *s)
{
    if (s->span_open_id != w->open_id) {
        if (batch_is_empty(w->open)) {
            w->open->opened_usec = clock_mono();
        }
        s->span = batch_span(w->open, s, s->topic, s->number, s->owner_epoch, s->expect);
        s->span_open_id = w->open_id;
    }
    return s->span;
}

/* A span that was opened for a record that failed moves nothing, and would never be sent. */
static void drop_idle_span(struct worker *w, struct slot *s)
{
    const struct span *span = batch_find(w->open, s);

    if (span != NULL && span->from == span->next) {
        batch_drop(w->open, s);
        w->open_id++;
    }
}

/* A share of dead letters is one of the records that their route takes. */
static void count_taken(struct worker *w, uint32_t route)
{
    if (decoder_took(w->decoder) && policy_counts(policies_at(w->wc.policies, route))) {
        batch_take(w->open, route, false);
    }
}

/* Nothing was made of the record, and nothing after it is taken. */
static void leave(struct worker *w, struct slot *s)
{
    batch_record_abort(w->open);
    drop_idle_span(w, s);
}

static void add_record(struct worker *w, struct slot *s, struct feed_item *item)
{
    struct message *msg = &item->message;
    struct error err;
    bool has_headers = w->keeps; /* asked for once, whoever wants them */

    assert(s->plan->route_count > 0); /* I10: or it would be passed without a row */
    batch_record_begin(w->open, span_of(w, s), msg->offset, msg->timestamp_ms, msg->leader_epoch);
    if (w->keeps) {
        feed_headers(w->wc.feed, msg);
        batch_keep(w->open, msg);
    }
    for (size_t i = 0; i < s->plan->route_count; i++) {
        const struct record_route *route = &s->plan->routes[i];
        if (!has_headers && mapping_wants_headers(route->mapping)) {
            feed_headers(w->wc.feed, msg);
            has_headers = true;
        }
        if (record_rows(w->decoder, route, msg, w->open, &err)) {
            count_taken(w, route->number);
            if (!worker_absence_is_over(w, route->number)) {
                worker_absence_look(w, route, msg);
            }
            continue;
        }
        if (err.class == ERROR_AGAIN) {
            leave(w, s);
            worker_schema_lack(w, s, item);
            return;
        }
        if (err.class == ERROR_SETUP) {
            leave(w, s);
            worker_schema_park(w, s, msg->offset, &err);
            return;
        }
        record_compare(route, w->open);
        if (!worker_letters_reject(w, route->number, msg, &err)) {
            leave(w, s);
            worker_slot_stop(w, s, msg->offset, &err);
            s->fault_after = UINT64_MAX; /* before that its tables are looked up again */
            return;
        }
    }
    batch_record_end(w->open);
    s->expect = msg->offset + 1;
}

/*
 * May there be other records at these offsets by now? Another broker leads the partition, perhaps
 * one that lacked the newest records when it was elected. From 2.1 on the library watches that
 * itself, by leader epochs; then the item names no broker.
 */
static bool is_in_doubt(const struct slot *s, int32_t broker)
{
    return s->broker >= 0 && broker >= 0 && s->broker != broker;
}

/* When main asks for a verification, it is done by a fingerprint of at least this age: older than
 * main's doubt can be. */
#define ANCHOR_AGE USEC_PER_SEC

static void renew_anchors(struct slot *s)
{
    usec_t now = clock_mono();

    if (now >= s->anchored_at + ANCHOR_AGE) {
        s->anchors[0] = s->anchors[1];
        s->anchors[1] = s->known.fp;
        s->anchored_at = now;
    }
}

/*
 * Takes the fingerprint of the last record of a run: one for many records. The record's event is
 * still held while the item after it is looked at.
 */
static void end_run(struct worker *w)
{
    struct slot *s = TAKE_PTR(w->run);

    if (s != NULL && w->link.ledger != NULL && s->span_open_id == w->open_id) {
        s->known.fp = fingerprint_of(w->run_last);
        s->known.leader_epoch = w->run_last->leader_epoch;
        batch_span_mark(w->open, s->span, s->known.fp);
        renew_anchors(s);
    }
}

/* Main looks at it now and then, says so, and says when it is over. */
static void set_denied(struct slot *s, bool denied)
{
    if (s->denied != denied) {
        s->denied = denied;
        atomic_store_explicit(&s->share->denied, denied, memory_order_relaxed);
    }
    if (!denied && !s->fetched) {
        s->fetched = true;
        atomic_store_explicit(&s->share->fetched, true, memory_order_relaxed);
    }
}

static void take_denial(struct worker *w, const struct feed_item *item)
{
    struct slot *s = index_find(&w->index, item->topic, item->partition);

    if (s != NULL) {
        set_denied(s, true);
    }
}

static void take_message(struct worker *w, struct feed_item *item)
{
    struct slot *s = find_slot(w, item);

    if (s != NULL) {
        set_denied(s, false);
    }
    if (s == NULL || !slot_accepts(s, item->offset)) {
        return;
    }
    if (is_in_doubt(s, item->broker)) {
        end_run(w); /* the record before this one is what it is verified by */
        s->doubtful_broker = item->broker;
        worker_slot_verify_again(w, s, s->known.fp, "another broker leads it now");
        return;
    }
    s->broker = item->broker;
    add_record(w, s, item);
    if (s->expect == item->offset + 1) {
        if (w->run != s) {
            end_run(w);
        }
        w->run = s;
        w->run_last = &item->message;
    }
}

static void take_trouble(struct worker *w, const struct feed_item *item)
{
    struct slot *s = index_find(&w->index, item->topic, item->partition);

    if (s == NULL) {
        return;
    }
    struct error err;
    error_set(&err, ERROR_LINK, "%s-%d: %s", item->topic, item->partition, item->text);
    worker_report(w, REPORT_TROUBLE, s, item->offset, &err);
    if (item->kind == FEED_UNKNOWN && s->state == SLOT_READING && w->link.ledger != NULL) {
        worker_slot_verify_again(w, s, s->anchors[0], "its topic was unknown for a moment");
    }
}

/* For news about fetching, which matters only if the slot is reading now. */
static struct slot *reading_slot(struct worker *w, const struct feed_item *item)
{
    struct slot *s = index_find(&w->index, item->topic, item->partition);

    return s != NULL && s->state == SLOT_READING ? s : NULL;
}

/* The end of the partition: offsets up to here that held no record (markers, aborted records) are
 * passed. */
static void take_end(struct worker *w, const struct feed_item *item)
{
    struct slot *s = reading_slot(w, item);

    if (s == NULL) {
        return;
    }
    set_denied(s, false);
    atomic_store_explicit(&s->share->end, item->offset, memory_order_relaxed);
    if (item->offset > s->expect) {
        batch_span_skip(w->open, span_of(w, s), item->offset);
        s->expect = item->offset;
    }
}

/* The offset we want is outside the log: fetching has ended. Main decides. */
static void take_reset(struct worker *w, const struct feed_item *item)
{
    struct slot *s = reading_slot(w, item);

    if (s != NULL) {
        struct error err;
        error_set(&err, ERROR_RECORD, "%s-%d@%lld: %s", s->topic, s->number, (long long) s->expect,
                  item->text);
        struct report *r = worker_report_new(w, REPORT_RESET, s, s->expect, &err);
        r->truncated = item->truncated;
        r->log_end = item->log_end;
        worker_report_post(w, r);
    }
}

/* The library would read the same broken bytes again and again: stop, main tries again later. */
static void take_corrupt(struct worker *w, const struct feed_item *item)
{
    struct slot *s = reading_slot(w, item);

    if (s != NULL) {
        struct standing why = {.state = STANDING_STOPPED,
                               .offset = s->expect,
                               .retry_at = clock_mono() + delay_corrupt(),
                               .is_corrupt = true};
        error_set(&why.why, ERROR_RECORD, "cannot be read: %s", item->text);
        worker_slot_stand(w, s, &why);
    }
}

static void take_item(struct worker *w, struct feed_item *item)
{
    switch (item->kind) {
    case FEED_MESSAGE:
        take_message(w, item);
        break;
    case FEED_NONE:
        w->more = false;
        break;
    case FEED_END:
        take_end(w, item);
        break;
    case FEED_RESET:
        take_reset(w, item);
        break;
    case FEED_CORRUPT:
        take_corrupt(w, item);
        break;
    case FEED_DENIED:
        take_denial(w, item);
        break;
    case FEED_UNKNOWN:
    case FEED_TROUBLE:
        take_trouble(w, item);
        break;
    case FEED_OTHER:
        break;
    }
}

void worker_fill(struct worker *w)
{
    struct feed_item items[2]; /* the last one and the one before it: both records are still held */
    bool go_on = true;

    w->keeps = worker_letters_keeps(w);
    if (worker_fill_has_room(w) && worker_schema_take_hand(w, &items[1])) {
        take_message(w, &items[1]);
        end_run(w);
    }
    for (unsigned i = 0; go_on && i < FILL_RECORDS && worker_fill_has_room(w); i++) {
        struct feed_item *item = &items[i % 2];
        feed_take(w->wc.feed, item);
        take_item(w, item);
        if (w->run_last != &item->message) {
            end_run(w); /* the next item overwrites the last one of the run */
        }
        go_on = item->kind != FEED_NONE;
    }
    end_run(w);
    if (w->hand.item.kind == FEED_NONE) {
        feed_release(w->wc.feed); /* else its event is still needed */
    }
}
