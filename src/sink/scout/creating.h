/*
 * Missing tables of routes with create: made by the scout, once the first partition of their topic
 * is assigned. Scout thread.
 */
#ifndef SINK_SCOUT_CREATING_H
#define SINK_SCOUT_CREATING_H

#include "kafka/client.h"
#include "sink/plan/plan_job.h"

/* plan_job_run; if the table is missing and may be made, makes it and runs the job again.
 * ERROR_SETUP also: it cannot be made, with the statement as a hint where the role may not. */
bool creating_run_job(struct plan_job *job, const char *topic, struct client *client,
                      struct conn *conn, usec_t timeout, struct error *err) _must_;

#endif
