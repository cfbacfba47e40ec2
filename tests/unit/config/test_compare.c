/* What differs between two files, and what a reload cannot change. */
#include "config_kit.h"

static const char HEAD[] = "sink: s\n"
                           "kafka: {brokers: b, properties: {client.rack: r, sasl.password: one}}\n"
                           "postgres: {dsn: 'dbname=a password=one'}\n";

static const char ROUTE[] = "routes:\n"
                            "  - {topics: [a, b], table: public.t, columns: {x: value.x}}\n";

static struct config *load(struct kit *kit, const char *head, const char *more, const char *routes)
{
    _cleanup_buf_ struct buf text = {0};

    buf_printf(&text, "%s%s%s", head, more, routes);
    return kit_load(kit, buf_cstr(&text));
}

/* want: a line for each difference; those that need a restart begin with "!". */
static void expect_between(const struct config *before, const struct config *after,
                           const char *want)
{
    struct config_changes changes = config_compare(before, after);
    _cleanup_buf_ struct buf said = {0};

    for (size_t i = 0; i < changes.count; i++) {
        const struct config_change *c = &changes.items[i];
        buf_printf(&said, "%s%s\n", c->needs_restart ? "!" : "", c->text);
    }
    config_changes_free(&changes);
    assert_string_equal(buf_cstr(&said), want);
}

static void expect(struct kit *kit, const char *more, const char *routes, const char *want)
{
    _cleanup_config_ struct config *before = load(kit, HEAD, "", ROUTE);
    _cleanup_config_ struct config *after = load(kit, HEAD, more, routes);

    expect_between(before, after, want);
}

static void test_options(void **state)
{
    expect(*state, "", ROUTE, "");
    expect(*state, "# moved by a line\n", ROUTE, "");
    expect(*state, "workers: 3\nbatch: {max_bytes: 1MiB, linger: 5ms}\nlog: {level: debug}\n",
           ROUTE,
           "workers: 0 -> 3\n"
           "batch.max_bytes: 8MiB -> 1MiB\n"
           "batch.linger: 0 -> 5ms\n"
           "log.level: info -> debug\n");
    expect(*state, "delivery: at_least_once\n", ROUTE,
           "!delivery: exactly_once -> at_least_once\n"
           "routes[public.t].on_error: dead_letter -> stop\n");
}

static void test_secrets(void **state)
{
    static const char other[] =
        "sink: s\n"
        "kafka: {brokers: c, properties: {sasl.password: two, linger.ms: 5}}\n"
        "postgres: {dsn: 'dbname=a password=two'}\n";
    _cleanup_config_ struct config *before = load(*state, HEAD, "", ROUTE);
    _cleanup_config_ struct config *after = load(*state, other, "", ROUTE);

    expect_between(before, after,
                   "!kafka.brokers: b -> c\n"
                   "!kafka.properties.client.rack: r -> (none)\n"
                   "!kafka.properties.sasl.password: \"***\", which is another value now\n"
                   "!kafka.properties.linger.ms: (none) -> \"5\"\n"
                   "!postgres.dsn: dbname=a password=***, which is another value now\n");
}

static void test_routes(void **state)
{
    expect(*state, "",
           "routes:\n"
           "  - {topics: a, table: public.t, mode: upsert, key: [id, k],\n"
           "     columns: {y: {coalesce: [value.a, {const: b}], unit: ms},\n"
           "               x: {from: value.x, unit: s}}}\n",
           "routes[public.t].topics: [a, b] -> [a]\n"
           "routes[public.t].mode: append -> upsert\n"
           "routes[public.t].key: [] -> [id, k]\n"
           "routes[public.t].columns.x: value.x -> {from: value.x, unit: s}\n"
           "routes[public.t].columns.y: (none) -> {coalesce: [value.a, const: b], unit: ms}\n");
    expect(*state, "",
           "routes:\n"
           "  - {topics: a, table: public.u}\n"
           "  - {topics: [a, b], table: public.t}\n",
           "routes[public.t].columns.x: value.x -> (none)\n"
           "routes[public.u]: added, topics [a] into public.u\n");
    expect(*state, "", "routes: [{topics: c, table: public.u}]\n",
           "routes[public.t]: removed, topics [a, b] into public.t\n"
           "routes[public.u]: added, topics [c] into public.u\n");
}

static void test_order_of_routes(void **state)
{
    static const char one[] = "routes: [{topics: a, table: t}, {topics: a, table: u}]\n";
    static const char two[] = "routes: [{topics: a, table: u}, {topics: a, table: t}]\n";
    _cleanup_config_ struct config *before = load(*state, HEAD, "", one);
    _cleanup_config_ struct config *after = load(*state, HEAD, "", two);

    expect_between(before, after, "routes: in another order\n");
    assert_ptr_equal(config_same_route(after, &before->routes[0]), &after->routes[1]);
    assert_true(config_route_is_same(&before->routes[0], &after->routes[1]));
    assert_false(config_route_is_same(&before->routes[0], &after->routes[0]));
}

