/*
 * What comes to main: events of the library, reports of workers, answers of the scout. Each goes to
 * the part of the daemon that it concerns; what concerns none is logged here. Main thread.
 */
#include "sink/app/app_state.h"

#include "host/notify.h"
#include "kafka/events.h"
#include "kafka/group.h"
#include "sink/crew/partition.h"
#include "sink/shared/delays.h"
#include "sink/shared/remedy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- events ---- */

/* The process ends: it may wait for a broker as long as a stop may. */
#define HOLDER_TIMEOUT USEC_PER_SEC

/*
 * Each of the two that have one id throws the other out when it joins. The one that was there first
 * gives up for good, or it would be so for ever: the exit code is one after which the service is
 * not started again. Where nobody has the id now, it was no other process, and a restart helps.
 */
static void take_fenced(struct app *a)
{
    struct error err;
    char host[256];
    const char *id = client_instance_id(a->client);

    if (a->stopping || id == NULL) {
        return;
    }
    if (!group_holder(a->client, a->cfg->kafka.group, id, host, sizeof host, HOLDER_TIMEOUT)) {
        log_event(LOG(member_replaced), id);
        app_stop_begin(a, EXIT_SOURCE);
        return;
    }
    error_set(&err, ERROR_KAFKA, "another process has group.instance.id '%s' (%s)", id, host);
    error_hint(&err, "Each process of a group needs an id of its own. This one ends, and is not "
                     "restarted before that is changed.");
    if (config_has_ledger(a->cfg)) {
        _cleanup_buf_ struct buf schema = {0};
        remedy_schema(a->cfg, &schema);
        error_hint(&err,
                   "Each process of a group needs an id of its own. This one ends, and is not "
                   "restarted before that is changed. SELECT host, pid FROM %s.instances WHERE "
                   "sink = '%s' AND NOT stale; lists those that run.",
                   buf_cstr(&schema), a->cfg->sink);
    }
    log_fault(LOG_member_fenced, &err);
    snprintf(a->progress.trouble, sizeof a->progress.trouble, "%.300s", err.text);
    notify_status("%s", a->progress.trouble);
    app_stop_begin(a, EXIT_FENCED);
}

static void log_refusal(const struct event *e)
{
    struct error fault;

    error_set(&fault, ERROR_SETUP, "kafka: %s", e->text);
    if (e->hint[0] != '\0') {
        error_hint(&fault, "%s", e->hint);
    }
    log_fault(LOG_broker_refuses, &fault);
}

static void log_no_token(const char *text)
{
    struct error err;

    error_set(&err, ERROR_SETUP, "kafka: no token for SASL OAUTHBEARER: %s; trying again", text);
    error_hint(&err, TOKEN_HINT);
    log_fault(LOG_token_missing, &err);
}

static void take_event(struct app *a, const struct event *e)
{
    if (e->kind == EVENT_NO_TOKEN || e->kind == EVENT_FATAL || e->kind == EVENT_DENIED ||
        e->kind == EVENT_REFUSED || e->kind == EVENT_TROUBLE) {
        troubles_add(&a->troubles, clock_wall_ms(), e->text);
    }
    switch (e->kind) {
    case EVENT_FATAL:
        if (e->fenced) {
            take_fenced(a);
            break;
        }
        log_event(LOG(consumer_broken), e->text);
        app_stop_begin(a, EXIT_SOURCE);
        break;
    case EVENT_DENIED:
        if (e->denial == DENIAL_OTHER) { /* the rest is the crew's */
            log_event(LOG(consumer_denied), e->text);
        }
        break;
    case EVENT_NO_TOKEN:
        log_no_token(e->text);
        break;
    case EVENT_REFUSED:
        log_refusal(e);
        break;
    case EVENT_TROUBLE:
        log_event(LOG(consumer_trouble), e->text);
        break;
    case EVENT_AWAY:
    case EVENT_NO_TOPIC: /* the crew's, which asks before it says so */
    case EVENT_DOUBT:
    case EVENT_LOG:
        log_event(LOG(library_says), e->text);
        break;
    case EVENT_NONE:
    case EVENT_OTHER:
    case EVENT_ASSIGN:
    case EVENT_REVOKE:
    case EVENT_COMMITTED:
        break;
    }
}

/* So many in one turn, after which signals and the watchdog have theirs. */
#define EVENTS_MOST 1000

static void take_events(struct app *a)
{
    struct event e;
    size_t n = 0;

    for (event_take(a->client, &e); e.kind != EVENT_NONE; event_take(a->client, &e)) {
        take_event(a, &e);
        crew_event(a->crew, &e);
        event_done(&e);
        if (++n >= EVENTS_MOST) {
            client_wake(a->client); /* what is left does not wake it any more */
            return;
        }
    }
}

