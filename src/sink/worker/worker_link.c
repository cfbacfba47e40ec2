/*
 * The worker's connection: how it is made, and what the success or the failure of an operation does
 * to it. Which operations there are, and which is next, is not decided here. Worker thread.
 */
#include "base/failpoint.h"
#include "pg/sqlstate.h"
#include "sink/worker/worker_state.h"

#include <stdio.h>
#include <stdlib.h>

#define BACKOFF_BASE (50 * USEC_PER_MSEC)
#define BACKOFF_CAP (10 * USEC_PER_SEC)
/* Where a pooler has given us another session: until the next try, and until it may be believed. */
#define POOLER_PAUSE (2 * USEC_PER_SEC)
#define POOLER_PROOF (30 * USEC_PER_SEC)
/* What was refused is believed to work after so many pauses without another refusal. */
#define REFUSED_PROOF 3

static const char *synchronous_commit_text(enum config_synchronous_commit v)
{
    switch (v) {
    case SYNCHRONOUS_COMMIT_OFF:
        return "off";
    case SYNCHRONOUS_COMMIT_LOCAL:
        return "local";
    case SYNCHRONOUS_COMMIT_REMOTE_WRITE:
        return "remote_write";
    case SYNCHRONOUS_COMMIT_REMOTE_APPLY:
        return "remote_apply";
    case SYNCHRONOUS_COMMIT_ON:
        break;
    }
    return "on";
}

static struct conn_settings settings_of(const struct worker *w)
{
    const struct config *cfg = w->wc.cfg;

    return (struct conn_settings){
        .cfg = cfg,
        .synchronous_commit = synchronous_commit_text(cfg->postgres.synchronous_commit),
        .listen_channel = w->link.has_schema ? "pgsinkd" : NULL,
        .listen_sink = cfg->sink,
        .lock_timeout_usec = config_lock_timeout(cfg),
        .timeout_usec = cfg->postgres.timeout,
        .connections = config_connections(cfg),
    };
}

void worker_link_init(struct worker *w)
{
    const struct config *cfg = w->wc.cfg;
    struct link *l = &w->link;
    char name[128];

    l->has_schema = config_needs_schema(cfg);
    struct conn_settings settings = settings_of(w);
    snprintf(name, sizeof name, "pgsinkd %s worker %u", cfg->sink, w->wc.number);
    settings.application_name = name;
    l->conn = conn_new(&settings);
    if (config_has_ledger(cfg)) {
        l->ledger = ledger_new(cfg->postgres.schema, cfg->sink, w->wc.owner);
    }
    l->txn = txn_new(l->has_schema ? cfg->postgres.schema : NULL, cfg->sink,
                     config_has_ledger(cfg));
    txn_hold(l->txn);
    if (cfg->audit) {
        txn_audit(l->txn, w->wc.owner);
    }
    write_path_init(&l->path, cfg->batch.write_path);
    backoff_init(&l->backoff, BACKOFF_BASE, BACKOFF_CAP, clock_mono() ^ w->wc.number);
}

void worker_link_done(struct worker *w)
{
    struct link *l = &w->link;

    txn_free(l->txn);
    ledger_free(l->ledger);
    conn_free(l->conn);
    free(l->entries);
}

void worker_link_configure(struct worker *w)
{
    struct link *l = &w->link;

    l->reconfigured = true;
    l->has_schema = l->has_schema || config_needs_schema(w->wc.cfg);
    struct conn_settings settings = settings_of(w);
    conn_configure(l->conn, &settings);
    l->path.wanted = w->wc.cfg->batch.write_path;
}

/* ---- when things fail ---- */

static void set_state(struct link *l, enum link_state state)
{
    l->state = state;
    if (state == LINK_IDLE) {
        l->check_idle = true;
    }
}

static void report_down(struct worker *w, const struct error *err)
{
    struct link *l = &w->link;

    if (!l->down_reported) {
        l->down_reported = true;
        worker_report(w, REPORT_DOWN, NULL, 0, err);
    }
}

