/*
 * What both write paths share, see txn.h: which flights there are, how each ends, and what an error
 * of the server means for its batch. An ERROR is always a rollback. A FATAL error may strike
 * between the commit and its answer, and so may the end of the connection: then flight.may_commit
 * decides.
 *
 * A part whose rows omit every column can be neither COPY nor unnest, which want at least one; it
 * is
 *     INSERT INTO t SELECT FROM generate_series(1, rows)
 *
 * Worker thread.
 */
#include "pg/txn.h"

#include "base/buf.h"
#include "base/mem.h"
#include "pg/catalog.h"
#include "pg/txn_state.h"
#include "row/table/table.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct txn *txn_new(const char *schema, const char *sink, bool ledger)
{
    struct txn *t = mem_zalloc(sizeof *t);

    t->schema = schema != NULL ? mem_strdup(schema) : NULL;
    t->sink = mem_strdup(sink);
    t->ledger = ledger;
    t->statements = statements_new(ledger ? schema : NULL);
    return t;
}

struct txn *txn_free(struct txn *t)
{
    if (t) {
        statements_free(t->statements);
        for (size_t i = 0; i < TXN_FLIGHTS; i++) {
            free(t->flights[i].answers);
        }
        for (size_t i = 0; i < t->parameter_count; i++) {
            buf_done(&t->parameters[i]);
        }
        free(t->parameters);
        fold_done(&t->fold);
        buf_done(&t->staged);
        free(t->runs);
        free(t->refusals);
        buf_done(&t->sql);
        free(t->order);
        free(t->schema);
        free(t->sink);
        free(t->letters_of);
        free(t);
    }
    return NULL;
}

void txn_take_letters(struct txn *t, const char *route)
{
    assert(t->schema && !t->ledger);
    free(t->letters_of);
    t->letters_of = mem_strdup(route);
}

/* --- what the paths ask of a batch --- */

const struct answer *txn_expected(const struct flight *f)
{
    return f->answer < f->answer_count ? &f->answers[f->answer] : NULL;
}

void txn_expect(struct flight *f, struct answer a)
{
    f->answers = mem_grow(f->answers, &f->answer_cap, f->answer_count, sizeof *f->answers);
    f->answers[f->answer_count++] = a;
}

void txn_add_same(struct buf *out, const struct table *t)
{
    buf_add_z(out, "SELECT ");
    catalog_same_sql(out, t);
}

void txn_take_same(struct flight *f, const PGresult *res)
{
    const struct answer *a = txn_expected(f);

    if (PQntuples(res) == 1 && strcmp(PQgetvalue(res, 0, 0), "t") == 0) {
        return;
    }
    f->changed = true;
    if (f->path != TXN_UNNEST && f->fault.class == ERROR_NONE) {
        error_set(&f->fault, ERROR_SETUP, "table '%s.%s': its columns have changed",
                  a->target->table->schema, a->target->table->name);
    }
}

bool txn_is_bare(const struct rows_shape *s)
{
    return target_width(s->target, s->action, s->omit) == 0;
}

void txn_add_bare(struct buf *out, const struct rows_shape *s, size_t rows)
{
    if (s->action == ROW_TRUNCATE) {
        buf_add_u8(out, ';');
        rows_sql_store(out, s, ROWS_UNNEST, NULL);
        return;
    }
    buf_printf(out, ";INSERT INTO %s SELECT FROM pg_catalog.generate_series(1, %zu)",
               s->target->table->quoted, rows);
}

int64_t txn_span_field(const struct span *s, enum span_field field)
{
    switch (field) {
    case SPAN_PARTITION:
        return s->partition;
    case SPAN_OWNER_EPOCH:
        return s->owner_epoch;
    case SPAN_FROM:
        return s->from;
    case SPAN_NEXT:
        return s->next;
    case SPAN_LEADER_EPOCH:
        return s->leader_epoch;
    case SPAN_TIMESTAMP:
        return s->last_timestamp_ms;
    case SPAN_END:
        return s->end_offset;
    case SPAN_FP_OFFSET:
        return s->fp.offset;
    case SPAN_FP_CRC:
        return (int32_t) s->fp.crc; /* PostgreSQL has no unsigned integers */
    case SPAN_FIELDS:
        break;
    }
    assert(false && "no such field of a span");
    return 0;
}

