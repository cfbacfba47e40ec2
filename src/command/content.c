/*
 * See content.h. Partitions are compared side by side, each by one of a few threads, which have a
 * connection to either server, a decoder and a batch of their own:
 *
 *     Kafka -> record_rows() -> batch -> a temporary table <- compared -> target, dead letters
 *
 * So it is for tables that are appended to, at most PASS_RECORDS at a time. What becomes of a key
 * in other tables may depend on all partitions: for these all threads fill the temporary tables of
 * one more connection, in turn, and the last to end compares them (pg/presence.h).
 *
 * The routes' plan is read by all of them and changed by none. Nothing is written but temporary
 * tables, and the group is not joined.
 */
#include "command/content.h"

#include "base/mem.h"
#include "base/thread.h"
#include "command/content_tables.h"
#include "command/content_text.h"
#include "kafka/lookup.h"
#include "kafka/scan.h"
#include "pg/content.h"
#include "pg/presence.h"
#include "row/record/record.h"
#include "sink/plan/plan.h"
#include "sink/plan/prepare.h"
#include "sink/schemas/teacher.h"

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
#define PASS_RECORDS 1000000U
#define LISTED_MAX 100 /* findings that are printed */
#define BAR_MS 200

/* One partition. */
struct part {
    int32_t partition;
    int64_t from;
    int64_t to;
    int64_t first;  /* what is before was never stored */
    int64_t next;   /* where the ledger stands */
    int64_t former; /* below this there may be rows of a former log */
    uint64_t records;
};

struct content_run {
    const struct command_args *args;
    const struct config *cfg;
    const char *topic;
    struct plan *plan;
    const struct topic_plan *topic_plan;
    struct content_tables tables;
    bool is_compacted; /* Kafka deletes records that a later one of their key has replaced */
    struct part *parts;
    size_t part_count;
    struct content_gap *gaps;
    size_t gap_count;
    int64_t offsets;   /* of all parts, that are compared */
    int64_t stored;    /* of all parts, that the ledger has passed */
    struct conn *conn; /* of `presence` */

    /* what the threads share */
    _Atomic size_t next_part;
    _Atomic int64_t passed; /* offsets */
    _Atomic size_t left;    /* threads that run */
    _Atomic bool stop;
    pthread_mutex_t lock; /* of all below */
    struct presence *presence;
    struct content_summary sum;
    enum exit_code code;
};

struct content_thread {
    struct content_run *run;
    struct thread thread;
    struct conn *conn;
    struct scan *scan;
    struct decoder *decoder;
    struct teacher *teacher;
    struct batch *batch;
    struct content *content;
    struct content_reject *rejected; /* tables of `tables` */
    size_t rejected_count;
    size_t rejected_cap;
    struct content_reject *key_rejected; /* tables of `keyed` */
    size_t key_rejected_count;
    size_t key_rejected_cap;
    int64_t at;        /* read up to here */
    int64_t pass_from; /* compared up to here */
    uint64_t pass_records;
};

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

static void add_reject(struct content_reject **list, size_t *n, size_t *cap, int64_t offset,
                       const struct target *target, size_t table)
{
    *list = mem_grow(*list, cap, *n, sizeof **list);
    (*list)[(*n)++] = (struct content_reject){.offset = offset, .target = target, .table = table};
}

/* A route with a fixed table: the dead letter stands for a row of that. */
static void reject(struct content_thread *t, const struct record_route *route, int64_t offset)
{
    const struct target *target = mapping_target(route->mapping);
    size_t table = content_find(t->content, target->table);
    size_t keyed = presence_find(t->run->presence, target->table);

    if (table < t->run->tables.appended_count) {
        add_reject(&t->rejected, &t->rejected_count, &t->rejected_cap, offset, target, table);
    }
    if (keyed < t->run->tables.keyed_count) {
        add_reject(&t->key_rejected, &t->key_rejected_count, &t->key_rejected_cap, offset, target,
                   keyed);
    }
}

