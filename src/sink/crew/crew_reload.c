/*
 * Another configuration, while partitions are read by the one of before: which of them it concerns,
 * and when nothing of before is used any more. Whether it is to be in force was decided before.
 * Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define SUBSCRIBE_RETRY USEC_PER_SEC
/* How long a static member waits until it is written down that it gives up topics. */
#define STRIKE_LIMIT USEC_PER_SEC

/* ---- topics ---- */

static bool names_topic(const struct config *cfg, const char *name)
{
    for (size_t r = 0; r < cfg->route_count; r++) {
        const struct config_topics *topics = &cfg->routes[r].topics;
        for (size_t i = 0; i < topics->count; i++) {
            if (strcmp(topics->items[i].name, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Does a name all that b names? */
static bool names_all(const struct config *a, const struct config *b)
{
    for (size_t r = 0; r < b->route_count; r++) {
        const struct config_topics *topics = &b->routes[r].topics;
        for (size_t i = 0; i < topics->count; i++) {
            if (!names_topic(a, topics->items[i].name)) {
                return false;
            }
        }
    }
    return true;
}

/* A static member that is leaving will join with the topics of then (crew_member.c). */
static void subscribe(struct crew *c, usec_t now)
{
    struct error err;

    if (c->member.state == MEMBER_YIELDING || c->member.state == MEMBER_LEAVING ||
        client_subscribe(c->cc.client, c->cc.cfg, &err)) {
        c->subscribe_due = false;
        return;
    }
    log_event(LOG(kafka_call_failed), err.text);
    c->subscribe_at = now + SUBSCRIBE_RETRY;
}

/* ---- workers ---- */

static void tell_workers(struct crew *c, struct policies *policies)
{
    for (size_t i = 0; i < c->cc.worker_count; i++) {
        struct order *o = mem_zalloc(sizeof *o);
        o->kind = ORDER_CONFIG;
        o->cfg = c->cc.cfg;
        o->policies = policies;
        o->want_headers = plan_wants_headers(c->cc.plan);
        worker_post(c->cc.workers[i], o);
    }
    c->unconfigured = c->cc.worker_count;
}

void crew_configured(struct crew *c)
{
    c->unconfigured--;
}

void crew_set_workers(struct crew *c, struct worker **workers, size_t count, size_t active)
{
    size_t before = c->cc.worker_count;

    c->cc.workers = workers;
    c->cc.worker_count = count;
    c->rebalances = active > c->active;
    c->active = active;
    c->load = mem_realloc(c->load, MAX(count, 1), sizeof *c->load);
    for (size_t i = before; i < count; i++) {
        c->load[i] = 0;
    }
    crew_plan_resize(c, before);
}

bool crew_worker_is_idle(const struct crew *c, size_t at)
{
    return c->load[at] == 0;
}

/* ---- partitions ---- */

/* One without a plan has asked for that of the routes of before. */
static bool is_concerned(const struct crew *c, const struct partition *p)
{
    return p->state != PARTITION_RELEASING && (p->plan == NULL || !plan_has(c->cc.plan, p->plan));
}

/*
 * Another worker is to have it: its own is to end, or has more than its share, which `left` counts
 * down.
 */
static bool is_misplaced(const struct crew *c, const struct partition *p, size_t *left)
{
    if (p->worker == NULL || p->state == PARTITION_RELEASING) {
        return false;
    }
    if (p->worker_index < c->active && left[p->worker_index] > 0) {
        left[p->worker_index]--;
        return false;
    }
    return true;
}

/* How many partitions each worker may keep: as many as it has, unless there are new workers. */
static size_t *shares_new(const struct crew *c)
{
    size_t *left = mem_array(MAX(c->cc.worker_count, 1), sizeof *left);
    size_t total = 0;
    size_t most = 0;
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < c->cc.worker_count; i++) {
        total += c->load[i];
        most = MAX(most, c->load[i]);
        least = i < c->active ? MIN(least, c->load[i]) : least;
    }
    size_t workers = MAX(c->active, 1);
    size_t share = most > least + 1 && c->rebalances ? (total + workers - 1) / workers : SIZE_MAX;
    for (size_t i = 0; i < c->cc.worker_count; i++) {
        left[i] = share;
    }
    return left;
}

static void move_concerned(struct crew *c)
{
    _cleanup_mem_ size_t *left = shares_new(c);
    struct partition **list = mem_array(MAX(c->count, 1), sizeof(struct partition *));
    size_t n = 0;

    for (size_t i = 0; i < c->count; i++) {
        if (is_concerned(c, c->partitions[i]) || is_misplaced(c, c->partitions[i], left)) {
            list[n++] = c->partitions[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        crew_move_begin(c, list[i]);
    }
    free(list);
    if (n > 0) {
        crew_fetch_stop(c);
    }
}

void crew_reload(struct crew *c, const struct config *cfg, struct policies *policies)
{
    const struct config *before = c->cc.cfg;

    c->gone = plan_reload(c->cc.plan, cfg, policies->numbers);
    c->gone_generation = c->last_generation;
    c->cc.cfg = cfg;
    entries_reload(c->cc.entries, cfg);
    c->nothing_matches = false;
    crew_commit_configure(c);
    tell_workers(c, policies);
    move_concerned(c);
    crew_stranger_begin(c);
    crew_topics_reload(c);
    c->rebalances = false;
    if (!names_all(before, cfg) || !names_all(cfg, before)) {
        c->subscribe_due = true;
        c->subscribe_at = crew_member_strike(c) ? clock_mono() + STRIKE_LIMIT : 0;
    }
}

/* ---- the end of it ---- */

/* Those that moved then, or were being given up; also one that the group has taken meanwhile. */
static bool have_let_go(const struct crew *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        if (p->state == PARTITION_RELEASING && !p->released &&
            p->generation <= c->gone_generation) {
            return false;
        }
    }
    return true;
}

void crew_reload_turn(struct crew *c, usec_t now)
{
    if (c->subscribe_due && now >= c->subscribe_at) {
        subscribe(c, now);
    }
    if (c->gone != NULL && have_let_go(c)) {
        crew_plan_replaced(c, plan_replaced(c->cc.plan, TAKE_PTR(c->gone)));
    }
}

usec_t crew_reload_deadline(const struct crew *c)
{
    return c->subscribe_due ? c->subscribe_at : USEC_NEVER;
}

bool crew_reload_is_over(const struct crew *c)
{
    return c->gone == NULL && c->unconfigured == 0 && !c->subscribe_due;
}

void crew_reload_done(struct crew *c)
{
    if (c->gone != NULL) {
        plan_release(c->cc.plan, plan_renewal_number(plan_replaced(c->cc.plan, TAKE_PTR(c->gone))));
    }
}
