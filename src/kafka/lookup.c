/* Blocking questions, see lookup.h. Never retries. The scout's thread, or a command's only one. */
#include "kafka/lookup.h"

#include "base/mem.h"
#include "kafka/librdkafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int timeout_ms(usec_t timeout)
{
    return (int) (timeout / USEC_PER_MSEC);
}

/* Answers keep the order of the questions, though nobody promises it. */
static const rd_kafka_topic_partition_t *answer_to(rd_kafka_topic_partition_list_t *list, size_t i,
                                                   const struct partition_ref *ref)
{
    const rd_kafka_topic_partition_t *tp = &list->elems[i];
    if (tp->partition == ref->partition && strcmp(tp->topic, ref->topic) == 0) {
        return tp;
    }
    return rd_kafka_topic_partition_list_find(list, ref->topic, ref->partition);
}

/* Answers into refs. A partition without one leaves LOOKUP_FAILED and the others theirs; the whole
 * fails when none has one. */
static bool take_answers(rd_kafka_topic_partition_list_t *list, struct partition_ref *refs,
                         size_t n, struct error *err)
{
    size_t answered = 0;
    for (size_t i = 0; i < n; i++) {
        const rd_kafka_topic_partition_t *tp = answer_to(list, i, &refs[i]);
        if (tp->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            error_set(err, ERROR_LINK, "%s-%d: %s", refs[i].topic, refs[i].partition,
                      rd_kafka_err2str(tp->err));
            refs[i].offset = LOOKUP_FAILED;
        } else {
            refs[i].offset = tp->offset;
            answered++;
        }
    }
    return answered > 0;
}

/* One question for all partitions. */
static bool ask(struct client *c, struct partition_ref *refs, size_t n, int64_t at_ms,
                usec_t timeout, struct error *err)
{
    rd_kafka_topic_partition_list_t *list = client_list(refs, n);
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = at_ms;
    }
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(c->rk, list, timeout_ms(timeout));
    bool ok = code == RD_KAFKA_RESP_ERR_NO_ERROR
                  ? take_answers(list, refs, n, err)
                  : error_set(err, ERROR_LINK, "offsets cannot be asked for: %s",
                              rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

/*
 * A time after the last record is answered with RD_KAFKA_OFFSET_END: those start at their end.
 * Which is asked for first: a record that arrives between the two questions has a later time than
 * asked for, and must not be passed.
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
    bool ok = code == RD_KAFKA_RESP_ERR_NO_ERROR
                  ? take_answers(list, refs, n, err)
                  : error_set(err, ERROR_LINK, "the group's offsets cannot be asked for: %s",
                              rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(list);
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

bool lookup_ping(struct client *c, usec_t timeout, struct error *err)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_resp_err_t code = rd_kafka_metadata(c->rk, 0, NULL, &md, timeout_ms(timeout));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return error_set(err, ERROR_LINK, "%s", rd_kafka_err2str(code));
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
        return error_set(err, ERROR_LINK, "%s", rd_kafka_err2str(code));
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

void lookup_topics_free(struct lookup_topic *topics, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(topics[i].name);
    }
    free(topics);
}

/* ---- the group ---- */

/* What all members have, in order. */
static rd_kafka_topic_partition_list_t *held_by_all(
    const rd_kafka_ConsumerGroupDescription_t *group)
{
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(16);
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++) {
        const rd_kafka_MemberAssignment_t *a = rd_kafka_MemberDescription_assignment(
            rd_kafka_ConsumerGroupDescription_member(group, i));
        const rd_kafka_topic_partition_list_t *of_one =
            a != NULL ? rd_kafka_MemberAssignment_partitions(a) : NULL;
        for (int k = 0; of_one != NULL && k < of_one->cnt; k++) {
            rd_kafka_topic_partition_list_add(all, of_one->elems[k].topic,
                                              of_one->elems[k].partition);
        }
    }
    rd_kafka_topic_partition_list_sort(all, NULL, NULL);
    return all;
}

static void take_held(const rd_kafka_ConsumerGroupDescription_t *group, struct partition_ref **out,
                      size_t *out_n)
{
    rd_kafka_topic_partition_list_t *all = held_by_all(group);
    *out_n = (size_t) all->cnt;
    *out = mem_array(*out_n, sizeof **out);
    for (size_t i = 0; i < *out_n; i++) {
        (*out)[i] = (struct partition_ref){.topic = mem_strdup(all->elems[i].topic),
                                           .partition = all->elems[i].partition,
                                           .offset = -1};
    }
    rd_kafka_topic_partition_list_destroy(all);
}

/* The description in the event, NULL when there is none. */
static const rd_kafka_ConsumerGroupDescription_t *description(rd_kafka_event_t *ev)
{
    const rd_kafka_DescribeConsumerGroups_result_t *result =
        ev != NULL ? rd_kafka_event_DescribeConsumerGroups_result(ev) : NULL;
    if (result == NULL || rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return NULL;
    }
    size_t n = 0;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(result, &n);
    return n == 1 && rd_kafka_ConsumerGroupDescription_error(groups[0]) == NULL ? groups[0] : NULL;
}

static void send_describe(struct client *c, const char *group, rd_kafka_queue_t *queue,
                          usec_t timeout)
{
    char ignored[64];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(
        c->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    (void) rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms(timeout), ignored,
                                                     sizeof ignored);
    rd_kafka_DescribeConsumerGroups(c->rk, &group, 1, options, queue);
    rd_kafka_AdminOptions_destroy(options);
}

enum lookup_state lookup_group(struct client *c, const char *group, struct partition_ref **out,
                               size_t *out_n, usec_t timeout)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(c->rk);
    send_describe(c, group, queue, timeout);
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, timeout_ms(timeout));
    const rd_kafka_ConsumerGroupDescription_t *found = description(ev);
    enum lookup_state state = LOOKUP_UNKNOWN;
    if (found != NULL) {
        state = rd_kafka_ConsumerGroupDescription_state(found) ==
                        RD_KAFKA_CONSUMER_GROUP_STATE_STABLE
                    ? LOOKUP_STABLE
                    : LOOKUP_UNSETTLED;
    }
    if (state == LOOKUP_STABLE) {
        take_held(found, out, out_n);
    }
    rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(queue);
    return state;
}

void lookup_held_free(struct partition_ref *refs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *) (uintptr_t) refs[i].topic);
    }
    free(refs);
}

/* ---- ids of topics ---- */

#if RD_KAFKA_VERSION >= 0x020300ff

bool lookup_has_topic_ids(void)
{
    return rd_kafka_version() >= 0x02030000;
}

/* Names without repetition, in the order in which they come first. */
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
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(c->rk,
                                                                 RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(c->rk);
    char text[128];
    (void) rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms(timeout), text,
                                                     sizeof text);
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
