/*
 * Missing tables of routes with create: made by the scout, once the first partition of their topic
 * is assigned. Scout thread.
 */
#ifndef SINK_SCOUT_CREATING_H
#define SINK_SCOUT_CREATING_H

#include "kafka/client.h"
#include "sink/plan/creation_schemas.h"
#include "sink/plan/plan_job.h"

/* May the table of this job be made, after plan_job_run has failed with err? */
bool creating_is_wanted(const struct plan_job *job, const struct error *err) _pure_;

/*
 * Makes the table and runs the job again. Asks the brokers for not much longer than timeout.
 * False with creation_schemas_lack: to be called again when that is known. ERROR_SETUP: the table
 * cannot be made, with the statement as a hint where the role may not.
 */
bool creating_run_job(struct plan_job *job, const char *topic, struct creation_schemas *schemas,
                      struct client *client, struct conn *conn, usec_t timeout,
                      struct error *err) _must_;

#endif
