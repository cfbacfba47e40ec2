/*
 * See content.h. Partitions are compared side by side, each by one of a few threads, which have a
 * connection to either server, a decoder and a batch of their own:
 *
 *     Kafka -> record_rows() -> batch -> a temporary table <- compared -> target, dead letters
 *
 * The routes' plan is read by all of them and changed by none. Nothing is written but temporary
 * tables, and the group is not joined.
 */
#include "command/content.h"

#include "base/mem.h"
#include "base/thread.h"
#include "kafka/lookup.h"
#include "kafka/scan.h"
#include "pg/content.h"
#include "row/record/record.h"
#include "sink/plan/plan.h"
#include "sink/plan/prepare.h"

#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOKUP_TIMEOUT (10 * USEC_PER_SEC)
#define SILENCE_TIMEOUT (30 * USEC_PER_SEC) /* of a partition that is being read */
#define ANSWER_TIMEOUT (3600 * USEC_PER_SEC)
#define THREADS_MAX 4U
#define CHUNK_RECORDS 20000U
#define CHUNK_BYTES ((size_t) 8 << 20)
#define LISTED_MAX 100 /* findings that are printed */
#define BAR_MS 200

/* One partition. */
struct part {
    int32_t partition;
    int64_t from;
    int64_t to;
    int64_t low; /* where Kafka's log begins */
    bool done;
};

struct content_run {
    const struct command_args *args;
    const struct config *cfg;
    const char *topic;
    struct plan *plan;
    const struct topic_plan *topic_plan;
    struct content_table *tables;
    size_t table_count;
    size_t table_cap;
    struct part *parts;
    size_t part_count;
    struct content_gap *gaps;
    size_t gap_count;
    int64_t offsets; /* of all parts, that are compared */
    int64_t stored;  /* of all parts, that the ledger has passed */

    /* what the threads share */
    _Atomic size_t next_part;
    _Atomic int64_t passed; /* offsets */
    _Atomic size_t left;    /* threads that run */
    _Atomic bool stop;
    pthread_mutex_t lock; /* of all below */
    uint64_t records;
    uint64_t counts[CONTENT_KINDS];
    uint64_t listed;
    enum exit_code code;
};

struct content_thread {
    struct content_run *run;
    struct thread thread;
    struct conn *conn;
    struct scan *scan;
    struct decoder *decoder;
    struct batch *batch;
    struct content *content;
    struct content_reject *rejected;
    size_t rejected_count;
    size_t rejected_cap;
    uint64_t records; /* of this partition */
};

static const char *const KIND_NAMES[CONTENT_KINDS] = {"missing", "doubled", "different",
                                                      "without a record"};

static void fault(struct content_run *r, enum exit_code code, const struct error *err)
{
    thread_lock(&r->lock);
    fflush(stdout);
    command_fault(err);
    r->code = r->code == EXIT_OK ? code : r->code;
    thread_unlock(&r->lock);
    atomic_store(&r->stop, true);
}

/* ---- one partition ---- */

static bool is_in_gap(const struct content_run *r, const struct part *p, int64_t offset)
{
    for (size_t i = 0; i < r->gap_count; i++) {
        const struct content_gap *g = &r->gaps[i];
        if (g->partition == p->partition && offset >= g->from && offset < g->next) {
            return true;
        }
    }
    return false;
}

/* A route with a fixed table: the dead letter stands for a row of that. */
static void reject(struct content_thread *t, const struct record_route *route, int64_t offset)
{
    const struct target *target = mapping_target(route->mapping);
    size_t table = content_find(t->content, target->table);

    if (table < t->run->table_count) {
        t->rejected = mem_grow(t->rejected, &t->rejected_cap, t->rejected_count,
                               sizeof *t->rejected);
        t->rejected[t->rejected_count++] = (struct content_reject){
            .offset = offset, .route = target->route, .table = table};
    }
}

