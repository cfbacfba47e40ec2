/*
 * The table <schema>.heartbeats: which processes of a sink live, and how they are. Blocking.
 * @thread scout
 */
#ifndef PG_HEARTBEATS_H
#define PG_HEARTBEATS_H

#include "base/clock.h"
#include "base/error.h"
#include "pg/conn.h"

/* What a process says of itself. */
struct heartbeat {
    char owner[320]; /* host:pid:random, as in the ledger */
    char host[256];
    int64_t pid;
    usec_t age_usec; /* since its start */
    uint32_t workers;
    size_t partitions;
    double records_per_second;
    double rows_per_second;
    char last_error[768]; /* UTF-8; "": none */
    usec_t last_error_age_usec;
};

/* Writes it, and deletes the rows of processes that have been dead for a day. out_seeks: a request
 * of the table seeks waits for this process. ERROR_SETUP, and the connection's errors. */
bool heartbeats_write(struct conn *c, const char *schema, const char *sink,
                      const struct heartbeat *h, bool *out_seeks, struct error *err) _must_;

/* Deletes the row of a process that ends. */
bool heartbeats_remove(struct conn *c, const char *schema, const char *sink, const char *owner,
                       struct error *err) _must_;

#endif
