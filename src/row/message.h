/*
 * A read-only view of one Kafka record. Everything is borrowed from the library's event and valid
 * until that event is destroyed: the row is encoded before. Worker thread (any, being read-only).
 */
#ifndef ROW_MESSAGE_H
#define ROW_MESSAGE_H

#include "base/str.h"

struct message_header {
    struct str name;
    struct str value; /* absent when the header has a null value */
};

struct message {
    struct str topic;
    int32_t partition;
    int32_t leader_epoch; /* -1 when the broker or the library does not say */
    int64_t offset;
    int64_t timestamp_ms;                 /* Unix time; -1 when the record has none */
    bool is_append_time;                  /* it is the broker's own, of when it was written */
    struct str key;                       /* absent for a null key */
    struct str value;                     /* absent for a tombstone */
    const struct message_header *headers; /* filled only where a route wants them */
    size_t header_count;
};

#endif
