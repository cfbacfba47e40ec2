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
#include "pg/resolver.h"

#include <libpq-fe.h>

enum conn_phase {
    CONN_CLOSED,
    CONN_LOOKUP,     /* the host's name is being looked up */
    CONN_CONNECTING, /* PQconnectPoll */
    CONN_SETUP,      /* the session's settings are sent */
    CONN_PING,       /* the marker is looked for, and the round trip measured */
    CONN_IDLE,
    CONN_BUSY, /* an operation runs */
};

struct conn {
    PGconn *pg;       /* NULL = closed */
    uint64_t session; /* counts connections: what belongs to one server process is gone with it */
    enum conn_phase phase;
    const struct config *cfg; /* where the DSN is read at each attempt; NULL: it stays */
    struct dsn *dsn;          /* of the last attempt */
    char *password;           /* that of the configuration, or NULL */
    size_t host;              /* which of the DSN's hosts is being tried */
    struct error others;      /* why the hosts before it have failed */
    struct resolver *resolver;
    int lookup_fd;              /* LOOKUP */
    struct addresses addresses; /* of the host that is being tried, if it has a name */
    size_t address;             /* the one that is being tried */
    struct error before;        /* why the addresses before it have failed */
    char *application_name;
    char *setup_sql;
    bool outdated;        /* the session was, or is being, set up by another one */
    bool renews;          /* SETUP, PING: of a session that is there */
    char marker[17];      /* that of its sessions, see pg/pooler.h */
    bool pooled;          /* the server does not call itself what it is called here */
    unsigned connections; /* that the process needs; 0 = not known */
    usec_t timeout_usec;
    usec_t ping_at;
    usec_t round_trip;
    usec_t deadline;
    short events;
    bool copy_in;          /* an operation is in the middle of COPY FROM STDIN */
    struct conn_news news; /* notifications that came while an operation was under way */
    char *listen_sink;     /* the sink about which notifications are news; NULL = none */
    bool only_reads;       /* the session refuses to write, because it was asked to */
    int stop_fd;           /* readable = give up waiting, in the blocking calls; -1 = none */
    struct error notice;   /* the last error that ended the session without being asked for */
};

/* As PQserverVersion counts. Older servers are past their end of life, and nothing is tested with
 * them. */
#define SERVER_VERSION_MIN 150000

/* For each address, and for the lookup of each name. */
#define CONNECT_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* What the marker of a session is asked for with: not a SELECT, which would be planned. */
#define CONN_MARKER_SQL "SHOW pgsinkd.session"

/* Is this, the answer to it, the connection's own marker? In another session it is unknown there,
 * or that of another connection. Fills err if it is not. */
bool conn_check_marker(const struct conn *c, const PGresult *res, struct error *err) _must_;

/* An operation starts, on an idle connection, and ends. @thread the connection's */
void conn_begin(struct conn *c);
void conn_end(struct conn *c);

/*
 * Reads and writes what the socket allows now. False: the connection is lost, or the deadline has
 * passed; it is closed, err is ERROR_LINK and says what the server said last. *out_heard: the
 * server has sent something.
 */
bool conn_pump(struct conn *c, bool *out_heard, struct error *err) _must_;

/* Sends what libpq has buffered, as far as possible; then events says whether more is left. False
 * as above. */
bool conn_flush(struct conn *c, struct error *err) _must_;

/* Closes a connection that libpq has given up; fills err (ERROR_LINK) from the server's last words.
 * Returns false. */
bool conn_lost(struct conn *c, struct error *err);

/* Blocking: waits for the events, the deadline, or stop_fd; with that it closes the connection and
 * returns false. @thread main, scout */
bool conn_wait(struct conn *c, struct error *err) _must_;

/*
 * Blocking: runs one statement and returns its result, which the caller frees, or NULL and err.
 * With count < 0 sql may contain several statements, and the last result is returned. ERROR_LINK
 * where the connection is closed. @thread main, scout
 */
PGresult *conn_exec(struct conn *c, const char *sql, int count, const char *const *values,
                    struct error *err) _must_;

/* Values in the binary formats of their types; a value that is NULL is SQL's. */
#define CONN_VALUES_MAX 16
struct conn_values {
    int count;
    Oid types[CONN_VALUES_MAX];
    const char *values[CONN_VALUES_MAX];
    int lengths[CONN_VALUES_MAX];
};

/* The same with such values; the result is of texts. The statement is a piece of one that stores
 * rows: the class of its fault is that of fault_blame(), unless it has ended the session. */
PGresult *conn_exec_binary(struct conn *c, const char *sql, const struct conn_values *v,
                           struct error *err) _must_;

/* The same without a result. */
bool conn_run(struct conn *c, const char *sql, struct error *err) _must_;

/* Fills err from a failed result: class, SQLSTATE, column, text with DETAIL. Returns false. */
bool fault_result(const PGresult *res, struct error *err);

/* Whose an ERROR of a statement that stores rows, or of a piece of it, can be: as sqlstate_blame
 * says, which it gives all that the server has said. */
enum error_class fault_blame(const PGresult *res) _pure_;

/* Did this error end the session (FATAL, PANIC)? */
bool fault_is_fatal(const PGresult *res);

/* Fills err from what libpq itself says about a connection. Returns false. */
bool fault_library(const PGconn *pg, struct error *err);

/* The same after a failed attempt to connect: with the class and hint that suit it. */
bool fault_connect(const PGconn *pg, struct error *err);

/* Copies text as one line: each run of white space becomes one space, the ends are trimmed. */
void fault_one_line(char *to, size_t size, const char *text);

/* A bigint, `null` for NULL; a boolean, false for NULL. Of the result of a statement of ours, whose
 * columns have these types. @thread any */
int64_t result_i64(const PGresult *res, int row, int column, int64_t null) _pure_;
bool result_is_true(const PGresult *res, int row, int column) _pure_;

void result_clear(PGresult **res); /* for _cleanup_ */
#define _cleanup_result_ _cleanup_(result_clear)

#endif
