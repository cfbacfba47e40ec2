/*
 * The worker's connection: one operation at a time, in this order of precedence: claim new
 * partitions, claim again what may have changed (nothing is written before that is settled:
 * invariant I9), move over gaps, write the oldest batch, tell ends. Every state moves on by itself
 * when the socket or a deadline says so. Worker thread.
 */
#include "base/failpoint.h"
#include "base/mem.h"
#include "pg/sqlstate.h"
#include "sink/worker/worker_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_BASE (50 * USEC_PER_MSEC)
#define BACKOFF_CAP (10 * USEC_PER_SEC)
#define TELL_INTERVAL (5 * USEC_PER_SEC) /* ends of idle partitions, for lag by SQL */
/* Also when nothing changes, so that SQL can tell an idle daemon from a dead one. */
#define TELL_REFRESH (60 * USEC_PER_SEC)

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

void worker_link_init(struct worker *w)
{
    const struct config *cfg = w->wc.cfg;
    char name[128];
    snprintf(name, sizeof name, "pgsinkd %s worker %u", cfg->sink, w->wc.number);
    struct conn_settings settings = {
        .dsn = cfg->postgres.dsn,
        .application_name = name,
        .synchronous_commit = synchronous_commit_text(cfg->postgres.synchronous_commit),
        .listen_channel = config_needs_schema(cfg) ? "pgsinkd" : NULL,
        .listen_sink = cfg->sink,
        .lock_timeout_usec = config_lock_timeout(cfg),
        .timeout_usec = cfg->postgres.timeout,
    };
    struct link *l = &w->link;
    l->conn = conn_new(&settings);
    if (config_has_ledger(cfg)) {
        l->ledger = ledger_new(cfg->postgres.schema, cfg->sink, w->wc.owner);
    }
    l->txn = txn_new(config_needs_schema(cfg) ? cfg->postgres.schema : NULL, cfg->sink,
                     config_has_ledger(cfg));
    path_init(&l->path, cfg->batch.write_path);
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

/* ---- when things fail ---- */

static void set_state(struct link *l, enum link_state state)
{
    l->state = state;
    if (state == LINK_IDLE) {
        l->check_idle = true;
    }
}

static void give_up(struct worker *w, const struct error *err)
{
    struct error told = *err;
    if (told.class == ERROR_SETUP && *told.hint == '\0') {
        error_hint(&told,
                   sqlstate_is(told.sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE)
                       ? "Grant what `pgsinkd init --print` lists, then start again."
                       : "This is not the fault of a record: mend the table, its triggers or "
                         "the server, then start again. Nothing is lost.");
    }
    w->dead = true;
    worker_report(w, REPORT_FATAL, NULL, 0, &told);
}

/* The connection is gone. Everything we hold must be claimed again, which also settles an unknown
 * COMMIT. Without a ledger nothing can. */
static void link_lost(struct worker *w, const struct error *err)
{
    struct link *l = &w->link;
    conn_close(l->conn);
    set_state(l, LINK_DOWN);
    l->flying = 0;
    l->failed = 0;
    l->copy_once = false;
    l->each_once = false;
    l->retry_at = clock_mono() + backoff_next(&l->backoff);
    atomic_store_explicit(&w->stats.linked, false, memory_order_relaxed);
    for (size_t i = 0; i < w->slot_count; i++) {
        w->slots[i]->reclaim = l->ledger != NULL && slot_owns(w->slots[i]);
        w->slots[i]->relinked = w->slots[i]->reclaim;
    }
    if (!l->down_told) {
        l->down_told = true;
        worker_report(w, REPORT_DOWN, NULL, 0, err);
    }
}

/* Any failed operation but a batch refused for a record or a fence. */
void worker_link_failed(struct worker *w, const struct error *err)
{
    struct link *l = &w->link;
    bool open = conn_is_open(l->conn);
    if (err->class == ERROR_SETUP) {
        bool writing = l->state == LINK_WRITING;
        set_state(l, open ? LINK_IDLE : LINK_DOWN);
        if (!writing || !open || !worker_plan_stale(w, err)) {
            give_up(w, err);
        }
        return;
    }
    if (err->class == ERROR_LINK || !open) {
        link_lost(w, err);
        return;
    }
    set_state(l, LINK_IDLE);
    if (err->class == ERROR_AGAIN) {
        l->retry_at = clock_mono() + backoff_next(&l->backoff);
        if (!l->trouble_told) {
            l->trouble_told = true;
            worker_report(w, REPORT_TROUBLE, NULL, 0, err);
        }
        return;
    }
    give_up(w, err);
}

void worker_link_succeeded(struct worker *w)
{
    struct link *l = &w->link;
    set_state(l, LINK_IDLE);
    backoff_reset(&l->backoff);
    l->retry_at = 0;
    if (l->trouble_told) {
        l->trouble_told = false;
        worker_report(w, REPORT_EASED, NULL, 0, NULL);
    }
}

/* ---- connecting ---- */

static void start_connecting(struct worker *w)
{
    struct error err;
    if (w->stopping || w->dead || clock_mono() < w->link.retry_at) {
        return;
    }
    if (conn_open(w->link.conn, &err)) {
        set_state(&w->link, LINK_CONNECTING);
    } else {
        worker_link_failed(w, &err);
    }
}

static void step_connecting(struct worker *w)
{
    struct error err;
    struct link *l = &w->link;
    switch (conn_step(l->conn, &err)) {
    case CONN_WAIT:
        return;
    case CONN_FAILED:
        worker_link_failed(w, &err);
        return;
    case CONN_READY:
        break;
    }
    set_state(l, LINK_IDLE);
    l->retry_at = 0;
    atomic_store_explicit(&w->stats.linked, true, memory_order_relaxed);
    if (l->down_told) {
        l->down_told = false;
        worker_report(w, REPORT_UP, NULL, 0, NULL);
    }
    worker_report(w, REPORT_REPLAY, NULL, 0, NULL); /* asked for while nobody listened */
}

/* ---- operations on the ledger ---- */

static struct ledger_entry *add_entry(struct link *l, struct slot *s)
{
    l->entries = mem_grow(l->entries, &l->entry_cap, l->entry_count, sizeof *l->entries);
    struct ledger_entry *e = &l->entries[l->entry_count++];
    *e = (struct ledger_entry){
        .topic = s->topic,
        .partition = s->number,
        .first_offset = LEDGER_UNKNOWN,
        .next_offset = s->stored,
        .owner_epoch = s->owner_epoch,
        .tag = s,
    };
    return e;
}

bool worker_link_uses(const struct worker *w, const struct slot *s)
{
    const struct link *l = &w->link;
    for (size_t i = 0; i < l->entry_count; i++) {
        if (l->entries[i].tag == s) {
            return true;
        }
    }
    return false;
}

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

static bool start_claim(struct worker *w, bool only_mine)
{
    struct link *l = &w->link;
    l->entry_count = 0;
    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        if (only_mine ? s->reclaim && slot_owns(s) : s->state == SLOT_CLAIMING) {
            struct ledger_entry *e = add_entry(l, s);
            e->first_offset = only_mine ? LEDGER_UNKNOWN : s->first_offset;
            e->first_reason = s->first_reason;
        }
    }
    if (l->entry_count == 0) {
        return false;
    }
    struct error err;
    l->only_mine = only_mine;
    worker_link_begin(
        w, LINK_CLAIMING,
        ledger_claim_start(l->ledger, l->conn, l->entries, l->entry_count, only_mine, &err), &err);
    return true;
}

