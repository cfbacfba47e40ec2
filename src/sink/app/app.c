/*
 * The daemon's main thread: has the database prepared, starts what is to start, then one poll(2)
 * loop over events, signals, reports, answers and timers. What becomes of a partition is not
 * decided here but in the crew. Main thread.
 */
#include "sink/app/app.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "host/notify.h"
#include "host/signals.h"
#include "sink/app/app_state.h"
#include "sink/plan/prepare.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define TICK USEC_PER_SEC
#define END_CHECK (50 * USEC_PER_MSEC)

/* ---- start ---- */

static void name_owner(struct app *a)
{
    char host[256] = "localhost";
    uint32_t salt = 0;

    gethostname(host, sizeof host - 1);
    if (getrandom(&salt, sizeof salt, 0) != (ssize_t) sizeof salt) {
        salt = (uint32_t) clock_mono();
    }
    snprintf(a->owner, sizeof a->owner, "%s:%ld:%08x", host, (long) getpid(), salt);
}

static void start_workers(struct app *a)
{
    for (uint32_t i = config_workers(a->cfg); i > 0; i--) {
        app_start_worker(a);
    }
}

static void log_delivery(const struct app *a)
{
    _cleanup_buf_ struct buf text = {0};

    prepare_describe_delivery(a->cfg, &text);
    log_event(LOG(no_ledger), buf_cstr(&text));
}

static bool start(struct app *a)
{
    struct error err;
    uint32_t workers = config_workers(a->cfg);

    a->first_workers = workers;
    a->client = client_new(a->cfg, workers, &err);
    if (a->client == NULL) {
        log_fault(LOG_config_refused, &err);
        a->code = EXIT_CONFIG;
        return false;
    }
    app_certificates_init(a);
    start_workers(a);
    app_schemas_start(a);
    a->scout = scout_start(a->cfg, a->client, &a->answers, a->owner);
    a->has_schema = config_needs_schema(a->cfg);
    replayer_init(&a->replayer, a->has_schema, a->cfg->route_count);
    seeker_init(&a->seeker, config_has_ledger(a->cfg) ? a->owner : NULL);
    beat_init(&a->beat, a->has_schema ? a->owner : NULL);
    struct crew_config cc = {
        .cfg = a->cfg,
        .client = a->client,
        .plan = a->plan,
        .scout = a->scout,
        .workers = a->workers,
        .worker_count = a->worker_count,
        .entries = &a->entries,
    };
    a->crew = crew_new(&cc);
    progress_init(&a->progress, a->drain != NULL);
    if (!config_has_ledger(a->cfg)) {
        log_delivery(a);
    }
    app_log_memory(a);
    if (!client_subscribe(a->client, a->cfg, &err)) {
        log_fault(LOG_source_refused, &err);
        a->code = EXIT_SOURCE;
        return false;
    }
    return true;
}

/* ---- the loop ---- */

/* For a drain, a signal before its end is a failure; for the daemon it is not. */
static enum exit_code code_of_signal(struct app *a, int number)
{
    if (number != SIGALRM) {
        log_event(LOG(stop_asked), strsignal(number));
    }
    if (a->drain == NULL) {
        return EXIT_OK;
    }
    if (a->crew != NULL) {
        drain_look(a->drain, a->crew, clock_mono());
    }
    return drain_report(a->drain, number == SIGALRM ? DRAIN_TIMEOUT : DRAIN_SIGNAL);
}

static void take_signals(struct app *a)
{
    int number = signals_take(a->signal_fd);

    if (number != 0 && !a->stopping) {
        app_stop_begin(a, code_of_signal(a, number));
    }
}

static void feed_watchdog(struct app *a, usec_t now)
{
    char who[32];

    if (a->watchdog_interval == 0 || now < a->watchdog_at) {
        return;
    }
    a->watchdog_at = now + TICK; /* look again: a worker that hangs may come back in time */
    if (vitals_alive(&a->vitals, now, who, sizeof who)) {
        a->watchdog_at = now + a->watchdog_interval;
        notify_watchdog();
    }
}

