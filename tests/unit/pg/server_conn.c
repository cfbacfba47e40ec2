/* conn.c against a real server: opening, refusals, several hosts, death while idle, notifications.
 */
#include "server.h"

#include "names_kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static PGconn *admin;

static char *dsn_with(const char *more)
{
    return mem_printf("%s %s", server_dsn(), more); /* the later keyword wins */
}

static const char *show(struct conn *c, const char *name)
{
    static char value[200];
    struct error err;
    char sql[100];

    snprintf(sql, sizeof sql, "SHOW %s", name);
    PGresult *res = conn_exec(c, sql, 0, NULL, &err);
    assert_ok(res != NULL, &err);
    snprintf(value, sizeof value, "%s", PQgetvalue(res, 0, 0));
    PQclear(res);
    return value;
}

static void test_open_and_close(void **state)
{
    (void) state;
    struct conn *c = server_open();

    assert_true(conn_is_open(c));
    assert_true(conn_fd(c) >= 0);
    assert_true(conn_backend_pid(c) > 0);
    assert_int_equal(conn_events(c), POLLIN);
    assert_true(conn_deadline(c) == USEC_NEVER);
    assert_string_equal(show(c, "application_name"), "pgsinkd unit worker 0");
    assert_string_equal(show(c, "synchronous_commit"), "off");
    assert_string_equal(show(c, "lock_timeout"), "300ms");
    assert_string_equal(show(c, "statement_timeout"), "0");
    assert_string_equal(show(c, "TimeZone"), "UTC");
    assert_string_equal(show(c, "client_encoding"), "UTF8");
    conn_close(c);
    assert_false(conn_is_open(c));
    assert_int_equal(conn_fd(c), -1);
    assert_int_equal(conn_backend_pid(c), 0);

    struct error err;
    assert_ok(conn_open_wait(c, -1, &err), &err); /* once more */
    assert_null(conn_free(c));
    assert_null(conn_free(NULL));
}

static void step_until_ready(struct conn *c)
{
    struct error err;

    for (enum conn_step step; (step = conn_step(c, &err)) != CONN_READY;) {
        struct pollfd p = {.fd = conn_fd(c), .events = conn_events(c)};
        assert_ok(step == CONN_WAIT, &err);
        poll(&p, 1, 1000);
    }
}

/* Other settings in the session that is there: what is prepared in it stays. */
static void test_a_session_is_renewed(void **state)
{
    (void) state;
    struct conn_settings settings = server_settings(server_dsn());
    struct conn *c = server_open();
    struct error err;
    int pid = conn_backend_pid(c);

    assert_ok(conn_run(c, "PREPARE kept AS SELECT 1", &err), &err);
    conn_configure(c, &settings);
    assert_false(conn_is_outdated(c)); /* by the same settings */
    settings.synchronous_commit = "local";
    settings.lock_timeout_usec = 700 * USEC_PER_MSEC;
    conn_configure(c, &settings);
    assert_true(conn_is_outdated(c));
    assert_string_equal(show(c, "lock_timeout"), "300ms");
    assert_ok(conn_renew(c, &err), &err);
    step_until_ready(c);
    assert_false(conn_is_outdated(c));
    assert_int_equal(conn_backend_pid(c), pid);
    assert_string_equal(show(c, "synchronous_commit"), "local");
    assert_string_equal(show(c, "lock_timeout"), "700ms");
    assert_ok(conn_run(c, "EXECUTE kept", &err), &err);

    /* A closed connection is set up by the settings of now. */
    conn_close(c);
    settings.synchronous_commit = "off";
    conn_configure(c, &settings);
    assert_false(conn_is_outdated(c));
    assert_ok(conn_open_wait(c, -1, &err), &err);
    assert_string_equal(show(c, "synchronous_commit"), "off");
    conn_free(c);
}

