/*
 * What passes between the library and the brokers: how long they take to answer, bytes, failures,
 * connections, throttling. Counted where it happens, by interceptors of the library, in a place for
 * each broker. Not by the library's statistics: those are a JSON document that it writes about
 * every partition and every broker, 9 MB of it at 10,000 partitions (docs/decisions/030).
 *
 * The places are single atomic words, written by the library's threads and by main, read by any.
 * At most TRAFFIC_BROKERS brokers have one of their own; others share the last.
 */
#ifndef KAFKA_TRAFFIC_H
#define KAFKA_TRAFFIC_H

#include "base/clock.h"

#define TRAFFIC_BROKERS 32
#define TRAFFIC_BOUNDS 11

/* Whose place it is, besides numbers of brokers. */
#define TRAFFIC_BOOTSTRAP (-1) /* an address of kafka.brokers, before it has said its number */
#define TRAFFIC_REST (-2)      /* all for which no place was left */

/* How long a request takes says something of the broker only among its like: a fetch waits for
 * records, up to fetch.wait.max.ms. Those that wait for other members are not timed at all. */
enum traffic_request { TRAFFIC_FETCH, TRAFFIC_OTHER, TRAFFIC_REQUESTS };

enum traffic_failure {
    TRAFFIC_TIMEOUT,   /* no answer in time */
    TRAFFIC_TRANSPORT, /* the connection ended before the answer, or could not be made */
    TRAFFIC_FAILED,    /* otherwise */
    TRAFFIC_FAILURES,
};

/* What was counted of one broker. */
struct traffic_broker {
    int32_t id;
    uint64_t sent_bytes;
    uint64_t received_bytes;
    uint64_t failed[TRAFFIC_FAILURES]; /* requests */
    uint64_t connects;                 /* connections begun */
    uint64_t disconnects;              /* ... that have ended, or were not made */
    uint64_t throttled_ms;             /* for so long it wanted us to wait */
    struct {
        uint64_t counts[TRAFFIC_BOUNDS + 1]; /* of each bucket alone; the last has no bound */
        uint64_t sum_usec;
    } round_trip[TRAFFIC_REQUESTS];
};

struct traffic;

/* When a broker came up last (monotonic), by its address, "host:port"; 0: it has not. Few words
 * for all addresses: one that came up later may have taken the word, and then it is 0, too.
 * @thread any */
usec_t traffic_up_at(const struct traffic *t, const char *address);

/* The bounds of the buckets, in rising order, in microseconds; their number goes to *out_n. */
const uint64_t *traffic_bounds(size_t *out_n);

/* Copies what was counted; how many places are filled, TRAFFIC_BROKERS + 1 at most. @thread any */
size_t traffic_read(const struct traffic *t, struct traffic_broker out[TRAFFIC_BROKERS + 1]);

/* ---- for kafka/ and the test of this file ---- */

struct traffic *traffic_new(void) _must_;
struct traffic *traffic_free(struct traffic *t); /* returns NULL; NULL is fine */

/* What the interceptors say. key: Kafka's number of the request; state: the library's word. */
void traffic_sent(struct traffic *t, int32_t broker, size_t bytes);
void traffic_received(struct traffic *t, int32_t broker, int16_t key, size_t bytes, int64_t usec);
void traffic_failed(struct traffic *t, int32_t broker, enum traffic_failure why);
void traffic_state(struct traffic *t, int32_t broker, const char *state);
void traffic_up(struct traffic *t, const char *address, usec_t now);
void traffic_throttled(struct traffic *t, int32_t broker, int ms);

#endif
