/*
 * Connecting, the session's settings, and the ends of a connection. Every call returns at once,
 * except where libpq itself looks up a host name, and in conn_open_wait and conn_exec. One thread
 * at a time.
 */
#include "pg/conn.h"

#include "base/buf.h"
#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/pooler.h"
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

/* For each host of the DSN. */
#define CONNECT_TIMEOUT_USEC (10 * USEC_PER_SEC)

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
                    "SET \"DateStyle\" TO 'ISO';");
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

    c->dsn = dsn_new(settings->dsn);
    c->application_name = mem_strdup(settings->application_name);
    c->setup_sql = setup_sql(settings, c->marker);
    c->listen_sink = mem_strdup(settings->listen_sink);
    c->timeout_usec = settings->timeout_usec;
    c->connections = settings->connections;
    c->deadline = USEC_NEVER;
    c->stop_fd = -1;
    return c;
}

int conn_library_version(void)
{
    return PQlibVersion();
}

struct conn *conn_free(struct conn *c)
{
    if (c != NULL) {
        conn_close(c);
        dsn_free(c->dsn);
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
    c->news = (struct conn_news){false, false};
    c->notice.class = ERROR_NONE;
}

bool conn_is_open(const struct conn *c)
{
    return c->phase == CONN_IDLE || c->phase == CONN_BUSY;
}

int conn_fd(const struct conn *c)
{
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

int conn_backend_pid(const struct conn *c)
{
    return c->pg != NULL ? PQbackendPID(c->pg) : 0;
}

/* What the server says without being asked is kept if it ends the session, and dropped otherwise.
 */
static void on_notice(void *arg, const PGresult *res)
{
    struct conn *c = arg;

    if (fault_is_fatal(res)) {
        fault_result(res, &c->notice);
    }
}

static void start_host(struct conn *c)
{
    const struct dsn_host *h = &c->dsn->hosts[c->host];
    /* The DSN (dbname) overrides what stands before it, and is overridden by what stands after it.
     */
    const struct {
        const char *keyword;
        const char *value;
    } options[] = {
        {"keepalives", "1"},
        {"keepalives_idle", "30"},
        {"keepalives_interval", "10"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "30000"},
        {"dbname", c->dsn->text},
        {"host", h->host},
        {"hostaddr", h->hostaddr},
        {"port", h->port},
        {"application_name", c->application_name},
        {"client_encoding", "UTF8"},
    };
    const char *keywords[ARRAY_LEN(options) + 1] = {NULL};
    const char *values[ARRAY_LEN(options) + 1] = {NULL};
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (options[i].value != NULL) {
            keywords[n] = options[i].keyword;
            values[n++] = options[i].value;
        }
    }
    c->pg = PQconnectStartParams(keywords, values, 1);
    assert(c->pg != NULL);                        /* NULL means out of memory */
    PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE); /* shows SQLSTATE, see fault_connect */
    PQsetNoticeReceiver(c->pg, on_notice, c);
    c->phase = CONN_CONNECTING;
    c->events = POLLOUT;
    /* If it has failed already (a wrong option, no such socket file) there is nothing to poll for.
     */
    c->deadline = PQstatus(c->pg) == CONNECTION_BAD ? 0 : clock_mono() + CONNECT_TIMEOUT_USEC;
}

bool conn_open(struct conn *c, struct error *err)
{
    assert(c->pg == NULL);
    (void) err;
    c->host = 0;
    c->others.class = ERROR_NONE;
    start_host(c);
    return true;
}

/*
 * A host has failed: the next one is tried, if there is one. After the last, a host that may work
 * later decides what kind of failure this is: that a standby answers while the primary is down is
 * not the operator's mistake.
 */
static enum conn_step host_failed(struct conn *c, struct error *err)
{
    pooler_hint_too_few(err, c->connections);
    conn_close(c);
    if (c->others.class != ERROR_NONE && c->others.class != ERROR_SETUP &&
        err->class == ERROR_SETUP) {
        *err = c->others;
    }
    if (c->host + 1 == c->dsn->host_count) {
        return CONN_FAILED;
    }
    c->others = *err;
    c->host++;
    start_host(c);
    return CONN_WAIT;
}

