/*
 * demo_producer: sample orders for tools/quickstart. The same arguments always give the same
 * records.
 *
 *     demo_producer create  BROKERS TOPIC PARTITIONS       creates the topic
 *     demo_producer produce BROKERS TOPIC COUNT [RATE]     orders 1 to COUNT, RATE a second
 *     demo_producer delete  BROKERS TOPIC GROUP            deletes the topic and the consumer group
 *
 * An order, whose key is the number of its customer:
 *
 *     {"id":2,"ts":"2026-01-01T00:00:00.074Z","customer":{"name":"Ada","city":"Oslo"},
 *      "amount":12.34,"note":"..."}
 *
 * Every seventh has no note. Not installed.
 */
#include <librdkafka/rdkafka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define CUSTOMERS 5000
#define FIRST_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define STEP_MS 37
#define DEADLINE_MS 30000

/* JSON as it is sent: escapes and all. */
static const char *const NAMES[] = {
    "Ada Nilsen",  "Zo\\u00eb Fa\\u00dfbender", "Liam O'Brien",   "\\u0141ukasz W\\u00f3jcik",
    "Mei \\u738b", "Noor \\\"Nur\\\" Haddad",   "Jos\\u00e9 Paz", "Ifeoma Eze",
};
static const char *const CITIES[] = {
    "Oslo",           "K\\u00f6ln", "Galway",       "\\u0141\\u00f3d\\u017a",
    "\\u53f0\\u5317", "Amman",      "M\\u00e1laga", "Enugu",
};
static const char *const NOTES[] = {
    "leave at the door", "gift: no invoice, please", "call before 9:00",
    "\\u2014",           "ring at \\\"Haddad\\\"",   "100% cotton",
};

static _Noreturn __attribute__((format(printf, 1, 2))) void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "demo_producer: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static uint64_t number_of(const char *word, uint64_t max)
{
    char *end;

    errno = 0;
    unsigned long long n = strtoull(word, &end, 10);
    if (errno != 0 || end == word || *end != '\0' || n > max) {
        die("'%s' is not a number up to %" PRIu64, word, max);
    }
    return n;
}

/* One number out of another, the same in every run. */
static uint64_t scramble(uint64_t x)
{
    x = x * UINT64_C(0x2545f4914f6cdd1d) + 1;
    x ^= x >> 29;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ (x >> 32);
}

static int print_order(char *out, size_t size, uint64_t id, uint64_t customer)
{
    uint64_t r = scramble(id);
    int64_t ms = FIRST_MS + (int64_t) id * STEP_MS;
    time_t second = (time_t) (ms / 1000);
    struct tm tm;
    char ts[32];
    char note[64] = "";

    strftime(ts, sizeof ts, "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &tm));
    if (id % 7 != 0) {
        snprintf(note, sizeof note, ",\"note\":\"%s\"", NOTES[(r >> 40) % COUNT(NOTES)]);
    }
    return snprintf(out, size,
                    "{\"id\":%" PRIu64
                    ",\"ts\":\"%s.%03dZ\",\"customer\":{\"name\":\"%s\",\"city\":\"%s\"},"
                    "\"amount\":%d.%02d%s}",
                    id, ts, (int) (ms % 1000), NAMES[customer % COUNT(NAMES)],
                    CITIES[customer / COUNT(NAMES) % COUNT(CITIES)], (int) (r % 900),
                    (int) ((r >> 20) % 100), note);
}

/* ---- producing ---- */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void) rk;
    uint64_t *delivered = opaque;
    if (m->err) {
        die("a record was not taken: %s", rd_kafka_err2str(m->err));
    }
    ++*delivered;
}

