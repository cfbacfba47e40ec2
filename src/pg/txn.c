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
#include "pg/txn_state.h"
#include "row/table.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct txn *txn_new(const char *schema, const char *sink)
{
    struct txn *t = mem_zalloc(sizeof *t);

    t->schema = mem_strdup(schema);
    t->sink = mem_strdup(sink);
    t->statements = statements_new(schema);
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
        buf_done(&t->sql);
        free(t->order);
        free(t->schema);
        free(t->sink);
        free(t);
    }
    return NULL;
}

/* --- what the paths ask of a batch --- */

bool txn_column_omitted(const struct target_column *column, uint64_t omit)
{
    return column->omit_bit >= 0 && (omit >> column->omit_bit & 1);
}

bool txn_has_columns(const struct batch_part *p)
{
    for (size_t i = 0; i < p->target->column_count; i++) {
        if (!txn_column_omitted(&p->target->columns[i], p->omit)) {
            return true;
        }
    }
    return false;
}

size_t txn_next_part(const struct batch *b, size_t i)
{
    while (i < b->part_count && b->parts[i].row_count == 0) {
        i++;
    }
    return i;
}

void txn_add_bare_insert(struct buf *out, const struct batch_part *p)
{
    buf_printf(out, ";INSERT INTO %s SELECT FROM pg_catalog.generate_series(1, %zu)",
               p->target->table->quoted, p->row_count);
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
    for (size_t i = txn_next_part(b, 0); i < b->part_count; i = txn_next_part(b, i + 1)) {
        const struct batch_part *p = &b->parts[i];
        if (p->target->table->has_rules ||
            (txn_has_columns(p) && !statements_insert(t->statements, p))) {
            return false;
        }
    }
    return true;
}

static struct flight *flight_add(struct txn *t, const struct batch *b, enum txn_path path)
{
    struct flight *f = &t->flights[t->flight_count++];

    f->b = b;
    f->path = path;
    f->answer_count = 0;
    f->answer = 0;
    f->part = txn_next_part(b, 0);
    f->advanced = false;
    f->may_commit = false;
    f->fault.class = ERROR_NONE;
    f->fatal = false;
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

void txn_abandon(struct txn *t)
{
    if (t->c) {
        conn_close(TAKE_PTR(t->c));
    }
    t->flight_count = 0;
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
    bool named = f.fault.class == ERROR_RECORD && f.path == TXN_COPY;

    if (t->flight_count == 0) {
        t->c = NULL;
    }
    *out = (struct txn_result){
        .outcome = outcome,
        .path = f.path,
        .error = f.fault,
        .part = named ? f.part : TXN_NO_ROW,
        .row = named ? f.fault_row : TXN_NO_ROW,
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
        if (!f->advanced || f->part < f->b->part_count) {
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
static size_t find_row(struct str line, const struct batch_part *p, struct str *out_rest)
{
    const char *at = line.p;
    const char *end = line.p + line.n;
    size_t name = strlen(p->target->table->name);
    const char *found = memmem(line.p, line.n, p->target->table->name, name);
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
    if (!str_to_u64(text, &number) || number == 0 || number > p->row_count) {
        return TXN_NO_ROW;
    }
    return (size_t) number - 1;
}

/* The column whose name ends the rest of that line; the longest, if one ends with another. */
static void find_column(struct str rest, const struct batch_part *p, struct error *err)
{
    const char *best = "";

    for (size_t i = 0; i < p->target->column_count; i++) {
        const char *name = p->target->columns[i].column->name;
        size_t n = strlen(name);
        if (n < rest.n && n > strlen(best) && memcmp(rest.p + rest.n - n, name, n) == 0) {
            best = name;
        }
    }
    snprintf(err->column, sizeof err->column, "%s", best);
}

/*
 * Rows are written to the table many at a time. The server keeps the line numbers for indexes and
 * triggers, but not for a row that does not fit on a page (54000): then it names the last line
 * read, and we name none.
 */
static void locate(struct flight *f, const PGresult *res)
{
    const char *context = PQresultErrorField(res, PG_DIAG_CONTEXT);
    const struct batch_part *p = &f->b->parts[f->part];
    struct str rest = {.p = NULL};

    if (!txn_has_columns(p) || !context || strncmp(f->fault.sqlstate, "54", 2) == 0) {
        return;
    }
    struct str line = last_line(context);
    if (!memmem(line.p, line.n, "COPY", 4)) {
        return;
    }
    f->fault_row = find_row(line, p, &rest);
    if (f->fault_row != TXN_NO_ROW && !*f->fault.column && rest.n > 0) {
        find_column(rest, p, &f->fault);
    }
}

/* "table 's.t'": as the server says, else the COPY that runs; nothing where neither is certain. */
static void name_table(struct flight *f, const PGresult *res)
{
    const char *schema = PQresultErrorField(res, PG_DIAG_SCHEMA_NAME);
    const char *name = PQresultErrorField(res, PG_DIAG_TABLE_NAME);
    bool rows_left = f->part < f->b->part_count;
    bool only_one = txn_next_part(f->b, 0) == f->part &&
                    txn_next_part(f->b, f->part + 1) == f->b->part_count;

    /* COPY: after the last CopyDone it may be the commit that fails, for any of the tables. */
    if (rows_left &&
        (f->path == TXN_UNNEST || f->fault_row != TXN_NO_ROW || !f->may_commit || only_one)) {
        const struct table *table = f->b->parts[f->part].target->table;
        error_wrap(&f->fault, "table '%s.%s'", table->schema, table->name);
    } else if (schema && name) {
        error_wrap(&f->fault, "table '%s.%s'", schema, name);
    }
}

void txn_take_fault(struct txn *t, const PGresult *res)
{
    struct flight *f = &t->flights[0];

    if (f->fault.class != ERROR_NONE) {
        return;
    }
    fault_result(res, &f->fault);
    f->fatal = fault_is_fatal(res);
    if (f->path == TXN_COPY && t->stopped && strcmp(f->fault.sqlstate, "57014") == 0) {
        t->deaf = true; /* it was no error that we heard */
    }
    /* unnest: the commit has an answer of its own, after those of all parts. */
    bool of_rows = f->advanced && (f->path == TXN_UNNEST || f->part < f->b->part_count);
    if (f->path == TXN_UNNEST && strcmp(f->fault.sqlstate, "26000") == 0) {
        f->fault.class = ERROR_LINK; /* somebody deallocated what we had prepared: anew */
    } else if (f->fault.class == ERROR_RECORD && of_rows) {
        if (f->path == TXN_COPY) {
            locate(f, res);
        }
        if (*f->fault.column) {
            error_wrap(&f->fault, "column '%s'", f->fault.column);
        }
        name_table(f, res);
    } else if (f->fault.class == ERROR_SETUP && of_rows) {
        name_table(f, res);
    } else if (f->fault.class == ERROR_RECORD || f->fault.class == ERROR_SETUP) {
        f->fault.class = ERROR_SETUP; /* no record is concerned: the schema is not as it was made */
        error_wrap(&f->fault, "cannot advance the ledger");
    }
}
