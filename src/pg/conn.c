/*
 * A connection that is there: what it sends and receives, its end, the statements of those who may
 * wait; and the settings that its session is to have. How it is made is conn_open.c. Every call
 * returns at once, except for conn_exec. One thread at a time.
 */
#include "pg/conn.h"

#include "base/buf.h"
#include "base/mem.h"
#include "config/config.h"
#include "pg/libpq.h"
#include "pg/pooler.h"
#include "pg/preview.h"
#include "pg/sql.h"
#include "row/table/table.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* How many answers are searched for the last words of a server that is gone. */
#define LAST_WORDS_MAX 100

/*
 * One query string, one round trip. It begins by asking whether the server can write at all, since
 * nothing of the rest works on a standby.
 *
 * No statement_timeout, whatever the role's default is: a batch may wait for a lock as long as
 * lock_timeout allows, and a COPY that waits for its client would not be ended by it anyway. The
 * server detects by TCP that a client has vanished. Notices are turned off, so that anything that
 * arrives in the middle of a COPY is an error.
 */
static char *setup_sql(const struct conn_settings *settings, const char *marker)
{
    struct buf sql = {0};

    buf_add_z(&sql, "SELECT pg_catalog.pg_is_in_recovery(),"
                    " pg_catalog.current_setting('transaction_read_only'),"
                    " pg_catalog.pg_backend_pid();"
                    "SET pgsinkd.session TO ");
    sql_literal(&sql, marker);
    buf_add_z(&sql, ";SET client_min_messages TO error;"
                    "SET synchronous_commit TO ");
    sql_literal(&sql, settings->synchronous_commit);
    buf_printf(&sql, ";SET lock_timeout TO %llu;",
               (unsigned long long) (settings->lock_timeout_usec / USEC_PER_MSEC));
    buf_add_z(&sql, "SET statement_timeout TO 0;"
                    "SET idle_in_transaction_session_timeout TO '5min';"
                    "SET default_transaction_isolation TO 'read committed';"
                    "SET tcp_keepalives_idle TO 30;"
                    "SET tcp_keepalives_interval TO 10;"
                    "SET tcp_keepalives_count TO 3;"
                    "SET tcp_user_timeout TO 30000;"
                    "SET standard_conforming_strings TO on;"
                    "SET \"TimeZone\" TO 'UTC';"
                    "SET \"DateStyle\" TO 'ISO';"
                    /* PostgreSQL 14 and 17 brought these: an idle worker, or a batch that waits for
                     * a lock, does not end because of its role's or database's default. */
                    "SELECT pg_catalog.set_config(s.name, '0', false)"
                    " FROM (VALUES ('idle_session_timeout'), ('transaction_timeout')) AS s (name)"
                    " WHERE pg_catalog.current_setting(s.name, true) IS NOT NULL;");
    /* For triggers, sql/009_history.sql; said in any case, because a session may be renewed. */
    buf_printf(&sql, "SET pgsinkd.audit TO '%s';",
               settings->cfg != NULL && settings->cfg->audit ? "on" : "off");
    if (settings->listen_channel != NULL) {
        buf_add_z(&sql, "LISTEN ");
        table_quote_ident(&sql, settings->listen_channel);
    }
    char *copy = mem_strdup(buf_cstr(&sql));
    buf_done(&sql);
    return copy;
}

/* Unique to this object; who has it by chance is nobody's enemy. */
static void make_marker(char out[static 17])
{
    uint64_t number;

    if (getrandom(&number, sizeof number, 0) != (ssize_t) sizeof number) {
        abort(); /* at start only, on a system without randomness */
    }
    snprintf(out, 17, "%016llx", (unsigned long long) number);
}

struct conn *conn_new(const struct conn_settings *settings)
{
    struct conn *c = mem_zalloc(sizeof *c);

