/*
 * How a connection is made: the DSN is read, each of its hosts tried, and each address of a host,
 * until one of them leads to a server that can write; then the session is set up. Every call
 * returns at once, except for conn_open_wait. One thread at a time.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "base/redact.h"
#include "config/config.h"
#include "pg/libpq.h"
#include "pg/pooler.h"

#include <assert.h>
#include <poll.h>
#include <string.h>

/* What the server says without being asked is kept if it ends the session, and dropped otherwise.
 */
static void on_notice(void *arg, const PGresult *res)
{
    struct conn *c = arg;

    if (fault_is_fatal(res)) {
        fault_result(res, &c->notice);
    }
}

/* TLS, the password file and messages go by the host's name, whatever its address. */
static void start_address(struct conn *c)
{
    const struct dsn_host *h = &c->dsn->hosts[c->host];
    const char *address = c->addresses.count > 0 ? c->addresses.items[c->address] : h->hostaddr;
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
        {"password", c->password},
        {"host", h->host},
        {"hostaddr", address},
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

static void start_host(struct conn *c)
{
    const struct dsn_host *h = &c->dsn->hosts[c->host];

    addresses_clear(&c->addresses);
    c->address = 0;
    c->before.class = ERROR_NONE;
    if (h->host == NULL || h->hostaddr != NULL || !resolver_is_name(h->host)) {
        start_address(c);
        return;
    }
    c->lookup_fd = resolver_ask(c->resolver, h->host);
    c->phase = CONN_LOOKUP;
    c->events = POLLIN;
    c->deadline = clock_mono() + CONNECT_TIMEOUT_USEC;
}

static bool read_again(struct conn *c, struct error *err)
{
    _cleanup_buf_ struct buf dsn = {0};
    _cleanup_buf_ struct buf password = {0};

    if (!config_read_dsn(c->cfg, &dsn, err) || !config_read_password(c->cfg, &password, err)) {
        return error_hint(err, "It is read again at each attempt to connect.");
    }
    dsn_free(c->dsn);
    c->dsn = dsn_new(buf_cstr(&dsn));
    mem_freep(&c->password);
    c->password = password.n > 0 ? mem_strdup(buf_cstr(&password)) : NULL;
    return true;
}

/* DSN and password as they are now. The DSN is checked, as at the start: libpq's own message about
 * a malformed one may quote a password. */
static bool read_dsn(struct conn *c, struct error *err)
{
    if (c->cfg != NULL && !read_again(c, err)) {
        return false;
    }
    return conn_check_dsn(c->dsn->text, err);
}

bool conn_open(struct conn *c, struct error *err)
{
    assert(c->pg == NULL);
    if (!read_dsn(c, err)) {
        return false;
    }
    c->renews = false;
    c->host = 0;
    c->others.class = ERROR_NONE;
    start_host(c);
    return true;
}

/* libpq quotes names that it cannot use, and a server what it was sent. */
static void conceal(const struct conn *c, struct error *err)
{
    const struct dsn_words *w = &c->dsn->words;
    const char *plain[] = {w->user, w->dbname, w->host};
    /* The last one may come from the environment or from the password file. */
    const char *secrets[] = {w->password, w->ssl_password, c->password,
                             c->pg != NULL ? PQpass(c->pg) : NULL};

    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        if (secrets[i] != NULL) {
            redact(err->text, sizeof err->text, secrets[i], plain, ARRAY_LEN(plain));
        }
    }
}

/*
 * A host has failed: the next one is tried, if there is one. After the last, a host that may work
 * later decides what kind of failure this is: that a standby answers while the primary is down is
 * not the operator's mistake.
 */
static enum conn_step host_failed(struct conn *c, struct error *err)
{
    conceal(c, err);
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

/*
 * An address has failed: the next one of the host is tried. After the last, what a person must fix
 * decides: often nobody answers at one of the addresses, as of localhost, and that is no news.
 */
static enum conn_step address_failed(struct conn *c, struct error *err)
{
    conceal(c, err);
    pooler_hint_too_few(err, c->connections);
    if (c->renews) {
        c->renews = false;
        conn_close(c);
        return CONN_FAILED;
    }
    if (c->before.class == ERROR_SETUP) {
        *err = c->before;
    }
    if (c->address + 1 >= c->addresses.count) {
        return host_failed(c, err);
    }
    conn_close(c);
    c->address++;
    c->before = *err;
    start_address(c);
    return CONN_WAIT;
}

static enum conn_step step_lookup(struct conn *c, struct error *err)
{
    const char *name = c->dsn->hosts[c->host].host;

