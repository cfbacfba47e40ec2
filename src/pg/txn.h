/*
 * One batch in one PostgreSQL transaction: the ledger's compare-and-set first, then the rows,
 * COMMIT.
 *
 * Write path COPY: one query string `SELECT <schema>.advance(...); COPY a FROM STDIN (FORMAT
 * binary); COPY b ...`, which is one implicit transaction and one round trip more than none. The
 * last CommandComplete is sent after the commit, so reading it is knowing it. A second write path
 * fits behind the same three calls.
 *
 * Start, then step until it is done; the batch is read meanwhile and must not change.
 *
 *     client                               server
 *     SELECT advance(...); COPY ...  --->  UPDATE offsets ... (raises SK001 if fenced)
 *                                    <---  1 row; CopyInResponse
 *     CopyData ... CopyDone          --->  rows
 *                                    <---  CommandComplete (after COMMIT) ; ReadyForQuery
 *
 * A connection lost after CopyDone was sent and before CommandComplete was read is TXN_UNKNOWN:
 * only the ledger tells (invariant I9).
 *
 * Invariants I1 (rows only together with the advance) and I9 live here. Worker thread.
 */
#ifndef PG_TXN_H
#define PG_TXN_H

#include "base/error.h"
#include "pg/conn.h"
#include "row/batch.h"

enum txn_step { TXN_WAIT, TXN_DONE };

enum txn_outcome {
    TXN_COMMITTED,
    TXN_ROLLED_BACK, /* certainly nothing of it is stored */
    TXN_UNKNOWN,     /* the answer to COMMIT was lost: claim again and compare */
};

#define TXN_NO_ROW SIZE_MAX

struct txn_result {
    enum txn_outcome outcome;
    struct error error; /* class ERROR_NONE when committed */
    size_t part;        /* ERROR_RECORD: the batch part and row PostgreSQL named, */
    size_t row;         /*   or TXN_NO_ROW when it named none */
};

struct txn;

struct txn *txn_new(const char *schema, const char *sink) _must_;
struct txn *txn_free(struct txn *t); /* returns NULL; the conn is the caller's */

/*
 * Starts to store b, which is not empty, on a ready connection. A batch without rows only advances
 * the ledger. False: nothing is stored (ERROR_LINK, the connection is closed).
 */
bool txn_start(struct txn *t, struct conn *c, const struct batch *b, struct error *err) _must_;

/*
 * Reads and writes what the socket allows. On TXN_DONE *out is filled. After ERROR_LINK the
 * connection is closed; after everything else it is ready again.
 */
enum txn_step txn_step(struct txn *t, struct txn_result *out) _must_;

/* Gives up at once: closes the connection. The outcome is unknown. */
void txn_abandon(struct txn *t);

#endif
