/*
 * Do the loops still turn? For the watchdog, and for /livez, which must answer when main does not.
 * Filled by main; read by any thread while workers exist.
 */
#ifndef SINK_WATCH_VITALS_H
#define SINK_WATCH_VITALS_H

#include "base/clock.h"
#include "sink/worker/worker.h"

struct vitals {
    struct worker *const *workers;
    _Atomic size_t worker_count; /* 0: they have not been started yet */
    _Atomic uint64_t main_usec;  /* when main's loop turned last, monotonic; 0: it does not yet */
};

/* The workers are there from now on. @thread main */
void vitals_begin(struct vitals *v, struct worker *const *workers, size_t n);
void vitals_turn(struct vitals *v, usec_t now); /* main's loop turns. @thread main */

bool vitals_main_turns(const struct vitals *v); /* ... or has, at least once */

/* Has every loop turned lately? Else *out_who is one that has not: "main", "worker 2". A program
 * that is still starting is alive. */
bool vitals_alive(const struct vitals *v, usec_t now, char *out_who, size_t size);

#endif
