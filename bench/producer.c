/*
 * producer: fills a topic with the records of a workload, as fast as the library can or at a rate.
 * The same arguments always give the same records in the same order within each partition.
 *
 *     producer [OPTION...] BROKERS TOPIC COUNT
 *
 *     -k KIND   which records, see records.h (default: events)
 *     -f FIRST  the number of the first record (default: 1)
 *     -z CODEC  compress: lz4, zstd, ... (default: none)
 *     -p N      all into partition N instead of by their keys
 *     -r N      into the partitions 0 to N-1 in turn instead of by their keys
 *     -s RATE   so many records a second
 *     -b N      every N-th record is bad: its value lacks the last byte
 *
 * Ends when the brokers have taken all. Not installed.
 */
#include "records.h"
#include "tool.h"

#include <librdkafka/rdkafka.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NSEC_PER_SEC UINT64_C(1000000000)
#define DEADLINE_MS 60000
#define PACE_NSEC UINT64_C(2000000) /* how often records are sent when there is a rate */

struct options {
    const struct record_kind *kind;
    uint64_t first;
    uint64_t count;
    uint64_t rate;     /* 0 = as fast as possible */
    uint64_t in_turn;  /* number of partitions; 0 = not in turn */
    uint64_t bad;      /* every so manieth is bad; 0 = none */
    int32_t partition; /* RD_KAFKA_PARTITION_UA = by key */
    const char *codec;
    const char *brokers;
    const char *topic;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void) rk;
    uint64_t *delivered = opaque;
    if (m->err) {
        die("a record was not taken: %s", rd_kafka_err2str(m->err));
    }
    ++*delivered;
}

/*
 * Idempotence keeps the order and doubles nothing; with more than one request in flight, though,
 * librdkafka 2.0.2 has lost the first records of partitions that had just been created, and
 * reported them as delivered. A request carries one partition, so with a rate, over many
 * partitions, one at a time is too slow; there the order does not matter.
 */
static rd_kafka_t *connect_to(const struct options *o, uint64_t *delivered)
{
    bool paced = o->rate > 0;
    const char *const settings[][2] = {
        {"bootstrap.servers", o->brokers},
        {"enable.idempotence", paced ? "false" : "true"},
        {"max.in.flight.requests.per.connection", paced ? "1000" : "1"},
        {"compression.codec", o->codec},
        {"partitioner", "murmur2_random"},
        {"linger.ms", paced ? "2" : "50"},
        {"queue.buffering.max.messages", "200000"},
        {"log_level", "3"},
    };
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    for (size_t i = 0; i < COUNT(settings); i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) !=
            RD_KAFKA_CONF_OK) {
            die("%s", text);
        }
    }
    rd_kafka_conf_set_opaque(conf, delivered);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (rk == NULL) {
        die("%s", text);
    }
    return rk;
}

static void send_record(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct options *o,
                        uint64_t number)
{
    static struct record r;

    o->kind->make(&r, number);
    if (o->bad > 0 && number % o->bad == 0) {
        r.value_size--;
    }
    int32_t partition = o->in_turn > 0 ? (int32_t) ((number - o->first) % o->in_turn)
                                       : o->partition;
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, r.value, r.value_size, r.key,
                            r.key_size, NULL) < 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            die("%s", rd_kafka_err2str(rd_kafka_last_error()));
        }
        rd_kafka_poll(rk, 100);
    }
}

static uint64_t now_nsec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * NSEC_PER_SEC + (uint64_t) t.tv_nsec;
}

static void wait_until(uint64_t nsec)
{
    struct timespec t = {(time_t) (nsec / NSEC_PER_SEC), (long) (nsec % NSEC_PER_SEC)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0) {
    }
}

static void send_at_rate(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct options *o)
{
    uint64_t began = now_nsec();
    uint64_t sent = 0;

    for (uint64_t at = began; sent < o->count; at += PACE_NSEC) {
        wait_until(at);
        uint64_t due = (uint64_t) ((double) (at - began) / (double) NSEC_PER_SEC *
                                   (double) o->rate);
        for (; sent < due && sent < o->count; sent++) {
            send_record(rk, topic, o, o->first + sent);
        }
        rd_kafka_poll(rk, 0);
    }
}

static void send_all(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct options *o)
{
    for (uint64_t i = 0; i < o->count; i++) {
        send_record(rk, topic, o, o->first + i);
        if (i % 1000 == 0) {
            rd_kafka_poll(rk, 0);
        }
    }
}

static struct options read_arguments(int argc, char **argv)
{
    struct options o = {.first = 1, .codec = "none", .partition = RD_KAFKA_PARTITION_UA};
    const char *kind = "events";
    int c;

    while ((c = getopt(argc, argv, "k:f:z:p:r:s:b:")) != -1) {
        switch (c) {
        case 'k':
            kind = optarg;
            break;
        case 'f':
            o.first = number_of(optarg, 1, INT64_MAX);
            break;
        case 'z':
            o.codec = optarg;
            break;
        case 'p':
            o.partition = (int32_t) number_of(optarg, 0, INT32_MAX);
            break;
        case 'r':
            o.in_turn = number_of(optarg, 1, INT32_MAX);
            break;
        case 's':
            o.rate = number_of(optarg, 1, 10000000);
            break;
        case 'b':
            o.bad = number_of(optarg, 1, INT64_MAX);
            break;
        default:
            exit(2);
        }
    }
    if (argc - optind != 3) {
        fprintf(stderr, "usage: producer [-k KIND] [-f FIRST] [-z CODEC] [-p PARTITION]"
                        " [-r PARTITIONS] [-s RATE] [-b N] BROKERS TOPIC COUNT\n");
        exit(2);
    }
    o.kind = record_kind_find(kind);
    o.brokers = argv[optind];
    o.topic = argv[optind + 1];
    o.count = number_of(argv[optind + 2], 1, INT64_MAX);
    return o;
}

int main(int argc, char **argv)
{
    struct options o = read_arguments(argc, argv);
    uint64_t delivered = 0;
    rd_kafka_t *rk = connect_to(&o, &delivered);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, o.topic, NULL);

    if (topic == NULL) {
        die("%s", rd_kafka_err2str(rd_kafka_last_error()));
    }
    if (o.rate > 0) {
        send_at_rate(rk, topic, &o);
    } else {
        send_all(rk, topic, &o);
    }
    if (rd_kafka_flush(rk, DEADLINE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR || delivered != o.count) {
        die("only %" PRIu64 " of %" PRIu64 " records were taken in time", delivered, o.count);
    }
    _exit(0); /* no farewell to the brokers: who waits for the end wants to know the moment */
}