/* It fails like a connection, but tries no other host: what is claimed belongs to this one. */
static void test_a_session_that_cannot_be_renewed(void **state)
{
    (void) state;
    struct conn_settings settings = server_settings(server_dsn());
    struct conn *c = server_open();
    struct error err;
    char sql[100];

    settings.lock_timeout_usec = 800 * USEC_PER_MSEC;
    conn_configure(c, &settings);
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 5000)", conn_backend_pid(c));
    operator_ask(admin, sql);
    enum conn_step step = conn_renew(c, &err) ? CONN_WAIT : CONN_FAILED;
    while (step == CONN_WAIT) {
        step = conn_step(c, &err);
    }
    assert_int_equal(step, CONN_FAILED);
    assert_false(conn_is_open(c));
    assert_false(conn_is_outdated(c));
    assert_ok(conn_open_wait(c, -1, &err), &err);
    assert_string_equal(show(c, "lock_timeout"), "800ms");
    conn_free(c);
}

/* The network takes the connection away: what is claimed belongs to the session that is gone, so
 * another host must not take its place unnoticed. */
static void test_a_renewal_tries_no_other_host(void **state)
{
    (void) state;
    const char *port = operator_ask(admin, "SHOW port");
    char *dsn = mem_printf("%s host=127.0.0.1,127.0.0.1 port=%s,%s", server_dsn(), port, port);
    struct conn_settings settings = server_settings(dsn);
    struct conn *c = conn_new(&settings);
    struct error err;

    assert_ok(conn_open_wait(c, -1, &err), &err);
    uint64_t session = c->session;
    settings.lock_timeout_usec = 800 * USEC_PER_MSEC;
    conn_configure(c, &settings);
    assert_int_equal(shutdown(conn_fd(c), SHUT_RDWR), 0);
    enum conn_step step = conn_renew(c, &err) ? CONN_WAIT : CONN_FAILED;
    while (step == CONN_WAIT) {
        struct pollfd p = {.fd = conn_fd(c), .events = conn_events(c)};
        poll(&p, 1, 1000);
        step = conn_step(c, &err);
    }
    assert_int_equal(step, CONN_FAILED);
    assert_int_equal(err.class, ERROR_LINK);
    assert_false(conn_is_open(c));
    assert_ok(conn_open_wait(c, -1, &err), &err);
    assert_true(c->session == session + 1); /* what was prepared is known to be gone */
    assert_string_equal(show(c, "lock_timeout"), "800ms");
    conn_free(c);
    free(dsn);
}

/* The login was answered long ago: a pooler without a free server is not what it waits for. */
static void test_a_renewal_without_an_answer(void **state)
{
    (void) state;
    struct conn_settings settings = server_settings(server_dsn());
    struct conn *c = server_open();
    struct error err;
    int silent[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, silent), 0);
    assert_true(dup2(silent[0], conn_fd(c)) >= 0);
    settings.lock_timeout_usec = 800 * USEC_PER_MSEC;
    conn_configure(c, &settings);
    assert_ok(conn_renew(c, &err), &err);
    assert_int_equal(conn_step(c, &err), CONN_WAIT);
    c->deadline = 0;
    assert_int_equal(conn_step(c, &err), CONN_FAILED);
    assert_string_equal(err.text, "no answer from postgresql within 10 s");
    assert_int_equal(err.class, ERROR_LINK);
    close(silent[0]);
    close(silent[1]);
    conn_free(c);
}

/* The names of statements contain a marker that nobody else knows. */
static void test_a_statement_that_exists_already(void **state)
{
    (void) state;
    struct conn *c = server_open();
    struct error err;

    assert_ok(conn_run(c, "PREPARE twice AS SELECT 1", &err), &err);
    assert_false(conn_run(c, "PREPARE twice AS SELECT 1", &err));
    assert_int_equal(err.class, ERROR_LINK);
    assert_non_null(strstr(err.hint, "pool_mode = session"));
    conn_free(c);
}

