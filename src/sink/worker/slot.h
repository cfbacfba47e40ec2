/*
 * A worker's view of one of its partitions: up to where records were taken, and under which claim.
 * Belongs to its worker's thread. One function changes the state.
 */
#ifndef SINK_WORKER_SLOT_H
#define SINK_WORKER_SLOT_H

#include "pg/ledger.h"
#include "sink/shared/mail.h"

enum slot_state {
    SLOT_CLAIMING,  /* to be claimed by the next claim */
    SLOT_UNKNOWN,   /* the ledger has no line; main is finding the first offset */
    SLOT_WAITING,   /* claimed; drops records until main has started fetching anew (mail.h) */
    SLOT_READING,   /* takes records */
    SLOT_STOPPED,   /* a record cannot be stored; an operator must act */
    SLOT_LOST,      /* owned by another; main decides */
    SLOT_RELEASING, /* no new records; forgotten once its last batch is done */
};

struct slot {
    struct partition *partition; /* main's handle */
    const char *topic;
    int32_t number;
    const struct topic_plan *plan;
    const struct topic_plan *next_plan; /* as soon as nothing is on its way; NULL: none */
    struct share *share;
    enum slot_state state;
    bool reclaim;             /* claim again, if still ours, before anything else is written */
    int64_t first_offset;     /* for a row the ledger lacks; -1 unknown */
    const char *first_reason; /* why there; static */
    int64_t inserted_at; /* where the row began that our claim inserted; -1 = it was there before */
    bool relinked;       /* the connection was lost since the last claim */
    int64_t owner_epoch; /* of our claim */
    int64_t stored;      /* the ledger's next_offset as we know it */
    int64_t expect;      /* first offset to accept; where the next span starts */
    uint32_t span;       /* index of its span in the open batch, */
    uint64_t span_open_id; /*   valid while this equals the worker's open_id */
    int64_t end_published; /* the end that the ledger has last been told */
    uint64_t published_at; /* monotonic time of that */
    uint64_t seq;          /* of the last REPORT_START */
    struct gap gap;        /* to >= 0: an ORDER_GAP waits for the batches to drain */
    struct known_log
        known;     /* of the log; fp: of the ledger at first, then of the last record taken */
    bool note_due; /* known.ids are to be written down */
    struct fingerprint anchors[2]; /* known.fp of a while ago, and of a while before that: [0] */
    uint64_t anchored_at;          /* monotonic time of [1] */
    int32_t doubtful_broker;       /* of the record for which it is being verified; -1 none */
    int32_t broker;                /* that the last record came from; -1 none yet, or not told */
    bool taken_back; /* the group has more than is due: nothing is sent before that is mended */
    struct report *fault; /* why it has stopped; not told yet */
};

/* The one door. Asserts that the change is one of those drawn in slot.c. */
void slot_set(struct slot *s, enum slot_state state);
const char *slot_state_name(enum slot_state state);

/* Does the slot hold a line of the ledger that must be claimed again after a lost connection? */
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