/* Only when what was refused can be believed to work: else each try would be an end and a new
 * beginning. */
static void report_up(struct worker *w)
{
    struct link *l = &w->link;

    if (l->down_reported && clock_mono() >= l->proved_at) {
        l->down_reported = false;
        l->refused = 0;
        worker_report(w, REPORT_UP, NULL, 0, NULL);
    }
}

/* Reported once for each reason. connected: it is not the connection that is refused. */
static void report_refused(struct worker *w, const struct error *err, bool connected)
{
    uint64_t reason = error_reason(err);

    if (w->link.refused != reason) {
        w->link.refused = reason;
        struct report *r = worker_report_new(w, REPORT_REFUSED, NULL, 0, err);
        r->connected = connected;
        worker_report_post(w, r);
    }
}

/* The connection is gone. Everything we hold must be claimed again, which also settles an unknown
 * COMMIT. Without a ledger nothing can. */
static void lost(struct worker *w, const struct error *err)
{
    struct link *l = &w->link;

    conn_close(l->conn);
    set_state(l, LINK_DOWN);
    l->flying = 0;
    l->failed = 0;
    l->copy_once = false;
    l->each_once = false;
    l->canary = NULL;
    l->blind = 0;
    l->moved = false;
    l->retry_at = clock_mono() + backoff_next(&l->backoff);
    stats_set(&w->stats.connections, 0);
    for (size_t i = 0; i < w->slot_count; i++) {
        w->slots[i]->reclaim = l->ledger != NULL && slot_owns(w->slots[i]);
        w->slots[i]->relinked = w->slots[i]->reclaim;
    }
    report_down(w, err);
}

void worker_link_lost(struct worker *w, const struct error *err)
{
    struct link *l = &w->link;

    lost(w, err);
    if (sqlstate_is(err->sqlstate, SQLSTATE_OTHER_SESSION)) {
        l->retry_at = MAX(l->retry_at, clock_mono() + POOLER_PAUSE);
        l->proved_at = clock_mono() + POOLER_PROOF; /* some transactions pass, by luck */
        l->unproved = LINK_DOWN;
    }
    if (err->hint[0] != '\0') {
        report_refused(w, err, true);
    }
}

/* If an operator must fix something, it is tried again seldom: a server may lock an account that
 * fails too often. */
static usec_t refused_pause(struct link *l)
{
    return failpoint_time(FAILTIME_REFUSED_PAUSE, backoff_longest(&l->backoff));
}

/*
 * A connection could not be made. If an operator must fix something (a login, a database, a
 * certificate), it may happen at any time, and nothing else has to stop for it: so it is tried
 * again for ever.
 */
static void connect_failed(struct worker *w, const struct error *err)
{
    struct link *l = &w->link;

    lost(w, err);
    if (err->class == ERROR_SETUP) {
        l->retry_at = clock_mono() + refused_pause(l);
    }
    if (err->class != ERROR_LINK || err->hint[0] != '\0') {
        report_refused(w, err, false);
    }
}

/*
 * The server refuses what we ask of the ledger: somebody has changed our schema, or our rights. It
 * is no different from a refused connection. A new one is made for the next try, since an operator
 * may fix it in the settings of the role as well.
 */
static void refused(struct worker *w, const struct error *err)
{
    struct link *l = &w->link;
    struct error fault = *err;

    if (fault.hint[0] == '\0') {
        error_hint(&fault, sqlstate_is(fault.sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE)
                               ? "Grant what `pgsinkd init --print` lists."
                               : "No record caused this: fix the schema of pgsinkd, its triggers "
                                 "or the server. Nothing is lost.");
    }
    fault.class = ERROR_SETUP;
    l->unproved = l->state;
    lost(w, &fault);
    usec_t pause = refused_pause(l);
    l->retry_at = clock_mono() + pause;
    l->proved_at = clock_mono() + REFUSED_PROOF * pause;
    report_refused(w, &fault, true);
}

