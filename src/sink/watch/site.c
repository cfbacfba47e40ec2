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
/* What a page may have; and beside that, for each partition that has metrics of its own. */
#define BODY_BYTES (UINT64_C(4) << 20)
#define PARTITION_BYTES UINT64_C(1024)
#define ASK_PATIENCE USEC_PER_SEC

/* To the site. */
enum note_kind { NOTE_SNAPSHOT, NOTE_LIMIT, NOTE_END };

struct note {
    struct mail mail;
    enum note_kind kind;
    struct snapshot *snapshot; /* SNAPSHOT */
    uint32_t limit;            /* LIMIT */
};

/* A page as it was written last, for all who ask for it while it is as new as what is shown. */
enum shared {
    SHARED_STATUS,
    SHARED_TEXT,
    SHARED_OPENMETRICS,
    SHARED_PAGES,
    SHARED_NOT = SHARED_PAGES
};
struct shared_page {
    struct http_page *page; /* NULL: none */
    usec_t made;
    bool late; /* main owed an answer then */
};

struct site {
    struct site_config sc;
    char *sink;
    uint32_t partition_limit;
    struct thread thread;
    bool started; /* main's: the thread is there */
    struct mailbox notes;
    struct http *http;
    struct snapshot *shown; /* NULL: nothing yet */
    struct samples samples;
    struct process_cost process; /* as seen last */
    usec_t asked_at;             /* 0: nothing is owed */
    bool ends;
    struct shared_page shared[SHARED_PAGES];
    char policy[256];              /* of the page that is being answered */
    struct http_request **waiting; /* for what is owed */
    size_t waiting_count;
    size_t waiting_cap;
};

/* ---- pages ---- */

/* Partitions with metrics of their own have three lines each, in names of up to 249 bytes. */
static uint64_t body_bytes(uint32_t partitions)
{
    return BODY_BYTES + (uint64_t) partitions * PARTITION_BYTES;
}

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
        .sink = s->sink,
        .librdkafka = client_library_version(),
        .buffer_limit = s->shown != NULL ? s->shown->buffer_limit : s->sc.buffer_limit,
        .partition_limit = s->partition_limit,
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
        .sink = s->sink,
        .librdkafka = client_library_version(),
        .owner = s->sc.owner,
        .ready = is_ready(s, &reason),
        .reason = buf_cstr(&reason),
        .limit = body_bytes(s->partition_limit),
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
    bool shows;  /* what main is to be asked for */
    bool shared; /* is the same for all who ask at about the same time */
    void (*write)(struct site *s, const char *accept, struct http_reply *out);
};

static const struct path *page_of(const char *path)
{
    static const struct path pages[] = {
        {"/", true, false, front_page},         {"/status", true, true, status_page},
        {"/metrics", true, true, metrics_page}, {"/readyz", true, false, ready_page},
        {"/livez", false, false, live_page},
    };
    static const struct path none = {"", false, false, no_page};

    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (strcmp(pages[i].path, path) == 0) {
            return &pages[i];
        }
    }
    return &none;
}

static void drop_shared(struct site *s)
{
    for (size_t i = 0; i < SHARED_PAGES; i++) {
        s->shared[i].page = http_page_drop(s->shared[i].page);
    }
}

static enum shared shared_of(const struct path *path, const char *accept)
{
    if (!path->shared) {
        return SHARED_NOT;
    }
    if (path->write == status_page) {
        return SHARED_STATUS;
    }
    return metrics_format_of(accept) == METRICS_TEXT ? SHARED_TEXT : SHARED_OPENMETRICS;
}

static void answer_shared(struct site *s, struct http_request *r, const struct path *path,
                          struct shared_page *shared)
{
    usec_t now = clock_mono();

    if (shared->page == NULL || now >= shared->made + SHOWN_AGE || shared->late != is_late(s)) {
        struct http_reply reply = {.status = 200};
        path->write(s, http_accept(r), &reply);
        http_page_drop(shared->page);
        *shared = (struct shared_page){http_page_new(s->http, &reply), now, is_late(s)};
    }
    http_answer_page(r, shared->page);
}

static void answer(struct site *s, struct http_request *r)
{
    const struct path *path = page_of(http_path(r));
    enum shared shared = shared_of(path, http_accept(r));
    struct http_reply reply = {.status = 200, .type = "text/plain; charset=utf-8"};

    if (shared != SHARED_NOT) {
        answer_shared(s, r, path, &s->shared[shared]);
        return;
    }
    path->write(s, http_accept(r), &reply);
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

static void take_note(struct site *s, const struct note *note)
{
    switch (note->kind) {
    case NOTE_SNAPSHOT:
        drop_shared(s); /* they are of before */
        snapshot_free(s->shown);
        s->shown = note->snapshot;
        snapshot_sort(s->shown);
        samples_add(&s->samples, s->shown);
        s->asked_at = 0;
        break;
    case NOTE_LIMIT:
        drop_shared(s);
        s->partition_limit = note->limit;
        break;
    case NOTE_END:
        s->ends = true;
        break;
    }
}

static void take_notes(struct site *s)
{
    struct mail *m = mailbox_take(&s->notes);

    while (m != NULL) {
        struct note *note = (struct note *) m;
        m = m->next;
        take_note(s, note);
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
    drop_shared(s);
    s->http = http_close(s->http);
}

/* ---- main's side ---- */

uint64_t site_memory(const struct config *cfg)
{
    return cfg->http.address.host[0] != '\0' ? http_memory(body_bytes(cfg->http.partitions)) : 0;
}

struct site *site_open(const struct site_config *sc, struct error *err)
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
    s->sink = mem_strdup(sc->cfg->sink);
    s->partition_limit = sc->cfg->http.partitions;
    s->sc.cfg = NULL; /* a reload frees it */
    s->http = http;
    mailbox_init(&s->notes);
    return s;
}

void site_start(struct site *s, struct site *former)
{
    if (former != NULL) {
        site_end(former);
        s->samples = former->samples;
        s->process = former->process;
        s->shown = TAKE_PTR(former->shown);
        site_stop(former);
    }
    thread_start(&s->thread, "http", run, s);
    s->started = true;
}

static void post(struct site *s, struct note what)
{
    struct note *note = mem_zalloc(sizeof *note);

    *note = what;
    mailbox_post(&s->notes, &note->mail);
}

void site_show(struct site *s, struct snapshot *shown)
{
    post(s, (struct note){.kind = NOTE_SNAPSHOT, .snapshot = shown});
}

void site_limit(struct site *s, uint32_t partitions)
{
    post(s, (struct note){.kind = NOTE_LIMIT, .limit = partitions});
}

void site_end(struct site *s)
{
    if (s->started) {
        post(s, (struct note){.kind = NOTE_END});
        thread_join(&s->thread);
        s->started = false;
    }
    take_notes(s); /* what came after the end */
}

void site_stop(struct site *s)
{
    if (s == NULL) {
        return;
    }
    site_end(s);
    s->http = http_close(s->http); /* it was never started */
    mailbox_done(&s->notes);
    snapshot_free(s->shown);
    free(s->waiting);
    free(s->sink);
    free(s);
}
