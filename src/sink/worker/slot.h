/*
 * A worker's view of one of its partitions: up to where records were taken, and under which claim.
 * Belongs to its worker's thread. Only slot_set changes the state.
 */
#ifndef SINK_WORKER_SLOT_H
#define SINK_WORKER_SLOT_H

#include "pg/ledger.h"
#include "sink/shared/mail.h"

enum slot_state {
    SLOT_CLAIMING,  /* to be claimed by the next claim */
    SLOT_UNKNOWN,   /* the ledger has no row; main is finding the first offset */
    SLOT_WAITING,   /* claimed; drops records until main has started a new fetch (mail.h) */
    SLOT_READING,   /* takes records */
    SLOT_STOPPED,   /* a record cannot be stored; an operator must act */
    SLOT_LOST,      /* owned by another; main decides */
    SLOT_RELEASING, /* no new records; forgotten when its last batch is done */
};

struct slot {
    struct partition *partition; /* main's handle */
    const char *topic;
    int32_t number;
    const struct topic_plan *plan;
    const struct topic_plan *next_plan; /* as soon as nothing is on its way; NULL: none */
    struct share *share;
    enum slot_state state;

    /* The claim. */
    bool reclaim;             /* claim again, if still ours, before anything else is written */
    bool relinked;            /* the connection was lost since the last claim */
    int64_t first_offset;     /* for a row the ledger lacks; -1 unknown */
    const char *first_reason; /* why there; static */
    int64_t inserted_at;      /* where the row began, if our claim inserted it; else -1 */
    int64_t owner_epoch;      /* of our claim */

    /* Offsets. */
    int64_t stored;        /* the ledger's next_offset as we know it */
    int64_t expect;        /* first offset to accept; where the next span starts */
    uint32_t span;         /* index of its span in the open batch; valid while */
    uint64_t span_open_id; /* this equals the worker's open_id */
    int64_t end_published; /* the end that was last written to the ledger */
    uint64_t published_at; /* monotonic time of that */
    uint64_t seq;          /* of the last REPORT_START */
    struct gap gap;        /* to >= 0: an ORDER_GAP waits for the batches to drain */
    /* The group's committed offset is ahead of `due`; nothing is sent until it is set back. */
    bool taken_back;

    /* The log. known.fp: of the ledger at first, then of the last record taken. */
    struct known_log known;
    bool note_due;                 /* known.ids are to be written down */
    struct fingerprint anchors[2]; /* known.fp of a while ago: [1], and of a while before: [0] */
    uint64_t anchored_at;          /* monotonic time of [1] */
    /* Taken after the record that it is being verified by: to be verified as well. Or none. */
    struct fingerprint tail;
    int32_t doubtful_broker; /* of the record for which it is being verified; -1 none */
    int32_t broker;          /* of the last record; -1 none yet, or not known */

    struct report *fault; /* why it has stopped; not reported yet */
};

/* The only way to change the state. Asserts that the change is one of those drawn in slot.c. */
void slot_set(struct slot *s, enum slot_state state);
const char *slot_state_name(enum slot_state state);

/* Does the slot hold a row of the ledger that must be claimed again after a lost connection? */
bool slot_owns(const struct slot *s);

/*
 * The strict filter (invariant I4): is this record the next one to store? Offsets may jump upward
 * (compaction, transaction markers), never back.
 */
static inline bool slot_accepts(const struct slot *s, int64_t offset)
{
    return s->state == SLOT_READING && offset >= s->expect;
}

#endif
