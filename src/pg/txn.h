/*
 * One batch in one PostgreSQL transaction: the ledger's compare-and-set first, then the rows,
 * COMMIT.
 *
 * Two write paths, which store the same:
 *
 * COPY, for large batches: one query string `SELECT <schema>.advance(...); COPY a FROM STDIN
 * (FORMAT binary); COPY b ...`, which is one implicit transaction and two round trips. The last
 * CommandComplete is sent after the commit: once it has been read, the batch is stored.
 *
 *     client                               server
 *     SELECT advance(...); COPY ...  --->  UPDATE offsets ... (raises SK001 if fenced)
 *                                    <---  1 row; CopyInResponse
 *     CopyData ... CopyDone          --->  rows
 *                                    <---  CommandComplete (after COMMIT) ; ReadyForQuery
 *
 * unnest, for small ones: advance() and INSERT ... SELECT unnest(arrays), prepared, in one pipeline
 * and one round trip; the commit is at Sync, ReadyForQuery comes after it. An error does not say
 * which row it means: to find out, the batch is sent again by COPY.
 *
 * Rows with a key, and columns that SQL has to cast, take the same two ways into one more
 * statement: INSERT ... ON CONFLICT, UPDATE or DELETE, from the arrays or from a temporary table
 * that COPY has filled (pg/rows_sql.h). One row for each key is sent (row/batch/fold.h).
 *
 * each, after a batch was refused because of a record: all rows into temporary tables, then
 * screen(), which finds at once what a cast or a constraint refuses, and store_each(), which stores
 * the rest range by range and names what else the server refuses, all in one transaction. The dead
 * letters of the batch come last, and by then there may be more of them: the caller is asked
 * (TXN_TRIED). If it has none for what is refused, the transaction is rolled back.
 *
 *     BEGIN; SELECT advance(...); LOCK ...; COPY ...; SELECT ... store_each(...)  --->
 *                                              <---  the rows refused, each with its error
 *     COPY dead_letters ...                    --->
 *     COMMIT, or ROLLBACK                      --->
 *
 * Tables may change while we run. COPY BINARY would take the bytes of one type for those of
 * another, and a row that was made by an old description lacks what the table has by now. So
 * nothing is stored unless the tables are those that the rows were made for, and cannot become
 * others before the commit (TXN_ROLLED_BACK, `changed`): the records are to be made again.
 *
 *     COPY, each       LOCK TABLE, then compare
 *     INSERT           a guard in its plan, computed when the plan is made, under the table's lock
 *     UPDATE, DELETE   a statement with that guard before them
 *     a record that our own encoders have rejected (batch_compare): compare, without a lock
 *
 * How a guard works is in sql/007_columns.sql; without a schema of ours each statement compares
 * when it is executed, which is after it got its lock.
 *
 * Start, then step until it is done; meanwhile the batch is read and must not change. If the
 * connection is lost after the end of the transaction was sent and before its answer was read, the
 * outcome is TXN_UNKNOWN: only the ledger can tell (invariant I9).
 *
 * Invariants I1 (rows only together with the advance) and I9 live here. Worker thread; a replay's
 * txn: scout.
 */
#ifndef PG_TXN_H
#define PG_TXN_H

#include "base/error.h"
#include "pg/conn.h"
#include "row/batch/batch.h"

enum txn_step {
    TXN_WAIT,
    TXN_DONE,
    /* only if held: rows are refused (txn_refusals); txn_give or txn_refuse is to follow */
    TXN_TRIED,
};

enum txn_outcome {
    TXN_COMMITTED,
    TXN_ROLLED_BACK, /* certainly nothing of it is stored */
    TXN_UNKNOWN,     /* the answer to COMMIT was lost: claim again and compare */
};

enum txn_path { TXN_COPY, TXN_UNNEST, TXN_EACH };

#define TXN_NO_ROW SIZE_MAX
#define TXN_FLIGHTS 4

struct txn_result {
    enum txn_outcome outcome;
    enum txn_path path;
    struct error error; /* class ERROR_NONE when committed */
    size_t part;        /* of rows: the part of the batch and the row that PostgreSQL named, */
    size_t row;         /*   or TXN_NO_ROW when it named none, as with unnest */
    /* Whose table the error is about; NULL: advance(), what came at COMMIT, or not known. Borrowed
     * from the batch.
     */
    const struct target *target;
    /* The ledger had been moved, in this transaction. Without one: the server had answered
     * something of it. */
    bool advanced;
    bool ledger_locked; /* advance() has waited in vain for a row of the ledger */
    bool no_temporary;  /* our role may not create temporary tables */
    bool changed;       /* a table has changed: the catalog must be read again. Rolled back. */
};

/*
 * What speaks for the target of a refused row: rows of the same statement (target and action) after
 * it in the batch that had an effect, while few were refused for the same reason.
 */
