/*
 * client.c, as far as it needs no broker: what client_check says of brokers, properties and topics,
 * with the place in the file and never with a value; and the memory that is promised. One thread.
 */
#include "kafka/client.h"

#include "config/config_kit.h"

#define SECRET "hunter2-is-no-number"

/* brokers, then lines below kafka.properties */
static struct config *load(struct kit *kit, const char *brokers, const char *properties)
{
    char text[2048];

    snprintf(text, sizeof text,
             "sink: s\n"
             "postgres: {dsn: ''}\n"
             "routes:\n"
             "  - {topics: [t], table: t}\n"
             "kafka:\n"
             "  brokers: \"%s\"\n"
             "  properties:\n"
             "    client.rack: r\n"
             "%s",
             brokers, properties);
    return kit_load(kit, text);
}

static void expect(struct kit *kit, const char *properties, const char *where, const char *what)
{
    struct error err = {0};
    _cleanup_config_ struct config *cfg = load(kit, "b", properties);

    assert_false(client_check(cfg, &err));
    const char *said = kit_said(kit, &err);
    if (strncmp(said, where, strlen(where)) != 0 || strstr(said, what) == NULL) {
        print_error("said: %s\n", said);
        fail();
    }
    assert_null(strstr(said, SECRET));
    assert_null(strstr(err.hint, SECRET));
    assert_string_not_equal(err.hint, "");
}

static void test_unknown_property(void **state)
{
    expect(*state, "    no.such.thing: " SECRET "\n",
           "c.yaml:9:5: ", "no property 'no.such.thing'");
    expect(*state, "    fetch.min.bytes: 1\n    Fetch.min.bytes: " SECRET "\n",
           "c.yaml:10:5: ", "no property 'Fetch.min.bytes'");
}

static void test_invalid_value(void **state)
{
    expect(*state, "    fetch.min.bytes: " SECRET "\n", "c.yaml:9:22: ", "'fetch.min.bytes'");
    expect(*state, "    security.protocol: " SECRET "\n", "c.yaml:9:24: ", "'security.protocol'");
    expect(*state, "    fetch.min.bytes: 0\n", "c.yaml:9:22: ", "'fetch.min.bytes'");
    expect(*state, "    debug: " SECRET "\n", "c.yaml:9:12: ", "'debug'");
}

static void test_fine(void **state)
{
    struct error err = {0};
    _cleanup_config_ struct config *cfg = load(
        *state, "one:1,two:2",
        "    partition.assignment.strategy: cooperative-sticky\n"
        "    group.instance.id: i\n"
        "    sasl.username: u\n"
        "    sasl.password: " SECRET "\n"
        "    topic.metadata.refresh.interval.ms: 1000\n");

    if (!client_check(cfg, &err)) {
        print_error("said: %s\n", err.text);
        fail();
    }
}

static void test_a_name_that_no_topic_can_have(void **state)
{
    char text[1024];
    struct error err = {0};

    snprintf(text, sizeof text,
             "sink: s\nkafka: {brokers: b}\npostgres: {dsn: ''}\nroutes:\n"
             "  - table: t\n    topics: [t, %0*d]\n",
             249, 0);
    struct config *cfg = kit_load(*state, text);
    assert_true(client_check(cfg, &err));
    config_free(cfg);
}

static void test_memory(void **state)
{
    _cleanup_config_ struct config *plain = load(*state, "b", "");
    struct client_memory one = client_memory(plain, 1);
    struct client_memory eight = client_memory(plain, 8);
    struct client_memory many = client_memory(plain, 1000);

    assert_true(one.queue_bytes >= 8 * eight.queue_bytes);
    assert_true(many.queue_bytes > 0);
    assert_true(one.fetch_bytes == eight.fetch_bytes);

    _cleanup_config_ struct config *own = load(*state, "b",
                                               "    queued.max.messages.kbytes: 1000\n"
                                               "    fetch.max.bytes: 2000000\n");
    assert_int_equal(client_memory(own, 4).queue_bytes, 2 * 1000 * 1024);
    assert_int_equal(client_memory(own, 4).fetch_bytes, 2000000);
}

/* A consumer is made and closed without a broker; closing does not wait for one. */
static void test_new_and_close(void **state)
{
    struct error err = {0};
    _cleanup_config_ struct config *cfg = load(*state, "127.0.0.1:1", "");
    struct client *c = client_new(cfg, 2, &err);

    assert_non_null(c);
    assert_true(client_fd(c) >= 0);
    assert_false(client_is_cooperative(c));
    usec_t begin = clock_mono();
    assert_true(client_close(c, begin + 5 * USEC_PER_SEC));
    assert_true(clock_mono() - begin < 4 * USEC_PER_SEC);
}

/* Some values and combinations are refused only when a consumer is made of them. */
static void test_refused_as_a_whole(void **state)
{
    struct error err = {0};
    _cleanup_config_ struct config *cfg = load(*state, "b",
                                               "    sasl.mechanism: PLAIN\n"
                                               "    security.protocol: SASL_PLAINTEXT\n"
                                               "    sasl.password: " SECRET "\n"
                                               "    session.timeout.ms: 400000\n");
    struct client *c = client_new(cfg, 1, &err);

    assert_null(c);
    assert_int_equal(err.class, ERROR_SETUP);
    assert_non_null(strstr(err.text, "c.yaml:"));
    assert_null(strstr(err.text, SECRET));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_property),
        cmocka_unit_test(test_invalid_value),
        cmocka_unit_test(test_fine),
        cmocka_unit_test(test_a_name_that_no_topic_can_have),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_new_and_close),
        cmocka_unit_test(test_refused_as_a_whole),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
