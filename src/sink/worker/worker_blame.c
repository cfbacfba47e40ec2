/*
 * Whose fault is it? PostgreSQL has refused outbox[0], nothing of it is stored, and the connection
 * is well. What an SQLSTATE says is pg/sqlstate.h's, what the server found out about single rows is
 * the txn's (TXN_EACH). Here it is decided what becomes of the records (docs/decisions/025):
 *
 *     the record's    a dead letter, or its partition stops (worker_letters.c)
 *     the target's    the partitions that feed it are parked, from their first such record on; if
 *                     only a row of it is locked, that of the record whose row it is
 *     either          a witness has settled it, or the partition waits until patience is over
 *
 * In each case the rest of the batch is sent again without it. Worker thread.
 */
#include "base/mem.h"
#include "pg/sqlstate.h"
#include "row/table/table.h"
#include "sink/plan/plan.h"
#include "sink/shared/delays.h"
#include "sink/worker/worker_state.h"

#include <string.h>

#define NOT_CUT SIZE_MAX

/* ---- a target that refuses ---- */

/* What a person can do. What is parked is tried again by itself. */
static void hint_repair(const struct worker *w, struct error *err)
{
    if (err->hint[0] != '\0') {
        return;
    }
    if (sqlstate_is(err->sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE)) {
        error_hint(err,
                   "Grant the right to the role that pgsinkd connects as; it then continues by "
                   "itself. `pgsinkd check` shows what is missing.");
    } else if (sqlstate_is(err->sqlstate, "23514")) {
        error_hint(err, "Create the missing partition of the table; it then continues by itself.");
    } else if (sqlstate_is(err->sqlstate, "53")) {
        error_hint(err,
                   "The server lacks a resource; it continues by itself when there is enough.");
    } else if (sqlstate_is(err->sqlstate, SQLSTATE_LOCK_NOT_AVAILABLE)) {
        error_hint(err, "Another session holds a lock on the table, or on a row of it (pg_locks, "
                        "pg_stat_activity); it continues by itself when that transaction ends.");
    } else {
        error_hint(err,
                   "Repair the table, its triggers or functions; it then continues by itself, at "
                   "the latest a minute later%s.",
                   w->link.ledger != NULL ? ", at once after resume()" : "");
    }
}

static void park_at(struct worker *w, size_t record, const struct error *err)
{
    const struct batch *b = w->outbox[0];
    const struct slot *s = b->spans[b->records[record].span].tag;
    struct standing why = {
        .state = STANDING_PARKED,
        .offset = b->records[record].offset,
        .why = *err,
        .retry_at = worker_stand_retry_at(s),
    };

    hint_repair(w, &why.why);
    worker_stand_aside(w, record, &why);
}

/* The first row of a record from `from` on, or p->row_count. */
static size_t row_from(const struct batch_part *p, size_t from)
{
    size_t row = 0;

    while (row < p->row_count && p->rows[row].record < from) {
        row++;
    }
    return row;
}

/* The first such record that has a row for the table; NOT_CUT: there is none any more. */
static size_t first_for(const struct batch *b, const struct table *table, size_t from)
{
    size_t first = NOT_CUT;

    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        size_t row = p->target->table == table ? row_from(p, from) : p->row_count;
        if (row < p->row_count) {
            first = MIN(first, p->rows[row].record);
        }
    }
    return first;
}

/* Every partition of outbox[0] that has rows for it from a record on; each loses them, so this
 * ends. */
static bool park_all(struct worker *w, const struct table *table, size_t from,
                     const struct error *err)
{
    const struct batch *b = w->outbox[0];
    bool any = false;
    size_t record;

    while (w->outbox_count > 0 && w->outbox[0] == b &&
           (record = first_for(b, table, from)) != NOT_CUT) {
        park_at(w, record, err);
        any = true;
    }
    return any;
}

/* 53 (resources) and 54 (limits): a smaller transaction may need less than there is. */
static bool smaller_may_help(const struct error *err)
{
    return sqlstate_is(err->sqlstate, "53") || sqlstate_is(err->sqlstate, "54");
}

static void blame_target(struct worker *w, const struct txn_result *r)
{
    struct batch *b = w->outbox[0];

    if ((r->target == NULL || smaller_may_help(&r->error)) && b->record_count > 1) {
        worker_outbox_cut(w, b->record_count / 2);
    } else if (r->target == NULL || !park_all(w, r->target->table, 0, &r->error)) {
        park_at(w, 0, &r->error);
    }
}

