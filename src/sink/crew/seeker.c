/* See seeker.h. Main thread. */
#include "sink/crew/seeker.h"

#include "base/mem.h"

#include <stdio.h>

/* Claims come one after the other, and whoever may connect may notify. */
#define PAUSE (200 * USEC_PER_MSEC)
#define AGAIN_AFTER (2 * USEC_PER_SEC)

void seeker_init(struct seeker *s, const char *owner)
{
    *s = (struct seeker){.owner = owner, .again_at = USEC_NEVER};
}

void seeker_want(struct seeker *s)
{
    s->wanted = s->owner != NULL;
}

static usec_t next_at(const struct seeker *s)
{
    usec_t at = s->wanted ? s->ask_at : s->again_at;

    return s->asking ? USEC_NEVER : at;
}

struct scout_mail *seeker_turn(struct seeker *s, usec_t now)
{
    if (now < next_at(s)) {
        return NULL;
    }
    struct scout_mail *m = scout_mail_new(SCOUT_SEEKS, 0);
    snprintf(m->seeking.owner, sizeof m->seeking.owner, "%s", s->owner);
    s->wanted = false;
    s->asking = true;
    s->again_at = USEC_NEVER;
    return m;
}

usec_t seeker_deadline(const struct seeker *s)
{
    return next_at(s);
}

static void log_trouble(struct seeker *s, const char *why)
{
    uint64_t held_back;

    if (log_limit_pass(&s->trouble, &held_back)) {
        log_event(LOG(seek_waits), why);
    }
}

void seeker_answer(struct seeker *s, const struct scout_mail *m, usec_t now)
{
    bool undone = m->failed || m->seeking.moved < m->seeking.found;

    s->asking = false;
    s->ask_at = now + PAUSE;
    s->wanted = s->wanted || (!m->failed && m->seeking.left);
    s->again_at = undone ? now + AGAIN_AFTER : USEC_NEVER;
    if (!m->failed && m->seeking.why.class != ERROR_NONE) {
        log_trouble(s, m->seeking.why.text);
    }
}
