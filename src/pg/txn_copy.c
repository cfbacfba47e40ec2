/*
 * The write path COPY, see txn.h. One query string per batch:
 *
 *     SELECT "pgsinkd".advance('sink', '{...}', ...);
 *     COPY "s"."t" ("a","b") FROM STDIN (FORMAT binary);COPY ...
 *     INSERT INTO "pgsinkd".history ...        if it is audited
 *     SELECT
 *
 * The last statement does nothing. Its answer is the only one that comes after the commit, so an
 * error that comes in its place is one of the commit.
 *
 * A replay's begins with take_dead_letters() instead.
 *
 * When can the server have committed? It commits after the last statement, so not before the last
 * CopyDone has left libpq: end_of_copy marks that point.
 *
 * Worker thread.
 */
#include "base/failpoint.h"
#include "base/mem.h"
#include "pg/catalog.h"
#include "pg/sql.h"
#include "pg/txn_state.h"
#include "row/table/table.h"

#include <poll.h>

/* Bytes per CopyData, and per step: after those the worker may look at other things. */
#define CHUNK_BYTES ((size_t) 64 * 1024)
#define STEP_BYTES ((size_t) 1024 * 1024)

static const char copy_header[] =
    "PGCOPY\n\377\r\n\0" /* signature, 11 bytes */
    "\0\0\0\0"           /* flags */
    "\0\0\0";            /* length of the header extension: 4 bytes with the NUL */
static const char copy_trailer[] = {'\377', '\377'};

/* --- the query string --- */

/* Fails if the table is not the one that the rows were made for. */
static void add_compare(struct txn *t, const struct target *target)
{
    buf_add_z(&t->sql, ";SELECT ");
    catalog_guard_sql(&t->sql, t->schema, target->table, false);
    txn_expect(&t->flights[0], (struct answer){.kind = ANSWER_SAME, .target = target});
}

/* Locks the table against changes of its columns, and asks whether there have been any. */
static void add_check(struct txn *t, const struct target *target)
{
    struct flight *f = &t->flights[0];
    struct target_mark *mark = target_marks_of(&t->marks, target);

    if (mark->is_checked || target->route == NULL) { /* our own table is no route's */
        return;
    }
    mark->is_checked = true;
    if (target->table->may_lock) {
        bool is_view = target->table->is_view; /* what it reads is locked too */
        buf_printf(&t->sql, ";LOCK TABLE %s%s IN %s MODE", is_view ? "" : "ONLY ",
                   target->table->quoted, is_view ? "ACCESS SHARE" : "ROW EXCLUSIVE");
        txn_expect(f, (struct answer){.kind = ANSWER_LOCKED, .target = target});
    }
    add_compare(t, target);
}

/* After add_check: also that the DEFAULTs are those that the statement has in its text. */
static void add_defaults_check(struct txn *t, const struct rows_shape *shape)
{
    if (rows_have_defaults(shape)) {
        buf_add_z(&t->sql, ";SELECT ");
        catalog_defaults_guard_sql(&t->sql, shape->target->table);
        txn_expect(&t->flights[0], (struct answer){.kind = ANSWER_SAME, .target = shape->target});
    }
}

/* Of the tables by which records were rejected, before those become dead letters. */
static void add_compares(struct txn *t, const struct batch *b)
{
    for (size_t i = 0; i < b->compared_count; i++) {
        add_compare(t, b->compared[i]);
    }
}

static void add_cleaning(struct txn *t)
{
    for (size_t i = 0; t->is_to_clean && i < ARRAY_LEN(statements_clean_sql); i++) {
        buf_printf(&t->sql, "%s;", statements_clean_sql[i]);
        txn_expect(&t->flights[0], (struct answer){.kind = ANSWER_OTHER});
    }
}

/* A view that we may not read cannot be locked: it is compared once more, in the plan. */
static void add_store(struct txn *t, const struct rows_shape *shape, const char *stage)
{
    const struct table *table = shape->target->table;
    _cleanup_buf_ struct buf guard = {0};

    if (table->is_view) {
        catalog_guard_sql(&guard, t->schema, table, true);
    }
    rows_sql_store(&t->sql, shape, ROWS_STAGE, stage, table->is_view ? buf_cstr(&guard) : NULL);
    txn_expect(&t->flights[0], (struct answer){.kind = ANSWER_ROWS, .target = shape->target});
}