/* Each locked row costs a try of the batch. Where there are more, the table passes for locked. */
#define LOCKED_ROWS_MAX 3

/*
 * 55: a lock, of the table or of one of its rows. If the server names a row then that one is locked
 * (the table was before, by LOCK TABLE), and its record parks its partition. The other records may
 * be stored, so they are tried once more, by which the next such row is named.
 */
static void blame_lock(struct worker *w, const struct txn_result *r)
{
    struct batch *b = w->outbox[0];

    if (r->row != TXN_NO_ROW) {
        size_t record = b->parts[r->part].rows[r->row].record;
        if (++w->locked_rows <= LOCKED_ROWS_MAX) {
            park_at(w, record, &r->error);
        } else {
            park_all(w, r->target->table, record, &r->error);
        }
        w->link.each_once = w->outbox_count > 0 && w->outbox[0] == b;
    } else if (r->path != TXN_EACH && worker_blame_may_try_each(w)) {
        w->link.each_once = true;
    } else {
        blame_target(w, r);
    }
}

/* ---- a table that rows cannot be made for any more ---- */

/* The first record of a topic whose tables cannot be used as they are now; or NOT_CUT. */
static size_t first_unusable(const struct batch *b, const struct error **out_why)
{
    for (size_t i = 0; i < b->record_count; i++) {
        const struct slot *s = b->spans[b->records[i].span].tag;
        if (s->plan != NULL && s->plan->why != NULL) {
            *out_why = s->plan->why;
            return i;
        }
    }
    return NOT_CUT;
}

static bool any_feeds(const struct batch *b, const struct target *target)
{
    for (size_t i = 0; i < b->span_count; i++) {
        const struct slot *s = b->spans[i].tag;
        if (s->plan == NULL || plan_topic_feeds(s->plan, target)) {
            return true;
        }
    }
    return false;
}

bool worker_blame_unusable(struct worker *w, const struct txn_result *r)
{
    struct batch *b = w->outbox[0];
    const struct error *why = NULL;
    bool any = false;
    size_t record;

    while (w->outbox_count > 0 && w->outbox[0] == b &&
           (record = first_unusable(b, &why)) != NOT_CUT) {
        park_at(w, record, why);
        any = true;
    }
    if (w->outbox_count == 0 || w->outbox[0] != b) {
        return any;
    }
    if (r->target != NULL && !any_feeds(b, r->target)) {
        batch_forget(b, r->target); /* none of its records depends on that table any more */
        any = true;
    }
    return any;
}

/* ---- rows that the server has named ---- */

enum verdict { VERDICT_RECORD, VERDICT_WAIT, VERDICT_STRICT_WAIT, VERDICT_PARK, VERDICT_ALONE };

static struct slot *slot_of(const struct batch *b, size_t record)
{
    return b->spans[b->records[record].span].tag;
}

static bool is_limit(const struct txn_refusal *f)
{
    return sqlstate_is(f->error->sqlstate, SQLSTATE_PROGRAM_LIMIT_EXCEEDED);
}

/* By a witness, or when patience is over. Only where the record was sent alone does the server say
 * in which of its files the error lies. */
static enum verdict of_doubt(struct slot *s, const struct txn_refusal *f, int64_t offset)
{
    if (f->witness == WITNESS_NONE &&
        !worker_stand_doubt(s, offset, f->error->sqlstate, delay_patience())) {
        return VERDICT_WAIT;
    }
    return is_limit(f) && s->cleared_offset != offset ? VERDICT_ALONE : VERDICT_RECORD;
}

/* If its partition has waited for that, the log says so when it moves again. */
static void note_blame(struct slot *s, int64_t offset)
{
    if (s->standing != NULL && s->standing->state == STANDING_WAITING &&
        s->standing->offset == offset) {
        s->blamed = offset;
    }
}

static enum verdict verdict_of(struct slot *s, const struct txn_refusal *f, int64_t offset)
{
    switch (f->class) {
    case ERROR_DOUBT:
        return of_doubt(s, f, offset);
    case ERROR_UNFIT:
        if (f->witness != WITNESS_STRICT) {
            return VERDICT_PARK;
        }
        return worker_stand_strict(s, offset, f->error->sqlstate) ? VERDICT_RECORD
                                                                  : VERDICT_STRICT_WAIT;
    case ERROR_TARGET:
        return VERDICT_PARK;
    case ERROR_NONE:
    case ERROR_AGAIN:
    case ERROR_LINK:
    case ERROR_FENCED:
    case ERROR_SETUP:
    case ERROR_KAFKA:
    case ERROR_RECORD:
        break;
    }
    return VERDICT_RECORD;
}

