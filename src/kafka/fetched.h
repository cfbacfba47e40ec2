/*
 * What a queue of the library's gives out, in this program's words: a record as a struct message,
 * and what some errors mean. For the workers' queues and for the probe alike, so that a fingerprint
 * is always of the same bytes. Any thread.
 */
#ifndef KAFKA_FETCHED_H
#define KAFKA_FETCHED_H

#include "row/message.h"

#include <librdkafka/rdkafka.h>

/* A view of bytes of the library's; NULL is absent, whatever n. */
static inline struct str fetched_bytes(const void *p, size_t n)
{
    return p == NULL ? (struct str){.p = NULL, .n = 0} : (struct str){.p = p, .n = n};
}

/* Fills all of m but its headers, of which there are none then. Borrows from the record. */
void fetched_message(const rd_kafka_message_t *rkm, struct message *m);

/* Do the brokers say that there is no such topic or partition, now? */
bool fetched_is_unknown(rd_kafka_resp_err_t code) _pure_;

#endif
