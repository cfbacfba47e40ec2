/*
 * Which rows of a batch were refused, see txn.h: what screen() and store_each() have answered to
 * txn_each.c, and what comes after it: dead letters, and the end of the transaction. Worker thread.
 */
#include "base/mem.h"
#include "pg/sqlstate.h"
#include "pg/txn_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What both answer (txn_each.c). */
enum {
    EACH_RUN,
    EACH_PLACE,
    EACH_UPTO,
    EACH_EFFECTS,
    EACH_BLAME,
    EACH_WITHOUT_ROWS,
    EACH_IS_CAST,
    EACH_SQLSTATE,
    EACH_MESSAGE,
    EACH_DETAIL,
    EACH_COLUMN
};

/* Memory that is kept for later batches. */
#define FAULTS_KEPT 256

/* --- what comes back --- */

/* NULL counts as 0. */
static uint64_t number(const PGresult *res, int row, int field)
{
    return (uint64_t) MAX(result_i64(res, row, field, 0), 0);
}

/* The words of store_each(). */
static enum error_class blame_class(const char *word)
{
    static const struct {
        const char *word;
        enum error_class class;
    } words[] = {
        {"record", ERROR_RECORD}, {"doubt", ERROR_DOUBT}, {"unfit", ERROR_UNFIT},
        {"target", ERROR_TARGET}, {"again", ERROR_AGAIN},
    };

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i].word, word) == 0) {
            return words[i].class;
        }
    }
    return ERROR_NONE;
}

static struct error *new_fault(struct txn *t)
{
    if (t->fault_count == t->fault_made) {
        t->faults = mem_grow(t->faults, &t->fault_cap, t->fault_made, sizeof *t->faults);
        t->faults[t->fault_made++] = mem_zalloc(sizeof(struct error));
    }
    return t->faults[t->fault_count++];
}

static void free_faults(struct txn *t, size_t kept)
{
    while (t->fault_made > kept) {
        free(t->faults[--t->fault_made]);
    }
}

static void set_fault(struct error *err, const PGresult *res, int row, const struct target *target)
{
    char message[400];
    char detail[200];
    const char *sqlstate = PQgetvalue(res, row, EACH_SQLSTATE);
    const char *column = PQgetvalue(res, row, EACH_COLUMN);
    enum error_class class = blame_class(PQgetvalue(res, row, EACH_BLAME));

    fault_one_line(message, sizeof message, PQgetvalue(res, row, EACH_MESSAGE));
    fault_one_line(detail, sizeof detail, PQgetvalue(res, row, EACH_DETAIL));
    error_set(err, class, "%s%s%s (%s)", message, *detail ? ": " : "", detail, sqlstate);
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate);
    if (*column) {
        snprintf(err->column, sizeof err->column, "%s", column);
        error_wrap(err, "column '%s'", column);
    }
    error_wrap(err, "table '%s.%s'", target->table->schema, target->table->name);
}

/* Rows of a part, from one place to another. False: there are none such. */
struct stretch {
    size_t part;
    size_t first;
    size_t rows;
};

static bool find_rows(const struct txn *t, const PGresult *res, int row, struct stretch *out)
{
    uint64_t run = number(res, row, EACH_RUN);
    uint64_t place = number(res, row, EACH_PLACE);
    uint64_t upto = number(res, row, EACH_UPTO);

    if (run == 0 || run > t->run_count) {
        return false;
    }
    const struct run *r = &t->runs[run - 1];
    size_t first = t->places[r->part];
    if (place < first + r->first + 1 || upto > first + r->last + 1 || upto < place) {
        return false;
    }
    *out = (struct stretch){r->part, place - first - 1, upto - place + 1};
    return true;
}

/* The first part of the batch with the same target and action. */
static size_t statement_of(const struct batch *b, size_t part)
{
    for (size_t i = 0; i < part; i++) {
        if (b->parts[i].target == b->parts[part].target &&
            b->parts[i].action == b->parts[part].action) {
            return i;
        }
    }
    return part;
}

