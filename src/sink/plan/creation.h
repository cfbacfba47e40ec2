/*
 * A missing table of a route with create, made from the newest record of its topic that says what
 * it was written with. A thread that may block: the scout, or a command's.
 */
#ifndef SINK_PLAN_CREATION_H
#define SINK_PLAN_CREATION_H

#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"
#include "kafka/client.h"
#include "row/message.h"

struct creation {
    const struct config *cfg;
    size_t route;
    const char *topic;
    const char *table; /* its name, without schema */
};

/* Is this why a job of the route has failed: the table does not exist, and may be made? */
bool creation_is_wanted(const struct config_route *route, const struct error *err) _pure_;

/* Appends the DDL for records like this one. Pure. ERROR_SETUP: it has no schema part, or no table
 * can be made from it. */
bool creation_print(const struct creation *x, const struct message *record, struct buf *out,
                    struct error *err) _must_;

/* The same from the newest records of the topic, by a consumer of its own. ERROR_SETUP also: there
 * is none; ERROR_LINK: the brokers do not answer. */
bool creation_print_newest(const struct creation *x, struct client *client, usec_t timeout,
                           struct buf *out, struct error *err) _must_;

#endif