enum txn_witness {
    WITNESS_NONE,
    WITNESS_PLAIN,  /* at least one; at most a tenth refused, or one of fewer than ten */
    WITNESS_STRICT, /* the same, and at least ten */
};

/* A row that PostgreSQL refuses. */
struct txn_refusal {
    size_t part;
    size_t row;
    /* Of the class that its SQLSTATE has by itself, else like the class below. May be shared. */
    const struct error *error;
    /* ERROR_RECORD, ERROR_DOUBT, ERROR_UNFIT; ERROR_TARGET: one in doubt without a witness, and the
     * statement is refused in the same way when it is given no row. */
    enum error_class class;
    enum txn_witness witness;
    bool is_cast;      /* without a table: a text is not one of its column's type, or sql: fails */
    bool without_rows; /* the statement is refused in the same way when it is given no row */
};

struct txn;

/*
 * Without a ledger transactions begin with the rows, and a batch without rows must not be sent.
 * schema is that of our own tables and functions; NULL, which only a txn without a ledger may have:
 * there are none. Texts are copied.
 */
struct txn *txn_new(const char *schema, const char *sink, bool ledger) _must_;
/* There is a schema of ours now. Nothing is on its way. */
void txn_set_schema(struct txn *t, const char *schema);
bool txn_has_schema(const struct txn *t);
struct txn *txn_free(struct txn *t); /* returns NULL; the conn is the caller's */

/*
 * From now on transactions delete dead letters of this route instead of advancing the ledger: each
 * span of a batch is one, identified by its topic, partition and `from`. ERROR_FENCED: one of them
 * is gone. Not by unnest. For a txn without a ledger but with a schema.
 */
void txn_take_letters(struct txn *t, const char *route);

/*
 * From now on each transaction writes a row to <schema>.history, as its last statement before the
 * end: what it has moved, and how much that is. owner: this process, copied; NULL: not any more.
 * For a txn with a ledger, or that takes dead letters. Nothing is on its way.
 */
void txn_audit(struct txn *t, const char *owner);

/* These targets are about to be freed: forgets the statements that were made for them. Nothing is
 * on its way. */
void txn_forget(struct txn *t, const struct target *const *targets, size_t n);

/*
 * May another batch be sent by unnest after those on their way, before their answers are here? That
 * is safe: if it continues one that fails, its own advance misses, and it is rolled back.
 */
bool txn_may_follow(const struct txn *t);

/*
 * Can all of its INSERTs be prepared, and would they store what COPY stores (which ignores rules)?
 * If not, the batch is sent by COPY.
 */
bool txn_fits_unnest(struct txn *t, const struct batch *b);

/*
 * Starts to store b, which is not empty, on a ready connection, or after another batch where
 * txn_may_follow allows it. A batch without rows only advances the ledger. The path is a wish: a
 * batch that unnest cannot store is sent by COPY. False: nothing is stored (ERROR_LINK, the
 * connection is closed).
 */
bool txn_start(struct txn *t, struct conn *c, const struct batch *b, enum txn_path path,
               struct error *err) _must_;

/*
 * Reads and writes what the socket allows. On TXN_DONE *out is filled, for the oldest batch on its
 * way; then step again if there are others. After ERROR_LINK the connection is closed, and no batch
 * is on its way any more; after any other outcome it is ready as soon as all batches are answered.
 */
enum txn_step txn_step(struct txn *t, struct txn_result *out) _must_;

/*
 * From now on a batch sent by TXN_EACH, of which rows are refused, is answered by TXN_TRIED, if its
 * ledger has moved and all others are stored: that can stay. give: b, which lacks the refused rows
 * and may have more dead letters, but is the same in all else, takes the place of the batch; its
 * dead letters are added, and all is committed. refuse: it is rolled back. Then step again; if the
 * connection is lost, that says so.
 */
void txn_hold(struct txn *t);
void txn_give(struct txn *t, const struct batch *b);
void txn_refuse(struct txn *t);

/*
 * After TXN_EACH was refused: the refused rows, in the order in which they were made. The result's
 * error is that of the first. Once so many are refused by what may be a fault of the target that no
 * row can be a witness any more, the rows after them are not tried. None: the server blamed no row.
 * Valid until the next txn_start.
 */
const struct txn_refusal *txn_refusals(const struct txn *t, size_t *out_n);

/* Is it certain that the record is at fault, and not its target? */
bool txn_blames_record(const struct txn_refusal *r) _pure_;

/* Can store_each() find the refused rows of b? Not where rules rewrite an INSERT. */
bool txn_fits_each(const struct txn *t, const struct batch *b);

/* The next transaction, which is not sent by unnest, waits for a lock on its tables this long. */
void txn_set_lock_timeout(struct txn *t, usec_t timeout);

/* Gives up at once: closes the connection. TXN_UNKNOWN only if a commit may be on its way. */
enum txn_outcome txn_abandon(struct txn *t);

#endif
