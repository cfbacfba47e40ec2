/*
 * Where the library lets us listen, see traffic.h and traffic_taps.h. on_throttle runs in main,
 * when it takes events; the rest in the library's threads, some of them with its locks held: they
 * only count.
 */
#include "kafka/traffic_taps.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/*
 * A request whose answer another thread awaits (heartbeats, offsets, metadata) is said twice to
 * have ended: by the broker's thread, which queues it for the other, and by that one, when it takes
 * it. The broker's thread says each once.
 */
static _Thread_local bool is_broker;

static rd_kafka_resp_err_t on_thread(rd_kafka_t *rk, rd_kafka_thread_type_t type, const char *name,
                                     void *arg)
{
    (void) rk, (void) name, (void) arg;
    is_broker = type == RD_KAFKA_THREAD_BROKER;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_request(rd_kafka_t *rk, int fd, const char *name, int32_t broker,
                                      int16_t key, int16_t version, int32_t correlation,
                                      size_t size, void *arg)
{
    (void) rk, (void) fd, (void) name, (void) key, (void) version, (void) correlation;
    traffic_sent(arg, broker, size);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static enum traffic_failure failure_of(rd_kafka_resp_err_t err)
{
    if (err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE) {
        return TRAFFIC_TIMEOUT;
    }
    return err == RD_KAFKA_RESP_ERR__TRANSPORT ? TRAFFIC_TRANSPORT : TRAFFIC_FAILED;
}

/* The end of each request, with its answer or without. Those that a stop leaves are no failures. */
static rd_kafka_resp_err_t on_response(rd_kafka_t *rk, int fd, const char *name, int32_t broker,
                                       int16_t key, int16_t version, int32_t correlation,
                                       size_t size, int64_t rtt, rd_kafka_resp_err_t err, void *arg)
{
    (void) rk, (void) fd, (void) name, (void) version, (void) correlation;
    if (!is_broker) {
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    if (key < 0) {
        /* Too late for its request, whose end was a timeout: bytes, without a time. */
        traffic_received(arg, broker, key, size, -1);
    } else if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        traffic_received(arg, broker, key, size, rtt);
    } else if (err != RD_KAFKA_RESP_ERR__DESTROY) {
        traffic_failed(arg, broker, failure_of(err));
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_state(rd_kafka_t *rk, int32_t broker, const char *protocol,
                                    const char *name, int port, const char *state, void *arg)
{
    char address[128];

    (void) rk, (void) protocol;
    traffic_state(arg, broker, state);
    if (strcmp(state, "UP") == 0) {
        snprintf(address, sizeof address, "%s:%d", name, port);
        traffic_up(arg, address, clock_mono());
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *arg,
                                  char *text, size_t size)
{
    (void) conf, (void) text, (void) size;
    /* None of these fails, but for one that is there already. */
    rd_kafka_interceptor_add_on_thread_start(rk, "traffic", on_thread, arg);
    rd_kafka_interceptor_add_on_request_sent(rk, "traffic", on_request, arg);
    rd_kafka_interceptor_add_on_response_received(rk, "traffic", on_response, arg);
    rd_kafka_interceptor_add_on_broker_state_change(rk, "traffic", on_state, arg);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void traffic_tap(struct traffic *t, rd_kafka_conf_t *conf)
{
    rd_kafka_conf_interceptor_add_on_new(conf, "traffic", on_new, t);
}
