/* Questions and their answers, see lookup.h. Retries nothing but a question that went to a former
 * leader, once. The scout's thread, or a command's only one. */
#include "kafka/lookup.h"

#include "base/mem.h"
#include "kafka/events.h"
#include "kafka/librdkafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int timeout_ms(usec_t timeout)
{
    return (int) (timeout / USEC_PER_MSEC);
}

static rd_kafka_AdminOptions_t *admin_options(const struct client *c, rd_kafka_admin_op_t op,
                                              usec_t timeout)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(c->rk, op);
    char text[128];

    (void) rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms(timeout), text,
                                                     sizeof text);
    return options;
}

/* The others are answers of a broker, such as that there is no such partition. */
static enum error_class class_of(rd_kafka_resp_err_t code)
{
    return client_is_away(code) ? ERROR_LINK : ERROR_AGAIN;
}

/* Answers come in the order of the questions, though nothing promises that. */
static const rd_kafka_topic_partition_t *answer_to(rd_kafka_topic_partition_list_t *list, size_t i,
                                                   const struct partition_ref *ref)
{
    const rd_kafka_topic_partition_t *tp = &list->elems[i];

    if (tp->partition == ref->partition && strcmp(tp->topic, ref->topic) == 0) {
        return tp;
    }
    return rd_kafka_topic_partition_list_find(list, ref->topic, ref->partition);
}

/* Answers into refs: LOOKUP_FAILED for a partition without one. False when none has one. */
static bool take_answers(rd_kafka_topic_partition_list_t *list, struct partition_ref *refs,
                         size_t n, struct error *err)
{
    size_t answered = 0;

    for (size_t i = 0; i < n; i++) {
        const rd_kafka_topic_partition_t *tp = answer_to(list, i, &refs[i]);
        if (tp->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            error_set(err, class_of(tp->err), "%s-%d: %s", refs[i].topic, refs[i].partition,
                      rd_kafka_err2str(tp->err));
            refs[i].offset = LOOKUP_FAILED;
        } else {
            refs[i].offset = tp->offset;
            answered++;
        }
    }
    return answered > 0;
}

/* The end of a question for all partitions: takes the answers, or names what has failed. */
static bool finish(rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                   struct partition_ref *refs, size_t n, const char *what, struct error *err)
{
    bool ok = code == RD_KAFKA_RESP_ERR_NO_ERROR
                  ? take_answers(list, refs, n, err)
                  : error_set(err, class_of(code), "cannot ask for %s: %s", what,
                              rd_kafka_err2str(code));

    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

static rd_kafka_resp_err_t ask_leaders(struct client *c, rd_kafka_topic_partition_list_t *list,
                                       int64_t at_ms, usec_t timeout)
{
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = at_ms;
    }
    return rd_kafka_offsets_for_times(c->rk, list, timeout_ms(timeout));
}

/* The library goes by the leaders that it knows. A command that met a change of them would end. */
static bool went_to_a_former_leader(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
}

static bool ask(struct client *c, struct partition_ref *refs, size_t n, int64_t at_ms,
                usec_t timeout, struct error *err)
{
    rd_kafka_topic_partition_list_t *list = client_list(refs, n);
    rd_kafka_resp_err_t code = ask_leaders(c, list, at_ms, timeout);

    if (went_to_a_former_leader(code) && lookup_ping(c, timeout, err)) { /* leaders are in it */
        code = ask_leaders(c, list, at_ms, timeout);
    }
    return finish(code, list, refs, n, "offsets", err);
}

/*
 * A time after the last record is answered with RD_KAFKA_OFFSET_END: such a partition starts at its
 * end. The ends are asked for first, because a record that arrives between the two questions is
 * later than the time asked for, and must not be skipped.
 */
static bool ask_by_time(struct client *c, struct partition_ref *refs, size_t n, int64_t at_ms,
                        usec_t timeout, struct error *err)
{
    struct partition_ref *ends = mem_array(n, sizeof *ends);

    memcpy(ends, refs, n * sizeof *ends);
    bool ok = ask(c, ends, n, LOOKUP_LATEST, timeout, err) && ask(c, refs, n, at_ms, timeout, err);
    for (size_t i = 0; ok && i < n; i++) {
        if (refs[i].offset == RD_KAFKA_OFFSET_END) {
            refs[i].offset = ends[i].offset;
        }
    }
    free(ends);
    return ok;
}

bool lookup_offsets(struct client *c, struct partition_ref *refs, size_t n, int64_t at_ms,
                    usec_t timeout, struct error *err)
{
    if (n == 0) {
        return true;
    }
    return at_ms < 0 ? ask(c, refs, n, at_ms, timeout, err)
                     : ask_by_time(c, refs, n, at_ms, timeout, err);
}

