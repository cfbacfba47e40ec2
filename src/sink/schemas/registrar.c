/*
 * The registrar's loop. What is asked waits in a list, oldest first; at each turn one question of
 * it is put that is due. While the registry is away one is put after each pause, another one each
 * time, since a fault may be of one question alone; once it answers all are due. Registrar thread;
 * start, ask, stop: main.
 */
#include "sink/schemas/registrar.h"

#include "base/backoff.h"
#include "base/mem.h"
#include "base/thread.h"
#include "sink/plan/prepare.h"
#include "sink/schemas/schema_source.h"
#include "sink/shared/delays.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A copy of the registry may not have yet what its leader has just been given. */
#define ABSENT_RETRY USEC_PER_SEC
/* How long a session with PostgreSQL is kept for the next question. */
#define SESSION_KEPT (10 * USEC_PER_SEC)
/* What could not be written down yet; more of them are asked for again one day. */
#define UNKEPT_MOST 1000U

struct question {
    struct schema_mail *mail; /* NULL: it is answered, and only `text` is to be kept */
    struct schema_text text;
    struct schema_ref ref;
    bool recalled;       /* our own table has answered, and does not have it */
    usec_t absent_since; /* 0: the registry has not said so */
    usec_t due;
    struct question *next;
};

struct registrar {
    const struct config *cfg;
    struct mailbox *answers;
    struct mailbox questions;
    struct thread thread;
    int stop_fd;
    struct schema_source *source;
    struct conn *conn; /* NULL: there is no schema of ours */
    usec_t conn_used;
    usec_t recall_at;  /* before that our own table is not asked */
    bool refusal_said; /* PostgreSQL refuses to read or to keep schemas: main knows */
    struct question *first;
    size_t unkept;
    struct backoff backoff;
    bool away;
    enum error_class said; /* away: of the fault that main was given; NONE: of an older config */
    usec_t again;          /* away: before that nothing is asked */
    char name[96];
};

struct schema_mail *schema_mail_new(enum schema_mail_kind kind)
{
    struct schema_mail *m = mem_zalloc(sizeof *m);

    m->kind = kind;
    return m;
}

void schema_mail_free(struct schema_mail *m)
{
    schema_drop(m->schema);
    free(m->subject);
    free(m);
}

static void report(struct registrar *r, enum schema_mail_kind kind, const struct schema_ref *ref,
                   const struct error *err)
{
    struct schema_mail *m = schema_mail_new(kind);

    if (ref != NULL) {
        m->ref = *ref;
    }
    if (err != NULL) {
        m->error = *err;
    }
    mailbox_post(r->answers, &m->mail);
}

/* ---- the list ---- */

static void append(struct registrar *r, struct question *q)
{
    struct question **at = &r->first;

    while (*at != NULL) {
        at = &(*at)->next;
    }
    q->next = NULL;
    *at = q;
}

static void take_out(struct registrar *r, struct question *q)
{
    struct question **at = &r->first;

    while (*at != q) {
        at = &(*at)->next;
    }
    *at = q->next;
}

static void question_free(struct question *q)
{
    if (q->mail != NULL) {
        schema_mail_free(q->mail);
    }
    schema_text_done(&q->text);
    free(q);
}

/* ---- PostgreSQL ---- */

static void open_source(struct registrar *r)
{
    const struct config *cfg = r->cfg;

    if (config_has_registry(cfg)) {
        r->source = schema_source_new(cfg, r->stop_fd);
    }
    if (config_needs_schema(cfg)) {
        struct conn_settings settings = prepare_conn_settings(cfg, r->name);
        r->conn = conn_new(&settings);
    }
}

static void close_source(struct registrar *r)
{
    r->source = schema_source_free(r->source);
    if (r->conn != NULL) {
        r->conn = conn_free(r->conn);
    }
}

static bool has_session(struct registrar *r, struct error *err)
{
    r->conn_used = clock_mono();
    return conn_is_open(r->conn) || conn_open_wait(r->conn, r->stop_fd, err);
}

/* Will a statement, within a session, be refused again? Mostly a right is missing. */
static bool is_refused(struct registrar *r, const struct error *err)
{
    if (err->class == ERROR_LINK || err->class == ERROR_AGAIN) {
        return false;
    }
    if (!r->refusal_said) {
        r->refusal_said = true;
        report(r, SCHEMA_REFUSED, NULL, err);
    }
    return true;
}

/* A database that is away is the workers' to report; the registry may answer meanwhile, and the
 * table is asked again later. */
static bool recall(struct registrar *r, struct question *q)
{
    struct error err;
    bool found = false;

    q->recalled = r->conn == NULL ||
                  (has_session(r, &err) &&
                   (schema_source_recall(r->cfg, &q->ref, r->conn, &found, &q->text, &err) ||
                    is_refused(r, &err)));
    if (!q->recalled) {
        r->recall_at = clock_mono() + delay_retry();
    }
    return found;
}

static bool keep(struct registrar *r, struct question *q)
{
    struct error err;

    return has_session(r, &err) &&
           (schema_source_keep(r->cfg, &q->ref, r->conn, &q->text, &err) || is_refused(r, &err));
}

