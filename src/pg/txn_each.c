/*
 * Which rows of a batch are refused, see txn.h. The rows of each target go into a temporary table,
 * part after part, with their places; then store_each() (sql/005_blame.sql) is given a
 * statement for each part, and the runs: ranges of places, in the order in which the rows were
 * made. So rows of several parts are tried in their order, on which keys and foreign keys may
 * depend.
 *
 * All of this is one explicit transaction, because the client decides how it ends. Worker thread.
 */
#include "base/mem.h"
#include "pg/sql.h"
#include "pg/sqlstate.h"
#include "pg/txn_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What store_each() answers. */
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

#define EACH_FIELDS                                                                                \
    "run, place, upto, effects, blame, without_rows, is_cast, sqlstate, message, detail, "         \
    "column_name"

/* --- what is sent --- */

static void find_runs(struct txn *t, const struct batch *b)
{
    struct batch_walk walk;
    size_t part;
    size_t row;

    t->run_count = 0;
    batch_walk_begin(&walk, b);
    while (batch_walk_next(&walk, &part, &row)) {
        struct run *last = t->run_count > 0 ? &t->runs[t->run_count - 1] : NULL;
        if (last != NULL && last->part == part) {
            last->last = (uint32_t) row;
            continue;
        }
        t->runs = mem_grow(t->runs, &t->run_cap, t->run_count, sizeof *t->runs);
        t->runs[t->run_count++] = (struct run){(uint32_t) part, (uint32_t) row, (uint32_t) row};
    }
    batch_walk_done(&walk);
}

/* Parts of one target share a table, one after the other. */
static void find_places(struct txn *t, const struct batch *b)
{
    while (t->place_cap < b->part_count) {
        t->places = mem_grow(t->places, &t->place_cap, t->place_cap, sizeof *t->places);
    }
    for (size_t i = 0; i < b->part_count; i++) {
        struct target_mark *mark = target_marks_of(&t->marks, b->parts[i].target);

        t->places[i] = mark->row_count;
        mark->row_count += b->parts[i].row_count;
    }
}

static void add_stage(struct txn *t, const struct batch *b, size_t part)
{
    const struct batch_part *p = &b->parts[part];
    const struct rows_shape *shape = &(struct rows_shape){p->target, p->action, p->omit};
    const struct statement *s = statements_of(t->statements, shape);
    struct target_mark *mark = target_marks_of(&t->marks, p->target);
    struct flight *f = &t->flights[0];

    if (!mark->is_staged) {
        mark->is_staged = true;
        buf_add_u8(&t->sql, ';');
        rows_sql_create(&t->sql, shape, s->places, true);
        txn_expect(f, (struct answer){.kind = ANSWER_OTHER, .target = shape->target});
    }
    buf_add_u8(&t->sql, ';');
    rows_sql_copy(&t->sql, shape, s->places, true);
    txn_expect(
        f, (struct answer){
               .kind = ANSWER_COPY, .target = shape->target, .group = part, .relation = s->places});
    t->copies_left++;
}

/* ARRAY['...','...']: a statement for each part; '' for a part without rows. */
static void add_statements(struct txn *t, const struct batch *b)
{
    _cleanup_buf_ struct buf text = {0};

    buf_add_z(&t->sql, "ARRAY[");
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        const struct rows_shape shape = {p->target, p->action, p->omit};
        buf_clear(&text);
        if (p->row_count > 0) {
            rows_sql_store(&text, &shape, ROWS_PLACES, statements_of(t->statements, &shape)->places,
                           NULL);
        }
        buf_add_z(&t->sql, i > 0 ? "," : "");
        sql_literal(&t->sql, buf_cstr(&text));
    }
    buf_add_z(&t->sql, "]::pg_catalog.text[]");
}

static void add_run_array(struct txn *t, size_t field)
{
    buf_add_z(&t->sql, ",'");
    sql_array_open(&t->sql);
    for (size_t i = 0; i < t->run_count; i++) {
        const struct run *r = &t->runs[i];
        size_t place = t->places[r->part];
        const size_t values[] = {r->part, place + r->first, place + r->last};
        sql_array_i64(&t->sql, (int64_t) values[field] + 1); /* SQL counts from 1 */
    }
    sql_array_close(&t->sql);
    buf_add_u8(&t->sql, '\'');
}

/* What SQL computes of each part's rows before a table is involved. */
struct casts {
    struct buf sql; /* three arrays, of literals */
    struct buf parts;
    struct buf columns;
    struct buf one;
};

static void add_cast(struct casts *c, size_t part, const struct column *column)
{
    const char *comma = c->sql.n > 0 ? "," : "";

    buf_add_z(&c->sql, comma);
    sql_literal(&c->sql, buf_cstr(&c->one));
    buf_printf(&c->parts, "%s%zu", comma, part + 1);
    buf_add_z(&c->columns, comma);
    sql_literal(&c->columns, column->name);
}

static void add_casts_of(struct txn *t, struct casts *c, const struct rows_shape *shape,
                         size_t part)
{
    const struct target *target = shape->target;
    const char *stage = statements_of(t->statements, shape)->places;

    for (size_t i = 0; i < target->column_count; i++) {
        if (rows_are_cast(shape, i)) {
            buf_clear(&c->one);
            rows_sql_cast(&c->one, shape, i, stage);
            add_cast(c, part, target->columns[i].column);
        }
    }
    for (size_t i = 0; rows_are_computed(shape) && i < target->expression_count; i++) {
        buf_clear(&c->one);
        rows_sql_compute(&c->one, shape, i, stage);
        add_cast(c, part, target->expressions[i].column);
    }
}

