/*
 * traffic.c: places for brokers, and what is counted in them, without the library. traffic_taps.c:
 * what the library says, of a broker that it plays itself.
 */
#include "kafka/traffic_taps.h"

#include "unit.h"

#include <stdatomic.h>

static const struct traffic_broker *find(const struct traffic_broker *all, size_t n, int32_t id)
{
    for (size_t i = 0; i < n; i++) {
        if (all[i].id == id) {
            return &all[i];
        }
    }
    fail_msg("no broker %d", id);
    return NULL;
}

static void test_each_broker_is_counted_apart(void **state)
{
    struct traffic *t = traffic_new();
    struct traffic_broker all[TRAFFIC_BROKERS + 1];
    size_t n;

    (void) state;
    assert_int_equal(traffic_read(t, all), 0);
    traffic_state(t, -1, "CONNECT");
    traffic_state(t, -1, "UP");
    traffic_state(t, -1, "DOWN");
    traffic_sent(t, 7, 100);
    traffic_sent(t, 7, 20);
    traffic_received(t, 7, 1, 1000, 400);
    traffic_received(t, 7, 1, 1000, 500);
    traffic_received(t, 7, 1, 1000, 501);
    traffic_received(t, 7, 3, 50, 9000000);
    traffic_received(t, 7, 11, 5, 3000000); /* waits for other members */
    traffic_failed(t, 7, TRAFFIC_TIMEOUT);
    traffic_failed(t, 8, TRAFFIC_TRANSPORT);
    traffic_throttled(t, 8, 250);
    traffic_throttled(t, 8, 0);
    n = traffic_read(t, all);
    assert_int_equal(n, 3);
    const struct traffic_broker *b = find(all, n, 7);
    assert_int_equal(b->sent_bytes, 120);
    assert_int_equal(b->received_bytes, 3055);
    assert_int_equal(b->round_trip[TRAFFIC_FETCH].counts[0], 2);
    assert_int_equal(b->round_trip[TRAFFIC_FETCH].counts[1], 1);
    assert_int_equal(b->round_trip[TRAFFIC_FETCH].sum_usec, 1401);
    assert_int_equal(b->round_trip[TRAFFIC_OTHER].counts[TRAFFIC_BOUNDS], 1);
    assert_int_equal(b->round_trip[TRAFFIC_OTHER].sum_usec, 9000000);
    assert_int_equal(b->failed[TRAFFIC_TIMEOUT], 1);
    assert_int_equal(find(all, n, 8)->failed[TRAFFIC_TRANSPORT], 1);
    assert_int_equal(find(all, n, 8)->throttled_ms, 250);
    assert_int_equal(find(all, n, TRAFFIC_BOOTSTRAP)->connects, 1);
    assert_int_equal(find(all, n, TRAFFIC_BOOTSTRAP)->disconnects, 1);
    assert_null(traffic_free(t));
}

static void test_very_many_brokers(void **state)
{
    struct traffic *t = traffic_new();
    struct traffic_broker all[TRAFFIC_BROKERS + 1];

    (void) state;
    for (int32_t id = 0; id < 1000; id++) {
        traffic_sent(t, id, 1);
    }
    assert_int_equal(traffic_read(t, all), TRAFFIC_BROKERS + 1);
    assert_int_equal(all[TRAFFIC_BROKERS].id, TRAFFIC_REST);
    assert_int_equal(all[TRAFFIC_BROKERS].sent_bytes, 1000 - TRAFFIC_BROKERS);
    traffic_free(t);
}

static void test_when_a_broker_came_up(void **state)
{
    struct traffic *t = traffic_new();

    (void) state;
    assert_int_equal(traffic_up_at(t, "k1:9092"), 0);
    traffic_up(t, "k1:9092", 7);
    traffic_up(t, "k1:9092", 9);
    assert_int_equal(traffic_up_at(t, "k1:9092"), 9);
    assert_int_equal(traffic_up_at(t, "k2:9092"), 0);
    traffic_free(t);
}

/* Many addresses share a word: that one of them came up says nothing of the others. */
static void test_another_broker_came_up(void **state)
{
    struct traffic *t = traffic_new();
    char address[32];

    (void) state;
    traffic_up(t, "live:9092", 7 * USEC_PER_SEC);
    for (int i = 0; i < 1000; i++) {
        snprintf(address, sizeof address, "k%d:9092", i);
        assert_int_equal(traffic_up_at(t, address), 0);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(address, sizeof address, "k%d:9092", i);
        traffic_up(t, address, USEC_PER_SEC + (usec_t) i);
        assert_int_equal(traffic_up_at(t, address), USEC_PER_SEC + (usec_t) i);
    }
    assert_int_equal(traffic_up_at(t, "live:9092"), 0); /* its word is another's now */
    traffic_free(t);
}

static void test_the_bounds_rise(void **state)
{
    size_t n;
    const uint64_t *at = traffic_bounds(&n);

    (void) state;
    assert_int_equal(n, TRAFFIC_BOUNDS);
    for (size_t i = 1; i < n; i++) {
        assert_true(at[i] > at[i - 1]);
    }
}

static _Atomic uint64_t requests;

static rd_kafka_resp_err_t on_request(rd_kafka_t *rk, int fd, const char *name, int32_t broker,
                                      int16_t key, int16_t version, int32_t correlation,
                                      size_t size, void *arg)
{
    (void) rk, (void) fd, (void) name, (void) broker, (void) key, (void) version;
    (void) correlation, (void) size, (void) arg;
    atomic_fetch_add(&requests, 1);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *arg,
                                  char *text, size_t size)
{
    (void) conf, (void) arg, (void) text, (void) size;
    return rd_kafka_interceptor_add_on_request_sent(rk, "test", on_request, NULL);
}

static uint64_t count_answers(const struct traffic *t)
{
    struct traffic_broker all[TRAFFIC_BROKERS + 1];
    size_t n = traffic_read(t, all);
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k <= TRAFFIC_BOUNDS; k++) {
            sum += all[i].round_trip[TRAFFIC_OTHER].counts[k];
        }
    }
    return sum;
}

/* Also where another thread than the broker's awaits it, as this one does here. */
static void test_an_answer_counts_once(void **state)
{
    enum { QUESTIONS = 20 };
    struct traffic *t = traffic_new();
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];

    (void) state;
    assert_int_equal(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text, sizeof text),
                     RD_KAFKA_CONF_OK);
    rd_kafka_conf_interceptor_add_on_new(conf, "test", on_new, NULL);
    traffic_tap(t, conf);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    assert_non_null(rk);
    for (int i = 0; i < QUESTIONS; i++) {
        const struct rd_kafka_metadata *answer;
        assert_int_equal(rd_kafka_metadata(rk, 1, NULL, &answer, 10000), 0);
        rd_kafka_metadata_destroy(answer);
    }
    rd_kafka_destroy(rk);
    assert_true(count_answers(t) >= QUESTIONS);
    assert_true(count_answers(t) <= atomic_load(&requests));
    traffic_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_broker_is_counted_apart),
        cmocka_unit_test(test_very_many_brokers),
        cmocka_unit_test(test_when_a_broker_came_up),
        cmocka_unit_test(test_another_broker_came_up),
        cmocka_unit_test(test_the_bounds_rise),
        cmocka_unit_test(test_an_answer_counts_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
