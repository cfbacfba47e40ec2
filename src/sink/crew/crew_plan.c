/*
 * The tables that a partition's topic goes into: looked up by the scout before the partition is
 * claimed, and again when they have changed. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"

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

void crew_plan_answer(struct crew *c, struct scout_mail *m)
{
    if (m->failed) {
        if (still_planning(c, m->topic)) {
            ask_plan(c, m->topic);
        }
        return;
    }
    bool usable = m->error.class == ERROR_NONE;
    if (usable) {
        for (size_t i = 0; i < m->job_count; i++) {
            plan_add(c->cc.plan, m->jobs[i]);
        }
        m->job_count = 0;
    } else if (still_planning(c, m->topic)) {
        error_wrap(&m->error, "topic '%s' is not stored", m->topic);
        log_fault(LOG_topic_refused, &m->error);
    }
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (p->state == PARTITION_PLANNING && !p->held_back && strcmp(p->topic, m->topic) == 0) {
            if (usable) {
                crew_plan_begin(c, p);
            } else {
                partition_stop(p, m->error.text);
            }
        }
    }
}

/* ---- tables that have changed ---- */

void crew_plan_renew(struct crew *c)
{
    c->renew_again = c->renewing;
    if (c->renewing) {
        return;
    }
    struct scout_mail *m = scout_mail_new(SCOUT_RENEW, 0);
    c->renewing = true;
    m->job_count = plan_renew_jobs(c->cc.plan, &m->jobs);
    scout_ask(c->cc.scout, m);
}

void crew_plan_answer_renew(struct crew *c, struct scout_mail *m)
{
    c->renewing = false;
    if (m->failed || c->renew_again) {
        crew_plan_renew(c);
        return;
    }
    plan_renew(c->cc.plan, m->jobs, m->job_count);
    m->job_count = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        p->plan = p->plan != NULL ? plan_topic(c->cc.plan, p->topic) : NULL;
        if (p->worker != NULL && p->state != PARTITION_RELEASING) {
            worker_post(p->worker, partition_order(p, ORDER_PLAN));
        }
    }
}