    switch (resolver_take(c->resolver, name, &c->addresses, err)) {
    case RESOLVER_DONE:
        start_address(c);
        return CONN_WAIT;
    case RESOLVER_FAILED:
        return host_failed(c, err);
    case RESOLVER_WAIT:
        break;
    }
    if (clock_mono() < c->deadline) {
        return CONN_WAIT;
    }
    error_set(err, ERROR_LINK, "no name server has given the address of \"%s\" within %llu s", name,
              (unsigned long long) (CONNECT_TIMEOUT_USEC / USEC_PER_SEC));
    return host_failed(c, err);
}

/* libpq names only the address that it was given. */
static void fault_of(const struct conn *c, struct error *err)
{
    fault_connect(c->pg, err);
    if (c->addresses.count > 0) {
        error_wrap(err, "%s", c->dsn->hosts[c->host].host);
    }
}

static enum conn_step start_setup(struct conn *c, struct error *err)
{
    if (PQsetnonblocking(c->pg, 1) != 0 || !PQsendQuery(c->pg, c->setup_sql)) {
        fault_of(c, err);
        return address_failed(c, err);
    }
    c->outdated = false;
    c->phase = CONN_SETUP;
    c->events = POLLIN;
    if (!conn_flush(c, err)) {
        return address_failed(c, err);
    }
    return CONN_WAIT;
}

static void connecting_timed_out(const struct conn *c, struct error *err)
{
    unsigned long long seconds = CONNECT_TIMEOUT_USEC / USEC_PER_SEC;
    bool named = c->addresses.count > 0;

    if (PQstatus(c->pg) == CONNECTION_AUTH_OK) {
        (void) pooler_no_answer(err, PQhost(c->pg), seconds, c->connections);
        return;
    }
    error_set(err, ERROR_LINK, "no connection to %s%s%s%s within %llu s", PQhost(c->pg),
              named ? " (" : "", named ? c->addresses.items[c->address] : "", named ? ")" : "",
              seconds);
}

static enum conn_step step_connecting(struct conn *c, struct error *err)
{
    struct pollfd p = {.fd = PQsocket(c->pg), .events = c->events};

    if (PQstatus(c->pg) == CONNECTION_BAD) {
        fault_of(c, err);
        return address_failed(c, err);
    }
    if (poll(&p, 1, 0) <= 0) {
        if (clock_mono() < c->deadline) {
            return CONN_WAIT;
        }
        connecting_timed_out(c, err);
        return address_failed(c, err);
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
    fault_of(c, err);
    return address_failed(c, err);
}

/* False when this result ends the attempt. */
static bool setup_result(struct conn *c, const PGresult *res, struct error *err)
{
    ExecStatusType status = PQresultStatus(res);

    if (c->phase == CONN_PING) {
        return conn_check_marker(c, res, err);
    }
    if (status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
        return true;
    }
    if (status != PGRES_TUPLES_OK) {
        fault_result(res, err);
        return error_wrap(err, "cannot set up the session");
    }
    if (PQnfields(res) == 1) {
        return true; /* settings that not every server has */
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

static enum conn_step start_ping(struct conn *c, struct error *err)
{
    if (!PQsendQuery(c->pg, CONN_MARKER_SQL)) {
        fault_of(c, err);
        return address_failed(c, err);
    }
    c->phase = CONN_PING;
    c->ping_at = clock_mono();
    if (!conn_flush(c, err)) {
        return address_failed(c, err);
    }
    return CONN_WAIT;
}

static enum conn_step session_ready(struct conn *c)
{
    c->round_trip = clock_mono() - c->ping_at;
    addresses_clear(&c->addresses);
    conn_end(c);
    c->session += c->renews ? 0 : 1;
    c->renews = false;
    return CONN_READY;
}

static enum conn_step step_setup(struct conn *c, struct error *err)
{
    bool heard;

    if (!conn_pump(c, &heard, err)) {
        return address_failed(c, err);
    }
    while (!PQisBusy(c->pg)) {
        _cleanup_result_ PGresult *res = PQgetResult(c->pg);
        if (res == NULL) {
            return c->phase == CONN_SETUP ? start_ping(c, err) : session_ready(c);
        }
        if (!setup_result(c, res, err)) {
            return address_failed(c, err);
        }
    }
    return CONN_WAIT;
}

enum conn_step conn_step(struct conn *c, struct error *err)
{
    switch (c->phase) {
    case CONN_LOOKUP:
        return step_lookup(c, err);
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

bool conn_renew(struct conn *c, struct error *err)
{
    assert(c->phase == CONN_IDLE);
    c->renews = true;
    c->deadline = clock_mono() + CONNECT_TIMEOUT_USEC;
    return start_setup(c, err) == CONN_WAIT;
}

/* ---- the blocking face ---- */

bool conn_open_wait(struct conn *c, int stop_fd, struct error *err)
{
    c->stop_fd = stop_fd;
    if (!conn_open(c, err)) {
        return false;
    }
    for (;;) {
        if (!conn_wait(c, err)) {
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