/* A text that its column's type refuses, while it has taken another, is the record's. */
static void judge_cast(struct txn *t, struct txn_refusal *r)
{
    const struct batch_part *p = &t->flights[0].b->parts[r->part];
    const struct rows_shape shape = {p->target, p->action, p->omit};

    for (size_t i = 0; i < p->target->column_count; i++) {
        if (!rows_are_cast(&shape, i) ||
            strcmp(p->target->columns[i].column->name, r->error->column) != 0) {
            continue;
        }
        if (r->class == ERROR_RECORD) {
            statements_met_cast(t->statements, &shape, i);
        } else if (statements_cast_passes(t->statements, &shape, i)) {
            r->class = ERROR_RECORD;
        }
    }
    if (r->class == ERROR_UNFIT) {
        r->class = ERROR_DOUBT; /* no table was concerned */
    }
}

/* One for each row of the stretch, all with the same fault. */
static void add_refusals(struct txn *t, const PGresult *res, int row, const struct stretch *at)
{
    struct error *fault = new_fault(t);
    struct txn_refusal r = {
        .part = at->part,
        .error = fault,
        .without_rows = result_is_true(res, row, EACH_WITHOUT_ROWS),
        .is_cast = result_is_true(res, row, EACH_IS_CAST),
    };

    set_fault(fault, res, row, t->flights[0].b->parts[at->part].target);
    r.class = fault->class;
    if (r.is_cast) {
        judge_cast(t, &r);
    }
    for (size_t i = 0; i < at->rows; i++) {
        r.row = at->first + i;
        t->refusals = mem_grow(t->refusals, &t->refusal_cap, t->refusal_count, sizeof *t->refusals);
        t->refusals[t->refusal_count++] = r;
    }
}

static void add_step(struct txn *t, const struct witness_step *s)
{
    t->steps = mem_grow(t->steps, &t->step_cap, t->step_count, sizeof *t->steps);
    t->steps[t->step_count++] = *s;
}

/* One line of the answer. False: it makes no sense. */
static bool take_line(struct txn *t, const PGresult *res, int row)
{
    struct flight *f = &t->flights[0];
    struct stretch at;
    enum error_class class = blame_class(PQgetvalue(res, row, EACH_BLAME));

    if (!find_rows(t, res, row, &at)) {
        return false;
    }
    struct witness_step step = {.statement = statement_of(f->b, at.part), .rows = at.rows};
    if (PQgetisnull(res, row, EACH_BLAME)) {
        step.effects = MIN(number(res, row, EACH_EFFECTS), at.rows);
        add_step(t, &step);
        return true;
    }
    if (class == ERROR_TARGET || class == ERROR_AGAIN) {
        f->fault_target = f->b->parts[at.part].target;
        f->fault_part = at.part;
        f->fault_row = at.rows == 1 ? at.first : TXN_NO_ROW;
        set_fault(&f->fault, res, row, f->fault_target);
        return true;
    }
    if (class == ERROR_NONE || at.rows != 1) {
        return false;
    }
    add_refusals(t, res, row, &at);
    step.sqlstate = PQgetvalue(res, row, EACH_SQLSTATE);
    add_step(t, &step);
    return true;
}

bool txn_blames_record(const struct txn_refusal *r)
{
    return r->class == ERROR_RECORD || (r->class == ERROR_DOUBT && r->witness != WITNESS_NONE) ||
           (r->class == ERROR_UNFIT && r->witness == WITNESS_STRICT);
}

/* Of the refusals that store_each() has found, from `refusal` on. A fault that shows without any
 * row, and that no row speaks against, is the target's. */
static void find_witnesses(struct txn *t, size_t refusal)
{
    witness_find(t->steps, t->step_count, t->flights[0].b->part_count);
    for (size_t i = 0; i < t->step_count; i++) {
        if (t->steps[i].sqlstate == NULL) {
            continue;
        }
        struct txn_refusal *r = &t->refusals[refusal++];
        r->witness = r->is_cast ? WITNESS_NONE : t->steps[i].witness; /* which is of tables */
        if (r->class == ERROR_DOUBT && r->witness == WITNESS_NONE && r->without_rows) {
            r->class = ERROR_TARGET;
        }
    }
}