/* Rows that SQL has to process: into a temporary table, and from there into the table. */
static void add_staged(struct txn *t, const struct rows_shape *shape, size_t group)
{
    const struct statement *s = statements_of(t->statements, shape);
    struct target_mark *mark = target_marks_of(&t->marks, shape->target);
    struct flight *f = &t->flights[0];

    add_check(t, shape->target);
    add_defaults_check(t, shape);
    buf_add_u8(&t->sql, ';');
    if (mark->is_staged) { /* a group before this one has left its rows there */
        buf_printf(&t->sql, "TRUNCATE pg_temp.%s", s->stage);
    } else {
        rows_sql_create(&t->sql, shape, s->stage, false);
        mark->is_staged = true;
    }
    txn_expect(f, (struct answer){.kind = ANSWER_OTHER, .target = shape->target});
    buf_add_u8(&t->sql, ';');
    rows_sql_copy(&t->sql, shape, s->stage, false);
    txn_expect(
        f, (struct answer){
               .kind = ANSWER_COPY, .target = shape->target, .group = group, .relation = s->stage});
    buf_add_u8(&t->sql, ';');
    add_store(t, shape, s->stage);
    t->copies_left++;
}

/* Of all tables, before anything is tried: a table that has changed must not cost records. */
static void add_checks(struct txn *t, const struct batch *b)
{
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        if (p->row_count > 0) {
            add_check(t, p->target);
            add_defaults_check(t, &(struct rows_shape){p->target, p->action, p->omit});
        }
    }
}

static void add_groups(struct txn *t)
{
    for (size_t i = 0; i < t->fold.group_count; i++) {
        const struct fold_group *g = &t->fold.groups[i];
        const struct rows_shape shape = {g->target, g->action, g->omit};
        if (rows_are_bare(&shape)) {
            if (shape.action != ROW_TRUNCATE) { /* which is right for any table of that name */
                add_check(t, shape.target);
            }
            buf_add_u8(&t->sql, ';');
            rows_sql_bare(&t->sql, &shape, g->row_count, NULL);
            txn_expect(&t->flights[0],
                       (struct answer){.kind = ANSWER_ROWS, .target = shape.target});
        } else if (rows_are_direct(&shape) && t->ledger && shape.target->route == NULL) {
            txn_spans_letters(t, &shape, i);
        } else if (rows_are_direct(&shape)) {
            add_check(t, shape.target);
            buf_add_u8(&t->sql, ';');
            txn_spans_direct(t, &shape, i);
        } else {
            add_staged(t, &shape, i);
        }
    }
}

/* After the ledger, whose rows have the session's. */
static void add_lock_timeout(struct txn *t)
{
    if (t->lock_timeout > 0) {
        buf_printf(&t->sql, "%sSET LOCAL lock_timeout = %llu", t->ledger ? ";" : "",
                   (unsigned long long) (t->lock_timeout / USEC_PER_MSEC));
        txn_expect(&t->flights[0], (struct answer){.kind = ANSWER_OTHER});
        t->lock_timeout = 0;
    }
}

bool txn_copy_send(struct txn *t, struct error *err)
{
    struct flight *f = &t->flights[0];

    t->copies_left = 0;
    t->stopped = false;
    t->answer_seen = false;
    t->ending = false;
    target_marks_begin(&t->marks, f->path == TXN_EACH ? f->b->part_count : t->fold.group_count);
    buf_clear(&t->sql);
    add_cleaning(t);
    if (f->path == TXN_EACH) {
        buf_add_z(&t->sql, "BEGIN;");
        txn_expect(f, (struct answer){.kind = ANSWER_OTHER});
    }
    if (t->letters_of != NULL) {
        txn_spans_take_letters(t, f->b);
    } else if (t->ledger) {
        txn_spans_advance(t, f->b);
    }
    if (!f->advanced) {
        txn_expect(f, (struct answer){.kind = ANSWER_ADVANCED});
    }
    add_lock_timeout(t);
    add_compares(t, f->b);
    if (f->path == TXN_EACH) {
        add_checks(t, f->b);
        txn_each_add_sql(t, f->b);
    } else if (t->fold.group_count > 0) {
        add_groups(t);
        txn_history_add_sql(t, f->b);
        buf_add_z(&t->sql, ";SELECT");
        txn_expect(f, (struct answer){.kind = ANSWER_END});
    } else {
        txn_history_add_sql(t, f->b);
    }
    f->may_commit = t->copies_left == 0 && f->path != TXN_EACH;
    if (!PQsendQuery(t->c->pg, buf_cstr(&t->sql))) {
        return conn_lost(t->c, err);
    }
    return true;
}