bool worker_link_wants_claim(const struct worker *w)
{
    for (size_t i = 0; i < w->slot_count; i++) {
        const struct slot *s = w->slots[i];
        if (s->state == SLOT_CLAIMING || (slot_owns(s) && (s->reclaim || s->gap.to >= 0))) {
            return true;
        }
    }
    return false;
}

static void describe_gap(const struct gap *gap, char *out, size_t size)
{
    static const char *const causes[] = {
        [GAP_DELETED] = "deleted before it was stored",
        [GAP_OVERWRITTEN] = "overwritten: the log was truncated",
        [GAP_CREATED_AGAIN] = "the topic was created again",
    };
    snprintf(out, size, "%s; the log held offsets %lld to %lld", causes[gap->cause],
             (long long) gap->low, (long long) gap->high);
}

static bool start_gap(struct worker *w)
{
    struct link *l = &w->link;
    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        if (s->gap.to < 0 || !slot_owns(s) || worker_in_batches(w, s)) {
            continue;
        }
        if (l->ledger == NULL) {
            worker_start_at(w, s, s->gap.to);
            continue;
        }
        struct error err;
        char reason[160];
        describe_gap(&s->gap, reason, sizeof reason);
        l->entry_count = 0;
        struct ledger_entry *e = add_entry(l, s);
        worker_link_begin(w, LINK_GAPPING,
                          ledger_gap_start(l->ledger, l->conn, e, s->gap.to, reason, &err), &err);
        return true;
    }
    return false;
}

