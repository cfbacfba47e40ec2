/*
 * What the library reports to the main thread, one plain struct at a time. Its log lines arrive
 * here, too. Main thread only.
 */
#ifndef KAFKA_EVENTS_H
#define KAFKA_EVENTS_H

#include "kafka/client.h"

enum event_kind {
    EVENT_NONE,   /* nothing waits */
    EVENT_OTHER,  /* something of no interest was taken; ask again */
    EVENT_ASSIGN, /* refs were assigned: answer with client_accept, then claim */
    EVENT_REVOKE, /* refs are taken away: answer with client_give_up. lost: already gone */
    /* the answer to client_commit: refs, with offsets, are what the group has taken; text is set if
     * it has refused some or all */
    EVENT_COMMITTED,
    EVENT_AWAY,    /* text: a broker cannot be reached; the library tries again by itself */
    EVENT_TROUBLE, /* text: an unknown topic or the like; the library tries again by itself */
    EVENT_DENIED,  /* text: the brokers refuse this client (authentication, authorization) */
    EVENT_FATAL,   /* text: this consumer is dead */
    /* topic, partition: the broker that led it does not know it any more, at present; what is
     * fetched next may be of another log. text and level as of EVENT_LOG */
    EVENT_DOUBT,
    EVENT_LOG, /* text, level (syslog's number) */
};

struct event {
    enum event_kind kind;
    bool lost;
    int level;
    char text[512];
    char topic[250]; /* DOUBT */
    int32_t partition;
    struct partition_ref *refs; /* owned by the event, and so are their topics */
    size_t ref_count;
    void *list; /* the library's list behind refs; private */
};

/* Takes one event, if any waits. The caller ends it with event_done. @thread main */
void event_take(struct client *c, struct event *out);
void event_done(struct event *e);

/* Reads topic and partition from the text of such a log; for events.c and its test. @thread any */
bool event_read_doubt(const char *text, char *topic, size_t size, int32_t *out_partition) _must_;

#endif
