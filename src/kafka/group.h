/*
 * Who in a consumer group has what, as its coordinator knows it. Not through the library's admin
 * API: in 2.0.2 its DescribeConsumerGroups aborts the process when a coordinator comes back after
 * the request has timed out, and locks up the library with a broker that cannot answer.
 * @thread scout; what only reads a list: any
 */
#ifndef KAFKA_GROUP_H
#define KAFKA_GROUP_H

#include "kafka/client.h"

enum group_state {
    GROUP_UNKNOWN,   /* the brokers cannot be asked, or tell this client nothing */
    GROUP_UNSETTLED, /* a rebalance is under way, or nobody is in it */
    GROUP_STABLE,
};

/*
 * The group's state; when it is stable also the partitions that its members have, in order of topic
 * (strcmp) and number, for group_held_free (else untouched). Offsets mean nothing. Asks every
 * broker, for that is how the library finds a group.
 */
enum group_state group_ask(struct client *c, const char *name, struct partition_ref **out,
                           size_t *out_n, usec_t timeout) _must_;
bool group_holds(const struct partition_ref *held, size_t n, const char *topic, int32_t partition);
void group_held_free(struct partition_ref *refs, size_t n);

/* Partitions, appended one by one; topics are owned. */
struct group_held {
    struct partition_ref *refs;
    size_t count;
    size_t cap;
};

/*
 * Appends what one member's assignment says (Kafka's consumer protocol, any version). Bytes of
 * another form append what could be read. Pure. @thread any
 */
void group_held_add(struct group_held *held, const void *assignment, size_t size);

#endif