/* Sessions of ours end by no timeout of the role or the database. */
static void test_timeouts_are_taken_back(void **state)
{
    (void) state;
    bool has_transaction_timeout = PQserverVersion(admin) >= 170000;

    operator_ask(admin, "ALTER DATABASE unit SET statement_timeout TO '3s'");
    operator_ask(admin, "ALTER DATABASE unit SET idle_session_timeout TO '3s'");
    if (has_transaction_timeout) {
        operator_ask(admin, "ALTER DATABASE unit SET transaction_timeout TO '3s'");
    }
    struct conn *c = server_open();
    assert_string_equal(show(c, "statement_timeout"), "0");
    assert_string_equal(show(c, "idle_session_timeout"), "0");
    if (has_transaction_timeout) {
        assert_string_equal(show(c, "transaction_timeout"), "0");
    }
    conn_free(c);
    operator_ask(admin, "ALTER DATABASE unit RESET ALL");
}

/* Opens with these words added to the DSN, which must fail. */
static struct error refused(const char *more)
{
    char *dsn = dsn_with(more);
    struct conn_settings settings = server_settings(dsn);
    struct conn *c = conn_new(&settings);
    struct error err = {.class = ERROR_NONE};

    assert_false(conn_open_wait(c, -1, &err));
    assert_false(conn_is_open(c));
    assert_int_equal(conn_fd(c), -1);
    assert_null(strchr(err.text, '\n'));
    conn_free(c);
    free(dsn);
    return err;
}

static void test_refusals(void **state)
{
    (void) state;
    operator_ask(admin, "CREATE ROLE unit_login LOGIN PASSWORD 'right'");
    operator_ask(admin, "CREATE ROLE unit_full LOGIN PASSWORD 'right' CONNECTION LIMIT 0");
    operator_ask(admin, "CREATE ROLE unit_reader LOGIN PASSWORD 'right'");
    operator_ask(admin, "ALTER ROLE unit_reader SET default_transaction_read_only TO on");
    operator_ask(admin, "CREATE ROLE unit_nologin PASSWORD 'right'");

    struct error e = refused("user=unit_login password=wr0ng-secret");
    assert_int_equal(e.class, ERROR_SETUP);
    assert_string_equal(e.sqlstate, "28P01");
    assert_has(e.text, "FATAL: password authentication failed for user \"unit_login\" (28P01)");
    assert_null(strstr(e.text, "LOCATION"));
    assert_null(strstr(e.text, "wr0ng-secret"));
    assert_has(e.hint, "password file");

    e = refused("user=unit_login");
    assert_int_equal(e.class, ERROR_SETUP);
    assert_has(e.text, "no password supplied");

    e = refused("user=unit_nologin password=right");
    assert_int_equal(e.class, ERROR_SETUP);
    assert_string_equal(e.sqlstate, "28000");

    e = refused("dbname=unit_nowhere");
    assert_int_equal(e.class, ERROR_SETUP);
    assert_string_equal(e.sqlstate, "3D000");
    assert_has(e.hint, "CREATE DATABASE");

    e = refused("user=unit_full password=right");
    assert_int_equal(e.class, ERROR_AGAIN);
    assert_string_equal(e.sqlstate, "53300");

    e = refused("user=unit_reader password=right");
    assert_int_equal(e.class, ERROR_LINK);
    assert_has(e.text, "read-only");

    e = refused("host=127.0.0.1 port=1");
    assert_int_equal(e.class, ERROR_LINK);
    assert_has(e.text, "Connection refused");

    e = refused("host=/nonexistent/socket");
    assert_int_equal(e.class, ERROR_LINK);

    e = refused("sslmode=nonsense");
    assert_int_equal(e.class, ERROR_SETUP);

    e = refused("sslmode=verify-full sslrootcert=/nonexistent/root.crt");
    assert_int_equal(e.class, ERROR_SETUP);
}

/* systemd's credentials do not change while the service runs: whoever has changed one must know
 * that. */
