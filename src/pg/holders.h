/*
 * Who owns partitions according to the ledger, and where they stand: for those of other processes,
 * whose workers we cannot ask. Blocking; only reads, and waits for no row's lock.
 * @thread scout
 */
#ifndef PG_HOLDERS_H
#define PG_HOLDERS_H

#include "pg/conn.h"

/* One partition: what holders_read is asked, and its answer. */
struct holder {
    const char *topic;   /* in: borrowed */
    int32_t partition;   /* in */
    int64_t next_offset; /* out: -1 = the ledger has no row of it */
    char *owner;         /* out: who claimed it last; NULL = nobody. The caller frees it */
};

/* All in one statement, so all as of the same moment. On failure the outputs are untouched;
 * ERROR_LINK, ERROR_AGAIN, ERROR_SETUP. */
bool holders_read(struct conn *c, const char *schema, const char *sink, struct holder *holders,
                  size_t n, struct error *err) _must_;

/* Has anything of the sink ever been stored, or passed by hand? In a schema that is not upgraded
 * yet, too. False where the ledger is missing, or cannot be read. @thread main */
bool holders_have_moved(struct conn *c, const char *schema, const char *sink);

#endif
