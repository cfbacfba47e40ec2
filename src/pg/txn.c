/*
 * The write path COPY, see txn.h. One query string per batch:
 *
 *     SELECT "pgsinkd".advance('sink', '{...}', ...);
 *     COPY "s"."t" ("a","b") FROM STDIN (FORMAT binary);COPY ...
 *
 * When can the server have committed? It commits after the last statement, so not before the last
 * CopyDone has left libpq; from then on a lost connection leaves the outcome open, and so does a
 * FATAL error, which may strike between the commit and its answer. An ERROR is always a rollback.
 * (copies_left == 0 is that point, and it stands in one place: end_of_copy.)
 *
 * A part whose rows omit every column cannot be a COPY, which wants at least one column; it is
 *     INSERT INTO t SELECT FROM generate_series(1, rows)
 *
 * Worker thread.
 */
#include "pg/txn.h"

#include "base/buf.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"
#include "row/table.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes per CopyData, and per step: then the worker may look at other things. */
#define CHUNK_BYTES ((size_t) 64 * 1024)
#define STEP_BYTES ((size_t) 1024 * 1024)

static const char copy_header[] =
    "PGCOPY\n\377\r\n\0" /* signature, 11 bytes */
    "\0\0\0\0"           /* flags */
    "\0\0\0";            /* length of the header extension: 4 bytes with the NUL */
static const char copy_trailer[] = {'\377', '\377'};

struct txn {
    char *schema;
    char *sink;
    struct conn *c; /* NULL = nothing under way */
    const struct batch *b;
    struct buf sql;
    uint32_t *order; /* spans in key order */
    size_t order_cap;
    size_t part;        /* the part whose COPY runs, or is next */
    size_t sent;        /* bytes of it handed to libpq */
    size_t copies_left; /* COPYs whose CopyDone is not yet sent; 0 = a commit is possible */
    bool advanced;      /* the ledger has moved, in this transaction */
    bool header_sent;
    bool stopped; /* we broke off a COPY because the server had spoken */
    bool deaf;    /* it once spoke of nothing: never break off again */
    bool answer_seen;
    struct error fault; /* the first error of the transaction */
    bool fatal;
    size_t fault_row;
};

struct txn *txn_new(const char *schema, const char *sink)
{
    struct txn *t = mem_zalloc(sizeof *t);

    t->schema = mem_strdup(schema);
    t->sink = mem_strdup(sink);
    return t;
}

struct txn *txn_free(struct txn *t)
{
    if (t) {
        buf_done(&t->sql);
        free(t->order);
        free(t->schema);
        free(t->sink);
        free(t);
    }
    return NULL;
}

/* --- the query string --- */

static bool is_omitted(const struct target_column *column, uint64_t omit)
{
    return column->omit_bit >= 0 && (omit >> column->omit_bit & 1);
}

static bool has_columns(const struct batch_part *p)
{
    for (size_t i = 0; i < p->target->column_count; i++) {
        if (!is_omitted(&p->target->columns[i], p->omit)) {
            return true;
        }
    }
    return false;
}

enum span_field {
    SPAN_PARTITION,
    SPAN_OWNER_EPOCH,
    SPAN_FROM,
    SPAN_NEXT,
    SPAN_LEADER_EPOCH,
    SPAN_TIMESTAMP,
    SPAN_END,
    SPAN_FIELDS
};

static int64_t span_field(const struct span *s, enum span_field field)
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