    make_marker(c->marker);
    c->cfg = settings->cfg;
    c->dsn = c->cfg == NULL ? dsn_new(settings->dsn) : NULL;
    c->application_name = mem_strdup(settings->application_name);
    c->setup_sql = setup_sql(settings, c->marker);
    c->listen_sink = mem_strdup(settings->listen_sink);
    c->timeout_usec = settings->timeout_usec;
    c->connections = settings->connections;
    c->deadline = USEC_NEVER;
    c->stop_fd = -1;
    c->resolver = resolver_new();
    return c;
}

int conn_library_version(void)
{
    return PQlibVersion();
}

void conn_configure(struct conn *c, const struct conn_settings *settings)
{
    char *sql = setup_sql(settings, c->marker);
    bool is_sent = conn_is_open(c) || c->phase == CONN_SETUP || c->phase == CONN_PING;

    c->cfg = settings->cfg;
    c->timeout_usec = settings->timeout_usec;
    c->connections = settings->connections;
    c->outdated = is_sent && (c->outdated || strcmp(sql, c->setup_sql) != 0);
    free(c->setup_sql);
    c->setup_sql = sql;
}

bool conn_is_outdated(const struct conn *c)
{
    return c->outdated;
}

struct conn *conn_free(struct conn *c)
{
    if (c != NULL) {
        conn_close(c);
        dsn_free(c->dsn);
        free(c->password);
        resolver_free(c->resolver);
        addresses_clear(&c->addresses);
        free(c->application_name);
        free(c->setup_sql);
        free(c->listen_sink);
        free(c);
    }
    return NULL;
}

void conn_close(struct conn *c)
{
    PQfinish(c->pg);
    c->pg = NULL;
    c->phase = CONN_CLOSED;
    c->deadline = USEC_NEVER;
    c->events = 0;
    c->copy_in = false;
    c->outdated = false; /* renews stays: whose attempt has failed is asked after this */
    c->news = (struct conn_news){0};
    c->notice.class = ERROR_NONE;
}

bool conn_is_open(const struct conn *c)
{
    return c->phase == CONN_IDLE || c->phase == CONN_BUSY;
}

int conn_fd(const struct conn *c)
{
    if (c->phase == CONN_LOOKUP) {
        return c->lookup_fd;
    }
    return c->pg != NULL ? PQsocket(c->pg) : -1;
}

short conn_events(const struct conn *c)
{
    return c->events;
}

usec_t conn_deadline(const struct conn *c)
{
    return c->deadline;
}

usec_t conn_round_trip(const struct conn *c)
{
    return c->round_trip;
}

bool conn_check_server(const struct conn *c, struct error *err)
{
    int version = PQserverVersion(c->pg);

    if (version >= SERVER_VERSION_MIN) {
        return true;
    }
    error_set(err, ERROR_SETUP, "the server is PostgreSQL %d: pgsinkd needs %d or newer",
              version / 10000, SERVER_VERSION_MIN / 10000);
    return error_hint(err, "Upgrade the server (pg_upgrade), or let postgres.dsn lead to another.");
}

int conn_backend_pid(const struct conn *c)
{
    return c->pg != NULL ? PQbackendPID(c->pg) : 0;
}

void conn_begin(struct conn *c)
{
    assert(c->phase == CONN_IDLE);
    c->phase = CONN_BUSY;
    c->deadline = clock_mono() + c->timeout_usec;
}

static bool is_about(const char *payload, const char *what, const char *sink)
{
    size_t n = strlen(what);

    return strncmp(payload, what, n) == 0 && strcmp(payload + n, sink) == 0;
}

/* replay() sends "replay:" and the sink, seek() "seek:" and the sink where it leaves a request;
 * what is about the ledger has the sink alone, or nothing if it concerns all. Whatever else anybody
 * sends is not for us. */
static void take_notification(struct conn *c, const char *payload)
{
    const char *sink = c->listen_sink;

    if (*payload == '\0' || (sink != NULL && strcmp(payload, sink) == 0)) {
        c->news.ledger = true;
    } else if (sink != NULL) {
        c->news.replay = c->news.replay || is_about(payload, "replay:", sink);
        c->news.seek = c->news.seek || is_about(payload, "seek:", sink);
    }
}

