/*
 * One partition of this sink, as main sees it: what state it is in, and what is under way for it.
 * The states are drawn in partition.c. Main thread only.
 */
#ifndef SINK_CREW_PARTITION_H
#define SINK_CREW_PARTITION_H

#include "base/clock.h"
#include "base/log.h"
#include "kafka/feed.h"
#include "sink/plan/plan.h"
#include "sink/shared/mail.h"

struct crew;

enum partition_state {
    PARTITION_PLANNING, /* its topic's tables are being looked up */
    PARTITION_CLAIMING, /* its worker claims it; or its first offset is being asked for */
    PARTITION_FETCHING,
    PARTITION_GAPPED, /* out of range: being asked for, or the ledger is being moved */
    PARTITION_STOPPED,
    PARTITION_LOST,
    PARTITION_RELEASING,
};

/* How far a start has come (sink/shared/mail.h). */
enum start_state {
    START_NONE,
    START_UNVERIFIED, /* REPORT_START has come: start_offset, start_seq, known */
    START_WANTED,     /* it is the same log */
    START_ASKED,      /* the older fetch has stopped, ORDER_RESUME is posted */
    START_ANSWERED,   /* REPORT_RESUMED has come: fetch it */
};

/* Why the log does not hold the offset. */
enum reset_cause {
    RESET_RANGE,         /* the library says that it is outside of the log */
    RESET_TRUNCATED,     /* ... that the log was truncated, at log_end */
    RESET_CREATED_AGAIN, /* the topic is another one */
};

struct partition {
    char *topic;
    int32_t number;
    enum partition_state state;
    uint64_t generation;   /* of this object: tells answers about an earlier one of this name */
    struct worker *worker; /* NULL while planning, then always the same (I5) */
    size_t worker_index;
    const struct topic_plan *plan;
    struct feed_route *route;
    struct share share;
    bool fetched; /* in the library's assignment */
    enum start_state start;
    unsigned plan_tries;      /* of its topic's tables, in vain */
    bool plan_resumed;        /* the next time in vain is too early: once more, at once */
    bool held_back;           /* PLANNING: its entry of topics is not written down yet */
    bool first_due;           /* its first offset is to be asked for, */
    bool by_start;            /*   as kafka.start says */
    const char *first_reason; /* why it begins there; static */
    bool verify_due;          /* UNVERIFIED: the scout is to be asked about its log */
    bool range_due;           /* GAPPED: the range of its log is to be asked for */
    int64_t start_offset;
    uint64_t start_seq;
    struct known_log known;       /* of the log, as of the last REPORT_START */
    int32_t broker;               /* that has shown the log to be the same; -1 none */
    int64_t reset_offset;         /* GAPPED: what was out of range, */
    enum reset_cause reset_cause; /*   and why; */
    int64_t log_end;              /*   TRUNCATED: where the log now ends, -1 unknown */
    usec_t retry_at;              /* USEC_NEVER = no */
    int64_t committed;            /* what the group has, as far as we know; -1 unknown */
    bool committing;              /* a commit is on its way that changes it */
    char *why;                    /* STOPPED: the fault, without its hint; NULL before the first */
    enum standing_state standing; /* why it does not move, until it does; NONE: it moves */
    bool lacks_schema;            /* STOPPED: only until the registry answers */
    char stands_for[6];           /* the SQLSTATE of that; "": it has none */
    usec_t stands_since;          /* monotonic */
    usec_t repeat_at;             /* when the log says so again */
    usec_t lost_at;               /* when another claimed it last, 0 = never */
    bool awaited;                 /* RELEASING: a revocation waits for it; */
    bool moves;                   /*   or it begins again here, when its worker has let go */
    bool released; /* ... and its worker has let go: only its offset is still to be committed */
};

static inline int64_t partition_stored(const struct partition *p)
{
    return atomic_load_explicit(&p->share.stored, memory_order_acquire);
}

static inline int64_t partition_end(const struct partition *p)
{
    return atomic_load_explicit(&p->share.end, memory_order_relaxed);
}

/* For lines of the log about it: at offset, or -1 where they are about no record. */
static inline struct log_where partition_at(const struct partition *p, int64_t offset)
{
    return (struct log_where){.topic = p->topic, .partition = p->number, .offset = offset};
}

/* The only function that changes the state. What is under way for the partition is over by that. */
void partition_set(struct partition *p, enum partition_state state);
/* ... to STOPPED. why is copied: the fault, without its hint. */
void partition_stop(struct partition *p, const char *why);

/*
 * Is this the first that is heard of it, or does it stand for another reason than before? Then it
 * is logged. Not where a reason has no SQLSTATE: the same fault may be found by the server and by
 * us.
 */
bool partition_stands(struct partition *p, enum standing_state state, const char *sqlstate);

/* It does not stand any more, and goes on at `offset`: logged if it did. blamed: the offset of the
 * record that was blamed when patience was over; -1: none was. */
void partition_moves(struct partition *p, int64_t offset, int64_t blamed);

/* A new one of the crew, PLANNING. */
struct partition *partition_add(struct crew *c, const struct partition_ref *ref);
/* Takes it out of the crew, and frees it. It is not in the index any more. */
void partition_forget(struct crew *c, struct partition *p);

/* An order that concerns it, for worker_post. */
struct order *partition_order(struct partition *p, enum order_kind kind);

/*
 * Has its worker, the least loaded one if it has none yet, claim it. first_offset: where it begins
 * if the ledger has no row of it, -1 unknown. Without a ledger an unknown one is asked for first.
 */
void partition_adopt(struct crew *c, struct partition *p, int64_t first_offset);

/* Has it claimed although its tables cannot be used, so that the ledger can say so. */
void partition_adopt_unplanned(struct crew *c, struct partition *p, const struct error *why);

#endif
