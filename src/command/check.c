/*
 * pgsinkd check: everything that can be found out without writing: configuration, both servers,
 * tables, the plan, column by column, and a sample of the records. Goes on after a fault where it
 * can, so that one run shows all faults; the exit code is that of the first. Main thread.
 */
#include "command/command.h"

#include "base/mem.h"
#include "command/sample.h"
#include "kafka/client.h"
#include "kafka/lookup.h"
#include "pg/catalog.h"
#include "pg/rows_sql.h"
#include "pg/schema.h"
#include "sink/plan/plan.h"
#include "sink/plan/prepare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUP_TIMEOUT (10 * USEC_PER_SEC)

struct check {
    const struct config *cfg;
    size_t sample;
    struct plan *plan;
    struct conn *conn;
    struct client *client;
    struct lookup_topic *topics;
    size_t topic_count;
    enum exit_code code;       /* of the first fault */
    struct error no_temporary; /* ERROR_SETUP: the role may not create temporary tables */
};

static void fault(struct check *k, enum exit_code code, const struct error *err)
{
    fflush(stdout);
    command_fault(err);
    if (k->code == EXIT_OK) {
        k->code = code;
    }
}

/* ---- the target ---- */

static bool check_schema(struct check *k, struct error *err)
{
    int installed = 0;
    int applied = 0;
    const char *schema = k->cfg->postgres.schema;

    if (!config_needs_schema(k->cfg)) {
        return true;
    }
    if (!schema_version_installed(k->conn, schema, &installed, err)) {
        return false;
    }
    if (installed < schema_version_wanted() && k->cfg->postgres.manage_schema) {
        printf("schema %s: version %d, to be brought to %d by pgsinkd run\n", schema, installed,
               schema_version_wanted());
        return schema_check_install(k->conn, schema, err);
    }
    if (!schema_ensure(k->conn, schema, false, &applied, err)) {
        return false;
    }
    printf("schema %s: version %d\n", schema, installed);
    return true;
}

/* Is it allowed? Each route then says whether it matters (check_staging). */
static void check_temporary(struct check *k)
{
    struct error *err = &k->no_temporary;

    if (catalog_check_temporary(k->conn, err)) {
        err->class = ERROR_NONE;
    } else if (err->class == ERROR_SETUP) {
        fflush(stdout);
        fprintf(stderr, "warning: %s: rejected records are found slowly\nHINT: %s\n", err->text,
                err->hint);
    } else {
        fault(k, EXIT_TARGET, err);
    }
}

static bool check_postgres(struct check *k)
{
    struct error err;
    int version = 0;
    char encoding[32];

    if (!conn_open_wait(k->conn, -1, &err) || !conn_check_server(k->conn, &err) ||
        !prepare_confirm_session(k->cfg, k->conn, -1, &err) ||
        !catalog_server(k->conn, &version, encoding, sizeof encoding, &err)) {
        fault(k, EXIT_TARGET, &err);
        return false;
    }
    printf("postgresql: version %d.%d, encoding %s\n", version / 10000, version % 10000, encoding);
    if (!check_schema(k, &err)) {
        fault(k, EXIT_TARGET, &err);
    }
    check_temporary(k);
    return true;
}

/* ---- the source ---- */

static bool check_kafka(struct check *k)
{
    struct error err;

    k->client = client_new(k->cfg, 1, &err);
    if (k->client == NULL) {
        fault(k, EXIT_CONFIG, &err);
        return false;
    }
    if (!lookup_topics(k->client, &k->topics, &k->topic_count, LOOKUP_TIMEOUT, &err)) {
        error_wrap(&err, "kafka: %s", k->cfg->kafka.brokers);
        error_hint(&err, "Check kafka.brokers and kafka.properties (TLS, SASL).");
        fault(k, EXIT_SOURCE, &err);
        return false;
    }
    printf("kafka: %s, %zu topics visible\n", k->cfg->kafka.brokers, k->topic_count);
    return true;
}

/* ---- the plan ---- */

static void print_mode(const struct mapping *m)
{
    _cleanup_buf_ struct buf text = {0};

    mapping_describe_mode(m, &text);
    printf("    %s\n", buf_cstr(&text));
}

static void print_columns(const struct table *t, const struct mapping *m)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const char *source;
        const char *encoding;
        mapping_describe(m, i, &source, &encoding);
        printf("    %-24s %-24s <- %s%s%s\n", t->columns[i].name, t->columns[i].type_name, source,
               encoding[0] != '\0' ? "  " : "", encoding);
    }
}

/* Large batches of such rows go through a temporary table: without one they are parked. */
static void check_staging(struct check *k, const struct mapping *m)
{
    const struct target *t = mapping_target(m);
    const struct rows_shape shape = {.target = t, .action = ROW_INSERT};
    struct error err = k->no_temporary;

    if (err.class == ERROR_SETUP && (t->key_count > 0 || !rows_are_direct(&shape))) {
        error_wrap(&err, "table %s: its large batches cannot be stored", t->table->quoted);
        fault(k, EXIT_TARGET, &err);
    }
}

