/* See scan.h. Never retries. */
#include "kafka/scan.h"

#include "base/mem.h"
#include "kafka/fetched.h"
#include "kafka/reader.h"

#include <stdlib.h>
#include <string.h>

static const struct reader_property EAGER[] = {
    {"fetch.wait.max.ms", "100"},
    {"queued.max.messages.kbytes", "16384"},
};

struct scan {
    struct reader reader;
    const char *topic;
    int32_t partition;
    rd_kafka_event_t *event; /* whose record is being looked at; NULL: none */
    struct message_header *headers;
    size_t header_cap;
};

struct scan *scan_new(const struct config *cfg, struct error *err)
{
    struct scan *s = mem_zalloc(sizeof *s);

    if (!reader_open(&s->reader, cfg, EAGER, ARRAY_LEN(EAGER), err)) {
        free(s);
        return NULL;
    }
    return s;
}

static void drop_event(struct scan *s)
{
    if (s->event != NULL) {
        rd_kafka_event_destroy(TAKE_PTR(s->event));
    }
}

struct scan *scan_free(struct scan *s)
{
    if (s != NULL) {
        drop_event(s);
        reader_close(&s->reader);
        free(s->headers);
        free(s);
    }
    return NULL;
}

bool scan_begin(struct scan *s, const char *topic, int32_t partition, int64_t from,
                struct error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    drop_event(s);
    s->topic = topic;
    s->partition = partition;
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = from;
    bool ok = reader_assign(&s->reader, list, err);
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

/* ---- one event ---- */

static void take_headers(struct scan *s, const rd_kafka_message_t *rkm, struct message *m)
{
    rd_kafka_headers_t *list;
    const char *name;
    const void *value;
    size_t size;

    if (rd_kafka_message_headers(rkm, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    while (rd_kafka_header_get_all(list, m->header_count, &name, &value, &size) ==
           RD_KAFKA_RESP_ERR_NO_ERROR) {
        s->headers = mem_grow(s->headers, &s->header_cap, m->header_count, sizeof *s->headers);
        s->headers[m->header_count++] = (struct message_header){
            .name = str_of(name),
            .value = fetched_bytes(value, size),
        };
    }
    m->headers = s->headers;
}

/* Of the partition before, what was fetched already may still come. */
static bool is_ours(const struct scan *s, const char *topic, int32_t partition)
{
    return partition == s->partition && strcmp(topic, s->topic) == 0;
}

static bool take_record(struct scan *s, rd_kafka_event_t *ev, struct message *out)
{
    const rd_kafka_message_t *rkm = rd_kafka_event_message_next(ev);

    if (rkm == NULL || rkm->err != RD_KAFKA_RESP_ERR_NO_ERROR ||
        !is_ours(s, rd_kafka_topic_name(rkm->rkt), rkm->partition)) {
        return false;
    }
    fetched_message(rkm, out);
    take_headers(s, rkm, out);
    return true;
}

/* What the library repeats by itself is no fault of the partition. */
static bool is_lasting(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR__BAD_MSG ||
           code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION ||
           code == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED || fetched_is_unknown(code);
}

/* True: the partition is over, or cannot be read. */
static bool take_error(struct scan *s, rd_kafka_event_t *ev, enum scan_step *out, struct error *err)
{
    rd_kafka_topic_partition_t *tp = rd_kafka_event_topic_partition(ev);
    rd_kafka_resp_err_t code = rd_kafka_event_error(ev);
    bool ours = tp != NULL && is_ours(s, tp->topic, tp->partition);
    bool over = ours && (code == RD_KAFKA_RESP_ERR__PARTITION_EOF || is_lasting(code));

    if (over && code != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        error_set(err, ERROR_SETUP, "%s-%d: %.250s", s->topic, s->partition,
                  rd_kafka_event_error_string(ev));
        *out = SCAN_FAILED;
    } else {
        *out = SCAN_END;
    }
    if (tp != NULL) {
        rd_kafka_topic_partition_destroy(tp);
    }
    return over;
}

enum scan_step scan_next(struct scan *s, usec_t timeout, struct message *out, struct error *err)
{
    usec_t deadline = clock_mono() + timeout;
    enum scan_step step;

    for (usec_t now = clock_mono(); now < deadline; now = clock_mono()) {
        drop_event(s);
        s->event = rd_kafka_queue_poll(s->reader.queue, clock_poll_ms(now, deadline));
        if (s->event == NULL) {
            continue;
        }
        if (rd_kafka_event_type(s->event) == RD_KAFKA_EVENT_FETCH) {
            if (take_record(s, s->event, out)) {
                return SCAN_RECORD;
            }
        } else if (rd_kafka_event_type(s->event) == RD_KAFKA_EVENT_ERROR &&
                   take_error(s, s->event, &step, err)) {
            return step;
        }
    }
    error_set(err, ERROR_LINK, "%s-%d: there is no answer within %llu s", s->topic, s->partition,
              (unsigned long long) (timeout / USEC_PER_SEC));
    return SCAN_FAILED;
}
