/*
 * With `audit`, keeps history as short as `history_retention` says: in small deletes, when the
 * scout has no question, at most once a minute unless there is more to delete. Scout thread.
 */
#ifndef SINK_SCOUT_TRIMMER_H
#define SINK_SCOUT_TRIMMER_H

#include "base/clock.h"
#include "config/config.h"
#include "pg/conn.h"

struct trimmer {
    const struct config *cfg;
    usec_t due; /* USEC_NEVER: nothing is audited */
};

/* The first turn is due at once: it notes where history begins. */
struct trimmer trimmer_of(const struct config *cfg);
usec_t trimmer_deadline(const struct trimmer *t);

/* When it is due. c is ready. ERROR_LINK: c is closed; whatever the error, it is tried again. */
bool trimmer_turn(struct trimmer *t, struct conn *c, struct error *err) _must_;

/* There is no connection: later. */
void trimmer_put_off(struct trimmer *t, usec_t now);

#endif
