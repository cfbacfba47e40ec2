/*
 * For the programs of this directory that need a real server: tests/integration/test_pg_room.py
 * starts it and passes its DSN (a superuser's, over TCP, to a database of its own) in
 * PGSINKD_TEST_DSN.
 */
#ifndef UNIT_PG_SERVER_H
#define UNIT_PG_SERVER_H

#include "base/mem.h"
#include "pg/catalog.h"
#include "pg/conn.h"
#include "pg/ledger.h"
#include "pg/libpq.h"
#include "pg/schema.h"
#include "pg/txn.h"

#include "unit.h"

#include <poll.h>

static inline const char *server_dsn(void)
{
    const char *dsn = getenv("PGSINKD_TEST_DSN");

    assert_non_null(dsn);
    return dsn;
}

/* The operator: a blocking session beside those under test. Returns the first field of the last
 * statement. */
static inline PGconn *operator_open(void)
{
    PGconn *pg = PQconnectdb(server_dsn());

    assert_int_equal(PQstatus(pg), CONNECTION_OK);
    PQclear(PQexec(pg, "SET client_min_messages TO error"));
    return pg;
}

static inline const char *operator_ask(PGconn *pg, const char *sql)
{
    static char answer[4000];
    PGresult *res = PQexec(pg, sql);

    if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK) {
        print_error("%s: %s\n", sql, PQerrorMessage(pg));
        fail();
    }
    snprintf(answer, sizeof answer, "%s",
             PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : PQcmdTuples(res));
    PQclear(res);
    return answer;
}

static inline struct conn_settings server_settings(const char *dsn)
{
    return (struct conn_settings){
        .dsn = dsn,
        .application_name = "pgsinkd unit worker 0",
        .synchronous_commit = "off",
        .listen_channel = "pgsinkd",
        .listen_sink = "unit",
        .lock_timeout_usec = 300 * USEC_PER_MSEC,
        .timeout_usec = 20 * USEC_PER_SEC,
    };
}

#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        if (!(call)) {                                                                             \
            print_error("%s:%d: %s: %s\n", __FILE__, __LINE__, error_class_name((err)->class),     \
                        (err)->text);                                                              \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (strstr(text, part) == NULL) {                                                          \
            print_error("%s:%d: '%s' is not in '%s'\n", __FILE__, __LINE__, part, text);           \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static inline struct conn *server_open_with(const struct conn_settings *settings)
{
    struct conn *c = conn_new(settings);
    struct error err;

    assert_ok(conn_open_wait(c, -1, &err), &err);
    return c;
}

static inline struct conn *server_open(void)
{
    struct conn_settings settings = server_settings(server_dsn());

    return server_open_with(&settings);
}

/* Waits as a worker does. */
static inline void server_wait(const struct conn *c)
{
    struct pollfd p = {.fd = conn_fd(c), .events = conn_events(c)};

    poll(&p, 1, clock_poll_ms(clock_mono(), conn_deadline(c)));
}

static inline enum ledger_step server_drive_ledger(struct ledger *l, const struct conn *c,
                                                   struct error *err)
{
    for (;;) {
        enum ledger_step step = ledger_step(l, err);
        if (step != LEDGER_WAIT) {
            return step;
        }
        server_wait(c);
    }
}

static inline struct txn_result server_drive_txn(struct txn *t, const struct conn *c)
{
    struct txn_result r;

    while (txn_step(t, &r) == TXN_WAIT) {
        server_wait(c);
    }
    return r;
}

/* A fresh schema of the project, version as wanted. */
static inline void server_fresh_schema(struct conn *c, const char *schema)
{
    struct error err;
    char sql[200];
    int applied;

    snprintf(sql, sizeof sql, "DROP SCHEMA IF EXISTS \"%s\" CASCADE", schema);
    assert_ok(conn_run(c, sql, &err), &err);
    assert_ok(schema_ensure(c, schema, true, &applied, &err), &err);
    assert_int_equal(applied, schema_version_wanted());
}

#endif