static void take_notifications(struct conn *c)
{
    PGnotify *n;

    while ((n = PQnotifies(c->pg)) != NULL) {
        take_notification(c, n->extra);
        PQfreemem(n);
    }
}

void conn_end(struct conn *c)
{
    c->phase = CONN_IDLE;
    c->events = POLLIN;
    c->deadline = USEC_NEVER;
    c->copy_in = false;
    take_notifications(c);
}

bool conn_flush(struct conn *c, struct error *err)
{
    int left = PQflush(c->pg);

    if (left < 0) {
        return conn_lost(c, err);
    }
    c->events = left ? POLLIN | POLLOUT : POLLIN;
    return true;
}

static usec_t answer_timeout(const struct conn *c)
{
    return conn_is_open(c) ? c->timeout_usec : CONNECT_TIMEOUT_USEC;
}

bool conn_pump(struct conn *c, bool *out_heard, struct error *err)
{
    struct pollfd p = {.fd = PQsocket(c->pg), .events = c->events};
    int n = poll(&p, 1, 0);
    usec_t now = clock_mono();

    *out_heard = n > 0 && (p.revents & ~POLLOUT);
    if (n > 0) {
        c->deadline = now + answer_timeout(c);
    } else if (now >= c->deadline) {
        usec_t limit = answer_timeout(c);
        if (c->phase == CONN_SETUP && !c->renews) {
            return pooler_no_answer(err, PQhost(c->pg), limit / USEC_PER_SEC, c->connections);
        }
        conn_close(c);
        return error_set(err, ERROR_LINK, "no answer from postgresql within %llu s",
                         (unsigned long long) ((limit + USEC_PER_SEC - 1) / USEC_PER_SEC));
    }
    if (*out_heard && !PQconsumeInput(c->pg)) {
        return conn_lost(c, err);
    }
    return !(c->events & POLLOUT) || conn_flush(c, err);
}

/* The error that the server sent before it closed the connection, if any. */
static bool last_words(struct conn *c, struct error *err)
{
    if (PQstatus(c->pg) != CONNECTION_BAD) {
        return false; /* PQgetResult might wait */
    }
    if (c->copy_in) {
        /* libpq looks for errors only outside of a COPY. */
        (void) PQputCopyEnd(c->pg, "connection lost");
    }
    /* In a pipeline earlier answers come first, each followed by a NULL. */
    int nulls = 0;
    for (int i = 0; i < LAST_WORDS_MAX && nulls < 2; i++) {
        _cleanup_result_ PGresult *res = PQgetResult(c->pg);
        nulls = res != NULL ? 0 : nulls + 1;
        if (PQresultErrorField(res, PG_DIAG_SQLSTATE) != NULL) {
            fault_result(res, err);
            return true;
        }
    }
    return false;
}

bool conn_lost(struct conn *c, struct error *err)
{
    struct error plain;

    fault_library(c->pg, &plain); /* now, before libpq overwrites it */
    if (!last_words(c, err)) {
        *err = c->notice.class != ERROR_NONE ? c->notice : plain;
    }
    err->class = ERROR_LINK;
    conn_close(c);
    return error_wrap(err, "connection to postgresql lost");
}

bool conn_idle(struct conn *c, struct conn_news *out, struct error *err)
{
    struct pollfd p = {.fd = PQsocket(c->pg), .events = POLLIN};

    assert(c->phase == CONN_IDLE);
    *out = (struct conn_news){0};
    if (poll(&p, 1, 0) > 0 && !PQconsumeInput(c->pg)) {
        return conn_lost(c, err);
    }
    take_notifications(c);
    if (c->notice.class != ERROR_NONE) {
        return conn_lost(c, err);
    }
    *out = c->news;
    c->news = (struct conn_news){0};
    return true;
}

/* --- the blocking face --- */

bool conn_wait(struct conn *c, struct error *err)
{
    struct pollfd p[2] = {
        {.fd = conn_fd(c), .events = c->events},
        {.fd = c->stop_fd, .events = POLLIN},
    };

    (void) poll(p, 2, clock_poll_ms(clock_mono(), c->deadline));
    if (p[1].revents & POLLIN) {
        conn_close(c);
        return error_set(err, ERROR_LINK, "interrupted");
    }
    return true;
}