/* ---- answers ---- */

static const char *subject_of(const struct question *q)
{
    return q->mail != NULL ? q->mail->subject : NULL;
}

static void give(struct registrar *r, struct question *q, const struct schema *schema,
                 const struct error *err)
{
    struct schema_mail *m = TAKE_PTR(q->mail);

    m->schema = schema;
    if (err != NULL) {
        m->error = *err;
        _cleanup_buf_ struct buf name = {0};
        if (m->subject == NULL) {
            schema_source_ref_text(&q->ref, &name);
        }
        error_wrap(&m->error, m->subject != NULL ? "subject '%s'" : "schema %s",
                   m->subject != NULL ? m->subject : buf_cstr(&name));
    }
    mailbox_post(r->answers, &m->mail);
}

/* What is known of it is compiled, or found not to be usable. */
static void give_text(struct registrar *r, struct question *q)
{
    const struct schema *schema = NULL;
    struct error err;
    bool ok = schema_source_compile(&q->text, &schema, &err);

    give(r, q, schema, ok ? NULL : &err);
}

static void finish(struct registrar *r, struct question *q)
{
    take_out(r, q);
    question_free(q);
}

/* It is answered already; keeping it is not what anybody waits for. */
static void keep_later(struct registrar *r, struct question *q)
{
    take_out(r, q);
    if (r->conn == NULL || r->unkept >= UNKEPT_MOST) {
        question_free(q);
        return;
    }
    r->unkept++;
    q->due = 0;
    append(r, q);
}

static void turn_keep(struct registrar *r, struct question *q)
{
    if (r->conn != NULL && !keep(r, q)) {
        take_out(r, q);
        q->due = clock_mono() + delay_retry();
        append(r, q);
        return;
    }
    r->unkept--;
    finish(r, q);
}

/* ---- the registry ---- */

static void set_away(struct registrar *r, const struct error *err)
{
    usec_t pause = err->class == ERROR_SETUP ? backoff_longest(&r->backoff)
                                             : backoff_next(&r->backoff);

    r->again = clock_mono() + pause;
    if (!r->away || r->said == ERROR_NONE ||
        (err->class == ERROR_SETUP && r->said != ERROR_SETUP)) { /* somebody must act: is said */
        r->away = true;
        r->said = err->class;
        report(r, SCHEMA_AWAY, NULL, err);
    }
}

static void set_back(struct registrar *r)
{
    backoff_reset(&r->backoff);
    r->again = 0;
    if (r->away) {
        r->away = false;
        report(r, SCHEMA_BACK, NULL, NULL);
    }
}

/* It is believed when it has said so for long enough, and our own table does not have it either. */
static void turn_absent(struct registrar *r, struct question *q, struct error *err)
{
    usec_t now = clock_mono();

    if (subject_of(q) != NULL) { /* nobody has named it as one that exists */
        give(r, q, NULL, err);
        finish(r, q);
        return;
    }
    if (q->absent_since == 0) {
        q->absent_since = now;
    }
    if (now - q->absent_since >= delay_schema_absent() && now >= r->recall_at) {
        if (recall(r, q)) {
            give_text(r, q);
            finish(r, q);
            return;
        }
        if (q->recalled) {
            give(r, q, NULL, err);
            finish(r, q);
            return;
        }
    }
    take_out(r, q);
    q->due = now + MIN(ABSENT_RETRY, delay_schema_absent());
    append(r, q);
}

static void turn_ask(struct registrar *r, struct question *q)
{
    struct error err;
    bool encrypted = false;
    const char *subject = subject_of(q);
    enum registry_outcome outcome = subject != NULL
                                        ? schema_source_latest(r->source, subject, &q->text, &err)
                                        : schema_source_fetch(r->source, &q->ref, &q->text,
                                                              &encrypted, &err);

    switch (outcome) {
    case REGISTRY_FOUND:
        set_back(r);
        if (encrypted) {
            report(r, SCHEMA_ENCRYPTED, &q->ref, NULL);
        }
        give_text(r, q);
        if (subject != NULL) {
            finish(r, q);
        } else {
            keep_later(r, q);
        }
        break;
    case REGISTRY_ABSENT:
        set_back(r);
        turn_absent(r, q, &err);
        break;
    case REGISTRY_UNUSABLE:
        set_back(r);
        give(r, q, NULL, &err);
        finish(r, q);
        break;
    case REGISTRY_AWAY:
        set_away(r, &err);
        q->absent_since = 0; /* the copy that answers next may lag as well */
        take_out(r, q);
        append(r, q); /* another one is tried next */
        break;
    }
}

static void no_registry(struct registrar *r, struct question *q)
{
    struct error err;

    error_set(&err, ERROR_SETUP, "no schema registry is configured");
    error_hint(&err, "The record names a schema of a registry: set registry.url.");
    give(r, q, NULL, &err);
    finish(r, q);
}

