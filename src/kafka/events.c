/* From the library's events on the consumer queue to plain structs. Decides nothing. Main thread.
 */
#include "kafka/events.h"

#include "base/mem.h"
#include "kafka/librdkafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How it passes on why there is no token (kafka/token_source.c). */
#define NO_TOKEN "Failed to acquire SASL OAUTHBEARER token: "

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

static enum denial denial_of(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED   ? DENIAL_GROUP
           : code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ? DENIAL_TOPIC
                                                                  : DENIAL_OTHER;
}

/* "Subscribed topic not available: orders: Broker: Topic authorization failed" */
void event_read_topic(const char *text, char *topic, size_t size)
{
    static const char before[] = "topic not available: ";
    const char *at = strstr(text, before);
    const char *name = at != NULL ? at + strlen(before) : "";
    size_t n = strcspn(name, ":");

    topic[0] = '\0';
    if (name[n] == ':' && n < size) {
        memcpy(topic, name, n);
        topic[n] = '\0';
    }
}

/* The broker, or TLS on the way to it, does not let this client in. */
static bool is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL ||
           code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
}

/* Of a broker: keeps why. A refusal has a line of its own, but not each time that it comes. */
static void take_reason(struct client *c, rd_kafka_resp_err_t code, const char *text,
                        struct event *out)
{
    usec_t now = clock_mono();
    bool is_news = false;
    const struct reason *reason = reasons_note(&c->reasons, text, is_refusal(code), now, &is_news);

    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        reasons_all_failed(&c->reasons, now);
    }
    if (reason == NULL || !is_refusal(code)) {
        return;
    }
    out->kind = is_news ? EVENT_REFUSED : EVENT_AWAY;
    snprintf(out->text, sizeof out->text, "%s: %s", reason->broker, reason->text);
    reasons_hint(&c->reasons, reason->kind, out->hint, sizeof out->hint);
}

static bool is_no_topic(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
}

static void take_error(struct client *c, rd_kafka_event_t *ev, struct event *out)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(ev);

    if (rd_kafka_event_error_is_fatal(ev) || code == RD_KAFKA_RESP_ERR__FATAL) {
        char reason[sizeof out->text];
        rd_kafka_resp_err_t first = rd_kafka_fatal_error(c->rk, reason, sizeof reason);
        out->kind = EVENT_FATAL;
        out->fenced = first == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
        snprintf(out->text, sizeof out->text, "%.300s (%s)", reason, rd_kafka_err2name(first));
        return;
    }
    if (strncmp(rd_kafka_event_error_string(ev), NO_TOKEN, strlen(NO_TOKEN)) == 0) {
        const char *why = rd_kafka_event_error_string(ev) + strlen(NO_TOKEN);
        bool is_news = reasons_no_token(&c->reasons, why, clock_mono());
        out->kind = is_news ? EVENT_NO_TOKEN : EVENT_AWAY;
        snprintf(out->text, sizeof out->text, "%.480s", why);
        return;
    }
    out->kind = is_denial(code) ? EVENT_DENIED : client_is_away(code) ? EVENT_AWAY : EVENT_TROUBLE;
    snprintf(out->text, sizeof out->text, "%.480s", rd_kafka_event_error_string(ev));
    if (out->kind == EVENT_TROUBLE && is_no_topic(code)) {
        event_read_topic(out->text, out->topic, sizeof out->topic);
        out->kind = out->topic[0] != '\0' ? EVENT_NO_TOPIC : EVENT_TROUBLE;
    }
    if (out->kind == EVENT_DENIED) {
        out->denial = denial_of(code);
        event_read_topic(out->text, out->topic, sizeof out->topic);
    }
    if (client_is_away(code) || is_refusal(code)) {
        take_reason(c, code, rd_kafka_event_error_string(ev), out);
    }
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

static void take_line(struct client *c, struct event *out)
{
    struct line *line = lines_take(&c->lines);

    if (line == NULL) {
        return;
    }
    out->kind = EVENT_LOG;
    out->level = line->level;
    snprintf(out->text, sizeof out->text, "%s", line->text);
    if (line->is_doubt &&
        event_read_doubt(line->text, out->topic, sizeof out->topic, &out->partition)) {
        out->kind = EVENT_DOUBT;
    }
    if (line->is_warning) {
        const char *thread_end = strstr(line->text, "]: "); /* "CONFWARN: [thrd:app]: ..." */
        out->kind = EVENT_TROUBLE;
        snprintf(out->text, sizeof out->text, "%s",
                 thread_end != NULL ? thread_end + 3 : line->text);
        reasons_warn(&c->reasons, line->text);
    }
    free(line);
}

void event_take(struct client *c, struct event *out)
{
    *out = (struct event){.kind = EVENT_NONE};
    uint64_t ignored;
    if (read(c->fd, &ignored, sizeof ignored) < 0) {
        /* EAGAIN: no wake-up since the last read; the queue decides */
    }
    /* Events first: the group waits for the answers to some, and lines may come without an end. */
    rd_kafka_event_t *ev = rd_kafka_queue_poll(c->queue, 0);
    if (ev == NULL) {
        take_line(c, out);
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
