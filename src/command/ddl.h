/*
 * The statements that would make a missing table, for check and init --print. A command's only
 * thread.
 */
#ifndef COMMAND_DDL_H
#define COMMAND_DDL_H

#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"
#include "kafka/client.h"
#include "sink/plan/plan_job.h"

/*
 * Appends what the daemon would run for the job, whose table is missing, and the topic: from its
 * newest record, asking the registry where it has the schemas. Blocks. ERROR_SETUP: no table can be
 * made from it; ERROR_LINK: the brokers or the registry do not answer.
 */
bool ddl_print(const struct plan_job *job, const char *topic, struct client *client,
               struct buf *out, struct error *err) _must_;

#endif
