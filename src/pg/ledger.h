/*
 * The table <schema>.offsets: who owns a partition, and the first offset not yet stored.
 *
 * Claim: one statement for many partitions, in key order: owner_epoch + 1, owner = me. It is an
 * UPDATE, so it waits for an open transaction of the partition's former owner, and excludes every
 * later one as soon as it is committed (invariant I2). A partition without a row is reported as
 * unknown, or its row is inserted if its first offset is given. The advance is in pg/txn.h, because
 * it is the first statement of the transaction that carries the rows (invariant I1).
 *
 * Operations run on a conn that is ready, one at a time: start, then step until it is done or
 * failed. After a failure of class ERROR_LINK the connection is closed. Worker thread.
 */
#ifndef PG_LEDGER_H
#define PG_LEDGER_H

#include "base/clock.h"
#include "base/error.h"
#include "pg/conn.h"
#include "row/identity.h"

#define LEDGER_UNKNOWN INT64_C(-1)

/* Why a partition does not move: the column `standing` (sql/004_standing.sql). */
enum standing_state {
    STANDING_NONE,
    STANDING_PARKED,     /* its target refuses; tried again by itself */
    STANDING_WAITING,    /* the record or its target: not known yet */
    STANDING_POISON,     /* a record that ends its session, or never returns */
    STANDING_STOPPED,    /* on_error, on_gap, or records that cannot be read */
    STANDING_OVER_LIMIT, /* max_dead_letters */
    STANDING_PAUSED,     /* by an operator */
    STANDING_STATES,
};

struct standing {
    enum standing_state state;
    int64_t offset;    /* of the record; in the ledger it is next_offset */
    struct error why;  /* text, hint, sqlstate */
    usec_t retry_at;   /* monotonic; USEC_NEVER: not by itself */
    bool is_corrupt;   /* STOPPED: the records cannot be read */
    bool has_excess;   /* PAUSED: it was over the limit before, in this process */
    bool lacks_schema; /* PARKED: its schema is on its way, in this process */
};

/* "parked", as the ledger and people call it; "" for NONE. of: NONE for an unknown word. */
const char *standing_name(enum standing_state state);
enum standing_state standing_of(const char *name) _pure_;

#define LEDGER_PATIENCE (250 * USEC_PER_MSEC)

/* A row of the ledger as one operation asks for or reports it. */
struct ledger_entry {
    const char *topic; /* borrowed from the caller, who keeps it until the operation ends */
    int32_t partition;
    /* in: where to insert a row if there is none; LEDGER_UNKNOWN = only report     that */
    int64_t first_offset;
    const char *first_reason; /* in, borrowed: why it begins at first_offset */
    /* out: LEDGER_UNKNOWN = there is no row, nothing was claimed; in, for ledger_stand_start */
    int64_t next_offset;
    int64_t owner_epoch;  /* out */
    int32_t leader_epoch; /* out: -1 unknown */
    bool mine;     /* out: claimed; false = there is no row, or (only_mine) another owns it */
    bool inserted; /* out: the row was inserted now, with first_offset */
    bool begun;    /* out: it has had a row before; if there is none, it was deleted by hand */
    struct fingerprint fp; /* out: offset FINGERPRINT_NONE, FINGERPRINT_BY_HAND, or of a record */
    struct log_ids ids;    /* out: of the log that next_offset belongs to; in, for a note */
    /* In, for ledger_stand_start, borrowed: what to write, NULL or NONE to end it. Out, of a claim:
     * what stands and is not ended by it, on the heap and the caller's; NULL: nothing. */
    struct standing *standing;
    const char *end_xid; /* in, for a look, borrowed: end the session of this transaction */
    void *tag;           /* the caller's */
};

/* A row that another transaction has locked, as a look has found it. */
struct ledger_lock {
    size_t entry;      /* its place among the entries of the look */
    bool mine;         /* as far as is committed, this process still owns it */
    int32_t pid;       /* of the session that holds it; 0: of none that can be seen */
    char xid[12];      /* the transaction, for end_xid */
    char holder[320];  /* who that is, in words */
    char refused[128]; /* why its session could not be ended; "" if it was, or was not to be */
};

enum ledger_step { LEDGER_WAIT, LEDGER_DONE, LEDGER_FAILED };

struct ledger;

/* Texts are copied. owner is unique for each start of a process: "host:pid:random". */
struct ledger *ledger_new(const char *schema, const char *sink, const char *owner) _must_;
struct ledger *ledger_free(struct ledger *l); /* returns NULL */

/*
 * Claims the entries. `only_mine` claims again only what this process still owns (owner = me, as
 * the ledger says under the row's lock). It is used after a lost connection, a fence or an
 * operator's change, so that a process that has been replaced meanwhile never takes a partition
 * back from its new owner: a row of another owner is left alone and reported with mine = false.
 * Without it (the group has assigned the partition to us) every row is claimed, and what a former
 * owner has parked or waited for is ended: the new one finds out for itself.
 *
 * This, a gap, a note and a stand wait at most LEDGER_PATIENCE for a row that another transaction
 * has locked, and as long for each row. That is enough for a former owner that is just storing its
 * last batch. Then they fail with ERROR_AGAIN and SQLSTATE_LOCK_NOT_AVAILABLE, and nothing is done:
 * a look says which rows it was.
 */
bool ledger_claim_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                        bool only_mine, struct error *err) _must_;

/*
 * Which rows of the entries are locked by another transaction just now, and by whom; waits for
 * none. Where an entry names the transaction (end_xid) and it still has the lock, its session is
 * ended (pg_terminate_backend), if our role may do so. On LEDGER_DONE ledger_locks has those rows,
 * in the order of the entries, and ledger_ended says how many sessions were ended. ERROR_AGAIN:
 * somebody has locked the table as a whole, and err says who.
 */
bool ledger_look_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                       struct error *err) _must_;
const struct ledger_lock *ledger_locks(const struct ledger *l, size_t *out_n); /* until the next */
size_t ledger_ended(const struct ledger *l);

/*
 * Moves next_offset over a gap, to `to`, if owner_epoch and next_offset are still those of the
 * entry, and writes the range to <schema>.gaps with the reason, in one transaction. On LEDGER_DONE
 * entry->next_offset is `to`. ERROR_FENCED when the row has changed.
 */
bool ledger_gap_start(struct ledger *l, struct conn *c, struct ledger_entry *entry, int64_t to,
                      const char *reason, struct error *err) _must_;

/*
 * Writes the known ends of partitions (for lag in SQL) where owner_epoch is still that of the
 * entry, whose first_offset is the end. Never touches next_offset.
 */
bool ledger_ends_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                       struct error *err) _must_;

/*
 * Writes the ids of the logs that the entries' partitions belong to, where owner_epoch is still
 * that of the entry; where an id of the entry is empty, the stored one is kept. From then on a
 * next_offset that was set by hand counts for that log.
 */
bool ledger_note_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                       struct error *err) _must_;

/*
 * Writes why the entries' partitions do not move, or that they do again, where owner_epoch is still
 * that of the entry; and why they do not, only where next_offset is, too.
 */
bool ledger_stand_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                        struct error *err) _must_;

/* Reads and writes what the socket allows. LEDGER_FAILED: err says why; see above. */
enum ledger_step ledger_step(struct ledger *l, struct error *err) _must_;

#endif
