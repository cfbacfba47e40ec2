/*
 * One worker's queue, through the event API: the only one that loses nothing with any version of
 * the library. Reports what was taken; what that means is decided in sink/. Threads: see feed.h,
 * for each function.
 */
#include "kafka/feed.h"

#include "base/mem.h"
#include "kafka/fetched.h"
#include "kafka/librdkafka.h"
#include "kafka/nudge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EPOCHS_VERSION 0x02010000

struct feed {
    const struct client *client;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    int fd;
    bool want_headers;
    bool want_broker;                /* the library does not watch leader epochs (before 2.1) */
    rd_kafka_event_t *prior;         /* the last but one item borrows from it */
    rd_kafka_event_t *last;          /* the last item borrows from it */
    const rd_kafka_message_t *taken; /* the last record, in `last` */
    struct message_header *headers;
    size_t header_cap;
    /* since the last nudge */
    uint64_t messages;
    uint64_t bytes;
    struct nudge_list fed_by;
    const rd_kafka_topic_t *last_topic; /* of the last record: another partition, another broker */
    int32_t last_partition;
};

struct feed_route {
    rd_kafka_queue_t *queue;
};

struct feed *feed_new(struct client *c, bool want_headers)
{
    struct feed *f = mem_zalloc(sizeof *f);

    f->client = c;
    f->rk = c->rk;
    f->want_headers = want_headers;
    f->want_broker = rd_kafka_version() < EPOCHS_VERSION;
    f->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (f->fd < 0) {
        abort();
    }
    f->queue = rd_kafka_queue_new(c->rk);
    uint64_t one = 1;
    rd_kafka_queue_io_event_enable(f->queue, f->fd, &one, sizeof one);
    return f;
}

