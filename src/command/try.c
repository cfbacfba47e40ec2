/*
 * pgsinkd try: one record as Kafka has it, and what its routes would make of it. It is read by a
 * consumer of its own, which is in no group, and made into rows as a worker does it; PostgreSQL is
 * only asked. Main thread.
 */
#include "command/command.h"

#include "base/mem.h"
#include "command/place.h"
#include "command/sample.h"
#include "command/try_text.h"
#include "kafka/client.h"
#include "kafka/lookup.h"
#include "kafka/sampler.h"
#include "pg/preview.h"
#include "sink/plan/plan.h"
#include "sink/plan/prepare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KAFKA_TIMEOUT (10 * USEC_PER_SEC)
#define RECORDS_BYTES ((size_t) 64 << 20) /* of all that lie between -N and the end */

struct attempt {
    const struct command_args *args;
    const struct config *cfg;
    struct record_place place;
    struct plan *plan;
    struct conn *conn;
    struct client *client;
    struct lookup_topic *topics;
    size_t topic_count;
    struct sampler *sampler;
    struct sample sample;
    const struct message *record; /* in the sample */
    struct record_looks looks;
    struct buf json;
    enum exit_code code;
};

/* The worst of all routes decides: a table that cannot be used stops every record, a fault of this
 * one only itself. */
static void take_code(struct attempt *a, enum exit_code code)
{
    if (a->code == EXIT_OK || a->code == EXIT_FAULT) {
        a->code = code == EXIT_OK ? a->code : code;
    }
}

static bool fail(struct attempt *a, enum exit_code code, const struct error *err)
{
    fflush(stdout);
    command_fault(err);
    take_code(a, code);
    return false;
}

/* ---- which record ---- */

static bool check_topic(struct attempt *a, struct error *err)
{
    size_t n;

    if (plan_takes(a->plan, a->place.topic)) {
        return true;
    }
    _cleanup_mem_ const char **names = command_topic_names(a->cfg, 0, &n);
    const char *near = str_nearest(a->place.topic, names, n);
    error_set(err, ERROR_SETUP, "no route of %s takes topic '%s'", a->cfg->path, a->place.topic);
    return near != NULL ? error_hint(err, "Is it '%s'?", near)
                        : error_hint(err, "A route takes the topics that its `topics` names.");
}

/* An offset is one of a partition: in a topic with several, one has to be named. */
static bool check_partition(struct attempt *a, int count, struct error *err)
{
    if (a->place.partition >= count) {
        return error_set(err, ERROR_SETUP, "kafka: topic '%s' has %d partition%s, from 0 on",
                         a->place.topic, count, count == 1 ? "" : "s");
    }
    if (a->place.partition < 0 && a->place.kind != PLACE_NEWEST) {
        if (count > 1) {
            error_set(err, ERROR_SETUP, "topic '%s' has %d partitions: which one?", a->place.topic,
                      count);
            return error_hint(err, "%s:0 with the offset is one of the first.", a->place.topic);
        }
        a->place.partition = 0;
    }
    return true;
}

/* The newest ones; the first of them in the partition is the one that is wanted. */
static bool read_newest(struct attempt *a, int partition_count, struct error *err)
{
    const struct sample_bounds bounds = {
        .records = a->place.kind == PLACE_BACK ? (size_t) a->place.number : 1,
        .bytes = RECORDS_BYTES,
        .timeout = KAFKA_TIMEOUT,
        .is_one = a->place.partition >= 0,
        .partition = MAX(a->place.partition, 0),
    };

    if (!sampler_read(a->sampler, a->place.topic, partition_count, &bounds, &a->sample, err)) {
        return false;
    }
    if (a->sample.count == bounds.records) {
        return true;
    }
    if (a->sample.silent > 0) {
        *err = a->sample.fault;
        return err->class != ERROR_NONE
                   ? false
                   : error_set(err, ERROR_LINK, "%s: there is no answer within %d s",
                               a->place.topic, (int) (KAFKA_TIMEOUT / USEC_PER_SEC));
    }
    return a->sample.count == 0
               ? error_set(err, ERROR_RECORD, "%s has no records", a->place.topic)
               : error_set(err, ERROR_RECORD, "%s-%d: the last %zu MiB, or all, are %zu records",
                           a->place.topic, (int) a->place.partition, RECORDS_BYTES >> 20,
                           a->sample.count);
}

static bool read_record(struct attempt *a, struct error *err)
{
    const struct lookup_topic *topic = NULL;

    if (!lookup_await(a->client, KAFKA_TIMEOUT, err) ||
        !lookup_topics(a->client, &a->topics, &a->topic_count, KAFKA_TIMEOUT, err)) {
        return error_wrap(err, "kafka");
    }
    topic = lookup_find(a->topics, a->topic_count, a->place.topic, err);
    if (topic == NULL || !check_partition(a, topic->partition_count, err)) {
        return false;
    }
    a->sampler = sampler_new(a->client, a->cfg, err);
    if (a->sampler == NULL) {
        return false;
    }
    int64_t offset = a->place.kind == PLACE_EARLIEST ? LOOKUP_EARLIEST : a->place.number;
    bool is_newest = a->place.kind == PLACE_NEWEST || a->place.kind == PLACE_BACK;
    bool ok = is_newest ? read_newest(a, topic->partition_count, err)
                        : sampler_read_one(a->sampler, a->place.topic, a->place.partition, offset,
                                           KAFKA_TIMEOUT, &a->sample, err);
    a->record = ok ? &a->sample.records[0] : NULL;
    return ok;
}

