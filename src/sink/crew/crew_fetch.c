/*
 * Which partitions the library fetches, and from where: the one exchange of sink/shared/mail.h,
 * main's part of it. A partition that has stopped is not fetched. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

#define FETCH_RETRY USEC_PER_SEC
#define START_GRACE (300 * USEC_PER_MSEC)

void crew_fetch_want(struct crew *c)
{
    if (!c->starts_due) {
        c->starts_due = true;
        c->starts_since = clock_mono();
    }
    c->resume_awaited = false;
}

/*
 * What must not be fetched any more, or must be fetched again: partitions that are to start; those
 * that have stopped, are lost, move, or wait for a claim (so they cost no traffic; their workers
 * drop what still comes); and with the eager protocol all: the others start again from what is
 * stored, and their workers drop, by its offset, what they have already taken.
 */
static bool to_unfetch(const struct partition *p, bool all)
{
    bool is_useless = p->state == PARTITION_STOPPED || p->state == PARTITION_LOST ||
                      p->state == PARTITION_CLAIMING || p->moves;

    return p->fetched && (all || p->start >= START_WANTED || is_useless);
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

/* Those that the eager protocol stops with them go on with the next start, which is due. */
void crew_fetch_stop(struct crew *c)
{
    bool all = !client_is_cooperative(c->cc.client);

    unfetch(c, all);
    if (all) {
        crew_fetch_want(c);
    }
}

/* For the next client_fetch: those to be started, and those that were only in the way. */
static bool to_fetch(const struct partition *p)
{
    bool is_only_in_the_way = p->state == PARTITION_FETCHING && p->start == START_NONE;

    return !p->fetched && (p->start >= START_WANTED || is_only_in_the_way);
}

/* Routes them, as must be done before the fetch, and collects what to fetch. */
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
            .offset = p->start != START_NONE ? p->start_offset : partition_stored(p),
            .leader_epoch = p->start != START_NONE ? p->known.leader_epoch : -1,
        };
        feed_unroute(p->route);
        p->route = feed_route(worker_feed(p->worker), p->topic, p->number);
    }
    return n;
}

static void note_fetched(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (to_fetch(p)) {
            p->fetched = true;
            partition_set(p, PARTITION_FETCHING);
        }
    }
}

/* First step: stops what was fetched, and asks the workers to read again. True: all have answered.
 */
static bool ask_resume(struct crew *c)
{
    bool answered = true;

    unfetch(c, !client_is_cooperative(c->cc.client));
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (p->start == START_WANTED) {
            p->start = START_ASKED;
            struct order *o = partition_order(p, ORDER_RESUME);
            o->seq = p->start_seq;
            o->broker = p->broker;
            worker_post(p->worker, o);
        }
        answered = answered && p->start != START_ASKED;
    }
    c->resume_awaited = !answered;
    return answered;
}

/* Second step, when all have answered. */
static void fetch(struct crew *c, usec_t now)
{
    struct error err;

    (void) failpoint_hit(FAILPOINT_CREW_BEFORE_ASSIGN);
    struct partition_ref *refs = mem_array(c->count, sizeof *refs);
    size_t n = prepare_fetch(c, refs);
    if (n == 0 || client_fetch(c->cc.client, refs, n, &err)) {
        note_fetched(c);
        c->starts_due = false;
    } else {
        c->fetch_at = now + FETCH_RETRY;
        log_event(LOG(kafka_call_failed), err.text);
    }
    free(refs);
}

/*
 * With the eager protocol every start makes all partitions start again: it is better to wait a
 * little for claims that are still under way, and to start them together.
 */
static bool starts_can_wait(const struct crew *c, usec_t now)
{
    if (client_is_cooperative(c->cc.client) || now >= c->starts_since + START_GRACE) {
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        if (p->start == START_UNVERIFIED ||
            (p->state == PARTITION_CLAIMING && p->start == START_NONE)) {
            return true;
        }
    }
    return false;
}

void crew_fetch_turn(struct crew *c, usec_t now)
{
    if (c->starts_due && now >= c->fetch_at && !starts_can_wait(c, now) && ask_resume(c)) {
        fetch(c, now);
    }
}

usec_t crew_fetch_deadline(const struct crew *c)
{
    bool waits = c->starts_due && !c->resume_awaited; /* a worker's answer wakes by itself */

    return waits ? MAX(c->fetch_at, c->starts_since + START_GRACE) : USEC_NEVER;
}
