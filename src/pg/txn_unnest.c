/*
 * The write path unnest, see txn.h: for small batches. Prepared statements in one pipeline, which
 * is one implicit transaction and one round trip:
 *
 *     SELECT "pgsinkd".advance($1, $2, ...)
 *     INSERT INTO "s"."t" ("a","b") SELECT pg_catalog.unnest($1), pg_catalog.unnest($2)
 *         WHERE "pgsinkd".columns_are('"s"."t"'::regclass, 'signature')
 *     INSERT INTO "pgsinkd".history ...        if it is audited
 *     Sync
 *
 * The values of a column are one array in binary format, whose elements look like the fields of
 * COPY BINARY, so cells are only moved from rows into columns.
 *
 * When can the server have committed? It commits when it reads Sync. Worker thread.
 */
#include "base/failpoint.h"
#include "base/mem.h"
#include "pg/catalog.h"
#include "pg/txn_state.h"
#include "row/table/table.h"

#include <assert.h>
#include <poll.h>
#include <string.h>

/* --- arrays in binary format (array_send in PostgreSQL's arrayfuncs.c) --- */

#define ARRAY_HEADER_BYTES 20
#define ARRAY_LENGTH_AT 12

static void array_begin(struct buf *out, uint32_t element_type)
{
    buf_clear(out);
    buf_add_u32(out, 1); /* dimensions */
    buf_add_u32(out, 1); /* may contain NULLs */
    buf_add_u32(out, element_type);
    buf_add_u32(out, 0); /* the number of elements: array_end fills it in */
    buf_add_u32(out, 1); /* lower bound */
}

static void array_end(struct buf *out, size_t count)
{
    buf_put_u32(out->p + ARRAY_LENGTH_AT, (uint32_t) count);
}

static void array_i64(struct buf *out, int64_t v)
{
    buf_add_u32(out, 8);
    buf_add_u64(out, (uint64_t) v);
}

static void array_i32(struct buf *out, int64_t v)
{
    buf_add_u32(out, 4);
    buf_add_u32(out, (uint32_t) (int32_t) v);
}

static void array_text(struct buf *out, const char *text)
{
    size_t n = strlen(text);

    buf_add_u32(out, (uint32_t) n);
    buf_add(out, text, n);
}

/* --- parameters --- */

/* Empty buffers for n parameters. */
static struct buf *parameters(struct txn *t, size_t n)
{
    if (t->parameter_count < n) {
        t->parameters = mem_realloc(t->parameters, n, sizeof *t->parameters);
        memset(t->parameters + t->parameter_count, 0,
               (n - t->parameter_count) * sizeof *t->parameters);
        t->parameter_count = n;
    }
    for (size_t i = 0; i < n; i++) {
        buf_clear(&t->parameters[i]);
    }
    return t->parameters;
}

static void add_span_array(struct txn *t, const struct batch *b, enum span_field field,
                           uint32_t array_type, struct buf *out)
{
    bool narrow = array_type == OID_INT4_ARRAY;

    array_begin(out, narrow ? OID_INT4 : OID_INT8);
    for (size_t i = 0; i < b->span_count; i++) {
        int64_t v = statements_span_field(&b->spans[t->order[i]], field);
        if (narrow) {
            array_i32(out, v);
        } else {
            array_i64(out, v);
        }
    }
    array_end(out, b->span_count);
}

static void add_topic_array(struct txn *t, const struct batch *b, struct buf *out)
{
    array_begin(out, OID_TEXT);
    for (size_t i = 0; i < b->span_count; i++) {
        array_text(out, b->spans[t->order[i]].topic);
    }
    array_end(out, b->span_count);
}

static void fill_advance(struct txn *t, const struct batch *b, const struct statement *s)
{
    struct buf *p = parameters(t, s->parameter_count);

    buf_add_z(&p[0], t->sink);
    add_topic_array(t, b, &p[1]);
    for (int field = 0; field < SPAN_FIELDS; field++) {
        add_span_array(t, b, (enum span_field) field, s->parameter_types[2 + field], &p[2 + field]);
    }
    buf_add_z(&p[2 + SPAN_FIELDS], t->c->marker);
}

