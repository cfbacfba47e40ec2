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

/* want: a line for each difference; those that need a restart begin with "!", an address "@", a
 * schema "+", history "#". after is what can be in force then. */
static void expect_between(const struct config *before, struct config *after, const char *want)
{
    static const char *const signs[] = {[NEED_NOTHING] = "",
                                        [NEED_RESTART] = "!",
                                        [NEED_ADDRESS] = "@",
                                        [NEED_SCHEMA] = "+",
                                        [NEED_HISTORY] = "#"};
    struct config_changes changes;
    struct error err;
    _cleanup_buf_ struct buf said = {0};

    assert_true(config_reload(after, before, &changes, &err));
    for (size_t i = 0; i < changes.count; i++) {
        const struct config_change *c = &changes.items[i];
        buf_printf(&said, "%s%s\n", signs[c->need], c->text);
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
           "!delivery: exactly_once -> at_least_once\n");
    expect(*state, "http: {listen: '127.0.0.1:9477', partitions: 7}\naudit: true\n", ROUTE,
           "#audit: false -> true\n"
           "@http.listen: \"off\" -> \"127.0.0.1:9477\"\n"
           "http.partitions: 1000 -> 7\n");
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

/* A client that runs can be given another user and password, but nothing else of its login. */
static void test_logins(void **state)
{
    static const char format[] = "sink: s\nkafka: {brokers: b, properties: {%s}}\n"
                                 "postgres: {dsn: ''}\n";
    static const struct {
        const char *before;
        const char *after;
        const char *changes;
    } cases[] = {
        {"sasl.mechanism: PLAIN, sasl.username: a, sasl.password: one",
         "sasl.mechanism: PLAIN, sasl.username: b, sasl.password: two",
         "kafka.properties.sasl.username: a -> b\n"
         "kafka.properties.sasl.password: \"***\", which is another value now\n"},
        {"sasl.mechanisms: SCRAM-SHA-512, sasl.password: one, client.rack: a",
         "sasl.mechanisms: SCRAM-SHA-512, sasl.password: two, client.rack: b",
         "kafka.properties.sasl.password: \"***\", which is another value now\n"
         "!kafka.properties.client.rack: a -> b\n"},
        {"sasl.mechanism: PLAIN, sasl.password: one",
         "sasl.mechanism: SCRAM-SHA-256, sasl.password: two",
         "!kafka.properties.sasl.mechanism: PLAIN -> SCRAM-SHA-256\n"
         "!kafka.properties.sasl.password: \"***\", which is another value now\n"},
        {"sasl.mechanism: PLAIN, sasl.password: one", "sasl.mechanism: PLAIN",
         "!kafka.properties.sasl.password: \"***\" -> (none)\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char head[2][512];
        snprintf(head[0], sizeof head[0], format, cases[i].before);
        snprintf(head[1], sizeof head[1], format, cases[i].after);
        _cleanup_config_ struct config *before = load(*state, head[0], "", ROUTE);
        _cleanup_config_ struct config *after = load(*state, head[1], "", ROUTE);
        expect_between(before, after, cases[i].changes);
        struct config_changes changes;
        struct error err;
        assert_true(config_reload(after, before, &changes, &err));
        config_changes_free(&changes);
        const struct config_properties *kept = &after->kafka.properties;
        assert_int_equal(kept->count, before->kafka.properties.count);
        const char *password = kept->items[i == 0 ? 2 : 1].value;
        assert_string_equal(password, i < 2 ? "two" : "one");
    }
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
    struct config_changes changes;
    struct error err;
    assert_true(config_reload(cfg, running, &changes, &err));
    config_changes_free(&changes);
    expect_between(running, cfg, /* what is kept is no difference any more */
                   "kafka.on_gap: stop -> latest\n"
                   "postgres.manage_schema: true -> false\n"
                   "postgres.timeout: 7s -> 8s\n"
                   "workers: 0 -> 2\n"
                   "http.partitions: 1000 -> 5\n");
    assert_string_equal(cfg->sink, "s");
    assert_string_equal(cfg->kafka.group, "pgsinkd-s");
    assert_int_equal(cfg->kafka.start_ms, running->kafka.start_ms);
    assert_int_equal(cfg->kafka.properties.count, 2);
    assert_string_equal(cfg->kafka.properties.items[0].value, "rack");
    assert_int_equal(cfg->routes[0].on_error, ON_ERROR_STOP); /* there is no ledger */

    /* It is still read again as it was written, and so it is printed. */
    setenv("PASSWORD", "second", 1);
    _cleanup_buf_ struct buf dsn = {0};
    assert_true(config_read_dsn(cfg, &dsn, &err));
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
                   "+routes[t].on_error: stop -> dead_letter\n"
                   "routes[u]: added, topics [a] into u\n"
                   "+routes[u].on_error: dead_letter\n");
    assert_int_equal(after->routes[0].on_error, ON_ERROR_DEAD_LETTER);
    config_give_up(after, before, NEED_SCHEMA);
    assert_int_equal(after->routes[0].on_error, ON_ERROR_STOP);
    assert_int_equal(after->routes[1].on_error, ON_ERROR_STOP);
}

static void test_audit_that_cannot_be(void **state)
{
    _cleanup_config_ struct config *before = load(*state, HEAD, "", ROUTE);
    _cleanup_config_ struct config *after = load(*state, HEAD, "audit: true\n", ROUTE);

    expect_between(before, after, "#audit: false -> true\n");
    _cleanup_config_ struct config *off = load(*state, HEAD, "", ROUTE);
    expect_between(after, off, "audit: true -> false\n"); /* which needs no rights */
    config_give_up(after, before, NEED_HISTORY);
    assert_false(after->audit);
    expect_between(before, after, "");
}

static void test_a_listener_that_cannot_be(void **state)
{
    setenv("PORT", "9477", 1);
    _cleanup_config_ struct config *before = load(*state, HEAD, "http: {listen: '[::1]:${PORT}'}\n",
                                                  ROUTE);
    _cleanup_config_ struct config *after = load(*state, HEAD, "", ROUTE);

    expect_between(before, after, "@http.listen: \"[::1]:${PORT}\" -> \"off\"\n");
    assert_string_equal(after->http.address.host, "");
    config_give_up(after, before, NEED_ADDRESS);
    assert_string_equal(after->http.listen, "[::1]:9477");
    assert_string_equal(after->http.address.host, "::1");
    assert_int_equal(after->http.address.port, 9477);
    expect_between(before, after, "");
    unsetenv("PORT");
}

/* A default that depends on what is kept is that of what is kept. */
static void test_another_delivery_changes_no_default(void **state)
{
    static const char group[] = "delivery: at_least_once\n";
    _cleanup_config_ struct config *ledger = load(*state, HEAD, "", ROUTE);
    _cleanup_config_ struct config *none = load(*state, HEAD, group, ROUTE);
    _cleanup_config_ struct config *file = load(*state, HEAD, group, ROUTE);

    expect_between(ledger, file, "!delivery: exactly_once -> at_least_once\n");
    assert_int_equal(file->routes[0].on_error, ON_ERROR_DEAD_LETTER);
    _cleanup_config_ struct config *other = load(*state, HEAD, "", ROUTE);
    expect_between(none, other, "!delivery: at_least_once -> exactly_once\n");
    assert_int_equal(other->routes[0].on_error, ON_ERROR_STOP);
}

/* Each file is right, but not what a reload from one to the other would make. */
static void test_what_is_kept_contradicts_what_is_new(void **state)
{
    static const struct {
        const char *before;
        const char *after;
        const char *why;
    } cases[] = {
        {"sink: s\nkafka: {brokers: b, commit: interval}\npostgres: {dsn: ''}\n"
         "delivery: at_least_once\n",
         "sink: s\nkafka: {brokers: b, commit_interval: 0}\npostgres: {dsn: ''}\n"
         "delivery: at_least_once\n",
         "'kafka.commit_interval' is 0, so offsets would never be committed"},
        {"sink: s\nkafka: {brokers: b}\npostgres: {dsn: ''}\ndelivery: at_least_once\n",
         "sink: s\nkafka: {brokers: b}\npostgres: {dsn: ''}\naudit: true\n",
         "'audit' needs delivery exactly_once"},
        {"sink: s\nkafka: {brokers: b}\npostgres: {dsn: ''}\ndelivery: at_least_once\n",
         "sink: s\nkafka: {brokers: b}\npostgres: {synchronous_commit: off}\n",
         "'postgres.synchronous_commit' cannot be 'off'"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_config_ struct config *before = load(*state, cases[i].before, "", ROUTE);
        _cleanup_config_ struct config *after = load(*state, cases[i].after, "", ROUTE);
        struct config_changes changes;
        struct error err;
        assert_false(config_reload(after, before, &changes, &err));
        assert_int_equal(changes.count, 0);
        assert_int_equal(err.class, ERROR_SETUP);
        assert_non_null(strstr(err.text, "the file contradicts what stays as it is"));
        assert_non_null(strstr(err.text, cases[i].why));
        assert_non_null(strstr(err.hint, "Restart"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_secrets),

        cmocka_unit_test(test_logins),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_order_of_routes),
        cmocka_unit_test(test_what_was_expanded_is_not_shown),
        cmocka_unit_test(test_keeps_what_needs_a_restart),
        cmocka_unit_test(test_dead_letters_need_a_schema),
        cmocka_unit_test(test_audit_that_cannot_be),
        cmocka_unit_test(test_a_listener_that_cannot_be),
        cmocka_unit_test(test_another_delivery_changes_no_default),
        cmocka_unit_test(test_what_is_kept_contradicts_what_is_new),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