static bool start_note(struct worker *w)
{
    struct link *l = &w->link;
    l->entry_count = 0;
    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        if (s->note_due && slot_owns(s)) {
            add_entry(l, s)->ids = s->known.ids;
        }
    }
    if (l->entry_count == 0) {
        return false;
    }
    struct error err;
    worker_link_begin(w, LINK_NOTING,
                      ledger_note_start(l->ledger, l->conn, l->entries, l->entry_count, &err),
                      &err);
    return true;
}

static bool start_tell(struct worker *w)
{
    struct link *l = &w->link;
    usec_t now = clock_mono();
    if (now < l->tell_at) {
        return false;
    }
    l->tell_at = now + TELL_INTERVAL;
    l->entry_count = 0;
    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        int64_t end = atomic_load_explicit(&s->share->end, memory_order_relaxed);
        bool due = end != s->end_told || now >= s->told_at + TELL_REFRESH;
        if (slot_owns(s) && end >= 0 && due) {
            add_entry(l, s)->first_offset = end;
            s->end_told = end;
            s->told_at = now;
        }
    }
    if (l->entry_count == 0) {
        return false;
    }
    struct error err;
    worker_link_begin(w, LINK_TELLING,
                      ledger_ends_start(l->ledger, l->conn, l->entries, l->entry_count, &err),
                      &err);
    return true;
}

static void claimed(struct worker *w)
{
    struct link *l = &w->link;
    (void) failpoint_hit(FAILPOINT_LEDGER_AFTER_CLAIM);
    size_t n = l->entry_count;
    l->entry_count = 0;
    worker_link_succeeded(w);
    for (size_t i = 0; i < n; i++) {
        struct slot *s = l->entries[i].tag;
        if (s->state == SLOT_RELEASING) {
            worker_drop(w, s); /* the claim has fenced whatever it had */
        } else if (l->only_mine) {
            worker_settle_reclaim(w, s, &l->entries[i]);
        } else {
            worker_settle_claim(w, s, &l->entries[i]);
        }
    }
}

static void noted(struct worker *w)
{
    struct link *l = &w->link;
    for (size_t i = 0; i < l->entry_count; i++) {
        struct slot *s = l->entries[i].tag;
        s->note_due = log_ids_are_news(&l->entries[i].ids, &s->known.ids); /* others meanwhile? */
    }
    l->entry_count = 0;
    worker_link_succeeded(w);
}

static void gap_moved(struct worker *w)
{
    struct link *l = &w->link;
    struct ledger_entry e = l->entries[0];
    struct slot *s = e.tag;
    l->entry_count = 0;
    worker_link_succeeded(w);
    s->gap.to = -1;
    s->known = (struct known_log){.fp = {.offset = FINGERPRINT_BY_HAND}, .leader_epoch = -1};
    if (slot_owns(s)) {
        worker_start_at(w, s, e.next_offset);
    }
}

/* A lock held for too long belongs to a backend whose client has stopped: end it, claim again. */
static bool evict(struct worker *w, const struct error *err)
{
    struct link *l = &w->link;
    struct error again;
    if (l->state != LINK_CLAIMING || !sqlstate_is(err->sqlstate, SQLSTATE_LOCK_NOT_AVAILABLE)) {
        return false;
    }
    worker_link_begin(w, LINK_EVICTING,
                      ledger_evict_start(l->ledger, l->conn, l->entries, l->entry_count, &again),
                      &again);
    return true;
}