static void add_casts(struct txn *t, const struct batch *b)
{
    struct casts c = {0};

    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        const struct rows_shape shape = {p->target, p->action, p->omit};
        if (p->row_count > 0 && p->action != ROW_TRUNCATE) {
            add_casts_of(t, &c, &shape, i);
        }
    }
    buf_printf(&t->sql,
               ",ARRAY[%s]::pg_catalog.text[],ARRAY[%s]::pg_catalog.int4[],"
               "ARRAY[%s]::pg_catalog.text[]",
               buf_cstr(&c.sql), buf_cstr(&c.parts), buf_cstr(&c.columns));
    buf_done(&c.sql);
    buf_done(&c.parts);
    buf_done(&c.columns);
    buf_done(&c.one);
}

void txn_each_add_sql(struct txn *t, const struct batch *b)
{
    find_places(t, b);
    for (size_t i = 0; i < b->part_count; i++) {
        if (b->parts[i].row_count > 0) {
            add_stage(t, b, i);
        }
    }
    find_runs(t, b);
    buf_add_z(&t->sql, ";SELECT " EACH_FIELDS " FROM ");
    table_quote_ident(&t->sql, t->schema);
    buf_add_z(&t->sql, ".store_each(");
    add_statements(t, b);
    for (size_t field = 0; field < 3; field++) {
        add_run_array(t, field);
    }
    add_casts(t, b);
    buf_add_z(&t->sql, ") ORDER BY run, place");
    txn_expect(&t->flights[0], (struct answer){.kind = ANSWER_TRIED});
}

/* Each tuple gets its place in front, as its first column. */
struct str txn_each_rows(struct txn *t, const struct batch *b, size_t part)
{
    struct buf *out = &t->staged;
    const struct batch_part *p = &b->parts[part];
    size_t first = t->places[part];

    buf_clear(out);
    for (size_t row = 0; row < p->row_count; row++) {
        struct str tuple = batch_tuple(p, row);
        const uint8_t *bytes = (const uint8_t *) tuple.p;
        buf_add_u16(out, (uint16_t) ((bytes[0] << 8 | bytes[1]) + 1));
        buf_add_u32(out, sizeof(uint32_t));
        buf_add_u32(out, (uint32_t) (first + row) + 1);
        buf_add(out, tuple.p + 2, tuple.n - 2);
    }
    return (struct str){.p = (const char *) out->p, .n = out->n};
}

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
            strcmp(p->target->columns[i].column->name, r->error.column) != 0) {
            continue;
        }
        if (r->error.class == ERROR_RECORD) {
            statements_met_cast(t->statements, &shape, i);
        } else if (statements_cast_passes(t->statements, &shape, i)) {
            r->error.class = ERROR_RECORD;
        }
    }
    if (r->error.class == ERROR_UNFIT) {
        r->error.class = ERROR_DOUBT; /* no table was concerned */
    }
}

static void add_refusal(struct txn *t, const PGresult *res, int row, const struct stretch *at)
{
    const struct batch *b = t->flights[0].b;
    struct txn_refusal *r;

    t->refusals = mem_grow(t->refusals, &t->refusal_cap, t->refusal_count, sizeof *t->refusals);
    r = &t->refusals[t->refusal_count++];
    *r = (struct txn_refusal){.part = at->part, .row = at->first};
    set_fault(&r->error, res, row, b->parts[at->part].target);
    r->without_rows = result_is_true(res, row, EACH_WITHOUT_ROWS);
    r->is_cast = result_is_true(res, row, EACH_IS_CAST);
    if (r->is_cast) {
        judge_cast(t, r);
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
    add_refusal(t, res, row, &at);
    step.sqlstate = PQgetvalue(res, row, EACH_SQLSTATE);
    add_step(t, &step);
    return true;
}

bool txn_blames_record(const struct txn_refusal *r)
{
    return r->error.class == ERROR_RECORD ||
           (r->error.class == ERROR_DOUBT && r->witness != WITNESS_NONE) ||
           (r->error.class == ERROR_UNFIT && r->witness == WITNESS_STRICT);
}

/* A fault that shows without any row, and that no row speaks against, is the target's. */
static void find_witnesses(struct txn *t)
{
    size_t refusal = 0;

    witness_find(t->steps, t->step_count, t->flights[0].b->part_count);
    for (size_t i = 0; i < t->step_count; i++) {
        if (t->steps[i].sqlstate == NULL) {
            continue;
        }
        struct txn_refusal *r = &t->refusals[refusal++];
        r->witness = r->is_cast ? WITNESS_NONE : t->steps[i].witness; /* which is of tables */
        if (r->error.class == ERROR_DOUBT && r->witness == WITNESS_NONE && r->without_rows) {
            r->error.class = ERROR_TARGET;
        }
    }
}

bool txn_each_take(struct txn *t, const PGresult *res)
{
    t->step_count = 0;
    for (int row = 0; row < PQntuples(res); row++) {
        if (!take_line(t, res, row)) {
            return false;
        }
    }
    find_witnesses(t);
    return true;
}

bool txn_each_end(struct txn *t)
{
    struct flight *f = &t->flights[0];
    bool good = f->fault.class == ERROR_NONE && t->refusal_count == 0;

    t->ending = true;
    if (f->fault.class == ERROR_NONE && t->refusal_count > 0) {
        f->fault = t->refusals[0].error;
        f->fault_target = f->b->parts[t->refusals[0].part].target;
    }
    f->may_commit = good;
    if (good) {
        txn_expect(f, (struct answer){.kind = ANSWER_ROWS});
    }
    return PQsendQuery(t->c->pg, good ? "COMMIT" : "ROLLBACK") != 0;
}
