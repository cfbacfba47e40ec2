/*
 * client.c, as far as it needs no broker: what client_check says of brokers, properties and topics,
 * with the place in the file and never with a value; and the memory that is promised. One thread.
 */
#include "kafka/client.h"

#include "config/config_kit.h"
#include "kafka/events.h"
#include "kafka/librdkafka.h"

#include <poll.h>

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

/* What the library says, where it is in the file, and what to do. */
static void test_what_the_library_says(void **state)
{
    expect(*state, "    sasl.jaas.config: x username=u password=" SECRET ";\n",
           "c.yaml:9:23: ", "Java JAAS configuration is not supported");
    expect(*state, "    sesion.timeout.ms: 1\n", "c.yaml:9:5: ", "no property 'sesion.timeout.ms'");
    expect(*state, "    security.protocol: sasl_plaintext\n", "c.yaml:9:24: ", "GSSAPI");
    expect(*state, "    security.protocol: sasl_plaintext\n    sasl.mechanism: PLAIN\n",
           "c.yaml:10:21: ", "sasl.username and sasl.password must be set");
    expect(*state, "    security.protocol: ssl\n    ssl.ca.location: /none\n",
           "c.yaml:10:22: ", "file '/none' cannot be read");
    setenv("KIT_NAME", "/" SECRET, 1);
    expect(*state, "    security.protocol: ssl\n    ssl.ca.location: ${KIT_NAME}\n",
           "c.yaml:10:22: ", "its file cannot be read");
    unsetenv("KIT_NAME");
}

/* The library takes 6s for 6, and 010 for 8. */
static void test_numbers_are_whole(void **state)
{
    static const char *const bad[] = {"6s", "010", "0x1g", "1e3", "1.5", "6 000", "'-'"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[64];
        snprintf(text, sizeof text, "    session.timeout.ms: %s\n", bad[i]);
        expect(*state, text, "c.yaml:9:25: ", "takes a whole number, of milliseconds");
    }
    expect(*state, "    linger.ms: 1.5s\n", "c.yaml:9:16: ", "takes a");
    expect(*state, "    fetch.max.bytes: 8MiB\n", "c.yaml:9:22: ", "takes a whole number");
    expect(*state, "    fetch.max.bytes: 5" SECRET "\n", "c.yaml:9:22: ", "takes a whole number");
}

/* Where secrets and certificates are not, all else is looked at. */
static void test_without_secrets(void **state)
{
    struct kit *kit = *state;
    static const char head[] = "sink: s\nroutes: [{topics: [t], table: t}]\nkafka:\n  brokers: b\n"
                               "  properties:\n    security.protocol: sasl_ssl\n"
                               "    sasl.mechanism: ${KIT_NONE}\n    sasl.username: ${KIT_NONE}\n"
                               "    sasl.password: ${file:none}\n    ssl.ca.location: /none\n"
                               "    ssl.key.location: ${KIT_NONE}\n";
    static const char *const more[][2] = {
        {"    session.timeout.ms: ${KIT_NONE}\n", NULL},
        {"    session.timeout.ms: 6s\n", "c.yaml:12:25: "},
        {"    no.such.thing: ${KIT_NONE}\n", "c.yaml:12:5: "},
        {"    client.rack: ${KIT_NONE}\n    ssl.cipher.suites: ${KIT_NONE}\n", NULL},
        {"    ssl.caa.location: /none\n", "c.yaml:12:5: "},
        {"    ssl.certificate.pem: none\n    sasl.kerberos.keytab: /none\n", NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        char text[1024];
        struct error err = {0};
        snprintf(text, sizeof text, "%s%s", head, more[i][0]);
        _cleanup_config_ struct config *cfg = config_load_for(kit_write_z(kit, "c.yaml", text),
                                                              CONFIG_WITHOUT_SECRETS, &err);
        assert_non_null(cfg);
        bool ok = client_check(cfg, &err);
        if (more[i][1] == NULL) {
            assert_string_equal(ok ? "" : err.text, "");
        } else {
            assert_false(ok);
            assert_non_null(strstr(err.text, more[i][1]));
        }
    }
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
        "    topic.metadata.refresh.interval.ms: 0x100\n"
        "    client.id: a #prod\n"
        "    session.timeout.ms: +6000 #6 s\n"
        "    queue.buffering.max.ms: 0.5\n"
        "    linger.ms: 0.5\n");

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

static bool is_readable(const struct client *c)
{
    struct pollfd fd = {.fd = client_fd(c), .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

/* A line that is there first is taken after the answer to a commit, which is refused at once. */
static void test_events_come_before_lines(void **state)
{
    struct error err = {0};
    struct event e;
    _cleanup_config_ struct config *cfg = load(*state, "127.0.0.1:1", "");
    struct client *c = client_new(cfg, 1, &err);

    assert_non_null(c);
    lines_add(&c->lines, 7, "BROKERUA", "orders [3]: broker unavailable: fetch: x");
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    assert_int_equal(rd_kafka_commit_queue(c->rk, none, c->queue, NULL, NULL), 0);
    rd_kafka_topic_partition_list_destroy(none);
    while (rd_kafka_queue_length(c->queue) == 0) {
        poll(NULL, 0, 1); /* fd tells nothing, because of the line */
    }
    event_take(c, &e);
    assert_true(e.kind == EVENT_COMMITTED || e.kind == EVENT_AWAY); /* nobody is at that address */
    event_done(&e);
    client_wake(c);
    assert_true(is_readable(c));
    do {
        event_take(c, &e);
    } while (e.kind == EVENT_COMMITTED || e.kind == EVENT_AWAY);
    assert_int_equal(e.kind, EVENT_DOUBT);
    assert_string_equal(e.topic, "orders");
    event_done(&e);
    assert_true(client_close(c, clock_mono() + 5 * USEC_PER_SEC));
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

static void expect_refused(struct kit *kit, const char *properties, const char *what)
{
    struct error err = {0};
    _cleanup_config_ struct config *cfg = load(kit, "b", properties);

    assert_null(client_new(cfg, 1, &err));
    if (strstr(err.text, what) == NULL) {
        print_error("said: %s\n", err.text);
        fail();
    }
}

/* A text as short as that is found in most messages, and gives nothing away. */
static void test_a_short_value_hides_nothing(void **state)
{
    setenv("KIT_NAME", "a", 1);
    expect_refused(*state, "    session.timeout.ms: 400000\n    client.id: ${KIT_NAME}\n",
                   "max.poll.interval.ms");
    setenv("KIT_NAME", "max.poll.interval", 1);
    expect_refused(*state, "    session.timeout.ms: 400000\n    client.id: ${KIT_NAME}\n",
                   "they contradict each other");
    unsetenv("KIT_NAME");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_property),
        cmocka_unit_test(test_invalid_value),
        cmocka_unit_test(test_what_the_library_says),
        cmocka_unit_test(test_numbers_are_whole),
        cmocka_unit_test(test_without_secrets),
        cmocka_unit_test(test_fine),
        cmocka_unit_test(test_a_name_that_no_topic_can_have),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_new_and_close),
        cmocka_unit_test(test_events_come_before_lines),
        cmocka_unit_test(test_refused_as_a_whole),
        cmocka_unit_test(test_a_short_value_hides_nothing),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
