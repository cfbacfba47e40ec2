/*
 * Private to pg/: what its files share of a connection, with libpq's types. Nothing outside pg/
 * includes this.
 *
 * An operation (txn, ledger, schema, catalog) on a ready connection: conn_begin, send something,
 * then conn_pump until PQgetResult has given all, conn_end. A connection found dead is closed on
 * the spot.
 */
#ifndef PG_LIBPQ_H
#define PG_LIBPQ_H

#include "pg/conn.h"
#include "pg/dsn.h"

#include <libpq-fe.h>

enum conn_phase {
    CONN_CLOSED,
    CONN_CONNECTING, /* PQconnectPoll */
    CONN_SETUP,      /* the session's settings are on their way */
    CONN_PING,       /* an empty query, to see how long one round trip takes */
    CONN_IDLE,
    CONN_BUSY, /* an operation runs */
};

struct conn {
    PGconn *pg;       /* NULL = closed */
    uint64_t session; /* counts connections: what belongs to one server process is gone with it */
    enum conn_phase phase;
    struct dsn *dsn;
    size_t host;         /* which of the DSN's hosts is tried */
    struct error others; /* what the hosts before said */
    char *application_name;
    char *setup_sql;
    usec_t timeout_usec;
    usec_t ping_at;
    usec_t round_trip;
    usec_t deadline;
    short events;
    bool copy_in;          /* an operation is in the middle of COPY FROM STDIN */
    struct conn_news news; /* what has come while an operation ran */
    char *listen_sink;     /* NULL = nobody's replays are news */
    bool read_only;        /* what the session's setup found */
    int stop_fd;           /* readable = give up waiting, in the blocking calls; -1 = none */
    struct error notice;   /* the last thing a dying server said without being asked */
};

/* An operation starts and ends. @thread the connection's */
void conn_begin(struct conn *c);
void conn_end(struct conn *c);

/*
 * Reads and writes what the socket allows now. False: the connection is lost, or the deadline has
 * passed; closed, err is ERROR_LINK and says what the server said last. *out_heard: the server has
 * sent something.
 */
bool conn_pump(struct conn *c, bool *out_heard, struct error *err) _must_;

/* Sends what libpq holds, as far as possible; then events says whether more is left. */
bool conn_flush(struct conn *c, struct error *err) _must_;

/* Closes a connection that libpq has given up; fills err from the server's last words. Returns
 * false. */
bool conn_lost(struct conn *c, struct error *err);

/*
 * Blocking: runs one statement and returns its result (freed by the caller), or NULL. With count <
 * 0 sql may hold several statements and the last result counts. @thread main
 */
PGresult *conn_exec(struct conn *c, const char *sql, int count, const char *const *values,
                    struct error *err) _must_;

/* The same without a result. */
bool conn_run(struct conn *c, const char *sql, struct error *err) _must_;

/* Fills err from a failed result: class, SQLSTATE, column, text with DETAIL. Returns false. */
bool fault_result(const PGresult *res, struct error *err);

/* Did this error end the session (FATAL, PANIC)? */
bool fault_is_fatal(const PGresult *res);

/* Fills err from what libpq itself says of a connection. Returns false. */
bool fault_library(const PGconn *pg, struct error *err);

/* The same after a failed attempt to connect: class and hint as that wants them. */
bool fault_connect(const PGconn *pg, struct error *err);

/* Copies text as one line: white space runs become one space, ends are trimmed. */
void fault_one_line(char *to, size_t size, const char *text);

/* A bigint, `null` for NULL; a boolean, false for NULL. Of the result of a statement of ours, whose
 * columns have these types. @thread any */
int64_t result_i64(const PGresult *res, int row, int column, int64_t null) _pure_;
bool result_is_true(const PGresult *res, int row, int column) _pure_;

void result_clear(PGresult **res); /* for _cleanup_ */
#define _cleanup_result_ _cleanup_(result_clear)

#endif