static void set_aside(struct worker *w, size_t record, const struct txn_refusal *f, enum verdict v)
{
    struct slot *s = slot_of(w->outbox[0], record);
    struct standing why = {
        .state = v == VERDICT_PARK ? STANDING_PARKED : STANDING_WAITING,
        .offset = w->outbox[0]->records[record].offset,
        .why = *f->error,
        .retry_at = v == VERDICT_PARK          ? worker_stand_retry_at(s)
                    : v == VERDICT_STRICT_WAIT ? worker_stand_look_again_at(s, delay_strict())
                                               : worker_stand_look_again_at(s, delay_patience()),
    };

    if (v == VERDICT_PARK) {
        hint_repair(w, &why.why);
    } else if (why.why.hint[0] == '\0') {
        error_hint(&why.why,
                   "Nothing has to be done: either the table stores it soon, or the record "
                   "becomes a dead letter, or stops its partition.");
    }
    worker_stand_aside(w, record, &why);
}

/* What is to be done about the first row of each partition that is not simply its record's. */
struct finding {
    size_t record;
    const struct txn_refusal *refusal;
    enum verdict verdict;
};

static size_t record_of(const struct batch *b, const struct txn_refusal *f)
{
    return b->parts[f->part].rows[f->row].record;
}

/* One for each partition; the number of them. `out` has room for every span. */
static size_t find_open(const struct batch *b, const struct txn_refusal *list, size_t n,
                        struct finding *out)
{
    _cleanup_mem_ bool *seen = mem_array(MAX(b->span_count, 1), sizeof *seen);
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        size_t record = record_of(b, &list[i]);
        uint32_t span = b->records[record].span;
        if (seen[span]) {
            continue;
        }
        enum verdict v = verdict_of(slot_of(b, record), &list[i], b->records[record].offset);
        if (v == VERDICT_RECORD) {
            note_blame(slot_of(b, record), b->records[record].offset);
        } else {
            seen[span] = true;
            out[count++] = (struct finding){record, &list[i], v};
        }
    }
    return count;
}

/* 54000 that would be blamed on its record: that is sent alone, the ones before it go first. */
static void send_alone(struct worker *w, size_t record)
{
    struct slot *s = slot_of(w->outbox[0], record);

    s->cleared_offset = w->outbox[0]->records[record].offset;
    if (w->outbox[0]->record_count > record + 1) {
        worker_outbox_cut(w, record + 1);
    }
    if (record > 0) {
        worker_outbox_cut(w, record);
    }
}

bool worker_blame_is_alone(const struct worker *w)
{
    const struct batch *b = w->outbox[0];

    return b->record_count == 1 && slot_of(b, 0)->cleared_offset == b->records[0].offset;
}

/* From the last to the first, so that the records of the others keep their places. */
static void set_all_aside(struct worker *w, struct finding *open, size_t n)
{
    for (size_t k = n; k > 0; k--) {
        size_t last = 0;
        for (size_t i = 1; i < k; i++) {
            last = open[i].record > open[last].record ? i : last;
        }
        set_aside(w, open[last].record, open[last].refusal, open[last].verdict);
        open[last] = open[k - 1];
    }
}

/*
 * Partitions with a row that is not its record's are cut there. If there are none, all that is
 * refused becomes dead letters; else the rest is tried once more, by which the server names again
 * what is the records'.
 */
static void judge(struct worker *w, const struct txn_result *r, const struct txn_refusal *list,
                  size_t n)
{
    const struct batch *b = w->outbox[0];
    _cleanup_mem_ struct finding *open = mem_array(MAX(b->span_count, 1), sizeof *open);
    size_t count = find_open(b, list, n, open);

    for (size_t i = 0; i < count; i++) {
        if (open[i].verdict == VERDICT_ALONE) {
            send_alone(w, open[i].record);
            return;
        }
    }
    if (count == 0) {
        worker_letters_condemn(w, r);
        return;
    }
    set_all_aside(w, open, count);
    w->link.each_once = n > count;
}

/* So many partitions are parked at one record each, while nothing of the table is stored. */
#define UNFIT_RECORDS_MAX 3

/*
 * COPY has named the row, where store_each() cannot look for more of them. The table may still
 * store others: what is before the record goes first and alone, then only its partition is parked.
 * If the table stores nothing in between, it is the table, and all that feed it are parked. A
 * partition that is parked already, and was tried again, shows nothing new.
 */
