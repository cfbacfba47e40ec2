/*
 * A partition's life, as main sees it. Every arrow is taken in partition_set.
 *
 *     PLANNING --> CLAIMING <-> FETCHING <--> GAPPED    the range is asked for, the ledger moved
 *                     ^            |  ^
 *                     |            v  |                 START leads to FETCHING from anywhere
 *                     +--- LOST, STOPPED
 *     any --> RELEASING --> (freed when its worker has let go)
 *
 * When a partition takes an arrow is decided by the crew's other files. Main thread.
 */
#include "sink/crew/partition.h"

#include "base/log.h"
#include "base/mem.h"
#include "sink/crew/crew_state.h"
#include "sink/shared/delays.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- states ---- */

void partition_set(struct partition *p, enum partition_state state)
{
    assert(p->state != PARTITION_RELEASING);
    p->state = state;
    p->start = START_NONE; /* a start that is under way is overtaken */
    p->verify_due = false;
    p->retry_at = USEC_NEVER;
}

void partition_stop(struct partition *p, const char *why)
{
    partition_set(p, PARTITION_STOPPED);
    p->lacks_schema = false;
    free(p->why);
    p->why = mem_strdup(why);
}

static bool is_other(const char *reason, const char *before)
{
    return *reason != '\0' && *before != '\0' && strcmp(reason, before) != 0;
}

bool partition_stands(struct partition *p, enum standing_state state, const char *sqlstate)
{
    usec_t now = clock_mono();
    bool is_news = p->standing != state || is_other(sqlstate, p->stands_for);

    if (is_news || *sqlstate != '\0') {
        snprintf(p->stands_for, sizeof p->stands_for, "%s", sqlstate);
    }
    if (!is_news) {
        return false;
    }
    p->stands_since = p->standing == STANDING_NONE ? now : p->stands_since;
    p->standing = state;
    p->repeat_at = now + delay_repeat();
    return true;
}

void partition_moves(struct partition *p, int64_t offset, int64_t blamed)
{
    double stood = (double) (clock_mono() - p->stands_since) / (double) USEC_PER_SEC;

    if (p->standing == STANDING_NONE) {
        return;
    }
    if (blamed >= 0) {
        log_event_at(partition_at(p, offset), LOG(partition_blamed), p->topic, p->number,
                     (long long) offset, standing_name(p->standing), stood, (long long) blamed);
    } else {
        log_event_at(partition_at(p, offset), LOG(partition_moves), p->topic, p->number,
                     (long long) offset, standing_name(p->standing), stood);
    }
    p->standing = STANDING_NONE;
}

/* ---- life ---- */

struct partition *partition_add(struct crew *c, const struct partition_ref *ref)
{
    struct partition *p = mem_zalloc(sizeof *p);

    p->topic = mem_strdup(ref->topic);
    p->number = ref->partition;
    p->generation = ++c->last_generation;
    p->retry_at = USEC_NEVER;
    p->committed = -1;
    atomic_init(&p->share.stored, -1);
    atomic_init(&p->share.end, -1);
    atomic_init(&p->share.timestamp_ms, -1);
    atomic_init(&p->share.due, -1);
    atomic_init(&p->share.committed, -1);
    c->partitions = mem_grow(c->partitions, &c->cap, c->count, sizeof(struct partition *));
    c->partitions[c->count++] = p;
    index_put(&c->index, p->topic, p->number, p);
    return p;
}

/* What was stored of a partition that goes stays in the numbers of its topic. */
static void keep_records(struct crew *c, const struct partition *p)
{
    uint64_t records = atomic_load_explicit(&p->share.records, memory_order_relaxed);
    struct crew_topic *t = index_find(&c->topics, p->topic, 0);

    if (records == 0) {
        return;
    }
    if (t == NULL) {
        t = mem_zalloc(sizeof *t + strlen(p->topic) + 1);
        memcpy(t->name, p->topic, strlen(p->topic));
        index_put(&c->topics, t->name, 0, t);
    }
    t->records += records;
}

static void partition_free(struct partition *p)
{
    feed_unroute(p->route);
    free(p->topic);
    free(p->why);
    free(p);
}

void partition_forget(struct crew *c, struct partition *p)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->partitions[i] == p) {
            c->partitions[i] = c->partitions[--c->count];
            break;
        }
    }
    if (p->worker != NULL) {
        c->load[p->worker_index]--;
    }
    keep_records(c, p);
    partition_free(p);
}

/* ---- orders ---- */

struct order *partition_order(struct partition *p, enum order_kind kind)
{
    struct order *o = mem_zalloc(sizeof *o);

    o->kind = kind;
    o->partition = p;
    o->topic = p->topic;
    o->number = p->number;
    o->plan = p->plan;
    o->share = &p->share;
    return o;
}

static size_t least_loaded(const struct crew *c)
{
    size_t best = 0;

    for (size_t i = 1; i < c->active; i++) {
        if (c->load[i] < c->load[best]) {
            best = i;
        }
    }
    return best;
}

static struct order *adopt_order(struct crew *c, struct partition *p)
{
    if (p->worker == NULL) {
        p->worker_index = least_loaded(c);
        p->worker = c->cc.workers[p->worker_index];
        c->load[p->worker_index]++;
    }
    return partition_order(p, ORDER_ADOPT);
}

void partition_adopt_unplanned(struct crew *c, struct partition *p, const struct error *why)
{
    struct order *o = adopt_order(c, p);

    o->offset = -1;
    o->fault = mem_zalloc(sizeof *o->fault);
    *o->fault = *why;
    worker_post(p->worker, o);
}

void partition_adopt(struct crew *c, struct partition *p, int64_t first_offset)
{
    partition_set(p, PARTITION_CLAIMING);
    if (p->worker == NULL && first_offset < 0 && !config_has_ledger(c->cc.cfg)) {
        p->first_due = true; /* the group knows where it begins */
        return;
    }
    struct order *o = adopt_order(c, p);
    o->offset = first_offset;
    o->first_reason = p->first_reason;
    worker_post(p->worker, o);
}