static void add_record(struct content_thread *t, const struct part *p, const struct message *msg)
{
    const struct topic_plan *plan = t->run->topic_plan;
    uint32_t span = batch_span(t->batch, t, t->run->topic, p->partition, 0, msg->offset);
    struct error why;

    batch_record_begin(t->batch, span, msg->offset, msg->timestamp_ms, -1);
    for (size_t i = 0; i < plan->route_count; i++) {
        if (!record_rows(t->decoder, &plan->routes[i], msg, t->batch, &why)) {
            reject(t, &plan->routes[i], msg->offset);
        }
    }
    batch_record_end(t->batch);
    t->records++;
}

static bool flush_chunk(struct content_thread *t, struct error *err)
{
    bool ok = batch_is_empty(t->batch) ||
              content_add(t->content, t->batch, t->rejected, t->rejected_count, err);

    batch_clear(t->batch);
    t->rejected_count = 0;
    return ok;
}

static bool is_full(const struct batch *b)
{
    return b->record_count >= CHUNK_RECORDS || b->bytes >= CHUNK_BYTES;
}

/* Fills err with class SETUP or LINK; of the source if *out_source. */
static bool read_part(struct content_thread *t, const struct part *p, bool *out_source,
                      struct error *err)
{
    struct content_run *r = t->run;
    int64_t at = p->from;
    struct message msg;

    *out_source = true;
    if (!scan_begin(t->scan, r->topic, p->partition, p->from, err)) {
        return false;
    }
    while (at < p->to && !atomic_load(&r->stop)) {
        enum scan_step step = scan_next(t->scan, SILENCE_TIMEOUT, &msg, err);
        if (step == SCAN_FAILED) {
            return false;
        }
        int64_t next = step == SCAN_END ? p->to : MIN(msg.offset + 1, p->to);
        atomic_fetch_add(&r->passed, next - at);
        at = next;
        if (step == SCAN_RECORD && msg.offset < p->to && !is_in_gap(r, p, msg.offset)) {
            add_record(t, p, &msg);
        }
        if (is_full(t->batch) && !flush_chunk(t, err)) {
            *out_source = false;
            return false;
        }
    }
    *out_source = false;
    return flush_chunk(t, err);
}

static void print_finding(const struct content_run *r, const struct part *p,
                          const struct content_table *table, const struct content_finding *f)
{
    if (r->args->json) {
        printf("{\"what\":\"%s\",\"topic\":\"%s\",\"partition\":%" PRId32 ",\"offset\":%" PRId64
               ",\"expected\":%" PRId64 ",\"found\":%" PRId64 "}\n",
               KIND_NAMES[f->kind], r->topic, p->partition, f->offset, f->expected, f->found);
    } else if (f->kind == CONTENT_DIFFERENT) {
        printf("%s-%" PRId32 "@%" PRId64 ": different in %s%s%s\n", r->topic, p->partition,
               f->offset, table->table->quoted, *f->columns != '\0' ? ": " : "", f->columns);
    } else {
        printf("%s-%" PRId32 "@%" PRId64 ": %s in %s: %" PRId64 " expected, %" PRId64 " found\n",
               r->topic, p->partition, f->offset, KIND_NAMES[f->kind], table->table->quoted,
               f->expected, f->found);
    }
}

/* Rows whose record Kafka has no longer are counted, and no fault. */
static void take_finding(struct content_run *r, const struct part *p,
                         const struct content_table *table, const struct content_finding *f)
{
    r->counts[f->kind] += f->count;
    if (f->kind == CONTENT_STRANGE) {
        return;
    }
    if (r->listed < LISTED_MAX) {
        r->listed++;
        print_finding(r, p, table, f);
    }
}

static bool compare_part(struct content_thread *t, const struct part *p, struct error *err)
{
    struct content_run *r = t->run;
    struct content_finding f;

    for (size_t i = 0; i < r->table_count; i++) {
        if (!content_compare(t->content, i, p->from, p->to, LISTED_MAX, err)) {
            return false;
        }
        thread_lock(&r->lock);
        while (content_next(t->content, &f)) {
            take_finding(r, p, &r->tables[i], &f);
        }
        thread_unlock(&r->lock);
    }
    return true;
}

