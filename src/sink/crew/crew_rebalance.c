/*
 * What the group gives and takes: a rebalance is accepted at once, its partitions are planned and
 * claimed; a revocation is answered when the workers have let go, or at its deadline. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define RELEASE_BUDGET (5 * USEC_PER_SEC) /* how long a revocation waits for the last batches */

/*
 * One warning for each topic. It happens because Kafka hands a static member its old assignment,
 * whatever it subscribes to now, and because another daemon of the group may have other routes.
 */
static void log_stranger(const struct event *e, size_t at)
{
    const char *topic = e->refs[at].topic;

    for (size_t i = at; i-- > 0;) {
        if (strcmp(e->refs[i].topic, topic) == 0) {
            return;
        }
    }
    log_event_at((struct log_where){.topic = topic, .partition = -1, .offset = -1},
                 LOG(topic_without_route), topic);
}

/* Invariant I10: what no route takes never gets as far as a partition. */
void crew_rebalance_assign(struct crew *c, const struct event *e)
{
    client_accept(c->cc.client);
    c->assigned_once = true;
    c->assigned_at = clock_mono();
    c->seen.assigned++;
    c->seen.last_ms = clock_wall_ms();
    bool stranger = false;
    log_event(LOG(assigned), e->ref_count, e->ref_count == 1 ? "" : "s");
    for (size_t i = 0; i < e->ref_count; i++) {
        if (!plan_takes(c->cc.plan, e->refs[i].topic)) {
            log_stranger(e, i);
            crew_stranger_add(c, e->refs[i].topic, e->refs[i].partition);
            stranger = true;
        } else if (index_find(&c->index, e->refs[i].topic, e->refs[i].partition) == NULL) {
            crew_first_begin(c, partition_add(c, &e->refs[i]));
        }
    }
    crew_member_assigned(c, e, stranger);
}

/* ---- a revocation ---- */

static void forget(struct crew *c, struct partition *p)
{
    crew_commit_forget(c, p);
    partition_forget(c, p);
}

static void end_revoke(struct crew *c)
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
        p->fetched = p->fetched && p->state != PARTITION_RELEASING;
        if (p->released && !p->moves) {
            forget(c, p); /* its offset is not committed in time */
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
        forget(c, p);
        return;
    }
    p->awaited = wait;
    c->revoke_waits += wait;
    worker_post(p->worker, partition_order(p, ORDER_RELEASE));
}

/* It is on its way to another worker: now it does not come back. */
static void take_moving(struct crew *c, const struct partition_ref *ref, bool wait)
{
    struct partition *p = crew_move_find(c, ref);

    if (p != NULL) {
        crew_move_over(c, p);
        p->awaited = wait;
        c->revoke_waits += wait;
    }
}

void crew_rebalance_revoke(struct crew *c, const struct event *e)
{
    if (c->revoking) {
        end_revoke(c); /* the library does not wait for the old answer any more */
    }
    log_event(LOG(revoked), e->ref_count, e->ref_count == 1 ? "" : "s",
              e->lost ? "lost: the group has gone on without this member" : "revoked");
    c->revoking = true;
    c->seen.revoked += !e->lost;
    c->seen.lost += e->lost;
    c->seen.last_ms = clock_wall_ms();
    c->revoke_deadline = clock_mono() + RELEASE_BUDGET;
    c->revoke_refs = mem_array(e->ref_count, sizeof *c->revoke_refs);
    for (size_t i = 0; i < e->ref_count; i++) {
        struct partition *p = index_find(&c->index, e->refs[i].topic, e->refs[i].partition);
        crew_stranger_revoked(c, &e->refs[i]);
        if (p != NULL) {
            release(c, p, !e->lost);
        } else {
            take_moving(c, &e->refs[i], !e->lost);
        }
    }
    if (c->revoke_waits == 0) {
        end_revoke(c);
    }
}

/* ---- partitions that are given up ---- */

static void let_go(struct crew *c, struct partition *p)
{
    bool awaited = p->awaited;

    if (p->moves) {
        crew_commit_forget(c, p);
        crew_move_again(c, p);
        return;
    }
    forget(c, p);
    if (awaited && c->revoking && c->revoke_waits > 0 && --c->revoke_waits == 0) {
        end_revoke(c);
    }
}

/* Whoever reads it next begins where the group says: so the group is brought up to date first. */
void crew_rebalance_released(struct crew *c, struct partition *p)
{
    p->released = true;
    if (!(p->awaited || p->moves) || crew_commit_is_settled(c, p)) {
        let_go(c, p);
    }
}

void crew_rebalance_committed(struct crew *c)
{
    for (size_t i = c->count; i-- > 0;) {
        if (i < c->count && c->partitions[i]->released &&
            crew_commit_is_settled(c, c->partitions[i])) {
            let_go(c, c->partitions[i]);
        }
    }
}

/* ---- its deadline ---- */

void crew_rebalance_turn(struct crew *c, usec_t now)
{
    if (c->revoking && now >= c->revoke_deadline) {
        log_event(LOG(revoke_late));
        end_revoke(c);
    }
}

usec_t crew_rebalance_deadline(const struct crew *c)
{
    return c->revoking ? c->revoke_deadline : USEC_NEVER;
}

void crew_rebalance_done(struct crew *c)
{
    if (c->revoking) {
        end_revoke(c); /* or the library would wait for it when it is closed */
    }
}
