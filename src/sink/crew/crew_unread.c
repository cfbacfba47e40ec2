/*
 * Does the group read what this sink subscribes to? Asked of the group itself every 20 s, while it
 * is stable and this process is in it. What nobody reads for long is logged (sink/crew/unread.h),
 * and a static member that knows nothing better decides by it whether to join again
 * (crew_member.c). Where the group cannot be asked, nothing is said. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define INTERVAL (20 * USEC_PER_SEC)
#define UNKNOWN_INTERVAL (300 * USEC_PER_SEC)

void crew_unread_init(struct crew *c)
{
    c->unread = unread_new();
    c->group_at = clock_mono() + INTERVAL;
}

void crew_unread_turn(struct crew *c, usec_t now)
{
    if (c->asking_group || now < c->group_at) {
        return;
    }
    c->group_at = now + INTERVAL;
    if (c->assigned_once && !c->revoking && crew_member_is_settled(c)) {
        crew_ask_group(c); /* the scout sees whether we are in the group */
    }
}

usec_t crew_unread_deadline(const struct crew *c)
{
    return c->asking_group ? USEC_NEVER : c->group_at; /* an answer wakes by itself */
}

/* Returns a topic that nobody reads in full, NULL when there is none. */
static const char *look(struct crew *c, const struct scout_mail *m, usec_t now)
{
    const char *missing = NULL;

    unread_begin(c->unread);
    for (size_t i = 0; i < m->topic_count; i++) {
        const struct lookup_topic *t = &m->topics[i];
        if (!plan_takes(c->cc.plan, t->name)) {
            continue;
        }
        for (int32_t p = 0; p < t->partition_count; p++) {
            if (!group_holds(m->refs, m->ref_count, t->name, p)) {
                unread_add(c->unread, t->name, p, now);
                missing = t->name;
            }
        }
    }
    unread_end(c->unread);
    return missing;
}

static void log_news(const struct crew *c, const struct unread_news *news)
{
    const char *group = c->cc.cfg->kafka.group;
    const struct log_where at = {.topic = news->topic, .partition = -1, .offset = -1};

    if (news->read_again) {
        log_event_at(at, LOG(topic_read_again), news->topic, group);
        return;
    }
    struct error err;
    bool one = strpbrk(news->partitions, ",-") == NULL;
    error_set(&err, ERROR_KAFKA, "topic '%s': nobody in group '%s' reads partition%s %s",
              news->topic, group, one ? "" : "s", news->partitions);
    error_hint(&err, "Restart the daemons of the group that have a route for it, one after the "
                     "other; one with group.instance.id after a pause of session.timeout.ms.");
    log_fault_at(at, LOG_topic_unread, &err);
}

void crew_unread_answer(struct crew *c, const struct scout_mail *m)
{
    usec_t now = clock_mono();
    bool unknown = !m->failed && m->group == GROUP_UNKNOWN;
    const char *missing = NULL;

    c->asking_group = false;
    c->group_at = now + (unknown ? UNKNOWN_INTERVAL : INTERVAL);
    if (!m->failed && m->group == GROUP_STABLE) {
        missing = look(c, m, now);
    }
    struct unread_news news;
    while (unread_next(c->unread, now, &news)) {
        log_news(c, &news);
    }
    crew_member_group(c, m, missing);
}