bool lookup_committed(struct client *c, struct partition_ref *refs, size_t n, usec_t timeout,
                      struct error *err)
{
    rd_kafka_topic_partition_list_t *list = client_list(refs, n);
    rd_kafka_resp_err_t code = rd_kafka_committed(c->rk, list, timeout_ms(timeout));
    bool ok = finish(code, list, refs, n, "the group's offsets", err);

    for (size_t i = 0; ok && i < n; i++) {
        if (refs[i].offset < 0 && refs[i].offset != LOOKUP_FAILED) {
            refs[i].offset = LOOKUP_NONE;
        }
    }
    return ok;
}

void lookup_cluster_id(struct client *c, char *out, size_t size, usec_t timeout)
{
    char *id = rd_kafka_clusterid(c->rk, timeout_ms(timeout));

    snprintf(out, size, "%s", id != NULL ? id : "");
    rd_kafka_mem_free(c->rk, id);
}

void lookup_take_events(struct client *c)
{
    struct event e;

    for (event_take(c, &e); e.kind != EVENT_NONE; event_take(c, &e)) {
        event_done(&e);
    }
}

/* The first question waits this long, and each the double of the one before: a broker far away
 * needs some time, and a reason why none answers is to be seen soon. */
#define AWAIT_FIRST (100 * USEC_PER_MSEC)

bool lookup_await(struct client *c, usec_t timeout, struct error *err)
{
    usec_t deadline = clock_mono() + timeout;
    usec_t slice = AWAIT_FIRST;

    for (usec_t now = clock_mono(); now < deadline; now = clock_mono()) {
        if (lookup_ping(c, MIN(slice, deadline - now), err)) {
            client_reached(c);
            return true;
        }
        lookup_take_events(c);
        if (reasons_are_lasting(&c->reasons, clock_mono())) {
            break;
        }
        slice *= 2;
    }
    char last[128];
    snprintf(last, sizeof last, "%.120s", err->text);
    client_why_away(c, last, err);
    return false;
}

bool lookup_ping(struct client *c, usec_t timeout, struct error *err)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_resp_err_t code = rd_kafka_metadata(c->rk, 0, NULL, &md, timeout_ms(timeout));

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return error_set(err, class_of(code), "%s", rd_kafka_err2str(code));
    }
    rd_kafka_metadata_destroy(md);
    return true;
}

bool lookup_topics(struct client *c, struct lookup_topic **out, size_t *out_n, usec_t timeout,
                   struct error *err)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_resp_err_t code = rd_kafka_metadata(c->rk, 1, NULL, &md, timeout_ms(timeout));

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return error_set(err, class_of(code), "%s", rd_kafka_err2str(code));
    }
    size_t n = (size_t) md->topic_cnt;
    struct lookup_topic *topics = mem_array(n, sizeof *topics);
    for (size_t i = 0; i < n; i++) {
        topics[i].name = mem_strdup(md->topics[i].topic);
        topics[i].partition_count = md->topics[i].partition_cnt;
    }
    rd_kafka_metadata_destroy(md);
    *out = topics;
    *out_n = n;
    return true;
}

/* Each name costs a request; more than this many are found faster among all topics. */
#define NAMED_MAX 16

static bool is_among(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The distinct names that the routes give. False: there are patterns, or too many names. */
static bool take_names(const struct config *cfg, const char *names[NAMED_MAX], size_t *out_n)
{
    size_t n = 0;

    for (size_t i = 0; i < cfg->route_count; i++) {
        const struct config_topics *topics = &cfg->routes[i].topics;
        for (size_t k = 0; k < topics->count; k++) {
            if (is_among(names, n, topics->items[k].name)) {
                continue;
            }
            if (topics->items[k].is_regex || n == NAMED_MAX) {
                return false;
            }
            names[n++] = topics->items[k].name;
        }
    }
    *out_n = n;
    return true;
}

/* A topic that does not exist is answered as one without partitions. */
bool lookup_topic(struct client *c, const char *name, int *out_partitions, usec_t timeout,
                  struct error *err)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(c->rk, name, NULL);

    if (rkt == NULL) {
        return error_set(err, ERROR_LINK, "cannot ask for topic '%s'", name);
    }
    rd_kafka_resp_err_t code = rd_kafka_metadata(c->rk, 0, rkt, &md, timeout_ms(timeout));
    rd_kafka_topic_destroy(rkt);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return error_set(err, class_of(code), "%s", rd_kafka_err2str(code));
    }
    *out_partitions = md->topic_cnt == 1 ? md->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(md);
    return true;
}

