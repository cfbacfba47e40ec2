/*
 * Parameters of a statement about many partitions: arrays that stand side by side, the topic and
 * the number of each partition first. Memory is kept from use to use. Any thread.
 */
#ifndef PG_KEY_ARRAYS_H
#define PG_KEY_ARRAYS_H

#include "base/buf.h"

enum key_arrays_place {
    KEY_ARRAYS_TOPIC,
    KEY_ARRAYS_PARTITION,
    KEY_ARRAYS_MORE,
    KEY_ARRAYS_MAX = 9
};

/* Of KEY_ARRAYS_MORE and what follows the caller fills as many as it needs: sql_array_i64 ... */
struct key_arrays {
    struct buf of[KEY_ARRAYS_MAX];
};

/* All are empty and open. */
void key_arrays_begin(struct key_arrays *a);

/* One more partition, in the first two. */
void key_arrays_add(struct key_arrays *a, const char *topic, int32_t partition);

/* Closes an array, once, and returns it as PostgreSQL reads it. Valid until the next begin. */
const char *key_arrays_end(struct key_arrays *a, size_t i);

void key_arrays_done(struct key_arrays *a);

#define _cleanup_key_arrays_ _cleanup_(key_arrays_done)

#endif
