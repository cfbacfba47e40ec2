/*
 * What main owns, shared by its own files only; each uses those below it:
 *     app.c        start, loop, end
 *     app_reload.c SIGHUP: the file is read again
 *     app_workers.c workers, what they count, what they can hold
 *     app_inbox.c  what comes to main: events, reports, answers
 *     app_stop.c   the order of a stop
 * Main thread only.
 */
#ifndef SINK_APP_APP_STATE_H
#define SINK_APP_APP_STATE_H

#include "base/log.h"
#include "kafka/client.h"
#include "sink/app/app.h"
#include "sink/crew/crew.h"
#include "sink/crew/replayer.h"
#include "sink/crew/seeker.h"
#include "sink/plan/policy.h"
#include "sink/scout/scout.h"
#include "sink/watch/beat.h"
#include "sink/watch/drain.h"
#include "sink/watch/progress.h"
#include "sink/watch/site.h"
#include "sink/watch/vitals.h"
#include "sink/worker/worker.h"

enum reload_state {
    RELOAD_NONE,
    RELOAD_READING,  /* the scout reads the file */
    RELOAD_APPLYING, /* it is in force; what is of before goes out of use */
};

struct reload {
    int fd; /* of SIGHUP; -1: a drain, which it ends */
    enum reload_state state;
    usec_t began;
    size_t applied;            /* changes */
    size_t kept;               /* ... that need a restart */
    struct config *owned;      /* the configuration in force, unless it is that of the start */
    struct config *former;     /* the owned one of before, APPLYING; or NULL */
    struct policies *policies; /* those of before, APPLYING; or NULL */
    bool scout_awaited;        /* it may still use the former */
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
    bool is_first;       /* no row of the ledger had ever moved before this start */
    struct crew *crew;
    struct drain *drain; /* NULL without --until-end */
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

/* app_inbox.c: takes all that waits. show: gives the site what it has asked for. done: frees what
 * nobody takes any more. */
void app_inbox_take(struct app *a);
void app_inbox_show(struct app *a);
void app_inbox_done(struct app *a);

#endif