static enum conn_step start_setup(struct conn *c, struct error *err)
{
    if (PQsetnonblocking(c->pg, 1) != 0 || !PQsendQuery(c->pg, c->setup_sql)) {
        fault_connect(c->pg, err);
        return host_failed(c, err);
    }
    c->phase = CONN_SETUP;
    c->events = POLLIN;
    if (!conn_flush(c, err)) {
        return host_failed(c, err);
    }
    return CONN_WAIT;
}

static enum conn_step step_connecting(struct conn *c, struct error *err)
{
    struct pollfd p = {.fd = PQsocket(c->pg), .events = c->events};

    if (PQstatus(c->pg) == CONNECTION_BAD) {
        fault_connect(c->pg, err);
        return host_failed(c, err);
    }
    if (poll(&p, 1, 0) <= 0) {
        if (clock_mono() < c->deadline) {
            return CONN_WAIT;
        }
        unsigned long long seconds = CONNECT_TIMEOUT_USEC / USEC_PER_SEC;
        if (PQstatus(c->pg) == CONNECTION_AUTH_OK) {
            (void) pooler_no_answer(err, PQhost(c->pg), seconds, c->connections);
        } else {
            error_set(err, ERROR_LINK, "no connection to %s within %llu s", PQhost(c->pg), seconds);
        }
        return host_failed(c, err);
    }
    switch (PQconnectPoll(c->pg)) {
    case PGRES_POLLING_READING:
        c->events = POLLIN;
        return CONN_WAIT;
    case PGRES_POLLING_WRITING:
        c->events = POLLOUT;
        return CONN_WAIT;
    case PGRES_POLLING_OK:
        return start_setup(c, err);
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE: /* unused by libpq */
        break;
    }
    fault_connect(c->pg, err);
    return host_failed(c, err);
}

/* In another session the marker is unknown, or that of another connection. */
static bool marker_result(const struct conn *c, const PGresult *res, struct error *err)
{
    if (PQresultStatus(res) == PGRES_TUPLES_OK && strcmp(PQgetvalue(res, 0, 0), c->marker) == 0) {
        return true;
    }
    return fault_is_fatal(res) ? fault_result(res, err) : pooler_refuse(err);
}

/* False when this result ends the attempt. */
static bool setup_result(struct conn *c, const PGresult *res, struct error *err)
{
    ExecStatusType status = PQresultStatus(res);

    if (c->phase == CONN_PING) {
        return marker_result(c, res, err);
    }
    if (status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
        return true;
    }
    if (status != PGRES_TUPLES_OK) {
        fault_result(res, err);
        if (err->class == ERROR_RECORD) {
            err->class = ERROR_SETUP; /* a setting that the server does not accept */
        }
        return error_wrap(err, "cannot set up the session");
    }
    c->pooled = result_i64(res, 0, 2, 0) != PQbackendPID(c->pg);
    if (result_is_true(res, 0, 0)) {
        return error_set(err, ERROR_LINK, "%s is a standby: it cannot write", PQhost(c->pg));
    }
    if (strcmp(PQgetvalue(res, 0, 1), "on") == 0) {
        return error_set(err, ERROR_LINK, "%s is read-only: default_transaction_read_only is on",
                         PQhost(c->pg));
    }
    return true;
}

/* Not a SELECT, which would be planned. */
static const char marker_sql[] = "SHOW pgsinkd.session";

static enum conn_step start_ping(struct conn *c, struct error *err)
{
    if (!PQsendQuery(c->pg, marker_sql)) {
        fault_connect(c->pg, err);
        return host_failed(c, err);
    }
    c->phase = CONN_PING;
    c->ping_at = clock_mono();
    if (!conn_flush(c, err)) {
        return host_failed(c, err);
    }
    return CONN_WAIT;
}

static enum conn_step session_ready(struct conn *c)
{
    c->round_trip = clock_mono() - c->ping_at;
    conn_end(c);
    c->session++;
    return CONN_READY;
}

static enum conn_step step_setup(struct conn *c, struct error *err)
{
    bool heard;

    if (!conn_pump(c, &heard, err)) {
        return host_failed(c, err);
    }
    while (!PQisBusy(c->pg)) {
        _cleanup_result_ PGresult *res = PQgetResult(c->pg);
        if (res == NULL) {
            return c->phase == CONN_SETUP ? start_ping(c, err) : session_ready(c);
        }
        if (!setup_result(c, res, err)) {
            return host_failed(c, err);
        }
    }
    return CONN_WAIT;
}

