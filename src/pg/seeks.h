/*
 * The table <schema>.seeks: places to which seek() is to move partitions, and which only Kafka
 * knows. Blocking.
 * @thread scout
 */
#ifndef PG_SEEKS_H
#define PG_SEEKS_H

#include "base/error.h"
#include "pg/conn.h"

/* A request, and what has come of it. */
struct seek {
    char *topic;
    int32_t partition;
    char id[40];
    int64_t at_ms;     /* as of kafka/lookup.h: Unix time, or LOOKUP_EARLIEST, LOOKUP_LATEST */
    int64_t offset;    /* in, for seeks_done: where that is, if there is no error */
    const char *error; /* in, for seeks_done: why that is not known; borrowed, or NULL */
};

/* Those of partitions that this process owns, in the order in which they were tried, then of their
 * places. The caller frees them by seeks_free. ERROR_SETUP, and the connection's errors. */
bool seeks_read(struct conn *c, const char *schema, const char *sink, const char *owner,
                struct seek **out, size_t *out_n, struct error *err) _must_;
void seeks_free(struct seek *seeks, size_t n);

/* Moves the ledger, or writes down the error, where a request is still the same. out_moved: how
 * many were carried out. Errors as above. */
bool seeks_done(struct conn *c, const char *schema, const char *sink, const struct seek *seeks,
                size_t n, size_t *out_moved, struct error *err) _must_;

#endif
