/*
 * A reload: SIGHUP has the scout read the file again. A bad one changes nothing. Else what differs
 * is logged, what needs a restart, or something that cannot be had (an address, a schema, rights),
 * is kept as it is, and the rest is in force at once: the crew has partitions begin again that it
 * concerns. What is of before is freed when no thread uses it any more; only then is the next
 * SIGHUP taken. Main thread.
 */
#include "sink/app/app_state.h"

#include "base/mem.h"
#include "host/notify.h"
#include "host/signals.h"
#include "pg/schema.h"

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
    app_certificates_soon(a);
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

/* Why it cannot be in force; NULL: it is. */
static const struct error *refusal_of(const struct reload *r, const struct config_change *change,
                                      const struct error *no_address)
{
    const struct error *why = change->need == NEED_SCHEMA    ? &r->no_schema
                              : change->need == NEED_HISTORY ? &r->no_history
                              : change->need == NEED_ADDRESS ? no_address
                                                             : NULL;

    return why != NULL && why->class != ERROR_NONE ? why : NULL;
}

static void log_refused(const struct config_change *change, const struct error *why)
{
    struct error fault = *why;

    error_wrap(&fault, "reload: %s: stays as it is", change->text);
    log_fault(LOG_option_refused, &fault);
}

static void log_changes(struct reload *r, const struct error *no_address)
{
    r->applied = r->kept = 0;
    for (size_t i = 0; i < r->changes.count; i++) {
        const struct config_change *change = &r->changes.items[i];
        const struct error *why = refusal_of(r, change, no_address);
        if (why != NULL) {
            r->kept++;
            log_refused(change, why);
        } else if (change->need == NEED_RESTART) {
            r->kept++;
            log_event(LOG(option_kept), change->text);
        } else {
            r->applied++;
            log_event(LOG(option_changed), change->text);
        }
    }
    config_changes_free(&r->changes);
}

static void log_done(const struct reload *r)
{
    double seconds = (double) (clock_mono() - r->began) / (double) USEC_PER_SEC;

    log_event(LOG(reload_done), seconds, r->applied, r->applied == 1 ? "" : "s", r->kept);
}

