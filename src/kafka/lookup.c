/* Blocking questions, see lookup.h. Never retries. The scout's thread, or a command's only one. */
#include "kafka/lookup.h"

#include "base/mem.h"
#include "kafka/librdkafka.h"

#include <stdlib.h>

static int timeout_ms(usec_t timeout)
{
    return (int) (timeout / USEC_PER_MSEC);
}

/* One question for all partitions; per-partition errors fail the whole, the caller asks again. */
static bool ask(struct client *c, struct partition_ref *refs, size_t n, int64_t at_ms,
                usec_t timeout, struct error *err)
{
    rd_kafka_topic_partition_list_t *list = client_list(refs, n);
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = at_ms;
    }
    bool ok = true;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(c->rk, list, timeout_ms(timeout));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        ok = error_set(err, ERROR_LINK, "offsets cannot be asked for: %s", rd_kafka_err2str(code));
    }
    for (size_t i = 0; ok && i < n; i++) {
        const rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_find(
            list, refs[i].topic, refs[i].partition);
        if (tp->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            ok = error_set(err, ERROR_LINK, "%s-%d: %s", refs[i].topic, refs[i].partition,
                           rd_kafka_err2str(tp->err));
        } else {
            refs[i].offset = tp->offset;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

/* A time after the last record is answered with RD_KAFKA_OFFSET_END: those partitions start at
 * their end. */
static bool ask_ends_of_rest(struct client *c, struct partition_ref *refs, size_t n, usec_t timeout,
                             struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (refs[i].offset < 0 && !ask(c, &refs[i], 1, LOOKUP_LATEST, timeout, err)) {
            return false;
        }
    }
    return true;
}

bool lookup_offsets(struct client *c, struct partition_ref *refs, size_t n, int64_t at_ms,
                    usec_t timeout, struct error *err)
{
    if (n == 0) {
        return true;
    }
    return ask(c, refs, n, at_ms, timeout, err) && ask_ends_of_rest(c, refs, n, timeout, err);
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
