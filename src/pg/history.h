/*
 * The tables history and history_starts (sql/009_history.sql): trimmed by the daemon, and what
 * verify() proves from them. The rows themselves are written by pg/txn_history.c.
 */
#ifndef PG_HISTORY_H
#define PG_HISTORY_H

#include "base/clock.h"
#include "base/error.h"
#include "pg/conn.h"

/* One row of verify(): texts, numbers in decimal; valid as long as the proof. NULL: SQL's NULL. */
struct finding {
    const char *topic;
    const char *partition;
    const char *from_offset;
    const char *next_offset;
    const char *what; /* proven, not proven, no history: of a partition; else a finding of it */
    const char *detail;
    const char *json; /* all of it as an object */
};

struct proof;

/*
 * Deletes what is older than `keep` of the oldest max_rows rows of the sink. out_more: there may be
 * more. c is ready; closed after ERROR_LINK. Blocking. @thread scout
 */
bool history_trim(struct conn *c, const char *schema, const char *sink, usec_t keep,
                  uint32_t max_rows, bool *out_more, struct error *err) _must_;

/* Calls verify(), which may take long: the connection's timeout is the caller's choice. NULL: err.
 * Blocking. @thread main */
struct proof *proof_read(struct conn *c, const char *schema, const char *sink,
                         struct error *err) _must_;
struct proof *proof_free(struct proof *p); /* returns NULL */
size_t proof_count(const struct proof *p);
struct finding proof_finding(const struct proof *p, size_t i);

#endif
