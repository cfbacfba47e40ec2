/* See identity.h. */
#include "row/identity.h"

#include "base/crc32c.h"

#include <string.h>

/* A length of UINT32_MAX stands for null, which no value of Kafka's can have (its lengths are
 * int32). */
static uint32_t add_length(uint32_t crc, struct str s)
{
    uint32_t n = s.p == NULL ? UINT32_MAX : (uint32_t) s.n;
    uint8_t bytes[4] = {(uint8_t) n, (uint8_t) (n >> 8), (uint8_t) (n >> 16), (uint8_t) (n >> 24)};

    return crc32c(crc, bytes, sizeof bytes);
}

static uint32_t add_timestamp(uint32_t crc, int64_t timestamp_ms)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t) ((uint64_t) timestamp_ms >> (8 * i));
    }
    return crc32c(crc, bytes, sizeof bytes);
}

struct fingerprint fingerprint_of(const struct message *m)
{
    uint32_t crc = add_timestamp(0, m->timestamp_ms);

    crc = add_length(crc, m->key);
    crc = add_length(crc, m->value);
    crc = crc32c(crc, m->key.p, m->key.p == NULL ? 0 : m->key.n);
    crc = crc32c(crc, m->value.p, m->value.p == NULL ? 0 : m->value.n);
    return (struct fingerprint){.offset = m->offset, .crc = crc};
}

bool log_look_at_ends(int64_t offset, int64_t start, int64_t end, enum log_evidence *out)
{
    bool ends_before = end <= offset;

    *out = ends_before ? EVIDENCE_OTHER : EVIDENCE_NONE;
    return ends_before || start > offset;
}

/* Unknown differs from nothing. */
static bool differ(const char *known, const char *now)
{
    return known[0] != '\0' && now[0] != '\0' && strcmp(known, now) != 0;
}

enum log_verdict log_judge(enum log_evidence evidence, const struct log_ids *known,
                           const struct log_ids *now)
{
    bool cluster = differ(known->cluster, now->cluster);
    bool topic = differ(known->topic, now->topic);

    if (evidence == EVIDENCE_SAME) {
        return cluster || topic ? LOG_MOVED : LOG_SAME;
    }
    if (cluster) {
        return LOG_OTHER_CLUSTER;
    }
    if (topic) {
        return LOG_CREATED_AGAIN;
    }
    return evidence == EVIDENCE_OTHER ? LOG_OTHER : LOG_SAME;
}

static bool is_news(const char *known, const char *now)
{
    return now[0] != '\0' && strcmp(known, now) != 0;
}

bool log_ids_are_news(const struct log_ids *known, const struct log_ids *now)
{
    return is_news(known->cluster, now->cluster) || is_news(known->topic, now->topic);
}
