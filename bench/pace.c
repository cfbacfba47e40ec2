/*
 * pace: sends records at moments that are fixed in advance, and sees them arrive; for bench/latency
 * and bench/start.
 *
 *     pace send BROKERS TOPIC RATE COUNT FILE   COUNT records, RATE a second, linger.ms=0
 *     pace see BROKERS TOPIC COUNT FILE         a bare consumer, from the end, until COUNT records
 *
 * Record i is due at begin + (i - 1) / RATE, whatever became of those before it, and carries that
 * moment (microseconds, CLOCK_REALTIME): so whatever stands still counts, the sender too.
 *
 *     {"id":1,"sent":1795437296789000,"note":"..."}
 *
 * FILE gets two 32-bit integers a record, microseconds after it was due, in the order of ids: send
 * writes when it was handed over and when the broker had acknowledged it; see writes when it came
 * in, twice. `see` prints "ready" when it would see a new record; `send` prints the moment of the
 * first record. Not installed.
 */
#include "tool.h"

#include "base/mem.h"

#include <librdkafka/rdkafka.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LEAD_USEC 100000 /* from the start to the first record */
#define VALUE_SIZE 200
#define DEADLINE_MS 60000
#define NEVER INT32_MAX

/* Microseconds after a record was due. */
struct moment {
    int32_t first;
    int32_t second;
};

static const char FILLER[] =
    "the quick brown fox jumps over the lazy dog while five boxing wizards quickly jump at dawn; "
    "pack my box with two dozen liquor jugs, and be sure that nobody reads a word of this line";

static struct moment *moments;
static uint64_t count;
static uint64_t rate;
static int64_t begin_usec;
static atomic_bool over;

static int64_t now_usec(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t due_usec(uint64_t id)
{
    return begin_usec + (int64_t) ((id - 1) * 1000000 / rate);
}

static int32_t since(int64_t due)
{
    int64_t usec = now_usec() - due;

    return usec < NEVER ? (int32_t) usec : NEVER;
}

static void write_moments(const char *path)
{
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(moments, sizeof *moments, count, f) != count || fclose(f) != 0) {
        die("%s: %s", path, strerror(errno));
    }
}

static void set_all(rd_kafka_conf_t *conf, const char *const settings[][2], size_t n)
{
    char text[256];

    for (size_t i = 0; i < n; i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) !=
            RD_KAFKA_CONF_OK) {
            die("%s", text);
        }
    }
}

static rd_kafka_t *make_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char text[256];
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof text);

    if (rk == NULL) {
        die("%s", text);
    }
    return rk;
}

/* ---- send ---- */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void) rk;
    (void) opaque;
    if (m->err) {
        die("a record was not taken: %s", rd_kafka_err2str(m->err));
    }
    uint64_t id = (uint64_t) (uintptr_t) m->_private;
    moments[id - 1].second = since(due_usec(id));
}

/* Takes the acknowledgements as they come, while the sender sleeps. */
static void *poll_acks(void *rk)
{
    while (!atomic_load(&over)) {
        rd_kafka_poll(rk, 100);
    }
    return NULL;
}

static void wait_until(int64_t usec)
{
    struct timespec at = {.tv_sec = usec / 1000000, .tv_nsec = usec % 1000000 * 1000};

    while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

static void send_record(rd_kafka_topic_t *topic, uint64_t id)
{
    char key[24];
    char value[VALUE_SIZE + 1];
    int64_t due = due_usec(id);
    size_t key_size = (size_t) snprintf(key, sizeof key, "%" PRIu64, id);
    int n = snprintf(value, sizeof value, "{\"id\":%" PRIu64 ",\"sent\":%" PRId64 ",\"note\":\"",
                     id, due);

    n += snprintf(value + n, sizeof value - (size_t) n, "%.*s\"}", VALUE_SIZE - n - 2, FILLER);
    moments[id - 1].first = since(due);
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, (size_t) n,
                            key, key_size, (void *) (uintptr_t) id) < 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            die("%s", rd_kafka_err2str(rd_kafka_last_error()));
        }
        wait_until(now_usec() + 1000);
    }
}