void feed_free(struct feed *f)
{
    if (f == NULL) {
        return;
    }
    feed_release(f);
    rd_kafka_queue_io_event_enable(f->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(f->queue);
    close(f->fd);
    free(f->headers);
    free(f);
}

int feed_fd(const struct feed *f)
{
    return f->fd;
}

size_t feed_length(const struct feed *f)
{
    return rd_kafka_queue_length(f->queue);
}

struct feed_route *feed_route(struct feed *f, const char *topic, int32_t partition)
{
    struct feed_route *r = mem_zalloc(sizeof *r);

    r->queue = rd_kafka_queue_get_partition(f->rk, topic, partition);
    if (r->queue == NULL) {
        abort();
    }
    rd_kafka_queue_forward(r->queue, f->queue);
    return r;
}

struct feed_route *feed_unroute(struct feed_route *r)
{
    if (r != NULL) {
        rd_kafka_queue_destroy(r->queue);
        free(r);
    }
    return NULL;
}

static void let_go(rd_kafka_event_t **ev)
{
    if (*ev != NULL) {
        rd_kafka_event_destroy(TAKE_PTR(*ev));
    }
}

void feed_release(struct feed *f)
{
    let_go(&f->prior);
    let_go(&f->last);
}

static void take_headers(struct feed *f, const rd_kafka_message_t *rkm, struct message *m)
{
    rd_kafka_headers_t *list;

    if (rd_kafka_message_headers(rkm, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    size_t n = rd_kafka_header_cnt(list);
    if (n > f->header_cap) {
        f->headers = mem_realloc(f->headers, n, sizeof *f->headers);
        f->header_cap = n;
    }
    for (size_t i = 0; i < n; i++) {
        const char *name;
        const void *value;
        size_t size;
        if (rd_kafka_header_get_all(list, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            n = i;
            break;
        }
        f->headers[i].name = str_of(name);
        f->headers[i].value = fetched_bytes(value, size);
    }
    m->headers = f->headers;
    m->header_count = n;
}

/* After each half of a queue: its brokers' threads may have gone to sleep while it was full. */
static void nudge(struct feed *f, const rd_kafka_message_t *rkm)
{
    if (f->fed_by.count == 0 || rkm->rkt != f->last_topic || rkm->partition != f->last_partition) {
        f->last_topic = rkm->rkt;
        f->last_partition = rkm->partition;
        nudge_list_add(&f->fed_by, rd_kafka_message_broker_id(rkm), rd_kafka_topic_name(rkm->rkt),
                       rkm->partition);
    }
    f->messages++;
    f->bytes += rkm->len;
    if (f->messages >= f->client->nudge_messages || f->bytes >= f->client->nudge_bytes) {
        nudge_ask(f->client->nudge, &f->fed_by);
        f->fed_by.count = 0;
        f->messages = 0;
        f->bytes = 0;
    }
}

void feed_headers(struct feed *f, struct message *m)
{
    if (m->headers == NULL) {
        take_headers(f, f->taken, m);
    }
}

void feed_want_headers(struct feed *f, bool wanted)
{
    f->want_headers = wanted;
}

static void take_message(struct feed *f, const rd_kafka_message_t *rkm, struct feed_item *out)
{
    f->taken = rkm;
    out->kind = FEED_MESSAGE;
    out->topic_id = rkm->rkt;
    out->partition = rkm->partition;
    out->offset = rkm->offset;
    out->broker = f->want_broker ? rd_kafka_message_broker_id(rkm) : -1;
    fetched_message(rkm, &out->message);
    if (f->want_headers) {
        take_headers(f, rkm, &out->message);
    }
}

static enum feed_kind error_kind(rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        return FEED_END;
    }
    if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        return FEED_RESET;
    }
    if (code == RD_KAFKA_RESP_ERR__BAD_MSG || code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION ||
        code == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED) {
        return FEED_CORRUPT;
    }
    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        return FEED_DENIED;
    }
    return fetched_is_unknown(code) ? FEED_UNKNOWN : FEED_TROUBLE;
}

/*
 * That a log was truncated, and where it ends, the library (2.1 and later) says only in words:
 * "Partition log truncation detected at ...: broker end offset is 90 (...)".
 */
void feed_read_reset(const char *text, bool *out_truncated, int64_t *out_log_end)
{
    static const char says_end[] = "broker end offset is ";
    const char *end = strstr(text, says_end);

    *out_truncated = strstr(text, "truncation detected") != NULL;
    *out_log_end = -1;
    if (*out_truncated && end != NULL) {
        const char *digits = end + strlen(says_end);
        struct str number = {.p = digits, .n = strspn(digits, "0123456789")};
        *out_log_end = str_to_i64(number, out_log_end) ? *out_log_end : -1;
    }
}

static void take_error(rd_kafka_event_t *ev, struct feed_item *out)
{
    rd_kafka_topic_partition_t *tp = rd_kafka_event_topic_partition(ev);

    if (tp == NULL) {
        return;
    }
    out->kind = error_kind(rd_kafka_event_error(ev));
    out->partition = tp->partition;
    out->offset = tp->offset;
    snprintf(out->topic, sizeof out->topic, "%s", tp->topic);
    if (out->kind != FEED_END) {
        snprintf(out->text, sizeof out->text, "%.250s", rd_kafka_event_error_string(ev));
        feed_read_reset(rd_kafka_event_error_string(ev), &out->truncated, &out->log_end);
    }
    rd_kafka_topic_partition_destroy(tp);
}

void feed_take(struct feed *f, struct feed_item *out)
{
    let_go(&f->prior);
    f->prior = TAKE_PTR(f->last);
    out->kind = FEED_NONE;
    rd_kafka_event_t *ev = rd_kafka_queue_poll(f->queue, 0);
    if (ev == NULL) {
        /* Clear the wake-up only when the queue is empty, then look once more, so that nothing that
         * arrives in between goes unnoticed. */
        uint64_t ignored;
        if (read(f->fd, &ignored, sizeof ignored) < 0) {
            return;
        }
        ev = rd_kafka_queue_poll(f->queue, 0);
        if (ev == NULL) {
            return;
        }
    }
    f->last = ev;
    out->kind = FEED_OTHER;
    switch (rd_kafka_event_type(ev)) {
    case RD_KAFKA_EVENT_FETCH: {
        const rd_kafka_message_t *rkm = rd_kafka_event_message_next(ev);
        if (rkm != NULL && rkm->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            take_message(f, rkm, out);
            if (f->client->nudge != NULL) {
                nudge(f, rkm);
            }
        }
        break;
    }
    case RD_KAFKA_EVENT_ERROR:
        take_error(ev, out);
        break;
    default:
        break;
    }
}
