/* config.c, value.c, route.c, check.c, print.c: what a file becomes. Errors by the dozen:
 * tests/config/bad. */
#include "config/config.h"

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
                                       "routes: [{topics: [t], table: x}]\n");
    const char *dsn = cfg->postgres.dsn;
    struct position pos = cfg->postgres.dsn_pos;

    assert_string_equal(dsn, "user=u password=hunter1");
    kit_write_z(kit, "again", "hunter2\n");
    assert_true(config_read_again(cfg, dsn, pos, &out, &err));
    assert_string_equal(buf_cstr(&out), "user=u password=hunter2");
    assert_int_equal(remove(kit->path), 0);
    assert_false(config_read_again(cfg, dsn, pos, &out, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_non_null(strstr(err.text, "c.yaml:4:8: file '"));
    assert_null(strstr(err.text, "hunter"));

    buf_clear(&out); /* what is written without a reference stays */
    assert_true(config_read_again(cfg, cfg->sink, cfg->sink_pos, &out, &err));
    assert_string_equal(buf_cstr(&out), "s");
    config_free(cfg);
    cfg = &(struct config){0}; /* made without a file */
    buf_clear(&out);
    assert_true(config_read_again(cfg, "x", (struct position){0}, &out, &err));
    assert_string_equal(buf_cstr(&out), "x");
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
        cmocka_unit_test(test_documentation),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
