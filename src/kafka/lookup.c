/* Blocking questions, see lookup.h. Never retries. The scout's thread, or a command's only one. */
#include "kafka/lookup.h"

#include "base/mem.h"
#include "kafka/librdkafka.h"

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

/* A time after the last record is answered with RD_KAFKA_OFFSET_END: those start at their end. */
static bool ask_ends_of_rest(struct client *c, struct partition_ref *refs, size_t n, usec_t timeout,
                             struct error *err)
{
    struct partition_ref *rest = mem_array(n, sizeof *rest);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (refs[i].offset == RD_KAFKA_OFFSET_END) {
            rest[count++] = refs[i];
        }
    }
    bool ok = count == 0 || ask(c, rest, count, LOOKUP_LATEST, timeout, err);
    count = 0;
    for (size_t i = 0; ok && i < n; i++) {
        if (refs[i].offset == RD_KAFKA_OFFSET_END) {
            refs[i].offset = rest[count++].offset;
        }
    }
    free(rest);
    return ok;
}

bool lookup_offsets(struct client *c, struct partition_ref *refs, size_t n, int64_t at_ms,
                    usec_t timeout, struct error *err)
{
    if (n == 0) {
        return true;
    }
    return ask(c, refs, n, at_ms, timeout, err) && ask_ends_of_rest(c, refs, n, timeout, err);
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