static void check_ready(struct app *a)
{
    if (a->ready) {
        return;
    }
    if (crew_is_ready(a->crew)) {
        a->ready = true;
        notify_ready();
        log_event(LOG(program_ready));
    } else {
        notify_extend_start(START_EXTENSION);
    }
}

static void tick(struct app *a, usec_t now)
{
    if (now < a->tick_at) {
        return;
    }
    a->tick_at = now + TICK;
    if (a->reload.state != RELOAD_NONE && a->ready) {
        notify_extend_start(START_EXTENSION);
    }
    struct totals t = app_totals(a);
    struct crew_summary s = crew_summary(a->crew);
    struct drain_left left = a->drain != NULL ? drain_left(a->drain) : (struct drain_left){0};
    progress_tick(&a->progress, &t, &s, &left);
}

static void turn_drain(struct app *a, usec_t now)
{
    if (a->drain == NULL) {
        return;
    }
    drain_look(a->drain, a->crew, now);
    struct scout_mail *question = drain_turn(a->drain, now);
    if (question != NULL) {
        scout_ask(a->scout, question);
    }
}

static void check_end(struct app *a, usec_t now)
{
    if (a->drain != NULL && drain_is_over(a->drain, now) && replayer_is_idle(&a->replayer)) {
        app_stop_begin(a, drain_report(a->drain, DRAIN_OVER));
    }
}

/* What only others see is worth a moment, and no more. */
static bool waits_for_farewell(const struct app *a)
{
    return a->farewell && clock_mono() < app_stop_farewell_deadline(a);
}

/* Of what the scout is asked, apart from the crew's and the drain's questions. */
static usec_t questions_deadline(const struct app *a)
{
    usec_t at = MIN(seeker_deadline(&a->seeker), beat_deadline(&a->beat));

    return a->stopping ? USEC_NEVER : MIN(at, replayer_deadline(&a->replayer));
}

static void wait_for_events(struct app *a)
{
    struct pollfd fds[] = {
        {.fd = client_fd(a->client), .events = POLLIN},
        {.fd = a->signal_fd, .events = POLLIN},
        {.fd = a->reports.fd, .events = POLLIN},
        {.fd = a->answers.fd, .events = POLLIN},
        {.fd = a->asks.fd, .events = POLLIN},
        {.fd = a->schema_answers.fd, .events = POLLIN},
        {.fd = a->reload.state == RELOAD_NONE && !a->stopping ? a->reload.fd : -1,
         .events = POLLIN},
    };
    usec_t at = MIN(a->tick_at, MIN(crew_deadline(a->crew), questions_deadline(a)));

    at = MIN(at, app_certificates_deadline(a));
    if (a->drain != NULL && !a->stopping) {
        at = MIN(at, clock_mono() + END_CHECK); /* workers publish what is stored without a word */
    }
    if (a->watchdog_interval > 0) {
        at = MIN(at, a->watchdog_at);
    }
    if (a->stopping) {
        at = MIN(at, app_stop_deadline(a));
        at = waits_for_farewell(a) ? MIN(at, app_stop_farewell_deadline(a)) : at;
    }
    poll(fds, ARRAY_LEN(fds), clock_poll_ms(clock_mono(), at));
}

static bool is_over(const struct app *a)
{
    bool done = a->ended == a->worker_count && crew_commit_is_over(a->crew) &&
                !waits_for_farewell(a);

    return a->stopping && (done || clock_mono() >= app_stop_deadline(a));
}

static void turn_replay(struct app *a, usec_t now)
{
    struct scout_mail *question = replayer_turn(&a->replayer, now);

    if (question != NULL) {
        scout_ask(a->scout, question);
    }
}