static bool verify_part(struct content_thread *t, struct part *p)
{
    struct error err;
    bool of_source = false;

    t->records = 0;
    if (!content_begin(t->content, p->partition, &err) || !read_part(t, p, &of_source, &err) ||
        (!atomic_load(&t->run->stop) && !compare_part(t, p, &err))) {
        fault(t->run, of_source ? EXIT_SOURCE : EXIT_TARGET, &err);
        return false;
    }
    thread_lock(&t->run->lock);
    t->run->records += t->records;
    p->done = !atomic_load(&t->run->stop);
    thread_unlock(&t->run->lock);
    return true;
}

/* ---- the threads ---- */

static bool open_thread(struct content_thread *t)
{
    struct content_run *r = t->run;
    struct conn_settings settings = prepare_conn_settings(r->cfg, "pgsinkd verify");
    struct error err;

    settings.timeout_usec = ANSWER_TIMEOUT;
    t->conn = conn_new(&settings);
    t->decoder = decoder_new();
    t->batch = batch_new();
    t->content = content_new(t->conn, r->cfg->postgres.schema, r->cfg->sink, r->topic, r->tables,
                             r->table_count);
    if (!conn_open_wait(t->conn, -1, &err)) {
        fault(r, EXIT_TARGET, &err);
        return false;
    }
    t->scan = scan_new(r->cfg, &err);
    if (t->scan == NULL) {
        fault(r, EXIT_CONFIG, &err);
        return false;
    }
    return true;
}

static void close_thread(struct content_thread *t)
{
    scan_free(t->scan);
    content_free(t->content);
    batch_free(t->batch);
    decoder_free(t->decoder);
    conn_free(t->conn);
    free(t->rejected);
}

static void run_thread(void *arg)
{
    struct content_thread *t = arg;
    struct content_run *r = t->run;
    bool ok = open_thread(t);

    while (ok && !atomic_load(&r->stop)) {
        size_t i = atomic_fetch_add(&r->next_part, 1);
        ok = i < r->part_count && verify_part(t, &r->parts[i]);
    }
    close_thread(t);
    atomic_fetch_sub(&r->left, 1);
}

static void show_bar(const struct content_run *r, bool last)
{
    int64_t passed = atomic_load(&r->passed);
    int percent = r->offsets > 0 ? (int) (100 * passed / r->offsets) : 100;

    if (!isatty(STDERR_FILENO)) {
        return;
    }
    if (last) {
        fprintf(stderr, "\r%60s\r", "");
    } else {
        fprintf(stderr, "\r[%-30.*s] %3d %%, %" PRId64 " of %" PRId64 " offsets ",
                percent * 30 / 100, "##############################", percent, passed, r->offsets);
    }
    fflush(stderr);
}

static void run_threads(struct content_run *r)
{
    struct content_thread threads[THREADS_MAX] = {0};
    size_t n = MIN(MIN(r->part_count, config_workers(r->cfg)), THREADS_MAX);

    atomic_store(&r->left, n);
    for (size_t i = 0; i < n; i++) {
        threads[i].run = r;
        thread_start(&threads[i].thread, "verify", run_thread, &threads[i]);
    }
    while (atomic_load(&r->left) > 0) {
        show_bar(r, false);
        (void) poll(NULL, 0, BAR_MS);
    }
    for (size_t i = 0; i < n; i++) {
        thread_join(&threads[i].thread);
    }
    show_bar(r, true);
}

/* ---- what is compared ---- */

static const char *column_from(const struct table *t, const struct mapping *m, const char *wanted,
                               bool is_number)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const char *source;
        const char *encoding;
        enum column_type type = t->columns[i].type;
        mapping_describe(m, i, &source, &encoding);
        if (strcmp(source, wanted) == 0 && (!is_number || type == TYPE_INT4 || type == TYPE_INT8)) {
            return t->columns[i].name;
        }
    }
    return NULL;
}

/* Does anything but this topic fill the table of this name? */
static bool is_shared(const struct content_run *r, const struct table_name *name)
{
    for (size_t i = 0; i < r->cfg->route_count; i++) {
        const struct config_topics *topics = &r->cfg->routes[i].topics;
        bool is_ours = topics->count == 1 && !topics->items[0].is_regex &&
                       strcmp(topics->items[0].name, r->topic) == 0;
        if (!is_ours && table_name_same(&r->cfg->routes[i].table, name)) {
            return true;
        }
    }
    return false;
}

