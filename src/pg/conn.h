/*
 * One connection to PostgreSQL, non-blocking. The thread that polls its descriptor opens it and
 * sets up its session step by step, so a worker never waits inside libpq; conn_open_wait and
 * conn_exec are the blocking face, for the main thread at start, the scout, and commands. Every
 * wait has a deadline: 10 s for each address, settings.timeout_usec for one answer. TCP keepalive
 * and tcp_user_timeout are set unless the DSN sets them.
 *
 * No retry, no policy, no log here: a failed connection is closed and reported; sink/ decides when
 * to open it again. One thread at a time. libpq's types stay inside pg/.
 */
#ifndef PG_CONN_H
#define PG_CONN_H

#include "base/clock.h"
#include "base/error.h"

struct config;
struct conn;

/* Texts are copied. */
struct conn_settings {
    const char *dsn; /* libpq keyword string or URI; "" = environment only */
    /* Instead: postgres.dsn of this, whose ${...} are expanded again at each attempt. It must
     * outlive the connection. */
    const struct config *cfg;
    const char *application_name;
    const char *synchronous_commit; /* "on", "off", ... */
    const char *listen_channel;     /* LISTEN to this after connecting; NULL = none */
    const char *listen_sink;        /* the sink about which notifications are news; NULL = none */
    usec_t lock_timeout_usec;       /* the session's lock_timeout */
    usec_t timeout_usec;            /* longest wait for one answer */
    unsigned connections; /* how many the process needs at a time, for hints; 0 = not known */
};

enum conn_step {
    CONN_WAIT,   /* poll conn_fd for conn_events until conn_deadline, then step again */
    CONN_READY,  /* connected, the session is set up, nothing is under way */
    CONN_FAILED, /* closed; err says why (ERROR_LINK, ERROR_AGAIN or ERROR_SETUP with a hint) */
};

struct conn *conn_new(const struct conn_settings *settings) _must_; /* closed at first */
struct conn *conn_free(struct conn *c);                             /* closes; returns NULL */

/*
 * Other settings, of which those of a session are in force from the next attempt to connect on, or
 * when it has been renewed, and the others at once. The DSN, or where it is read, must be given as
 * before; application_name and listen_sink stay.
 */
void conn_configure(struct conn *c, const struct conn_settings *settings);

/* Was the session that is there, or under way, set up by other settings than those of now? */
bool conn_is_outdated(const struct conn *c);

/*
 * Sets up the session of an idle connection once more, by the settings of now: then conn_step, as
 * after conn_open. What is prepared in it stays. If it fails the connection is
 * closed, and no other host is tried.
 */
bool conn_renew(struct conn *c, struct error *err) _must_;

/*
 * Starts to connect; then call conn_step until it is ready or has failed. ERROR_SETUP when the DSN
 * cannot be read, or is malformed.
 */
bool conn_open(struct conn *c, struct error *err) _must_;
enum conn_step conn_step(struct conn *c, struct error *err) _must_;

/*
 * Is there something between us and the server that is not transparent? If so, it may give each
 * transaction another session. conn_confirm, which blocks, asks whether this one is still the one
 * that was set up: ERROR_LINK if not, or if that cannot be found out. @thread main
 */
bool conn_is_pooled(const struct conn *c);
bool conn_confirm(struct conn *c, struct error *err) _must_;

/* Closes at once, without asking the server, which finishes or rolls back what was under way. */
void conn_close(struct conn *c);
bool conn_is_open(const struct conn *c); /* ready, or an operation is under way */

/* For poll(2): the descriptor (-1 when closed; it may change while connecting), POLLIN/POLLOUT, the
 * deadline. */
int conn_fd(const struct conn *c);
short conn_events(const struct conn *c);
usec_t conn_deadline(const struct conn *c); /* USEC_NEVER when idle */

/* What notifications on the channel have said. */
struct conn_news {
    bool ledger; /* somebody has changed it by hand */
    bool replay; /* replay() has marked dead letters of listen_sink */
    bool seek;   /* seek() has left requests for it */
};

/*
 * For an idle connection: reads what the server has sent without being asked. *out is what has come
 * since the last call. False: the connection is gone (ERROR_LINK; it is closed). To be called after
 * each operation, too: a notification may have come together with its answer, and then nothing
 * makes the descriptor readable.
 */
bool conn_idle(struct conn *c, struct conn_news *out, struct error *err) _must_;

/* How long an empty query took when the session began: roughly one round trip of the network. */
usec_t conn_round_trip(const struct conn *c);

/* The backend's process id, for log lines; 0 when closed. */
int conn_backend_pid(const struct conn *c);

/*
 * Whether the server that it is connected to is of a version that pgsinkd works with; asks nobody.
 * ERROR_SETUP with a hint if it is too old.
 */
bool conn_check_server(const struct conn *c, struct error *err) _must_;

/*
 * Blocking: opens and sets up, or fails (classes as of CONN_FAILED). Returns early with ERROR_LINK
 * "interrupted" when stop_fd (a signalfd or eventfd; -1 = none) becomes readable; so do the
 * blocking questions asked on this connection afterwards. @thread main, scout
 */
bool conn_open_wait(struct conn *c, int stop_fd, struct error *err) _must_;

/* The version of libpq that runs, as PostgreSQL counts (150004). */
int conn_library_version(void);

/* Checks the DSN's syntax without connecting. ERROR_SETUP; err never quotes the DSN. */
bool conn_check_dsn(const char *dsn, struct error *err) _must_;

/* Of one that is: are its ports numbers, one for each host, and its hosts without them? As above.
 */
bool conn_check_hosts(const char *dsn, struct error *err) _must_;

#endif
