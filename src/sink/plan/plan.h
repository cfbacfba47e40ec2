/*
 * From configuration and catalog to what workers execute: for each topic, the mappings that turn
 * its records into rows. The mapping of a fixed table is made at start, and so are those of all
 * tables that a route's records may name, with the chooser among them. The mapping of a table named
 * by a {topic} template is made when its topic is first assigned, by the scout, because PostgreSQL
 * must be asked. Mappings and topic plans are immutable once they are in the plan, so workers use
 * them without locks. The plan itself belongs to the main thread.
 *
 * When a table has changed, a renewal replaces its mappings and the plans of their topics; all
 * others stay what they are. What is replaced lives until every worker has said that it has taken
 * the renewal over (plan_release). When the configuration has changed, the same is true of what
 * routes have that are not the same any more; but no worker may have a partition of their topics
 * when it is told.
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
    /* A table of it cannot be used as it is now: routes are those of before. NULL: all can. */
    const struct error *why;
};

struct plan;
struct plan_renewal;

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

/* Which tables are to be looked up again: that of a target, by its id; those of a topic; that of a
 * job whose answer is not here; all. A renewal always looks up those that cannot be used, too. */
void plan_want_target(struct plan *p, uint32_t target_id);
void plan_want_topic(struct plan *p, const char *topic);
void plan_want_job(struct plan *p, const struct plan_job *job);
void plan_want_all(struct plan *p);

/*
 * Tables have changed: the jobs that look up what is wanted, which then is no longer; then their
 * results, which replace what the plan has wherever it is not the same. What a table that cannot be
 * used was before stays, with the fault. NULL: nothing has changed. What was added after the jobs
 * were made stays as it is.
 */
size_t plan_renew_jobs(struct plan *p, struct plan_job ***out);
const struct plan_renewal *plan_renew(struct plan *p, struct plan_job **jobs, size_t n);

/* Do both make the same rows of the same records, by the same mappings? */
bool plan_topic_is_same(const struct topic_plan *a, const struct topic_plan *b) _pure_;

/* Does any route of the topic write to the target? */
bool plan_topic_feeds(const struct topic_plan *t, const struct target *target) _pure_;

/*
 * Another configuration, which must outlive the plan, too. Topics whose routes are the same, in the
 * same order, keep their plan; other plans are gone, and their tables are looked up as those of new
 * topics. Jobs that are under way are void (plan_job_is_void). numbers: of the policies of its
 * routes (sink/plan/policy.h). The answer is what is gone: once no worker has a partition with such
 * a plan, plan_replaced makes it a renewal, without changes, that every worker must be told.
 */
struct plan_renewal *plan_reload(struct plan *p, const struct config *cfg,
                                 const uint32_t *numbers) _must_;
const struct plan_renewal *plan_replaced(struct plan *p, struct plan_renewal *gone);
bool plan_job_is_void(const struct plan *p, const struct plan_job *job);

/* Is this still the plan of its topic? */
bool plan_has(const struct plan *p, const struct topic_plan *t);

/* Renewals are numbered from 1; the last one so far, 0: there was none. */
uint64_t plan_last_renewal(const struct plan *p) _pure_;
uint64_t plan_renewal_number(const struct plan_renewal *r) _pure_;

/* What the renewal has put in the place of a topic's plan; the same where it has not changed. */
const struct topic_plan *plan_renewal_of(const struct plan_renewal *r, const struct topic_plan *t);

/* The targets that are freed when the renewal is released. */
const struct target *const *plan_renewal_gone(const struct plan_renewal *r, size_t *out_n);

/* Nobody uses any more what renewals up to this one have replaced. */
void plan_release(struct plan *p, uint64_t number);

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
