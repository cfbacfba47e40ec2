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
    usec_t due;        /* USEC_NEVER: nothing is audited */
    uint32_t cut_off;  /* turns in a row that lost their connection, or had no answer in time */
    char reported[16]; /* SQLSTATE of the fault that was reported last */
    bool is_reported;  /* ... and that lasts */
};

/* The first turn is due at once: it notes where history begins. */
struct trimmer trimmer_of(const struct config *cfg);
/*
 * Another configuration: audit may have been turned on or off. Where it was turned on, a worker may
 * still be storing without it, from X to Y: if history were noted to start at X, its first row,
 * from Y on, would look like a hole. So the first turn is due when such a transaction has ended.
 */
void trimmer_configure(struct trimmer *t, const struct config *cfg);

usec_t trimmer_deadline(const struct trimmer *t);

/* When it is due. c is ready. ERROR_LINK: c is closed; whatever the error, it is tried again. */
bool trimmer_turn(struct trimmer *t, struct conn *c, struct error *err) _must_;

/*
 * After a turn: is its fault to be reported? Once for each fault, until a turn succeeds. That of a
 * connection only if it happens to two turns in a row, each of which had a ready one: a database
 * that is away is reported otherwise, and a trim that never ends in time is not. ok: err is not
 * looked at.
 */
bool trimmer_is_news(struct trimmer *t, bool ok, const struct error *err) _must_;

/* There is no connection: later. */
void trimmer_put_off(struct trimmer *t, usec_t now);

#endif
