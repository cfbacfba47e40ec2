/*
 * Tables that are to be made from schemas of the registry. The scout says what it lacks; the
 * question is held here until the registrar has answered, and then goes on:
 *
 *     scout                          main                         registrar
 *     SCOUT_PLAN: no table,
 *     schemas lacks some    ----->   held              ----->     SCHEMA_ASK
 *                                    all are known     <-----     a schema, or why there is none
 *     makes the table       <-----   the same SCOUT_PLAN
 *
 * So neither claims nor heartbeats, which the scout has, wait for a registry. While that is away
 * the topic is answered as one whose table cannot be used: it is parked, and tried again, also when
 * the registry is back. Main thread.
 */
#include "sink/app/app_state.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* What a subject has now is used for so long. */
#define SUBJECT_KEPT (2 * USEC_PER_SEC)

/* One that has been asked for: at most two of each topic. */
struct asked_subject {
    char *name;
    bool is_known;
    const struct schema *schema; /* a reference; NULL: it is not known, or has none: */
    struct error fault;
    usec_t until; /* it is used; is_known */
    struct asked_subject *next;
};

/* ---- subjects ---- */

static void drop(struct asked_subject **at)
{
    struct asked_subject *s = *at;

    *at = s->next;
    schema_drop(s->schema);
    free(s->name);
    free(s);
}

static void forget_subjects(struct app *a, usec_t now)
{
    for (struct asked_subject **at = &a->subjects; *at != NULL;) {
        if ((*at)->is_known && (*at)->until <= now) {
            drop(at);
        } else {
            at = &(*at)->next;
        }
    }
}

static struct asked_subject *find_subject(struct app *a, const char *name)
{
    struct asked_subject *s = a->subjects;

    while (s != NULL && strcmp(s->name, name) != 0) {
        s = s->next;
    }
    return s;
}

static const struct asked_subject *want_subject(struct app *a, const char *name)
{
    struct asked_subject *s = find_subject(a, name);

    if (s != NULL || a->registrar == NULL) {
        return s;
    }
    s = mem_zalloc(sizeof *s);
    s->name = mem_strdup(name);
    s->next = a->subjects;
    a->subjects = s;
    struct schema_mail *m = schema_mail_new(SCHEMA_ASK);
    m->subject = mem_strdup(name);
    registrar_ask(a->registrar, m);
    return s;
}

static void learn(struct app *a, const struct schema_mail *m)
{
    struct asked_subject *s = find_subject(a, m->subject);

    if (s == NULL || s->is_known) {
        return;
    }
    s->is_known = true;
    s->schema = m->schema != NULL ? schema_hold(m->schema) : NULL;
    s->fault = m->error;
    s->until = clock_mono() + SUBJECT_KEPT;
}

static void take_answers(struct app *a)
{
    while (a->subject_answers != NULL) {
        struct schema_mail *m = (struct schema_mail *) a->subject_answers;
        a->subject_answers = m->mail.next;
        learn(a, m);
        schema_mail_free(m);
    }
}

/* ---- what is known of what a plan lacks ---- */

static void set(struct creation_schema *to, const struct schema *schema, const struct error *fault)
{
    if (schema != NULL) {
        to->schema = schema_hold(schema);
    } else if (fault != NULL) {
        to->fault = *fault;
    }
}

static void fill_by_ref(struct app *a, struct creation_schema *to)
{
    app_schemas_want(a, &to->ref);
    const struct schema_entry *e = schema_table_find(&a->schemas, &to->ref);
    if (e != NULL) {
        set(to, e->schema, e->fault);
    }
}

static void fill_by_subject(struct app *a, const char *topic, struct creation_schema *to)
{
    _cleanup_buf_ struct buf name = {0};

    if (to->of_key) {
        schema_source_key_subject(topic, &name);
    } else {
        schema_source_subject(a->cfg, topic, &name);
    }
    const struct asked_subject *s = want_subject(a, buf_cstr(&name));
    if (s == NULL) {
        error_set(&to->fault, ERROR_SETUP, "no schema registry is configured");
    } else if (s->is_known) {
        set(to, s->schema, &s->fault);
    }
}

/* Does it still lack one? */
static bool lacks(struct app *a, struct scout_mail *m)
{
    for (size_t i = 0; i < m->schemas.count; i++) {
        struct creation_schema *s = &m->schemas.items[i];
        if (s->schema != NULL || s->fault.class != ERROR_NONE) {
            continue;
        }
        if (s->ref.kind == SCHEMA_REF_NONE) {
            fill_by_subject(a, m->topic, s);
        } else {
            fill_by_ref(a, s);
        }
    }
    return creation_schemas_lack(&m->schemas) != NULL;
}

/* ---- held ---- */

bool app_creating_is_lacking(const struct app *a, const struct scout_mail *m)
{
    return m->kind == SCOUT_PLAN && !m->failed && m->cfg == a->cfg &&
           creation_schemas_lack(&m->schemas) != NULL;
}

void app_creating_hold(struct app *a, struct scout_mail *m)
{
    m->mail.next = a->held;
    a->held = &m->mail;
}

static void refuse(struct app *a, struct scout_mail *m)
{
    m->error = a->registry_fault;
    m->error.class = ERROR_SETUP;
    error_wrap(&m->error, "a table does not exist, and what it is to be made from is not known");
    if (*m->error.hint == '\0') {
        error_hint(&m->error, "It is made when the registry answers.");
    }
    crew_answer(a->crew, m);
}

static struct scout_mail *take_held(struct mail **at)
{
    struct mail *m = *at;

    *at = m->next;
    m->next = NULL;
    return (struct scout_mail *) m;
}

void app_creating_turn(struct app *a, usec_t now)
{
    take_answers(a);
    for (struct mail **at = &a->held; *at != NULL;) {
        if (!lacks(a, (struct scout_mail *) *at)) {
            scout_ask(a->scout, take_held(at));
        } else if (a->registry_fault.class != ERROR_NONE) {
            refuse(a, take_held(at));
        } else {
            at = &(*at)->next;
        }
    }
    forget_subjects(a, now);
}

void app_creating_reload(struct app *a)
{
    forget_subjects(a, USEC_NEVER);
    while (a->held != NULL) { /* of the former one: the crew asks again */
        struct scout_mail *m = take_held(&a->held);
        m->failed = true;
        crew_answer(a->crew, m);
    }
}

void app_creating_done(struct app *a)
{
    while (a->held != NULL) {
        scout_mail_free(take_held(&a->held));
    }
    take_answers(a);
    while (a->subjects != NULL) {
        drop(&a->subjects);
    }
}
