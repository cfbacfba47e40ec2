/*
 * The tables that a partition's topic goes into: looked up by the scout before the partition is
 * claimed, and again when they have changed. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"
#include "sink/shared/delays.h"

#include <stdlib.h>
#include <string.h>

/* ---- before the claim ---- */

static bool plan_is_asked_for(const struct crew *c, const struct partition *other,
                              const char *topic)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        if (p != other && p->state == PARTITION_PLANNING && !p->held_back &&
            strcmp(p->topic, topic) == 0) {
            return true;
        }
    }
    return false;
}

static void ask_plan(struct crew *c, const char *topic)
{
    struct scout_mail *m = scout_mail_new(SCOUT_PLAN, 0);

    m->topic = mem_strdup(topic);
    m->cfg = c->cc.cfg;
    m->job_count = plan_missing(c->cc.plan, topic, &m->jobs);
    scout_ask(c->cc.scout, m);
}

void crew_plan_begin(struct crew *c, struct partition *p)
{
    p->plan = plan_topic(c->cc.plan, p->topic);
    if (p->plan != NULL) {
        partition_adopt(c, p, -1);
    } else if (!plan_is_asked_for(c, p, p->topic)) {
        ask_plan(c, p->topic);
    }
}

static bool still_planning(const struct crew *c, const char *topic)
{
    return plan_is_asked_for(c, NULL, topic);
}

/* Its tables are looked up again after a while, until they can be used. */
static void park(struct partition *p, const struct error *err)
{
    usec_t now = clock_mono();

    partition_stop(p, err->text);
    p->retry_at = p->plan_resumed ? now : now + delay_retry_after(p->plan_tries++);
    p->plan_resumed = false;
}

void crew_plan_answer(struct crew *c, struct scout_mail *m)
{
    if (m->failed || m->cfg != c->cc.cfg) { /* or it is about the routes of before a reload */
        if (still_planning(c, m->topic)) {
            ask_plan(c, m->topic);
        }
        return;
    }
    bool usable = m->error.class == ERROR_NONE;
    bool is_news = false;
    if (usable) {
        for (size_t i = 0; i < m->job_count; i++) {
            plan_add(c->cc.plan, m->jobs[i]);
        }
        m->job_count = 0;
    } else {
        error_wrap(&m->error, "topic '%s' is not stored", m->topic);
    }
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (p->state == PARTITION_PLANNING && !p->held_back && strcmp(p->topic, m->topic) == 0) {
            if (usable) {
                crew_plan_begin(c, p);
            } else {
                is_news |= partition_stands(p, STANDING_PARKED, m->error.sqlstate);
                if (p->worker == NULL && config_has_ledger(c->cc.cfg)) {
                    partition_adopt_unplanned(c, p, &m->error);
                }
                park(p, &m->error);
            }
        }
    }
    c->started_once |= !usable; /* nothing more is known of those by a start */
    if (is_news) {
        log_fault_at((struct log_where){.topic = m->topic, .partition = -1, .offset = -1},
                     LOG_topic_refused, &m->error);
    }
}

void crew_plan_again(struct crew *c, struct partition *p)
{
    partition_set(p, PARTITION_PLANNING);
    crew_plan_begin(c, p);
}

/*
 * Somebody has repaired them, perhaps. If they are being looked up just now, that may have been
 * before the repair: then once more.
 */
void crew_plan_resume(const struct crew *c, struct partition *p)
{
    if (p->plan != NULL) {
        return;
    }
    p->plan_tries = 0;
    p->plan_resumed = still_planning(c, p->topic);
    if (p->state == PARTITION_STOPPED) {
        p->retry_at = clock_mono();
    }
}

void crew_plan_hurry(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->partitions[i]->plan == NULL) {
            crew_plan_resume(c, c->partitions[i]);
        }
    }
}

/* ---- tables that have changed ---- */

void crew_plan_init(struct crew *c)
{
    c->plans = mem_array(MAX(c->cc.worker_count, 1), sizeof *c->plans);
}

