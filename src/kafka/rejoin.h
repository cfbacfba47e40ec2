/*
 * Knows when a member of a cooperative group may be joining again, for a commit must not be sent
 * then. It joins in silence, without a revocation, and the broker serves a connection in order: a
 * commit behind the request to join is answered when the group has its next generation, and
 *
 *     member                         coordinator
 *     JoinGroup            ----->    (waits for the other members)
 *     OffsetCommit, gen 7  ----->
 *                          <-----    joined: generation 8
 *                          <-----    illegal generation
 *
 * before 2.10 the library takes that for the loss of all partitions (librdkafka #4908): they would
 * be read again by another member, from offsets that lack this very commit.
 *
 * So the library's threads tell what requests they send and what answers they get: the one place
 * where they run code of ours, which writes two words. What makes a member join again is an answer
 * to a heartbeat or to SyncGroup, at once, or its own answer to a revocation, within a second;
 * between such an answer and the request nothing is committed. What is left is a commit that
 * crosses with a request of another cause, in the moment in which that is written.
 */
#ifndef KAFKA_REJOIN_H
#define KAFKA_REJOIN_H

#include "kafka/librdkafka.h"

struct rejoin;

/* Listens to the consumer that will be made of conf. NULL where the library needs no such care.
 * @thread main */
struct rejoin *rejoin_new(rd_kafka_conf_t *conf) _must_;
struct rejoin *rejoin_free(struct rejoin *j); /* the consumer is gone; returns NULL */

/* A revocation is about to be answered, and the member will join again. @thread main */
void rejoin_expect(struct rejoin *j);

/* May a commit be sent now? @thread main */
bool rejoin_is_calm(const struct rejoin *j);

#endif