static rd_kafka_t *connect_to(const char *brokers, uint64_t *delivered)
{
    const char *const settings[][2] = {
        {"bootstrap.servers", brokers},
        {"enable.idempotence", "true"}, /* else a retry could double a record in the topic itself */
        {"compression.codec", "gzip"},  /* demo_broker keeps 5 MB of each partition */
        {"partitioner", "murmur2_random"},
        {"linger.ms", "20"},
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

static void send_order(rd_kafka_t *rk, const char *topic, uint64_t id)
{
    char key[16];
    char value[512];
    uint64_t customer = scramble(id * 3) % CUSTOMERS;
    int key_size = snprintf(key, sizeof key, "%" PRIu64, customer);
    int value_size = print_order(value, sizeof value, id, customer);

    for (;;) {
        /* Without the library's macros, which are no ISO C. */
        rd_kafka_resp_err_t code = rd_kafka_producev(
            rk, RD_KAFKA_VTYPE_TOPIC, topic, RD_KAFKA_VTYPE_KEY, (void *) key, (size_t) key_size,
            RD_KAFKA_VTYPE_VALUE, (void *) value, (size_t) value_size, RD_KAFKA_VTYPE_MSGFLAGS,
            RD_KAFKA_MSG_F_COPY, RD_KAFKA_VTYPE_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return;
        }
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            die("%s", rd_kafka_err2str(code));
        }
        rd_kafka_poll(rk, 100);
    }
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void produce(const char *brokers, const char *topic, uint64_t count, uint64_t rate)
{
    uint64_t delivered = 0;
    rd_kafka_t *rk = connect_to(brokers, &delivered);
    double begun = now();

    for (uint64_t id = 1; id <= count; id++) {
        send_order(rk, topic, id);
        double ahead = rate > 0 ? (double) id / (double) rate - (now() - begun) : 0;
        rd_kafka_poll(rk, ahead > 0.001 ? (int) (ahead * 1000) : 0);
    }
    if (rd_kafka_flush(rk, DEADLINE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR || delivered != count) {
        die("only %" PRIu64 " of %" PRIu64 " records were taken in time", delivered, count);
    }
    rd_kafka_destroy(rk);
}

/* ---- topics and groups ---- */

static rd_kafka_event_t *await(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, DEADLINE_MS);

    if (event == NULL) {
        die("no answer within %d s", DEADLINE_MS / 1000);
    }
    if (rd_kafka_event_error(event)) {
        die("%s", rd_kafka_event_error_string(event));
    }
    return event;
}

static void create(const char *brokers, const char *topic, int partitions)
{
    char text[256];
    size_t n;
    rd_kafka_t *rk = connect_to(brokers, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partitions, -1, text, sizeof text);

    if (wanted == NULL) {
        die("%s", text);
    }
    rd_kafka_CreateTopics(rk, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = await(queue);
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event), &n);
    if (n > 0 && rd_kafka_topic_result_error(results[0])) {
        die("topic %s: %s", topic, rd_kafka_topic_result_error_string(results[0]));
    }
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(wanted);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

/* The group first: it may not be there any more, which is no error. */
static void delete (const char *brokers, const char *topic, const char *group)
{
    size_t n;
    rd_kafka_t *rk = connect_to(brokers, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteGroup_t *old_group = rd_kafka_DeleteGroup_new(group);
    rd_kafka_DeleteTopic_t *old_topic = rd_kafka_DeleteTopic_new(topic);

    rd_kafka_DeleteGroups(rk, &old_group, 1, NULL, queue);
    rd_kafka_event_destroy(await(queue));
    rd_kafka_DeleteTopics(rk, &old_topic, 1, NULL, queue);
    rd_kafka_event_t *event = await(queue);
    const rd_kafka_topic_result_t **results = rd_kafka_DeleteTopics_result_topics(
        rd_kafka_event_DeleteTopics_result(event), &n);
    if (n > 0 && rd_kafka_topic_result_error(results[0])) {
        die("topic %s: %s", topic, rd_kafka_topic_result_error_string(results[0]));
    }
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteGroup_destroy(old_group);
    rd_kafka_DeleteTopic_destroy(old_topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";

    if (strcmp(verb, "create") == 0 && argc == 5) {
        create(argv[2], argv[3], (int) number_of(argv[4], 10000));
    } else if (strcmp(verb, "produce") == 0 && (argc == 5 || argc == 6)) {
        uint64_t count = number_of(argv[4], UINT32_MAX);
        produce(argv[2], argv[3], count, argc == 6 ? number_of(argv[5], UINT32_MAX) : 0);
    } else if (strcmp(verb, "delete") == 0 && argc == 5) {
        delete (argv[2], argv[3], argv[4]);
    } else {
        fprintf(stderr, "usage: demo_producer create BROKERS TOPIC PARTITIONS\n"
                        "       demo_producer produce BROKERS TOPIC COUNT [RATE]\n"
                        "       demo_producer delete BROKERS TOPIC GROUP\n");
        return 2;
    }
    return 0;
}