/* --- turns --- */

/*
 * A step takes turns until one of them has to wait, or ends the transaction:
 *
 *     is a COPY open?  yes
 *           |no        +--> send_rows    all are sent ------------------------>  TURN_AGAIN
 *           v                            no room, or enough for one step ----->  TURN_FULL   wait
 *      take_answer
 *           nothing to read yet ---------------------------------------------->  TURN_IDLE   wait
 *           one statement's, which may open the next COPY -------------------->  TURN_AGAIN
 *           all are here, and rows were tried: dead letters, COMMIT, ROLLBACK ->  TURN_AGAIN
 *           ... and the caller wants to know that some are refused ---------->  TURN_TRIED
 *           all are here ----------------------------------------------------->  TURN_OVER   done
 *
 * Both may also find the connection lost, or break it off: then the transaction is done as well.
 */
enum turn {
    TURN_AGAIN,
    TURN_FULL,
    TURN_IDLE,
    TURN_OVER,
    TURN_TRIED,
    TURN_LOST,    /* libpq has given up the connection */
    TURN_STRANGE, /* the server has answered what was not asked */
    TURN_FAILPOINT,
};

/* --- rows to send --- */

/* True when libpq has taken it; false: its buffer is full, or the connection is lost (*out). */
static bool put(struct txn *t, const void *p, size_t n, enum turn *out)
{
    int r = PQputCopyData(t->c->pg, p, (int) n);

    *out = r < 0 ? TURN_LOST : TURN_FULL;
    return r == 1;
}

#ifdef PGSINKD_FAILPOINTS
static bool fail_mid_copy(struct txn *t)
{
    if (t->sent == 0 || t->sent == t->rows.n) {
        return false;
    }
    (void) PQflush(t->c->pg);
    return failpoint_hit(FAILPOINT_TXN_MID_COPY);
}

static size_t chunk_size(size_t left)
{
    return MIN(CHUNK_BYTES, (left + 1) / 2); /* at least two chunks, so that there is a middle */
}
#else
static bool fail_mid_copy(const struct txn *t)
{
    (void) t;
    return false;
}

static size_t chunk_size(size_t left)
{
    return MIN(CHUNK_BYTES, left);
}
#endif

static enum turn end_of_copy(struct txn *t)
{
    enum turn result;

    if (t->copies_left == 1 && failpoint_hit(FAILPOINT_TXN_BEFORE_COMMIT)) {
        return TURN_FAILPOINT;
    }
    if (!put(t, copy_trailer, sizeof copy_trailer, &result)) {
        return result;
    }
    t->copies_left--; /* before the call: whatever it returns, CopyDone may be on its way */
    t->flights[0].may_commit = t->copies_left == 0 && t->flights[0].path != TXN_EACH;
    t->c->copy_in = false;
    return PQputCopyEnd(t->c->pg, NULL) < 0 ? TURN_LOST : TURN_AGAIN;
}

/* The server wants rows. */
static void begin_rows(struct txn *t)
{
    const struct flight *f = &t->flights[0];
    const struct answer *a = txn_expected(f);

    t->rows = f->path == TXN_EACH ? txn_each_rows(t, f->b, a->group)
                                  : t->fold.groups[a->group].bytes;
    t->c->copy_in = true;
    t->header_sent = false;
    t->sent = 0;
}

static enum turn send_rows(struct txn *t)
{
    enum turn result;
    size_t budget = STEP_BYTES;

    if (!t->header_sent) {
        if (!put(t, copy_header, sizeof copy_header, &result)) {
            return result;
        }
        t->header_sent = true;
    }
    while (t->sent < t->rows.n && budget > 0) {
        size_t n = MIN(chunk_size(t->rows.n - t->sent), budget);
        if (!put(t, t->rows.p + t->sent, n, &result)) {
            return result;
        }
        t->sent += n;
        budget -= n;
        if (fail_mid_copy(t)) {
            return TURN_FAILPOINT;
        }
        if (n == CHUNK_BYTES) {
            int left = PQflush(t->c->pg);
            if (left != 0) {
                return left < 0 ? TURN_LOST : TURN_FULL;
            }
        }
    }
    return t->sent < t->rows.n ? TURN_FULL : end_of_copy(t);
}

/* --- one answer --- */

