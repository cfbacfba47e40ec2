/*
 * producer: fills a topic for bench/drain, as fast as the library can. The same count always gives
 * the same records in the same order within each partition.
 *
 *     producer BROKERS TOPIC COUNT
 *
 * About 200 bytes each, the key is user_id as text:
 *
 *     {"id":1,"ts":"2026-11-23T12:34:56.789Z","user_id":48213,"amount":12.34,
 *      "kind":"page_visited","note":"..."}
 *
 * Not installed.
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
#define USERS 1000000
#define FIRST_MS INT64_C(1795437296789) /* 2026-11-23T12:34:56.789Z */
#define NOTE_MIN 80
#define NOTE_SPREAD 17
#define DEADLINE_MS 60000

static const char *const KINDS[] = {
    "page_visited", "item_in_cart", "order_placed", "payment_done",
    "parcel_ready", "parcel_taken", "order_closed", "refund_begun",
};
/* Notes are pieces of it. */
static const char FILLER[] =
    "the quick brown fox jumps over the lazy dog while five boxing wizards quickly jump at dawn; "
    "pack my box with two dozen liquor jugs, and be sure that nobody reads a word of this line";

static _Noreturn __attribute__((format(printf, 1, 2))) void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "producer: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

/* One number out of another, the same in every run. */
static uint64_t scramble(uint64_t x)
{
    x = x * UINT64_C(0x2545f4914f6cdd1d) + 1;
    x ^= x >> 29;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ (x >> 32);
}

static int print_event(char *out, size_t size, uint64_t id, uint64_t user)
{
    static time_t last;
    static char second_text[32];
    uint64_t r = scramble(id);
    int64_t ms = FIRST_MS + (int64_t) id;
    time_t second = (time_t) (ms / 1000);
    if (second != last) {
        struct tm tm;
        strftime(second_text, sizeof second_text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &tm));
        last = second;
    }
    int note = (int) (NOTE_MIN + (r >> 50) % NOTE_SPREAD);
    return snprintf(out, size,
                    "{\"id\":%" PRIu64 ",\"ts\":\"%s.%03dZ\",\"user_id\":%" PRIu64
                    ",\"amount\":%d.%02d,\"kind\":\"%s\",\"note\":\"%.*s\"}",
                    id, second_text, (int) (ms % 1000), user, (int) (r % 900),
                    (int) ((r >> 20) % 100), KINDS[(r >> 30) % COUNT(KINDS)], note,
                    FILLER + (r >> 40) % (sizeof FILLER - NOTE_MIN - NOTE_SPREAD));
}

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
        {"enable.idempotence", "true"}, /* keeps the order, doubles nothing */
        {"compression.codec", "none"},
        {"partitioner", "murmur2_random"},
        {"linger.ms", "50"},
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

static void send_event(rd_kafka_t *rk, rd_kafka_topic_t *topic, uint64_t id)
{
    char key[24];
    char value[512];
    uint64_t user = scramble(id * 3) % USERS;
    int key_size = snprintf(key, sizeof key, "%" PRIu64, user);
    int value_size = print_event(value, sizeof value, id, user);
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value,
                            (size_t) value_size, key, (size_t) key_size, NULL) < 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            die("%s", rd_kafka_err2str(rd_kafka_last_error()));
        }
        rd_kafka_poll(rk, 100);
    }
}

int main(int argc, char **argv)
{
    char *end = NULL;
    errno = 0;
    uint64_t count = argc == 4 ? strtoull(argv[3], &end, 10) : 0;
    if (argc != 4 || errno != 0 || end == argv[3] || *end != '\0' || count == 0) {
        fprintf(stderr, "usage: producer BROKERS TOPIC COUNT\n");
        return 2;
    }
    uint64_t delivered = 0;
    rd_kafka_t *rk = connect_to(argv[1], &delivered);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, argv[2], NULL);
    if (topic == NULL) {
        die("%s", rd_kafka_err2str(rd_kafka_last_error()));
    }
    for (uint64_t id = 1; id <= count; id++) {
        send_event(rk, topic, id);
        if (id % 1000 == 0) {
            rd_kafka_poll(rk, 0);
        }
    }
    if (rd_kafka_flush(rk, DEADLINE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR || delivered != count) {
        die("only %" PRIu64 " of %" PRIu64 " records were taken in time", delivered, count);
    }
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return 0;
}
