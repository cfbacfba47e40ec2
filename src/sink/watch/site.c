/* See site.h. All but start, show and stop: the thread of the site. */
#include "sink/watch/site.h"

#include "base/mem.h"
#include "base/thread.h"
#include "host/http.h"
#include "kafka/client.h"
#include "sink/watch/health.h"
#include "sink/watch/metrics.h"
#include "sink/watch/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* What is shown is asked for at most this often, and waited for that long. */
#define SHOWN_AGE USEC_PER_SEC
#define ASK_PATIENCE USEC_PER_SEC

/* To the site; without a snapshot: it is to end. */
struct note {
    struct mail mail;
    struct snapshot *snapshot;
};

struct site {
    struct site_config sc;
    struct thread thread;
    struct mailbox notes;
    struct http *http;
    struct snapshot *shown; /* NULL: nothing yet */
    struct samples samples;
    struct process_cost process; /* as seen last */
    usec_t asked_at;             /* 0: nothing is owed */
    bool ends;
    char policy[256];              /* of the page that is being answered */
    struct http_request **waiting; /* for what is owed */
    size_t waiting_count;
    size_t waiting_cap;
};

/* ---- pages ---- */

static bool is_late(const struct site *s)
{
    return s->asked_at != 0 && clock_mono() >= s->asked_at + ASK_PATIENCE;
}

static bool is_ready(const struct site *s, struct buf *why)
{
    return health_is_ready(s->shown, is_late(s), why);
}

static void metrics_page(struct site *s, const char *accept, struct http_reply *out)
{
    enum metrics_format format = metrics_format_of(accept);
    _cleanup_buf_ struct buf ignored = {0};
    struct metrics m = {
        .sink = s->sc.cfg->sink,
        .librdkafka = client_library_version(),
        .buffer_limit = s->shown != NULL ? s->shown->buffer_limit : s->sc.buffer_limit,
        .partition_limit = s->sc.cfg->http.partitions,
        .ready = is_ready(s, &ignored),
        .snapshot = s->shown,
    };

    process_look(&s->process);
    m.process = s->process;
    out->type = metrics_type(format);
    metrics_print(&m, format, &out->body);
}

static void ready_page(struct site *s, const char *accept, struct http_reply *out)
{
    _cleanup_buf_ struct buf why = {0};
    bool ready = is_ready(s, &why);

    (void) accept;
    out->status = ready ? 200 : 503;
    buf_printf(&out->body, "%s%s%s\n", ready ? "ready" : "", ready && why.n > 0 ? "; " : "",
               buf_cstr(&why));
}

static void live_page(struct site *s, const char *accept, struct http_reply *out)
{
    char who[32];

    (void) accept;
    if (vitals_alive(s->sc.vitals, clock_mono(), who, sizeof who)) {
        buf_add_z(&out->body, "alive\n");
    } else {
        out->status = 503;
        buf_printf(&out->body, "the loop of %s hangs\n", who);
    }
}

static void write_page(struct site *s, const char *nonce, struct buf *out)
{
    _cleanup_buf_ struct buf reason = {0};
    struct page p = {
        .sink = s->sc.cfg->sink,
        .librdkafka = client_library_version(),
        .owner = s->sc.owner,
        .ready = is_ready(s, &reason),
        .reason = buf_cstr(&reason),
        .snapshot = s->shown,
        .samples = &s->samples,
    };

    if (nonce != NULL) {
        page_html(&p, nonce, out);
    } else {
        page_json(&p, out);
    }
}

static void status_page(struct site *s, const char *accept, struct http_reply *out)
{
    (void) accept;
    out->type = "application/json";
    write_page(s, NULL, &out->body);
}

/* Nothing is loaded from elsewhere, and no text of anybody's can become a script. */
static void front_page(struct site *s, const char *accept, struct http_reply *out)
{
    uint64_t random[2] = {0};
    char nonce[40];

    (void) accept;
    if (getrandom(random, sizeof random, 0) != (ssize_t) sizeof random) {
        abort(); /* only a kernel without it */
    }
    snprintf(nonce, sizeof nonce, "%016llx%016llx", (unsigned long long) random[0],
             (unsigned long long) random[1]);
    snprintf(s->policy, sizeof s->policy,
             "default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'; connect-src 'self'; "
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
             nonce, nonce);
    out->type = "text/html; charset=utf-8";
    out->policy = s->policy;
    write_page(s, nonce, &out->body);
}

static void no_page(struct site *s, const char *accept, struct http_reply *out)
{
    (void) s;
    (void) accept;
    out->status = 404;
    buf_add_z(&out->body, "no such page; there are /, /status, /metrics, /livez and /readyz\n");
}

struct path {
    const char *path;
    bool shows; /* what main is to be asked for */
    void (*write)(struct site *s, const char *accept, struct http_reply *out);
};