/* ---- reports ---- */

/* What a report is about. Main frees a partition when its worker has nothing more to say of it. */
static struct log_where where(const struct report *r, int64_t offset)
{
    struct log_where at = LOG_NOWHERE;

    if (r->partition != NULL) {
        at = partition_at(r->partition, offset);
    }
    at.sqlstate = r->error.sqlstate;
    return at;
}

/* Is it the first refusal for this reason, however many meet it? */
static bool is_new_refusal(struct app *a, const struct error *err)
{
    uint64_t reason = error_reason(err);

    for (size_t i = 0; i < ARRAY_LEN(a->refused); i++) {
        if (a->refused[i] == 0) {
            a->refused[i] = reason;
            return true;
        }
        if (a->refused[i] == reason) {
            return false;
        }
    }
    return false; /* enough is said */
}

static void forget_refusals(struct app *a)
{
    memset(a->refused, 0, sizeof a->refused);
}

/* For STATUS and /readyz. */
static void show_away(struct app *a, const struct error *err)
{
    if (a->down > 0) {
        error_short_text(err, a->progress.target, sizeof a->progress.target);
    }
}

/* What a person must fix, or, with a hint, what one may have to help. A line for each reason. */
static void log_refused(struct app *a, const struct error *err, bool connected)
{
    struct error fault = *err;

    show_away(a, err);
    if (!is_new_refusal(a, err)) {
        return;
    }
    error_wrap(&fault, "postgresql: %strying again until it works",
               connected ? "" : "cannot connect, ");
    if (err->class == ERROR_SETUP) {
        log_fault(LOG_connection_refused, &fault);
    } else {
        log_fault(LOG_connection_waits, &fault);
    }
}

/* Connections: a line when the first is lost, another when all are back. */
static void take_link(struct app *a, const struct report *r)
{
    if (r->kind == REPORT_DOWN) {
        if (a->down++ == 0) {
            a->down_since = clock_mono();
            /* else REPORT_REFUSED comes */
            if (r->error.class != ERROR_SETUP && r->error.hint[0] == '\0') {
                log_event_at(where(r, -1), LOG(worker_away), worker_number(r->worker),
                             r->error.text);
            }
        }
        show_away(a, &r->error);
    } else if (--a->down == 0) {
        a->progress.target[0] = '\0';
        forget_refusals(a);
        log_event(LOG(postgres_back),
                  (double) (clock_mono() - a->down_since) / (double) USEC_PER_SEC);
    }
}

/* The scout's own connections. Where the workers have none either, their lines say it. */
static void take_scout_link(struct app *a, const struct scout_mail *m)
{
    if (m->kind == SCOUT_REFUSED) {
        log_refused(a, &m->error, false);
    } else if (a->down == 0 && a->refused[0] != 0) {
        forget_refusals(a);
        log_event(LOG(postgres_connected));
    }
}

/* Trouble that comes again and again has one line a minute. */
static void log_limited(struct app *a, struct log_where at, const char *text)
{
    uint64_t held_back = 0;

    if (!log_limit_pass(&a->trouble, &held_back)) {
        return;
    }
    if (held_back == 0) {
        log_event_at(at, LOG(trouble), text);
    } else {
        log_event_at(at, LOG(trouble_often), text, (unsigned long long) held_back);
    }
}

static void take_trouble(struct app *a, const struct report *r)
{
    char text[sizeof r->error.text + 64];

    if (r->partition != NULL) {
        log_limited(a, where(r, r->offset), r->error.text);
        return;
    }
    snprintf(text, sizeof text, "postgresql: worker %u: %s", worker_number(r->worker),
             r->error.text);
    log_limited(a, where(r, -1), text);
}

/* Nothing of this sink has ever been stored, and it has not said that it is ready: then nobody has
 * seen it work. */
static bool is_first_start(const struct app *a)
{
    return a->is_first && !a->ready && app_totals(a).transactions == 0;
}

/*
 * Whatever a person must fix is tried again for ever. Only what the database does not let us do at
 * a first start is its end, so that whoever has just set it up is told at once. Without a hint it
 * is too few connections, and may pass.
 */
static void take_refused(struct app *a, const struct report *r)
{
    if (a->stopping && a->code == EXIT_TARGET) {
        return; /* another worker has said it */
    }
    if (r->error.class == ERROR_SETUP && r->connected && is_first_start(a)) {
        log_fault(LOG_target_refused, &r->error);
        app_stop_begin(a, EXIT_TARGET);
    } else if (r->error.class == ERROR_SETUP || r->error.hint[0] != '\0') {
        log_refused(a, &r->error, r->connected);
    } else {
        take_trouble(a, r);
    }
}