enum conn_step conn_step(struct conn *c, struct error *err)
{
    switch (c->phase) {
    case CONN_CONNECTING:
        return step_connecting(c, err);
    case CONN_SETUP:
    case CONN_PING:
        return step_setup(c, err);
    case CONN_IDLE:
        return CONN_READY;
    case CONN_CLOSED:
    case CONN_BUSY:
        break;
    }
    assert(false && "conn_step outside of connecting");
    return CONN_FAILED;
}

void conn_begin(struct conn *c)
{
    assert(c->phase == CONN_IDLE);
    c->phase = CONN_BUSY;
    c->deadline = clock_mono() + c->timeout_usec;
}

/* replay() sends "replay:" and the sink; everything else is about the ledger. */
static void take_notification(struct conn *c, const char *payload)
{
    static const char replay[] = "replay:";

    if (strncmp(payload, replay, strlen(replay)) != 0) {
        c->news.ledger = true;
    } else if (c->listen_sink != NULL && strcmp(payload + strlen(replay), c->listen_sink) == 0) {
        c->news.replay = true;
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
        if (c->phase == CONN_SETUP) {
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
    *out = (struct conn_news){false, false};
    if (poll(&p, 1, 0) > 0 && !PQconsumeInput(c->pg)) {
        return conn_lost(c, err);
    }
    take_notifications(c);
    if (c->notice.class != ERROR_NONE) {
        return conn_lost(c, err);
    }
    *out = c->news;
    c->news = (struct conn_news){false, false};
    return true;
}

/* --- the blocking face --- */

/* Waits for the connection's events, its deadline, or stop_fd. False when stop_fd is readable. */
static bool wait_events(const struct conn *c, int stop_fd)
{
    struct pollfd p[2] = {
        {.fd = conn_fd(c), .events = c->events},
        {.fd = stop_fd, .events = POLLIN},
    };

    (void) poll(p, 2, clock_poll_ms(clock_mono(), c->deadline));
    return !(p[1].revents & POLLIN);
}

static PGresult *interrupted(struct conn *c, struct error *err)
{
    conn_close(c);
    error_set(err, ERROR_LINK, "interrupted");
    return NULL;
}

bool conn_open_wait(struct conn *c, int stop_fd, struct error *err)
{
    c->stop_fd = stop_fd;
    if (!conn_open(c, err)) {
        return false;
    }
    for (;;) {
        if (!wait_events(c, stop_fd)) {
            (void) interrupted(c, err);
            return false;
        }
        switch (conn_step(c, err)) {
        case CONN_READY:
            return true;
        case CONN_FAILED:
            return false;
        case CONN_WAIT:
            break;
        }
    }
}

static void finish(struct conn *c, const struct error *err)
{
    if (err->class == ERROR_LINK) {
        conn_close(c);
    } else {
        conn_end(c);
    }
}

PGresult *conn_exec(struct conn *c, const char *sql, int count, const char *const *values,
                    struct error *err)
{
    PGresult *last = NULL;
    struct error fault = {.class = ERROR_NONE};

    conn_begin(c);
    int sent = count < 0 ? PQsendQuery(c->pg, sql)
                         : PQsendQueryParams(c->pg, sql, count, NULL, values, NULL, NULL, 0);
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
            }
        }
        if (!wait_events(c, c->stop_fd)) {
            PQclear(last);
            return interrupted(c, err);
        }
    }
}

bool conn_run(struct conn *c, const char *sql, struct error *err)
{
    _cleanup_result_ PGresult *res = conn_exec(c, sql, -1, NULL, err);

    return res != NULL;
}

bool conn_is_pooled(const struct conn *c)
{
    return c->pooled;
}

bool conn_confirm(struct conn *c, struct error *err)
{
    _cleanup_result_ PGresult *res = conn_exec(c, marker_sql, -1, NULL, err);

    if (res != NULL) {
        return marker_result(c, res, err);
    }
    return err->class == ERROR_LINK ? false : pooler_refuse(err); /* the marker is unknown there */
}
