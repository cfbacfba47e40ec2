/*
 * Knows when a member of a cooperative group may be rejoining, because no commit must be sent then.
 * The member rejoins silently, without a revocation, and the broker serves a connection in order: a
 * commit sent after the request to join is answered when the group has its next generation,
 *
 *     member                         coordinator
 *     JoinGroup            ----->    (waits for the other members)
 *     OffsetCommit, gen 7  ----->
 *                          <-----    joined: generation 8
 *                          <-----    illegal generation
 *
 * and before 2.10 the library takes that for the loss of all partitions (librdkafka #4908): another
 * member would read them again, from offsets that lack this very commit.
 *
 * So interceptors in the library's threads note which requests are sent and which answers arrive:
 * the only place where those threads run code of ours, which writes a few atomic words. A member
 * rejoins because of an answer to a heartbeat or to SyncGroup, at once, or because of its own
 * answer to a revocation, within a second; between such an answer and the request nothing is
 * committed. What remains is a commit that is written at the same moment as a request with another
 * cause.
 */
#ifndef KAFKA_REJOIN_H
#define KAFKA_REJOIN_H

#include "kafka/librdkafka.h"

struct rejoin;

/* Watches the consumer that will be made from conf. NULL where the library does not need that.
 * @thread main */
struct rejoin *rejoin_new(rd_kafka_conf_t *conf) _must_;
struct rejoin *rejoin_free(struct rejoin *j); /* after the consumer is destroyed; returns NULL */

/* A revocation is about to be answered, and then the member will rejoin. NULL is fine, also below.
 * @thread main */
void rejoin_expect(struct rejoin *j);

/* May a commit be sent now? @thread main */
bool rejoin_is_calm(const struct rejoin *j);

#endif
