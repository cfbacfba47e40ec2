/*
 * What becomes of a record that cannot be stored, route by route: a dead letter, or the end of its
 * partition; and how many dead letters a route may have in a time. Made by main before workers
 * start; then shared by all threads.
 */
#ifndef SINK_PLAN_POLICY_H
#define SINK_PLAN_POLICY_H

#include "config/config.h"
#include "row/table/table.h"
#include "sink/plan/quota.h"

struct policy {
    const struct config_route *cfg;
    const char *route;
    bool dead_letter; /* else stop */
    struct quota quota;
    _Atomic bool exceeded; /* once it is, the route has none any more, or it would only slow down */
};

struct policies {
    const struct config *cfg;
    struct policy *list; /* one for each route, in their order */
    size_t count;
    struct table *letters_table;
    struct target *letters; /* the table of dead letters; NULL: no route writes any */
};

struct policies *policies_new(const struct config *cfg) _must_;
struct policies *policies_free(struct policies *p); /* returns NULL */

/* Takes over the table dead_letters as the catalog describes it. ERROR_SETUP when it lacks a
 * column. */
bool policies_set_letters(struct policies *p, struct table *table, struct error *err) _must_;

/* Does any route write dead letters? */
bool policies_want_letters(const struct policies *p);

/*
 * How many dead letters the route may have now; takes one; and says that there are no more:
 * err, the record's own fault, gets that in front, and a hint. Returns false.
 */
uint64_t policy_room(const struct policy *p);
void policy_take(struct policy *p);
bool policy_exceeded(struct policy *p, struct error *err);

/* That of the route that the target belongs to; NULL for dead letters themselves. */
struct policy *policies_find(const struct policies *p, const struct target *target);

#endif
