/*
 * The one consumer of this process: making it from the configuration, subscribing, choosing what it
 * fetches, closing it. No callbacks: everything the library has to say comes as an event, through
 * kafka/events.h (main) or kafka/feed.h (workers).
 *
 * Every fetch starts at an explicit offset: the group's committed offsets and the reset policy
 * never decide (invariant I3). An assignment of the group is accepted at once, with nothing
 * fetched, and each partition is added when PostgreSQL has said where it starts. So a database that
 * is down never holds up the group.
 */
#ifndef KAFKA_CLIENT_H
#define KAFKA_CLIENT_H

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "kafka/traffic.h"

/* As many brokers are known at most that cannot be reached (client_missing). */
#define CLIENT_MISSING_MOST 16

struct client;

/* A partition and an offset, which means what the call says. The topic is borrowed. */
struct partition_ref {
    const char *topic;
    int32_t partition;
    int32_t leader_epoch; /* client_fetch: of the record before offset; -1 unknown */
    int64_t offset;
};

/*
 * The value of a property of the library's that kafka.properties sets, as long as cfg lives; NULL
 * where it does not. @thread any
 */
const char *client_property(const struct config *cfg, const char *name) _pure_;

/* The same as a number: `otherwise` where it is not set, or is none. @thread any */
uint64_t client_property_number(const struct config *cfg, const char *name,
                                uint64_t otherwise) _pure_;

/* How much memory fetching may take, for the bound that is printed at start. */
struct client_memory {
    uint64_t queue_bytes; /* values waiting in one worker's queue, with the library's overhead */
    uint64_t fetch_bytes; /* one response of one broker */
};
struct client_memory client_memory(const struct config *cfg, uint32_t workers);

/*
 * Checks brokers and properties with the library, and the lengths of topics' names, without
 * connecting. ERROR_SETUP with the position in the file. @thread main
 */
bool client_check(const struct config *cfg, struct error *err) _must_;

/* Makes the consumer; nothing is fetched. NULL: ERROR_SETUP. @thread main */
struct client *client_new(const struct config *cfg, uint32_t workers, struct error *err) _must_;

/* Do both have a user or a password for SASL, and not the same? @thread any */
bool client_has_other_login(const struct config *before, const struct config *after) _pure_;

/* Gives it the user and the password of cfg: they are used when a connection is made next, those
 * that are there stay. @thread main */
void client_set_login(struct client *c, const struct config *cfg);

/* Joins the group with the topics and patterns of the routes. ERROR_SETUP. @thread main */
bool client_subscribe(struct client *c, const struct config *cfg, struct error *err) _must_;

/* group.instance.id, valid as long as the configuration; NULL: this is no static member.
 * @thread any */
const char *client_instance_id(const struct client *c);

/*
 * Leaves the group, also as a static member, whose partitions are then given to others instead of
 * being kept for it. If anything is assigned, EVENT_REVOKE comes first and must be answered. No
 * event says when the member has left: ask client_is_member. client_subscribe must wait for that,
 * or the library forgets to leave. @thread main
 */
void client_unsubscribe(struct client *c);

/* Has the group's coordinator given us a member id? Waits for the library's own thread, not for a
 * broker. @thread any */
bool client_is_member(const struct client *c);

/* The descriptor that is readable when events wait (kafka/events.h). @thread main */
int client_fd(const struct client *c);

/* Makes it readable: whoever leaves events for later comes back to them. @thread main */
void client_wake(struct client *c);

/* True once the group uses the cooperative protocol. @thread main */
bool client_is_cooperative(const struct client *c);

/* Answers an assignment: it is accepted, and nothing is fetched yet. @thread main */
void client_accept(struct client *c);

/*
 * Starts to fetch partitions that are not being fetched, each from its offset; they must have been
 * routed (feed_route). With the eager protocol refs must be all that is to be fetched. ERROR_AGAIN;
 * ERROR_KAFKA when the consumer is dead. @thread main
 */
bool client_fetch(struct client *c, const struct partition_ref *refs, size_t n,
                  struct error *err) _must_;

/*
 * Stops fetching partitions, which stay ours in the group. When this returns the library has
 * stopped, no record fetched before can be taken from a feed any more, and the partitions may be
 * routed and fetched again. With the eager protocol refs must be all that is being fetched. @thread
 * main
 */
void client_unfetch(struct client *c, const struct partition_ref *refs, size_t n);

/*
 * Answers a revocation. refs are those of the revoked partitions that are being fetched; the
 * cooperative protocol needs them, the eager one gives up everything. @thread main
 */
void client_give_up(struct client *c, const struct partition_ref *refs, size_t n);

/* May offsets be committed that only lag tools read? Not where that could cost partitions.
 * @thread main */
bool client_may_inform(const struct client *c);

/* Commits next offsets to the group; EVENT_COMMITTED answers. False: not now, because one is not
 * yet answered, or a member may be joining again. @thread main */
bool client_commit(struct client *c, const struct partition_ref *refs, size_t n) _must_;

/*
 * For a static member that is not expected back, before client_close: leaves the group as
 * client_unsubscribe does and answers the revocation itself; waits until that is done, or until the
 * deadline (monotonic). Without it a static member stays one until its session times out. A member
 * that is not static leaves by client_close. @thread main
 */
void client_leave(struct client *c, usec_t deadline);

/*
 * Leaves the group, unless as a static member, and frees everything, at the latest at the deadline
 * (monotonic). False: the library did not end in time, its memory stays, and the process should end
 * with _exit. All feeds and routes must be gone. @thread main
 */
bool client_close(struct client *c, usec_t deadline);

/*
 * The id of the cluster, as a broker has reported it last; false: none has yet, and out is "".
 * Never waits. @thread main
 */
bool client_cluster_id(const struct client *c, char *out, size_t size) _must_;

/*
 * Why the brokers cannot be reached, as the events that were taken say (kafka/events.h): fills *err
 * (ERROR_LINK) with "brokers cannot be reached (kafka1:9092: Connection refused)" and a hint; in
 * the brackets stands `otherwise` if no reason is known. @thread main, or a command's only one
 */
void client_why_away(const struct client *c, const char *otherwise, struct error *err);

/* Grows whenever client_why_away may have something else to say. @thread as client_why_away */
uint64_t client_why_changes(const struct client *c);

/* Does client_why_away say what is wrong, rather than only that something is? @thread as
 * client_why_away */
bool client_why_is_known(const struct client *c) _must_;

/*
 * While some brokers answer: how many others do not, and have not for so long that they are not
 * only restarting. If any, fills *err (ERROR_LINK), as client_why_away: "some brokers cannot be
 * reached (...)". `names` gets as many numbers: each stands for a broker, and for whether the text
 * names it or only counts it, so the same number means that the same was said of it.
 * @thread as client_why_away
 */
size_t client_missing(struct client *c, uint64_t names[CLIENT_MISSING_MOST], struct error *err);

/* The brokers have answered: the reasons are forgotten. @thread as client_why_away */
void client_reached(struct client *c);

/* What has passed between it and the brokers, counted since it was made; as long as c. @thread any
 */
const struct traffic *client_traffic(const struct client *c);

/* The version of the library that runs: "2.0.2". */
const char *client_library_version(void);

#endif
