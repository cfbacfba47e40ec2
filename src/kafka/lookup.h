/*
 * Questions to the brokers that block, each with a deadline: first offsets, ends, what the group
 * has committed, what topics there are. Errors are ERROR_KAFKA class
 * only when the brokers refuse this client for good; ERROR_LINK otherwise.
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
 * For every ref, or LOOKUP_FAILED where only some can be answered: the first offset at or after
 * at_ms (Unix time), or LOOKUP_EARLIEST, or LOOKUP_LATEST (the last stable offset + 1, as
 * read_committed sees it), into ref.offset. A time after the last record gives the end.
 */
bool lookup_offsets(struct client *c, struct partition_ref *refs, size_t n, int64_t at_ms,
                    usec_t timeout, struct error *err) _must_;

/*
 * For every ref the offset that the group has, or LOOKUP_NONE, or LOOKUP_FAILED, into ref.offset.
 */
bool lookup_committed(struct client *c, struct partition_ref *refs, size_t n, usec_t timeout,
                      struct error *err) _must_;

/* The id of the cluster that the brokers belong to; "": they do not answer, or have none. */
void lookup_cluster_id(struct client *c, char *out, size_t size, usec_t timeout);

/* A topic and its id in base64; "" = not known. */
struct lookup_id {
    const char *topic; /* borrowed */
    char id[40];
};

/* Does the library know ids of topics? From 2.3 on. @thread any */
bool lookup_has_topic_ids(void);

/* The ids of the topics, which may repeat; one that cannot be had stays as it is. Without
 * lookup_has_topic_ids nothing is asked. */
void lookup_topic_ids(struct client *c, struct lookup_id *items, size_t n, usec_t timeout);

/* Does any broker answer? */
bool lookup_ping(struct client *c, usec_t timeout, struct error *err) _must_;

struct lookup_topic {
    char *name;
    int partition_count;
};

/* All topics the brokers tell this client about. Freed by lookup_topics_free. */
bool lookup_topics(struct client *c, struct lookup_topic **out, size_t *out_n, usec_t timeout,
                   struct error *err) _must_;

/*
 * Those that the routes of cfg may take, as far as they exist. Where only a few names are given it
 * asks for these alone: a cluster may have very many topics.
 */
bool lookup_subscribed(struct client *c, const struct config *cfg, struct lookup_topic **out,
                       size_t *out_n, usec_t timeout, struct error *err) _must_;
void lookup_topics_free(struct lookup_topic *topics, size_t n);

#endif
