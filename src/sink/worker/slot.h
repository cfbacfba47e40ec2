/*
 * A worker's view of one of its partitions: up to where records were taken, and under which claim.
 * Belongs to its worker's thread. Only slot_set changes the state.
 */
#ifndef SINK_WORKER_SLOT_H
#define SINK_WORKER_SLOT_H

#include "pg/ledger.h"
#include "row/batch/batch.h"
#include "sink/shared/mail.h"

enum slot_state {
    SLOT_CLAIMING,  /* to be claimed by the next claim */
    SLOT_UNKNOWN,   /* the ledger has no row; main is finding the first offset */
    SLOT_WAITING,   /* claimed; drops records until main has started a new fetch (mail.h) */
    SLOT_READING,   /* takes records */
    SLOT_STOPPED,   /* takes nothing: `standing` says why */
    SLOT_LOST,      /* owned by another; main decides */
    SLOT_RELEASING, /* no new records; forgotten when its last batch is done */
};

/* A refusal whose fault is not known yet. */
struct doubt {
    int64_t offset;
    usec_t since; /* monotonic; 0: there is none */
    unsigned attempts;
    char sqlstate[6];
    int64_t blamed; /* patience is over for what is doubtful up to here; -1: for nothing */
};

/* A record that, alone, has cost the session. */
struct poison {
    int64_t offset;
    unsigned times; /* 0: there is none */
    bool is_lost;   /* once more, as soon as the ledger says that it is not stored */
};

/* Its row of the ledger is locked by another transaction, see worker_locks.c. */
struct slot_lock {
    uint64_t since;     /* monotonic time at which the slot began to wait; 0: it does not */
    bool is_held;       /* it is not claimed before a look finds the row free */
    bool is_refused;    /* the session cannot be ended; the log says so */
    int32_t pid;        /* of the session that the log names */
    char xid[12];       /* the transaction that had the lock at the last look, */
    uint64_t xid_since; /*   and since when it has had it */
};

struct slot {
    struct partition *partition; /* main's handle */
    const char *topic;
    int32_t number;
    const struct topic_plan *plan;
    struct share *share;
    enum slot_state state;

    /* The claim. */
    bool reclaim;             /* claim again, if still ours, before anything else is written */
    bool relinked;            /* the connection was lost since the last claim */
    int64_t first_offset;     /* for a row the ledger lacks; -1 unknown */
    const char *first_reason; /* why there; static */
    int64_t inserted_at;      /* where the row began, if our claim inserted it; else -1 */
    int64_t owner_epoch;      /* of our claim */
    struct slot_lock lock;    /* why it is not claimed yet */

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

    bool denied;  /* share->denied: looked at for each record, */
    bool fetched; /*   and share->fetched */

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

    /* Why nothing of it is stored; NULL: it moves. Kept while another try is under way. */
    struct standing *standing;
    bool standing_told;      /* main knows */
    unsigned stand_changes;  /* each is to be written to the ledger; */
    unsigned stand_sent;     /*   up to here it is on its way, */
    unsigned stand_written;  /*   up to here it is there */
    struct error *unplanned; /* why it has no plan; NULL: it has had one */
    unsigned retries;        /* of a parked partition, in vain */
    /* PARKED until this one is known; SCHEMA_REF_NONE: for another reason. */
    struct schema_ref lacked;
    struct batch *canary;   /* PARKED: the first refused record, which is tried alone; or NULL */
    struct doubt doubt;     /* of the record at doubt.offset */
    int64_t blamed;         /* WAITING: the record that it waits for, once that is blamed; or -1 */
    int64_t cleared_offset; /* of a record that is sent alone, to see which limit it meets; or -1 */
    struct poison poison;   /* of the record at poison.offset */
    /* Not before this question about tables is answered (worker_plan.c): our encoders have rejected
     * the record, but perhaps by an old description of its table. 0: at once; UINT64_MAX: the
     * question is still to be asked. */
    uint64_t fault_after;
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
