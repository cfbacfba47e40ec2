/* See seeker.h. Main thread. */
#include "sink/crew/seeker.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* Claims come one after the other, and whoever may connect may notify. */
#define PAUSE (200 * USEC_PER_MSEC)
/* What cannot be done is tried again after this, then after twice as long each time. */
#define AGAIN_AFTER (2 * USEC_PER_SEC)
#define AGAIN_LIMIT (30 * USEC_PER_SEC)

void seeker_init(struct seeker *s, const char *owner)
{
    *s = (struct seeker){.owner = owner, .again_at = USEC_NEVER};
}

void seeker_want(struct seeker *s)
{
    s->wanted = s->owner != NULL;
}

void seeker_remind(struct seeker *s)
{
    if (s->again_at == USEC_NEVER) {
        seeker_want(s);
    }
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

/* Once, however long it lasts. */
static void log_trouble(struct seeker *s, const char *why)
{
    uint64_t held_back;

    if (strcmp(why, s->said) != 0 && log_limit_pass(&s->trouble, &held_back)) {
        snprintf(s->said, sizeof s->said, "%s", why);
        log_event_at(LOG_NOWHERE, LOG(seek_waits), why); /* the text says which */
    }
}

static usec_t next_pause(const struct seeker *s, bool in_vain)
{
    return in_vain && s->pause > 0 ? MIN(2 * s->pause, AGAIN_LIMIT) : AGAIN_AFTER;
}

void seeker_answer(struct seeker *s, const struct scout_mail *m, usec_t now)
{
    bool undone = m->failed || m->seeking.moved < m->seeking.found;

    s->asking = false;
    s->ask_at = now + PAUSE;
    s->wanted = s->wanted || (!m->failed && m->seeking.left);
    s->pause = undone ? next_pause(s, !m->failed && m->seeking.moved == 0) : 0;
    s->again_at = undone ? now + s->pause : USEC_NEVER;
    if (!m->failed && m->seeking.why.class != ERROR_NONE) {
        log_trouble(s, m->seeking.why.text);
    }
    if (!undone) {
        s->said[0] = '\0';
    }
}