bool txn_tried_screened(struct txn *t, const PGresult *res, size_t part)
{
    size_t first = t->places[part];
    size_t last = first + t->flights[0].b->parts[part].row_count;

    for (int row = 0; row < PQntuples(res); row++) {
        uint64_t place = number(res, row, EACH_PLACE);
        uint64_t upto = number(res, row, EACH_UPTO);
        if (place <= first || upto > last || upto < place) {
            return false;
        }
        add_refusals(t, res, row, &(struct stretch){part, place - first - 1, upto - place + 1});
    }
    return true;
}

static uint32_t made_as(const struct batch *b, const struct txn_refusal *r)
{
    return b->parts[r->part].rows[r->row].seq;
}

static int compare_refusals(const void *x, const void *y, void *batch)
{
    uint32_t a = made_as(batch, x);
    uint32_t b = made_as(batch, y);

    return a < b ? -1 : a > b;
}

/* store_each() gives up once it finds that nothing can speak for the target. */
static bool are_all_tried(const struct txn *t)
{
    size_t tried = 0;
    size_t wanted = 0;

    for (size_t i = 0; i < t->step_count; i++) {
        tried += t->steps[i].rows;
    }
    for (size_t i = 0; i < t->run_count; i++) {
        wanted += t->runs[i].last - t->runs[i].first + 1;
    }
    return tried == wanted;
}

bool txn_tried_take(struct txn *t, const PGresult *res)
{
    const struct batch *b = t->flights[0].b;
    size_t screened = t->refusal_count;

    t->step_count = 0;
    for (int row = 0; row < PQntuples(res); row++) {
        if (!take_line(t, res, row)) {
            return false;
        }
    }
    t->tried_all = are_all_tried(t);
    find_witnesses(t, screened);
    if (screened > 0) {
        qsort_r(t->refusals, t->refusal_count, sizeof *t->refusals, compare_refusals,
                (void *) (uintptr_t) b);
    }
    return true;
}

void txn_tried_begin(struct txn *t)
{
    t->refusal_count = 0;
    t->fault_count = 0;
    free_faults(t, FAULTS_KEPT);
}

void txn_tried_done(struct txn *t)
{
    free_faults(t, 0);
    free(t->faults);
    free(t->refusals);
}

/* --- how it ends --- */

void txn_hold(struct txn *t)
{
    t->holds = true;
}

void txn_give(struct txn *t, const struct batch *b)
{
    t->flights[0].b = b;
    t->refusal_count = 0;
}

void txn_refuse(struct txn *t)
{
    struct flight *f = &t->flights[0];
    const struct txn_refusal *first = &t->refusals[0];

    f->fault = *first->error;
    f->fault.class = first->class;
    f->fault_target = f->b->parts[first->part].target;
}

/* Dead letters of the batch, by COPY; an empty query string: it has none. */
static void add_letters(struct txn *t)
{
    const struct batch *b = t->flights[0].b;

    buf_clear(&t->sql);
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        if (p->row_count > 0 && txn_each_comes_last(t, p)) {
            const struct rows_shape shape = {p->target, p->action, p->omit};
            txn_spans_letters(t, &shape, i);
        }
    }
}

static bool send_end(struct txn *t, bool good)
{
    struct flight *f = &t->flights[0];

    t->ending = true;
    f->may_commit = good;
    if (good) {
        txn_expect(f, (struct answer){.kind = ANSWER_ROWS});
    }
    return PQsendQuery(t->c->pg, good ? "COMMIT" : "ROLLBACK") != 0;
}

bool txn_tried_next(struct txn *t)
{
    struct flight *f = &t->flights[0];

    if (f->fault.class == ERROR_NONE && t->refusal_count > 0) {
        txn_refuse(t);
    }
    if (f->fault.class == ERROR_NONE && !t->gives) {
        t->gives = true;
        add_letters(t);
        txn_history_add_sql(t, f->b);
        if (buf_cstr(&t->sql)[0] != '\0') {
            return PQsendQuery(t->c->pg, buf_cstr(&t->sql)) != 0;
        }
    }
    return send_end(t, f->fault.class == ERROR_NONE);
}
