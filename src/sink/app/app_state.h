/*
 * What main owns, shared by its own files only; each uses those below it:
 *     app.c        start, loop, end
 *     app_reload.c SIGHUP: the file is read again
 *     app_certificates.c  says that those of Kafka expire
 *     app_site.c   where metrics, health and the page are served
 *     app_schemas.c which schemas records were written with
 *     app_workers.c workers, what they count, what they can hold
 *     app_inbox.c  what comes to main: events, reports, answers
 *     app_stop.c   the order of a stop
 * Main thread only.
 */
#ifndef SINK_APP_APP_STATE_H
#define SINK_APP_APP_STATE_H

#include "base/log.h"
#include "kafka/certificates.h"
#include "kafka/client.h"
#include "row/schema/schema_table.h"
#include "sink/app/app.h"
#include "sink/crew/crew.h"
#include "sink/crew/replayer.h"
#include "sink/crew/seeker.h"
#include "sink/plan/policy.h"
#include "sink/schemas/registrar.h"
#include "sink/schemas/schema_source.h"
#include "sink/scout/scout.h"
#include "sink/watch/beat.h"
#include "sink/watch/drain.h"
#include "sink/watch/progress.h"
#include "sink/watch/site.h"
#include "sink/watch/vitals.h"
#include "sink/worker/worker.h"

enum reload_state {
    RELOAD_NONE,
    RELOAD_READING, /* the scout reads the file */
    /* the scout makes our schema, which was not needed before, or looks at rights on history */
    RELOAD_PREPARING,
    RELOAD_APPLYING, /* it is in force; what is of before goes out of use */
};

struct reload {
    int fd; /* of SIGHUP; -1: a drain, which it ends */
    enum reload_state state;
    usec_t began;
    struct config *next; /* what the file has become, not in force yet; or NULL */
    struct config_changes changes;
    struct table *letters;     /* that PREPARING has found; or NULL */
    struct error no_schema;    /* PREPARING has failed: why; else ERROR_NONE */
    struct error no_history;   /* the same of history */
    size_t applied;            /* changes */
    size_t kept;               /* ... that need a restart, or could not be */
    struct config *owned;      /* the configuration in force, unless it is that of the start */
    struct config *former;     /* the owned one of before, APPLYING; or NULL */
    struct policies *policies; /* those of before, APPLYING; or NULL */
    bool scout_awaited;        /* it may still use the former, */
    bool registrar_awaited;    /*   and so may this one */
    size_t leaving;            /* workers, the last ones, that are to end */
    bool leaving_told;         /* ... and have been told to */
};

struct app {
    const struct config *cfg;
    int signal_fd;
    char owner[320];
    struct plan *plan;
    struct policies *policies;
    struct entries entries;
    struct client *client;
    struct mailbox reports;
    struct mailbox answers;
    struct mailbox asks; /* of the site, for a snapshot */
    struct scout *scout;
    struct worker **workers;
    size_t worker_count;
    uint32_t first_workers; /* at the start: by them the library's queues are limited */
    size_t ended;           /* workers that have reported their end */
    struct totals past;     /* what those have stored that are no more */
    size_t down;            /* workers without connection that have said so */
    usec_t down_since;
    uint64_t refused[4]; /* of the reasons of refusals that are logged; 0 when they are over */
    bool has_schema;     /* of ours: heartbeats and dead letters have a place */
    bool is_first;       /* no row of the ledger had ever moved before this start */
    struct crew *crew;
    struct schema_table schemas;
    struct registrar *registrar; /* NULL: there is no registry */
    struct mailbox schema_answers;
    struct error registry_fault; /* why it does not answer; ERROR_NONE: it does */
    usec_t registry_away_since;
    usec_t registry_said_again;     /* when that is logged again */
    struct mail *held;              /* plans that lack schemas for tables to be made */
    struct mail *subject_answers;   /* of the registrar, about subjects, for app_creating.c */
    struct asked_subject *subjects; /* whose newest schemas they lack */
    struct drain *drain;            /* NULL without --until-end */
    struct replayer replayer;
    struct seeker seeker;
    struct beat beat;
    bool farewell; /* the row of heartbeats is being deleted, which is waited for a moment */
    struct progress progress;
    struct reload reload;
    struct vitals vitals;
    struct site *site; /* NULL: http.listen is off */
    struct troubles troubles;
    bool ready;
    bool stopping;
    usec_t stop_began;
    enum exit_code code;
    usec_t tick_at;
    usec_t watchdog_at;
    usec_t watchdog_interval;
    struct log_limit trouble;
    struct certificates certificates; /* that the client was made with */
    usec_t certificates_at;           /* when they are looked at next */
};