static void finish(struct conn *c, const struct error *err)
{
    if (err->class == ERROR_LINK) {
        conn_close(c);
    } else {
        conn_end(c);
    }
}

/* Whose fault it is: of the session, or of rows. That nothing can be written means elsewhere that
 * the server is a standby. */
static void take_class(const struct conn *c, const PGresult *res, bool of_rows, struct error *err)
{
    if (of_rows && !fault_is_fatal(res)) {
        err->class = fault_blame(res);
    }
    if (c->only_reads && strcmp(err->sqlstate, PREVIEW_WRITES) == 0) {
        err->class = ERROR_RECORD;
    }
}

/* Waits for all that comes of what was sent, and returns the last result. */
static PGresult *collect(struct conn *c, int sent, bool of_rows, struct error *err)
{
    PGresult *last = NULL;
    struct error fault = {.class = ERROR_NONE};

    if (!sent) {
        conn_lost(c, err);
        return NULL;
    }
    c->events = POLLIN | POLLOUT;
    for (;;) {
        bool heard;
        if (!conn_pump(c, &heard, err)) {
            PQclear(last);
            return NULL;
        }
        while (!PQisBusy(c->pg)) {
            PGresult *res = PQgetResult(c->pg);
            if (res == NULL) {
                finish(c, &fault);
                if (fault.class == ERROR_NONE) {
                    return last;
                }
                *err = fault;
                PQclear(last);
                return NULL;
            }
            PQclear(last);
            last = res;
            if (PQresultStatus(res) == PGRES_FATAL_ERROR && fault.class == ERROR_NONE) {
                fault_result(res, &fault);
                take_class(c, res, of_rows, &fault);
            }
        }
        if (!conn_wait(c, err)) {
            PQclear(last);
            return NULL;
        }
    }
}

/* By a stop, or a fault that the caller could pass over, it may be closed. */
static bool begin(struct conn *c, struct error *err)
{
    if (!conn_is_open(c)) {
        return error_set(err, ERROR_LINK, "the connection to postgresql is closed");
    }
    conn_begin(c);
    return true;
}

PGresult *conn_exec(struct conn *c, const char *sql, int count, const char *const *values,
                    struct error *err)
{
    if (!begin(c, err)) {
        return NULL;
    }
    int sent = count < 0 ? PQsendQuery(c->pg, sql)
                         : PQsendQueryParams(c->pg, sql, count, NULL, values, NULL, NULL, 0);
    return collect(c, sent, false, err);
}

PGresult *conn_exec_binary(struct conn *c, const char *sql, const struct conn_values *v,
                           struct error *err)
{
    int formats[CONN_VALUES_MAX];

    for (int i = 0; i < v->count; i++) {
        formats[i] = 1;
    }
    if (!begin(c, err)) {
        return NULL;
    }
    int sent = PQsendQueryParams(c->pg, sql, v->count, v->types, v->values, v->lengths, formats, 0);
    return collect(c, sent, true, err);
}

bool conn_run(struct conn *c, const char *sql, struct error *err)
{
    _cleanup_result_ PGresult *res = conn_exec(c, sql, -1, NULL, err);

    return res != NULL;
}

bool conn_check_marker(const struct conn *c, const PGresult *res, struct error *err)
{
    if (PQresultStatus(res) == PGRES_TUPLES_OK && strcmp(PQgetvalue(res, 0, 0), c->marker) == 0) {
        return true;
    }
    return fault_is_fatal(res) ? fault_result(res, err) : pooler_refuse(err);
}

bool conn_is_pooled(const struct conn *c)
{
    return c->pooled;
}

bool conn_confirm(struct conn *c, struct error *err)
{
    _cleanup_result_ PGresult *res = conn_exec(c, CONN_MARKER_SQL, -1, NULL, err);

    if (res != NULL) {
        return conn_check_marker(c, res, err);
    }
    return err->class == ERROR_LINK ? false : pooler_refuse(err); /* the marker is unknown there */
}