/* Any failed operation but a batch refused for a record or a fence. */
void worker_link_failed(struct worker *w, const struct error *err)
{
    struct link *l = &w->link;
    bool open = conn_is_open(l->conn);

    if (err->class == ERROR_LINK || (!open && err->class != ERROR_SETUP)) {
        worker_link_lost(w, err);
        return;
    }
    if (err->class == ERROR_AGAIN) {
        set_state(l, LINK_IDLE);
        l->retry_at = clock_mono() + backoff_next(&l->backoff);
        if (!l->trouble_reported) {
            l->trouble_reported = true;
            worker_report(w, REPORT_TROUBLE, NULL, 0, err);
        }
        return;
    }
    refused(w, err);
}

void worker_link_succeeded(struct worker *w)
{
    struct link *l = &w->link;

    if (l->state == l->unproved) {
        l->proved_at = 0;
    }
    set_state(l, LINK_IDLE);
    backoff_reset(&l->backoff);
    l->retry_at = 0;
    report_up(w);
    if (l->trouble_reported) {
        l->trouble_reported = false;
        worker_report(w, REPORT_EASED, NULL, 0, NULL);
    }
}

/* Idle, with a connection: that may be the proof, where nothing is left to be tried. */
void worker_link_is_well(struct worker *w)
{
    report_up(w);
}

void worker_link_sent(struct worker *w)
{
    struct link *l = &w->link;

    l->sent_at[l->sent++ % TXN_FLIGHTS] = clock_mono();
    l->flying++;
}

/* ---- connecting ---- */

void worker_link_connect(struct worker *w)
{
    struct error err;

    if (w->stopping || clock_mono() < w->link.retry_at) {
        return;
    }
    if (conn_open(w->link.conn, &err)) {
        set_state(&w->link, LINK_CONNECTING);
    } else {
        connect_failed(w, &err);
    }
}

void worker_link_step(struct worker *w)
{
    struct error err;
    struct link *l = &w->link;

    switch (conn_step(l->conn, &err)) {
    case CONN_WAIT:
        return;
    case CONN_FAILED:
        connect_failed(w, &err);
        return;
    case CONN_READY:
        break;
    }
    set_state(l, LINK_IDLE);
    l->retry_at = 0;
    stats_set(&w->stats.connections, 1);
    report_up(w);
    /* A replay may have been asked for while nobody listened. */
    worker_report(w, REPORT_REPLAY, NULL, 0, NULL);
    worker_report(w, REPORT_SEEK, NULL, 0, NULL);
}

/* ---- another configuration ---- */

static void reconfigure(struct worker *w)
{
    struct link *l = &w->link;
    const struct config *cfg = w->wc.cfg;

    l->reconfigured = false;
    if (l->has_schema && !txn_has_schema(l->txn)) {
        txn_set_schema(l->txn, cfg->postgres.schema);
    }
    if (l->ledger != NULL) {
        txn_audit(l->txn, cfg->audit ? w->wc.owner : NULL);
    }
}

/* The session is kept: what the worker owns stays claimed, and a server that takes no new
 * connections now does not matter. */
bool worker_link_renew(struct worker *w)
{
    struct error err;
    struct link *l = &w->link;

    if (l->reconfigured) {
        reconfigure(w);
    }
    if (!conn_is_outdated(l->conn)) {
        return false;
    }
    if (conn_renew(l->conn, &err)) {
        set_state(l, LINK_RENEWING);
    } else {
        connect_failed(w, &err);
    }
    return true;
}

/* ---- operations ---- */

void worker_link_begin(struct worker *w, enum link_state state, bool started,
                       const struct error *err)
{
    if (started) {
        set_state(&w->link, state);
    } else {
        w->link.entry_count = 0;
        worker_link_failed(w, err);
    }
}
