/*
 * Answers SCOUT_VERIFY: the ids of cluster and topics, and what stands at the offsets of known
 * records, read again by a consumer of its own (kafka/probe.h), whose connections are kept for a
 * while. What follows from that is the crew's (sink/crew/crew_verify.c). Scout thread.
 */
#ifndef SINK_SCOUT_VERIFIER_H
#define SINK_SCOUT_VERIFIER_H

#include "sink/scout/scout_mail.h"

struct probe;

struct verifier {
    const struct config *cfg;
    struct client *client;
    struct probe *probe; /* NULL: not connected */
    usec_t probed_at;
};

/* The first verification, of the partitions that this process begins with, comes soon: connects, so
 * that it need not wait for that. */
void verifier_prepare(struct verifier *v);

/* Fills m->logs; refs.offset becomes LOOKUP_FAILED where there is no answer. */
bool verifier_ask(struct verifier *v, struct scout_mail *m, usec_t timeout,
                  struct error *err) _must_;

/* When turn is due: what was connected and is not used any more is closed. */
/* Another configuration is in force; the former is still there. */
void verifier_configure(struct verifier *v, const struct config *cfg);

usec_t verifier_deadline(const struct verifier *v);
void verifier_turn(struct verifier *v, usec_t now);
void verifier_done(struct verifier *v);

#endif
