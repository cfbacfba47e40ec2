/*
 * What a plan owns, shared by its own files only:
 *     plan.c          patterns, loaded tables, topic plans
 *     plan_renew.c    when tables have changed
 *     plan_reload.c   when the configuration has
 * Main thread, and the scout for a replay's own plan.
 */
#ifndef SINK_PLAN_PLAN_STATE_H
#define SINK_PLAN_PLAN_STATE_H

#include "sink/plan/plan.h"

#include <regex.h>

/* A loaded table with the mapping of one route onto it. */
struct loaded {
    size_t route;
    char *table_name;
    struct table *table;
    struct mapping *mapping;
    struct error *fault; /* why it cannot be used as it is now; both are what it was before */
    bool wanted;         /* by the next renewal */
};

struct plan {
    const struct config *cfg;
    uint32_t *numbers;         /* of the policies of the routes */
    regex_t **patterns;        /* [route][topic entry]; only entries with is_regex are compiled */
    struct chooser **choosers; /* per route; NULL where records do not name the table */
    struct loaded *loaded;
    size_t loaded_count;
    size_t loaded_cap;
    struct topic_plan **topics;
    size_t topic_count;
    size_t topic_cap;
    struct plan_renewal *renewals; /* whose former contents may still be used; oldest first */
    uint64_t last_renewal;
    uint32_t next_target_id;
};

/* What has replaced what. All `from`, `gone` and `choosers` are its own. */
struct plan_renewal {
    uint64_t number;
    struct topic_change {
        struct topic_plan *from;
        const struct topic_plan *to; /* NULL: nobody has that plan any more */
    } * changes;
    size_t change_count;
    size_t change_cap;
    struct loaded *gone;
    size_t gone_count;
    const struct target **targets; /* of those */
    size_t target_count;
    struct chooser **choosers; /* one for each route; NULL: stays */
    size_t chooser_count;
    struct plan_renewal *next;
};

/* What is loaded of a route by the table's name, or as its i-th table for a topic; or NULL. */
struct loaded *plan_loaded(const struct plan *p, size_t route, const char *table_name);
struct loaded *plan_loaded_for(const struct plan *p, size_t route, const char *topic, size_t i);

/* A topic's plan from what is loaded now, the caller's; NULL while jobs are missing. */
struct topic_plan *plan_topic_new(const struct plan *p, const char *topic) _must_;
void plan_topic_free(struct topic_plan *t);

/* The patterns of cfg, compiled. */
regex_t **plan_patterns_new(const struct config *cfg) _must_;
void plan_patterns_free(const struct config *cfg, regex_t **patterns);

/* Puts it at the end of the list, as they are released in their order. free: of one that is not in
 * it any more. */
void plan_renewal_append(struct plan *p, struct plan_renewal *r);
void plan_renewal_free(struct plan_renewal *r);

#endif
