/*
 * A worker's thread: the loop, its slots, the orders it takes and the reports it makes. What goes
 * into batches is worker_fill.c, what goes over the connection worker_link.c, what the answers mean
 * worker_settle.c. Worker thread, but for the last section, which is main's.
 */
#include "sink/worker/worker.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "row/schema/shape.h"
#include "sink/worker/worker_state.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An idle worker turns this often, to show that it is alive. */
#define TICK_USEC (3 * USEC_PER_SEC)

static void order_free(struct order *o)
{
    schema_drop(o->schema);
    free(o->fault);
    free(o);
}

/* ---- slots ---- */

/* To be called when slots come or go. */
static void forget_last(struct worker *w)
{
    w->last_slot = NULL;
}

/* The slot of main's handle, unless it is on its way out. */
static struct slot *slot_of(struct worker *w, const struct order *o)
{
    struct slot *s = index_find(&w->index, o->topic, o->number);

    return s != NULL && s->partition == o->partition ? s : NULL;
}

/* ---- orders ---- */

/* A new partition; one whose first offset is known now; one that was lost or stopped and is to be
 * tried again. */
static void order_adopt(struct worker *w, struct order *o)
{
    struct slot *s = slot_of(w, o);

    if (s == NULL) {
        s = mem_zalloc(sizeof *s);
        s->partition = o->partition;
        s->topic = o->topic;
        s->number = o->number;
        s->plan = o->plan;
        s->unplanned = TAKE_PTR(o->fault);
        s->share = o->share;
        s->denied = atomic_load_explicit(&s->share->denied, memory_order_relaxed);
        s->fetched = atomic_load_explicit(&s->share->fetched, memory_order_relaxed);
        s->state = SLOT_CLAIMING;
        s->stored = s->expect = s->end_published = s->gap.to = s->inserted_at = -1;
        s->cleared_offset = s->blamed = s->doubt.blamed = -1;
        s->known.fp.offset = s->tail.offset = FINGERPRINT_NONE;
        s->known.leader_epoch = s->broker = s->doubtful_broker = -1;
        w->slots = mem_grow(w->slots, &w->slot_cap, w->slot_count, sizeof *w->slots);
        w->slots[w->slot_count++] = s;
        index_put(&w->index, s->topic, s->number, s);
        forget_last(w);
    } else if (s->state == SLOT_UNKNOWN || s->state == SLOT_LOST) {
        slot_set(s, SLOT_CLAIMING);
        worker_slot_planned(w, s, o->plan);
    } else if (s->unplanned != NULL) {
        worker_slot_planned(w, s, o->plan);
    } else if (s->state == SLOT_STOPPED && s->lock.is_held) {
        worker_slot_wait_for_claim(s);
    } else if (s->state == SLOT_STOPPED) {
        worker_slot_try_again(w, s); /* still claimed */
    }
    s->first_offset = o->offset;
    s->first_reason = o->first_reason;
    if (w->delivery != DELIVERY_EXACTLY_ONCE && s->state == SLOT_CLAIMING) {
        worker_group_adopt(w, s);
    }
}

static void order_release(struct worker *w, struct slot *s)
{
    if (s == NULL) {
        return;
    }
    slot_set(s, SLOT_RELEASING);
    worker_schema_forget(w, s);
    worker_group_release(w, s);
    w->releasing_count++;
    w->flush = true;
    index_remove(&w->index, s->topic, s->number);
    forget_last(w);
}

/* Orders are taken between records, never in the middle of one, so nothing older can follow. */
static void order_resume(struct worker *w, struct slot *s, const struct order *o)
{
    if (s != NULL && s->state == SLOT_WAITING && s->seq == o->seq &&
        !worker_slot_verify_tail(w, s)) {
        s->broker = s->doubtful_broker >= 0 ? s->doubtful_broker : o->broker;
        s->doubtful_broker = -1;
        slot_set(s, SLOT_READING);
        worker_report(w, REPORT_RESUMED, s, s->expect, NULL);
    }
}

static void order_gap(struct worker *w, struct slot *s, const struct gap *gap)
{
    if (s != NULL && slot_owns(s) && s->expect == gap->from) {
        s->gap = *gap;
        w->flush = true;
    }
}

/* What was taken since main learned of it may be of another log already. */
static void order_verify(struct worker *w, struct slot *s, const char *why)
{
    if (s != NULL && s->state == SLOT_READING) {
        worker_slot_verify_again(w, s, s->anchors[0], why);
    }
}