static void test_refused_with_credentials(void **state)
{
    (void) state;
    static const char *const ways[] = {"user=unit_login password=old", "user=unit_login",
                                       "sslmode=verify-full sslrootcert=/nonexistent/root.crt"};
    struct error e;

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        setenv("CREDENTIALS_DIRECTORY", "/run/credentials/pgsinkd@orders.service", 1);
        e = refused(ways[i]);
        assert_has(e.hint, "restart it after one of them was changed.");
        setenv("CREDENTIALS_DIRECTORY", "", 1);
        e = refused(ways[i]);
        assert_has(e.hint, "read again at each attempt.");
        assert_null(strstr(e.hint, "systemd"));
    }
    setenv("CREDENTIALS_DIRECTORY", "/run/credentials/pgsinkd@orders.service", 1);
    e = refused("dbname=unit_nowhere");
    assert_null(strstr(e.hint, "systemd")); /* no credential would help */
    unsetenv("CREDENTIALS_DIRECTORY");
    e = refused(ways[0]);
    assert_null(strstr(e.hint, "systemd"));
}

static void test_setting_refused(void **state)
{
    (void) state;
    struct conn_settings settings = server_settings(server_dsn());
    struct error err;

    settings.synchronous_commit = "perhaps";
    struct conn *c = conn_new(&settings);
    assert_false(conn_open_wait(c, -1, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_string_equal(err.sqlstate, "22023");
    conn_free(c);
}

/* A port where nobody answers: connections are accepted by the kernel alone. */
static int silent_port(int *out_port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;

    assert_int_equal(bind(fd, (struct sockaddr *) &a, n), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &a, &n), 0);
    *out_port = ntohs(a.sin_port);
    return fd;
}

static void test_several_hosts(void **state)
{
    (void) state;
    const char *port = operator_ask(admin, "SHOW port");
    char *dead_first = mem_printf("%s host=127.0.0.1,127.0.0.1 port=1,%s", server_dsn(), port);
    struct conn_settings settings = server_settings(dead_first);

    conn_free(server_open_with(&settings));
    free(dead_first);

    /* All fail: what may work later decides. */
    struct error e = refused("host=127.0.0.1,/nonexistent port=1,1 dbname=unit_nowhere");
    assert_int_equal(e.class, ERROR_LINK);
    port = operator_ask(admin, "SHOW port");
    char *mixed = mem_printf("host=127.0.0.1,127.0.0.1 port=1,%s dbname=unit_nowhere", port);
    e = refused(mixed);
    assert_int_equal(e.class, ERROR_LINK);
    assert_has(e.text, "refused");
    free(mixed);
}

static void test_silent_host_has_a_deadline(void **state)
{
    (void) state;
    int hole;
    int fd = silent_port(&hole);
    usec_t begin = clock_mono();
    char *dsn = mem_printf("%s host=127.0.0.1,127.0.0.1 port=%d,%s", server_dsn(), hole,
                           operator_ask(admin, "SHOW port"));
    struct conn_settings settings = server_settings(dsn);

    conn_free(server_open_with(&settings));
    usec_t took = clock_mono() - begin;
    assert_true(took >= 9 * USEC_PER_SEC && took < 13 * USEC_PER_SEC);
    free(dsn);
    close(fd);
}

/* Every address of a name is tried; TLS and messages still go by the name. */
static void test_addresses_of_a_name(void **state)
{
    (void) state;
    char *dsn = dsn_with("host=db.test");
    struct conn_settings settings = server_settings(dsn);

    names_set("db.test 127.0.0.9 ::1 127.0.0.1 127.0.0.8\n");
    struct conn *c = server_open_with(&settings);
    assert_string_equal(PQhost(c->pg), "db.test");
    assert_string_equal(PQhostaddr(c->pg), "127.0.0.1");
    conn_free(c);
    free(dsn);

    /* What a person must fix is reported, though nobody answers at another address. */
    struct error e = refused("host=db.test dbname=unit_nowhere");
    assert_int_equal(e.class, ERROR_SETUP);
    assert_string_equal(e.sqlstate, "3D000");
    e = refused("host=db.test port=1");
    assert_int_equal(e.class, ERROR_LINK);
    assert_has(e.text,
               "db.test: connection to server at \"127.0.0.8\", port 1 failed: Connection refused");
    e = refused("host=none.invalid");
    assert_int_equal(e.class, ERROR_LINK);
    assert_has(e.text, "could not translate host name \"none.invalid\" to address");
}

/* No name server answers: no call waits for it, and the answer is taken when it comes. */
static void test_a_name_server_is_dead(void **state)
{
    (void) state;
    char *dsn = dsn_with("host=dead.test");
    struct conn_settings settings = server_settings(dsn);
    struct error err;

    names_set("dead.test -\n");
    struct conn *c = conn_new(&settings);
    usec_t begin = clock_mono();
    for (int i = 0; i < 3; i++) {
        assert_ok(conn_open(c, &err), &err);
        assert_int_equal(conn_step(c, &err), CONN_WAIT);
        assert_true(conn_fd(c) >= 0);
        assert_int_equal(conn_events(c), POLLIN);
        assert_true(conn_deadline(c) > begin);
        conn_close(c);
    }
    int stop = eventfd(1, EFD_CLOEXEC);
    assert_false(conn_open_wait(c, stop, &err));
    assert_string_equal(err.text, "interrupted");
    assert_true(clock_mono() - begin < USEC_PER_SEC);

    names_set("dead.test 127.0.0.1\n");
    assert_ok(conn_open_wait(c, -1, &err), &err);
    conn_free(c);
    free(dsn);
    close(stop);
}

static void test_interrupted(void **state)
{
    (void) state;
    int hole;
    int fd = silent_port(&hole);
    char *dsn = mem_printf("%s port=%d", server_dsn(), hole);
    struct conn_settings settings = server_settings(dsn);
    struct conn *c = conn_new(&settings);
    struct error err;
    int stop = eventfd(1, EFD_CLOEXEC);

    assert_false(conn_open_wait(c, stop, &err));
    assert_int_equal(err.class, ERROR_LINK);
    assert_string_equal(err.text, "interrupted");
    conn_free(c);
    free(dsn);
    close(stop);
    close(fd);
}

/* Calls conn_idle until it has something to say, at most 5 s. */
static bool idle_until(struct conn *c, struct conn_news *news, struct error *err)
{
    *news = (struct conn_news){0};
    for (usec_t end = clock_mono() + 5 * USEC_PER_SEC; clock_mono() < end;) {
        struct pollfd p = {.fd = conn_fd(c), .events = conn_events(c)};
        poll(&p, 1, 100);
        if (!conn_idle(c, news, err)) {
            return false;
        }
        if (news->ledger || news->replay) {
            return true;
        }
    }
    fail();
    return false;
}

static void terminate(const struct conn *c)
{
    char sql[100];

    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d)", conn_backend_pid(c));
    operator_ask(admin, sql);
}