static void add_advance(struct txn *t)
{
    const struct batch *b = t->b;

    while (t->order_cap < b->span_count) {
        t->order = mem_grow(t->order, &t->order_cap, t->order_cap, sizeof *t->order);
    }
    batch_span_order(b, t->order);

    buf_add_z(&t->sql, "SELECT ");
    table_quote_ident(&t->sql, t->schema);
    buf_add_z(&t->sql, ".advance(");
    sql_literal(&t->sql, t->sink);
    buf_add_z(&t->sql, ",'");
    sql_array_open(&t->sql);
    for (size_t i = 0; i < b->span_count; i++) {
        sql_array_text_quoted(&t->sql, b->spans[t->order[i]].topic);
    }
    sql_array_close(&t->sql);
    buf_add_u8(&t->sql, '\'');
    for (int field = 0; field < SPAN_FIELDS; field++) {
        buf_add_z(&t->sql, ",'");
        sql_array_open(&t->sql);
        for (size_t i = 0; i < b->span_count; i++) {
            sql_array_i64(&t->sql, span_field(&b->spans[t->order[i]], (enum span_field) field));
        }
        sql_array_close(&t->sql);
        buf_add_u8(&t->sql, '\'');
    }
    buf_add_u8(&t->sql, ')');
}

static void add_copy(struct buf *sql, const struct batch_part *p)
{
    char separator = '(';

    buf_add_z(sql, ";COPY ");
    buf_add_z(sql, p->target->table->quoted);
    buf_add_u8(sql, ' ');
    for (size_t i = 0; i < p->target->column_count; i++) {
        const struct target_column *column = &p->target->columns[i];
        if (!is_omitted(column, p->omit)) {
            buf_add_u8(sql, (uint8_t) separator);
            table_quote_ident(sql, column->column->name);
            separator = ',';
        }
    }
    buf_add_z(sql, ") FROM STDIN (FORMAT binary)");
}

static void build_sql(struct txn *t)
{
    buf_clear(&t->sql);
    add_advance(t);
    for (size_t i = 0; i < t->b->part_count; i++) {
        const struct batch_part *p = &t->b->parts[i];
        if (p->row_count == 0) {
            continue;
        }
        if (has_columns(p)) {
            add_copy(&t->sql, p);
            t->copies_left++;
        } else {
            buf_printf(&t->sql, ";INSERT INTO %s SELECT FROM pg_catalog.generate_series(1, %zu)",
                       p->target->table->quoted, p->row_count);
        }
    }
}

/* The first part with rows at or after i. */
static size_t next_part(const struct batch *b, size_t i)
{
    while (i < b->part_count && b->parts[i].row_count == 0) {
        i++;
    }
    return i;
}

bool txn_start(struct txn *t, struct conn *c, const struct batch *b, struct error *err)
{
    assert(!t->c && !batch_is_empty(b));
    t->c = c;
    t->b = b;
    t->part = next_part(b, 0);
    t->copies_left = 0;
    t->advanced = false;
    t->stopped = false;
    t->answer_seen = false;
    t->fatal = false;
    t->fault.class = ERROR_NONE;
    t->fault_row = TXN_NO_ROW;
    build_sql(t);
    conn_begin(c);
    if (!PQsendQuery(c->pg, buf_cstr(&t->sql))) {
        t->c = NULL;
        return conn_lost(c, err);
    }
    c->events = POLLIN |
                POLLOUT; /* the first step flushes: from here on txn_step tells the outcome */
    return true;
}

void txn_abandon(struct txn *t)
{
    if (t->c) {
        conn_close(TAKE_PTR(t->c));
    }
}

/* --- the end --- */

static enum txn_step done(struct txn *t, enum txn_outcome outcome, struct txn_result *out)
{
    t->c = NULL;
    *out = (struct txn_result){
        .outcome = outcome,
        .error = t->fault,
        .part = t->fault.class == ERROR_RECORD ? t->part : TXN_NO_ROW,
        .row = t->fault.class == ERROR_RECORD ? t->fault_row : TXN_NO_ROW,
    };
    return TXN_DONE;
}

/* The connection is closed; the fault says why. */
static enum txn_step lost(struct txn *t, struct txn_result *out)
{
    return done(t, t->copies_left == 0 ? TXN_UNKNOWN : TXN_ROLLED_BACK, out);
}

static enum txn_step break_off(struct txn *t, const char *why, struct txn_result *out)
{
    conn_close(t->c);
    error_set(&t->fault, ERROR_LINK, "%s", why);
    return lost(t, out);
}

