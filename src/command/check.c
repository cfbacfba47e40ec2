/*
 * pgsinkd check: everything that can be found out without writing: configuration, both servers,
 * tables, the plan, column by column, and a sample of the records. Goes on after a fault where it
 * can, so that one run shows all faults; privileges that the role lacks are taken for granted, and
 * listed at the end. Main thread.
 */
#include "command/command.h"

#include "base/clock.h"
#include "base/mem.h"
#include "command/ddl.h"
#include "command/sample.h"
#include "kafka/acl.h"
#include "kafka/certificates.h"
#include "kafka/client.h"
#include "kafka/lookup.h"
#include "kafka/token_source.h"
#include "pg/catalog.h"
#include "pg/rights.h"
#include "pg/rows_sql.h"
#include "pg/schema.h"
#include "pg/sqlstate.h"
#include "sink/plan/creation.h"
#include "sink/plan/plan.h"
#include "sink/plan/prepare.h"
#include "sink/schemas/schema_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUP_TIMEOUT (10 * USEC_PER_SEC)
#define RIGHTS_TIMEOUT (5 * USEC_PER_SEC)

struct check {
    const struct config *cfg;
    size_t sample;
    struct plan *plan;
    struct conn *conn;
    struct client *client;
    struct lookup_topic *topics;
    size_t topic_count;
    struct rights *missing;
    size_t warnings;
    enum exit_code code;       /* of the worst fault */
    struct error no_temporary; /* ERROR_SETUP: the role may not create temporary tables */
};

/* The file's faults are worse than the target's, these worse than the source's, and then comes what
 * the sample has shown: each makes those after it doubtful. */
static void worsen(struct check *k, enum exit_code code)
{
    static const int ranks[] = {
        [EXIT_OK] = 0,     [EXIT_FAULT] = 1,  [EXIT_SOURCE] = 2,
        [EXIT_TARGET] = 3, [EXIT_CONFIG] = 4, [EXIT_USAGE] = 5,
    };

    if (ranks[code] > ranks[k->code]) {
        k->code = code;
    }
}

/* The number that the same fault has in the log of a daemon, in docs/errors.md; 0: none fits. */
static unsigned number_of(enum exit_code code, const struct error *err)
{
    bool is_login = sqlstate_is(err->sqlstate, SQLSTATE_INVALID_AUTHORIZATION) ||
                    sqlstate_is(err->sqlstate, SQLSTATE_INVALID_CATALOG_NAME);

    if (code == EXIT_CONFIG) {
        return 110;
    }
    if (code == EXIT_TARGET && is_login) {
        return 225;
    }
    if (code == EXIT_TARGET) {
        return err->class == ERROR_SETUP ? 220 : 0;
    }
    return code == EXIT_SOURCE && err->class == ERROR_LINK ? 305 : 0;
}

static void fault(struct check *k, enum exit_code code, const struct error *err)
{
    struct error said = *err;
    unsigned number = number_of(code, err);

    if (number != 0 && said.hint[0] != '\0') {
        error_hint(&said, "%s (PGS-%u)", err->hint, number);
    }
    fflush(stdout);
    command_fault(&said);
    worsen(k, code);
}

static void warn(struct check *k, const struct error *err)
{
    fflush(stdout);
    fprintf(stderr, "warning: %s\n", err->text);
    if (err->hint[0] != '\0') {
        fprintf(stderr, "HINT: %s\n", err->hint);
    }
    k->warnings++;
}

/* Where psql is to run it is said, since GRANTs on tables do not name the database. */
static void print_missing(const struct check *k)
{
    _cleanup_buf_ struct buf grants = {0};

    if (rights_count(k->missing) == 0) {
        return;
    }
    rights_print(k->missing, &grants);
    fflush(stdout);
    fprintf(stderr,
            "missing rights: paste this into psql in database %s, as the owner or a superuser:\n%s",
            rights_database(k->missing), buf_cstr(&grants));
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
    if (!schema_missing_rights(k->conn, schema, k->cfg->audit, k->missing, &installed, err)) {
        return false;
    }
    if (installed < 0) {
        printf("schema %s: its version may not be read\n", schema);
        return true;
    }
    if (installed < schema_version_wanted() && k->cfg->postgres.manage_schema) {
        printf("schema %s: version %d, to be brought to %d by pgsinkd run\n", schema, installed,
               schema_version_wanted());
        return schema_check_install(k->conn, schema, k->missing, err);
    }
    if (installed != schema_version_wanted() &&
        !schema_ensure(k->conn, schema, false, &applied, err)) {
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
        struct error slow = *err;
        snprintf(slow.text, sizeof slow.text, "%.700s: rejected records are found slowly",
                 err->text);
        warn(k, &slow);
        rights_miss(k->missing, RIGHT_ON_DATABASE, NULL, "TEMPORARY");
    } else {
        fault(k, EXIT_TARGET, err);
    }
}

