/*
 * To find out which rows of a batch are refused, see txn.h: what is sent. The rows of each target
 * go into a temporary table, part after part, with their places. screen() (sql/005_blame.sql) takes
 * out of each part what a cast or a constraint refuses; then store_each() is given a statement for
 * each part, and the runs: ranges of places, in the order in which the rows were made. So rows of
 * several parts are tried in their order, on which keys and foreign keys may depend. Dead letters
 * are not tried: they come last, when all are known (txn_tried.c).
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

/* What both answer, in the order of txn_tried.c. */
#define EACH_FIELDS                                                                                \
    "run, place, upto, effects, blame, without_rows, is_cast, sqlstate, message, detail, "         \
    "column_name"
#define SCREEN_FIELDS                                                                              \
    "NULL, place, upto, NULL, 'record', false, is_cast, sqlstate, message, detail, column_name"

/* In fewer rows single ones are found as fast by trying them, with their places. */
#define SCREEN_ROWS_MIN 8
/* Dead letters, which are sent last. Those that do nothing where there is one already, as without a
 * ledger, are rows like others. */
bool txn_each_comes_last(const struct txn *t, const struct batch_part *p)
{
    return t->ledger && p->target->route == NULL && p->action == ROW_INSERT;
}

static bool is_tried(const struct txn *t, const struct batch_part *p)
{
    return p->row_count > 0 && !txn_each_comes_last(t, p);
}

/* --- what is sent --- */

/* Of the rows of a run that share a key only the last counts: it must set all that the others do.
 */
static bool is_run_alone(const struct batch_part *p)
{
    return p->action == ROW_UPDATE && p->omit == OMIT_MIXED;
}

static void find_runs(struct txn *t, const struct batch *b)
{
    struct batch_walk walk;
    size_t part;
    size_t row;

    t->run_count = 0;
    batch_walk_begin(&walk, b);
    while (batch_walk_next(&walk, &part, &row)) {
        struct run *last = t->run_count > 0 ? &t->runs[t->run_count - 1] : NULL;
        if (txn_each_comes_last(t, &b->parts[part])) {
            continue;
        }
        if (last != NULL && last->part == part && !is_run_alone(&b->parts[part])) {
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

/* ARRAY['...','...']: a statement for each part that wants one, else ''. */
static void add_statement_array(struct txn *t, const struct batch *b, enum rows_source source,
                                const bool *wanted)
{
    _cleanup_buf_ struct buf text = {0};

    buf_add_z(&t->sql, "ARRAY[");
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        const struct rows_shape shape = {p->target, p->action, p->omit};
        buf_clear(&text);
        if (wanted[i]) {
            rows_sql_store(&text, &shape, source, statements_of(t->statements, &shape)->places,
                           NULL);
        }
        buf_add_z(&t->sql, i > 0 ? "," : "");
        sql_literal(&t->sql, buf_cstr(&text));
    }
    buf_add_z(&t->sql, "]::pg_catalog.text[]");
}

static void add_statements(struct txn *t, const struct batch *b)
{
    _cleanup_mem_ bool *wanted = mem_array(MAX(b->part_count, 1), sizeof *wanted);

    for (size_t i = 0; i < b->part_count; i++) {
        wanted[i] = is_tried(t, &b->parts[i]);
    }
    add_statement_array(t, b, ROWS_PLACES, wanted);
}

/* The temporary tables of the parts. */
static void add_stages(struct txn *t, const struct batch *b)
{
    buf_add_z(&t->sql, ",'");
    sql_array_open(&t->sql);
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        const struct rows_shape shape = {p->target, p->action, p->omit};
        sql_array_text(&t->sql, is_tried(t, p) ? statements_of(t->statements, &shape)->places : "");
    }
    sql_array_close(&t->sql);
    buf_add_u8(&t->sql, '\'');
}

/* Statements without places, for parts that are all of their stage and one run. Not where only the
 * last row of a key counts, which takes the places. */
static void add_wholes(struct txn *t, const struct batch *b)
{
    _cleanup_mem_ bool *wanted = mem_array(MAX(b->part_count, 1), sizeof *wanted);
    _cleanup_mem_ size_t *runs = mem_array(MAX(b->part_count, 1), sizeof *runs);

    for (size_t i = 0; i < t->run_count; i++) {
        runs[t->runs[i].part]++;
    }
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        bool inserts = p->action == ROW_INSERT || p->action == ROW_IGNORE;
        wanted[i] = is_tried(t, p) && inserts && runs[i] == 1 && p->row_count >= SCREEN_ROWS_MIN &&
                    target_marks_of(&t->marks, p->target)->row_count == p->row_count;
    }
    buf_add_u8(&t->sql, ',');
    add_statement_array(t, b, ROWS_STAGE, wanted);
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
        if (is_tried(t, p) && p->action != ROW_TRUNCATE) {
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

/* Arrays of what is cast: calls, texts, types, columns; and of which some value was cast before. */
static void add_screened_casts(struct txn *t, const struct rows_shape *shape)
{
    const struct target *target = shape->target;
    struct buf lists[5] = {0};
    size_t n = 0;
    _cleanup_buf_ struct buf call = {0};

    for (size_t i = 0; i < target->column_count; i++) {
        const struct column *column = target->columns[i].column;
        if (!rows_are_read(shape, i)) {
            continue;
        }
        for (size_t k = 0; n > 0 && k < ARRAY_LEN(lists); k++) {
            buf_add_u8(&lists[k], ',');
        }
        n++;
        buf_clear(&call);
        table_quote_ident(&call, t->schema);
        buf_printf(&call, ".cast_fault(r.c%zu,NULL::%s)", i, column->sql_name);
        sql_literal(&lists[0], buf_cstr(&call));
        buf_printf(&lists[1], "'r.c%zu'", i);
        sql_literal(&lists[2], column->sql_name);
        sql_literal(&lists[3], column->name);
        buf_add_z(&lists[4], statements_cast_passes(t->statements, shape, i) ? "true" : "false");
    }
    for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
        buf_printf(&t->sql, ",ARRAY[%s]::pg_catalog.%s[]", buf_cstr(&lists[k]),
                   k + 1 < ARRAY_LEN(lists) ? "text" : "bool");
        buf_done(&lists[k]);
    }
}

/* `alone`: nothing but these rows is stored, and each of them for certain, so that none can bring a
 * row that a foreign key asks for. */
static void add_screen(struct txn *t, const struct batch *b, size_t part, bool alone)
{
    const struct batch_part *p = &b->parts[part];
    const struct rows_shape shape = {p->target, p->action, p->omit};
    const char *stage = statements_of(t->statements, &shape)->places;
    _cleanup_buf_ struct buf text = {0};

    rows_sql_store(&text, &shape, ROWS_PLACES, stage, NULL);
    buf_add_z(&t->sql, ";SELECT " SCREEN_FIELDS " FROM ");
    table_quote_ident(&t->sql, t->schema);
    buf_printf(&t->sql, ".screen('%s',%zu,%zu,", stage, t->places[part] + 1,
               t->places[part] + p->row_count);
    sql_literal(&t->sql, buf_cstr(&text));
    buf_printf(&t->sql, ",'%u',", p->target->table->oid);
    rows_sql_names(&t->sql, &shape);
    buf_add_u8(&t->sql, ',');
    rows_sql_values(&t->sql, &shape);
    buf_add_z(&t->sql, alone ? ",true" : ",false");
    add_screened_casts(t, &shape);
    buf_add_u8(&t->sql, ')');
    txn_expect(&t->flights[0],
               (struct answer){.kind = ANSWER_SCREENED, .target = p->target, .group = part});
}

static bool are_of_one_table(const struct txn *t, const struct batch *b)
{
    const struct table *only = NULL;

    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        if (is_tried(t, p) && only != NULL && only != p->target->table) {
            return false;
        }
        only = is_tried(t, p) ? p->target->table : only;
    }
    return true;
}