/* ReadyForQuery has come: everything is answered. */
static enum txn_step finish(struct txn *t, struct txn_result *out)
{
    if (t->fault.class == ERROR_NONE) {
        if (!t->advanced || t->part < t->b->part_count) {
            return break_off(t, "postgresql did not answer every statement", out);
        }
        conn_end(t->c);
        return done(t, TXN_COMMITTED, out);
    }
    if (t->fatal) {
        t->fault.class = ERROR_LINK;
        conn_close(t->c);
        return lost(t, out);
    }
    if (t->fault.class == ERROR_LINK) {
        conn_close(t->c);
    } else {
        conn_end(t->c);
    }
    return done(t, TXN_ROLLED_BACK, out);
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
static void locate(struct txn *t, const PGresult *res)
{
    const char *context = PQresultErrorField(res, PG_DIAG_CONTEXT);
    const struct batch_part *p = &t->b->parts[t->part];
    struct str rest = {.p = NULL};

    if (!has_columns(p) || !context || strncmp(t->fault.sqlstate, "54", 2) == 0) {
        return;
    }
    struct str line = last_line(context);
    if (!memmem(line.p, line.n, "COPY", 4)) {
        return;
    }
    t->fault_row = find_row(line, p, &rest);
    if (t->fault_row != TXN_NO_ROW && !*t->fault.column && rest.n > 0) {
        find_column(rest, p, &t->fault);
    }
}

/* "table 's.t'": as the server says, else the COPY that runs; nothing where neither is certain. */
static void name_table(struct txn *t, const PGresult *res)
{
    const char *schema = PQresultErrorField(res, PG_DIAG_SCHEMA_NAME);
    const char *name = PQresultErrorField(res, PG_DIAG_TABLE_NAME);
    bool only_one = next_part(t->b, 0) == t->part &&
                    next_part(t->b, t->part + 1) == t->b->part_count;

    /* After the last CopyDone it may be the commit that fails, for any of the tables. */
    if (t->fault_row != TXN_NO_ROW || t->copies_left > 0 || only_one) {
        const struct table *table = t->b->parts[t->part].target->table;
        error_wrap(&t->fault, "table '%s.%s'", table->schema, table->name);
    } else if (schema && name) {
        error_wrap(&t->fault, "table '%s.%s'", schema, name);
    }
}

static void take_fault(struct txn *t, const PGresult *res)
{
    if (t->fault.class != ERROR_NONE) {
        return;
    }
    fault_result(res, &t->fault);
    t->fatal = fault_is_fatal(res);
    if (t->stopped && strcmp(t->fault.sqlstate, "57014") == 0) {
        t->deaf = true; /* it was no error that we heard */
    }
    bool of_rows = t->advanced && t->part < t->b->part_count;
    if (t->fault.class == ERROR_RECORD && of_rows) {
        locate(t, res);
        if (*t->fault.column) {
            error_wrap(&t->fault, "column '%s'", t->fault.column);
        }
        name_table(t, res);
    } else if (t->fault.class == ERROR_SETUP && of_rows) {
        name_table(t, res);
    } else if (t->fault.class == ERROR_RECORD || t->fault.class == ERROR_SETUP) {
        t->fault.class = ERROR_SETUP; /* no record is concerned: the schema is not as it was made */
        error_wrap(&t->fault, "cannot advance the ledger");
    }
}

/* --- sending rows --- */

enum send { SEND_ALL, SEND_LATER, SEND_LOST, SEND_BROKEN_OFF };

/* True when libpq has taken it; false: its buffer is full, or the connection is gone (*out). */
static bool put(struct txn *t, const void *p, size_t n, enum send *out)
{
    int r = PQputCopyData(t->c->pg, p, (int) n);

    *out = r < 0 ? SEND_LOST : SEND_LATER;
    return r == 1;
}

#ifdef PGSINKD_FAILPOINTS
static bool fail_mid_copy(struct txn *t, const struct batch_part *p)
{
    if (t->sent == 0 || t->sent == p->bytes.n) {
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
static bool fail_mid_copy(const struct txn *t, const struct batch_part *p)
{
    (void) t;
    (void) p;
    return false;
}

static size_t chunk_size(size_t left)
{
    return MIN(CHUNK_BYTES, left);
}
#endif

static enum send end_of_copy(struct txn *t)
{
    enum send result;

    if (t->copies_left == 1 && failpoint_hit(FAILPOINT_TXN_BEFORE_COMMIT)) {
        return SEND_BROKEN_OFF;
    }
    if (!put(t, copy_trailer, sizeof copy_trailer, &result)) {
        return result;
    }
    t->copies_left--; /* before the call: whatever it answers, CopyDone may be on its way */
    t->c->copy_in = false;
    return PQputCopyEnd(t->c->pg, NULL) < 0 ? SEND_LOST : SEND_ALL;
}

static enum send send_rows(struct txn *t)
{
    const struct batch_part *p = &t->b->parts[t->part];
    enum send result;
    size_t budget = STEP_BYTES;

    if (!t->header_sent) {
        if (!put(t, copy_header, sizeof copy_header, &result)) {
            return result;
        }
        t->header_sent = true;
    }
    while (t->sent < p->bytes.n && budget > 0) {
        size_t n = MIN(chunk_size(p->bytes.n - t->sent), budget);
        if (!put(t, p->bytes.p + t->sent, n, &result)) {
            return result;
        }
        t->sent += n;
        budget -= n;
        if (fail_mid_copy(t, p)) {
            return SEND_BROKEN_OFF;
        }
        if (n == CHUNK_BYTES) {
            int left = PQflush(t->c->pg);
            if (left != 0) {
                return left < 0 ? SEND_LOST : SEND_LATER;
            }
        }
    }
    return t->sent < p->bytes.n ? SEND_LATER : end_of_copy(t);
}

/* --- one step --- */

/* One answer of the server. */
static void take_result(struct txn *t, const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    if (status == PGRES_TUPLES_OK) {
        t->advanced = true;
    } else if (status == PGRES_COMMAND_OK) {
        t->part = next_part(t->b, t->part + 1);
    } else if (status == PGRES_COPY_IN) {
        t->c->copy_in = true;
        t->header_sent = false;
        t->sent = 0;
    } else {
        take_fault(t, res);
    }
}

enum txn_step txn_step(struct txn *t, struct txn_result *out)
{
    struct conn *c = t->c;
    bool heard;

    assert(c);
    if (!conn_pump(c, &heard, &t->fault)) {
        return lost(t, out);
    }
    if (c->copy_in && heard && !t->deaf) {
        /*
         * In the middle of a COPY the server speaks only to say that it has failed (notices are
         * turned off), and libpq does not show that before the COPY is ended. If it has failed it
         * ignores our CopyFail.
         */
        t->stopped = true;
        c->copy_in = false;
        if (PQputCopyEnd(c->pg, "broken off") < 0) {
            conn_lost(c, &t->fault);
            return lost(t, out);
        }
    }
    for (;;) {
        if (c->copy_in) {
            switch (send_rows(t)) {
            case SEND_ALL:
                break;
            case SEND_LATER:
                c->events = POLLIN | POLLOUT;
                return TXN_WAIT;
            case SEND_LOST:
                conn_lost(c, &t->fault);
                return lost(t, out);
            case SEND_BROKEN_OFF:
                return break_off(t, "failpoint", out);
            }
        }
        if (PQisBusy(c->pg)) {
            break;
        }
        if (t->copies_left == 0 && !t->answer_seen) {
            t->answer_seen = true;
            if (failpoint_hit(FAILPOINT_TXN_AFTER_COMMIT)) {
                return break_off(t, "failpoint", out);
            }
        }
        _cleanup_result_ PGresult *res = PQgetResult(c->pg);
        if (!res) {
            return finish(t, out);
        }
        take_result(t, res);
    }
    if (!conn_flush(c, &t->fault)) {
        return lost(t, out);
    }
    return TXN_WAIT;
}