static void add_table(struct content_run *r, size_t route, const struct table *t,
                      const struct mapping *m)
{
    const struct config_route *c = &r->cfg->routes[route];
    struct content_table found = {
        .table = t,
        .partition = column_from(t, m, "meta.partition", true),
        .offset = column_from(t, m, "meta.offset", true),
        .topic = column_from(t, m, "meta.topic", false),
    };
    const char *why = NULL;

    if (c->mode != MODE_APPEND) {
        why = "its mode is not append: a row may be of any record with its key";
    } else if (found.partition == NULL || found.offset == NULL) {
        why = "it has no integer columns that hold meta.partition and meta.offset";
    } else if (found.topic == NULL && is_shared(r, &c->table)) {
        why = "other topics fill it, and no column holds meta.topic";
    }
    if (why != NULL) {
        fprintf(stderr, "table %s is not compared: %s\n", t->quoted, why);
        return;
    }
    for (size_t i = 0; i < r->table_count; i++) {
        if (strcmp(r->tables[i].table->quoted, t->quoted) == 0) {
            return;
        }
    }
    r->tables = mem_grow(r->tables, &r->table_cap, r->table_count, sizeof *r->tables);
    r->tables[r->table_count++] = found;
}

static bool load_plan(struct content_run *r, struct conn *c, struct error *err)
{
    struct plan_job **jobs;
    size_t n = plan_missing(r->plan, r->topic, &jobs);
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        ok = ok && plan_job_run(jobs[i], c, err);
        if (ok) {
            plan_add(r->plan, jobs[i]);
        } else {
            plan_job_free(jobs[i]);
        }
    }
    free(jobs);
    if (!ok) {
        return false;
    }
    r->topic_plan = plan_topic(r->plan, r->topic);
    for (size_t i = 0; i < r->topic_plan->route_count; i++) {
        size_t route = r->topic_plan->routes[i].number;
        const struct table *t;
        const struct mapping *m;
        for (size_t k = 0; k < plan_table_count(r->plan, route); k++) {
            if (plan_find(r->plan, route, r->topic, k, &t, &m)) {
                add_table(r, route, t, m);
            }
        }
    }
    return true;
}

static bool find_parts(struct content_run *r, struct conn *c, struct error *err)
{
    struct content_part *parts;

    if (!content_ledger(c, r->cfg->postgres.schema, r->cfg->sink, r->topic, &parts, &r->part_count,
                        &r->gaps, &r->gap_count, err)) {
        return false;
    }
    r->parts = mem_array(MAX(r->part_count, 1), sizeof *r->parts);
    for (size_t i = 0; i < r->part_count; i++) {
        int64_t to = r->args->to >= 0 ? MIN(r->args->to, parts[i].next_offset)
                                      : parts[i].next_offset;
        r->parts[i] = (struct part){
            .partition = parts[i].partition,
            .from = MIN(MAX(r->args->from, parts[i].first_offset), to),
            .to = to,
        };
        r->stored += MAX(parts[i].next_offset - parts[i].first_offset, 0);
    }
    free(parts);
    return true;
}

/* What Kafka has deleted cannot be read again. */
static bool find_lows(struct content_run *r, struct client *client, struct error *err)
{
    struct partition_ref *refs = mem_array(MAX(r->part_count, 1), sizeof *refs);

    for (size_t i = 0; i < r->part_count; i++) {
        refs[i] = (struct partition_ref){.topic = r->topic, .partition = r->parts[i].partition};
    }
    bool ok = lookup_offsets(client, refs, r->part_count, LOOKUP_EARLIEST, LOOKUP_TIMEOUT, err);
    for (size_t i = 0; ok && i < r->part_count; i++) {
        struct part *p = &r->parts[i];
        p->low = refs[i].offset;
        if (refs[i].offset == LOOKUP_FAILED) {
            ok = error_set(err, ERROR_LINK, "%s-%" PRId32 " does not answer", r->topic,
                           p->partition);
        } else if (p->low > p->from) {
            fprintf(stderr,
                    "%s-%" PRId32 ": offsets %" PRId64 " to %" PRId64
                    " are not compared: Kafka has deleted them\n",
                    r->topic, p->partition, p->from, MIN(p->low, p->to));
            p->from = MIN(p->low, p->to);
        }
        r->offsets += p->to - p->from;
    }
    free(refs);
    return ok;
}

