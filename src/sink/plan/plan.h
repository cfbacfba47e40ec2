/*
 * From configuration and catalog to what workers execute: for each topic, the mappings that turn
 * its records into rows. The mapping of a fixed table is made at start, and so are those of all
 * tables that a route's records may name, with the chooser among them. The mapping of a table named
 * by a {topic} template is made when its topic is first assigned, by the scout, because PostgreSQL
 * must be asked. Mappings and topic plans are immutable once they are in the plan and live as long
 * as it, so workers use them without locks. The plan itself belongs to the main thread.
 */
#ifndef SINK_PLAN_PLAN_H
#define SINK_PLAN_PLAN_H

#include "base/error.h"
#include "config/config.h"
#include "row/record/record.h"
#include "sink/plan/plan_job.h"

struct topic_plan {
    char *topic;
    struct record_route *routes; /* those that take it, in order */
    size_t route_count;
};

struct plan;

/* Compiles the routes' patterns. cfg must outlive the plan. */
struct plan *plan_new(const struct config *cfg) _must_;
struct plan *plan_free(struct plan *p); /* returns NULL */

/* Does this entry of a route's topics take the topic? */
bool plan_entry_takes(const struct plan *p, size_t route, size_t item, const char *topic);

/* Does this route take the topic? */
bool plan_route_takes(const struct plan *p, size_t route, const char *topic);

/* Does any route take it? A topic that none takes has no plan (invariant I10). */
bool plan_takes(const struct plan *p, const char *topic);

/* Does any mapping want record headers? True while a table is to come that may have a column for
 * them. */
bool plan_wants_headers(const struct plan *p);

/*
 * The jobs that must be run before plan_topic has an answer for the topic; topic NULL: those of all
 * fixed tables. The caller owns the jobs (plan_job_free, or plan_add).
 */
size_t plan_missing(struct plan *p, const char *topic, struct plan_job ***out);

/* Takes a job that was run into the plan, with all it owns. */
void plan_add(struct plan *p, struct plan_job *job);

/*
 * Tables have changed: the jobs that look up again what the plan has; then their results, which
 * replace it. What was added after the jobs were made stays as it is. Topic plans
 * handed out before stay valid as long as the plan.
 */
size_t plan_renew_jobs(struct plan *p, struct plan_job ***out);
void plan_renew(struct plan *p, struct plan_job **jobs, size_t n);

/* The plan of a topic that a route takes, made on first use, with one route at least; NULL while
 * jobs are missing. */
const struct topic_plan *plan_topic(struct plan *p, const char *topic);

/* How one route makes rows of a topic that it takes; false while jobs of it are missing. */
bool plan_route(const struct plan *p, size_t route, const char *topic, struct record_route *out);

/* How many tables a route has for one topic. */
size_t plan_table_count(const struct plan *p, size_t route);

/* The i-th table and mapping of a route for a topic (NULL topic: its fixed table), for `check`;
 * false when not loaded. */
bool plan_find(const struct plan *p, size_t route, const char *topic, size_t i,
               const struct table **out_table, const struct mapping **out_mapping);

#endif
