/*
 * A question to the scout and its answer, in one heap block that goes to the scout and comes back.
 * It belongs to the thread that holds it.
 */
#ifndef SINK_SCOUT_SCOUT_MAIL_H
#define SINK_SCOUT_SCOUT_MAIL_H

#include "base/mailbox.h"
#include "kafka/group.h"
#include "kafka/lookup.h"
#include "pg/heartbeats.h"
#include "row/identity.h"
#include "sink/plan/creation_schemas.h"
#include "sink/plan/plan.h"
#include "sink/scout/replay.h"
#include "sink/scout/seeking.h"

enum scout_kind {
    /* refs: first offsets: without a ledger the group's, else as kafka.start says (by_start) or the
     * earliest */
    SCOUT_FIRST,
    /* entry is used for the first time: refs, all that it matches, get rows of the ledger as
     * kafka.start says, with reason */
    SCOUT_FIRST_USE,
    SCOUT_VERIFY, /* refs: is it the log that is known? evidence and ids of each */
    SCOUT_ENDS,   /* refs: ends (last stable offsets) */
    SCOUT_RANGE,  /* refs[0]: low (offset) and high */
    /* jobs: plan_job_run for each, with missing tables made where the route says so; error: of the
     * first table that cannot be used. schemas lacks one: the same question, with that, goes on */
    SCOUT_PLAN,
    SCOUT_RENEW,     /* jobs: the same, for tables that have changed; fault of each */
    SCOUT_TOPICS,    /* topics: all there are */
    SCOUT_MEMBER,    /* topics: subscribed; names: with which this static member joined last */
    SCOUT_JOINED,    /* names: written down for the next SCOUT_MEMBER */
    SCOUT_GROUP,     /* topics: subscribed; group, and refs: what its members have */
    SCOUT_REPLAY,    /* replay: its next chunk; error: a route that cannot be stored to (SETUP) */
    SCOUT_SEEKS,     /* seeking: carried out as far as possible */
    SCOUT_HEARTBEAT, /* beat: written down; seeks_wait */
    SCOUT_FAREWELL,  /* beat.owner: its row of heartbeats is deleted */
    /* config: the file, read again and checked; error: it is bad (SETUP) */
    SCOUT_FILE,
    /* letters: our schema is there, made or upgraded as cfg says; what may not be there yet */
    SCOUT_SCHEMA,
    SCOUT_HISTORY, /* cfg: may history be written as audit needs it? error: not (SETUP) */
    SCOUT_CONFIG, /* cfg: from now on; what was asked before this has been answered by the former */
    SCOUT_PING,   /* can the brokers be reached? */
    SCOUT_TARGETS,     /* topics: all there are, for the drain, as the next two are */
    SCOUT_TARGET_ENDS, /* refs: ends; generations: the drain's own numbers of its targets */
    SCOUT_LEDGER,      /* refs, owners: where the ledger, or the group, has partitions */
    SCOUT_REACHABLE,   /* only an answer: the brokers answer again */
    SCOUT_AWAY,        /* only an answer: they do not; error */
    SCOUT_REFUSED,     /* only an answer: the scout's connection to PostgreSQL is refused; error */
    SCOUT_ADMITTED,    /* only an answer: it is not any more */
    SCOUT_UNTRIMMED,   /* only an answer: history cannot be trimmed; error */
};

/* In refs.offset of an answer to FIRST_USE: the partition had its row before. */
#define SCOUT_HAS_ROW INT64_C(-4)

/* The log of one partition. refs.offset is where it is to be read next. */
struct scout_log {
    struct fingerprint fp;      /* of a stored record; or none */
    bool any_distance;          /* read it, however far back it is */
    uint64_t seq;               /* of the start that waits for the answer */
    enum log_evidence evidence; /* out */
    int32_t broker;             /* out: that has shown it; -1 none */
    struct log_ids ids;         /* out */
};

/* Question and answer in one block. Topics are copied. */
struct scout_mail {
    struct mail mail;
    enum scout_kind kind;
    struct partition_ref *refs;
    size_t ref_count;
    size_t room;
    uint64_t *generations;  /* of the partitions: is an answer still wanted? */
    bool *in_group;         /* FIRST: the group has this offset */
    bool *by_start;         /* FIRST: as kafka.start says */
    struct scout_log *logs; /* VERIFY */
    char *entry;            /* FIRST_USE: as written in the file; */
    char *reason;           /*   why its partitions begin where they do */
    char **owners;          /* LEDGER: of each ref, or NULL; NULL as a whole before the answer */
    int64_t high;
    struct plan_job **jobs;
    size_t job_count;
    struct lookup_topic *topics;
    size_t topic_count;
    char **names; /* MEMBER, JOINED: topics */
    size_t name_count;
    bool named; /* MEMBER: names were found; if not, and error is set, they cannot be kept */
    enum group_state group;
    char *topic;                     /* SCOUT_PLAN: whose plan it is; */
    struct creation_schemas schemas; /*   what missing tables are made from; */
    bool is_slow;             /*   there are some, so that it is answered when nothing else waits */
    struct replay replay;     /* SCOUT_REPLAY */
    struct seeking seeking;   /* SCOUT_SEEKS */
    struct heartbeat *beat;   /* SCOUT_HEARTBEAT, SCOUT_FAREWELL */
    bool seeks_wait;          /* SCOUT_HEARTBEAT: there is something for SCOUT_SEEKS */
    struct config *config;    /* FILE: owned */
    const struct config *cfg; /* CONFIG, SCHEMA, HISTORY; PLAN: whose jobs they are */
    struct table *letters;    /* SCHEMA: owned, the table of dead letters */
    int schema_steps;         /* SCHEMA: that have been applied */
    bool failed;              /* no answer this time: error */
    /* Also AWAY, REFUSED; PLAN: a table that cannot be used (SETUP). */
    struct error error;
};

/* A question with room for this many partitions, none of which is in it yet. */
struct scout_mail *scout_mail_new(enum scout_kind kind, size_t room) _must_;
/* One more partition. generation: for the caller, who finds it beside the answer. */
void scout_mail_add(struct scout_mail *m, const char *topic, int32_t number, uint64_t generation);
void scout_mail_free(struct scout_mail *m);

#endif
