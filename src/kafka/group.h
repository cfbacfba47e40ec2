/*
 * Which partitions the members of a consumer group have, as its coordinator knows it. Not through
 * the library's admin API: in 2.0.2 its DescribeConsumerGroups aborts the process when a
 * coordinator comes back after the request has timed out, and locks up the library if a broker
 * cannot answer.
 * @thread scout; what only reads a list: any
 */
#ifndef KAFKA_GROUP_H
#define KAFKA_GROUP_H

#include "kafka/client.h"

enum group_state {
    GROUP_UNKNOWN,   /* the brokers do not answer, or not this client */
    GROUP_UNSETTLED, /* a rebalance is under way, or the group has no members */
    GROUP_STABLE,
};

/*
 * The group's state; if that is GROUP_STABLE, also the partitions that its members have, ordered by
 * topic (strcmp) and number, which the caller frees by group_held_free; otherwise the outputs are
 * untouched. Offsets mean nothing. Asks every broker, because that is how the library finds a
 * group.
 */
enum group_state group_ask(struct client *c, const char *name, struct partition_ref **out,
                           size_t *out_n, usec_t timeout) _must_;
void group_held_free(struct partition_ref *refs, size_t n);

/*
 * Who has this group.instance.id now: writes "host 10.0.0.5", as its coordinator sees the member,
 * and returns true; false: nobody has it, or that could not be asked. @thread main, once it is
 * fenced; scout
 */
bool group_holder(struct client *c, const char *name, const char *instance_id, char *out,
                  size_t size, usec_t timeout) _must_;

/* Is this the id that a coordinator gives a member with such a group.instance.id? Pure.
 * @thread any */
bool group_is_instance(const char *member_id, const char *instance_id) _pure_;

/* Is the partition among those that group_ask has found? @thread any */
bool group_holds(const struct partition_ref *held, size_t n, const char *topic, int32_t partition);

/* Partitions, appended one by one; topics are owned. */
struct group_held {
    struct partition_ref *refs;
    size_t count;
    size_t cap;
};

/*
 * Appends what one member's assignment says (Kafka's consumer protocol, any version). If the bytes
 * are malformed, what could be read is appended. Pure. @thread any
 */
void group_held_add(struct group_held *held, const void *assignment, size_t size);

#endif
