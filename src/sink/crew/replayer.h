/*
 * Main's side of a replay: when the scout is asked to try dead letters again, one chunk after the
 * other; what came of it is one line of the log. However often a replay is wanted while one is
 * under way, one more follows it. Main thread.
 */
#ifndef SINK_CREW_REPLAYER_H
#define SINK_CREW_REPLAYER_H

#include "base/log.h"
#include "sink/scout/scout.h"

struct replayer {
    bool able;      /* there is a table of dead letters */
    bool wanted;    /* another one, from the beginning */
    bool under_way; /* not over yet */
    bool asking;    /* the scout has a question */
    usec_t asked_at;
    usec_t again_at;
    struct replay at;
    uint64_t stored; /* by all of its chunks */
    uint64_t failed;
    struct log_limit trouble;
    struct log_limit *faults; /* by where a replay goes on after them */
    size_t fault_count;
};

/* A first replay is wanted at once: letters may have been marked while no daemon ran. */
void replayer_init(struct replayer *r, bool able, size_t route_count);
void replayer_done(struct replayer *r);

/* Another configuration, after which all that is marked is tried again. able: there is a table of
 * dead letters by now. */
void replayer_reload(struct replayer *r, bool able, size_t route_count);

/* Letters may have been marked. */
void replayer_want(struct replayer *r);

/* The next question for the scout, whose it then is; NULL: none now. */
struct scout_mail *replayer_turn(struct replayer *r, usec_t now);
usec_t replayer_deadline(const struct replayer *r);

/* Its answer, SCOUT_REPLAY; the caller frees it. Another turn is due. */
void replayer_answer(struct replayer *r, const struct scout_mail *m, usec_t now);

/* Nothing is wanted and nothing under way. */
bool replayer_is_idle(const struct replayer *r);

#endif
