/* The second consumer and what it reads, see probe.h. Never retries. The scout's thread. */
#include "kafka/probe.h"

#include "base/mem.h"
#include "kafka/fetched.h"
#include "kafka/reader.h"

#include <stdlib.h>
#include <string.h>

#define STRAGGLER_LIMIT (500 * USEC_PER_MSEC)

struct probe {
    struct reader reader;
    size_t left;     /* items that may still be answered */
    size_t answered; /* items that have been */
};

/*
 * Only one record of each partition is wanted, so little is fetched at a time. The limits of the
 * queue, which all partitions share, are not the means: before 2.2 the library sleeps for a second
 * when a queue is full.
 */
static const struct reader_property FRUGAL[] = {
    {"fetch.message.max.bytes", "65536"},
    {"fetch.wait.max.ms", "10"},
};

struct probe *probe_new(const struct config *cfg, struct error *err)
{
    struct probe *p = mem_zalloc(sizeof *p);

    if (!reader_open(&p->reader, cfg, FRUGAL, ARRAY_LEN(FRUGAL), err)) {
        free(p);
        return NULL;
    }
    return p;
}

struct probe *probe_free(struct probe *p)
{
    if (p != NULL) {
        reader_close(&p->reader);
        free(p);
    }
    return NULL;
}

static struct probe_item *find(struct probe_item *items, size_t n, const char *topic,
                               int32_t partition)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].partition == partition && strcmp(items[i].topic, topic) == 0) {
            return items[i].answered || items[i].given_up ? NULL : &items[i];
        }
    }
    return NULL;
}

static void answer(struct probe *p, struct probe_item *item, enum log_evidence evidence)
{
    item->evidence = evidence;
    item->answered = true;
    p->answered++;
    p->left--;
}

/* A later record means that the one we look for is gone: compacted, or aborted and never stored. */
static void take_record(struct probe *p, struct probe_item *item, const rd_kafka_message_t *rkm)
{
    item->broker = rd_kafka_message_broker_id(rkm);
    if (rkm->offset != item->want.offset) {
        answer(p, item, EVIDENCE_NONE);
        return;
    }
    struct message m;
    fetched_message(rkm, &m);
    bool same = fingerprint_of(&m).crc == item->want.crc;
    answer(p, item, same ? EVIDENCE_SAME : EVIDENCE_OTHER);
}

/* at: the offset that an end is reported with. */
static void take_error(struct probe *p, struct probe_item *item, rd_kafka_resp_err_t code,
                       int64_t at)
{
    if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        item->is_outside = at <= item->want.offset;
        answer(p, item, EVIDENCE_NONE);
    } else if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        item->is_outside = true;
        answer(p, item, EVIDENCE_NONE);
    } else if (fetched_is_unknown(code)) {
        item->given_up = true; /* waiting would not help */
        p->left--;
    }
}

static void take_event(struct probe *p, rd_kafka_event_t *ev, struct probe_item *items, size_t n)
{
    if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_FETCH) {
        const rd_kafka_message_t *rkm = rd_kafka_event_message_next(ev);
        struct probe_item *item = rkm == NULL || rkm->err != RD_KAFKA_RESP_ERR_NO_ERROR
                                      ? NULL
                                      : find(items, n, rd_kafka_topic_name(rkm->rkt),
                                             rkm->partition);
        if (item != NULL) {
            take_record(p, item, rkm);
        }
    } else if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR) {
        rd_kafka_topic_partition_t *tp = rd_kafka_event_topic_partition(ev);
        struct probe_item *item = tp == NULL ? NULL : find(items, n, tp->topic, tp->partition);
        if (item != NULL) {
            take_error(p, item, rd_kafka_event_error(ev), tp->offset);
        }
        if (tp != NULL) {
            rd_kafka_topic_partition_destroy(tp);
        }
    }
}

/* A partition without a leader never answers: after an answer the others get only a little longer.
 */
static void read_answers(struct probe *p, struct probe_item *items, size_t n, usec_t deadline)
{
    for (usec_t now = clock_mono(); p->left > 0 && now < deadline; now = clock_mono()) {
        rd_kafka_event_t *ev = rd_kafka_queue_poll(p->reader.queue, clock_poll_ms(now, deadline));
        if (ev == NULL) {
            continue;
        }
        size_t before = p->answered;
        take_event(p, ev, items, n);
        rd_kafka_event_destroy(ev);
        if (p->answered > before) {
            deadline = MIN(deadline, clock_mono() + STRAGGLER_LIMIT);
        }
    }
}

static bool begin(struct probe *p, const struct probe_item *items, size_t n, struct error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int) n);

    for (size_t i = 0; i < n; i++) {
        rd_kafka_topic_partition_list_add(list, items[i].topic, items[i].partition)->offset =
            items[i].want.offset;
    }
    bool ok = reader_assign(&p->reader, list, err);
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

bool probe_ask(struct probe *p, struct probe_item *items, size_t n, usec_t timeout,
               struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        items[i].answered = items[i].given_up = items[i].is_outside = false;
        items[i].broker = -1;
    }
    if (!begin(p, items, n, err)) {
        return false;
    }
    p->left = n;
    p->answered = 0;
    read_answers(p, items, n, clock_mono() + timeout);
    reader_unassign(&p->reader);
    return p->answered > 0 ||
           error_set(err, ERROR_LINK, "%s-%d@%lld: the record cannot be read", items[0].topic,
                     items[0].partition, (long long) items[0].want.offset);
}
