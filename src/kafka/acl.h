/*
 * What the brokers allow this client, and the commands that would allow more. Blocking, each with a
 * deadline, except acl_hint. @thread main, of a command
 */
#ifndef KAFKA_ACL_H
#define KAFKA_ACL_H

#include "kafka/client.h"

enum right { RIGHT_TOPIC, RIGHT_GROUP };

/* Sets the hint: the command that gives the right to read that topic, or as that group. Returns
 * false, as error_hint does. @thread any */
bool acl_hint(const struct config *cfg, enum right right, const char *name, struct error *err);

/*
 * May the group be seen, and, with librdkafka 2.3 and later, joined? ERROR_SETUP with a hint: the
 * brokers refuse it. ERROR_LINK: its coordinator has not answered in time, and why, as far as is
 * known: a broker may be there under the address of kafka.brokers, and not under its own.
 */
bool acl_group(struct client *c, const struct config *cfg, usec_t timeout,
               struct error *err) _must_;

/*
 * May these topics be read? Asks for the end of the first partition of each, without a group and
 * without a record. The timeout begins again with each answer. out_denied[i]: topics[i] is refused,
 * which is set whatever is returned. ERROR_SETUP: they could not be asked for at all. ERROR_LINK:
 * nobody has answered for one of them in time, and why, as for the group.
 */
bool acl_topics(struct client *c, const struct config *cfg, const char *const *topics, size_t n,
                bool *out_denied, usec_t timeout, struct error *err) _must_;

#endif
