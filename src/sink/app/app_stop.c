/*
 * A stop, which is over in less than 5 s even if nobody answers: first batches, then what the group
 * is to have of them, then threads and the library, in the reverse order of the start. When to stop
 * is not decided here. Main thread.
 */
#include "sink/app/app_state.h"

#include "base/mem.h"
#include "host/notify.h"

#include <stdlib.h>

/* Since its beginning. */
#define STOP_FAREWELL (500 * USEC_PER_MSEC)
#define STOP_BATCHES (2500 * USEC_PER_MSEC)
#define STOP_WORKERS (3200 * USEC_PER_MSEC)
#define STOP_COMMITS (3900 * USEC_PER_MSEC)
#define STOP_LEAVE (4200 * USEC_PER_MSEC)
#define STOP_ALL (4500 * USEC_PER_MSEC)

/* Not where the database is away: others see that the heartbeats have stopped. */
static void say_farewell(struct app *a)
{
    struct scout_mail *m = a->down == 0 ? beat_end(&a->beat) : NULL;

    if (m != NULL) {
        a->farewell = true;
        scout_ask(a->scout, m);
    }
}

void app_stop_begin(struct app *a, enum exit_code code)
{
    if (a->stopping) {
        return;
    }
    a->stopping = true;
    a->code = code;
    a->stop_began = clock_mono();
    notify_stopping();
    crew_commit_hurry(a->crew);
    say_farewell(a);
    for (size_t i = 0; i < a->worker_count; i++) {
        struct order *o = mem_zalloc(sizeof *o);
        o->kind = ORDER_STOP;
        o->deadline = a->stop_began + STOP_BATCHES;
        worker_post(a->workers[i], o);
    }
}

/* Of the loop: first for the workers, then for what the group is to have of them. */
usec_t app_stop_deadline(const struct app *a)
{
    return a->stop_began + (a->ended == a->worker_count ? STOP_COMMITS : STOP_WORKERS);
}

usec_t app_stop_farewell_deadline(const struct app *a)
{
    return a->stop_began + STOP_FAREWELL;
}

static usec_t time_left(const struct app *a)
{
    usec_t now = clock_mono();
    usec_t end = a->stop_began + STOP_ALL;

    return now < end ? end - now : 0;
}

/* Nobody will start this process again soon: the group need not keep partitions for it. */
static bool is_final(const struct app *a)
{
    if (a->code == EXIT_FENCED) {
        return false; /* they are another's */
    }
    return a->drain != NULL || a->code == EXIT_CONFIG || a->code == EXIT_TARGET;
}

bool app_stop_finish(struct app *a)
{
    crew_commit_last(a->crew);
    for (size_t i = 0; i < a->worker_count; i++) {
        if (!worker_join(a->workers[i], time_left(a))) {
            return false;
        }
    }
    if (!scout_stop(a->scout, time_left(a)) || !app_schemas_stop(a, time_left(a))) {
        return false;
    }
    crew_free(a->crew);
    replayer_done(&a->replayer);
    for (size_t i = 0; i < a->worker_count; i++) {
        struct feed *feed = worker_feed(a->workers[i]);
        worker_free(a->workers[i]);
        feed_free(feed);
    }
    free(a->workers);
    if (is_final(a)) {
        client_leave(a->client, a->stop_began + STOP_LEAVE);
    }
    return client_close(a->client, a->stop_began + STOP_ALL);
}
