/* config.c, value.c, route.c, check.c, print.c: what a file becomes. Errors by the dozen:
 * tests/config/bad. */
#include "config/config.h"

#include "base/mem.h"
#include "config_kit.h"

#include <sched.h>

#define HEAD "sink: orders\nkafka:\n  brokers: localhost:9092\n"
#define ROUTE "routes:\n  - topics: orders\n    table: public.orders\n"

static void expect_position(struct position pos, unsigned line, unsigned column)
{
    assert_int_equal(pos.line, line);
    assert_int_equal(pos.column, column);
}

static void test_defaults(void **state)
{
    struct kit *kit = *state;
    struct config *cfg = kit_load(kit, HEAD ROUTE);
    const struct config_route *route = &cfg->routes[0];

    assert_string_equal(cfg->path, kit->path);
    assert_string_equal(cfg->sink, "orders");
    assert_string_equal(cfg->kafka.brokers, "localhost:9092");
    assert_string_equal(cfg->kafka.group, "pgsinkd-orders");
    assert_int_equal(cfg->kafka.start, START_EARLIEST);
    assert_int_equal(cfg->kafka.on_gap, ON_GAP_STOP);
    assert_int_equal(cfg->kafka.commit_interval, 5 * USEC_PER_SEC);
    assert_int_equal(cfg->kafka.properties.count, 0);
    assert_string_equal(cfg->postgres.dsn, "");
    assert_string_equal(cfg->postgres.schema, "pgsinkd");
    assert_true(cfg->postgres.manage_schema);
    assert_int_equal(cfg->postgres.synchronous_commit, SYNCHRONOUS_COMMIT_ON);
    assert_int_equal(cfg->postgres.timeout, 60 * USEC_PER_SEC);
    assert_int_equal(cfg->postgres.lock_timeout, 5 * USEC_PER_SEC);
    assert_int_equal(cfg->delivery, DELIVERY_EXACTLY_ONCE);
    assert_int_equal(cfg->workers, 0);
    assert_int_equal(cfg->batch.max_rows, 50000);
    assert_int_equal(cfg->batch.max_bytes, 8 << 20);
    assert_int_equal(cfg->batch.linger, 0);
    assert_string_equal(cfg->http.listen, "off");
    assert_string_equal(cfg->http.address.host, "");
    assert_int_equal(cfg->log.level, LOG_LEVEL_INFO);
    assert_int_equal(cfg->route_count, 1);
    assert_int_equal(route->topics.count, 1);
    assert_string_equal(route->topics.items[0].name, "orders");
    assert_false(route->topics.items[0].is_regex);
    assert_string_equal(route->table.schema, "public");
    assert_string_equal(route->table.name, "orders");
    assert_int_equal(route->format, CONFIG_FORMAT_JSON);
    assert_int_equal(route->mode, MODE_APPEND);
    assert_int_equal(route->on_error, ON_ERROR_DEAD_LETTER);
    assert_string_equal(route->unknown_fields, "ignore");
    assert_int_equal(route->time_zone, 0);
    assert_false(route->empty_as_null);
    assert_int_equal(route->columns.count, 0);
    assert_int_equal(route->key.count, 0);
    config_free(cfg);
    assert_null(config_free(NULL));
}

