/* What `verify --content` prints: findings and the summary, as text or as JSON. */
#ifndef COMMAND_CONTENT_TEXT_H
#define COMMAND_CONTENT_TEXT_H

#include "pg/content.h"
#include "pg/presence.h"

/* Where pgsinkd began with a partition: what is below was never to be stored. */
struct content_began {
    int32_t partition;
    int64_t first;
};

struct content_summary {
    const char *topic;
    bool json;
    struct content_began *began; /* of each partition */
    size_t part_count;
    size_t table_count; /* those with a key among them */
    size_t keyed_count;
    uint64_t records;
    uint64_t counts[CONTENT_KINDS];
    uint64_t key_counts[PRESENCE_KINDS];
    uint64_t listed; /* findings that were printed */
};

/* One finding, to stdout. One thread at a time. */
void content_text_finding(const struct content_summary *s, int32_t partition,
                          const struct table *table, const struct content_finding *f);
void content_text_key_finding(const struct content_summary *s, const struct table *table,
                              const struct presence_finding *f);

/* What makes the command fail: all findings that are certain. */
uint64_t content_text_faults(const struct content_summary *s) _pure_;

void content_text_summary(const struct content_summary *s);

#endif
