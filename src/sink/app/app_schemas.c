/*
 * Which schemas records were written with: main asks the registrar once for each ref, whoever wants
 * it, and hands what it has learned to every worker, also to those that come later. The table is
 * bounded: what was learned first goes first, and the workers forget it too. A fault is believed
 * for a while, and then asked about again if somebody still wants to know. Main thread.
 */
#include "sink/app/app_state.h"

#include "base/mem.h"
#include "pg/sqlstate.h"
#include "registry/registry.h"
#include "sink/schemas/schema_source.h"
#include "sink/shared/delays.h"

static void give(struct worker *w, const struct schema_entry *e)
{
    struct order *o = mem_zalloc(sizeof *o);

    o->kind = ORDER_SCHEMA;
    o->ref = e->ref;
    o->schema = e->schema != NULL ? schema_hold(e->schema) : NULL;
    if (e->fault != NULL) {
        o->fault = mem_alloc(sizeof *o->fault);
        *o->fault = *e->fault;
    }
    worker_post(w, o);
}

static void give_all(const struct app *a, const struct schema_entry *e)
{
    for (size_t i = 0; i < a->worker_count; i++) {
        give(a->workers[i], e);
    }
}

static bool is_known(const struct schema_entry *e)
{
    return e->schema != NULL || e->fault != NULL;
}

static void forget(struct app *a, struct schema_entry *e)
{
    if (is_known(e)) {
        schema_table_set(&a->schemas, e, NULL, NULL);
        give_all(a, e);
    }
    schema_table_remove(&a->schemas, e);
}

/* What has been asked for stays: its answer is on its way, and there are no more such questions
 * than partitions. */
static void make_room(struct app *a, const struct schema_entry *keep)
{
    struct schema_entry *e = a->schemas.oldest;

    while (e != NULL &&
           (a->schemas.count > SCHEMAS_MOST || a->schemas.bytes > SCHEMAS_MOST_BYTES)) {
        struct schema_entry *next = e->newer;
        if (e != keep && is_known(e)) {
            forget(a, e);
        }
        e = next;
    }
}

static void learn(struct app *a, struct schema_entry *e, const struct schema *schema,
                  const struct error *fault)
{
    schema_table_set(&a->schemas, e, schema, fault);
    e->until = fault != NULL ? clock_mono() + delay_schema_fault() : USEC_NEVER;
    give_all(a, e);
    make_room(a, e);
}

void app_schemas_init(struct app *a)
{
    mailbox_init(&a->schema_answers);
}

void app_schemas_start(struct app *a)
{
    if (config_has_registry(a->cfg)) {
        a->registrar = registrar_start(a->cfg, &a->schema_answers);
    }
}

void app_schemas_want(struct app *a, const struct schema_ref *ref)
{
    struct schema_entry *e = schema_table_find(&a->schemas, ref);
    struct error err;

    if (e != NULL) {
        return; /* it has been asked for, or whoever asks has its answer in the mailbox */
    }
    e = schema_table_add(&a->schemas, ref);
    if (a->registrar != NULL) {
        struct schema_mail *m = schema_mail_new(SCHEMA_ASK);
        m->ref = *ref;
        registrar_ask(a->registrar, m);
        return;
    }
    error_set(&err, ERROR_SETUP, "no schema registry is configured");
    error_hint(&err, "The record names a schema of a registry: set registry.url.");
    learn(a, e, NULL, &err);
}

/* ---- what the registrar says ---- */

/* A fault has a line when it begins, every ten minutes, and another when it is over. */
static void log_away(const struct app *a)
{
    if (a->registry_fault.class == ERROR_SETUP) {
        log_fault(LOG_registry_refuses, &a->registry_fault);
    } else {
        log_event(LOG(registry_away), a->registry_fault.text);
    }
}

static void take_away(struct app *a, const struct error *err)
{
    usec_t now = clock_mono();
    bool was_away = a->registry_fault.class != ERROR_NONE; /* for another reason */

    a->registry_fault = *err;
    error_wrap(&a->registry_fault, "registry");
    troubles_add(&a->troubles, clock_wall_ms(), a->registry_fault.text);
    error_short_text(&a->registry_fault, a->progress.registry, sizeof a->progress.registry);
    a->registry_away_since = was_away ? a->registry_away_since : now;
    a->registry_said_again = now + delay_repeat();
    log_away(a);
}

static void no_fault(struct app *a)
{
    a->registry_fault.class = ERROR_NONE;
    a->progress.registry[0] = '\0';
}

