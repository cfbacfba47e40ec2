/* Private to kafka/: the consumer with the library's types. For its threads see client.h. */
#ifndef KAFKA_LIBRDKAFKA_H
#define KAFKA_LIBRDKAFKA_H

#include "base/thread.h"
#include "kafka/client.h"
#include "kafka/lines.h"
#include "kafka/reasons.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

struct nudge;
struct rejoin;

struct client {
    rd_kafka_t *rk;
    struct nudge *nudge;     /* NULL: the library wakes by itself */
    uint64_t nudge_messages; /* a queue asks for a nudge after this many records, */
    uint64_t nudge_bytes;    /*   or bytes of values: half of its limits */
    rd_kafka_queue_t *queue; /* the consumer queue: everything that is not a record */
    int fd;                  /* its eventfd */
    bool cooperative;        /* as of the last rebalance */
    struct thread destroyer; /* runs rd_kafka_destroy, which has no deadline */
    char *instance_id;       /* group.instance.id; NULL: not static */
    struct rejoin *rejoin;   /* NULL: commits need no care in a cooperative group */
    struct traffic *traffic;
    struct lines lines;     /* what it logs */
    struct reasons reasons; /* why brokers cannot be reached; of the thread that takes events */
    _Atomic bool ending;    /* what its threads wait for is not wanted any more */
    bool commit_pending;    /* one at a time, because it blocks the next rebalance */
};

/* The library's list of these refs; the caller destroys it. */
rd_kafka_topic_partition_list_t *client_list(const struct partition_ref *refs, size_t n);

/* The library's configuration of a consumer, except its brokers; NULL: ERROR_SETUP. Moved into the
 * consumer that is made from it, or destroyed by the caller. */
rd_kafka_conf_t *client_conf(const struct config *cfg, uint32_t workers, struct error *err) _must_;
bool client_set_brokers(rd_kafka_conf_t *conf, const struct config *cfg, struct error *err) _must_;

/* Has no broker answered? */
bool client_is_away(rd_kafka_resp_err_t code) _pure_;

/* Moves err into *out: "<context>: <text>", and destroys it. NULL is success. Returns success. */
bool client_take_error(rd_kafka_error_t *error, const char *context, struct error *out) _must_;

#endif