/* False, but for a fault: the schema that it was written with cannot be had, and nothing is known.
 */
static bool make_rows(struct content_thread *t, const struct record_route *route,
                      const struct message *msg)
{
    struct error why;
    struct error err;

    while (!record_rows(t->decoder, route, msg, t->batch, &why)) {
        if (why.class == ERROR_RECORD) {
            reject(t, route, msg->offset);
            return true;
        }
        err = why;
        if (why.class != ERROR_AGAIN || !teacher_teach(t->teacher, t->decoder, &err)) {
            fault(t->run, EXIT_FAULT, &err);
            return false;
        }
    }
    return true;
}

static void add_record(struct content_thread *t, struct part *p, const struct message *msg)
{
    const struct topic_plan *plan = t->run->topic_plan;
    uint32_t span = batch_span(t->batch, t, t->run->topic, p->partition, 0, msg->offset);
    bool ok = true;

    batch_record_begin(t->batch, span, msg->offset, msg->timestamp_ms, -1);
    for (size_t i = 0; ok && i < plan->route_count; i++) {
        ok = make_rows(t, &plan->routes[i], msg);
    }
    batch_record_end(t->batch);
    t->pass_records++;
    p->records++;
}

static bool flush_keys(struct content_thread *t, const struct part *p, struct error *err)
{
    struct content_run *r = t->run;

    if (r->tables.keyed_count == 0) {
        return true;
    }
    thread_lock(&r->lock);
    bool ok = presence_add(r->presence, p->partition, t->batch, t->key_rejected,
                           t->key_rejected_count, err);
    thread_unlock(&r->lock);
    return ok;
}

static bool flush_chunk(struct content_thread *t, const struct part *p, struct error *err)
{
    bool ok = batch_is_empty(t->batch) ||
              ((t->run->tables.appended_count == 0 ||
                content_add(t->content, t->batch, t->rejected, t->rejected_count, err)) &&
               flush_keys(t, p, err));

    batch_clear(t->batch);
    t->rejected_count = 0;
    t->key_rejected_count = 0;
    return ok;
}

static bool is_full(const struct batch *b)
{
    return b->record_count >= CHUNK_RECORDS || b->bytes >= CHUNK_BYTES;
}

/* Rows whose record Kafka has no longer are counted, and no fault. */
static void take_finding(struct content_run *r, const struct part *p,
                         const struct content_table *table, const struct content_finding *f)
{
    r->sum.counts[f->kind] += f->count;
    if (f->kind != CONTENT_STRANGE && f->kind != CONTENT_FORMER && r->sum.listed < LISTED_MAX) {
        r->sum.listed++;
        content_text_finding(&r->sum, p->partition, table->table, f);
    }
}

static bool compare_pass(struct content_thread *t, const struct part *p, struct error *err)
{
    struct content_run *r = t->run;
    const struct content_range range = {t->pass_from, t->at, p->former};
    struct content_finding f;

    for (size_t i = 0; i < r->tables.appended_count; i++) {
        if (!content_compare(t->content, i, range, LISTED_MAX, err)) {
            return false;
        }
        thread_lock(&r->lock);
        while (content_next(t->content, &f)) {
            take_finding(r, p, &r->tables.appended[i], &f);
        }
        thread_unlock(&r->lock);
    }
    t->pass_from = t->at;
    t->pass_records = 0;
    return r->tables.appended_count == 0 || content_begin(t->content, p->partition, err);
}

/* Where a chunk is full it is sent, and where a pass is long enough it is compared. */
static bool step(struct content_thread *t, const struct part *p, struct error *err)
{
    return (!is_full(t->batch) || flush_chunk(t, p, err)) &&
           (t->pass_records < PASS_RECORDS || (flush_chunk(t, p, err) && compare_pass(t, p, err)));
}

