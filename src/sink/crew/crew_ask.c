/*
 * Questions to the scout, one of a kind at a time, and what follows from its answers: first
 * offsets, ends, the range of a log, the tables of a topic. An answer is taken for the very
 * partition that was asked about, or for none: a partition that went and came back has another
 * generation. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"

#include <string.h>

#define ENDS_INTERVAL (10 * USEC_PER_SEC)

/* ---- plans ---- */

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

void crew_plan_or_adopt(struct crew *c, struct partition *p)
{
    p->plan = plan_topic(c->cc.plan, p->topic);
    if (p->plan != NULL) {
        crew_adopt(c, p, -1);
    } else if (!plan_is_asked_for(c, p, p->topic)) {
        ask_plan(c, p->topic);
    }
}

static bool still_planning(const struct crew *c, const char *topic)
{
    return plan_is_asked_for(c, NULL, topic);
}

static void answer_plan(struct crew *c, struct scout_mail *m)
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
                crew_plan_or_adopt(c, p);
            } else {
                partition_stop(p, m->error.text);
            }
        }
    }
}

/* ---- questions ---- */

struct scout_mail *crew_question(const struct crew *c, enum scout_kind kind,
                                 bool (*due)(const struct partition *p))
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        n += due(c->partitions[i]);
    }
    if (n == 0) {
        return NULL;
    }
    struct scout_mail *m = scout_mail_new(kind, n);
    n = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        if (due(p)) {
            scout_mail_set(m, n++, p->topic, p->number, p->generation);
        }
    }
    return m;
}

static bool end_is_due(const struct partition *p)
{
    bool owned = p->state == PARTITION_FETCHING || p->state == PARTITION_STOPPED ||
                 p->state == PARTITION_GAPPED;
    return owned && p->worker != NULL;
}

void crew_ask_ping(struct crew *c)
{
    if (!c->asking_ping) {
        c->asking_ping = true;
        scout_ask(c->cc.scout, scout_mail_new(c->assigned_once ? SCOUT_PING : SCOUT_TOPICS, 0));
    }
}

static void ask_ends(struct crew *c, usec_t now)
{
    if (c->asking_ends || now < c->ends_at) {
        return;
    }
    c->ends_at = now + ENDS_INTERVAL;
    struct scout_mail *m = crew_question(c, SCOUT_ENDS, end_is_due);
    if (m == NULL) {
        crew_ask_ping(c);
    } else {
        c->asking_ends = true;
        scout_ask(c->cc.scout, m);
    }
}

void crew_ask_turn(struct crew *c, usec_t now)
{
    crew_first_ask(c, now);
    crew_first_ask_offsets(c);
    crew_verify_ask(c);
    crew_gap_ask(c);
    ask_ends(c, now);
}

/* ---- answers ---- */

struct partition *crew_wanted(const struct crew *c, const struct scout_mail *m, size_t i)
{
    struct partition *p = index_find(&c->index, m->refs[i].topic, m->refs[i].partition);
    return p != NULL && p->generation == m->generations[i] ? p : NULL;
}

static void answer_ends(struct crew *c, const struct scout_mail *m)
{
    c->asking_ends = false;
    for (size_t i = 0; i < m->ref_count && !m->failed; i++) {
        struct partition *p = crew_wanted(c, m, i);
        if (p != NULL && m->refs[i].offset >= 0) {
            atomic_store_explicit(&p->share.end, m->refs[i].offset, memory_order_relaxed);
            crew_verify_end(c, p, m->refs[i].offset);
        }
    }
}

/* The library joins the group only when a topic exists: without one nothing will be assigned. */
static void answer_topics(struct crew *c, const struct scout_mail *m)
{
    c->asking_ping = false;
    c->nothing_matches = !m->failed;
    for (size_t i = 0; i < m->topic_count; i++) {
        if (plan_takes(c->cc.plan, m->topics[i].name)) {
            c->nothing_matches = false;
            return;
        }
    }
}

/* ---- tables that have changed ---- */

void crew_renew(struct crew *c)
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

void crew_renewed(struct crew *c, struct scout_mail *m)
{
    c->renewing = false;
    if (m->failed || c->renew_again) {
        crew_renew(c);
        scout_mail_free(m);
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
    scout_mail_free(m);
}

void crew_answer(struct crew *c, struct scout_mail *m)
{
    switch (m->kind) {
    case SCOUT_FIRST:
        crew_first_answer(c, m);
        break;
    case SCOUT_FIRST_USE:
        crew_first_answer_use(c, m);
        break;
    case SCOUT_VERIFY:
        crew_verify_answer(c, m);
        break;
    case SCOUT_ENDS:
        answer_ends(c, m);
        break;
    case SCOUT_RANGE:
        crew_gap_answer(c, m);
        break;
    case SCOUT_PLAN:
        answer_plan(c, m);
        break;
    case SCOUT_RENEW:
        crew_renewed(c, m);
        return;
    case SCOUT_TOPICS:
        answer_topics(c, m);
        crew_first_topics(c, m);
        break;
    case SCOUT_PING:
        c->asking_ping = false;
        break;
    case SCOUT_MEMBER:
    case SCOUT_JOINED:
        crew_member_answer(c, m);
        break;
    case SCOUT_GROUP:
        crew_unread_answer(c, m);
        break;
    case SCOUT_REPLAY:
        break; /* the replayer's */
    case SCOUT_TARGETS:
    case SCOUT_TARGET_ENDS:
    case SCOUT_LEDGER:
        break; /* the drain's */
    case SCOUT_AWAY:
        c->away = true;
        log_event(LOG(brokers_away), m->error.text);
        break;
    case SCOUT_REACHABLE:
        c->away = false;
        log_event(LOG(brokers_back));
        break;
    }
    scout_mail_free(m);
}