static void park_named(struct worker *w, const struct txn_result *r)
{
    const struct batch *b = w->outbox[0];
    size_t record = b->parts[r->part].rows[r->row].record;
    const struct table *table = b->parts[r->part].target->table;

    if (record > 0) {
        worker_outbox_cut(w, record);
        return;
    }
    if (w->unfit_table != table) {
        w->unfit_table = table;
        w->unfit_records = 0;
    }
    w->unfit_records += slot_of(b, 0)->standing == NULL;
    if (w->unfit_records <= UNFIT_RECORDS_MAX) {
        park_at(w, 0, &r->error);
    } else {
        park_all(w, table, 0, &r->error);
    }
}

/* The server blames no row: the error came from all of them together, or from the commit. */
static void judge_whole(struct worker *w, const struct txn_result *r)
{
    struct batch *b = w->outbox[0];

    if (r->error.class == ERROR_UNFIT && r->path == TXN_COPY && r->row != TXN_NO_ROW) {
        park_named(w, r);
    } else if (r->error.class == ERROR_UNFIT || r->error.class == ERROR_TARGET) {
        blame_target(w, r);
    } else if (r->error.class == ERROR_DOUBT && b->record_count == 1) {
        const struct txn_refusal f = {.error = &r->error, .class = r->error.class};
        enum verdict v = verdict_of(slot_of(b, 0), &f, b->records[0].offset);
        if (v == VERDICT_RECORD || (v == VERDICT_ALONE && r->path == TXN_COPY)) {
            note_blame(slot_of(b, 0), b->records[0].offset);
            worker_letters_isolate(w, r);
        } else if (v == VERDICT_ALONE) {
            send_alone(w, 0);
        } else {
            set_aside(w, 0, &f, v);
        }
    } else {
        worker_letters_isolate(w, r);
    }
}

/* store_each() is in our schema, which may be missing without a ledger and dead letters. */
bool worker_blame_may_try_each(const struct worker *w)
{
    bool has_schema = w->link.ledger != NULL || w->wc.policies->letters != NULL;

    return has_schema && clock_mono() >= w->each_denied_until &&
           txn_fits_each(w->link.txn, w->outbox[0]);
}

/* These may come before the transaction has noticed that the table has changed. */
static bool may_be_a_change(const struct txn_result *r)
{
    const struct error *err = &r->error;
    static const char *const codes[] = {"42P01", "42703", "42704", "42883", "42P10",
                                        "42804", "3F000", "22P03", "22P04"};

    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (sqlstate_is(err->sqlstate, codes[i])) {
            return true;
        }
    }
    /* a type may be gone */
    return r->path == TXN_UNNEST && sqlstate_is(err->sqlstate, SQLSTATE_INTERNAL_ERROR);
}

/* A record that was sent alone to see where its error comes from; it is not the server's limit. */
static bool is_cleared(const struct worker *w, const struct txn_result *r)
{
    return r->error.class == ERROR_DOUBT && r->path == TXN_COPY &&
           sqlstate_is(r->error.sqlstate, SQLSTATE_PROGRAM_LIMIT_EXCEEDED) &&
           worker_blame_is_alone(w);
}

/* Only some rows of it may be refused: the server is to name them. If one is named already, and its
 * record is needed as it came, that comes first. */
static void look_closer(struct worker *w, const struct txn_result *r)
{
    if (r->path == TXN_COPY && worker_letters_fetch(w, r)) {
        return;
    }
    if (worker_blame_may_try_each(w)) {
        w->link.each_once = true;
    } else if (r->path == TXN_UNNEST &&
               (r->error.class != ERROR_UNFIT || w->outbox[0]->record_count > 1)) {
        w->link.copy_once = true; /* names one row */
    } else {
        judge_whole(w, r);
    }
}

void worker_blame(struct worker *w, const struct txn_result *r)
{
    size_t n = 0;

    if (may_be_a_change(r) && worker_plan_stale(w, r->target, &r->error)) {
        return;
    }
    if (is_cleared(w, r)) {
        note_blame(slot_of(w->outbox[0], 0), w->outbox[0]->records[0].offset);
        worker_letters_isolate(w, r);
    } else if (r->error.class == ERROR_TARGET && sqlstate_is(r->error.sqlstate, "55")) {
        blame_lock(w, r);
    } else if (r->error.class == ERROR_TARGET) {
        blame_target(w, r);
    } else if (r->path != TXN_EACH) {
        look_closer(w, r);
    } else {
        const struct txn_refusal *list = txn_refusals(w->link.txn, &n);
        if (n > 0) {
            judge(w, r, list, n);
        } else {
            judge_whole(w, r);
        }
    }
}
