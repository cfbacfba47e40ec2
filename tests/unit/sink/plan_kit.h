/*
 * What tests of plans share: a job that has run, without a server. Tests only; one thread.
 */
#ifndef UNIT_SINK_PLAN_KIT_H
#define UNIT_SINK_PLAN_KIT_H

#include "sink/plan/plan_job.h"

#include "row/kit.h"

/* What plan_job_run makes of a job where the table has one column, which the records fill. */
static inline struct plan_job *plan_kit_ran(struct plan_job *job)
{
    const struct mapping_spec spec = {.route = "r", .format = FORMAT_JSON};

    job->table = KIT_TABLE(kit_column("id", TYPE_INT8));
    job->mapping = kit_mapping(job->table, &spec, job->target_id);
    return job;
}

/* The same for a route whose records name the table. */
static inline struct plan_job *plan_kit_chooses(struct plan_job *job)
{
    const struct mapping_spec spec = {
        .route = "r", .format = FORMAT_JSON, .named_by = job->cfg->routes[job->route].table.name};
    struct error err;

    job->chooser = chooser_new(&spec, &err);
    assert_non_null(job->chooser);
    return plan_kit_ran(job);
}

#endif
