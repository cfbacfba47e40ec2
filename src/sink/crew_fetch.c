/*
 * Which partitions the library fetches, and from where: the one exchange of sink/mail.h, main's
 * part of it. A partition that has stopped is not fetched. Main thread.
 */
#include "sink/crew_state.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

#define FETCH_RETRY USEC_PER_SEC
#define START_GRACE (300 * USEC_PER_MSEC)

void crew_note_start(struct crew *c)
{
    if (!c->starts_due) {
        c->starts_due = true;
        c->starts_since = clock_mono();
    }
}

/*
 * What must not be fetched any more, or anew: partitions that are to start, those that have stopped
 * (they cost no traffic; their workers drop what still comes), and with the eager protocol all: the
 * others start again from what is stored, and their workers drop, by its offset, what they have
 * already taken.
 */
static bool to_unfetch(const struct partition *p, bool all)
{
    return p->fetched && (all || p->start_due || p->state == PARTITION_STOPPED);
}

static void unfetch(struct crew *c, bool all)
{
    struct partition_ref *refs = mem_array(c->count, sizeof *refs);
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (to_unfetch(p, all)) {
            refs[n++] = (struct partition_ref){
                .topic = p->topic, .partition = p->number, .offset = -1};
            p->fetched = false;
        }
    }
    if (n > 0) {
        client_unfetch(c->cc.client, refs, n);
    }
    free(refs);
}

/* In the next client_fetch: those to be started, and those that were only in the way. */
static bool to_fetch(const struct partition *p)
{
    return !p->fetched && (p->start_due || p->state == PARTITION_FETCHING);
}

/* Routes and orders before the library is told: collects what to fetch. */
static size_t prepare_fetch(struct crew *c, struct partition_ref *refs)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (!to_fetch(p)) {
            continue;
        }
        refs[n++] = (struct partition_ref){
            .topic = p->topic,
            .partition = p->number,
            .offset = p->start_due ? p->start_offset : partition_stored(p),
        };
        feed_unroute(p->route);
        p->route = feed_route(worker_feed(p->worker), p->topic, p->number);
        if (p->start_due) {
            partition_post(p, ORDER_RESUME, -1, p->start_seq);
        }
    }
    return n;
}

static void note_fetched(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (to_fetch(p)) {
            p->fetched = true;
            p->start_due = false;
            partition_set(p, PARTITION_FETCHING);
        }
    }
}

/*
 * The order of the three steps is what sink/mail.h rests on: nothing old can be taken after
 * unfetch, RESUME is in the mailbox before anything new can be.
 */
static void start_fetching(struct crew *c, usec_t now)
{
    struct error err;
    unfetch(c, !client_is_cooperative(c->cc.client));
    (void) failpoint_hit(FAILPOINT_CREW_BEFORE_ASSIGN);
    struct partition_ref *refs = mem_array(c->count, sizeof *refs);
    size_t n = prepare_fetch(c, refs);
    if (n == 0 || client_fetch(c->cc.client, refs, n, &err)) {
        note_fetched(c);
        c->starts_due = false;
    } else {
        c->fetch_at = now + FETCH_RETRY;
        log_warning("kafka: %s; trying again", err.text);
    }
    free(refs);
}

/*
 * With the eager protocol every start makes all partitions start anew: better wait a little for the
 * claims that are still under way, and start them together.
 */
static bool starts_can_wait(const struct crew *c, usec_t now)
{
    if (client_is_cooperative(c->cc.client) || now >= c->starts_since + START_GRACE) {
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->partitions[i]->state == PARTITION_CLAIMING && !c->partitions[i]->start_due) {
            return true;
        }
    }
    return false;
}

void crew_fetch_turn(struct crew *c, usec_t now)
{
    if (c->starts_due && now >= c->fetch_at && !starts_can_wait(c, now)) {
        start_fetching(c, now);
    }
}

usec_t crew_fetch_deadline(const struct crew *c)
{
    return c->starts_due ? MAX(c->fetch_at, c->starts_since + START_GRACE) : USEC_NEVER;
}