/* See txn_history.c. */
static void fill_history(struct txn *t, const struct batch *b, const struct statement *s)
{
    struct buf *p = parameters(t, s->parameter_count);
    struct history_counts n = txn_history_counts(b);

    buf_add_z(&p[0], t->sink);
    buf_add_z(&p[1], t->audited_as);
    add_topic_array(t, b, &p[2]);
    add_span_array(t, b, SPAN_PARTITION, OID_INT4_ARRAY, &p[3]);
    add_span_array(t, b, SPAN_FROM, OID_INT8_ARRAY, &p[4]);
    add_span_array(t, b, SPAN_NEXT, OID_INT8_ARRAY, &p[5]);
    buf_add_u64(&p[6], (uint64_t) n.records);
    buf_add_u64(&p[7], (uint64_t) n.rows);
    buf_add_u64(&p[8], (uint64_t) n.dead_letters);
    buf_add_u64(&p[9], (uint64_t) n.bytes);
}

static uint32_t read_u32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

/* From tuples of COPY BINARY: int16 number of fields, then for each int32 length (-1 = NULL),
 * bytes.
 */
static void fill_store(struct txn *t, const struct fold_group *g, const struct statement *s)
{
    struct buf *columns = parameters(t, s->parameter_count);
    const char *at = g->bytes.p;
    size_t column = 0;

    for (size_t i = 0; i < g->target->column_count; i++) {
        if (target_holds(g->target, i, g->action, g->omit)) {
            array_begin(&columns[column++], g->target->columns[i].column->wire_oid);
        }
    }
    if (column < s->parameter_count) { /* of mixed rows: what is there */
        array_begin(&columns[column], OID_BYTEA);
    }
    for (size_t row = 0; row < g->row_count; row++) {
        at += sizeof(uint16_t);
        for (size_t i = 0; i < s->parameter_count; i++) {
            int32_t length = (int32_t) read_u32(at);
            size_t n = sizeof length + (length > 0 ? (size_t) length : 0);
            buf_add(&columns[i], at, n);
            at += n;
        }
    }
    assert(at == g->bytes.p + g->bytes.n);
    for (size_t i = 0; i < s->parameter_count; i++) {
        array_end(&columns[i], g->row_count);
    }
}

/* --- sending --- */

static struct flight *youngest(struct txn *t)
{
    return &t->flights[t->flight_count - 1];
}

/*
 * Executes s, which concerns the target, with the parameters that were filled. If it is not known
 * to be prepared, the same pipeline prepares it first; while an older flight still waits for that,
 * it is sent unprepared.
 */
static bool execute(struct txn *t, struct statement *s, enum answer_kind kind,
                    const struct target *target)
{
    int n = (int) s->parameter_count;
    _cleanup_mem_ const char **values = mem_array(s->parameter_count, sizeof *values);
    _cleanup_mem_ int *lengths = mem_array(s->parameter_count, sizeof *lengths);
    _cleanup_mem_ int *formats = mem_array(s->parameter_count, sizeof *formats);
    PGconn *pg = t->c->pg;
    bool sent;

    for (size_t i = 0; i < s->parameter_count; i++) {
        values[i] = (const char *) t->parameters[i].p;
        lengths[i] = (int) t->parameters[i].n;
        formats[i] = 1;
    }
    if (s->state == STATEMENT_ASKED || !s->may_prepare) {
        sent = PQsendQueryParams(pg, s->sql, n, s->parameter_types, values, lengths, formats, 1);
    } else {
        if (s->state == STATEMENT_NONE) {
            if (!PQsendPrepare(pg, s->name, s->sql, n, s->parameter_types)) {
                return false;
            }
            s->state = STATEMENT_ASKED;
            txn_expect(youngest(t),
                       (struct answer){.kind = ANSWER_PREPARED, .statement = s, .target = target});
        }
        sent = PQsendQueryPrepared(pg, s->name, n, values, lengths, formats, 1);
    }
    txn_expect(youngest(t), (struct answer){.kind = kind, .target = target});
    return sent;
}