static void test_what_was_expanded_is_not_shown(void **state)
{
    static const char routes[] = "routes: [{topics: a, table: '${SECRET}', name: '${NAMED}'},\n"
                                 "  {topics: b, table: '${SECRET}_2'}]\n";

    setenv("SECRET", "hidden", 1);
    setenv("NAMED", "first", 1);
    _cleanup_config_ struct config *before = load(*state, HEAD, "", routes);
    setenv("SECRET", "other", 1);
    _cleanup_config_ struct config *after = load(*state, HEAD, "", routes);
    expect_between(before, after,
                   "routes[0].table: ${SECRET}, which is another value now\n"
                   "routes[1]: removed, topics [b] into ${SECRET}_2\n"
                   "routes[1]: added, topics [b] into ${SECRET}_2\n");
    unsetenv("SECRET");
    unsetenv("NAMED");
}

static void test_keeps_what_needs_a_restart(void **state)
{
    static const char running_head[] =
        "sink: s\n"
        "kafka: {brokers: '${BROKERS}', start: 2026-01-31T00:00:00Z,\n"
        "        properties: {client.rack: '${RACK}', sasl.password: one}}\n"
        "postgres: {dsn: 'password=${PASSWORD}', timeout: 7s}\n"
        "delivery: at_least_once\n";
    static const char other_head[] =
        "sink: t\n"
        "kafka: {brokers: b, on_gap: latest, properties: {linger.ms: 5}}\n"
        "postgres: {dsn: '', timeout: 8s, manage_schema: false}\n";

    setenv("BROKERS", "broker", 1);
    setenv("RACK", "rack", 1);
    setenv("PASSWORD", "first", 1);
    _cleanup_config_ struct config *running = load(*state, running_head, "", ROUTE);
    _cleanup_config_ struct config *cfg = load(*state, other_head,
                                               "workers: 2\nhttp: {partitions: 5}\n", ROUTE);
    config_keep(cfg, running);
    expect_between(running, cfg,
                   "kafka.on_gap: stop -> latest\n"
                   "workers: 0 -> 2\n");
    assert_string_equal(cfg->sink, "s");
    assert_string_equal(cfg->kafka.group, "pgsinkd-s");
    assert_int_equal(cfg->kafka.start_ms, running->kafka.start_ms);
    assert_int_equal(cfg->postgres.timeout, 7 * USEC_PER_SEC);
    assert_true(cfg->postgres.manage_schema);
    assert_int_equal(cfg->http.partitions, 1000);
    assert_int_equal(cfg->kafka.properties.count, 2);
    assert_string_equal(cfg->kafka.properties.items[0].value, "rack");
    assert_int_equal(cfg->routes[0].on_error, ON_ERROR_STOP); /* there is no schema */

    /* It is still read again as it was written, and so it is printed. */
    setenv("PASSWORD", "second", 1);
    _cleanup_buf_ struct buf dsn = {0};
    struct error err;
    assert_true(config_read_again(cfg, cfg->postgres.dsn, cfg->postgres.dsn_pos, &dsn, &err));
    assert_string_equal(buf_cstr(&dsn), "password=second");
    _cleanup_buf_ struct buf text = {0};
    config_print(cfg, &text);
    assert_non_null(strstr(buf_cstr(&text), "brokers: ${BROKERS}"));
    unsetenv("BROKERS");
    unsetenv("RACK");
    unsetenv("PASSWORD");
}

static void test_dead_letters_need_a_schema(void **state)
{
    static const char head[] = "sink: s\nkafka: {brokers: b}\npostgres: {dsn: ''}\n"
                               "delivery: at_least_once\n";
    static const char letters[] = "routes: [{topics: a, table: t, on_error: dead_letter},\n"
                                  "  {topics: a, table: u, on_error: dead_letter}]\n";
    _cleanup_config_ struct config *before = load(*state, head, "",
                                                  "routes: [{topics: a, table: t}]\n");
    _cleanup_config_ struct config *after = load(*state, head, "", letters);

    expect_between(before, after,
                   "!routes[t].on_error: stop -> dead_letter\n"
                   "routes[u]: added, topics [a] into u\n"
                   "!routes[u].on_error: dead_letter\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_order_of_routes),
        cmocka_unit_test(test_what_was_expanded_is_not_shown),
        cmocka_unit_test(test_keeps_what_needs_a_restart),
        cmocka_unit_test(test_dead_letters_need_a_schema),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
