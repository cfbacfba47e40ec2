/*
 * The heartbeats of this process: what it says of itself, when, and that it ends. The scout writes
 * them; nothing waits for it. Main thread.
 */
#ifndef SINK_WATCH_BEAT_H
#define SINK_WATCH_BEAT_H

#include "base/clock.h"
#include "sink/crew/crew.h"
#include "sink/scout/scout.h"
#include "sink/shared/stats.h"

struct beat {
    const char *owner; /* borrowed; NULL: there is no schema to write it into */
    bool asking;       /* the scout has one */
    bool written;      /* once at least */
    usec_t started;
    usec_t at;       /* of the next */
    usec_t taken_at; /* of the totals, */
    uint64_t records;
    uint64_t rows;
};

void beat_init(struct beat *b, const char *owner);
/* The schema has come later: what has been stored by now is in no rate, and it started when it did.
 */
void beat_begin(struct beat *b, const char *owner, const struct totals *t);
usec_t beat_deadline(const struct beat *b);

/* The next one, for the scout, whose it then is; NULL: it is not due. */
struct scout_mail *beat_turn(struct beat *b, const struct totals *t, const struct crew_summary *s,
                             uint32_t workers, usec_t now);

/* Its answer, SCOUT_HEARTBEAT; the caller frees it. */
void beat_answer(struct beat *b, const struct scout_mail *m);

/* The last one, which deletes the row; NULL: there is none. */
struct scout_mail *beat_end(struct beat *b);

#endif