bool lookup_subscribed(struct client *c, const struct config *cfg, struct lookup_topic **out,
                       size_t *out_n, usec_t timeout, struct error *err)
{
    const char *names[NAMED_MAX];
    size_t n = 0;

    if (!take_names(cfg, names, &n)) {
        return lookup_topics(c, out, out_n, timeout, err);
    }
    struct lookup_topic *topics = mem_array(n, sizeof *topics);
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        int partitions = 0;
        if (!lookup_topic(c, names[i], &partitions, timeout, err)) {
            lookup_topics_free(topics, found);
            return false;
        }
        if (partitions > 0) {
            topics[found++] = (struct lookup_topic){mem_strdup(names[i]), partitions};
        }
    }
    *out = topics;
    *out_n = found;
    return true;
}

const struct lookup_topic *lookup_find(const struct lookup_topic *topics, size_t n,
                                       const char *name, struct error *err)
{
    _cleanup_mem_ const char **names = mem_array(MAX(n, 1), sizeof *names);

    for (size_t i = 0; i < n; i++) {
        names[i] = topics[i].name;
        if (strcmp(topics[i].name, name) == 0) {
            return &topics[i];
        }
    }
    const char *near = str_nearest(name, names, n);
    error_set(err, ERROR_SETUP, "kafka: topic '%s' does not exist", name);
    if (near != NULL) {
        error_hint(err, "There is '%s'.", near);
    }
    return NULL;
}

void lookup_topics_free(struct lookup_topic *topics, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(topics[i].name);
    }
    free(topics);
}

/* ---- ids of topics ---- */

#if RD_KAFKA_VERSION >= 0x020300ff

bool lookup_has_topic_ids(void)
{
    return rd_kafka_version() >= 0x02030000;
}

/* Distinct names, in the order in which each comes first. */
static size_t distinct_topics(const struct lookup_id *items, size_t n, const char **out)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        bool is_new = true;
        for (size_t k = count; is_new && k-- > 0;) { /* they come in runs */
            is_new = strcmp(out[k], items[i].topic) != 0;
        }
        if (is_new) {
            out[count++] = items[i].topic;
        }
    }
    return count;
}

static void take_id(const rd_kafka_TopicDescription_t *d, struct lookup_id *items, size_t n)
{
    if (rd_kafka_error_code(rd_kafka_TopicDescription_error(d)) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    const char *id = rd_kafka_Uuid_base64str(rd_kafka_TopicDescription_topic_id(d));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(items[i].topic, rd_kafka_TopicDescription_name(d)) == 0) {
            snprintf(items[i].id, sizeof items[i].id, "%s", id);
        }
    }
}

static void take_ids(rd_kafka_event_t *ev, struct lookup_id *items, size_t n)
{
    if (ev == NULL || rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    size_t count = 0;
    const rd_kafka_TopicDescription_t **topics = rd_kafka_DescribeTopics_result_topics(
        rd_kafka_event_DescribeTopics_result(ev), &count);
    for (size_t i = 0; i < count; i++) {
        take_id(topics[i], items, n);
    }
}

void lookup_topic_ids(struct client *c, struct lookup_id *items, size_t n, usec_t timeout)
{
    const char **names = mem_array(n, sizeof *names);
    size_t count = distinct_topics(items, n, names);
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, count);
    rd_kafka_AdminOptions_t *options = admin_options(c, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(c->rk);

    rd_kafka_DescribeTopics(c->rk, topics, options, queue);
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, timeout_ms(timeout) + 100);
    take_ids(ev, items, n);
    if (ev != NULL) {
        rd_kafka_event_destroy(ev);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_TopicCollection_destroy(topics);
    free(names);
}

#else

bool lookup_has_topic_ids(void)
{
    return false;
}

void lookup_topic_ids(struct client *c, struct lookup_id *items, size_t n, usec_t timeout)
{
    (void) c;
    (void) items;
    (void) n;
    (void) timeout;
}

#endif

/* ---- configuration of topics ---- */

/* The policy of the one topic that was asked about; NULL: not known. */
static const char *policy_of(rd_kafka_event_t *ev)
{
    size_t n = 0;

    if (ev == NULL || rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return NULL;
    }
    const rd_kafka_ConfigResource_t **topics = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(ev), &n);
    if (n != 1 || rd_kafka_ConfigResource_error(topics[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return NULL;
    }
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(topics[0], &n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "cleanup.policy") == 0) {
            return rd_kafka_ConfigEntry_value(entries[i]);
        }
    }
    return NULL;
}

bool lookup_is_compacted(struct client *c, const char *topic, usec_t timeout)
{
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_AdminOptions_t *options = admin_options(c, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(c->rk);

    rd_kafka_DescribeConfigs(c->rk, &asked, 1, options, queue);
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, timeout_ms(timeout) + 100);
    const char *policy = policy_of(ev);
    bool is_compacted = policy == NULL || strstr(policy, "compact") != NULL;
    if (ev != NULL) {
        rd_kafka_event_destroy(ev);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(asked);
    return is_compacted;
}
