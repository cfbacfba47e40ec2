/*
 * lookup.c between this client and the library's own mock of a broker. Older versions of it make
 * every topic that they are asked for, so each test makes what it needs. One thread.
 */
#include "kafka/lookup.h"

#include "config/config_kit.h"
#include "kafka/librdkafka.h"

#include <librdkafka/rdkafka_mock.h>

#define LIST_OFFSETS 2 /* the number of the request */

static struct client *open_client(struct kit *kit, const char *topics, struct config **out_cfg)
{
    char text[512];
    struct error err = {0};

    snprintf(text, sizeof text,
             "sink: s\n"
             "postgres: {dsn: ''}\n"
             "kafka: {brokers: unused, properties: {test.mock.num.brokers: 1}}\n"
             "routes:\n"
             "  - {topics: [%s], table: t}\n"
             "  - {topics: [b], table: u}\n",
             topics);
    *out_cfg = kit_load(kit, text);
    struct client *c = client_new(*out_cfg, 1, &err);
    assert_non_null(c);
    return c;
}

static rd_kafka_mock_cluster_t *make_topic(struct client *c, const char *name)
{
    rd_kafka_mock_cluster_t *broker = rd_kafka_handle_mock_cluster(c->rk);

    assert_int_equal(rd_kafka_mock_topic_create(broker, name, 1, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    return broker;
}

static void close_client(struct client *c, struct config *cfg)
{
    assert_true(client_close(c, clock_mono() + 5 * USEC_PER_SEC));
    config_free(cfg);
}

static void test_names_are_asked_for_one_by_one(void **state)
{
    struct config *cfg;
    struct client *c = open_client(*state, "a, b", &cfg);
    struct lookup_topic *topics;
    struct error err;
    size_t n;

    make_topic(c, "a");
    make_topic(c, "b");
    assert_true(lookup_subscribed(c, cfg, &topics, &n, 2 * USEC_PER_SEC, &err));
    assert_int_equal(n, 2); /* b, which two routes take, once */
    assert_string_equal(topics[0].name, "a");
    assert_string_equal(topics[1].name, "b");
    assert_true(topics[0].partition_count > 0);
    lookup_topics_free(topics, n);
    close_client(c, cfg);
}

static void test_a_pattern_wants_all_topics(void **state)
{
    struct config *cfg;
    struct client *c = open_client(*state, "'^x'", &cfg);
    struct lookup_topic *topics;
    struct error err;
    size_t n;

    assert_true(lookup_subscribed(c, cfg, &topics, &n, 2 * USEC_PER_SEC, &err));
    assert_int_equal(n, 0); /* nothing exists, and nothing was asked for by name */
    lookup_topics_free(topics, n);
    close_client(c, cfg);
}

/* The leader has changed since the library asked for it: the second answer counts. */
static void test_a_former_leader_is_asked(void **state)
{
    struct config *cfg;
    struct client *c = open_client(*state, "a", &cfg);
    struct partition_ref ref = {.topic = "a"};
    rd_kafka_mock_cluster_t *broker = make_topic(c, "a");
    struct error err = {0};

    rd_kafka_mock_push_request_errors(broker, LIST_OFFSETS, 1,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    assert_true(lookup_offsets(c, &ref, 1, LOOKUP_LATEST, 5 * USEC_PER_SEC, &err));
    assert_int_equal(ref.offset, 0);
    close_client(c, cfg);
}

/* It is asked twice, not for ever. */
static void test_there_is_no_leader(void **state)
{
    struct config *cfg;
    struct client *c = open_client(*state, "a", &cfg);
    struct partition_ref ref = {.topic = "a"};
    rd_kafka_mock_cluster_t *broker = make_topic(c, "a");
    struct error err = {0};

    rd_kafka_mock_push_request_errors(broker, LIST_OFFSETS, 2,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    assert_false(lookup_offsets(c, &ref, 1, LOOKUP_LATEST, 5 * USEC_PER_SEC, &err));
    assert_non_null(strstr(err.text, "cannot ask for offsets"));
    close_client(c, cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_asked_for_one_by_one),
        cmocka_unit_test(test_a_pattern_wants_all_topics),
        cmocka_unit_test(test_a_former_leader_is_asked),
        cmocka_unit_test(test_there_is_no_leader),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
