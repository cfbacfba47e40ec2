/*
 * A consumer of its own beside the one of client.h, private to kafka/: partitions are assigned to
 * it by hand. It never joins the group, commits nothing, and what it reads is seen by nobody else.
 * The thread that blocks on it: the scout's, or a command's only one.
 */
#ifndef KAFKA_READER_H
#define KAFKA_READER_H

#include "kafka/client.h"

#include <librdkafka/rdkafka.h>

struct reader {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue; /* records, ends and errors of all partitions */
    _Atomic bool ending;     /* a program that fetches its token is not wanted any more */
};

/* A property of the library's, set whatever the configuration says. */
struct reader_property {
    const char *name;
    const char *value;
};

/* Connects in the background; r stays where it is until reader_close. ERROR_SETUP. */
bool reader_open(struct reader *r, const struct config *cfg, const struct reader_property *fixed,
                 size_t n, struct error *err) _must_;
void reader_close(struct reader *r);

/* Reads these partitions, each from its offset, instead of those before. ERROR_LINK. */
bool reader_assign(struct reader *r, const rd_kafka_topic_partition_list_t *list,
                   struct error *err) _must_;

/* Reads nothing any more. */
void reader_unassign(struct reader *r);

#endif
