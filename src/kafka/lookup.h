/*
 * Questions to the brokers that block, each with a deadline: first offsets, ends, what the group
 * has committed, which topics there are. All errors may pass, and the question may be asked again:
 * ERROR_LINK where no broker has answered, ERROR_AGAIN where one has refused.
 * @thread scout (and commands before any thread starts)
 */
#ifndef KAFKA_LOOKUP_H
#define KAFKA_LOOKUP_H

#include "kafka/client.h"

#define LOOKUP_EARLIEST INT64_C(-2)
#define LOOKUP_LATEST INT64_C(-1)
#define LOOKUP_FAILED INT64_MIN /* no answer for this partition, this time */
#define LOOKUP_NONE INT64_C(-3) /* the group has no offset for it */

/*
 * For every ref, into ref.offset: the first offset at or after at_ms (Unix time); for
 * LOOKUP_EARLIEST the beginning, for LOOKUP_LATEST the end (the last stable offset + 1, as
 * read_committed sees it). A time after the last record gives the end. LOOKUP_FAILED for refs
 * without an answer; false when none has one. A question that went to a former leader is asked once
 * more, so a call may take three times the timeout.
 */
bool lookup_offsets(struct client *c, struct partition_ref *refs, size_t n, int64_t at_ms,
                    usec_t timeout, struct error *err) _must_;

/* For every ref, into ref.offset: the group's offset, or LOOKUP_NONE. Failures as above. */
bool lookup_committed(struct client *c, struct partition_ref *refs, size_t n, usec_t timeout,
                      struct error *err) _must_;

/* The id of the cluster; "": the brokers do not answer, or it has none. */
void lookup_cluster_id(struct client *c, char *out, size_t size, usec_t timeout);

/* A topic and its id in base64; "" = not known. */
struct lookup_id {
    const char *topic; /* borrowed */
    char id[40];
};

/* Does the library know ids of topics? From 2.3 on. @thread any */
bool lookup_has_topic_ids(void);

/* Fills in the ids of the topics, which may repeat; one that cannot be had stays as it is. Without
 * lookup_has_topic_ids nothing is asked. */
void lookup_topic_ids(struct client *c, struct lookup_id *items, size_t n, usec_t timeout);

/* Does Kafka delete records of this topic that a later one with their key has replaced
 * (cleanup.policy)? True also where that cannot be known, as without the right DescribeConfigs. */
bool lookup_is_compacted(struct client *c, const char *topic, usec_t timeout);

/*
 * For a command, before its first question: waits until a broker answers, at most for the timeout;
 * less, where all of them fail for a reason that only a person can end (kafka/reasons.h). The text
 * says why, for each broker. Takes the client's events. @thread a command's only one
 */
bool lookup_await(struct client *c, usec_t timeout, struct error *err) _must_;

/* Takes all events that wait, for what they say about why brokers cannot be reached. @thread a
 * command's only one */
void lookup_take_events(struct client *c);

/* Does any broker answer? */
bool lookup_ping(struct client *c, usec_t timeout, struct error *err) _must_;

struct lookup_topic {
    char *name;
    int partition_count;
};

/* All topics that this client may see. The caller frees them by lookup_topics_free. */
bool lookup_topics(struct client *c, struct lookup_topic **out, size_t *out_n, usec_t timeout,
                   struct error *err) _must_;

/*
 * The existing topics among those that the routes of cfg may take, and perhaps others: if the
 * routes name only a few it asks for these alone, because a cluster may have very many topics; if
 * not, for all. The caller frees them by lookup_topics_free.
 */
bool lookup_subscribed(struct client *c, const struct config *cfg, struct lookup_topic **out,
                       size_t *out_n, usec_t timeout, struct error *err) _must_;

/* How many partitions the topic of that name has; 0: it does not exist. */
bool lookup_topic(struct client *c, const char *name, int *out_partitions, usec_t timeout,
                  struct error *err) _must_;

/* The topic of that exact name among these. NULL: ERROR_SETUP, with the nearest name as hint. */
const struct lookup_topic *lookup_find(const struct lookup_topic *topics, size_t n,
                                       const char *name, struct error *err) _must_;
void lookup_topics_free(struct lookup_topic *topics, size_t n);

#endif