/* ---- all of it ---- */

static bool find_target(struct content_run *r, struct error *err)
{
    struct conn_settings settings = prepare_conn_settings(r->cfg, "pgsinkd verify");
    struct conn *c = conn_new(&settings);
    bool ok = conn_open_wait(c, -1, err) && command_check_schema(c, r->cfg->postgres.schema, err) &&
              load_plan(r, c, err) && find_parts(r, c, err);

    conn_free(c);
    return ok;
}

static bool find_source(struct content_run *r, struct error *err)
{
    struct client *client = client_new(r->cfg, 1, err);

    if (client == NULL) {
        return false;
    }
    bool ok = find_lows(r, client, err);
    (void) client_close(client, clock_mono() + USEC_PER_SEC);
    return ok;
}

static void print_result(const struct content_run *r)
{
    uint64_t faults = r->counts[CONTENT_MISSING] + r->counts[CONTENT_DOUBLED] +
                      r->counts[CONTENT_DIFFERENT];

    if (r->args->json) {
        printf("{\"what\":\"summary\",\"topic\":\"%s\",\"partitions\":%zu,\"records\":%" PRIu64
               ",\"missing\":%" PRIu64 ",\"doubled\":%" PRIu64 ",\"different\":%" PRIu64
               ",\"without_record\":%" PRIu64 "}\n",
               r->topic, r->part_count, r->records, r->counts[CONTENT_MISSING],
               r->counts[CONTENT_DOUBLED], r->counts[CONTENT_DIFFERENT],
               r->counts[CONTENT_STRANGE]);
        return;
    }
    if (faults > r->listed) {
        printf("... and %" PRIu64 " more\n", faults - r->listed);
    }
    printf("%s: %" PRIu64 " records of %zu partition%s compared with %zu table%s: %" PRIu64
           " missing, %" PRIu64 " doubled, %" PRIu64 " different\n",
           r->topic, r->records, r->part_count, r->part_count == 1 ? "" : "s", r->table_count,
           r->table_count == 1 ? "" : "s", r->counts[CONTENT_MISSING], r->counts[CONTENT_DOUBLED],
           r->counts[CONTENT_DIFFERENT]);
    if (r->counts[CONTENT_STRANGE] > 0) {
        printf("%" PRIu64 " offsets have rows whose record is not in Kafka any more: they cannot "
               "be compared\n",
               r->counts[CONTENT_STRANGE]);
    }
}

static enum exit_code judge(const struct content_run *r)
{
    bool bad = r->counts[CONTENT_MISSING] + r->counts[CONTENT_DOUBLED] +
                   r->counts[CONTENT_DIFFERENT] >
               0;

    if (r->code != EXIT_OK) {
        return r->code;
    }
    if (r->table_count == 0 || r->part_count == 0 || (r->offsets == 0 && r->stored > 0)) {
        fprintf(stderr, "nothing of topic %s was compared\n", r->topic);
        return EXIT_FAULT;
    }
    return bad ? EXIT_FAULT : EXIT_OK;
}

static void verify(struct content_run *r)
{
    struct error err;

    if (!find_target(r, &err)) {
        fault(r, EXIT_TARGET, &err);
    } else if (r->table_count > 0 && !find_source(r, &err)) {
        fault(r, EXIT_SOURCE, &err);
    } else if (r->table_count > 0 && r->part_count > 0) {
        run_threads(r);
        print_result(r);
    }
}

enum exit_code content_verify(const struct command_args *args)
{
    struct content_run r = {
        .args = args,
        .cfg = args->cfg,
        .topic = args->content,
        .plan = plan_new(args->cfg),
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .code = EXIT_OK,
    };
    enum exit_code code = EXIT_USAGE;

    if (!plan_takes(r.plan, r.topic)) {
        fprintf(stderr, "pgsinkd verify: no route takes topic '%s'\n", r.topic);
    } else {
        verify(&r);
        code = judge(&r);
    }
    free(r.tables);
    free(r.parts);
    free(r.gaps);
    plan_free(r.plan);
    return code;
}
