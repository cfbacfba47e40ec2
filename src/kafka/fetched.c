/* See fetched.h. Any thread. */
#include "kafka/fetched.h"

void fetched_message(const rd_kafka_message_t *rkm, struct message *m)
{
    rd_kafka_timestamp_type_t type;

    m->topic = str_of(rd_kafka_topic_name(rkm->rkt));
    m->partition = rkm->partition;
    m->offset = rkm->offset;
    m->timestamp_ms = rd_kafka_message_timestamp(rkm, &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE) {
        m->timestamp_ms = -1;
    }
    m->is_append_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
#if RD_KAFKA_VERSION >= 0x020100ff
    m->leader_epoch = rd_kafka_message_leader_epoch(rkm);
#else
    m->leader_epoch = -1;
#endif
    m->key = fetched_bytes(rkm->key, rkm->key_len);
    m->value = fetched_bytes(rkm->payload, rkm->len);
    m->headers = NULL;
    m->header_count = 0;
}

bool fetched_is_unknown(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}
