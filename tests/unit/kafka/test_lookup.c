/*
 * lookup.c between this client and the library's own mock of a broker, which makes every topic that
 * it is asked for. One thread.
 */
#include "kafka/lookup.h"

#include "config/config_kit.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_asked_for_one_by_one),
        cmocka_unit_test(test_a_pattern_wants_all_topics),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