static void test_terminated_while_idle(void **state)
{
    (void) state;
    struct conn *c = server_open();
    struct error err;
    struct conn_news news;

    assert_true(conn_idle(c, &news, &err));
    assert_false(news.ledger);
    terminate(c);
    assert_false(idle_until(c, &news, &err));
    assert_int_equal(err.class, ERROR_LINK);
    assert_string_equal(err.sqlstate, "57P01");
    assert_has(err.text, "terminating connection due to administrator command");
    assert_false(conn_is_open(c));
    conn_free(c);
}

static void test_notifications(void **state)
{
    (void) state;
    struct conn *c = server_open();
    struct error err;
    struct conn_news news;

    operator_ask(admin, "NOTIFY pgsinkd, 'unit'");
    assert_true(idle_until(c, &news, &err));
    assert_true(news.ledger);
    assert_false(news.replay);
    assert_true(conn_idle(c, &news, &err));
    assert_false(news.ledger);

    /* One that comes together with the answer of an operation. */
    operator_ask(admin, "NOTIFY pgsinkd"); /* as TRUNCATE of the ledger does */
    assert_ok(conn_run(c, "SELECT 1", &err), &err);
    assert_ok(conn_run(c, "SELECT 1", &err), &err);
    assert_true(conn_idle(c, &news, &err));
    assert_true(news.ledger);
    conn_free(c);
}