static void ledger_failed(struct worker *w, const struct error *err)
{
    struct link *l = &w->link;
    if (evict(w, err)) {
        return;
    }
    if (err->class == ERROR_FENCED && l->entry_count == 1) {
        struct slot *s = l->entries[0].tag; /* the line moved under the gap: look, then try again */
        s->reclaim = slot_owns(s);
        l->entry_count = 0;
        worker_link_succeeded(w);
        return;
    }
    l->entry_count = 0;
    worker_link_failed(w, err);
}

static void step_ledger(struct worker *w)
{
    struct error err;
    struct link *l = &w->link;
    switch (ledger_step(l->ledger, &err)) {
    case LEDGER_WAIT:
        return;
    case LEDGER_FAILED:
        ledger_failed(w, &err);
        return;
    case LEDGER_DONE:
        break;
    }
    if (l->state == LINK_CLAIMING) {
        claimed(w);
    } else if (l->state == LINK_GAPPING) {
        gap_moved(w);
    } else if (l->state == LINK_NOTING) {
        noted(w);
    } else {
        if (l->state == LINK_EVICTING) {
            worker_report(w, REPORT_EVICTED, NULL, (int64_t) ledger_evicted(l->ledger), NULL);
        }
        l->entry_count = 0;
        worker_link_succeeded(w);
    }
}

/* ---- the order of the day ---- */

static bool look_for_news(struct worker *w)
{
    struct link *l = &w->link;
    struct error err;
    struct conn_news news;
    if (!l->check_idle) {
        return true;
    }
    l->check_idle = false;
    if (!conn_idle(l->conn, &news, &err)) {
        link_lost(w, &err);
        return false;
    }
    if (news.replay) {
        worker_report(w, REPORT_REPLAY, NULL, 0, NULL);
    }
    bool moved = news.ledger && l->ledger != NULL;
    for (size_t i = 0; moved && i < w->slot_count; i++) {
        w->slots[i]->reclaim = slot_owns(w->slots[i]); /* somebody has changed the ledger by hand */
    }
    return true;
}

/* True when an operation was started. */
static bool start_something(struct worker *w)
{
    if (w->dead || !look_for_news(w)) {
        return false;
    }
    if (clock_mono() < w->link.retry_at) {
        return false;
    }
    worker_plan_apply(w);
    if (!w->stopping && start_claim(w, false)) {
        return true;
    }
    return start_claim(w, true) || start_gap(w) || start_note(w) ||
           (!w->stale && worker_write_start(w)) ||
           (!w->stopping && w->link.ledger != NULL && start_tell(w));
}

static void step(struct worker *w)
{
    switch (w->link.state) {
    case LINK_DOWN:
        start_connecting(w);
        break;
    case LINK_CONNECTING:
        step_connecting(w);
        break;
    case LINK_IDLE:
        break;
    case LINK_CLAIMING:
    case LINK_EVICTING:
    case LINK_GAPPING:
    case LINK_NOTING:
    case LINK_TELLING:
        step_ledger(w);
        break;
    case LINK_WRITING:
        worker_write_step(w);
        break;
    }
}

void worker_link_drive(struct worker *w)
{
    thread_assert_owner(&w->owner);
    step(w);
    if (w->link.state == LINK_IDLE && start_something(w)) {
        step(w);
    }
}

usec_t worker_link_deadline(const struct worker *w)
{
    const struct link *l = &w->link;
    if (w->dead) {
        return USEC_NEVER;
    }
    if (l->state == LINK_DOWN) {
        return w->stopping ? USEC_NEVER : l->retry_at;
    }
    if (l->state == LINK_WRITING) {
        return MIN(conn_deadline(l->conn), worker_write_deadline(w));
    }
    if (l->state != LINK_IDLE) {
        return conn_deadline(l->conn);
    }
    return l->retry_at > clock_mono() ? l->retry_at : USEC_NEVER;
}
