/*
 * What becomes of a record that cannot be stored, route by route: a dead letter, or the end of its
 * partition; and how many dead letters a route may have. They are counted when a batch is sent, in
 * the order of its records. Made by main before workers start, and again for each reload; then
 * shared by all threads.
 *
 * A policy has a number, by which batches name it. A route that a reload does not change keeps its
 * policy, with what is left of its quota, and so its number. That of another one is retired: it
 * stays until the next reload, for the batches that are still on their way.
 */
#ifndef SINK_PLAN_POLICY_H
#define SINK_PLAN_POLICY_H

#include "config/config.h"
#include "row/batch/batch.h"
#include "sink/plan/quota.h"
#include "sink/plan/watched.h"
#include "sink/shared/stats.h"

struct policy {
    char *route; /* its name */
    uint32_t number;
    struct config_allowance limit;
    bool dead_letter; /* else stop */
    bool retired;     /* main's */
    struct quota quota;
    struct watched watched;    /* which columns its records have no field for, */
    _Atomic bool absence_said; /*   and that main has heard of them */
    _Atomic bool exceeded;     /* the route has none any more, or it would only slow down */
    struct route_stats *stats; /* all policies that the route has had share them */
};

struct policies {
    struct policy **list; /* by number */
    size_t count;
    struct policy *nobody; /* in the place of one that no route has any more */
    uint32_t *numbers;     /* of the routes, in their order; at first they are counted from 0 */
    struct table *letters_table;
    struct target *letters; /* the table of dead letters; NULL: no route writes any */
};

struct policies *policies_new(const struct config *cfg) _must_;
struct policies *policies_free(struct policies *p); /* returns NULL */

/*
 * Those of `after`, which take over what `former`, those of `before`, have of the same routes.
 * release: nobody uses `former` any more, and all of the last reload is over.
 */
struct policies *policies_reload(struct policies *former, const struct config *before,
                                 const struct config *after) _must_;
void policies_release(struct policies *former, const struct policies *latter);

/* Takes over the table dead_letters as the catalog describes it. ERROR_SETUP when it lacks a
 * column. */
bool policies_set_letters(struct policies *p, struct table *table, struct error *err) _must_;

/* Does any route write dead letters? */
bool policies_want_letters(const struct policies *p);

/* That of the route that the target belongs to; NULL for dead letters themselves. */
struct policy *policies_find(const struct policies *p, const struct target *target);

/* That of a number. */
static inline struct policy *policies_at(const struct policies *p, uint32_t number)
{
    return p->list[number];
}

/* Counts what is stored: rows of a target of a route; and a dead letter of a route. @thread any */
void policies_count_rows(struct policies *p, const struct target *target, uint64_t n);
void policies_count_letter(struct policies *p, struct str route, const char *sqlstate);

/* Are the records counted that the route takes, and not only its dead letters? */
bool policy_counts(const struct policy *p);

/*
 * Reserves what the batch asks of the quotas of its routes, before it is sent. False: nothing is
 * reserved, and *out_record is the first record with a dead letter that does not fit, of
 * *out_policy. The batch then holds what is reserved for it, until it is given back (the batch was
 * not stored) or kept (it was).
 */
bool policies_reserve(struct policies *p, struct batch *b, usec_t now, size_t *out_record,
                      struct policy **out_policy) _must_;
void policies_give_back(struct policies *p, struct batch *b);
void policies_keep(struct batch *b);

/*
 * A dead letter does not fit: from now on the route has none, until it is refilled. err, the fault
 * of the record, gets that in front, and a hint. Returns false. refill: somebody has said that it
 * may go on. forget: nobody has heard of it, and the dead letter is to be found again; what is left
 * of the quota stays as it is.
 */
bool policy_exceeded(struct policy *p, struct error *err);
void policy_refill(struct policy *p);
void policy_forget_excess(struct policy *p);

#endif
