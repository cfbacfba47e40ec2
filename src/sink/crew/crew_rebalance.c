/*
 * What the group gives and takes: a rebalance is accepted at once, its partitions are planned and
 * claimed; a revocation is answered when the workers have let go, or at its deadline. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define RELEASE_BUDGET (5 * USEC_PER_SEC) /* how long a revocation waits for last batches */

/*
 * One warning for each topic. Kafka hands a static member its old assignment, whatever it
 * subscribes to now; and another daemon of the group may have other routes.
 */
static void note_stranger(const struct event *e, size_t at)
{
    const char *topic = e->refs[at].topic;
    for (size_t i = at; i-- > 0;) {
        if (strcmp(e->refs[i].topic, topic) == 0) {
            return;
        }
    }
    log_event(LOG(topic_without_route), topic);
}

/* Invariant I10: what no route takes never gets as far as a partition. */
static void assign(struct crew *c, const struct event *e)
{
    client_accept(c->cc.client);
    c->assigned_once = true;
    c->assigned_at = clock_mono();
    bool stranger = false;
    log_event(LOG(assigned), e->ref_count, e->ref_count == 1 ? "" : "s");
    for (size_t i = 0; i < e->ref_count; i++) {
        if (!plan_takes(c->cc.plan, e->refs[i].topic)) {
            note_stranger(e, i);
            stranger = true;
        } else if (index_find(&c->index, e->refs[i].topic, e->refs[i].partition) == NULL) {
            crew_first_begin(c, crew_add(c, &e->refs[i]));
        }
    }
    crew_member_assigned(c, e, stranger);
}

void crew_end_revoke(struct crew *c)
{
    client_give_up(c->cc.client, c->revoke_refs, c->revoke_ref_count);
    for (size_t i = 0; i < c->revoke_ref_count; i++) {
        free((void *) (uintptr_t) c->revoke_refs[i].topic);
    }
    free(TAKE_PTR(c->revoke_refs));
    c->revoke_ref_count = 0;
    c->revoking = false;
    c->revoke_waits = 0;
    for (size_t i = c->count; i-- > 0;) {
        struct partition *p = c->partitions[i];
        p->awaited = false;
        if (p->released) {
            crew_forget(c, p); /* its offset is not committed in time */
        }
    }
}

static void release(struct crew *c, struct partition *p, bool wait)
{
    if (p->fetched) {
        c->revoke_refs[c->revoke_ref_count++] = (struct partition_ref){
            .topic = mem_strdup(p->topic), .partition = p->number, .offset = -1};
    }
    index_remove(&c->index, p->topic, p->number);
    p->first_due = p->range_due = false;
    partition_set(p, PARTITION_RELEASING);
    if (p->worker == NULL) {
        crew_forget(c, p);
        return;
    }
    p->awaited = wait;
    c->revoke_waits += wait;
    worker_post(p->worker, partition_order(p, ORDER_RELEASE));
}

static void revoke(struct crew *c, const struct event *e)
{
    if (c->revoking) {
        crew_end_revoke(c); /* the library does not wait for the old answer any more */
    }
    log_event(LOG(revoked), e->ref_count, e->ref_count == 1 ? "" : "s",
              e->lost ? "lost: the group has gone on without this member" : "revoked");
    c->revoking = true;
    c->revoke_deadline = clock_mono() + RELEASE_BUDGET;
    c->revoke_refs = mem_array(e->ref_count, sizeof *c->revoke_refs);
    for (size_t i = 0; i < e->ref_count; i++) {
        struct partition *p = index_find(&c->index, e->refs[i].topic, e->refs[i].partition);
        if (p != NULL) {
            release(c, p, !e->lost);
        }
    }
    if (c->revoke_waits == 0) {
        crew_end_revoke(c);
    }
}

void crew_event(struct crew *c, struct event *e)
{
    if (e->kind == EVENT_ASSIGN) {
        assign(c, e);
    } else if (e->kind == EVENT_REVOKE) {
        revoke(c, e);
    } else if (e->kind == EVENT_COMMITTED) {
        crew_commit_answer(c, e);
    } else if (e->kind == EVENT_DOUBT) {
        crew_verify_event(c, e);
    } else if (e->kind == EVENT_AWAY) {
        crew_ask_ping(c);
    }
}