static bool wants(const struct reload *r, enum config_need need)
{
    for (size_t i = 0; i < r->changes.count; i++) {
        if (r->changes.items[i].need == need) {
            return true;
        }
    }
    return false;
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

/* What only the first dead letters of a sink need, which have become possible. */
static void use_schema(struct app *a)
{
    bool had_schema = a->has_schema;

    a->has_schema = had_schema || config_needs_schema(a->cfg);
    if (a->has_schema && !had_schema) {
        struct totals t = app_totals(a);
        beat_begin(&a->beat, a->owner, &t);
    }
}

/* The scout has found that dead letters fit. */
static void take_letters(struct app *a)
{
    struct error err;

    if (a->reload.letters != NULL &&
        !policies_set_letters(a->policies, TAKE_PTR(a->reload.letters), &err)) {
        abort();
    }
}

/* cfg is in force from here on. */
static void apply(struct app *a, struct config *cfg)
{
    struct reload *r = &a->reload;
    const struct config *former = a->cfg;
    bool other_limits = cfg->batch.max_bytes != a->cfg->batch.max_bytes ||
                        config_workers(cfg) != a->worker_count ||
                        site_memory(cfg) != site_memory(a->cfg) ||
                        config_has_registry(cfg) != config_has_registry(a->cfg) ||
                        (config_needs_schema(cfg) && !a->has_schema);

    r->state = RELOAD_APPLYING;
    r->former = r->owned;
    r->policies = a->policies;
    a->policies = policies_reload(r->policies, a->cfg, cfg);
    take_letters(a);
    if (client_has_other_login(a->cfg, cfg)) {
        client_set_login(a->client, cfg);
    }
    a->cfg = r->owned = cfg;
    use_schema(a);
    log_set_level(cfg->log.level);
    log_set_format(cfg->log.format);
    if (a->site != NULL) {
        site_limit(a->site, cfg->http.partitions);
    }
    set_workers(a);
    crew_reload(a->crew, cfg, a->policies);
    tell_scout(a);
    app_schemas_reload(a, former);
    app_creating_reload(a);
    replayer_reload(&a->replayer, a->has_schema, cfg->route_count);
    if (other_limits) {
        app_log_memory(a);
    }
}

/* What of it is possible is in force after this. */
static void put_in_force(struct app *a)
{
    struct reload *r = &a->reload;
    struct config *cfg = TAKE_PTR(r->next);
    struct error no_address = {.class = ERROR_NONE};
    bool moves = wants(r, NEED_ADDRESS);
    /* When it last moved, the address of before could not be had again either. */
    bool missing = a->site == NULL && cfg->http.address.host[0] != '\0';

    if (r->no_schema.class != ERROR_NONE) {
        config_give_up(cfg, a->cfg, NEED_SCHEMA);
    }
    if (r->no_history.class != ERROR_NONE) {
        config_give_up(cfg, a->cfg, NEED_HISTORY);
    }
    if ((moves || missing) && !app_site_move(a, cfg, &no_address)) {
        config_give_up(cfg, a->cfg, NEED_ADDRESS);
    }
    if (!moves && no_address.class != ERROR_NONE) {
        log_fault(LOG_http_refused, &no_address); /* else the change says so */
    }
    log_changes(r, &no_address);
    if (r->applied > 0) {
        apply(a, cfg);
        return;
    }
    config_free(cfg);
    log_done(r);
    end(a);
}

static void prepare(struct app *a, enum scout_kind kind)
{
    struct scout_mail *m = scout_mail_new(kind, 0);

    a->reload.state = RELOAD_PREPARING;
    m->cfg = a->reload.next;
    scout_ask(a->scout, m);
}

static void take_file(struct app *a, struct config *cfg)
{
    struct reload *r = &a->reload;
    struct error err;

    if (!config_reload(cfg, a->cfg, &r->changes, &err)) {
        config_free(cfg);
        refuse(a, &err);
        return;
    }
    a->progress.trouble[0] = '\0';
    r->next = cfg;
    r->no_schema = r->no_history = (struct error){.class = ERROR_NONE};
    /* Never both: who needs the schema has no ledger, without which nothing is audited. */
    if (wants(r, NEED_SCHEMA) && a->policies->letters == NULL) {
        prepare(a, SCOUT_SCHEMA);
    } else if (wants(r, NEED_HISTORY)) {
        prepare(a, SCOUT_HISTORY);
    } else {
        put_in_force(a);
    }
}

static void take_schema(struct app *a, struct scout_mail *m)
{
    struct reload *r = &a->reload;

    if (m->failed) {
        r->no_schema = m->error;
    } else if (m->schema_steps > 0) {
        log_event(LOG(schema_upgraded), a->cfg->postgres.schema, schema_version_wanted());
    }
    r->letters = TAKE_PTR(m->letters);
    put_in_force(a);
}

static void take_history(struct app *a, const struct scout_mail *m)
{
    if (m->failed) {
        a->reload.no_history = m->error;
    }
    put_in_force(a);
}

void app_reload_answer(struct app *a, struct scout_mail *m)
{
    if (m->kind == SCOUT_CONFIG) {
        a->reload.scout_awaited = false;
    } else if (a->stopping) {
        /* it is too late for another one */
    } else if (m->kind == SCOUT_SCHEMA) {
        take_schema(a, m);
    } else if (m->kind == SCOUT_HISTORY) {
        take_history(a, m);
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

    if (r->state == RELOAD_APPLYING && !r->scout_awaited && !r->registrar_awaited &&
        crew_reload_is_over(a->crew) && have_left(a)) {
        free_former(a);
        log_done(r);
        end(a);
    }
}

void app_reload_done(struct app *a)
{
    struct reload *r = &a->reload;

    free_former(a);
    r->owned = config_free(r->owned);
    r->next = config_free(r->next); /* the stop came before it was in force */
    config_changes_free(&r->changes);
    table_free(r->letters);
    if (r->fd >= 0) {
        close(r->fd);
    }
}
