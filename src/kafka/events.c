/* From the library's events on the consumer queue to plain structs. Decides nothing. Main thread.
 */
#include "kafka/events.h"

#include "base/mem.h"
#include "kafka/librdkafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The library's own list must not be kept: refs borrow the topics of a copy, which the event owns.
 */
static void take_refs(struct event *out, const rd_kafka_topic_partition_list_t *list)
{
    if (list == NULL || list->cnt == 0) {
        return;
    }
    rd_kafka_topic_partition_list_t *copy = rd_kafka_topic_partition_list_copy(list);
    out->list = copy;
    out->ref_count = (size_t) copy->cnt;
    out->refs = mem_array(out->ref_count, sizeof *out->refs);
    for (size_t i = 0; i < out->ref_count; i++) {
        out->refs[i] = (struct partition_ref){
            .topic = copy->elems[i].topic, .partition = copy->elems[i].partition, .offset = -1};
    }
}

static void take_rebalance(struct client *c, rd_kafka_event_t *ev, struct event *out)
{
    /* Known only now: the group decides between the protocols that all members have. */
    const char *protocol = rd_kafka_rebalance_protocol(c->rk);

    c->cooperative = protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;
    take_refs(out, rd_kafka_event_topic_partition_list(ev));
    if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        out->kind = EVENT_ASSIGN;
    } else {
        out->kind = EVENT_REVOKE;
        out->lost = rd_kafka_assignment_lost(c->rk) != 0;
    }
}

/* The brokers refuse this client: a person must act. */
static bool is_denial(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL ||
           code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

static bool is_away(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__RESOLVE ||
           code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
}

static void take_error(struct client *c, rd_kafka_event_t *ev, struct event *out)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(ev);

    if (rd_kafka_event_error_is_fatal(ev) || code == RD_KAFKA_RESP_ERR__FATAL) {
        char reason[sizeof out->text];
        rd_kafka_resp_err_t first = rd_kafka_fatal_error(c->rk, reason, sizeof reason);
        out->kind = EVENT_FATAL;
        snprintf(out->text, sizeof out->text, "%.300s (%s)", reason, rd_kafka_err2name(first));
        return;
    }
    out->kind = is_denial(code) ? EVENT_DENIED : is_away(code) ? EVENT_AWAY : EVENT_TROUBLE;
    snprintf(out->text, sizeof out->text, "%.480s", rd_kafka_event_error_string(ev));
}

/* Only the refs that the group has taken remain. */
static void take_commit(struct client *c, rd_kafka_event_t *ev, struct event *out)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(ev);
    rd_kafka_resp_err_t fault = rd_kafka_event_error(ev);
    bool none = fault != RD_KAFKA_RESP_ERR_NO_ERROR;
    size_t taken = 0;

    c->commit_pending = false;
    out->kind = EVENT_COMMITTED;
    take_refs(out, list);
    for (size_t i = 0; i < out->ref_count; i++) {
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fault = list->elems[i].err;
        } else if (!none) {
            out->refs[taken] = out->refs[i];
            out->refs[taken++].offset = list->elems[i].offset;
        }
    }
    out->ref_count = taken;
    if (fault != RD_KAFKA_RESP_ERR_NO_ERROR) {
        snprintf(out->text, sizeof out->text, "%s", rd_kafka_err2str(fault));
    }
}

/*
 * "[thrd:...]: orders [3]: broker unavailable: fetch: Broker: Unknown topic or partition": the only
 * place where the library (2.0.2 to 2.15) says that the broker that leads a partition does not know
 * it any more. The library tries again by itself, and reads whatever log is there then.
 */
bool event_read_doubt(const char *text, char *topic, size_t size, int32_t *out_partition)
{
    const char *end = strstr(text, "]: broker unavailable: ");
    const char *number = end;

    while (number != NULL && number > text && number[-1] != '[') {
        number--;
    }
    if (number == NULL || number < text + 2) {
        return false;
    }
    const char *name_end = number - 2; /* " [" */
    const char *name = name_end;
    while (name > text && name[-1] != ' ') {
        name--;
    }
    int64_t partition;
    size_t length = (size_t) (name_end - name);
    if (length == 0 || length >= size ||
        !str_to_i64((struct str){.p = number, .n = (size_t) (end - number)}, &partition)) {
        return false;
    }
    memcpy(topic, name, length);
    topic[length] = '\0';
    *out_partition = (int32_t) partition;
    return true;
}

static void take_log(rd_kafka_event_t *ev, struct event *out)
{
    const char *facility = NULL;
    const char *text = NULL;

    if (rd_kafka_event_log(ev, &facility, &text, &out->level) != 0) {
        return;
    }
    out->kind = EVENT_LOG;
    snprintf(out->text, sizeof out->text, "%s: %.480s", facility, text);
    if (strcmp(facility, "BROKERUA") == 0 &&
        event_read_doubt(text, out->topic, sizeof out->topic, &out->partition)) {
        out->kind = EVENT_DOUBT;
    }
}

void event_take(struct client *c, struct event *out)
{
    *out = (struct event){.kind = EVENT_NONE};
    uint64_t ignored;
    if (read(c->fd, &ignored, sizeof ignored) < 0) {
        /* EAGAIN: no wake-up since the last read; the queue decides */
    }
    rd_kafka_event_t *ev = rd_kafka_queue_poll(c->queue, 0);
    if (ev == NULL) {
        return;
    }
    out->kind = EVENT_OTHER;
    switch (rd_kafka_event_type(ev)) {
    case RD_KAFKA_EVENT_REBALANCE:
        take_rebalance(c, ev, out);
        break;
    case RD_KAFKA_EVENT_ERROR:
        take_error(c, ev, out);
        break;
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
        take_commit(c, ev, out);
        break;
    case RD_KAFKA_EVENT_LOG:
        take_log(ev, out);
        break;
    default:
        break;
    }
    rd_kafka_event_destroy(ev);
}

void event_done(struct event *e)
{
    if (e->list != NULL) {
        rd_kafka_topic_partition_list_destroy(e->list);
    }
    free(e->refs);
    *e = (struct event){.kind = EVENT_NONE};
}