/* Ends a COPY, and with it the transaction, by an error of ours. */
static bool break_off(struct txn *t)
{
    t->stopped = true;
    t->c->copy_in = false;
    return PQputCopyEnd(t->c->pg, "broken off") >= 0;
}

/* One answer of the server. False: it is not what was asked for. */
static bool take_result(struct txn *t, const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    struct flight *f = &t->flights[0];
    const struct answer *a = txn_expected(f);

    if (status == PGRES_FATAL_ERROR) {
        txn_blame(t, res);
        return true;
    }
    if (t->ending && f->fault.class != ERROR_NONE) {
        return status == PGRES_COMMAND_OK; /* rolled back */
    }
    if (a == NULL) {
        return false;
    }
    f->heard = true;
    if (status == PGRES_COPY_IN) {
        begin_rows(t);
        return a->kind == ANSWER_COPY;
    }
    f->answer++;
    if (a->kind == ANSWER_SAME || a->kind == ANSWER_END) {
        return status == PGRES_TUPLES_OK;
    }
    if (a->kind == ANSWER_ADVANCED) {
        f->advanced = status == PGRES_TUPLES_OK;
        return f->advanced;
    }
    if (a->kind == ANSWER_SCREENED) {
        return status == PGRES_TUPLES_OK && txn_tried_screened(t, res, a->group);
    }
    if (a->kind == ANSWER_TRIED) {
        return status == PGRES_TUPLES_OK && txn_tried_take(t, res);
    }
    return status == PGRES_COMMAND_OK;
}

/* All rows have been tried, or the dead letters sent. */
static enum turn go_on(struct txn *t)
{
    const struct flight *f = &t->flights[0];

    if (!t->gives && failpoint_hit(FAILPOINT_TXN_TRIED)) {
        return TURN_FAILPOINT;
    }
    if (t->holds && t->ledger && t->tried_all && f->fault.class == ERROR_NONE &&
        t->refusal_count > 0) {
        return TURN_TRIED;
    }
    return txn_tried_next(t) ? TURN_AGAIN : TURN_LOST;
}

static enum turn take_answer(struct txn *t)
{
    const struct flight *f = &t->flights[0];

    if (PQisBusy(t->c->pg)) {
        return TURN_IDLE;
    }
    if (f->may_commit && f->answer + 1 >= f->answer_count && !t->answer_seen) {
        t->answer_seen = true;
        if (failpoint_hit(FAILPOINT_TXN_AFTER_COMMIT)) {
            return TURN_FAILPOINT;
        }
    }
    _cleanup_result_ PGresult *res = PQgetResult(t->c->pg);
    if (res != NULL) {
        return take_result(t, res) ? TURN_AGAIN : TURN_STRANGE;
    }
    return f->path == TXN_EACH && !t->ending && !f->fatal ? go_on(t) : TURN_OVER;
}

/* --- one step --- */

/*
 * In the middle of a COPY the server sends something only when it has failed (notices are turned
 * off), and libpq does not show that until we end the COPY. A server that has failed ignores our
 * CopyFail.
 */
static enum turn stop_if_heard(struct txn *t, bool heard)
{
    if (!t->c->copy_in || !heard || t->deaf) {
        return TURN_AGAIN;
    }
    return break_off(t) ? TURN_AGAIN : TURN_LOST;
}

enum txn_step txn_copy_step(struct txn *t, struct txn_result *out)
{
    struct conn *c = t->c;
    struct error *fault = &t->flights[0].fault;
    bool heard;

    if (!conn_pump(c, &heard, fault)) {
        return txn_lost(t, out);
    }
    enum turn turn = stop_if_heard(t, heard);
    while (turn == TURN_AGAIN) {
        turn = c->copy_in ? send_rows(t) : take_answer(t);
    }
    switch (turn) {
    case TURN_AGAIN:
    case TURN_IDLE:
        return conn_flush(c, fault) ? TXN_WAIT : txn_lost(t, out);
    case TURN_FULL:
        c->events = POLLIN | POLLOUT;
        return TXN_WAIT;
    case TURN_OVER:
        return txn_finish(t, out);
    case TURN_TRIED:
        return TXN_TRIED;
    case TURN_LOST:
        conn_lost(c, fault);
        return txn_lost(t, out);
    case TURN_STRANGE:
        return txn_break_off(t, "postgresql answered what was not asked", out);
    case TURN_FAILPOINT:
        return txn_break_off(t, "failpoint", out);
    }
    return TXN_WAIT;
}