static bool send_bare(struct txn *t, const struct rows_shape *shape, size_t rows)
{
    _cleanup_buf_ struct buf guard = {0};

    catalog_guard_sql(&guard, t->schema, shape->target->table, true);
    buf_clear(&t->sql);
    rows_sql_bare(&t->sql, shape, rows, buf_cstr(&guard));
    txn_expect(youngest(t), (struct answer){.kind = ANSWER_ROWS, .target = shape->target});
    return PQsendQueryParams(t->c->pg, buf_cstr(&t->sql), 0, NULL, NULL, NULL, NULL, 1);
}

static bool send_advance(struct txn *t, const struct batch *b)
{
    struct statement *s = statements_advance(t->statements);

    fill_advance(t, b, s);
    return execute(t, s, ANSWER_ADVANCED, NULL);
}

static bool send_history(struct txn *t, const struct batch *b)
{
    struct statement *s = statements_history(t->statements);

    if (t->audited_as == NULL) {
        return true;
    }
    fill_history(t, b, s);
    return execute(t, s, ANSWER_HISTORY, NULL);
}

/* Neither fails; the first is no part of the transaction, so nothing may fail before it. */
static bool send_cleaning(struct txn *t)
{
    for (size_t i = 0; t->is_to_clean && i < ARRAY_LEN(statements_clean_sql); i++) {
        txn_expect(youngest(t), (struct answer){.kind = ANSWER_OTHER});
        if (!PQsendQueryParams(t->c->pg, statements_clean_sql[i], 0, NULL, NULL, NULL, NULL, 1)) {
            return false;
        }
    }
    return true;
}

/* ---- are the tables those that the rows were made for? ---- */

static bool send_compare(struct txn *t, const struct target *target)
{
    struct target_mark *mark = target_marks_of(&t->marks, target);
    struct statement *s = statements_compare(t->statements);

    if (mark->is_checked || s == NULL) {
        return true;
    }
    mark->is_checked = true;
    struct buf *p = parameters(t, s->parameter_count);
    buf_add_z(&p[0], target->table->quoted);
    buf_add_z(&p[1], target->table->signature);
    return execute(t, s, ANSWER_SAME, target);
}

static bool send_guard(struct txn *t, const struct target *target)
{
    struct target_mark *mark = target_marks_of(&t->marks, target);
    struct statement *s = statements_guard(t->statements, target);

    if (mark->is_guarded || s == NULL) {
        return true;
    }
    mark->is_guarded = true;
    return execute(t, s, ANSWER_SAME, target);
}

static bool inserts(enum row_action action)
{
    return action == ROW_INSERT || action == ROW_IGNORE || action == ROW_UPSERT;
}

/*
 * What the statements do not say themselves. A domain may change without its tables: plans stay as
 * they are, and so does the guard in them.
 */
static bool send_checks_of(struct txn *t, const struct fold_group *g)
{
    if (g->target->route == NULL || g->action == ROW_TRUNCATE) {
        return true; /* our own table is no route's; a truncate is right for any table */
    }
    return (inserts(g->action) || send_guard(t, g->target)) &&
           (!g->target->table->has_domains || send_compare(t, g->target));
}