/* The tables that the route fills for the topic; NULL: those whose names no topic is part of. */
static void check_tables(struct check *k, size_t route, const char *topic)
{
    struct error err;
    struct plan_job **jobs;
    size_t n = plan_missing(k->plan, topic, &jobs);

    for (size_t i = 0; i < n; i++) {
        if (plan_job_run(jobs[i], k->conn, &err)) {
            plan_add(k->plan, jobs[i]);
            continue;
        }
        if (jobs[i]->route == route) {
            fault(k, EXIT_TARGET, &err);
        }
        plan_job_free(jobs[i]);
    }
    free(jobs);
    for (size_t i = 0; i < plan_table_count(k->plan, route); i++) {
        const struct table *t;
        const struct mapping *m;
        if (plan_find(k->plan, route, topic, i, &t, &m)) {
            printf("  table %s\n", t->quoted);
            print_mode(m);
            print_columns(t, m);
            check_staging(k, m);
        }
    }
}

static size_t check_topics(struct check *k, size_t route)
{
    size_t found = 0;

    for (size_t i = 0; i < k->topic_count; i++) {
        const struct lookup_topic *topic = &k->topics[i];
        if (plan_route_takes(k->plan, route, topic->name)) {
            printf("  topic %s: %d partition%s\n", topic->name, topic->partition_count,
                   topic->partition_count == 1 ? "" : "s");
            found++;
        }
    }
    return found;
}

static void check_missing_topics(struct check *k, size_t route)
{
    const struct config_topics *topics = &k->cfg->routes[route].topics;

    for (size_t i = 0; i < topics->count; i++) {
        bool exists = topics->items[i].is_regex;
        for (size_t j = 0; !exists && j < k->topic_count; j++) {
            exists = strcmp(k->topics[j].name, topics->items[i].name) == 0;
        }
        if (!exists) {
            struct error err;
            config_error_at(k->cfg, topics->items[i].pos, &err, "topic '%s' does not exist",
                            topics->items[i].name);
            error_hint(&err, "Create it, or leave it: it is picked up when it appears.");
            fault(k, EXIT_SOURCE, &err);
        }
    }
}

static void check_route(struct check *k, size_t route, bool have_postgres, bool have_kafka)
{
    const struct config_route *r = &k->cfg->routes[route];
    _cleanup_buf_ struct buf name = {0};

    table_name_print(&r->table, &name);
    printf("route %zu -> %s\n", route + 1, buf_cstr(&name));
    if (*r->explode != '\0') {
        printf("  explode %s\n", r->explode);
    }
    if (*r->when != '\0') {
        printf("  when %s\n", r->when);
    }
    if (have_kafka) {
        if (check_topics(k, route) == 0) {
            printf("  no topic matches yet\n");
        }
        check_missing_topics(k, route);
    }
    if (!have_postgres) {
        return;
    }
    if (!r->table.is_template || r->table.is_by_record) {
        check_tables(k, route, NULL);
        return;
    }
    for (size_t i = 0; i < k->topic_count; i++) {
        if (plan_route_takes(k->plan, route, k->topics[i].name)) {
            check_tables(k, route, k->topics[i].name);
        }
    }
}

static void check_sample(struct check *k)
{
    const struct sample_job job = {
        .cfg = k->cfg,
        .plan = k->plan,
        .client = k->client,
        .topics = k->topics,
        .topic_count = k->topic_count,
        .records = k->sample,
    };
    enum exit_code code = sample_check(&job);

    k->code = k->code == EXIT_OK ? code : k->code;
}

static void check_all(struct check *k)
{
    struct error err;

    if (!command_check_file(k->cfg, &err)) {
        fault(k, EXIT_CONFIG, &err);
        return;
    }
    _cleanup_buf_ struct buf delivery = {0};
    prepare_describe_delivery(k->cfg, &delivery);
    printf("%s\n", buf_cstr(&delivery));
    bool have_postgres = check_postgres(k);
    bool have_kafka = check_kafka(k);
    for (size_t i = 0; i < k->cfg->route_count; i++) {
        check_route(k, i, have_postgres, have_kafka);
    }
    if (have_postgres && have_kafka && k->sample > 0) {
        check_sample(k);
    }
}

enum exit_code command_check(const struct command_args *args)
{
    struct conn_settings settings = prepare_conn_settings(args->cfg, "pgsinkd check");
    struct check k = {
        .cfg = args->cfg,
        .sample = args->sample,
        .plan = plan_new(args->cfg),
        .conn = conn_new(&settings),
        .code = EXIT_OK,
    };

    check_all(&k);
    lookup_topics_free(k.topics, k.topic_count);
    if (k.client != NULL) {
        (void) client_close(k.client, clock_mono() + USEC_PER_SEC);
    }
    conn_free(k.conn);
    plan_free(k.plan);
    printf(k.code == EXIT_OK ? "ok\n" : "not ok\n");
    return k.code;
}