/* A new worker uses nothing that was replaced before. */
void crew_plan_resize(struct crew *c, size_t before)
{
    c->plans = mem_realloc(c->plans, MAX(c->cc.worker_count, 1), sizeof *c->plans);
    for (size_t i = before; i < c->cc.worker_count; i++) {
        c->plans[i] = (struct crew_plans){.renewed = plan_last_renewal(c->cc.plan)};
    }
}

void crew_plan_done(struct crew *c)
{
    free(c->plans);
}

static struct crew_plans *plans_of(struct crew *c, const struct worker *w)
{
    for (size_t i = 0; i < c->cc.worker_count; i++) {
        if (c->cc.workers[i] == w) {
            return &c->plans[i];
        }
    }
    return NULL;
}

static void ask_renew(struct crew *c)
{
    if (c->renewing) {
        return;
    }
    struct scout_mail *m = scout_mail_new(SCOUT_RENEW, 0);
    c->renewing = true;
    c->renew_due = false;
    m->job_count = plan_renew_jobs(c->cc.plan, &m->jobs);
    for (size_t i = 0; i < c->cc.worker_count; i++) {
        c->plans[i].asking = c->plans[i].asked;
    }
    scout_ask(c->cc.scout, m);
}

void crew_plan_renew(struct crew *c, const struct report *r)
{
    if (r == NULL || (r->partition == NULL && r->offset < 0)) {
        plan_want_all(c->cc.plan);
    } else if (r->partition != NULL) {
        plan_want_topic(c->cc.plan, r->partition->topic);
    } else {
        plan_want_target(c->cc.plan, (uint32_t) r->offset);
    }
    if (r != NULL) {
        plans_of(c, r->worker)->asked = r->seq;
    }
    c->renew_due = true;
    ask_renew(c);
}

void crew_plan_renewed(struct crew *c, const struct report *r)
{
    uint64_t least = UINT64_MAX;

    plans_of(c, r->worker)->renewed = (uint64_t) r->offset;
    for (size_t i = 0; i < c->cc.worker_count; i++) {
        least = MIN(least, c->plans[i].renewed);
    }
    plan_release(c->cc.plan, least);
}

/* To every worker, also to one that has no partition now: what was replaced is freed when all have
 * answered. */
static void tell_workers(struct crew *c, const struct plan_renewal *renewal)
{
    for (size_t i = 0; i < c->cc.worker_count; i++) {
        struct crew_plans *plans = &c->plans[i];
        if (renewal == NULL && plans->told == plans->asking) {
            continue;
        }
        struct order *o = mem_zalloc(sizeof *o);
        o->kind = ORDER_PLAN;
        o->renewal = renewal;
        o->seq = plans->told = plans->asking;
        worker_post(c->cc.workers[i], o);
    }
}

void crew_plan_replaced(struct crew *c, const struct plan_renewal *renewal)
{
    for (size_t i = 0; i < c->cc.worker_count; i++) {
        struct order *o = mem_zalloc(sizeof *o);
        o->kind = ORDER_PLAN;
        o->renewal = renewal;
        o->seq = c->plans[i].told; /* it answers no question */
        worker_post(c->cc.workers[i], o);
    }
}

void crew_plan_answer_renew(struct crew *c, struct scout_mail *m)
{
    c->renewing = false;
    if (m->job_count > 0 && plan_job_is_void(c->cc.plan, m->jobs[0])) {
        plan_want_all(c->cc.plan);
        ask_renew(c);
        return;
    }
    if (m->failed) {
        for (size_t i = 0; i < m->job_count; i++) {
            plan_want_job(c->cc.plan, m->jobs[i]);
        }
        ask_renew(c);
        return;
    }
    const struct plan_renewal *renewal = plan_renew(c->cc.plan, m->jobs, m->job_count);
    m->job_count = 0;
    for (size_t i = 0; renewal != NULL && i < c->count; i++) {
        struct partition *p = c->partitions[i];
        p->plan = p->plan != NULL ? plan_renewal_of(renewal, p->plan) : NULL;
    }
    tell_workers(c, renewal);
    if (c->renew_due) {
        ask_renew(c);
    }
}
