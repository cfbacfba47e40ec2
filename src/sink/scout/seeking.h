/*
 * Carries out what seek() has left for a daemon: asks Kafka for the offsets that are meant, then
 * has the ledger moved. Decides nothing: which requests count is known when the ledger is moved.
 * @thread scout
 */
#ifndef SINK_SCOUT_SEEKING_H
#define SINK_SCOUT_SEEKING_H

#include "config/config.h"
#include "kafka/client.h"
#include "pg/conn.h"

/* One round: in, the process; out, what has come of it. */
struct seeking {
    char owner[320];
    size_t found;     /* requests for partitions of this process */
    size_t moved;     /* ... that are carried out */
    bool left;        /* some were not asked about, for lack of time */
    struct error why; /* of one of those that failed; ERROR_NONE: none has */
};

/* Takes at most `timeout` and one question more. The connection's errors; what Kafka does not
 * answer is no failure but written into the requests. */
bool seeking_round(struct seeking *s, const struct config *cfg, struct client *client,
                   struct conn *conn, usec_t timeout, struct error *err) _must_;

#endif