static void look(struct attempt *a)
{
    struct guesser *g = guesser_new();

    a->looks.value = guess_value(g, a->record);
    a->looks.key = guess_key(g, a->record);
    guesser_free(g);
}

static void print_record(struct attempt *a)
{
    _cleanup_buf_ struct buf out = {0};

    look(a);
    if (a->args->json) {
        try_json_begin(a->record, &a->looks, &a->json);
    } else {
        try_text_record(a->record, &a->looks, &out);
        fwrite(out.p, 1, out.n, stdout);
    }
}

/* ---- its routes ---- */

static bool open_postgres(struct attempt *a, struct error *err)
{
    return conn_open_wait(a->conn, -1, err) && conn_check_server(a->conn, err) &&
           preview_begin(a->conn, err);
}

/* The tables of all routes that take the topic; the first fault of each route is kept. */
static void load_tables(struct attempt *a, struct error *faults)
{
    struct plan_job **jobs;
    size_t n = plan_missing(a->plan, a->place.topic, &jobs);

    for (size_t i = 0; i < n; i++) {
        struct error err;
        if (plan_job_run(jobs[i], a->conn, &err)) {
            plan_add(a->plan, jobs[i]);
            continue;
        }
        if (faults[jobs[i]->route].class == ERROR_NONE) {
            faults[jobs[i]->route] = err;
        }
        plan_job_free(jobs[i]);
    }
    free(jobs);
}

static void print_route(struct attempt *a, const struct tried *t)
{
    _cleanup_buf_ struct buf out = {0};

    if (a->args->json) {
        try_json_route(a->cfg, t, &a->json);
        return;
    }
    try_text_route(a->cfg, t, &out);
    fwrite(out.p, 1, out.n, stdout);
    if (t->unusable.class != ERROR_NONE) {
        return;
    }
    for (size_t i = 0; i < t->trial.table_count; i++) {
        sample_print_fields(t->route, &t->trial.tables[i].survey);
    }
    sample_print_guesses(t->route, &t->trial);
}

static bool try_route(struct attempt *a, size_t number, const struct error *why)
{
    struct error err;
    struct tried t = {
        .route = &a->cfg->routes[number],
        .number = number,
        .topic = a->place.topic,
    };
    bool ok = true;

    if (!plan_route(a->plan, number, a->place.topic, &t.way)) {
        t.unusable = *why;
        take_code(a, EXIT_TARGET);
    } else if (!tried_make(&t, a->cfg, a->conn, a->record, &err)) {
        ok = fail(a, t.lacks_schema ? EXIT_SOURCE : EXIT_TARGET, &err);
    } else if (!tried_is_fine(&t)) {
        take_code(a, tried_parks(&t) ? EXIT_TARGET : EXIT_FAULT);
    }
    if (ok) {
        print_route(a, &t);
    }
    tried_done(&t);
    return ok;
}

static void try_routes(struct attempt *a)
{
    _cleanup_mem_ struct error *faults = mem_array(a->cfg->route_count, sizeof *faults);
    struct error err;
    bool ok = open_postgres(a, &err) || fail(a, EXIT_TARGET, &err);

    if (ok) {
        load_tables(a, faults);
    }
    for (size_t i = 0; ok && i < a->cfg->route_count; i++) {
        if (plan_route_takes(a->plan, i, a->place.topic)) {
            ok = try_route(a, i, &faults[i]);
        }
    }
}

static void try_record(struct attempt *a)
{
    struct error err;

    if (!command_check_file(a->cfg)) {
        take_code(a, EXIT_CONFIG);
        return;
    }
    if (!check_topic(a, &err)) {
        fail(a, EXIT_USAGE, &err);
        return;
    }
    a->client = client_new(a->cfg, 1, &err);
    if (a->client == NULL) {
        fail(a, EXIT_CONFIG, &err);
        return;
    }
    if (!read_record(a, &err)) {
        fail(a, EXIT_SOURCE, &err);
        return;
    }
    print_record(a);
    try_routes(a);
    if (a->args->json) {
        try_json_end(&a->json);
        fwrite(a->json.p, 1, a->json.n, stdout);
    } else {
        printf("nothing is written\n");
    }
}

static void attempt_done(struct attempt *a)
{
    buf_done(&a->json);
    sample_done(&a->sample);
    sampler_free(a->sampler);
    lookup_topics_free(a->topics, a->topic_count);
    if (a->client != NULL) {
        (void) client_close(a->client, clock_mono() + USEC_PER_SEC);
    }
    conn_free(a->conn);
    plan_free(a->plan);
}

enum exit_code command_try(const struct command_args *args)
{
    struct conn_settings settings = prepare_conn_settings(args->cfg, "pgsinkd try");
    struct attempt a = {.args = args, .cfg = args->cfg, .code = EXIT_OK};
    struct error err;

    if (!place_parse(args->words[0], &a.place, &err)) {
        error_wrap(&err, "pgsinkd try");
        command_fault(&err);
        return EXIT_USAGE;
    }
    a.plan = plan_new(args->cfg);
    a.conn = conn_new(&settings);
    try_record(&a);
    attempt_done(&a);
    return a.code;
}
