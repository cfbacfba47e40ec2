/*
 * Do the loops still turn? For the watchdog, and for /livez, which must answer when main does not.
 * Each loop writes a word here, which stays when its thread has ended; read by any thread.
 */
#ifndef SINK_WATCH_VITALS_H
#define SINK_WATCH_VITALS_H

#include "base/clock.h"
#include "config/config.h"

#include <stdatomic.h>

struct vitals {
    /* When each loop turned last, monotonic; 0: it does not yet, or not any more. */
    _Atomic uint64_t main_usec;
    _Atomic uint64_t worker_usec[CONFIG_WORKERS_MAX];
};

/* Where the worker of that number, from 1, writes when its loop turns. */
_Atomic uint64_t *vitals_worker(struct vitals *v, uint32_t number);
void vitals_worker_ended(struct vitals *v, uint32_t number); /* @thread main */
void vitals_turn(struct vitals *v, usec_t now);              /* main's loop turns. @thread main */

bool vitals_main_turns(const struct vitals *v); /* ... or has, at least once */

/* Has every loop turned lately? Else *out_who is one that has not: "main", "worker 2". A program
 * that is still starting is alive. */
bool vitals_alive(const struct vitals *v, usec_t now, char *out_who, size_t size);

#endif
