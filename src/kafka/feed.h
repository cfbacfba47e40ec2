/*
 * Records on their way to one worker: one queue of the library, into which the queues of the
 * worker's partitions are forwarded. The forwarding is the routing table; there is no queue of our
 * own, and not taking is the back-pressure: the library stops fetching at its limits.
 *
 * The library demands this order: starting to fetch forwards a queue elsewhere, unless we have
 * forwarded it before (rd_kafka_toppar_op_fetch_start), and stopping, which takes the library some
 * time, removes our forwarding (rd_kafka_toppar_fetch_stop). So, on the main thread:
 *     client_unfetch(p), if it was fetched: returns when the stop is done
 *     feed_route(p)
 *     client_fetch(p)
 * Stale records: unfetching a partition or giving it up raises its version, and records of an older
 * version are dropped when they are taken. Any that remain are stopped by the worker's own strict
 * filter on offsets.
 */
#ifndef KAFKA_FEED_H
#define KAFKA_FEED_H

#include "kafka/client.h"
#include "row/message.h"

struct feed;
struct feed_route; /* one partition's forwarding */

enum feed_kind {
    FEED_NONE,  /* empty: poll feed_fd */
    FEED_OTHER, /* something of no interest was taken; ask again */
    FEED_MESSAGE,
    FEED_END,   /* the partition's end was reached: everything before `offset` has been taken */
    FEED_RESET, /* `offset` is outside the log: fetching of this partition has ended */
    /* records cannot be read (CRC, compression): the library would fetch them for ever */
    FEED_CORRUPT,
    FEED_DENIED,  /* text: the topic may not be read; the library tries again */
    FEED_UNKNOWN, /* text: the brokers do not know the topic at present; the library tries again */
    FEED_TROUBLE, /* text: an error of this partition; the library tries again */
};

struct feed_item {
    enum feed_kind kind;
    struct message message; /* borrowed until the second feed_take from now, or feed_release */
    const void *topic_id; /* equal pointers = equal topics: saves comparing names for each record */
    int32_t partition;
    int64_t offset;
    int32_t broker;  /* MESSAGE: where it came from; -1 where the library itself watches epochs */
    bool truncated;  /* RESET: the log was truncated below `offset`, */
    int64_t log_end; /*   and now ends here; -1: the library does not say where */
    char topic[250]; /* not for FEED_MESSAGE, whose message.topic has it */
    char text[256];
};

struct feed *feed_new(struct client *c, bool want_headers) _must_; /* @thread main */
void feed_free(struct feed *f); /* @thread main, worker has ended */

/* Becomes readable when the queue is no longer empty. Read by feed_take only. @thread any */
int feed_fd(const struct feed *f);

/* How many records were fetched and wait to be taken, about. @thread any */
size_t feed_length(const struct feed *f);

/* Forwards a partition's queue into the feed, see above; and forgets that. @thread main */
struct feed_route *feed_route(struct feed *f, const char *topic, int32_t partition) _must_;
struct feed_route *feed_unroute(struct feed_route *r); /* returns NULL */

/*
 * Takes the next item and releases the last but one. After FEED_NONE feed_fd wakes. A caller that
 * stops before FEED_NONE must remember that more may be waiting: no new wake-up will come for it.
 * @thread worker
 */
void feed_take(struct feed *f, struct feed_item *out);

/* Releases the last two items. @thread worker */
void feed_release(struct feed *f);

/* As feed_new was asked, from the next item on. @thread worker */
void feed_want_headers(struct feed *f, bool wanted);

/*
 * Fills the headers of the message taken last, if feed_new was not asked for them.
 * @thread worker
 */
void feed_headers(struct feed *f, struct message *m);

/* What the text of an offset reset says about a truncated log; log_end -1: nothing. For feed.c and
 * its test. @thread any */
void feed_read_reset(const char *text, bool *out_truncated, int64_t *out_log_end);

#endif
