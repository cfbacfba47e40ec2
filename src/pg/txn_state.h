/*
 * What a txn owns, shared by its own files only:
 *     txn.c         start, step, outcomes, and what a fault of the server means
 *     txn_copy.c    the write path COPY
 *     txn_unnest.c  the write path INSERT ... SELECT unnest(...)
 * Worker thread.
 */
#ifndef PG_TXN_STATE_H
#define PG_TXN_STATE_H

#include "pg/libpq.h"
#include "pg/statements.h"
#include "pg/txn.h"

/* unnest: the answers of one transaction, in order; behind them that of Sync. */
enum answer_kind { ANSWER_PREPARED, ANSWER_ADVANCED, ANSWER_ROWS };
struct answer {
    enum answer_kind kind;
    struct statement *statement; /* PREPARED */
};

/* One transaction on its way. */
struct flight {
    const struct batch *b;
    enum txn_path path;
    struct answer *answers;
    size_t answer_count;
    size_t answer_cap;
    size_t answer;      /* the next to come */
    size_t part;        /* the part whose answer is next; part_count = all are answered */
    bool advanced;      /* the ledger has moved, in this transaction */
    bool may_commit;    /* what ends the transaction may be on its way: a lost connection leaves it
                           open */
    struct error fault; /* the first error of the transaction */
    bool fatal;
    size_t fault_row;
};

struct txn {
    char *schema;
    char *sink;
    struct conn *c;                     /* NULL = nothing under way */
    struct flight flights[TXN_FLIGHTS]; /* oldest first */
    size_t flight_count;
    struct buf sql;
    uint32_t *order; /* spans of the batch to send, in key order */
    size_t order_cap;

    /* COPY */
    size_t sent;        /* bytes of the part handed to libpq */
    size_t copies_left; /* COPYs whose CopyDone is not yet sent */
    bool header_sent;
    bool stopped; /* we broke off a COPY because the server had spoken */
    bool deaf;    /* it once spoke of nothing: never break off again */
    bool answer_seen;

    /* unnest */
    struct statements *statements;
    struct buf *parameters; /* one for each, memory kept */
    size_t parameter_count;
};

enum span_field {
    SPAN_PARTITION,
    SPAN_OWNER_EPOCH,
    SPAN_FROM,
    SPAN_NEXT,
    SPAN_LEADER_EPOCH,
    SPAN_TIMESTAMP,
    SPAN_END,
    SPAN_FIELDS
};

/* Fields of a span in the order of advance()'s parameters. */
int64_t txn_span_field(const struct span *s, enum span_field field);

bool txn_column_omitted(const struct target_column *column, uint64_t omit);
bool txn_has_columns(const struct batch_part *p);
size_t txn_next_part(const struct batch *b, size_t i); /* the first part with rows at or after i */

/* INSERT of rows that have no columns: appended to out. */
void txn_add_bare_insert(struct buf *out, const struct batch_part *p);

/* The connection is closed, and with it all flights end; the oldest one's fault says why. */
enum txn_step txn_lost(struct txn *t, struct txn_result *out);
enum txn_step txn_break_off(struct txn *t, const char *why, struct txn_result *out);

/* All of the oldest flight is answered. */
enum txn_step txn_finish(struct txn *t, struct txn_result *out);

/* An error of the server in the oldest flight. */
void txn_take_fault(struct txn *t, const PGresult *res);

/* The paths. send: false = the connection is closed, *err says why. */
bool txn_copy_send(struct txn *t, struct error *err) _must_;
enum txn_step txn_copy_step(struct txn *t, struct txn_result *out) _must_;
bool txn_unnest_send(struct txn *t, struct error *err) _must_;
enum txn_step txn_unnest_step(struct txn *t, struct txn_result *out) _must_;

#endif