/* --- start and step --- */

static void order_spans(struct txn *t, const struct batch *b)
{
    while (t->order_cap < b->span_count) {
        t->order = mem_grow(t->order, &t->order_cap, t->order_cap, sizeof *t->order);
    }
    batch_span_order(b, t->order);
}

bool txn_fits_unnest(struct txn *t, const struct batch *b)
{
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        const struct rows_shape shape = {p->target, p->action, p->omit};
        if (p->row_count > 0 && (p->target->table->has_rules || !rows_unnest(&shape) ||
                                 !statements_of(t->statements, &shape)->may_prepare)) {
            return false;
        }
    }
    return true;
}

bool txn_fits_each(const struct txn *t, const struct batch *b)
{
    if (t->schema == NULL) {
        return false; /* it needs a function of ours */
    }
    for (size_t i = 0; i < b->part_count; i++) {
        if (b->parts[i].row_count > 0 && b->parts[i].target->table->has_rules) {
            return false;
        }
    }
    return true;
}

const struct txn_refusal *txn_refusals(const struct txn *t, size_t *out_n)
{
    *out_n = t->refusal_count;
    return t->refusals;
}

static struct flight *flight_add(struct txn *t, const struct batch *b, enum txn_path path)
{
    struct flight *f = &t->flights[t->flight_count++];

    f->b = b;
    f->path = path;
    f->answer_count = 0;
    f->answer = 0;
    f->advanced = !t->ledger && !t->letters_of;
    f->may_commit = false;
    f->fault.class = ERROR_NONE;
    f->fatal = false;
    f->changed = false;
    f->no_temporary = false;
    f->fault_part = TXN_NO_ROW;
    f->fault_row = TXN_NO_ROW;
    return f;
}

bool txn_may_follow(const struct txn *t)
{
    return t->flight_count > 0 && t->flight_count < TXN_FLIGHTS &&
           t->flights[t->flight_count - 1].path == TXN_UNNEST;
}

bool txn_start(struct txn *t, struct conn *c, const struct batch *b, enum txn_path path,
               struct error *err)
{
    assert(!batch_is_empty(b));
    assert(path != TXN_UNNEST || !t->letters_of);
    assert(t->flight_count == 0 || (path == TXN_UNNEST && txn_may_follow(t) && t->c == c));
    if (t->flight_count == 0) {
        t->c = c;
        statements_meet(t->statements, c);
        conn_begin(c);
    }
    order_spans(t, b);
    if (path == TXN_UNNEST && !txn_fits_unnest(t, b)) {
        path = TXN_COPY;
    }
    t->refusal_count = 0;
    if (path != TXN_EACH) {
        fold_batch(&t->fold, b);
    }
    const struct flight *f = flight_add(t, b, path);
    if (!(f->path == TXN_UNNEST ? txn_unnest_send(t, err) : txn_copy_send(t, err))) {
        t->c = NULL;
        t->flight_count = 0;
        return false;
    }
    c->events = POLLIN |
                POLLOUT; /* the first step flushes: from here on txn_step tells the outcome */
    return true;
}

enum txn_step txn_step(struct txn *t, struct txn_result *out)
{
    assert(t->c && t->flight_count > 0);
    return t->flights[0].path == TXN_UNNEST ? txn_unnest_step(t, out) : txn_copy_step(t, out);
}

enum txn_outcome txn_abandon(struct txn *t)
{
    bool may_commit = false;

    for (size_t i = 0; i < t->flight_count; i++) {
        may_commit = may_commit || t->flights[i].may_commit;
    }
    if (t->c) {
        conn_close(TAKE_PTR(t->c));
    }
    t->flight_count = 0;
    return may_commit ? TXN_UNKNOWN : TXN_ROLLED_BACK;
}

/* --- the end --- */

/* Takes the oldest flight out; its place keeps the memory for a later one. */
static struct flight flight_take(struct txn *t)
{
    struct flight first = t->flights[0];

    t->flight_count--;
    for (size_t i = 0; i + 1 < TXN_FLIGHTS; i++) {
        t->flights[i] = t->flights[i + 1];
    }
    t->flights[TXN_FLIGHTS - 1] = first;
    return first;
}