static void take_evicted(struct app *a, const struct report *r)
{
    (void) a;
    log_event(LOG(backends_ended), (long long) r->offset);
}

static void take_locked(struct app *a, const struct report *r)
{
    (void) a;
    log_fault_at(where(r, -1), LOG_row_locked, &r->error);
}

static void take_unlocked(struct app *a, const struct report *r)
{
    (void) a;
    log_event_at(where(r, -1), LOG(row_unlocked), r->error.text);
}

static void take_doubtful(struct app *a, const struct report *r)
{
    (void) a;
    log_event_at(where(r, r->offset), LOG(worker_warning), r->error.text);
}

static void take_due(struct app *a, const struct report *r)
{
    (void) a; /* its only purpose is to wake the loop, */
    (void) r; /*   for the crew's next turn */
}

static void take_eased(struct app *a, const struct report *r)
{
    (void) a;
    log_event(LOG(trouble_over), worker_number(r->worker));
}

static void take_replay(struct app *a, const struct report *r)
{
    (void) r;
    replayer_want(&a->replayer);
}

static void take_seek(struct app *a, const struct report *r)
{
    (void) r;
    seeker_want(&a->seeker);
}

/* It is claimed, which a request of seek() may have waited for. */
static void take_claimed(struct app *a, const struct report *r)
{
    seeker_want(&a->seeker);
    crew_report(a->crew, r);
}

static void take_letter(struct app *a, const struct report *r)
{
    (void) a;
    log_event_at(where(r, r->offset), LOG(dead_letter), r->error.text);
}

static void take_absence(struct app *a, const struct report *r)
{
    (void) a;
    log_fault(LOG_columns_absent, &r->error);
}

static void take_stale(struct app *a, const struct report *r)
{
    if (r->error.class != ERROR_NONE) {
        log_limited(a, where(r, -1), r->error.text); /* its offset is a target's number */
    }
    crew_plan_renew(a->crew, r);
}

static void take_renewed(struct app *a, const struct report *r)
{
    crew_plan_renewed(a->crew, r);
}

static void take_schema(struct app *a, const struct report *r)
{
    app_schemas_want(a, &r->ref);
}

static void take_configured(struct app *a, const struct report *r)
{
    (void) r;
    crew_configured(a->crew);
}

static void take_ended(struct app *a, const struct report *r)
{
    a->ended++;
    if (!r->connected && --a->down == 0) {
        forget_refusals(a); /* nobody will say that its connection is back */
    }
}

static void give_crew(struct app *a, const struct report *r)
{
    crew_report(a->crew, r);
}

/* Every kind of report, and who takes it. */
#define TAKERS(TAKER)                                                                              \
    TAKER(REPORT_UNKNOWN, give_crew)                                                               \
    TAKER(REPORT_START, take_claimed)                                                              \
    TAKER(REPORT_RESUMED, give_crew)                                                               \
    TAKER(REPORT_RESET, give_crew)                                                                 \
    TAKER(REPORT_STOPPED, take_claimed)                                                            \
    TAKER(REPORT_MOVES, give_crew)                                                                 \
    TAKER(REPORT_RESUMES, give_crew)                                                               \
    TAKER(REPORT_CORRUPT, give_crew)                                                               \
    TAKER(REPORT_LOST, give_crew)                                                                  \
    TAKER(REPORT_HELD, give_crew)                                                                  \
    TAKER(REPORT_RELEASED, give_crew)                                                              \
    TAKER(REPORT_DUE, take_due)                                                                    \
    TAKER(REPORT_DOUBTFUL, take_doubtful)                                                          \
    TAKER(REPORT_DOWN, take_link)                                                                  \
    TAKER(REPORT_REFUSED, take_refused)                                                            \
    TAKER(REPORT_UP, take_link)                                                                    \
    TAKER(REPORT_EVICTED, take_evicted)                                                            \
    TAKER(REPORT_LOCKED, take_locked)                                                              \
    TAKER(REPORT_UNLOCKED, take_unlocked)                                                          \
    TAKER(REPORT_TROUBLE, take_trouble)                                                            \
    TAKER(REPORT_EASED, take_eased)                                                                \
    TAKER(REPORT_REPLAY, take_replay)                                                              \
    TAKER(REPORT_SEEK, take_seek)                                                                  \
    TAKER(REPORT_LETTER, take_letter)                                                              \
    TAKER(REPORT_ABSENCE, take_absence)                                                            \
    TAKER(REPORT_STALE, take_stale)                                                                \
    TAKER(REPORT_SCHEMA, take_schema)                                                              \
    TAKER(REPORT_CONFIGURED, take_configured)                                                      \
    TAKER(REPORT_RENEWED, take_renewed)                                                            \
    TAKER(REPORT_ENDED, take_ended)