static void order_note(struct slot *s, const struct log_ids *ids)
{
    if (s != NULL && slot_owns(s)) {
        s->known.ids = *ids;
        s->note_due = true;
    }
}

static void order_stand(struct worker *w, struct slot *s, const struct error *err)
{
    /* What is held starts again when it is claimed, and main finds out again. */
    if (s != NULL && slot_owns(s) && !s->lock.is_held) {
        worker_slot_stopped_by_main(w, s, err);
    }
}

/* What is on its way goes on: a policy that it was counted for is among those of now. */
static void order_config(struct worker *w, const struct order *o)
{
    w->wc.cfg = o->cfg;
    w->wc.policies = o->policies;
    worker_absence_reset(w);
    feed_want_headers(w->wc.feed, o->want_headers);
    worker_link_configure(w);
    worker_report(w, REPORT_CONFIGURED, NULL, 0, NULL);
}

static void take_order(struct worker *w, struct order *o)
{
    switch (o->kind) {
    case ORDER_ADOPT:
        order_adopt(w, o);
        break;
    case ORDER_RESUME:
        order_resume(w, slot_of(w, o), o);
        break;
    case ORDER_GAP:
        order_gap(w, slot_of(w, o), &o->gap);
        break;
    case ORDER_VERIFY:
        order_verify(w, slot_of(w, o), o->why);
        break;
    case ORDER_NOTE:
        order_note(slot_of(w, o), &o->ids);
        break;
    case ORDER_STAND:
        order_stand(w, slot_of(w, o), o->fault);
        break;
    case ORDER_PLAN:
        worker_plan_take(w, o);
        break;
    case ORDER_CONFIG:
        order_config(w, o);
        break;
    case ORDER_RELEASE:
        order_release(w, slot_of(w, o));
        break;
    case ORDER_SCHEMA:
        worker_schema_take(w, o);
        break;
    case ORDER_COMMITTED:
        break; /* its only purpose is to wake the loop */
    case ORDER_STOP:
        w->stopping = true;
        w->flush = true;
        w->stop_deadline = o->deadline;
        break;
    }
}

static void take_orders(struct worker *w)
{
    struct mail *m = mailbox_take(&w->orders);

    while (m != NULL) {
        struct order *o = (struct order *) m;
        m = m->next;
        take_order(w, o);
        order_free(o);
    }
}

/* ---- letting partitions go ---- */

/*
 * The last records of a partition that is being released are stored if the connection is well, else
 * they are dropped: the ledger has not moved, and its next reader starts there.
 */
static void release_slots(struct worker *w)
{
    bool unwell = w->link.state == LINK_DOWN || w->link.state == LINK_CONNECTING ||
                  w->link.retry_at > clock_mono() || w->stale;

    for (size_t i = w->slot_count; i-- > 0 && w->releasing_count > 0;) {
        struct slot *s = w->slots[i];
        if (s->state != SLOT_RELEASING) {
            continue;
        }
        if (unwell && w->link.state != LINK_WRITING) {
            worker_outbox_drop(w, s);
            worker_due_take_back(w, s);
        }
        if (worker_outbox_holds(w, s) || worker_ledger_uses(w, s)) {
            continue;
        }
        (void) failpoint_hit(FAILPOINT_WORKER_BEFORE_RELEASE);
        worker_report(w, REPORT_RELEASED, s, s->stored, NULL);
        w->slots[i] = w->slots[--w->slot_count];
        w->releasing_count--;
        worker_slot_free(w, s);
    }
}

/* ---- the loop ---- */

static bool has_work(const struct worker *w)
{
    return w->outbox_count > 0 || !batch_is_empty(w->open);
}

/* When stopping: done when all is stored, or when storing cannot succeed in time. */
static bool may_end(const struct worker *w)
{
    if (!w->stopping) {
        return false;
    }
    bool linked = w->link.state != LINK_DOWN && w->link.state != LINK_CONNECTING;
    return !has_work(w) || !linked || clock_mono() >= w->stop_deadline;
}

