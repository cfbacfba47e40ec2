/*
 * Reaching the database and reading what workers need to know of it, before there are workers. Not
 * the reconnects later: those are each worker's own. Main thread.
 */
#include "sink/plan/prepare.h"

#include "base/backoff.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "host/notify.h"
#include "kafka/client.h"
#include "pg/catalog.h"
#include "pg/holders.h"
#include "pg/schema.h"
#include "pg/sqlstate.h"
#include "row/batch/dead_letter.h"
#include "sink/plan/creation.h"
#include "sink/plan/plan_check.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

/* How long a refused connection is tried before there has been one. */
#define REFUSED_START (30 * USEC_PER_SEC)

static bool check_dsn(const struct config *cfg, struct error *err)
{
    /* A port that could not be read may be right. */
    if (conn_check_dsn(cfg->postgres.dsn, err) &&
        (config_lacks(cfg, cfg->postgres.dsn_pos) || conn_check_hosts(cfg->postgres.dsn, err))) {
        return true;
    }
    error_wrap(err, "'postgres.dsn'");
    return config_error_locate(cfg, cfg->postgres.dsn_pos, err);
}

bool prepare_check_file(const struct config *cfg, struct config_faults *out)
{
    struct error err;

    *out = (struct config_faults){0};
    plan_check(cfg, out);
    if (!client_check(cfg, &err)) {
        (void) config_faults_add(out, &err);
    }
    if (!check_dsn(cfg, &err)) {
        (void) config_faults_add(out, &err);
    }
    return out->count == 0;
}

struct conn_settings prepare_conn_settings(const struct config *cfg, const char *application_name)
{
    return (struct conn_settings){
        .cfg = cfg,
        .application_name = application_name,
        .synchronous_commit = "on",
        .lock_timeout_usec = config_lock_timeout(cfg),
        .timeout_usec = cfg->postgres.timeout,
        .connections = config_connections(cfg),
    };
}

/*
 * A pooler that hands out sessions for each transaction gives the other connection the one that has
 * just become free, which is ours, or gives us another one now:
 *     c                         other
 *     marker a in session 1
 *                               marker b in session 1
 *     finds b in session 1
 * If its sessions are busy with others at that moment, advance() will notice.
 */
bool prepare_confirm_session(const struct config *cfg, struct conn *c, int stop_fd,
                             struct error *err)
{
    struct conn_settings settings = prepare_conn_settings(cfg, "pgsinkd session check");

    if (!conn_is_pooled(c)) {
        return true;
    }
    struct conn *other = conn_new(&settings);
    bool ok = conn_open_wait(other, stop_fd, err) && conn_confirm(c, err);
    conn_free(other);
    if (!ok && sqlstate_is(err->sqlstate, SQLSTATE_OTHER_SESSION)) {
        err->class = ERROR_SETUP;
    }
    return ok;
}

static bool has_moved(const struct config *cfg, struct conn *c)
{
    return config_has_ledger(cfg) && holders_have_moved(c, cfg->postgres.schema, cfg->sink);
}

/* At the first start only is a pooler in the wrong mode the end of it. */
static bool confirm_session(const struct config *cfg, struct conn *c, int stop_fd,
                            struct error *err)
{
    if (prepare_confirm_session(cfg, c, stop_fd, err)) {
        return true;
    }
    bool is_mode = sqlstate_is(err->sqlstate, SQLSTATE_OTHER_SESSION);
    if (err->class == ERROR_SETUP && (!is_mode || has_moved(cfg, c))) {
        err->class = ERROR_LINK;
    }
    conn_close(c); /* the next try is to meet a new session */
    return false;
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

struct table *prepare_letters(const struct config *cfg, struct conn *c, int *out_steps,
                              struct error *err)
{
    if (!schema_ensure(c, cfg->postgres.schema, cfg->postgres.manage_schema, out_steps, err)) {
        return NULL;
    }
    struct table *table = catalog_table(c, cfg->postgres.schema, "dead_letters", err);
    struct target *target = table != NULL ? dead_letter_target(table, err) : NULL;
    if (target == NULL) {
        table_free(table);
        return NULL;
    }
    dead_letter_target_free(target);
    return table;
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
    if (cfg->audit && !schema_check_history(c, cfg->postgres.schema, err)) {
        return false;
    }
    if (applied > 0) {
        log_event(LOG(schema_upgraded), cfg->postgres.schema, schema_version_wanted());
    }
    *p->is_first = config_has_ledger(cfg) && !has_moved(cfg, c);
    if (config_has_ledger(cfg) && !entries_load(p->entries, cfg, p->plan, c, err)) {
        return false;
    }
    return load_letters(cfg, p->policies, c, err); /* a reload may bring a route that has some */
}

/* A table that was written to before is missing now: its partitions are parked, like those of a
 * table that is dropped while the process runs. */
static bool may_wait(const struct prepared *p, const struct error *err)
{
    return err->class == ERROR_SETUP && config_has_ledger(p->cfg) && !*p->is_first;
}

/* A server that is new enough, no pooler in between, the schema, then the tables. Whatever fails
 * with ERROR_SETUP is for a person, the rest is tried again. */
static bool prepare_connected(const struct prepared *p, struct conn *c, int stop_fd,
                              struct error *err)
{
    if (!conn_check_server(c, err) || !confirm_session(p->cfg, c, stop_fd, err)) {
        return false;
    }
    if (!prepare_schema(p, c, err)) {
        return false;
    }
    struct plan_job **jobs;
    size_t n = plan_missing(p->plan, NULL, &jobs);
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        bool is_loaded = ok && plan_job_run(jobs[i], c, err);
        ok = ok && (is_loaded || may_wait(p, err) ||
                    creation_is_wanted(&p->cfg->routes[jobs[i]->route], err));
        if (is_loaded) {
            plan_add(p->plan, jobs[i]);
        } else {
            plan_job_free(jobs[i]);
        }
    }
    free(jobs);
    return ok;
}

/* Tried again; the hint is for a person who can help. */
static void log_away(struct error *err)
{
    if (err->hint[0] == '\0') {
        log_event(LOG(postgres_away), err->text);
        return;
    }
    error_wrap(err, "postgresql: trying again");
    log_fault(LOG_connection_waits, err);
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
    char why[256];        /* what is waited for, in one line */
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
        error_short_text(&err, s->why, sizeof s->why);
        if (err.class == ERROR_SETUP) {
            return refused(s, &err, out_code);
        }
        s->refused_until = 0;
    } else {
        s->connected = true;
        s->refused_until = 0;
        if (prepare_connected(s->p, s->conn, s->stop_fd, &err)) {
            return START_DONE;
        }
        if (err.class == ERROR_SETUP) {
            log_fault(LOG_target_refused, &err);
            *out_code = EXIT_TARGET;
            return START_OVER;
        }
    }
    error_short_text(&err, s->why, sizeof s->why);
    if (!s->warned && !stop_requested(s->stop_fd, 0)) {
        log_away(&err);
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
        notify_status("waiting for postgresql: %s", s.why);
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
