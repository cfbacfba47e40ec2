/* See fetched.h. Any thread. */
#include "kafka/fetched.h"

struct str fetched_bytes(const void *p, size_t n)
{
    return p == NULL ? (struct str){.p = NULL, .n = 0} : (struct str){.p = p, .n = n};
}

void fetched_message(const rd_kafka_message_t *rkm, struct message *m)
{
    rd_kafka_timestamp_type_t type;

    *m = (struct message){
        .topic = str_of(rd_kafka_topic_name(rkm->rkt)),
        .partition = rkm->partition,
        .leader_epoch = -1,
        .offset = rkm->offset,
        .timestamp_ms = rd_kafka_message_timestamp(rkm, &type),
        .key = fetched_bytes(rkm->key, rkm->key_len),
        .value = fetched_bytes(rkm->payload, rkm->len),
    };
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE) {
        m->timestamp_ms = -1;
    }
#if RD_KAFKA_VERSION >= 0x020100ff
    m->leader_epoch = rd_kafka_message_leader_epoch(rkm);
#endif
}

bool fetched_is_unknown(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}
