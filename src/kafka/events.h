/*
 * What the library reports to the main thread, one plain struct at a time. Its log lines arrive
 * here, too. Main thread only.
 */
#ifndef KAFKA_EVENTS_H
#define KAFKA_EVENTS_H

#include "kafka/client.h"

/* What a person does when there is no token. */
#define TOKEN_HINT                                                                                 \
    "Run kafka.oauth_token_command by hand, as the daemon's user and with its environment; it "    \
    "must print one token, or a JSON document with access_token."

enum event_kind {
    EVENT_NONE,   /* nothing waits */
    EVENT_OTHER,  /* something of no interest was taken; ask again */
    EVENT_ASSIGN, /* refs were assigned: answer with client_accept, then claim */
    EVENT_REVOKE, /* refs are taken away: answer with client_give_up. lost: already gone */
    /* the answer to client_commit: refs, with offsets, are what the group has taken; text is set if
     * it has refused some or all */
    EVENT_COMMITTED,
    EVENT_AWAY,     /* text: a broker cannot be reached; the library tries again by itself */
    EVENT_REFUSED,  /* text, hint: the same, and only a person can end that; not said lately */
    EVENT_TROUBLE,  /* text: an unknown topic or the like; the library tries again by itself */
    EVENT_DENIED,   /* text: the brokers refuse this client (authentication, authorization) */
    EVENT_NO_TOPIC, /* text: a topic that is subscribed to does not exist */
    EVENT_NO_TOKEN, /* text: why there is no token for SASL OAUTHBEARER; not said lately */
    EVENT_FATAL,    /* text: this consumer is dead */
    /* topic, partition: the broker that led it does not know it any more, at present; what is
     * fetched next may be of another log. text and level as of EVENT_LOG */
    EVENT_DOUBT,
    EVENT_LOG, /* text, level (syslog's number) */
};

/* What a denial is about, where that is known. */
enum denial { DENIAL_OTHER, DENIAL_GROUP, DENIAL_TOPIC };

struct event {
    enum event_kind kind;
    bool lost;
    bool fenced;        /* FATAL: another member has been given its group.instance.id */
    enum denial denial; /* DENIED */
    int level;
    char text[512];
    char hint[384];  /* REFUSED */
    char topic[250]; /* DOUBT; DENIED: of DENIAL_TOPIC, "" if it is not named */
    int32_t partition;
    struct partition_ref *refs; /* owned by the event, and so are their topics */
    size_t ref_count;
    void *list; /* the library's list behind refs; private */
};

/* Takes one event, if any waits; a log line only if nothing else does. The caller ends it with
 * event_done. @thread main */
void event_take(struct client *c, struct event *out);
void event_done(struct event *e);

/* Reads the topic from the text of a denial; "" if it names none. For events.c and its test.
 * @thread any */
void event_read_topic(const char *text, char *topic, size_t size);

/* Reads topic and partition from the text of such a log; for events.c and its test. @thread any */
bool event_read_doubt(const char *text, char *topic, size_t size, int32_t *out_partition) _must_;

#endif