#define TAKER_AT(kind, take) [kind] = take,
#define TAKER_ONE(kind, take) +1

_Static_assert(0 TAKERS(TAKER_ONE) == REPORT_KINDS, "each kind of report has its taker");

static void take_report(struct app *a, const struct report *r)
{
    static void (*const takers[])(struct app *, const struct report *) = {TAKERS(TAKER_AT)};

    if (r->error.class != ERROR_NONE && r->kind != REPORT_START) {
        troubles_add(&a->troubles, clock_wall_ms(), r->error.text);
    }
    takers[r->kind](a, r);
}

/* ---- answers ---- */

static bool is_of_process(enum scout_kind kind)
{
    return kind == SCOUT_SEEKS || kind == SCOUT_HEARTBEAT || kind == SCOUT_FAREWELL;
}

static void take_process_answer(struct app *a, const struct scout_mail *m)
{
    if (m->kind == SCOUT_SEEKS) {
        seeker_answer(&a->seeker, m, clock_mono());
    } else if (m->kind == SCOUT_FAREWELL) {
        a->farewell = false;
    } else {
        beat_answer(&a->beat, m);
        if (m->seeks_wait) {
            seeker_remind(&a->seeker);
        }
    }
}

static bool is_of_reload(enum scout_kind kind)
{
    return kind == SCOUT_FILE || kind == SCOUT_SCHEMA || kind == SCOUT_HISTORY ||
           kind == SCOUT_CONFIG;
}

static void take_answer(struct app *a, struct scout_mail *answer)
{
    if (answer->kind == SCOUT_REFUSED || answer->kind == SCOUT_ADMITTED) {
        take_scout_link(a, answer);
        scout_mail_free(answer);
    } else if (answer->kind == SCOUT_UNTRIMMED) {
        log_limited(a, LOG_NOWHERE, answer->error.text);
        scout_mail_free(answer);
    } else if (is_of_reload(answer->kind)) {
        app_reload_answer(a, answer);
    } else if (answer->kind == SCOUT_REPLAY) {
        replayer_answer(&a->replayer, answer, clock_mono());
        scout_mail_free(answer);
    } else if (is_of_process(answer->kind)) {
        take_process_answer(a, answer);
        scout_mail_free(answer);
    } else if (drain_asks(answer->kind)) {
        drain_answer(a->drain, answer, clock_mono());
        scout_mail_free(answer);
    } else if (app_creating_is_lacking(a, answer)) {
        app_creating_hold(a, answer);
    } else {
        crew_answer(a->crew, answer);
    }
}

/* ---- all of it ---- */

static void take_mail(struct app *a)
{
    struct mail *m = mailbox_take(&a->reports);

    while (m != NULL) {
        struct report *r = (struct report *) m;
        m = m->next;
        take_report(a, r);
        free(r);
    }
    m = mailbox_take(&a->answers);
    while (m != NULL) {
        struct scout_mail *answer = (struct scout_mail *) m;
        m = m->next;
        take_answer(a, answer);
    }
}

void app_inbox_take(struct app *a)
{
    take_events(a);
    take_mail(a);
    app_schemas_take(a);
}

static size_t free_mail(struct mailbox *box)
{
    struct mail *m = mailbox_take(box);
    size_t n = 0;

    for (; m != NULL; n++) {
        struct mail *next = m->next;
        free(m);
        m = next;
    }
    return n;
}

void app_inbox_show(struct app *a)
{
    if (free_mail(&a->asks) == 0 || a->site == NULL) {
        return; /* a reload may have turned it off */
    }
    struct snapshot_source from = {
        .client = a->client,
        .crew = a->crew,
        .policies = a->policies,
        .past = &a->past,
        .workers = a->workers,
        .worker_count = a->worker_count,
        .workers_down = a->down,
        .target_why = a->progress.target,
        .registry_why = a->progress.registry,
        .schemas = a->schemas.count,
        .buffer_limit = app_buffer_limit(a),
        .troubles = &a->troubles,
        .ready = a->ready,
        .stopping = a->stopping,
    };
    site_show(a->site, snapshot_new(&from));
}

void app_inbox_done(struct app *a)
{
    free_mail(&a->reports);
    free_mail(&a->asks);
    struct mail *m = mailbox_take(&a->answers);
    while (m != NULL) {
        struct scout_mail *answer = (struct scout_mail *) m;
        m = m->next;
        scout_mail_free(answer);
    }
    mailbox_done(&a->reports);
    mailbox_done(&a->answers);
    mailbox_done(&a->asks);
}
