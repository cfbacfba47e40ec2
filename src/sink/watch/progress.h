/*
 * How fast it goes: rates from the workers' counters, the service manager's STATUS, and for run
 * --until-end a progress bar on a terminal or a log line every few seconds. Main thread.
 */
#ifndef SINK_WATCH_PROGRESS_H
#define SINK_WATCH_PROGRESS_H

#include "base/clock.h"
#include "sink/crew/crew.h"
#include "sink/shared/stats.h"
#include "sink/watch/drain.h"

struct progress {
    bool until_end;
    bool bar;       /* stderr is a terminal */
    bool bar_shown; /* an unfinished line is on the terminal */
    usec_t started;
    usec_t last; /* of the last look at the counters */
    usec_t next_line;
    uint64_t last_rows;
    double rows_per_second;
    char trouble[400];  /* what STATUS begins with; "": nothing */
    char target[256];   /* then this: why workers have no connection to PostgreSQL; "": they have */
    char registry[256]; /* then this: why the schema registry does not answer; "": it does */
};

void progress_init(struct progress *p, bool until_end);

/* To be called about once a second. What is left is shown with until_end only. */
void progress_tick(struct progress *p, const struct totals *t, const struct crew_summary *s,
                   const struct drain_left *left);
void progress_end(struct progress *p, const struct totals *t);

#endif
