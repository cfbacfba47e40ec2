/*
 * A look at single records: is the record that was stored still at its offset? It has a consumer of
 * its own, without a group, which touches neither the fetching nor the assignment of the other one.
 * Blocks. @thread scout
 */
#ifndef KAFKA_PROBE_H
#define KAFKA_PROBE_H

#include "kafka/client.h"
#include "row/identity.h"

struct probe;

struct probe_item {
    const char *topic; /* borrowed */
    int32_t partition;
    struct fingerprint want;
    enum log_evidence evidence; /* out, when answered: SAME or OTHER; NONE: there is no record */
    bool is_outside;            /* out, with NONE: the log may end before it, or begin after it */
    int32_t broker;             /* out: where the record came from; -1: unknown */
    bool answered;              /* out */
    bool given_up;              /* private */
};

/* Connects in the background. NULL: ERROR_SETUP. */
struct probe *probe_new(const struct config *cfg, struct error *err) _must_;
struct probe *probe_free(struct probe *p); /* returns NULL */

/*
 * Reads the partition of each item from want.offset on. The record there, a later one, or the end
 * of the partition answers the question. Items may be left without an answer when the time is over;
 * false (ERROR_LINK) when all are.
 */
bool probe_ask(struct probe *p, struct probe_item *items, size_t n, usec_t timeout,
               struct error *err) _must_;

#endif