static void take_back(struct app *a)
{
    if (a->registry_fault.class != ERROR_NONE) {
        log_event(LOG(registry_back),
                  (double) (clock_mono() - a->registry_away_since) / (double) USEC_PER_SEC);
        crew_plan_hurry(a->crew);
    }
    no_fault(a);
}

static void take_schema(struct app *a, const struct schema_mail *m)
{
    struct schema_entry *e = schema_table_find(&a->schemas, &m->ref);

    if (e != NULL && !is_known(e)) { /* else it was asked of a registry of before */
        learn(a, e, m->schema, m->schema == NULL ? &m->error : NULL);
    }
}

/* Numbers of another registry name other schemas. What has been asked for is asked of it. */
static void forget_all(struct app *a)
{
    struct schema_entry *next;

    for (struct schema_entry *e = a->schemas.oldest; e != NULL; e = next) {
        next = e->newer;
        if (is_known(e)) {
            forget(a, e);
        }
    }
}

static void log_encrypted(const struct app *a, const struct schema_ref *ref)
{
    _cleanup_buf_ struct buf name = {0};

    (void) a;
    schema_source_ref_text(ref, &name);
    log_event(LOG(schema_encrypted), buf_cstr(&name));
}

static void log_refused(const struct app *a, const struct error *err)
{
    struct error fault = *err;

    error_wrap(&fault, "the table of schemas cannot be used");
    if (sqlstate_is(fault.sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE) && *fault.hint == '\0') {
        error_hint(&fault, "The role needs SELECT and INSERT on %s.schemas.",
                   a->cfg->postgres.schema);
    }
    log_fault(LOG_schemas_refused, &fault);
}

static void take_answer(struct app *a, const struct schema_mail *m)
{
    switch (m->kind) {
    case SCHEMA_ASK:
        take_schema(a, m);
        break;
    case SCHEMA_CONFIGURE:
        a->reload.registrar_awaited = false;
        if (m->is_other) {
            forget_all(a);
        }
        if (!config_has_registry(a->cfg)) {
            no_fault(a);
        }
        break;
    case SCHEMA_AWAY:
        take_away(a, &m->error);
        break;
    case SCHEMA_BACK:
        take_back(a);
        break;
    case SCHEMA_ENCRYPTED:
        log_encrypted(a, &m->ref);
        break;
    case SCHEMA_REFUSED:
        log_refused(a, &m->error);
        break;
    }
}

void app_schemas_take(struct app *a)
{
    struct mail *m = mailbox_take(&a->schema_answers);

    while (m != NULL) {
        struct schema_mail *answer = (struct schema_mail *) m;
        m = m->next;
        if (answer->subject != NULL) {
            answer->mail.next = a->subject_answers;
            a->subject_answers = &answer->mail;
            continue;
        }
        take_answer(a, answer);
        schema_mail_free(answer);
    }
}

void app_schemas_reload(struct app *a, const struct config *former)
{
    if (a->registrar == NULL) {
        app_schemas_start(a);
        if (a->registrar != NULL) {
            forget_all(a); /* that there is none was a fault */
        }
        return;
    }
    struct schema_mail *m = schema_mail_new(SCHEMA_CONFIGURE);
    m->cfg = a->cfg;
    m->is_other = registry_is_other(former, a->cfg);
    a->reload.registrar_awaited = true;
    registrar_ask(a->registrar, m);
}

void app_schemas_welcome(struct app *a, struct worker *w)
{
    for (const struct schema_entry *e = a->schemas.oldest; e != NULL; e = e->newer) {
        if (is_known(e)) {
            give(w, e);
        }
    }
}

void app_schemas_turn(struct app *a, usec_t now)
{
    struct schema_entry *e = a->schemas.oldest;

    if (a->registry_fault.class != ERROR_NONE && now >= a->registry_said_again) {
        a->registry_said_again = now + delay_repeat();
        log_away(a);
    }
    if (a->schemas.faults == 0) {
        return;
    }
    while (e != NULL) {
        struct schema_entry *next = e->newer;
        if (e->fault != NULL && e->until <= now) {
            forget(a, e);
        }
        e = next;
    }
}

bool app_schemas_stop(struct app *a, usec_t timeout)
{
    return a->registrar == NULL || registrar_stop(TAKE_PTR(a->registrar), timeout);
}

void app_schemas_done(struct app *a)
{
    struct mail *m = mailbox_take(&a->schema_answers);

    while (m != NULL) {
        struct schema_mail *answer = (struct schema_mail *) m;
        m = m->next;
        schema_mail_free(answer);
    }
    mailbox_done(&a->schema_answers);
    schema_table_done(&a->schemas);
}