static usec_t wake_at(const struct worker *w, usec_t now)
{
    usec_t due = MIN(worker_schedule_deadline(w), worker_schema_deadline(w));
    usec_t at = MIN(now + TICK_USEC, due);

    if (w->stopping) {
        at = MIN(at, w->stop_deadline);
    }
    bool may_write = w->link.state == LINK_IDLE && !w->awaits_group && !w->stale;
    if (may_write && !batch_is_empty(w->open)) {
        at = MIN(at, MAX(w->open->opened_usec + w->wc.cfg->batch.linger, w->link.retry_at));
    }
    return at;
}

static void wait_for_events(struct worker *w)
{
    bool taking = worker_fill_has_room(w);
    struct pollfd fds[3] = {
        {.fd = w->orders.fd, .events = POLLIN},
        {.fd = taking ? feed_fd(w->wc.feed) : -1, .events = POLLIN},
        {.fd = conn_fd(w->link.conn), .events = conn_events(w->link.conn)},
    };
    usec_t now = clock_mono();
    int timeout = taking && w->more ? 0 : clock_poll_ms(now, wake_at(w, now));

    if (poll(fds, ARRAY_LEN(fds), timeout) > 0) {
        w->more |= fds[1].revents != 0;
        w->link.check_idle |= fds[2].revents != 0;
    }
}

static void count_buffered(struct worker *w)
{
    size_t bytes = batch_memory(w->open);

    for (size_t i = 0; i < w->outbox_count; i++) {
        bytes += batch_memory(w->outbox[i]);
    }
    stats_set(&w->stats.buffer_bytes, bytes);
}

/* Everything that can be done without waiting. */
static void turn(struct worker *w)
{
    stats_set(w->wc.beat, clock_mono());
    take_orders(w);
    worker_schedule_run(w);
    worker_schema_turn(w);
    if (w->more) {
        worker_fill(w);
        worker_schedule_run(w);
    }
    if (w->fault_count > 0) {
        worker_plan_doubt_faults(w);
        worker_slot_report_faults(w);
    }
    if (w->releasing_count > 0) {
        release_slots(w);
    }
    count_buffered(w);
}

static void run(void *arg)
{
    struct worker *w = arg;

    thread_own(&w->owner);
    for (turn(w); !may_end(w); turn(w)) {
        wait_for_events(w);
    }
    worker_group_end(w);
    conn_close(w->link.conn);
    struct report *r = worker_report_new(w, REPORT_ENDED, NULL, 0, NULL);
    r->connected = !w->link.down_reported;
    worker_report_post(w, r);
}

/* ---- main's side ---- */

struct worker *worker_start(const struct worker_config *wc)
{
    struct worker *w = mem_zalloc(sizeof *w);

    w->wc = *wc;
    w->delivery = wc->cfg->delivery;
    w->confirmed = true;
    mailbox_init(&w->orders);
    w->decoder = decoder_new();
    w->open = batch_new();
    w->open_id = 1;
    worker_link_init(w);
    stats_set(w->wc.beat, clock_mono());
    char name[16];
    snprintf(name, sizeof name, "worker-%u", wc->number);
    thread_start(&w->thread, name, run, w);
    return w;
}

void worker_post(struct worker *w, struct order *o)
{
    mailbox_post(&w->orders, &o->mail);
}

const struct worker_stats *worker_stats(const struct worker *w)
{
    return &w->stats;
}

struct feed *worker_feed(const struct worker *w)
{
    return w->wc.feed;
}

uint32_t worker_number(const struct worker *w)
{
    return w->wc.number;
}

bool worker_join(struct worker *w, usec_t timeout)
{
    return thread_join_until(&w->thread, timeout);
}

void worker_free(struct worker *w)
{
    /* Orders that came too late: what they name is gone. */
    for (struct mail *m = mailbox_take(&w->orders); m != NULL;) {
        struct mail *next = m->next;
        order_free((struct order *) m);
        m = next;
    }
    for (size_t i = 0; i < w->slot_count; i++) {
        worker_slot_free(w, w->slots[i]);
    }
    free(w->slots);
    index_done(&w->index);
    for (size_t i = 0; i < w->outbox_count; i++) {
        batch_free(w->outbox[i]);
    }
    free(w->outbox);
    for (size_t i = 0; i < WORKER_SPARE_BATCHES; i++) {
        batch_free(w->spare[i]);
    }
    batch_free(w->open);
    decoder_free(w->decoder);
    worker_schema_done(w);
    worker_link_done(w);
    worker_plan_done(w);
    worker_absence_reset(w);
    mailbox_done(&w->orders);
    free(w);
}