/* The schema holds the ledger and the dead letters: it is needed for either. */
static void test_what_the_schema_is_needed_for(void **state)
{
    static const struct {
        const char *text;
        bool ledger;
        bool schema;
    } cases[] = {
        {HEAD ROUTE, true, true},
        {HEAD ROUTE "    on_error: stop\n", true, true},
        {HEAD "delivery: at_least_once\n" ROUTE "    on_error: dead_letter\n", false, true},
        {HEAD "delivery: at_least_once\n" ROUTE "    on_error: stop\n", false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *cfg = kit_load(*state, cases[i].text);

        assert_int_equal(config_has_ledger(cfg), cases[i].ledger);
        assert_int_equal(config_needs_schema(cfg), cases[i].schema);
        config_free(cfg);
    }
}

/* A claim must give up waiting for a lock before its own deadline is over. */
static void test_a_lock_is_waited_for_half_the_time_at_most(void **state)
{
    struct config *cfg = kit_load(*state, HEAD "postgres: {timeout: 6s, lock_timeout: 5s}\n" ROUTE);

    assert_int_equal(config_lock_timeout(cfg), 3 * USEC_PER_SEC);
    config_free(cfg);
    cfg = kit_load(*state, HEAD ROUTE);
    assert_int_equal(config_lock_timeout(cfg), 5 * USEC_PER_SEC);
    config_free(cfg);
}

static void test_positions(void **state)
{
    struct config *cfg = kit_load(*state, "sink: orders\n"
                                          "kafka:\n"
                                          "  brokers: a\n"
                                          "  properties:\n"
                                          "    client.id: x\n"
                                          "    fetch.min.bytes:   5\n"
                                          "postgres: {dsn: host=x}\n"
                                          "routes:\n"
                                          "  - topics: [a, ^b]\n"
                                          "    table: t\n"
                                          "    columns:\n"
                                          "      x: value.x\n"
                                          "      y: {from: value.y, unit: ns}\n");
    const struct config_route *route = &cfg->routes[0];

    expect_position(cfg->sink_pos, 1, 7);
    expect_position(cfg->kafka.pos, 2, 1);
    expect_position(cfg->kafka.brokers_pos, 3, 12);
    expect_position(cfg->kafka.group_pos, 0, 0);
    expect_position(cfg->kafka.properties.items[0].pos, 5, 5);
    expect_position(cfg->kafka.properties.items[1].pos, 6, 5);
    expect_position(cfg->kafka.properties.items[1].value_pos, 6, 24);
    assert_string_equal(cfg->kafka.properties.items[1].name, "fetch.min.bytes");
    assert_string_equal(cfg->kafka.properties.items[1].value, "5");
    expect_position(cfg->postgres.dsn_pos, 7, 17);
    expect_position(cfg->batch.pos, 0, 0);
    expect_position(route->pos, 9, 5);
    expect_position(route->topics_pos, 9, 13);
    expect_position(route->topics.items[0].pos, 9, 14);
    expect_position(route->topics.items[1].pos, 9, 17);
    assert_true(route->topics.items[1].is_regex);
    expect_position(route->table_pos, 10, 12);
    expect_position(route->columns.items[0].pos, 12, 7);
    expect_position(route->columns.items[0].values[0].pos, 12, 10);
    assert_int_equal(route->columns.items[0].unit, CONFIG_UNIT_NONE);
    expect_position(route->columns.items[1].pos, 13, 7);
    expect_position(route->columns.items[1].values[0].pos, 13, 17);
    expect_position(route->columns.items[1].unit_pos, 13, 32);
    assert_string_equal(route->columns.items[1].values[0].path, "value.y");
    assert_int_equal(route->columns.items[1].unit, CONFIG_UNIT_NS);
    config_free(cfg);
}

static void test_errors_of_others(void **state)
{
    struct kit *kit = *state;
    struct config *cfg = kit_load(kit, HEAD ROUTE);
    struct error err = {0};
    _cleanup_buf_ struct buf b = {0};

    assert_false(config_error_at(cfg, cfg->kafka.brokers_pos, &err, "no %s", "such"));
    assert_string_equal(kit_said(kit, &err), "c.yaml:3:12: no such");
    assert_false(config_error_at(cfg, cfg->postgres.dsn_pos, &err, "no"));
    assert_string_equal(kit_said(kit, &err), "c.yaml: no");

    error_set(&err, ERROR_SETUP, "no such table");
    error_hint(&err, "Create it.");
    assert_false(config_error_locate(cfg, cfg->routes[0].table_pos, &err));
    assert_string_equal(kit_said(kit, &err), "c.yaml:6:12: no such table");
    assert_string_equal(err.hint, "Create it.");
    error_set(&err, ERROR_SETUP, "x");
    assert_false(config_error_locate(cfg, (struct position){0}, &err));
    assert_string_equal(kit_said(kit, &err), "c.yaml: x");

    config_position_text(cfg, cfg->kafka.brokers_pos, &b);
    assert_string_equal(buf_cstr(&b) + strlen(kit->dir) + 1, "c.yaml:3:12");
    buf_clear(&b);
    config_position_text(cfg, (struct position){0}, &b);
    assert_string_equal(buf_cstr(&b) + strlen(kit->dir) + 1, "c.yaml");
    config_free(cfg);
}

static void test_workers(void **state)
{
    struct config *cfg = kit_load(*state, "workers: 13\n" HEAD ROUTE);
    cpu_set_t set;

    assert_int_equal(config_workers(cfg), 13);
    assert_int_equal(config_connections(cfg), 15); /* the scout's and main's too */
    config_free(cfg);
    cfg = kit_load(*state, HEAD ROUTE);
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    assert_int_equal(config_workers(cfg), MIN(CPU_COUNT(&set), 8));
    config_free(cfg);
}

static void test_expansion(void **state)
{
    struct kit *kit = *state;
    struct config *cfg = NULL;
    _cleanup_buf_ struct buf b = {0};

    setenv("KIT_NAME", "hunter2", 1);
    setenv("KIT_ROWS", "7", 1);
    kit_write_z(kit, "pw", "hunter2\n");
    cfg = kit_load(
        kit, "sink: ${KIT_NAME}\n"
             "kafka: {brokers: \"${KIT_NAME}:9092\", properties: {sasl.password: '${file:pw}'}}\n"
             "postgres: {dsn: 'password=${file:pw}', schema: \"${KIT_NAME}\"}\n"
             "batch: {max_rows: \"${KIT_ROWS}\"}\n"
             "routes: [{topics: ['a', '${KIT_NAME}'], table: '${KIT_NAME}.t'}]\n");
    assert_string_equal(cfg->sink, "hunter2");
    assert_string_equal(cfg->kafka.brokers, "hunter2:9092");
    assert_string_equal(cfg->kafka.group, "pgsinkd-hunter2");
    assert_string_equal(cfg->kafka.properties.items[0].value, "hunter2");
    assert_string_equal(cfg->postgres.dsn, "password=hunter2");
    assert_int_equal(cfg->batch.max_rows, 7);
    assert_string_equal(cfg->routes[0].topics.items[1].name, "hunter2");
    assert_string_equal(cfg->routes[0].table.schema, "hunter2");
    config_print(cfg, &b);
    assert_null(strstr(buf_cstr(&b), "hunter2"));
    config_free(cfg);
}

/* The directory of a file without a slash is the current one. */
static void test_file_in_current_directory(void **state)
{
    struct kit *kit = *state;
    struct error err = {0};
    struct config *cfg = NULL;

    kit_write_z(kit, "pw", "secret\n");
    kit_write_z(kit, "c.yaml", HEAD "  group: ${file:pw}\n" ROUTE);
    assert_int_equal(chdir(kit->dir), 0);
    cfg = config_load("c.yaml", &err);
    assert_non_null(cfg);
    assert_string_equal(cfg->kafka.group, "secret");
    config_free(cfg);
    assert_null(config_load("/c.yaml.none", &err));
    assert_string_equal(err.text, "/c.yaml.none: cannot be read: No such file or directory");
    assert_int_equal(chdir("/"), 0);
}

/* Values that are empty only after expansion are as empty as others. */
static void test_empty_after_expansion(void **state)
{
    setenv("KIT_EMPTY", "", 1);
    kit_expect(*state, "sink: ${KIT_EMPTY}\n", "c.yaml:1:7: 'sink' is empty");
    kit_expect(*state, HEAD "routes:\n  - topics: ${KIT_EMPTY}\n    table: t\n",
               "c.yaml:5:13: 'topics' contains an empty name");
    kit_expect(*state, HEAD "routes:\n  - topics: t\n    table: ${KIT_EMPTY}\n",
               "c.yaml:6:12: table name: a part is empty");
    kit_expect(*state,
               HEAD "routes:\n  - topics: t\n    table: t\n    columns: {a: '${KIT_EMPTY}'}\n",
               "c.yaml:7:18: 'columns.a' is an empty path");
    kit_expect(*state, "sink: s\nworkers: ${KIT_EMPTY}\n",
               "c.yaml:2:10: 'workers' must be a whole number, not '${KIT_EMPTY}'");
}

/* Long texts are cut in messages, between characters. */
static void test_long_texts_in_messages(void **state)
{
    _cleanup_buf_ struct buf b = {0};
    _cleanup_buf_ struct buf want = {0};

    buf_add_z(&b, "sink: s\nworkers: xxx");
    buf_add_z(&want, "c.yaml:2:10: 'workers' must be a whole number, not 'xxx");
    for (int i = 0; i < 50; i++) {
        buf_add_z(&b, "\xc3\xa9");
        if (i < 28) {
            buf_add_z(&want, "\xc3\xa9");
        }
    }
    buf_add_z(&want, "...'");
    kit_expect(*state, buf_cstr(&b), buf_cstr(&want));
}

static void test_many_topics(void **state)
{
    _cleanup_buf_ struct buf b = {0};
    struct config *cfg = NULL;

    buf_add_z(&b, HEAD "routes:\n");
    for (int r = 0; r < 3; r++) {
        buf_printf(&b, "  - table: t%d\n    topics:\n", r);
        for (int i = 0; i < 9000; i++) {
            buf_printf(&b, "      - t%d\n", i);
        }
    }
    cfg = kit_load(*state, buf_cstr(&b));
    assert_int_equal(cfg->routes[2].topics.count, 9000);
    config_free(cfg);
}

static void test_documentation(void **state)
{
    _cleanup_buf_ struct buf doc = {0};
    _cleanup_buf_ struct buf example = {0};

    options_doc_markdown(&doc);
    options_doc_example(&example);
    assert_non_null(strstr(buf_cstr(&doc), "| `max_bytes` | size, 1KiB to 1GiB | `8MiB` |"));
    assert_non_null(strstr(buf_cstr(&doc), "| `enable.auto.commit` |"));
    config_free(kit_load(*state, buf_cstr(&example)));
}

static void test_a_value_is_read_again(void **state)
{
    struct kit *kit = *state;
    struct error err;
    _cleanup_buf_ struct buf out = {0};

    kit_write_z(kit, "again", "hunter1\n");
    struct config *cfg = kit_load(kit, "sink: s\n"
                                       "kafka: {brokers: b}\n"
                                       "postgres:\n"
                                       "  dsn: user=u password=${file:again}\n"
                                       "  password: ${file:again}!\n"
                                       "routes: [{topics: [t], table: x}]\n");
    assert_string_equal(cfg->postgres.dsn, "user=u password=hunter1");
    assert_string_equal(cfg->postgres.password, "hunter1!");
    kit_write_z(kit, "again", "hun ter2\n");
    assert_true(config_read_dsn(cfg, &out, &err));
    assert_string_equal(buf_cstr(&out), "user=u password=hun\\ ter2");
    buf_clear(&out);
    assert_true(config_read_password(cfg, &out, &err));
    assert_string_equal(buf_cstr(&out), "hun ter2!");
    assert_int_equal(remove(kit->path), 0);
    assert_false(config_read_dsn(cfg, &out, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_non_null(strstr(err.text, "c.yaml:4:8: file '"));
    assert_null(strstr(err.text, "hunter"));
    assert_false(config_read_password(cfg, &out, &err));
    assert_non_null(strstr(err.text, "c.yaml:5:13: file '"));
    config_free(cfg);

    cfg = kit_load(kit, "sink: s\n" /* what is written without a reference stays */
                        "kafka: {brokers: b}\n"
                        "postgres: {dsn: host=h, password: hunter3}\n"
                        "routes: [{topics: [t], table: x}]\n");
    buf_clear(&out);
    assert_true(config_read_dsn(cfg, &out, &err) && config_read_password(cfg, &out, &err));
    assert_string_equal(buf_cstr(&out), "host=hhunter3");
    config_free(cfg);
    char x[] = "x";
    cfg = &(struct config){.postgres.dsn = x, .postgres.password = x}; /* made without a file */
    buf_clear(&out);
    assert_true(config_read_dsn(cfg, &out, &err) && config_read_password(cfg, &out, &err));
    assert_string_equal(buf_cstr(&out), "xx");
}

/* Loads text as c.yaml without its secrets. */
static struct config *load_without(struct kit *kit, const char *text, struct error *err)
{
    return config_load_for(kit_write_z(kit, "c.yaml", text), CONFIG_WITHOUT_SECRETS, err);
}

/* What cannot be read is printed as it is written; what can be is read. */
static void test_without_secrets(void **state)
{
    static const char text[] = "sink: ${KIT_NONE}\n"
                               "workers: ${KIT_N}\n"
                               "kafka: {brokers: '${KIT_B}', start: '${KIT_START}',"
                               " oauth_token_command: '${KIT_COMMAND}'}\n"
                               "postgres:\n"
                               "  dsn: ${KIT_HOST} user=${KIT_USER} password=${file:none/pw}$${x}\n"
                               "  password: ${file:none}\n"
                               "  schema: ${PG_NONE}\n"
                               "http: {listen: '${KIT_LISTEN}'}\n"
                               "log: {level: '${KIT_LEVEL}'}\n"
                               "routes: [{topics: ['${KIT_A}', '${KIT_a2}'], table: x,"
                               " mode: '${KIT_MODE}', when: '${KIT_WHEN}', key: id,"
                               " envelope: '${KIT_ENVELOPE}', on_truncate: ignore},"
                               " {topics: [u], table: u, mode: upsert, soft_delete: gone,"
                               " delete: '${KIT_DELETE}'}]\n";
    struct error err = {0};
    _cleanup_buf_ struct buf out = {0};

    setenv("KIT_USER", "u", 1);
    _cleanup_config_ struct config *cfg = load_without(*state, text, &err);
    assert_string_equal(err.text, "");
    assert_non_null(cfg);
    assert_true(config_is_without_secrets(cfg));
    assert_string_equal(cfg->sink, "kit_none");
    assert_string_equal(cfg->postgres.dsn, " user=u password=file_none_pw${x}");
    assert_string_equal(cfg->routes[0].topics.items[1].name, "kit_a2");
    assert_true(config_lacks(cfg, cfg->workers_pos) && config_lacks(cfg, cfg->http.listen_pos));
    assert_true(config_lacks(cfg, cfg->routes[0].when_pos));
    assert_false(config_lacks(cfg, cfg->routes[0].table_pos));
    config_print(cfg, &out);
    const char *printed = buf_cstr(&out);
    assert_non_null(strstr(printed, "sink: ${KIT_NONE}\n"));
    assert_non_null(strstr(printed, "workers: ${KIT_N}\n"));
    assert_non_null(strstr(printed, "level: ${KIT_LEVEL}\n"));
    assert_non_null(strstr(printed, "mode: ${KIT_MODE}\n"));
    assert_non_null(strstr(printed, "password: ${file:none}\n"));
    unsetenv("KIT_USER");

    /* A reference that is none stays a fault, and the other way of loading refuses what lacks. */
    struct config *none = load_without(
        *state, "sink: ${a b}\nkafka: {brokers: b}\nroutes: [{topics: [t], table: x}]\n", &err);
    assert_null(none);
    assert_non_null(strstr(err.text, "c.yaml:1:7: 'sink': '${...}' contains neither"));
    kit_expect(*state, text, "c.yaml:1:7: 'sink': environment variable 'KIT_NONE' is not set");
}

/* Words that people bring along from elsewhere. */
static void test_words_of_other_programs(void **state)
{
    (void) state;
    static const char *const known[][2] = {
        {"max.poll.records", "batch.max_rows"},
        {"max_poll_records", "batch.max_rows"},
        {"Max-Poll-Records", "batch.max_rows"},
        {"value.converter.schemas.enable", "envelope: connect"},
        {"key.serializer", "key_format"},
        {"transforms.unwrap.type", "columns"},
    };
    static const char *const unknown[] = {
        "", "max.poll", "max.poll.records.x", "transforms.", ".serializer", "serializer"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        const char *hint = config_foreign_hint(known[i][0]);
        assert_non_null(hint);
        assert_non_null(strstr(hint, known[i][1]));
    }
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        assert_null(config_foreign_hint(unknown[i]));
    }
}

/* YAML takes ' #' for the beginning of a comment, and a secret may have it. */
static void test_values_that_a_comment_cuts(void **state)
{
    static const char *const cut[] = {"password=a #b", "password=\xC3\xA4   #b"};
    static const char *const whole[] = {"password=a # b", "password=a#b", "'password=a' #b",
                                        "password=a #", "password=a ## b"};
    char text[256];

    for (size_t i = 0; i < ARRAY_LEN(cut) + ARRAY_LEN(whole); i++) {
        bool is_cut = i < ARRAY_LEN(cut);
        snprintf(text, sizeof text,
                 "sink: s\nkafka: {brokers: b}\npostgres:\n  dsn: %s\n"
                 "routes: [{topics: [t], table: x}]\n",
                 is_cut ? cut[i] : whole[i - ARRAY_LEN(cut)]);
        if (is_cut) {
            kit_expect(*state, text,
                       "c.yaml:4:8: 'postgres.dsn' ends before ' #', where a comment begins");
        } else {
            config_free(kit_load(*state, text));
        }
    }
    kit_expect(*state,
               "sink: s\nkafka:\n  brokers: b\n  properties:\n    sasl.password: a #b\n"
               "routes: [{topics: [t], table: x}]\n",
               "c.yaml:5:20: 'kafka.properties.sasl.password' ends before ' #', where a comment "
               "begins");
}

static void test_a_password_that_is_empty(void **state)
{
    static const char text[] = "sink: s\nkafka: {brokers: b}\n"
                               "postgres:\n  password: ${KIT_EMPTY}\n"
                               "routes: [{topics: [t], table: x}]\n";

    setenv("KIT_EMPTY", "", 1);
    kit_expect(*state, text, "c.yaml:4:13: 'postgres.password' is empty: ${...} brings in nothing");
    setenv("KIT_EMPTY", "x", 1);
    config_free(kit_load(*state, text));
    unsetenv("KIT_EMPTY");
}

static void test_a_digit_in_a_pattern(void **state)
{
    kit_expect(*state, "sink: s\nkafka: {brokers: b}\nroutes: [{topics: ['^a\\d'], table: x}]\n",
               "c.yaml:3:20: in a regular expression of POSIX \\d is the letter d");
    config_free(kit_load(*state, "sink: s\nkafka: {brokers: b}\n"
                                 "routes: [{topics: ['^a\\\\d'], table: x}]\n"));
}

/* ---- all faults of a file ---- */

static size_t faults_of(struct kit *kit, const char *text, struct config_faults *out)
{
    struct config *cfg = config_load_all(kit_write_z(kit, "c.yaml", text), CONFIG_TO_RUN, out);

    assert_true((cfg == NULL) == (out->count > 0));
    config_free(cfg);
    return out->count;
}

static const char MANY[] = "sinks: Orders\n"
                           "kafka: {broker: x, start: sometimes, properties: {a: [], b: 1, "
                           "enable.auto.commit: x}}\n"
                           "postgres: {dns: y}\n"
                           "routes:\n"
                           "  - {topics: [a, 'b c', 'd e'], table: t}\n"
                           "  - {topics: ['^(a', '^(b'], table: u, mode: append, key: [a]}\n"
                           "  - {table: v, columns: {a: , b: value.x, c: {frm: value.y}}}\n"
                           "  - nothing\n";

static const char *const MANY_FAULTS[] = {
    "1:1: unknown key 'sinks'",
    "2:9: unknown key 'broker' in 'kafka'",
    "2:27: 'kafka.start' must be earliest",
    "2:54: 'kafka.properties.a' takes a single value",
    "3:12: unknown key 'dns' in 'postgres'",
    "5:18: 'b c' is not the name of a topic",
    "5:25: 'd e' is not the name of a topic",
    "7:29: 'columns.a' has no value",
    "7:47: unknown key 'frm' in 'columns.c'",
    "7:5: missing 'topics'",
    "8:5: a route takes a mapping",
    /* the rules of what was read without a fault */
    "6:15: the regular expression does not compile",
    "6:22: the regular expression does not compile",
    "6:59: 'key' is for rows that are found by a key",
};

static void test_all_faults(void **state)
{
    struct kit *kit = *state;
    _cleanup_mem_ struct config_faults *f = mem_zalloc(sizeof *f);

    assert_int_equal(faults_of(kit, MANY, f), ARRAY_LEN(MANY_FAULTS));
    for (size_t i = 0; i < ARRAY_LEN(MANY_FAULTS); i++) {
        if (strstr(f->items[i].text, MANY_FAULTS[i]) == NULL) {
            print_error("%s\nnot: %s\n", f->items[i].text, MANY_FAULTS[i]);
            fail();
        }
    }
}

/* What a key was meant to be is not missed, too; the rest is. */
static void test_a_slip_is_one_fault(void **state)
{
    struct kit *kit = *state;
    _cleanup_mem_ struct config_faults *f = mem_zalloc(sizeof *f);

    assert_int_equal(
        faults_of(kit, "sink: s\nkafak: {brokers: x}\nroutes: [{topics: t, table: t}]\n", f), 1);
    assert_int_equal(faults_of(kit, "sink: s\nbrokers: x\nroutes: [{topics: t, table: t}]\n", f),
                     1);
    assert_int_equal(faults_of(kit, "sink: s\nkafka: {brokers: x}\nroute: []\n", f), 1);
    assert_int_equal(
        faults_of(kit, "sink: s\nkafka: {broker: x}\nroutes: [{topcs: t, tabel: t}]\n", f), 3);
    assert_int_equal(faults_of(kit, "{}\n", f), 3);
    assert_int_equal(faults_of(kit, "sink: S\nkafka: {brokers: x}\nroutes: [{table: t}]\n", f), 2);
    assert_non_null(strstr(f->items[1].text, "'sink' may only contain"));
    assert_int_equal(faults_of(kit, "a: b: c\n", f), 1);
}

static void test_more_faults_than_are_kept(void **state)
{
    struct kit *kit = *state;
    _cleanup_mem_ struct config_faults *f = mem_zalloc(sizeof *f);
    _cleanup_buf_ struct buf text = {0};

    buf_add_z(&text, "sink: s\nkafka: {brokers: x}\nroutes:\n");
    for (size_t i = 0; i < CONFIG_FAULTS_MAX + 5; i++) {
        buf_add_z(&text, "  - {topics: 'a b', table: t}\n");
    }
    assert_int_equal(faults_of(kit, buf_cstr(&text), f), CONFIG_FAULTS_MAX + 5);
    assert_non_null(strstr(f->items[CONFIG_FAULTS_MAX - 1].text, "'a b' is not the name"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_what_the_schema_is_needed_for),
        cmocka_unit_test(test_a_lock_is_waited_for_half_the_time_at_most),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_errors_of_others),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_expansion),
        cmocka_unit_test(test_file_in_current_directory),
        cmocka_unit_test(test_empty_after_expansion),
        cmocka_unit_test(test_long_texts_in_messages),
        cmocka_unit_test(test_many_topics),
        cmocka_unit_test(test_a_value_is_read_again),
        cmocka_unit_test(test_without_secrets),
        cmocka_unit_test(test_words_of_other_programs),
        cmocka_unit_test(test_values_that_a_comment_cuts),
        cmocka_unit_test(test_a_password_that_is_empty),
        cmocka_unit_test(test_a_digit_in_a_pattern),
        cmocka_unit_test(test_documentation),
        cmocka_unit_test(test_all_faults),
        cmocka_unit_test(test_a_slip_is_one_fault),
        cmocka_unit_test(test_more_faults_than_are_kept),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
