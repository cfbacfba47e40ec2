/* See acl.h. Never retries; the library does. */
#include "kafka/acl.h"

#include "base/mem.h"
#include "kafka/librdkafka.h"
#include "kafka/lookup.h"
#include "kafka/reader.h"

#include <string.h>

/* Nothing is read but the news that there is nothing. */
static const struct reader_property QUICK[] = {
    {"fetch.wait.max.ms", "10"},
};

/* Is the word fit for a command that is pasted into a shell, whole? */
static bool fits(const char *word, size_t n, size_t most)
{
    return n <= most && memchr(word, '\'', n) == NULL;
}

bool acl_hint(const struct config *cfg, enum right right, const char *name, struct error *err)
{
    const char *kind = right == RIGHT_TOPIC ? "topic" : "group";
    const char *user = client_property(cfg, "sasl.username");
    const char *brokers = cfg->kafka.brokers;
    size_t n = strcspn(brokers, ", ");

    if (!fits(brokers, n, 80)) {
        brokers = "BROKER";
        n = strlen(brokers);
    }
    return error_hint(
        err,
        "Allow it, it is then used without a restart: kafka-acls.sh --bootstrap-server %.*s --add "
        "--allow-principal 'User:%s' --operation Read --%s '%s'",
        (int) n, brokers, user != NULL && fits(user, strlen(user), 50) ? user : "NAME", kind,
        fits(name, strlen(name), 120) ? name : "NAME");
}

/* Nobody has answered in time. */
static bool fail_silent(struct client *c, const char *what, const char *name, struct error *err)
{
    lookup_take_events(c);
    client_why_away(c, "there is no answer", err);
    error_wrap(err, "%s '%.120s'", what, name);
    return false;
}

/* ---- the group ---- */

/* Does it say that this client may not read? Only newer versions of the library ask for that. */
static bool lacks_read(const rd_kafka_ConsumerGroupDescription_t *group)
{
#if RD_KAFKA_VERSION >= 0x020300ff
    size_t n = 0;
    const rd_kafka_AclOperation_t *allowed =
        rd_kafka_ConsumerGroupDescription_authorized_operations(group, &n);

    for (size_t i = 0; i < n; i++) {
        if (allowed[i] == RD_KAFKA_ACL_OPERATION_READ || allowed[i] == RD_KAFKA_ACL_OPERATION_ALL) {
            return false;
        }
    }
    return allowed != NULL && n > 0;
#else
    (void) group;
    return false;
#endif
}

static void want_operations(rd_kafka_AdminOptions_t *options)
{
#if RD_KAFKA_VERSION >= 0x020300ff
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_include_authorized_operations(options, 1));
#else
    (void) options;
#endif
}

enum answer { ANSWER_FINE, ANSWER_REFUSED, ANSWER_NONE };

static enum answer answer_of(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ? ANSWER_REFUSED
           : client_is_away(code)                               ? ANSWER_NONE
                                                                : ANSWER_FINE;
}

static enum answer read_answer(rd_kafka_event_t *ev)
{
    size_t n = 0;

    if (ev == NULL) {
        return ANSWER_NONE;
    }
    if (rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return answer_of(rd_kafka_event_error(ev));
    }
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(ev), &n);
    if (n != 1) {
        return ANSWER_FINE;
    }
    rd_kafka_resp_err_t code = rd_kafka_error_code(
        rd_kafka_ConsumerGroupDescription_error(groups[0]));
    bool lacks = code == RD_KAFKA_RESP_ERR_NO_ERROR && lacks_read(groups[0]);
    return lacks ? ANSWER_REFUSED : answer_of(code);
}

bool acl_group(struct client *c, const struct config *cfg, usec_t timeout, struct error *err)
{
    const char *name = cfg->kafka.group;
    char text[128];
    int timeout_ms = (int) (timeout / USEC_PER_MSEC);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(
        c->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(c->rk);

    (void) rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text);
    want_operations(options);
    rd_kafka_DescribeConsumerGroups(c->rk, &name, 1, options, queue);
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, timeout_ms + 100);
    enum answer answer = read_answer(ev);
    rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    if (answer == ANSWER_FINE) {
        return true;
    }
    if (answer == ANSWER_NONE) {
        return fail_silent(c, "group", name, err);
    }
    config_error_at(cfg, cfg->kafka.group_pos, err,
                    "kafka: the brokers do not allow this client to use the group '%s'", name);
    return acl_hint(cfg, RIGHT_GROUP, name, err);
}

/* ---- topics ---- */

struct asked {
    struct client *client; /* which keeps why a broker cannot be reached */
    const char *const *topics;
    size_t n;
    bool *denied;
    bool *answered;
    size_t left;
};

static void take_answer(struct asked *a, rd_kafka_event_t *ev)
{
    const struct reason *reason = NULL;
    bool is_news = false;
    rd_kafka_topic_partition_t *tp = rd_kafka_event_topic_partition(ev);
    bool is_error = rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR && tp != NULL;

    for (size_t i = 0; is_error && i < a->n; i++) {
        if (!a->answered[i] && strcmp(a->topics[i], tp->topic) == 0) {
            a->denied[i] = rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
            a->answered[i] = true;
            a->left--;
        }
    }
    if (tp != NULL) {
        rd_kafka_topic_partition_destroy(tp);
    } else if (client_is_away(rd_kafka_event_error(ev))) {
        reason = reasons_note(&a->client->reasons, rd_kafka_event_error_string(ev), false,
                              clock_mono(), &is_news);
        (void) reason; /* it is only kept */
    }
}

static bool begin(struct reader *r, const struct asked *a, struct error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int) a->n);

    for (size_t i = 0; i < a->n; i++) {
        rd_kafka_topic_partition_list_add(list, a->topics[i], 0)->offset = RD_KAFKA_OFFSET_END;
    }
    bool ok = reader_assign(r, list, err);
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

static const char *first_unanswered(const struct asked *a)
{
    size_t i = 0;

    while (a->answered[i]) {
        i++;
    }
    return a->topics[i];
}

bool acl_topics(struct client *c, const struct config *cfg, const char *const *topics, size_t n,
                bool *out_denied, usec_t timeout, struct error *err)
{
    struct reader r;
    _cleanup_mem_ bool *answered = mem_array(n, sizeof *answered);
    struct asked a = {c, topics, n, out_denied, answered, n};

    memset(out_denied, 0, n * sizeof *out_denied);
    if (!reader_open(&r, cfg, QUICK, ARRAY_LEN(QUICK), err)) {
        return false;
    }
    memset(answered, 0, n * sizeof *answered);
    bool ok = begin(&r, &a, err);
    usec_t deadline = clock_mono() + timeout;
    for (usec_t now = clock_mono(); ok && a.left > 0 && now < deadline; now = clock_mono()) {
        rd_kafka_event_t *ev = rd_kafka_queue_poll(r.queue, clock_poll_ms(now, deadline));
        if (ev != NULL) {
            size_t left = a.left;
            take_answer(&a, ev);
            rd_kafka_event_destroy(ev);
            deadline = a.left < left ? clock_mono() + timeout : deadline;
        }
    }
    reader_close(&r);
    return ok && a.left > 0 ? fail_silent(c, "topic", first_unanswered(&a), err) : ok;
}
