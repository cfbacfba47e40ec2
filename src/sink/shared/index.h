/*
 * (topic, partition number) -> pointer: open addressing, names compared by content, borrowed from
 * the value's owner. For workers (records to slots) and the crew (rebalances to partitions).
 * One thread at a time.
 */
#ifndef SINK_SHARED_INDEX_H
#define SINK_SHARED_INDEX_H

#include "base/base.h"

struct index_entry {
    const char *topic; /* NULL = free */
    int32_t number;
    void *value;
};

struct index {
    struct index_entry *entries;
    size_t size; /* a power of two, or 0 */
    size_t count;
};

void index_done(struct index *ix);
void *index_find(const struct index *ix, const char *topic, int32_t number);      /* NULL = none */
void index_put(struct index *ix, const char *topic, int32_t number, void *value); /* must be new */
void index_remove(struct index *ix, const char *topic, int32_t number); /* may be absent */

#endif