/*
 * app_workers.c
 * log_memory: invariant I8. start_worker: the next one, with the configuration in force; main's
 * array of them may move. totals: of all workers, also of those that are no more. buffer_limit:
 * bytes that all batches hold at most.
 */
void app_log_memory(const struct app *a);
void app_start_worker(struct app *a);
struct totals app_totals(const struct app *a);
uint64_t app_buffer_limit(const struct app *a);

/* How much of schemas main remembers, and so each worker; invariant I8. */
#define SCHEMAS_MOST 10000U
#define SCHEMAS_MOST_BYTES (UINT64_C(64) << 20)
/* With the one that is on its way: its texts, twice, and what becomes of them. */
#define SCHEMAS_BOUND (2 * SCHEMAS_MOST_BYTES + 2 * SCHEMA_SOURCE_BYTES)

/*
 * app_schemas.c
 * start: the registrar, if there is a registry. want: a worker has met a ref that it does not know.
 * take: what the registrar says. welcome: a new worker is given what is known. turn: faults are
 * forgotten after a while. reload: another configuration is in force. stop: false: the registrar
 * does not let go. done: when the workers are gone, too.
 */
void app_schemas_init(struct app *a);
void app_schemas_start(struct app *a);
void app_schemas_want(struct app *a, const struct schema_ref *ref);
void app_schemas_take(struct app *a);
void app_schemas_welcome(struct app *a, struct worker *w);
void app_schemas_turn(struct app *a, usec_t now);
void app_schemas_reload(struct app *a, const struct config *former);
bool app_schemas_stop(struct app *a, usec_t timeout) _must_;
void app_schemas_done(struct app *a);

/*
 * app_creating.c
 * is_lacking: is it a plan that lacks schemas? hold: takes such a one. turn: gives back to the
 * scout what lacks none any more. reload: another configuration is in force. done: when the other
 * threads have ended.
 */
bool app_creating_is_lacking(const struct app *a, const struct scout_mail *m);
void app_creating_hold(struct app *a, struct scout_mail *m);
void app_creating_turn(struct app *a, usec_t now);
void app_creating_reload(struct app *a);
void app_creating_done(struct app *a);

/*
 * app_site.c
 * open: at the start; false: a->code says how this ends. move: to the address of cfg, which is not
 * in force yet; false: it cannot listen there, and goes on where it was.
 */
bool app_site_open(struct app *a);
bool app_site_move(struct app *a, const struct config *cfg, struct error *err) _must_;

/*
 * app_stop.c
 * begin: workers finish what they have, and nothing new begins; only the first one counts.
 * deadline: of the loop, for what it waits for now. farewell_deadline: how long it waits for that.
 * finish: after the loop; false: a thread or the
 * library does not let go, and the process must end without freeing.
 */
void app_stop_begin(struct app *a, enum exit_code code);
usec_t app_stop_deadline(const struct app *a);
usec_t app_stop_farewell_deadline(const struct app *a);
bool app_stop_finish(struct app *a) _must_;

/*
 * app_reload.c
 * init: also with until_end. take: SIGHUP, if one has come and nothing of the last is under way.
 * answer: SCOUT_FILE, SCOUT_CONFIG; frees it. turn: is it over? done: when all threads have ended.
 */
void app_reload_init(struct app *a, bool until_end);
void app_reload_take(struct app *a);
void app_reload_answer(struct app *a, struct scout_mail *m);
void app_reload_turn(struct app *a);
void app_reload_done(struct app *a);

/*
 * app_certificates.c
 * init: when the client is made. turn: says what expires, at the start, after a reload and once a
 * day: also when it is renewed on disk, since the process goes on with what it has read. soon: at
 * the next turn.
 */
void app_certificates_init(struct app *a);
void app_certificates_turn(struct app *a, usec_t now);
void app_certificates_soon(struct app *a);
usec_t app_certificates_deadline(const struct app *a);

/* app_inbox.c: takes all that waits. show: gives the site what it has asked for. done: frees what
 * nobody takes any more. */
void app_inbox_take(struct app *a);
void app_inbox_show(struct app *a);
void app_inbox_done(struct app *a);

#endif
