/*
 * What main owns, shared by its own files only; each uses those below it:
 *     app.c        start, loop, end
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
#include "sink/plan/policy.h"
#include "sink/scout/scout.h"
#include "sink/watch/drain.h"
#include "sink/watch/progress.h"
#include "sink/watch/site.h"
#include "sink/watch/vitals.h"
#include "sink/worker/worker.h"

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
    size_t ended; /* workers that have reported their end */
    size_t down;  /* workers without connection that have said so */
    usec_t down_since;
    uint64_t refused[4]; /* of the reasons of refusals that are logged; 0 when they are over */
    bool is_first;       /* no row of the ledger had ever moved before this start */
    struct crew *crew;
    struct drain *drain; /* NULL without --until-end */
    struct replayer replayer;
    struct progress progress;
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
 * app_stop.c
 * begin: workers finish what they have, and nothing new begins; only the first one counts.
 * deadline: of the loop, for what it waits for now. finish: after the loop; false: a thread or the
 * library does not let go, and the process must end without freeing.
 */
void app_stop_begin(struct app *a, enum exit_code code);
usec_t app_stop_deadline(const struct app *a);
bool app_stop_finish(struct app *a) _must_;

/* app_inbox.c: takes all that waits. show: gives the site what it has asked for. done: frees what
 * nobody takes any more. */
void app_inbox_take(struct app *a);
void app_inbox_show(struct app *a);
void app_inbox_done(struct app *a);

#endif