/* When the registry can be asked; without one, when our own table has answered. */
static usec_t ask_at(const struct registrar *r, const struct question *q)
{
    if (r->source == NULL) {
        return q->recalled ? q->due : USEC_NEVER;
    }
    return MAX(q->due, r->again);
}

static usec_t due_at(const struct registrar *r, const struct question *q)
{
    if (q->mail == NULL) {
        return q->due;
    }
    return q->recalled ? ask_at(r, q) : MIN(r->recall_at, ask_at(r, q));
}

/* One step of the first question that can make one; false: none can before *out_at. */
static bool turn(struct registrar *r, usec_t *out_at)
{
    usec_t now = clock_mono();

    *out_at = USEC_NEVER;
    for (struct question *q = r->first; q != NULL; q = q->next) {
        usec_t due = due_at(r, q);
        if (due > now) {
            *out_at = MIN(*out_at, due);
            continue;
        }
        if (q->mail == NULL) {
            turn_keep(r, q);
        } else if (!q->recalled && r->recall_at <= now && recall(r, q)) {
            give_text(r, q);
            finish(r, q);
        } else if (ask_at(r, q) <= now && r->source == NULL) {
            no_registry(r, q);
        } else if (ask_at(r, q) <= now) {
            turn_ask(r, q);
        }
        return true;
    }
    return false;
}

/* ---- mail ---- */

static void configure(struct registrar *r, struct schema_mail *m)
{
    close_source(r);
    r->cfg = m->cfg;
    open_source(r);
    backoff_reset(&r->backoff); /* whether it answers now will be seen */
    r->again = 0;
    r->recall_at = 0;
    r->refusal_said = false;
    r->said = ERROR_NONE;
    r->away = r->away && r->source != NULL;
    struct question *next;
    for (struct question *q = r->first; q != NULL; q = next) {
        next = q->next;
        if (q->mail == NULL && m->is_other) { /* the text is one of the former registry's */
            r->unkept--;
            finish(r, q);
            continue;
        }
        q->recalled = subject_of(q) != NULL;
        q->absent_since = 0;
        q->due = 0;
    }
    mailbox_post(r->answers, &m->mail);
}

static void take_mail(struct registrar *r)
{
    struct mail *m = mailbox_take(&r->questions);

    while (m != NULL) {
        struct schema_mail *s = (struct schema_mail *) m;
        m = m->next;
        if (s->kind == SCHEMA_CONFIGURE) {
            configure(r, s);
            continue;
        }
        struct question *q = mem_zalloc(sizeof *q);
        q->mail = s;
        q->ref = s->ref;
        q->recalled = s->subject != NULL; /* our own table has none */
        append(r, q);
    }
}

static bool is_stopped(const struct registrar *r)
{
    struct pollfd fd = {.fd = r->stop_fd, .events = POLLIN};

    return poll(&fd, 1, 0) != 0;
}

static void wait_until(struct registrar *r, usec_t at)
{
    struct pollfd fds[] = {
        {.fd = r->stop_fd, .events = POLLIN},
        {.fd = r->questions.fd, .events = POLLIN},
    };

    if (r->conn != NULL && conn_is_open(r->conn)) {
        at = MIN(at, r->conn_used + SESSION_KEPT);
    }
    poll(fds, ARRAY_LEN(fds), clock_poll_ms(clock_mono(), at));
    if (r->conn != NULL && clock_mono() >= r->conn_used + SESSION_KEPT) {
        conn_close(r->conn);
    }
}

static void run(void *arg)
{
    struct registrar *r = arg;
    usec_t at;

    while (!is_stopped(r)) {
        take_mail(r);
        if (!turn(r, &at)) {
            wait_until(r, at);
        }
    }
}

struct registrar *registrar_start(const struct config *cfg, struct mailbox *answers)
{
    struct registrar *r = mem_zalloc(sizeof *r);

    r->cfg = cfg;
    r->answers = answers;
    mailbox_init(&r->questions);
    r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->stop_fd < 0) {
        abort();
    }
    snprintf(r->name, sizeof r->name, "pgsinkd %s registrar", cfg->sink);
    backoff_init(&r->backoff, 200 * USEC_PER_MSEC, 10 * USEC_PER_SEC, clock_mono());
    open_source(r);
    thread_start(&r->thread, "registrar", run, r);
    return r;
}

void registrar_ask(struct registrar *r, struct schema_mail *m)
{
    mailbox_post(&r->questions, &m->mail);
}

bool registrar_stop(struct registrar *r, usec_t timeout)
{
    uint64_t one = 1;

    if (write(r->stop_fd, &one, sizeof one) < 0) {
        abort();
    }
    if (!thread_join_until(&r->thread, timeout)) {
        return false;
    }
    for (struct mail *m = mailbox_take(&r->questions); m != NULL;) {
        struct mail *next = m->next;
        schema_mail_free((struct schema_mail *) m);
        m = next;
    }
    while (r->first != NULL) {
        finish(r, r->first);
    }
    mailbox_done(&r->questions);
    close_source(r);
    close(r->stop_fd);
    free(r);
    return true;
}
