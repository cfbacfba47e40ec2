/*
 * Wakes the library's fetching threads, which oversleep. When all partitions that a broker leads
 * have reached the limits of their queue, the thread of that broker waits on its socket for up to a
 * second, however soon the queue is empty again (librdkafka before 2.2:
 * rd_kafka_toppar_fetch_decide gives a full queue an indefinite back-off,
 * rd_kafka_broker_ops_io_serve waits rd_kafka_max_block_ms; since 2.2 fetch.queue.backoff.ms ends
 * that wait). Any request to the broker wakes its thread; the smallest one asks for the end of a
 * partition.
 *
 * A thread of its own sends it, because the call waits for the answer. A worker that empties a
 * queue asks for a nudge after each half of the limit, so that the queue never runs dry before one.
 */
#ifndef KAFKA_NUDGE_H
#define KAFKA_NUDGE_H

#include "kafka/librdkafka.h"

/* A partition for each broker that has fed a queue since its last nudge. If there are more brokers
 * than this they take turns. */
#define NUDGE_BROKERS 16

struct nudge_broker {
    int32_t id;
    int32_t partition;
    char topic[250];
};

struct nudge_list {
    size_t count;
    struct nudge_broker brokers[NUDGE_BROKERS];
};

struct nudge;

/* NULL when the library wakes by itself. @thread main */
struct nudge *nudge_new(rd_kafka_t *rk) _must_;
struct nudge *nudge_free(struct nudge *n); /* waits for the thread; returns NULL. @thread main */

/* Adds a broker, unless it is there, with a partition that it leads. @thread owner of the list */
void nudge_list_add(struct nudge_list *l, int32_t broker, const char *topic, int32_t partition);

/* Has the thread send a request to each of the brokers. Never waits. @thread any */
void nudge_ask(struct nudge *n, const struct nudge_list *l);

#endif