static enum txn_step done(struct txn *t, enum txn_outcome outcome, struct txn_result *out)
{
    struct flight f = flight_take(t);

    if (t->flight_count == 0) {
        t->c = NULL;
    }
    *out = (struct txn_result){
        .outcome = outcome,
        .path = f.path,
        .error = f.fault,
        .part = f.fault_part,
        .row = f.fault_row,
        .changed = f.changed,
        .no_temporary = f.no_temporary,
    };
    return TXN_DONE;
}

enum txn_step txn_lost(struct txn *t, struct txn_result *out)
{
    bool may_commit = t->flights[0].may_commit;

    assert(t->flights[0].fault.class == ERROR_LINK); /* or the caller goes on as if it were open */
    done(t, may_commit ? TXN_UNKNOWN : TXN_ROLLED_BACK, out);
    t->flight_count = 0;
    t->c = NULL;
    return TXN_DONE;
}

enum txn_step txn_break_off(struct txn *t, const char *why, struct txn_result *out)
{
    conn_close(t->c);
    error_set(&t->flights[0].fault, ERROR_LINK, "%s", why);
    return txn_lost(t, out);
}

/* The connection is ready again, unless a younger flight is on its way. */
static enum txn_step landed(struct txn *t, enum txn_outcome outcome, struct txn_result *out)
{
    if (t->flight_count == 1) {
        conn_end(t->c);
    }
    return done(t, outcome, out);
}

enum txn_step txn_finish(struct txn *t, struct txn_result *out)
{
    struct flight *f = &t->flights[0];

    if (f->fault.class == ERROR_NONE) {
        if (!f->advanced || txn_expected(f)) {
            return txn_break_off(t, "postgresql did not answer every statement", out);
        }
        return landed(t, TXN_COMMITTED, out);
    }
    if (f->fatal) {
        f->fault.class = ERROR_LINK;
        conn_close(t->c);
        return txn_lost(t, out);
    }
    if (f->fault.class == ERROR_LINK) {
        conn_close(t->c);
        f->may_commit = false; /* an ERROR: rolled back */
        return txn_lost(t, out);
    }
    return landed(t, TXN_ROLLED_BACK, out);
}

/* --- errors: which row, which column --- */

/* The last line of the context: where the COPY itself stands, below any trigger it has called. */
static struct str last_line(const char *context)
{
    const char *newline = strrchr(context, '\n');

