/*
 * sampler.c between this client and the library's own mock of a broker: what a broker refuses ends
 * the reading, and is said. What it reads of real topics: tests/integration/test_check_sample.py.
 * One thread.
 */
#include "kafka/sampler.h"

#include "config/config_kit.h"
#include "kafka/librdkafka.h"

#include <librdkafka/rdkafka_mock.h>

#define FETCH 1 /* the number of the request */
#define REFUSALS 100

struct bench {
    rd_kafka_t *producer; /* owns the broker */
    rd_kafka_mock_cluster_t *broker;
    struct config *cfg;
    struct client *client;
    struct sampler *sampler;
};

/* One after the other into two partitions. */
static void produce(struct bench *b, int n)
{
    char value[] = "value";

    for (int i = 0; i < n; i++) {
        const rd_kafka_vu_t record[] = {
            {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = "t"},
            {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = i % 2},
            {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = value, .size = sizeof value}},
            {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
            {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = 1000 + i},
        };
        assert_null(rd_kafka_produceva(b->producer, record, ARRAY_LEN(record)));
    }
    assert_int_equal(rd_kafka_flush(b->producer, 5000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void bench_init(struct bench *b, struct kit *kit)
{
    char text[512];
    struct error err;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text, sizeof text);
    b->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    b->broker = rd_kafka_handle_mock_cluster(b->producer);
    rd_kafka_mock_topic_create(b->broker, "t", 2, 1);
    snprintf(text, sizeof text,
             "sink: s\n"
             "postgres: {dsn: ''}\n"
             "kafka: {brokers: '%s'}\n"
             "routes: [{topics: [t], table: t}]\n",
             rd_kafka_mock_cluster_bootstraps(b->broker));
    b->cfg = kit_load(kit, text);
    b->client = client_new(b->cfg, 1, &err);
    assert_non_null(b->client);
    b->sampler = sampler_new(b->client, b->cfg, &err);
    assert_non_null(b->sampler);
}

static void bench_done(struct bench *b)
{
    sampler_free(b->sampler);
    assert_true(client_close(b->client, clock_mono() + 5 * USEC_PER_SEC));
    config_free(b->cfg);
    rd_kafka_destroy(b->producer);
}

static void refuse(struct bench *b, rd_kafka_resp_err_t code)
{
    rd_kafka_resp_err_t codes[REFUSALS];

    for (size_t i = 0; i < REFUSALS; i++) {
        codes[i] = code;
    }
    rd_kafka_mock_push_request_errors_array(b->broker, FETCH, REFUSALS, codes);
}

static void test_the_newest(void **state)
{
    struct bench b;
    struct sample sample;
    struct error err;
    const struct sample_bounds bounds = {
        .records = 3, .bytes = 1 << 20, .timeout = 10 * USEC_PER_SEC};

    bench_init(&b, *state);
    produce(&b, 20);
    assert_true(sampler_read(b.sampler, "t", 2, &bounds, &sample, &err));
    assert_int_equal(sample.count, 3);
    assert_int_equal(sample.silent, 0);
    assert_false(sample.is_cut);
    assert_int_equal(sample.records[0].partition, 0);
    assert_int_equal(sample.records[0].offset, 9);
    assert_int_equal(sample.records[1].partition, 1);
    assert_int_equal(sample.records[1].offset, 8);
    assert_int_equal(sample.records[2].offset, 9);
    sample_done(&sample);
    bench_done(&b);
}

static void test_reading_is_not_permitted(void **state)
{
    struct bench b;
    struct sample sample;
    struct error err;
    const struct sample_bounds bounds = {
        .records = 3, .bytes = 1 << 20, .timeout = 60 * USEC_PER_SEC};

    bench_init(&b, *state);
    produce(&b, 20);
    refuse(&b, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    usec_t start = clock_mono();
    assert_true(sampler_read(b.sampler, "t", 2, &bounds, &sample, &err));
    assert_true(clock_mono() < start + 30 * USEC_PER_SEC);
    assert_int_equal(sample.count, 0);
    assert_int_equal(sample.silent, 2);
    assert_non_null(strstr(sample.fault.text, "uthorization failed"));
    assert_string_equal(sample.fault.hint,
                        "Grant READ on the topic to pgsinkd's user of the cluster.");
    sample_done(&sample);
    bench_done(&b);
}

/* What may pass is waited for, until time is up. */
static void test_no_answer(void **state)
{
    struct bench b;
    struct sample sample;
    struct error err;
    const struct sample_bounds bounds = {
        .records = 3, .bytes = 1 << 20, .timeout = 700 * USEC_PER_MSEC};

    bench_init(&b, *state);
    produce(&b, 20);
    refuse(&b, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    assert_true(sampler_read(b.sampler, "t", 2, &bounds, &sample, &err));
    assert_int_equal(sample.count, 0);
    assert_int_equal(sample.silent, 2);
    assert_int_equal(sample.fault.class, ERROR_NONE);
    sample_done(&sample);
    bench_done(&b);
}

static void test_no_broker(void **state)
{
    struct bench b;
    struct sample sample;
    struct error err;
    const struct sample_bounds bounds = {
        .records = 3, .bytes = 1 << 20, .timeout = 300 * USEC_PER_MSEC};

    bench_init(&b, *state);
    rd_kafka_mock_broker_set_down(b.broker, 1);
    assert_false(sampler_read(b.sampler, "t", 2, &bounds, &sample, &err));
    assert_int_equal(err.class, ERROR_LINK);
    assert_null(sample.records);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest),
        cmocka_unit_test(test_reading_is_not_permitted),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_no_broker),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