static int run_send(char **argv)
{
    static const char *const SETTINGS[][2] = {
        {"linger.ms", "0"},
        {"enable.idempotence", "true"}, /* and with it acks=all, 5 requests on their way */
        {"compression.codec", "none"},
        {"partitioner", "murmur2_random"},
        {"queue.buffering.max.messages", "1000000"},
        {"log_level", "3"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    set_all(conf, SETTINGS, COUNT(SETTINGS));
    set_all(conf, (const char *const[][2]){{"bootstrap.servers", argv[0]}}, 1);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = make_client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, argv[1], NULL);
    const struct rd_kafka_metadata *md;
    if (topic == NULL || rd_kafka_metadata(rk, 0, topic, &md, DEADLINE_MS) != 0) {
        die("%s: no answer from the broker", argv[1]);
    }
    rd_kafka_metadata_destroy(md);

    pthread_t acks;
    prctl(PR_SET_TIMERSLACK, 1L); /* wake up when it is time, not 50 us later */
    begin_usec = now_usec() + LEAD_USEC;
    if (pthread_create(&acks, NULL, poll_acks, rk) != 0) {
        die("no thread");
    }
    printf("%" PRId64 "\n", begin_usec);
    fflush(stdout);
    for (uint64_t id = 1; id <= count; id++) {
        if (due_usec(id) > now_usec()) {
            wait_until(due_usec(id));
        }
        send_record(topic, id);
    }
    if (rd_kafka_flush(rk, DEADLINE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        die("not all records were taken in time");
    }
    atomic_store(&over, true);
    pthread_join(acks, NULL);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return 0;
}

/* ---- see ---- */

/* All partitions from their ends; returns their number. */
static int assign_all(rd_kafka_t *rk, const char *name)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    const struct rd_kafka_metadata *md;

    if (topic == NULL || rd_kafka_metadata(rk, 0, topic, &md, DEADLINE_MS) != 0) {
        die("%s: no answer from the broker", name);
    }
    int n = md->topics[0].partition_cnt;
    if (n == 0) {
        die("%s has no partitions", name);
    }
    rd_kafka_metadata_destroy(md);
    rd_kafka_topic_destroy(topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int32_t p = 0; p < n; p++) {
        rd_kafka_topic_partition_list_add(list, name, p)->offset = RD_KAFKA_OFFSET_END;
    }
    if (rd_kafka_assign(rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        die("%s: cannot be read", name);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return n;
}

static uint64_t field(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
}

static void note_record(const rd_kafka_message_t *m)
{
    char text[VALUE_SIZE + 1];

    snprintf(text, sizeof text, "%.*s", (int) m->len, (const char *) m->payload);
    uint64_t id = field(text, "\"id\":");
    if (id == 0 || id > count) {
        die("a record of somebody else: %s", text);
    }
    int32_t usec = since((int64_t) field(text, "\"sent\":"));
    moments[id - 1] = (struct moment){.first = usec, .second = usec};
}

static int run_see(char **argv)
{
    static const char *const SETTINGS[][2] = {
        {"group.id", "pace"},
        {"enable.auto.commit", "false"},
        {"enable.partition.eof", "true"},
        {"isolation.level", "read_committed"},
        {"fetch.wait.max.ms", "100"}, /* as pgsinkd has it */
        {"log_level", "3"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    set_all(conf, SETTINGS, COUNT(SETTINGS));
    set_all(conf, (const char *const[][2]){{"bootstrap.servers", argv[0]}}, 1);
    rd_kafka_t *rk = make_client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(rk);
    int partitions = assign_all(rk, argv[1]);
    uint64_t seen = 0;
    for (int ends = 0; seen < count;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, DEADLINE_MS);
        if (m == NULL) {
            die("only %" PRIu64 " of %" PRIu64 " records have come", seen, count);
        }
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            note_record(m);
            seen++;
        } else if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            die("%s", rd_kafka_message_errstr(m));
        } else if (++ends == partitions) {
            printf("ready\n");
            fflush(stdout);
        }
        rd_kafka_message_destroy(m);
    }
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return 0;
}

int main(int argc, char **argv)
{
    bool send = argc == 7 && strcmp(argv[1], "send") == 0;

    if (!send && (argc != 6 || strcmp(argv[1], "see") != 0)) {
        fprintf(stderr, "usage: pace send BROKERS TOPIC RATE COUNT FILE\n"
                        "       pace see BROKERS TOPIC COUNT FILE\n");
        return 2;
    }
    rate = send ? number_of(argv[4], 1, 1000000) : 1;
    count = number_of(argv[argc - 2], 1, 100000000);
    moments = mem_array(count, sizeof *moments);
    for (uint64_t i = 0; i < count; i++) {
        moments[i] = (struct moment){.first = NEVER, .second = NEVER};
    }
    int code = send ? run_send(argv + 2) : run_see(argv + 2);
    write_moments(argv[argc - 1]);
    return code;
}
