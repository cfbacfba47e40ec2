/*
 * Questions to the scout that several of the crew's files ask. One of a kind is asked at a time,
 * and an answer is taken for the very partition that was asked about, or for none: a partition that
 * went and came back has another generation. Main thread.
 */
#include "sink/crew/crew_state.h"

struct scout_mail *crew_ask_about(const struct crew *c, enum scout_kind kind,
                                  bool (*due)(const struct partition *p))
{
    struct scout_mail *m = NULL;

    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        if (due(p)) {
            m = m != NULL ? m : scout_mail_new(kind, c->count - i);
            scout_mail_add(m, p->topic, p->number, p->generation);
        }
    }
    return m;
}

struct partition *crew_ask_wanted(const struct crew *c, const struct scout_mail *m, size_t i)
{
    struct partition *p = index_find(&c->index, m->refs[i].topic, m->refs[i].partition);

    return p != NULL && p->generation == m->generations[i] ? p : NULL;
}

void crew_ask_ping(struct crew *c)
{
    if (!c->asking_ping) {
        c->asking_ping = true;
        scout_ask(c->cc.scout, scout_mail_new(c->assigned_once ? SCOUT_PING : SCOUT_TOPICS, 0));
    }
}

/* The library joins the group only when a topic exists: without one nothing will be assigned. */
static bool nothing_matches(const struct crew *c, const struct scout_mail *m)
{
    for (size_t i = 0; i < m->topic_count; i++) {
        if (plan_takes(c->cc.plan, m->topics[i].name)) {
            return false;
        }
    }
    return !m->failed;
}

void crew_ask_answer_ping(struct crew *c, const struct scout_mail *m)
{
    c->asking_ping = false;
    if (m->kind == SCOUT_TOPICS) {
        c->nothing_matches = nothing_matches(c, m);
    }
}

void crew_ask_group(struct crew *c)
{
    if (!c->asking_group) {
        c->asking_group = true;
        scout_ask(c->cc.scout, scout_mail_new(SCOUT_GROUP, 0));
    }
}
