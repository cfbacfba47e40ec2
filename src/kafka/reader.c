/* See reader.h. Never retries. */
#include "kafka/reader.h"

#include "kafka/librdkafka.h"
#include "kafka/token_source.h"

#include <string.h>

bool reader_open(struct reader *r, const struct config *cfg, const struct reader_property *fixed,
                 size_t n, struct error *err)
{
    char text[256];
    rd_kafka_conf_t *conf = client_conf(cfg, 1, err);

    if (conf == NULL) {
        return false;
    }
    if (!client_set_brokers(conf, cfg, err)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        (void) rd_kafka_conf_set(conf, fixed[i].name, fixed[i].value, text, sizeof text);
    }
    atomic_init(&r->ending, false);
    token_source_use_in_reader(conf, cfg, &r->ending);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return error_set(err, ERROR_SETUP, "librdkafka refuses the properties: %s", text);
    }
    token_source_start(rk, cfg);
    rd_kafka_poll_set_consumer(rk);
    r->rk = rk;
    r->queue = rd_kafka_queue_get_consumer(rk);
    return true;
}

void reader_close(struct reader *r)
{
    atomic_store_explicit(&r->ending, true, memory_order_relaxed);
    rd_kafka_queue_destroy(r->queue);
    rd_kafka_destroy_flags(r->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

/*
 * The library asks for the leaders of a topic within a second if the topic is only assigned, and at
 * once if an object is made for it.
 */
static void ask_leaders(struct reader *r, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        const char *topic = list->elems[i].topic;
        bool is_next = i > 0 && strcmp(list->elems[i - 1].topic, topic) == 0;
        rd_kafka_topic_t *rkt = is_next ? NULL : rd_kafka_topic_new(r->rk, topic, NULL);
        if (rkt != NULL) {
            rd_kafka_topic_destroy(rkt);
        }
    }
}

bool reader_assign(struct reader *r, const rd_kafka_topic_partition_list_t *list, struct error *err)
{
    ask_leaders(r, list);
    rd_kafka_resp_err_t code = rd_kafka_assign(r->rk, list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           error_set(err, ERROR_LINK, "cannot read records: %s", rd_kafka_err2str(code));
}

void reader_unassign(struct reader *r)
{
    (void) rd_kafka_assign(r->rk, NULL);
}
