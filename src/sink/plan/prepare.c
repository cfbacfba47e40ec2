/*
 * Reaching the database and reading what workers need to know of it, before there are workers. Not
 * the reconnects later: those are each worker's own. Main thread.
 */
#include "sink/plan/prepare.h"

#include "base/backoff.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "host/notify.h"
#include "pg/catalog.h"
#include "pg/schema.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

/* How long a refused connection is tried before there has been one. */
#define REFUSED_START (30 * USEC_PER_SEC)

struct conn_settings prepare_conn_settings(const struct config *cfg, const char *application_name)
{
    return (struct conn_settings){
        .cfg = cfg,
        .application_name = application_name,
        .synchronous_commit = "on",
        .lock_timeout_usec = config_lock_timeout(cfg),
        .timeout_usec = cfg->postgres.timeout,
    };
}

static const char *commit_text(const struct config *cfg)
{
    switch (cfg->kafka.commit) {
    case COMMIT_ASYNC:
        return "without waiting for the answer";
    case COMMIT_INTERVAL:
        return "from time to time";
    case COMMIT_SYNC:
        break;
    }
    return "waiting for the answer";
}

void prepare_describe_delivery(const struct config *cfg, struct buf *out)
{
    switch (cfg->delivery) {
    case DELIVERY_EXACTLY_ONCE:
        buf_printf(out,
                   "delivery exactly_once: offsets in schema %s, in the transaction of the rows; "
                   "nothing is lost or stored twice",
                   cfg->postgres.schema);
        break;
    case DELIVERY_AT_LEAST_ONCE:
        buf_printf(out,
                   "delivery at_least_once: offsets in group %s, committed after the rows, %s; a "
                   "crash may store records twice, and loses none",
                   cfg->kafka.group, commit_text(cfg));
        break;
    case DELIVERY_AT_MOST_ONCE:
        buf_printf(out,
                   "delivery at_most_once: offsets in group %s, committed before the rows, %s; a "
                   "crash may lose records, and stores none twice",
                   cfg->kafka.group, commit_text(cfg));
        break;
    }
}

static bool load_letters(const struct config *cfg, struct policies *policies, struct conn *c,
                         struct error *err)
{
    struct table *table = catalog_table(c, cfg->postgres.schema, "dead_letters", err);

    return table != NULL && policies_set_letters(policies, table, err);
}

/* What is ours there: the ledger, dead letters, the entries of topics. */
static bool prepare_schema(const struct prepared *p, struct conn *c, struct error *err)
{
    const struct config *cfg = p->cfg;
    int applied = 0;

    if (!config_needs_schema(cfg)) {
        return true;
    }
    if (!schema_ensure(c, cfg->postgres.schema, cfg->postgres.manage_schema, &applied, err)) {
        return false;
    }
    if (applied > 0) {
        log_event(LOG(schema_upgraded), cfg->postgres.schema, schema_version_wanted());
    }
    if (config_has_ledger(cfg) && !entries_load(p->entries, cfg, p->plan, c, err)) {
        return false;
    }
    return !policies_want_letters(p->policies) || load_letters(cfg, p->policies, c, err);
}

/* The schema, then the tables. Whatever fails with ERROR_SETUP is for a person, the rest is tried
 * again. */
static bool prepare_connected(const struct prepared *p, struct conn *c, struct error *err)
{
    if (!prepare_schema(p, c, err)) {
        return false;
    }
    struct plan_job **jobs;
    size_t n = plan_missing(p->plan, NULL, &jobs);
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        ok = ok && plan_job_run(jobs[i], c, err);
        if (ok) {
            plan_add(p->plan, jobs[i]);
        } else {
            plan_job_free(jobs[i]);
        }
    }
    free(jobs);
    return ok;
}

static bool stop_requested(int stop_fd, usec_t until)
{
    struct pollfd fd = {.fd = stop_fd, .events = POLLIN};

    return poll(&fd, 1, clock_poll_ms(clock_mono(), until)) > 0;
}

/* The start so far. */
struct start {
    const struct prepared *p;
    struct conn *conn;
    int stop_fd;
    struct backoff backoff;
    bool connected;       /* once at least */
    bool warned;          /* that the database is away, or refuses */
    usec_t refused_until; /* 0: it is not refused */
};

enum start_step { START_DONE, START_AGAIN, START_OVER };

/* A refused connection: logged once, and given up only if there has never been one. */
static enum start_step refused(struct start *s, struct error *err, enum exit_code *out_code)
{
    usec_t now = clock_mono();

    if (s->refused_until == 0) {
        s->refused_until = now + failpoint_time(FAILTIME_REFUSED_START, REFUSED_START);
        error_wrap(err, "postgresql: cannot connect, trying again");
        log_fault(LOG_connection_refused, err);
        s->warned = true;
    }
    if (s->connected || now < s->refused_until) {
        return START_AGAIN;
    }
    error_wrap(err, "postgresql: still cannot connect");
    log_fault(LOG_connection_refused, err);
    *out_code = EXIT_FAULT;
    return START_OVER;
}

static enum start_step try_once(struct start *s, enum exit_code *out_code)
{
    struct error err = {0};

    if (!conn_is_open(s->conn) && !conn_open_wait(s->conn, s->stop_fd, &err)) {
        if (err.class == ERROR_SETUP) {
            return refused(s, &err, out_code);
        }
        s->refused_until = 0;
    } else {
        s->connected = true;
        s->refused_until = 0;
        if (prepare_connected(s->p, s->conn, &err)) {
            return START_DONE;
        }
        if (err.class == ERROR_SETUP) {
            log_fault(LOG_target_refused, &err);
            *out_code = EXIT_TARGET;
            return START_OVER;
        }
    }
    if (!s->warned && !stop_requested(s->stop_fd, 0)) {
        log_event(LOG(postgres_away), err.text);
        s->warned = true;
    }
    return START_AGAIN;
}

bool prepare_target(const struct prepared *p, int stop_fd, enum exit_code *out_code)
{
    const struct config *cfg = p->cfg;
    char name[96];

    snprintf(name, sizeof name, "pgsinkd %s main", cfg->sink);
    struct conn_settings settings = prepare_conn_settings(cfg, name);
    struct start s = {.p = p, .conn = conn_new(&settings), .stop_fd = stop_fd};
    backoff_init(&s.backoff, 100 * USEC_PER_MSEC, 5 * USEC_PER_SEC, clock_mono());
    enum start_step step;
    while ((step = try_once(&s, out_code)) == START_AGAIN) {
        notify_extend_start(START_EXTENSION + cfg->postgres.timeout);
        notify_status("waiting for postgresql");
        usec_t pause = s.refused_until != 0
                           ? failpoint_time(FAILTIME_REFUSED_PAUSE, backoff_longest(&s.backoff))
                           : backoff_next(&s.backoff);
        if (stop_requested(stop_fd, clock_mono() + pause)) {
            break;
        }
    }
    if (step == START_DONE && s.warned) {
        log_event(LOG(postgres_connected));
    }
    conn_free(s.conn);
    return step == START_DONE;
}
