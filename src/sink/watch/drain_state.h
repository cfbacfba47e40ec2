/*
 * What a drain owns, shared by its own files only:
 *     drain.c         targets, questions, answers, and when it is over
 *     drain_report.c  what is logged at its end
 * Main thread only.
 */
#ifndef SINK_WATCH_DRAIN_STATE_H
#define SINK_WATCH_DRAIN_STATE_H

#include "sink/watch/drain.h"

struct drain_topic {
    char *name; /* or the pattern */
    bool is_pattern;
    bool found;
    size_t first; /* of its targets, which are in a row */
    size_t count;
};

struct drain_target {
    size_t topic;
    int32_t partition;
    int64_t end;      /* at the start; -1 = not known yet */
    int64_t log_end;  /* as it was asked for last */
    int64_t asked_at; /* `at` when it was asked for */
    bool inside;      /* above its end, and the log has grown that far: it is the same log */
    int64_t first;    /* next_offset when it was ours first; -1 = it never was */
    int64_t at;       /* next_offset as last heard; -1 = never */
    enum crew_hold hold;
    char *why;   /* STOPPED; may be NULL */
    char *owner; /* by the ledger, NULL = none */
};

struct drain {
    const struct config *cfg;
    const struct plan *plan;
    struct drain_topic *topics; /* of the file first, then those that patterns have found */
    size_t topic_count;
    size_t topic_cap;
    struct drain_target *targets;
    size_t count;
    size_t cap;
    usec_t patience;
    bool begun;     /* Kafka has been asked, */
    bool reached;   /*   and has answered */
    bool asking;    /* the scout has a question */
    bool complete;  /* what has not been found by now does not exist */
    size_t answers; /* to SCOUT_TARGETS */
    usec_t topics_at;
    usec_t ends_at;
    usec_t ledger_at;
    bool joined;
    usec_t quiet_since; /* when something moved last */
    bool waits_logged;
};

enum fate {
    FATE_OPEN, /* to be found out, or read by this process */
    FATE_READ,
    FATE_STOPPED,
    FATE_ELSEWHERE, /* to be read by another member */
};

/* drain.c */
enum fate drain_fate(const struct drain_target *t);
bool drain_is_above(const struct drain_target *t); /* stands above its log, as far as is known */

#endif