static const struct path *page_of(const char *path)
{
    static const struct path pages[] = {
        {"/", true, front_page},          {"/status", true, status_page},
        {"/metrics", true, metrics_page}, {"/readyz", true, ready_page},
        {"/livez", false, live_page},
    };
    static const struct path none = {"", false, no_page};

    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (strcmp(pages[i].path, path) == 0) {
            return &pages[i];
        }
    }
    return &none;
}

static void answer(struct site *s, struct http_request *r)
{
    struct http_reply reply = {.status = 200, .type = "text/plain; charset=utf-8"};

    page_of(http_path(r))->write(s, http_accept(r), &reply);
    http_answer(r, &reply);
}

/* ---- what main shows ---- */

static void answer_waiting(struct site *s)
{
    for (size_t i = 0; i < s->waiting_count; i++) {
        answer(s, s->waiting[i]);
    }
    s->waiting_count = 0;
}

static void ask(struct site *s)
{
    if (s->asked_at == 0) {
        struct mail *m = mem_zalloc(sizeof *m);
        s->asked_at = clock_mono();
        mailbox_post(s->sc.asks, m);
    }
}

/* Is it worth while to wait for main? */
static bool wants_news(const struct site *s)
{
    bool fresh = s->shown != NULL && clock_mono() < s->shown->at + SHOWN_AGE;

    return !fresh && vitals_main_turns(s->sc.vitals);
}

static void take_request(struct site *s, struct http_request *r)
{
    if (!page_of(http_path(r))->shows || !wants_news(s)) {
        answer(s, r);
        return;
    }
    ask(s);
    if (is_late(s)) {
        answer(s, r); /* it owes an answer for long */
        return;
    }
    s->waiting = mem_grow(s->waiting, &s->waiting_cap, s->waiting_count,
                          sizeof(struct http_request *));
    s->waiting[s->waiting_count++] = r;
}

static void take_notes(struct site *s)
{
    struct mail *m = mailbox_take(&s->notes);

    while (m != NULL) {
        struct note *note = (struct note *) m;
        m = m->next;
        if (note->snapshot != NULL) {
            snapshot_free(s->shown);
            s->shown = note->snapshot;
            snapshot_sort(s->shown);
            samples_add(&s->samples, s->shown);
            s->asked_at = 0;
        } else {
            s->ends = true;
        }
        free(note);
    }
}

/* ---- the thread ---- */

static usec_t deadline(const struct site *s)
{
    if (s->asked_at != 0) {
        return s->waiting_count > 0 ? s->asked_at + ASK_PATIENCE : USEC_NEVER;
    }
    /* Also while nobody asks: plots begin before somebody looks at them. */
    return vitals_main_turns(s->sc.vitals) ? samples_due(&s->samples)
                                           : clock_mono() + SAMPLE_INTERVAL;
}

static void run(void *arg)
{
    struct site *s = arg;

    while (!s->ends) {
        http_wait(s->http, s->notes.fd, deadline(s));
        take_notes(s);
        for (struct http_request *r; (r = http_take(s->http)) != NULL;) {
            take_request(s, r);
        }
        if (s->asked_at == 0 || is_late(s)) {
            answer_waiting(s);
        }
        if (vitals_main_turns(s->sc.vitals) && clock_mono() >= samples_due(&s->samples)) {
            ask(s);
        }
    }
    s->http = http_close(s->http);
}

/* ---- main's side ---- */

struct site *site_start(const struct site_config *sc, struct error *err)
{
    const struct config_address *address = &sc->cfg->http.address;

    err->class = ERROR_NONE;
    if (address->host[0] == '\0') {
        return NULL;
    }
    struct http *http = http_open(address->host, address->port, err);
    if (http == NULL) {
        error_wrap(err, "'http.listen: %s'", sc->cfg->http.listen);
        config_error_locate(sc->cfg, sc->cfg->http.listen_pos, err);
        return NULL;
    }
    struct site *s = mem_zalloc(sizeof *s);
    s->sc = *sc;
    s->http = http;
    mailbox_init(&s->notes);
    thread_start(&s->thread, "http", run, s);
    return s;
}

static void post(struct site *s, struct snapshot *snapshot)
{
    struct note *note = mem_zalloc(sizeof *note);

    note->snapshot = snapshot;
    mailbox_post(&s->notes, &note->mail);
}

void site_show(struct site *s, struct snapshot *shown)
{
    post(s, shown);
}

void site_stop(struct site *s)
{
    if (s == NULL) {
        return;
    }
    post(s, NULL);
    thread_join(&s->thread);
    take_notes(s); /* what came after the end */
    mailbox_done(&s->notes);
    snapshot_free(s->shown);
    free(s->waiting);
    free(s);
}