/* Fills err with class SETUP or LINK; of the source if *out_source. */
static bool read_part(struct content_thread *t, struct part *p, bool *out_source, struct error *err)
{
    struct content_run *r = t->run;
    struct message msg;

    *out_source = true;
    if (!scan_begin(t->scan, r->topic, p->partition, p->from, err)) {
        return false;
    }
    while (t->at < p->to && !atomic_load(&r->stop)) {
        enum scan_step found = scan_next(t->scan, SILENCE_TIMEOUT, &msg, err);
        if (found == SCAN_FAILED) {
            return false;
        }
        int64_t next = found == SCAN_END ? p->to : MIN(msg.offset + 1, p->to);
        atomic_fetch_add(&r->passed, next - t->at);
        t->at = next;
        if (found == SCAN_RECORD && msg.offset < p->to && !is_in_gap(r, p, msg.offset)) {
            add_record(t, p, &msg);
        }
        if (!step(t, p, err)) {
            *out_source = false;
            return false;
        }
    }
    *out_source = false;
    return flush_chunk(t, p, err) && (atomic_load(&r->stop) || compare_pass(t, p, err));
}

static bool verify_part(struct content_thread *t, struct part *p)
{
    struct error err;
    bool of_source = false;

    t->at = p->from;
    t->pass_from = p->from;
    t->pass_records = 0;
    if ((t->run->tables.appended_count > 0 && !content_begin(t->content, p->partition, &err)) ||
        !read_part(t, p, &of_source, &err)) {
        fault(t->run, of_source ? EXIT_SOURCE : EXIT_TARGET, &err);
        return false;
    }
    thread_lock(&t->run->lock);
    t->run->sum.records += p->records;
    thread_unlock(&t->run->lock);
    return true;
}

/* ---- tables with a key ---- */

/* The offsets of gaps that lie in what is read. */
static int64_t in_gaps(const struct content_run *r, const struct part *p)
{
    int64_t n = 0;

    for (size_t i = 0; i < r->gap_count; i++) {
        const struct content_gap *g = &r->gaps[i];
        if (g->partition == p->partition) {
            n += MAX(MIN(g->next, p->to) - MAX(g->from, p->from), 0);
        }
    }
    return n;
}

/* Can no record that was stored be unknown here, but for those that come now? */
static bool is_whole(const struct content_run *r, const struct part *p)
{
    return p->from == p->first &&
           (!r->is_compacted || (int64_t) p->records + in_gaps(r, p) == p->to - p->from);
}

static bool compare_keys(struct content_run *r, struct error *err)
{
    struct presence_part *parts = mem_array(MAX(r->part_count, 1), sizeof *parts);
    struct presence_finding f;

    for (size_t i = 0; i < r->part_count; i++) {
        const struct part *p = &r->parts[i];
        parts[i] = (struct presence_part){
            .partition = p->partition, .from = p->from, .to = p->to, .is_whole = is_whole(r, p)};
    }
    bool ok = presence_end(r->presence, parts, r->part_count, err);
    for (size_t i = 0; ok && i < r->tables.keyed_count; i++) {
        ok = presence_compare(r->presence, i, LISTED_MAX, err);
        while (ok && presence_next(r->presence, &f)) {
            r->sum.key_counts[f.kind] += f.count;
            if (f.kind < PRESENCE_FAULTS && r->sum.listed < LISTED_MAX) {
                r->sum.listed++;
                content_text_key_finding(&r->sum, r->tables.keyed[i].target->table, &f);
            }
        }
    }
    free(parts);
    return ok;
}

