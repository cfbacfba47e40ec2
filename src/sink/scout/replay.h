/*
 * Dead letters that replay() has marked go through their routes again: a chunk at a time, so that
 * the scout has time for other questions, and each chunk in one transaction:
 *
 *     take_dead_letters(...)    deletes exactly these letters, or raises SK001: another replay,
 *                               or discard(), was faster; then the marks are read again
 *     rows                      what the records are by the configuration and the table of now
 *     dead letters              what is refused again: one more attempt, the new fault, no mark
 *
 * So each letter becomes rows or stays a letter, whatever ends the process. A letter that makes no
 * row (a condition, a delete) just leaves. No ledger moves: these offsets have been passed before.
 *
 * Routes have their turn in the order of the configuration, as tables that refer to each other need
 * it; letters of a route that is no longer there come last, and fail. Scout thread.
 */
#ifndef SINK_SCOUT_REPLAY_H
#define SINK_SCOUT_REPLAY_H

#include "base/error.h"
#include "config/config.h"
#include "pg/conn.h"

#define REPLAY_LETTERS 500U /* in one chunk, at most */

/* Question and answer: where a replay stands. Begins with route 0. */
struct replay {
    size_t route;    /* the next one to look at; route_count: letters of none of them */
    uint32_t limit;  /* letters of the next chunk */
    uint64_t stored; /* by this chunk: letters that have left */
    uint64_t failed; /* ... and that have failed again */
    bool over;       /* there is no more to do now */
    bool left;       /* when over: some are still marked, see replay_chunk */
};

/*
 * Does the next chunk. False: ERROR_SETUP: this route cannot be stored to, its letters stay marked,
 * and the replay goes on after it; any other error may pass, and the chunk is tried again from
 * where the replay stands. c is ready, or closed after ERROR_LINK; every wait ends when stop_fd is
 * readable. owner: this process, as history writes it.
 */
bool replay_chunk(struct replay *r, const struct config *cfg, const char *owner, struct conn *c,
                  int stop_fd, struct error *err) _must_;

#endif
