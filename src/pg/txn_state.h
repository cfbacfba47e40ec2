/*
 * What a txn owns, shared by its own files only:
 *     txn.c         start and step
 *     txn_answer.c  the answers that are to come, and how a transaction ends
 *     txn_blame.c   what an error of the server means
 *     txn_spans.c   what is called for the spans of a batch
 *     txn_history.c the row of history, of what is audited
 *     txn_copy.c    the write path COPY
 *     txn_unnest.c  the write path INSERT ... SELECT unnest(...)
 *     txn_each.c    which rows are refused: what is sent,
 *     txn_tried.c   and what comes back
 * Worker thread.
 */
#ifndef PG_TXN_STATE_H
#define PG_TXN_STATE_H

#include "pg/libpq.h"
#include "pg/statements.h"
#include "pg/target_marks.h"
#include "pg/txn.h"
#include "pg/witness.h"
#include "row/batch/fold.h"

/* What the server answers, statement by statement. With unnest the answer to Sync comes last. */
enum answer_kind {
    ANSWER_OTHER, /* that it has done something */
    ANSWER_PREPARED,
    ANSWER_ADVANCED,
    ANSWER_LOCKED,   /* a table is locked against changes of its columns */
    ANSWER_SAME,     /* that its columns are those that the rows were made for; or an error */
    ANSWER_COPY,     /* that it is ready for rows; then, that it has them */
    ANSWER_ROWS,     /* that rows are stored */
    ANSWER_SCREENED, /* which rows cannot be stored, of one part */
    ANSWER_TRIED,    /* ... of those that are left */
    ANSWER_HISTORY,  /* that a row of history is written */
    ANSWER_END,      /* that all statements before are done: an error from now on is the commit's */
};

struct answer {
    enum answer_kind kind;
    struct statement *statement; /* PREPARED */
    const struct target *target; /* what is done is done for it; NULL: of advance(), or of all */
    size_t group;                /* COPY: of the fold; each, SCREENED: the part of the batch */
    const char *relation;        /* COPY: what the server calls it; borrowed */
};

/* One transaction on its way. */
struct flight {
    const struct batch *b;
    enum txn_path path;
    struct answer *answers;
    size_t answer_count;
    size_t answer_cap;
    size_t answer; /* the next to come */
    bool advanced; /* the ledger has moved, in this transaction */
    bool heard;    /* anything that was asked in it has been answered, other than by an error */
    /* the end of the transaction may have been sent: if the connection is lost now, nobody but the
     * ledger knows the outcome */
    bool may_commit;
    struct error fault;                /* the first error of the transaction */
    const struct target *fault_target; /* whose table it is about; NULL: of none, or not known */
    bool fatal;                        /* it ended the session */
    bool no_temporary;                 /* our role may not create temporary tables */
    bool changed;      /* the fault: a table is not the one that rows were made for */
    size_t fault_part; /* the row that the fault names, or TXN_NO_ROW */
    size_t fault_row;
};

/* Rows of one part between which no row of another part was made. */
struct run {
    uint32_t part;
    uint32_t first; /* index of a row of the part */
    uint32_t last;
};

struct txn {
    char *schema; /* NULL: there is none */
    bool ledger;  /* a transaction begins with advance() */
    char *sink;
    char *letters_of; /* the route whose dead letters are taken, instead of advance(); or NULL */
    char *audited_as; /* the owner in rows of history; NULL: none are written */
    struct conn *c;   /* NULL = nothing under way */
    struct flight flights[TXN_FLIGHTS]; /* oldest first */
    size_t flight_count;
    struct buf sql;
    uint32_t *order; /* spans of the batch to send, in key order */
    size_t order_cap;

    struct fold fold;          /* of the batch sent last */
    struct target_marks marks; /* what has been said of each target */
    bool is_to_clean;          /* the transaction begins with statements_clean_sql */

    usec_t lock_timeout; /* of the next transaction; 0: that of the session */

    /* COPY */
    struct str rows;    /* what the COPY under way sends */
    size_t sent;        /* bytes of it handed to libpq */
    size_t copies_left; /* COPYs whose CopyDone is not yet sent */
    bool header_sent;
    bool stopped;     /* we broke off a COPY because the server had sent something */
    bool deaf;        /* what it sent was no error: from now on input in mid-COPY means nothing */
    bool answer_seen; /* of the commit; for its failpoint */