static bool open_presence(struct content_run *r, struct error *err)
{
    struct conn_settings settings = prepare_conn_settings(r->cfg, "pgsinkd verify");

    settings.timeout_usec = ANSWER_TIMEOUT;
    r->conn = conn_new(&settings);
    r->presence = presence_new(r->conn, r->cfg->postgres.schema, r->cfg->sink, r->topic,
                               r->tables.keyed, r->tables.keyed_count);
    return r->tables.keyed_count == 0 ||
           (conn_open_wait(r->conn, -1, err) && presence_begin(r->presence, err));
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
    t->teacher = teacher_new(r->cfg, NULL, -1);
    t->batch = batch_new();
    t->content = content_new(t->conn, r->cfg->postgres.schema, r->cfg->sink, r->topic,
                             r->tables.appended, r->tables.appended_count);
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
    teacher_free(t->teacher);
    conn_free(t->conn);
    free(t->rejected);
    free(t->key_rejected);
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
                content_tables_add(&r->tables, route, t, m);
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
            .first = parts[i].first_offset,
            .next = parts[i].next_offset,
            .former = parts[i].former,
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
        int64_t low = refs[i].offset;
        if (refs[i].offset == LOOKUP_FAILED) {
            ok = error_set(err, ERROR_LINK, "%s-%" PRId32 " does not answer", r->topic,
                           p->partition);
        } else if (low > p->from) {
            fprintf(stderr,
                    "%s-%" PRId32 ": offsets %" PRId64 " to %" PRId64
                    " are not compared: Kafka has deleted them\n",
                    r->topic, p->partition, p->from, MIN(low, p->to));
            p->from = MIN(low, p->to);
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
    bool ok = lookup_await(client, LOOKUP_TIMEOUT, err) && find_lows(r, client, err);
    r->is_compacted = ok && lookup_is_compacted(client, r->topic, LOOKUP_TIMEOUT);
    (void) client_close(client, clock_mono() + USEC_PER_SEC);
    return ok;
}

static enum exit_code judge(const struct content_run *r)
{
    if (r->code != EXIT_OK) {
        return r->code;
    }
    if (r->tables.appended_count + r->tables.keyed_count == 0 || r->part_count == 0 ||
        (r->offsets == 0 && r->stored > 0)) {
        fprintf(stderr, "nothing of topic %s was compared\n", r->topic);
        return EXIT_FAULT;
    }
    return content_text_faults(&r->sum) > 0 ? EXIT_FAULT : EXIT_OK;
}

static void print_summary(struct content_run *r)
{
    r->sum.began = mem_array(MAX(r->part_count, 1), sizeof *r->sum.began);
    for (size_t i = 0; i < r->part_count; i++) {
        r->sum.began[i] = (struct content_began){r->parts[i].partition, r->parts[i].first};
    }
    r->sum.part_count = r->part_count;
    r->sum.table_count = r->tables.appended_count + r->tables.keyed_count;
    r->sum.keyed_count = r->tables.keyed_count;
    content_text_summary(&r->sum);
    free(r->sum.began);
}

/* All partitions, then the tables with a key, of which all partitions must be known. */
static void compare(struct content_run *r)
{
    struct error err;

    if (!open_presence(r, &err)) {
        fault(r, EXIT_TARGET, &err);
        return;
    }
    run_threads(r);
    if (r->code == EXIT_OK && r->tables.keyed_count > 0 && !compare_keys(r, &err)) {
        fault(r, EXIT_TARGET, &err);
    }
    if (r->code == EXIT_OK) {
        print_summary(r);
    }
}

static void verify(struct content_run *r)
{
    struct error err;

    if (!find_target(r, &err)) {
        fault(r, EXIT_TARGET, &err);
        return;
    }
    size_t tables = r->tables.appended_count + r->tables.keyed_count;
    if (tables > 0 && !find_source(r, &err)) {
        fault(r, EXIT_SOURCE, &err);
    } else if (tables > 0 && r->part_count > 0) {
        compare(r);
    }
}

enum exit_code content_verify(const struct command_args *args)
{
    struct content_run r = {
        .args = args,
        .cfg = args->cfg,
        .topic = args->content,
        .tables = {.cfg = args->cfg, .topic = args->content},
        .sum = {.topic = args->content, .json = args->json},
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
    presence_free(r.presence);
    conn_free(r.conn);
    content_tables_done(&r.tables);
    free(r.parts);
    free(r.gaps);
    plan_free(r.plan);
    return code;
}
