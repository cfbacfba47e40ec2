/*
 * Main's side of what seek() asks for: when the scout is to look for requests. That is when one is
 * notified, when partitions have been claimed (a request may have waited for that), when a
 * heartbeat has found some, and again, more and more seldom, while some cannot be carried out. Main
 * thread.
 */
#ifndef SINK_CREW_SEEKER_H
#define SINK_CREW_SEEKER_H

#include "base/log.h"
#include "sink/scout/scout.h"

struct seeker {
    const char *owner; /* borrowed; NULL: there is no ledger */
    bool wanted;
    bool asking;     /* the scout has a question */
    usec_t ask_at;   /* the next one not before this */
    usec_t again_at; /* ... and one in any case then; USEC_NEVER: not by itself */
    usec_t pause;    /* before that; 0: nothing is left undone */
    char said[sizeof((struct error *) 0)->text]; /* what the log has last said of them */
    struct log_limit trouble;
};

void seeker_init(struct seeker *s, const char *owner);

/* There may be requests. */
void seeker_want(struct seeker *s);

/* There are some, as a heartbeat has found. Those that could not be done wait for their turn. */
void seeker_remind(struct seeker *s);

/* The next question for the scout, whose it then is; NULL: none now. */
struct scout_mail *seeker_turn(struct seeker *s, usec_t now);
usec_t seeker_deadline(const struct seeker *s);

/* Its answer, SCOUT_SEEKS; the caller frees it. Another turn is due. */
void seeker_answer(struct seeker *s, const struct scout_mail *m, usec_t now);

#endif
