/*
 * Which rows of a batch are refused, see txn.h. The rows of each target go into a temporary table,
 * part after part, with their places; then store_each() (sql/002_dead_letters.sql) is given a
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
        txn_expect(f, (struct answer){.kind = ANSWER_OTHER});
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

void txn_each_add_sql(struct txn *t, const struct batch *b)
{
    find_places(t, b);
    for (size_t i = 0; i < b->part_count; i++) {
        if (b->parts[i].row_count > 0) {
            add_stage(t, b, i);
        }
    }
    find_runs(t, b);
    buf_add_z(&t->sql, ";SELECT run, place, sqlstate, message, detail, column_name FROM ");
    table_quote_ident(&t->sql, t->schema);
    buf_add_z(&t->sql, ".store_each(");
    add_statements(t, b);
    for (size_t field = 0; field < 3; field++) {
        add_run_array(t, field);
    }
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

enum { EACH_RUN, EACH_PLACE, EACH_SQLSTATE, EACH_MESSAGE, EACH_DETAIL, EACH_COLUMN };

static void set_fault(struct error *err, const PGresult *res, int row, const struct table *table)
{
    char message[400];
    char detail[200];
    const char *sqlstate = PQgetvalue(res, row, EACH_SQLSTATE);
    const char *column = PQgetvalue(res, row, EACH_COLUMN);

    fault_one_line(message, sizeof message, PQgetvalue(res, row, EACH_MESSAGE));
    fault_one_line(detail, sizeof detail, PQgetvalue(res, row, EACH_DETAIL));
    error_set(err, ERROR_RECORD, "%s%s%s (%s)", message, *detail ? ": " : "", detail, sqlstate);
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate);
    if (*column) {
        snprintf(err->column, sizeof err->column, "%s", column);
        error_wrap(err, "column '%s'", column);
    }
    error_wrap(err, "table '%s.%s'", table->schema, table->name);
}

/* The row that a run and a place stand for. False: there is none. */
static bool find_row(const struct txn *t, uint64_t run, uint64_t place, struct txn_refusal *out)
{
    if (run == 0 || run > t->run_count) {
        return false;
    }
    const struct run *r = &t->runs[run - 1];
    size_t first = t->places[r->part];
    if (place < first + r->first + 1 || place > first + r->last + 1) {
        return false;
    }
    *out = (struct txn_refusal){.part = r->part, .row = place - first - 1};
    return true;
}

bool txn_each_take(struct txn *t, const PGresult *res)
{
    const struct batch *b = t->flights[0].b;

    for (int row = 0; row < PQntuples(res); row++) {
        uint64_t run;
        uint64_t place;
        struct txn_refusal r;
        if (!str_to_u64(str_of(PQgetvalue(res, row, EACH_RUN)), &run) ||
            !str_to_u64(str_of(PQgetvalue(res, row, EACH_PLACE)), &place) ||
            !find_row(t, run, place, &r)) {
            return false;
        }
        set_fault(&r.error, res, row, b->parts[r.part].target->table);
        t->refusals = mem_grow(t->refusals, &t->refusal_cap, t->refusal_count, sizeof *t->refusals);
        t->refusals[t->refusal_count++] = r;
    }
    return true;
}

bool txn_each_end(struct txn *t)
{
    struct flight *f = &t->flights[0];
    bool good = f->fault.class == ERROR_NONE && t->refusal_count == 0;

    t->ending = true;
    if (f->fault.class == ERROR_NONE && t->refusal_count > 0) {
        f->fault = t->refusals[0].error;
    }
    f->may_commit = good;
    if (good) {
        txn_expect(f, (struct answer){.kind = ANSWER_ROWS});
    }
    return PQsendQuery(t->c->pg, good ? "COMMIT" : "ROLLBACK") != 0;
}