    /* each */
    struct buf staged; /* the rows of a part with their places */
    size_t *places;    /* for each part of the batch: the place of its first row, less one */
    size_t place_cap;
    struct run *runs; /* what store_each was given */
    size_t run_count;
    size_t run_cap;
    struct txn_refusal *refusals;
    size_t refusal_count;
    size_t refusal_cap;
    struct error **faults; /* what refusals point to; memory is kept */
    size_t fault_count;    /* in use */
    size_t fault_made;
    size_t fault_cap;
    bool tried_all;             /* what is not refused is stored: no row was left out */
    bool holds;                 /* TXN_TRIED is wanted */
    bool gives;                 /* the dead letters are on their way, or there are none */
    bool ending;                /* COMMIT or ROLLBACK is sent */
    struct witness_step *steps; /* what has become of the rows, in their order */
    size_t step_count;
    size_t step_cap;

    /* unnest */
    struct statements *statements;
    struct buf *parameters; /* one for each, memory kept */
    size_t parameter_count;
};

/* txn_answer.c: the answer that comes next, NULL when all are here; and one more to wait for. */
const struct answer *txn_expected(const struct flight *f) _pure_;
void txn_expect(struct flight *f, struct answer a);

/*
 * The oldest flight ends: everything is answered (finish), or the connection is closed, or is
 * closed here because of `why` (break_off). With the connection all younger flights end too, and
 * only the oldest has a result. All return TXN_DONE.
 */
enum txn_step txn_finish(struct txn *t, struct txn_result *out) _must_;
enum txn_step txn_lost(struct txn *t,
                       struct txn_result *out) _must_; /* flights[0].fault says why */
enum txn_step txn_break_off(struct txn *t, const char *why, struct txn_result *out) _must_;

/* txn_blame.c: fills the fault of the oldest flight from an error of the server, the first only. */
void txn_blame(struct txn *t, const PGresult *res);

/* txn_spans.c: append calls for the spans of b. topics, field: the array of one field, as a
 * literal. direct: the COPY of a group of the fold, or of a part, straight into its table. letters:
 * the same for dead letters, after letters_are_new(). */
void txn_spans_advance(struct txn *t, const struct batch *b);
void txn_spans_take_letters(struct txn *t, const struct batch *b);
void txn_spans_topics(struct txn *t, const struct batch *b);
void txn_spans_field(struct txn *t, const struct batch *b, enum span_field field);
void txn_spans_direct(struct txn *t, const struct rows_shape *shape, size_t group);
void txn_spans_letters(struct txn *t, const struct rows_shape *shape, size_t group);

/*
 * txn_history.c: the row of history that flight is to write, if it is audited. add_sql appends it
 * to a query string, counts is for the statement of the pipeline.
 */
struct history_counts {
    int64_t records;
    int64_t rows;
    int64_t dead_letters;
    int64_t bytes; /* of both */
};
struct history_counts txn_history_counts(const struct batch *b) _pure_;
void txn_history_add_sql(struct txn *t, const struct batch *b);

/*
 * txn_each.c, used by txn_copy.c: add_sql appends the statements after advance(); rows are the
 * tuples of a part as its COPY sends them, borrowed until the next call. comes_last: of dead
 * letters that are not tried, but added at the end.
 */
void txn_each_add_sql(struct txn *t, const struct batch *b);
struct str txn_each_rows(struct txn *t, const struct batch *b, size_t part);
bool txn_each_comes_last(const struct txn *t, const struct batch_part *p) _pure_;

/*
 * txn_tried.c, used by txn_copy.c: screened and take read what screen() and store_each() have
 * answered, false when that makes no sense; next sends what comes after that: dead letters, COMMIT
 * or ROLLBACK; false when libpq has given up the connection. begin forgets what was refused before.
 */
bool txn_tried_screened(struct txn *t, const PGresult *res, size_t part) _must_;
bool txn_tried_take(struct txn *t, const PGresult *res) _must_;
bool txn_tried_next(struct txn *t) _must_;
void txn_tried_begin(struct txn *t);
void txn_tried_done(struct txn *t);

/*
 * The paths. send sends the youngest flight; false: the connection is closed, *err says why. step
 * is txn_step for the oldest flight.
 */
bool txn_copy_send(struct txn *t, struct error *err) _must_;
enum txn_step txn_copy_step(struct txn *t, struct txn_result *out) _must_;
bool txn_unnest_send(struct txn *t, struct error *err) _must_;
enum txn_step txn_unnest_step(struct txn *t, struct txn_result *out) _must_;

#endif