static void test_notifications_of_replays(void **state)
{
    (void) state;
    struct conn *c = server_open();
    struct error err;
    struct conn_news news;

    operator_ask(admin,
                 "SELECT pg_notify('pgsinkd', 'replay:other'), pg_notify('pgsinkd', 'other'),"
                 " pg_notify('pgsinkd', 'replay'), pg_notify('pgsinkd', 'unit')");
    assert_true(idle_until(c, &news, &err));
    assert_true(news.ledger);
    assert_false(news.replay);
    operator_ask(admin, "NOTIFY pgsinkd, 'replay:unit'");
    assert_true(idle_until(c, &news, &err));
    assert_true(news.replay);
    assert_false(news.ledger);
    conn_free(c);
}

static void test_blocking_statements(void **state)
{
    (void) state;
    struct conn *c = server_open();
    struct error err;

    assert_false(conn_run(c, "SELECT 1; SELECT 1/0; SELECT 2", &err));
    assert_string_equal(err.sqlstate, "22012");
    assert_true(conn_is_open(c));
    assert_false(conn_run(c, "SELECT * FROM nowhere", &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_has(err.text, "relation \"nowhere\" does not exist (42P01)");
    terminate(c);
    assert_false(conn_run(c, "SELECT 1", &err));
    assert_int_equal(err.class, ERROR_LINK);
    assert_has(err.text, "terminating connection due to administrator command (57P01)");
    assert_false(conn_is_open(c));
    conn_free(c);
}

static void test_deadline_of_an_answer(void **state)
{
    (void) state;
    struct conn_settings settings = server_settings(server_dsn());
    struct error err;

    settings.timeout_usec = 200 * USEC_PER_MSEC;
    struct conn *c = server_open_with(&settings);
    assert_false(conn_run(c, "SELECT pg_sleep(3)", &err));
    assert_int_equal(err.class, ERROR_LINK);
    assert_has(err.text, "no answer from postgresql");
    assert_false(conn_is_open(c));
    assert_false(conn_run(c, "SELECT 1", &err)); /* as if the fault had been passed over */
    assert_int_equal(err.class, ERROR_LINK);
    assert_string_equal(err.text, "the connection to postgresql is closed");
    conn_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_and_close),
        cmocka_unit_test(test_a_session_is_renewed),
        cmocka_unit_test(test_a_session_that_cannot_be_renewed),
        cmocka_unit_test(test_a_renewal_tries_no_other_host),
        cmocka_unit_test(test_a_renewal_without_an_answer),
        cmocka_unit_test(test_a_statement_that_exists_already),
        cmocka_unit_test(test_timeouts_are_taken_back),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_refused_with_credentials),
        cmocka_unit_test(test_setting_refused),
        cmocka_unit_test(test_several_hosts),
        cmocka_unit_test(test_silent_host_has_a_deadline),
        cmocka_unit_test(test_addresses_of_a_name),
        cmocka_unit_test(test_a_name_server_is_dead),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_terminated_while_idle),
        cmocka_unit_test(test_notifications),
        cmocka_unit_test(test_notifications_of_replays),
        cmocka_unit_test(test_blocking_statements),
        cmocka_unit_test(test_deadline_of_an_answer),
    };

    admin = operator_open();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    PQfinish(admin);
    names_done();
    return failed;
}
