/*
 * Who holds partitions by the ledger, and where they stand: for those that another process owns,
 * whose workers are not here to ask. Blocking; reads only, and waits for no row's lock.
 * @thread scout
 */
#ifndef PG_HOLDERS_H
#define PG_HOLDERS_H

#include "pg/conn.h"

/* One partition as holders_read is asked for it, and as it answers. */
struct holder {
    const char *topic;   /* in: borrowed */
    int32_t partition;   /* in */
    int64_t next_offset; /* out: -1 = the ledger has no row of it */
    char *owner;         /* out: who claimed it last, the caller frees it; NULL = nobody */
};

/* All in one statement, as of one moment. On failure the outputs are untouched; ERROR_LINK,
 * ERROR_AGAIN, ERROR_SETUP. */
bool holders_read(struct conn *c, const char *schema, const char *sink, struct holder *holders,
                  size_t n, struct error *err) _must_;

#endif