static void turn_seeks(struct app *a, usec_t now)
{
    struct scout_mail *question = seeker_turn(&a->seeker, now);

    if (question != NULL) {
        scout_ask(a->scout, question);
    }
}

static void turn_beat(struct app *a, usec_t now)
{
    if (now < beat_deadline(&a->beat)) {
        return;
    }
    struct totals t = app_totals(a);
    struct crew_summary s = crew_summary(a->crew);
    struct scout_mail *question = beat_turn(&a->beat, &t, &s, config_workers(a->cfg), now);
    if (question != NULL) {
        scout_ask(a->scout, question);
    }
}

/* Everything that can be done without waiting. */
static void turn(struct app *a)
{
    take_signals(a);
    app_inbox_take(a);
    usec_t now = clock_mono();
    vitals_turn(&a->vitals, now);
    if (!a->stopping) {
        app_reload_take(a);
        crew_turn(a->crew, now);
        app_reload_turn(a);
        app_certificates_turn(a, now);
        app_schemas_turn(a, now);
        app_creating_turn(a, now);
        turn_drain(a, now); /* its questions first: a replay's chunk may take long */
        turn_seeks(a, now);
        turn_beat(a, now);
        turn_replay(a, now);
        check_ready(a);
        check_end(a, now);
    } else {
        crew_commit_turn(a->crew, now);
    }
    tick(a, now);
    app_inbox_show(a); /* after the turn: what it has changed is seen */
    feed_watchdog(a, now);
}

static void loop(struct app *a)
{
    for (turn(a); !is_over(a); turn(a)) {
        wait_for_events(a);
    }
}

/* ---- from start to end ---- */

static enum exit_code run(struct app *a)
{
    struct prepared p = {
        .cfg = a->cfg,
        .plan = a->plan,
        .policies = a->policies,
        .entries = &a->entries,
        .is_first = &a->is_first,
    };

    if (!prepare_target(&p, a->signal_fd, &a->code)) {
        return a->code != EXIT_OK ? a->code : code_of_signal(a, signals_take(a->signal_fd));
    }
    if (start(a)) {
        loop(a);
    } else if (a->client == NULL) {
        return a->code;
    } else {
        app_stop_begin(a, a->code);
        loop(a);
    }
    site_stop(TAKE_PTR(a->site));
    struct totals t = app_totals(a);
    progress_end(&a->progress, &t);
    if (a->drain != NULL && a->code == EXIT_OK && !crew_commit_is_over(a->crew)) {
        log_event(LOG(drain_offsets_missing));
        a->code = EXIT_FAULT;
    }
    if (!app_stop_finish(a)) {
        log_event(LOG(stop_late));
        log_close();
        _exit((int) a->code);
    }
    return a->code;
}

enum exit_code app_run(const struct config *cfg, const struct app_options *options)
{
    struct app a = {.cfg = cfg, .code = EXIT_OK};

    a.signal_fd = signals_open();
    if (options->timeout_usec > 0) {
        signals_alarm(a.signal_fd, options->timeout_usec);
    }
    app_reload_init(&a, options->until_end);
    a.watchdog_interval = notify_watchdog_interval();
    mailbox_init(&a.reports);
    mailbox_init(&a.answers);
    mailbox_init(&a.asks);
    app_schemas_init(&a);
    name_owner(&a);
    a.plan = plan_new(cfg);
    a.policies = policies_new(cfg);
    a.entries = entries_of(cfg);
    a.drain = options->until_end ? drain_new(cfg, a.plan) : NULL;
    enum exit_code code = app_site_open(&a) ? run(&a) : a.code;
    site_stop(a.site);
    app_inbox_done(&a);
    drain_free(a.drain);
    app_schemas_done(&a);
    app_creating_done(&a);
    plan_free(a.plan);
    app_reload_done(&a); /* what is of the configuration in force has gone */
    policies_free(a.policies);
    certificates_done(&a.certificates);
    entries_done(&a.entries);
    close(a.signal_fd);
    return code;
}