    return str_of(newline ? newline + 1 : context);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/*
 * The server says "COPY orders, line 3, column amount", in its own language and with names that may
 * hold digits: the number is the first outside of the table's name. Returns TXN_NO_ROW if there is
 * none.
 */
static size_t find_row(struct str line, const char *relation, size_t rows, struct str *out_rest)
{
    const char *at = line.p;
    const char *end = line.p + line.n;
    size_t name = strlen(relation);
    const char *found = memmem(line.p, line.n, relation, name);
    uint64_t number;

    while (at < end && (!is_digit(*at) || (found && at >= found && at < found + name))) {
        at++;
    }
    const char *digits = at;
    while (at < end && is_digit(*at)) {
        at++;
    }
    *out_rest = (struct str){.p = at, .n = (size_t) (end - at)};
    struct str text = {.p = digits, .n = (size_t) (at - digits)};
    if (!str_to_u64(text, &number) || number == 0 || number > rows) {
        return TXN_NO_ROW;
    }
    return (size_t) number - 1;
}

/* The column whose name ends the rest of that line; the longest, if one ends with another. */
static void find_column(struct str rest, const struct target *target, struct error *err)
{
    const char *best = "";

    for (size_t i = 0; i < target->column_count; i++) {
        const char *name = target->columns[i].column->name;
        size_t n = strlen(name);
        if (n < rest.n && n > strlen(best) && memcmp(rest.p + rest.n - n, name, n) == 0) {
            best = name;
        }
    }
    snprintf(err->column, sizeof err->column, "%s", best);
}

/* The part of the batch whose rows a COPY sends one by one, or FOLD_NO_PART. */
static size_t part_of(const struct txn *t, const struct flight *f, const struct answer *a)
{
    return f->path == TXN_EACH ? a->group : t->fold.groups[a->group].part;
}

/*
 * Rows are written to the table many at a time. The server keeps the line numbers for indexes and
 * triggers, but not for a row that does not fit on a page (54000): then it names the last line
 * read, and we name none.
 */
static void locate(const struct txn *t, struct flight *f, const struct answer *a,
                   const PGresult *res)
{
    const char *context = PQresultErrorField(res, PG_DIAG_CONTEXT);
    struct str rest = {.p = NULL};
    size_t part = part_of(t, f, a);

    if (part == FOLD_NO_PART) {
        return;
    }
    f->fault_part = part;
    if (!context || strncmp(f->fault.sqlstate, "54", 2) == 0) {
        return;
    }
    struct str line = last_line(context);
    if (!memmem(line.p, line.n, "COPY", 4)) {
        return;
    }
    f->fault_row = find_row(line, a->relation, f->b->parts[part].row_count, &rest);
    bool staged = a->relation != a->target->table->name;
    if (f->fault_row != TXN_NO_ROW && !*f->fault.column && rest.n > 0 && !staged) {
        find_column(rest, a->target, &f->fault);
    }
}

static bool is_only_target(const struct flight *f)
{
    for (size_t i = 0; i < f->answer_count; i++) {
        const struct target *target = f->answers[i].target;
        if (target && target != f->answers[f->answer].target) {
            return false;
        }
    }
    return true;
}

/* "table 's.t'": as the server says, else the COPY that runs; nothing where neither is certain. */
static void name_table(struct flight *f, const PGresult *res)
{
    const char *schema = PQresultErrorField(res, PG_DIAG_SCHEMA_NAME);
    const char *name = PQresultErrorField(res, PG_DIAG_TABLE_NAME);
    const struct answer *a = txn_expected(f);

    /* COPY: after the last CopyDone it may be the commit that fails, for any of the tables. */
    if (a && a->target &&
        (f->path == TXN_UNNEST || f->fault_row != TXN_NO_ROW || !f->may_commit ||
         is_only_target(f))) {
        const struct table *table = a->target->table;
        error_wrap(&f->fault, "table '%s.%s'", table->schema, table->name);
    } else if (schema && name) {
        error_wrap(&f->fault, "table '%s.%s'", schema, name);
    }
}

/* Before, or beside, any row: the database is not as pgsinkd needs it. */
static void blame_setup(const struct txn *t, struct flight *f)
{
    f->fault.class = ERROR_SETUP;
    error_wrap(&f->fault, "%s",
               f->advanced     ? "cannot make a temporary table"
               : t->letters_of ? "cannot take dead letters"
                               : "cannot advance the ledger");
    f->no_temporary = f->advanced && strcmp(f->fault.sqlstate, "42501") == 0;
    if (f->no_temporary) {
        error_hint(&f->fault, "GRANT TEMPORARY ON DATABASE ... TO the role that pgsinkd connects "
                              "as;");
    }
}

void txn_take_fault(struct txn *t, const PGresult *res)
{
    struct flight *f = &t->flights[0];
    const struct answer *a = txn_expected(f);

    if (f->fault.class != ERROR_NONE) {
        return;
    }
    fault_result(res, &f->fault);
    f->fatal = fault_is_fatal(res);
    if (t->stopped && strcmp(f->fault.sqlstate, "57014") == 0) {
        t->deaf = true; /* it was no error that we heard */
    }
    bool of_rows = f->advanced && (!a || a->kind != ANSWER_OTHER);
    if (f->path == TXN_UNNEST && strcmp(f->fault.sqlstate, "26000") == 0) {
        f->fault.class = ERROR_LINK; /* somebody deallocated what we had prepared: anew */
    } else if (f->fault.class == ERROR_RECORD && of_rows) {
        if (a && a->kind == ANSWER_COPY) {
            locate(t, f, a, res);
        }
        if (*f->fault.column) {
            error_wrap(&f->fault, "column '%s'", f->fault.column);
        }
        name_table(f, res);
    } else if (f->fault.class == ERROR_SETUP && of_rows) {
        name_table(f, res);
    } else if (f->fault.class == ERROR_RECORD || f->fault.class == ERROR_SETUP) {
        blame_setup(t, f);
    }
}