/* Rows that are updated or deleted are not: those without a key there are no fault. */
static void add_screens(struct txn *t, const struct batch *b)
{
    bool alone = are_of_one_table(t, b);

    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        bool inserts = p->action == ROW_INSERT || p->action == ROW_IGNORE ||
                       p->action == ROW_UPSERT;
        if (is_tried(t, p) && inserts && p->row_count >= SCREEN_ROWS_MIN) {
            add_screen(t, b, i,
                       alone && p->action == ROW_INSERT && p->target->expression_count == 0);
        }
    }
}

void txn_each_add_sql(struct txn *t, const struct batch *b)
{
    t->gives = false;
    find_places(t, b);
    for (size_t i = 0; i < b->part_count; i++) {
        if (is_tried(t, &b->parts[i])) {
            add_stage(t, b, i);
        }
    }
    find_runs(t, b);
    add_screens(t, b);
    buf_add_z(&t->sql, ";SELECT " EACH_FIELDS " FROM ");
    table_quote_ident(&t->sql, t->schema);
    buf_add_z(&t->sql, ".store_each(");
    add_statements(t, b);
    for (size_t field = 0; field < 3; field++) {
        add_run_array(t, field);
    }
    add_casts(t, b);
    add_stages(t, b);
    add_wholes(t, b);
    buf_add_z(&t->sql, ") ORDER BY run, place");
    txn_expect(&t->flights[0], (struct answer){.kind = ANSWER_TRIED});
}

/* Each tuple gets its place in front, as its first column; dead letters are as they are. */
struct str txn_each_rows(struct txn *t, const struct batch *b, size_t part)
{
    struct buf *out = &t->staged;
    const struct batch_part *p = &b->parts[part];

    if (t->gives) {
        return (struct str){.p = (const char *) p->bytes.p, .n = p->bytes.n};
    }
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