static bool send_checks(struct txn *t, const struct batch *b)
{
    target_marks_begin(&t->marks, b->compared_count + t->fold.group_count);
    for (size_t i = 0; i < b->compared_count; i++) {
        if (!send_compare(t, b->compared[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < t->fold.group_count; i++) {
        if (!send_checks_of(t, &t->fold.groups[i])) {
            return false;
        }
    }
    return true;
}

/* ---- rows ---- */

static bool send_group(struct txn *t, const struct fold_group *g)
{
    const struct rows_shape shape = {g->target, g->action, g->omit};

    if (rows_are_bare(&shape)) {
        return send_bare(t, &shape, g->row_count);
    }
    struct statement *s = statements_of(t->statements, &shape);
    fill_store(t, g, s);
    return execute(t, s, ANSWER_ROWS, g->target);
}

static bool send_groups(struct txn *t)
{
    for (size_t i = 0; i < t->fold.group_count; i++) {
        if (!send_group(t, &t->fold.groups[i])) {
            return false;
        }
    }
    return true;
}

#ifdef PGSINKD_FAILPOINTS
/* Between two statements: the server has executed the first when we are gone. The next step reports
 * it. */
static bool fails_at(struct txn *t, enum failpoint point)
{
    (void) PQsendFlushRequest(t->c->pg);
    (void) PQflush(t->c->pg);
    if (!failpoint_hit(point)) {
        return false;
    }
    conn_close(t->c);
    error_set(&t->flights[0].fault, ERROR_LINK, "failpoint");
    return true;
}
#else
static bool fails_at(const struct txn *t, enum failpoint point)
{
    (void) t;
    (void) point;
    return false;
}
#endif

bool txn_unnest_send(struct txn *t, struct error *err)
{
    PGconn *pg = t->c->pg;
    struct flight *f = youngest(t);

    if (!PQenterPipelineMode(pg) || !send_cleaning(t) || (t->ledger && !send_advance(t, f->b))) {
        return conn_lost(t->c, err);
    }
    if (fails_at(t, FAILPOINT_TXN_MID_COPY)) {
        return true;
    }
    if (!send_checks(t, f->b) || !send_groups(t) || !send_history(t, f->b)) {
        return conn_lost(t->c, err);
    }
    if (fails_at(t, FAILPOINT_TXN_BEFORE_COMMIT)) {
        return true;
    }
    f->may_commit = true; /* before the call: whatever it returns, Sync may be on its way */
    if (!PQpipelineSync(pg)) {
        return conn_lost(t->c, err);
    }
    return true;
}

/* --- answers --- */

static void take_expected(struct flight *f, const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    const struct answer *a = txn_expected(f);

    if (a == NULL) {
        return; /* more than we asked for; that there was less, txn_finish finds out */
    }
    f->heard = f->heard || status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (a->kind == ANSWER_PREPARED) {
        a->statement->state = status == PGRES_COMMAND_OK ? STATEMENT_READY : STATEMENT_NONE;
    } else if (a->kind == ANSWER_ADVANCED) {
        f->advanced = status == PGRES_TUPLES_OK;
    }
    f->answer++;
}

enum txn_step txn_unnest_step(struct txn *t, struct txn_result *out)
{
    struct conn *c = t->c;
    struct flight *f = &t->flights[0];
    bool heard;
    bool between = false; /* two statements libpq gives one NULL, and only one */

    if (!conn_is_open(c) || !conn_pump(c, &heard, &f->fault)) {
        return txn_lost(t, out);
    }
    while (!PQisBusy(c->pg)) {
        _cleanup_result_ PGresult *res = PQgetResult(c->pg);
        if (res == NULL && between) {
            return txn_break_off(t, "postgresql did not answer every statement", out);
        }
        between = res == NULL;
        if (between) {
            continue;
        }
        ExecStatusType status = PQresultStatus(res);
        if (status == PGRES_PIPELINE_SYNC) {
            if (failpoint_hit(FAILPOINT_TXN_AFTER_COMMIT)) {
                return txn_break_off(t, "failpoint", out);
            }
            if (t->flight_count == 1 && !PQexitPipelineMode(c->pg)) {
                return txn_break_off(t, "the pipeline does not end", out);
            }
            return txn_finish(t, out);
        }
        if (status == PGRES_FATAL_ERROR) {
            txn_blame(t, res);
            if (f->fatal) {
                return txn_finish(t, out); /* nothing follows */
            }
        }
        take_expected(f, res);
    }
    if (!conn_flush(c, &f->fault)) {
        return txn_lost(t, out);
    }
    return TXN_WAIT;
}
