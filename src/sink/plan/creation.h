/*
 * A missing table of a route with create, made from the newest record of its topic that says what
 * it was written with; where there is none, from what the registry has as the topic's subject. The
 * record comes first because it shows what is written, while a subject is a matter of names, and
 * its newest schema may be one that nobody writes with yet. A thread that may block: the scout, or
 * a command's.
 */
#ifndef SINK_PLAN_CREATION_H
#define SINK_PLAN_CREATION_H

#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"
#include "kafka/client.h"
#include "row/evolve/new_table.h"
#include "sink/plan/creation_schemas.h"

struct creation {
    const struct config *cfg;
    size_t route;
    const char *topic;
    const char *table;                /* its name, without schema */
    struct creation_schemas *schemas; /* what is known of the registry's */
};

/* Is this why a job of the route has failed: the table does not exist, and may be made? */
bool creation_is_wanted(const struct config_route *route, const struct error *err) _pure_;

/* The columns that a table for such records has, and their types. Pure. ERROR_SETUP: no table can
 * be made from it. *out starts as zeros; new_columns_done. */
bool creation_columns(const struct creation *x, const struct creation_written *written,
                      struct new_columns *out, struct error *err) _must_;

/*
 * Appends the DDL for records like the newest of the topic, which are read by a consumer of its
 * own, or as its subjects have them. Takes not much longer than timeout. ERROR_AGAIN: x->schemas
 * lacks one, which the caller asks for, and calls again. ERROR_SETUP: there is no record and no
 * subject, they have no schema, or no table can be made from it; ERROR_LINK: the brokers do not
 * answer.
 */
bool creation_print_newest(const struct creation *x, struct client *client, usec_t timeout,
                           struct buf *out, struct error *err) _must_;

#endif
