/*
 * Before anything runs: the database is reached, the schema brought up to date, the fixed tables
 * looked up. Blocks, but a stop ends every wait. Main thread.
 */
#ifndef SINK_PLAN_PREPARE_H
#define SINK_PLAN_PREPARE_H

#include "pg/conn.h"
#include "sink/exit.h"
#include "sink/plan/entries.h"
#include "sink/plan/plan.h"
#include "sink/plan/policy.h"

#define START_EXTENSION                                                                            \
    (60 * USEC_PER_SEC) /* what the service manager is asked for, again and again */

/* What other rooms have to say about a file that config_load accepts: paths and conditions,
 * properties of librdkafka, the DSN. *out has each fault, with its place in the file. Any thread.
 */
bool prepare_check_file(const struct config *cfg, struct config_faults *out) _must_;

/* Settings of a connection of the main thread, for this and for commands. */
struct conn_settings prepare_conn_settings(const struct config *cfg, const char *application_name);

/*
 * Does the connection keep its session, also if others connect meanwhile? Otherwise a pooler is in
 * between that does not: ERROR_SETUP. Opens another connection for that, where there may be a
 * pooler at all; it fails as that one does.
 */
bool prepare_confirm_session(const struct config *cfg, struct conn *c, int stop_fd,
                             struct error *err) _must_;

/*
 * Our schema, made or upgraded as postgres.manage_schema says, and the table of dead letters in it,
 * which the caller frees. NULL: ERROR_SETUP, or the connection's error. *out_steps: how many steps
 * were run. c is ready. @thread scout
 */
struct table *prepare_letters(const struct config *cfg, struct conn *c, int *out_steps,
                              struct error *err) _must_;

/* One line: the mode of delivery and what it means. */
void prepare_describe_delivery(const struct config *cfg, struct buf *out);

/* What is filled in from the database; all are the caller's. */
struct prepared {
    const struct config *cfg;
    struct plan *plan;
    struct policies *policies;
    struct entries *entries;
    bool *is_first; /* there is a ledger, and no row of the sink has ever moved */
};

/*
 * Tries for ever while the database is away, and for 30 s while it refuses the connection: then the
 * service manager starts the process again, which then reads its credentials. Once connected, a
 * refusal is tried for ever too. False: there is nothing to run; *out_code is EXIT_FAULT when the
 * connection is still refused, EXIT_TARGET when a person must act on something else (both are
 * logged), and stays as it is when stop_fd has become readable.
 */
bool prepare_target(const struct prepared *p, int stop_fd, enum exit_code *out_code);

#endif
