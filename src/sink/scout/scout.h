/*
 * The one thread that may block: it asks Kafka for offsets and PostgreSQL for tables, so that main
 * and the workers never wait for an answer that may not come. Questions are answered in order, each
 * with a deadline. One that fails comes back with its error after a pause, and main asks again for
 * what it still wants. As it asks regularly, it also reports whether the brokers can be reached.
 */
#ifndef SINK_SCOUT_SCOUT_H
#define SINK_SCOUT_SCOUT_H

#include "sink/scout/scout_mail.h"

struct scout;

/* Starts the thread. answers is main's mailbox. owner: this process, as history writes it; it
 * outlives the scout. @thread main */
struct scout *scout_start(const struct config *cfg, struct client *client, struct mailbox *answers,
                          const char *owner);

/* The scout takes ownership. @thread main */
void scout_ask(struct scout *s, struct scout_mail *m);

/* Asks the thread to end, and waits; false: it has not ended in time, and still runs. @thread main
 */
bool scout_stop(struct scout *s, usec_t timeout);

#endif
