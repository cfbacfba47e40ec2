/*
 * A reload: SIGHUP has the scout read the file again. A bad one changes nothing. Else what differs
 * is logged, what needs a restart is kept as it is, and the rest is in force at once: the crew has
 * partitions begin again that it concerns. What is of before is freed when no thread uses it any
 * more; only then is the next SIGHUP taken. Main thread.
 */
#include "sink/app/app_state.h"

#include "base/mem.h"
#include "host/notify.h"
#include "host/signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A thread that has said that it ends has nothing more to do. */
#define JOIN_TIMEOUT (100 * USEC_PER_MSEC)

void app_reload_init(struct app *a, bool until_end)
{
    a->reload.fd = until_end ? -1 : signals_open_reload();
}

void app_reload_take(struct app *a)
{
    struct reload *r = &a->reload;

    if (r->fd < 0 || r->state != RELOAD_NONE || signals_take(r->fd) == 0) {
        return;
    }
    notify_reloading();
    log_event(LOG(reload_begins), a->cfg->path);
    r->state = RELOAD_READING;
    r->began = clock_mono();
    scout_ask(a->scout, scout_mail_new(SCOUT_FILE, 0));
}

/* The service manager is told even before the start is complete: then that is what it waits for. */
static void end(struct app *a)
{
    a->reload.state = RELOAD_NONE;
    if (a->ready) {
        notify_ready();
    }
}

/* ---- the file ---- */

static void refuse(struct app *a, const struct error *err)
{
    struct error fault = *err;

    snprintf(a->progress.trouble, sizeof a->progress.trouble, "reload refused: %.380s", err->text);
    error_wrap(&fault, "nothing is changed by the reload");
    log_fault(LOG_reload_refused, &fault);
    end(a);
    notify_status("%s", a->progress.trouble);
}

static void log_changes(struct reload *r, const struct config_changes *changes)
{
    r->applied = r->kept = 0;
    for (size_t i = 0; i < changes->count; i++) {
        const struct config_change *change = &changes->items[i];
        if (change->needs_restart) {
            r->kept++;
            log_event(LOG(option_kept), change->text);
        } else {
            r->applied++;
            log_event(LOG(option_changed), change->text);
        }
    }
}

static void log_done(const struct reload *r)
{
    double seconds = (double) (clock_mono() - r->began) / (double) USEC_PER_SEC;

    log_event(LOG(reload_done), seconds, r->applied, r->applied == 1 ? "" : "s", r->kept);
}

/* ---- in force ---- */

static void tell_scout(struct app *a)
{
    struct scout_mail *m = scout_mail_new(SCOUT_CONFIG, 0);

    m->cfg = a->cfg;
    a->reload.scout_awaited = true;
    scout_ask(a->scout, m);
}

/* More of them begin at once; fewer: the last ones end when they have no partition any more. */
static void set_workers(struct app *a)
{
    size_t before = a->worker_count;
    size_t wanted = config_workers(a->cfg);

    while (a->worker_count < wanted) {
        app_start_worker(a);
    }
    a->reload.leaving = a->worker_count - wanted;
    a->reload.leaving_told = false;
    if (wanted != before) {
        crew_set_workers(a->crew, a->workers, a->worker_count, wanted);
    }
}

/* cfg is in force from here on. */
static void apply(struct app *a, struct config *cfg)
{
    struct reload *r = &a->reload;
    bool other_limits = cfg->batch.max_bytes != a->cfg->batch.max_bytes ||
                        config_workers(cfg) != a->worker_count;

    r->state = RELOAD_APPLYING;
    r->former = r->owned;
    r->policies = a->policies;
    a->policies = policies_reload(r->policies, a->cfg, cfg);
    a->cfg = r->owned = cfg;
    log_set_level(cfg->log.level);
    log_set_format(cfg->log.format);
    set_workers(a);
    crew_reload(a->crew, cfg, a->policies);
    tell_scout(a);
    replayer_reload(&a->replayer, cfg->route_count);
    if (other_limits) {
        app_log_memory(a);
    }
}

static void take_file(struct app *a, struct config *cfg)
{
    struct reload *r = &a->reload;
    struct config_changes changes = config_compare(a->cfg, cfg);

    a->progress.trouble[0] = '\0';
    log_changes(r, &changes);
    config_changes_free(&changes);
    if (r->applied == 0) {
        config_free(cfg);
        log_done(r);
        end(a);
        return;
    }
    config_keep(cfg, a->cfg);
    apply(a, cfg);
}

void app_reload_answer(struct app *a, struct scout_mail *m)
{
    if (m->kind == SCOUT_CONFIG) {
        a->reload.scout_awaited = false;
    } else if (a->stopping) {
        /* it is too late for another one */
    } else if (m->config == NULL) {
        refuse(a, &m->error);
    } else {
        take_file(a, TAKE_PTR(m->config));
    }
    scout_mail_free(m);
}

/* ---- the end of it ---- */

static void free_former(struct app *a)
{
    struct reload *r = &a->reload;

    if (r->policies != NULL) {
        policies_release(TAKE_PTR(r->policies), a->policies);
    }
    r->former = config_free(r->former);
}

static bool are_idle(const struct app *a)
{
    for (size_t i = a->worker_count - a->reload.leaving; i < a->worker_count; i++) {
        if (!crew_worker_is_idle(a->crew, i)) {
            return false;
        }
    }
    return true;
}

static void tell_leaving(struct app *a)
{
    for (size_t i = a->worker_count - a->reload.leaving; i < a->worker_count; i++) {
        struct order *o = mem_zalloc(sizeof *o);
        o->kind = ORDER_STOP; /* it has nothing that would have to be stored */
        o->deadline = clock_mono();
        worker_post(a->workers[i], o);
    }
    a->reload.leaving_told = true;
}

/* They have ended. False: a thread does not let go yet. */
static bool free_leaving(struct app *a)
{
    size_t wanted = a->worker_count - a->reload.leaving;

    for (; a->worker_count > wanted; a->worker_count--, a->ended--, a->reload.leaving--) {
        struct worker *w = a->workers[a->worker_count - 1];
        struct feed *feed = worker_feed(w);
        if (!worker_join(w, JOIN_TIMEOUT)) {
            return false;
        }
        crew_set_workers(a->crew, a->workers, a->worker_count - 1, wanted);
        stats_keep(&a->past, worker_stats(w));
        vitals_worker_ended(&a->vitals, worker_number(w));
        worker_free(w);
        feed_free(feed);
    }
    return true;
}

static bool have_left(struct app *a)
{
    if (a->reload.leaving > 0 && !a->reload.leaving_told && are_idle(a)) {
        tell_leaving(a);
    }
    return a->reload.leaving == 0 || (a->ended == a->reload.leaving && free_leaving(a));
}

void app_reload_turn(struct app *a)
{
    struct reload *r = &a->reload;

    if (r->state == RELOAD_APPLYING && !r->scout_awaited && crew_reload_is_over(a->crew) &&
        have_left(a)) {
        free_former(a);
        log_done(r);
        end(a);
    }
}

void app_reload_done(struct app *a)
{
    free_former(a);
    a->reload.owned = config_free(a->reload.owned);
    if (a->reload.fd >= 0) {
        close(a->reload.fd);
    }
}