static bool check_postgres(struct check *k)
{
    struct error err;
    int version = 0;
    char encoding[32];

    if (!conn_open_wait(k->conn, -1, &err)) {
        error_wrap(&err, "'postgres.dsn'");
        config_error_locate(k->cfg, k->cfg->postgres.dsn_pos, &err);
        fault(k, EXIT_TARGET, &err);
        return false;
    }
    if (!conn_check_server(k->conn, &err) || !prepare_confirm_session(k->cfg, k->conn, -1, &err) ||
        !catalog_server(k->conn, &version, encoding, sizeof encoding, &err) ||
        !rights_begin(k->missing, k->conn, &err)) {
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

/* Run once more here, since the library's clients do not wait for it, and say less. */
static bool check_token(struct check *k)
{
    struct error err;
    int64_t seconds = 0;

    if (*k->cfg->kafka.oauth_token_command == '\0') {
        return true;
    }
    if (!token_source_try(k->cfg, &seconds, &err)) {
        config_error_locate(k->cfg, k->cfg->kafka.oauth_token_command_pos, &err);
        fault(k, EXIT_SOURCE, &err);
        return false;
    }
    printf("kafka: kafka.oauth_token_command prints a token that is valid for %lld s\n",
           (long long) seconds);
    return true;
}

static bool has_schemas(const struct config_route *route)
{
    return config_value_schema(route) != NULL || config_key_schema(route) != NULL;
}

/* The topics that routes take, or those routes whose records name schemas; the array is to be
 * freed. */
static const char **topics_read(const struct check *k, bool with_schemas, size_t *out_n)
{
    const char **names = mem_array(k->topic_count, sizeof *names);
    size_t n = 0;

    for (size_t i = 0; i < k->topic_count; i++) {
        bool is_taken = false;
        for (size_t r = 0; !is_taken && r < k->cfg->route_count; r++) {
            is_taken = (!with_schemas || has_schemas(&k->cfg->routes[r])) &&
                       plan_route_takes(k->plan, r, k->topics[i].name);
        }
        if (is_taken && k->topics[i].partition_count > 0) {
            names[n++] = k->topics[i].name;
        }
    }
    *out_n = n;
    return names;
}

/* What can be seen may yet not be read. */
static void check_rights(struct check *k)
{
    struct error err = {.class = ERROR_NONE};
    size_t n = 0;
    _cleanup_mem_ const char **names = topics_read(k, false, &n);
    _cleanup_mem_ bool *denied = mem_array(n, sizeof *denied);

    if (!acl_group(k->client, k->cfg, RIGHTS_TIMEOUT, &err)) {
        if (err.class == ERROR_LINK) {
            error_wrap(&err, "kafka");
        }
        fault(k, EXIT_SOURCE, &err);
    }
    if (n == 0 || err.class == ERROR_LINK) {
        return; /* once is enough */
    }
    if (!acl_topics(k->client, k->cfg, names, n, denied, RIGHTS_TIMEOUT, &err)) {
        error_wrap(&err, "kafka");
        fault(k, EXIT_SOURCE, &err);
    }
    for (size_t i = 0; i < n; i++) {
        if (denied[i]) {
            error_set(&err, ERROR_SETUP,
                      "kafka: the brokers do not allow this client to read topic '%s'", names[i]);
            acl_hint(k->cfg, RIGHT_TOPIC, names[i], &err);
            fault(k, EXIT_SOURCE, &err);
        }
    }
}

/* Before the brokers are asked: an expired one is why they do not answer. */
static void check_certificates(struct check *k)
{
    struct error err;
    struct certificates found;

    certificates_read(k->cfg, &found);
    switch (certificates_judge(&found, NULL, clock_wall_ms() / 1000, &err)) {
    case CERTIFICATES_FINE:
        break;
    case CERTIFICATES_EXPIRE:
        warn(k, &err);
        break;
    case CERTIFICATES_EXPIRED:
        fault(k, EXIT_SOURCE, &err);
        break;
    }
    certificates_done(&found);
}

static bool check_kafka(struct check *k)
{
    struct error err;

    check_certificates(k);
    if (!check_token(k)) {
        return false;
    }
    k->client = client_new(k->cfg, 1, &err);
    if (k->client == NULL) {
        fault(k, EXIT_CONFIG, &err);
        return false;
    }
    if (!lookup_await(k->client, LOOKUP_TIMEOUT, &err) ||
        !lookup_topics(k->client, &k->topics, &k->topic_count, LOOKUP_TIMEOUT, &err)) {
        error_wrap(&err, "kafka");
        fault(k, EXIT_SOURCE, &err);
        return false;
    }
    printf("kafka: %s, %zu topics visible\n", k->cfg->kafka.brokers, k->topic_count);
    check_rights(k);
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

/* Does a row of the target ever leave the column to its DEFAULT? */
static bool asks_for_default(const void *arg, const char *column)
{
    const struct target *t = arg;

    for (size_t i = 0; t != NULL && i < t->column_count; i++) {
        if (t->columns[i].column != NULL && strcmp(t->columns[i].column->name, column) == 0) {
            return t->columns[i].omit_bit >= 0;
        }
    }
    return true;
}

/* What the mode needs, where nothing is known of the columns: as mapping_needs has it. */
static uint32_t needs_of(const struct config_route *r, const struct table *t)
{
    bool marks = *r->soft_delete != '\0';
    bool deletes = r->delete != CONFIG_DELETE_OFF || *r->delete_when != '\0';
    bool updates = r->mode == MODE_UPSERT || r->mode == MODE_UPDATE || marks;
    bool by_key = updates || deletes || r->key.count > 0;
    bool truncates = r->envelope == CONFIG_ENVELOPE_DEBEZIUM &&
                     r->on_truncate == ON_TRUNCATE_APPLY && r->mode != MODE_APPEND &&
                     !table_truncates(t);

    return (r->mode == MODE_UPDATE ? 0 : (uint32_t) MAY_INSERT) | (by_key ? MAY_SELECT : 0) |
           (updates ? MAY_UPDATE : 0) | ((deletes && !marks) || truncates ? MAY_DELETE : 0);
}

/* Also where the table cannot be used for another reason. */
static void miss_rights(struct check *k, const struct plan_job *job)
{
    struct error err;
    const struct target *t = job->mapping != NULL ? mapping_target(job->mapping) : NULL;
    const struct config_route *route = &k->cfg->routes[job->route];
    bool inserts = route->mode != MODE_UPDATE;

    if (job->table == NULL) {
        return;
    }
    rights_miss_table(k->missing, job->table,
                      job->mapping != NULL ? mapping_needs(job->mapping)
                                           : needs_of(route, job->table));
    if (inserts &&
        !rights_miss_sequences(k->missing, k->conn, job->table, asks_for_default, t, &err)) {
        fault(k, EXIT_TARGET, &err);
    }
}

/* The statement that would make a missing table; topic NULL: from the first that the route takes.
 */
static void print_creation(struct check *k, const struct plan_job *job, const char *topic,
                           struct error *err)
{
    _cleanup_buf_ struct buf ddl = {0};

    for (size_t i = 0; topic == NULL && i < k->topic_count; i++) {
        if (plan_route_takes(k->plan, job->route, k->topics[i].name)) {
            topic = k->topics[i].name;
        }
    }
    if (k->client == NULL || topic == NULL) {
        printf("  table %s does not exist: it is created from the first records\n",
               job->table_name);
    } else if (ddl_print(job, topic, k->client, &ddl, err)) {
        printf("  table %s does not exist; it would be created by:\n%s", job->table_name,
               buf_cstr(&ddl));
    } else {
        error_wrap(err, "table '%s' does not exist", job->table_name);
        fault(k, EXIT_TARGET, err);
    }
}

/* The tables that the route fills for the topic; NULL: those whose names no topic is part of. */
static void check_tables(struct check *k, size_t route, const char *topic)
{
    struct error err;
    struct plan_job **jobs;
    size_t n = plan_missing(k->plan, topic, &jobs);

    for (size_t i = 0; i < n; i++) {
        jobs[i]->as_granted = true;
        bool ok = plan_job_run(jobs[i], k->conn, &err);
        if (ok || jobs[i]->route == route) {
            miss_rights(k, jobs[i]);
        }
        if (ok) {
            plan_add(k->plan, jobs[i]);
            continue;
        }
        if (jobs[i]->route == route && creation_is_wanted(&k->cfg->routes[route], &err)) {
            print_creation(k, jobs[i], topic, &err);
        } else if (jobs[i]->route == route) {
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

static const char *nearest_topic(const struct check *k, const char *name)
{
    const char **names = mem_array(MAX(k->topic_count, 1), sizeof *names);

    for (size_t i = 0; i < k->topic_count; i++) {
        names[i] = k->topics[i].name;
    }
    const char *near = str_nearest(name, names, k->topic_count);
    free(names);
    return near;
}

static void no_topic(struct check *k, const struct config_topic *t)
{
    struct error err;
    const char *near = nearest_topic(k, t->name);

    config_error_at(k->cfg, t->pos, &err, "topic '%s' does not exist, or may not be seen", t->name);
    if (near != NULL) {
        error_hint(&err,
                   "Did you mean '%s'? Otherwise create it, or leave it: it is picked up "
                   "when it appears.",
                   near);
    } else {
        error_hint(&err, "Create it, or leave it: it is picked up when it appears. If it exists, "
                         "this client lacks the right Describe or Read on it.");
    }
    fault(k, EXIT_SOURCE, &err);
}

static void no_match(struct check *k, const struct config_topic *t)
{
    struct error err;

    config_error_at(k->cfg, t->pos, &err,
                    "pattern '%s' matches no topic that exists and may be seen", t->name);
    error_hint(&err, "Topics that match are picked up within a minute after they appear. The "
                     "pattern is an extended regular expression: a dot matches any character, and "
                     "it ends where the name may go on unless it ends in $.");
    warn(k, &err);
}

static void check_missing_topics(struct check *k, size_t route)
{
    const struct config_topics *topics = &k->cfg->routes[route].topics;

    for (size_t i = 0; i < topics->count; i++) {
        const struct config_topic *t = &topics->items[i];
        bool exists = false;
        for (size_t j = 0; !exists && j < k->topic_count; j++) {
            exists = plan_entry_takes(k->plan, route, i, k->topics[j].name);
        }
        if (!exists && t->is_regex) {
            no_match(k, t);
        } else if (!exists) {
            no_topic(k, t);
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

    worsen(k, sample_check(&job));
}

/* ---- the registry ---- */

/* Asks for one subject, whatever it is: also that it does not have it shows that it answers. */
static bool ask_registry(struct check *k, struct schema_source *s, const char *subject)
{
    struct error err;
    struct schema_text t;
    const struct schema *schema = NULL;
    enum registry_outcome outcome = schema_source_latest(s, subject, &t, &err);

    if (outcome == REGISTRY_ABSENT) {
        return true;
    }
    bool ok = outcome == REGISTRY_FOUND && schema_source_compile(&t, &schema, &err);
    schema_drop(schema);
    if (!ok) {
        error_wrap(&err, "registry: subject '%s'", subject);
        config_error_locate(k->cfg, k->cfg->registry.url_pos, &err);
        fault(k, EXIT_SOURCE, &err);
    } else {
        printf("registry: subject %s, %s\n", subject, t.type);
    }
    schema_text_done(&t);
    return outcome != REGISTRY_AWAY; /* once is enough */
}

static void check_registry(struct check *k)
{
    struct schema_source *s = schema_source_new(k->cfg, -1);
    size_t n = 0;
    _cleanup_mem_ const char **names = topics_read(k, true, &n);
    bool answers = n > 0 || ask_registry(k, s, k->cfg->sink);

    for (size_t i = 0; answers && i < n; i++) {
        _cleanup_buf_ struct buf subject = {0};
        schema_source_subject(k->cfg, names[i], &subject);
        answers = ask_registry(k, s, buf_cstr(&subject));
    }
    if (answers) {
        _cleanup_buf_ struct buf name = {0};
        registry_name(k->cfg, &name);
        printf("registry: %s answers\n", buf_cstr(&name));
    }
    schema_source_free(s);
}

static void check_all(struct check *k)
{
    if (!command_check_file(k->cfg)) {
        worsen(k, EXIT_CONFIG);
        return;
    }
    _cleanup_buf_ struct buf delivery = {0};
    prepare_describe_delivery(k->cfg, &delivery);
    printf("%s\n", buf_cstr(&delivery));
    bool have_postgres = check_postgres(k);
    bool have_kafka = check_kafka(k);
    if (config_has_registry(k->cfg)) {
        check_registry(k);
    }
    for (size_t i = 0; i < k->cfg->route_count; i++) {
        check_route(k, i, have_postgres, have_kafka);
    }
    if (have_postgres && have_kafka && k->sample > 0) {
        check_sample(k);
    }
}

static void print_verdict(const struct check *k)
{
    if (k->code != EXIT_OK) {
        printf("not ok\n");
    } else if (k->warnings > 0) {
        printf("ok, with %zu warning%s\n", k->warnings, k->warnings == 1 ? "" : "s");
    } else {
        printf("ok\n");
    }
}

enum exit_code command_check(const struct command_args *args)
{
    struct conn_settings settings = prepare_conn_settings(args->cfg, "pgsinkd check");
    struct check k = {
        .cfg = args->cfg,
        .sample = args->sample,
        .plan = plan_new(args->cfg),
        .missing = rights_new(),
        .conn = conn_new(&settings),
        .code = EXIT_OK,
    };

    check_all(&k);
    if (rights_count(k.missing) > (k.no_temporary.class == ERROR_SETUP ? 1 : 0)) {
        worsen(&k, EXIT_TARGET); /* without temporary tables much is possible */
    }
    lookup_topics_free(k.topics, k.topic_count);
    if (k.client != NULL) {
        (void) client_close(k.client, clock_mono() + USEC_PER_SEC);
    }
    conn_free(k.conn);
    plan_free(k.plan);
    print_missing(&k);
    rights_free(k.missing);
    print_verdict(&k);
    return k.code;
}
