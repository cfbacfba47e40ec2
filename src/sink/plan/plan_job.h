/*
 * One table to look up for one route: made by main (plan_missing, plan_renew_jobs), run by a thread
 * that may block, and taken into the plan by main (plan_add). It touches the job and the
 * connection, never the plan.
 */
#ifndef SINK_PLAN_PLAN_JOB_H
#define SINK_PLAN_PLAN_JOB_H

#include "base/error.h"
#include "config/config.h"
#include "pg/conn.h"
#include "row/mapping/chooser.h"
#include "row/mapping/mapping.h"

struct plan_job {
    const struct config *cfg;
    size_t route;
    uint32_t number;  /* of the route's policy */
    char *table_name; /* as in the catalog */
    uint32_t target_id;
    bool as_granted;     /* for check: privileges that the role lacks are noted in the table */
    struct table *table; /* results of plan_job_run */
    struct mapping *mapping;
    struct chooser *chooser; /* of a route whose records name the table */
    struct error fault;      /* of a renewal: why the table cannot be used; ERROR_NONE: it can */
};

struct plan_job *plan_job_free(struct plan_job *job); /* returns NULL */

/* Reads the table and compiles the mapping. Blocks. ERROR_SETUP with the place in the file,
 * ERROR_LINK. */
bool plan_job_run(struct plan_job *job, struct conn *c, struct error *err) _must_;

#endif
