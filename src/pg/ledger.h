/*
 * The table <schema>.offsets: who owns a partition, and the first offset not yet stored.
 *
 * Claim: one statement for many partitions, in key order: owner_epoch + 1, owner = me. It is an
 * UPDATE, so it waits for an open transaction of the partition's former owner and, once done,
 * excludes every later one (invariant I2). A partition the ledger does not know is reported as
 * unknown, or inserted when its first offset is given. Advance is in pg/txn.c, being the first
 * statement of the transaction that carries the rows (invariant I1).
 *
 * Operations run on a conn that is ready, one at a time: start, then step until it is done or
 * failed. After a failure of class ERROR_LINK the connection is closed. Worker thread.
 */
#ifndef PG_LEDGER_H
#define PG_LEDGER_H

#include "base/error.h"
#include "pg/conn.h"
#include "row/identity.h"

#define LEDGER_UNKNOWN INT64_C(-1)

/* A row of the ledger as one operation asks for or reports it. */
struct ledger_entry {
    const char *topic; /* borrowed from the caller, who keeps it until the operation ends */
    int32_t partition;
    int64_t first_offset; /* in: inserted when the ledger has no line; LEDGER_UNKNOWN = then only
                             report */
    const char *first_reason; /* in, borrowed: why there, with a first_offset */
    int64_t next_offset;      /* out: LEDGER_UNKNOWN = no such line, nothing claimed */
    int64_t owner_epoch;      /* out */
    int32_t leader_epoch;     /* out: -1 unknown */
    bool mine;             /* out: claimed; false = unknown line, or (only_mine) another owns it */
    bool inserted;         /* out: with the first offset */
    bool begun;            /* out: it has had a row before: without one, it was deleted by hand */
    struct fingerprint fp; /* out: offset FINGERPRINT_NONE, FINGERPRINT_BY_HAND, or of a record */
    struct log_ids ids;    /* out: of the log that next_offset belongs to; note: what they are */
    void *tag;             /* the caller's */
};

enum ledger_step { LEDGER_WAIT, LEDGER_DONE, LEDGER_FAILED };

struct ledger;

/* Texts are copied: quoted SQL is prepared once. owner is unique per process start:
 * "host:pid:random". */
struct ledger *ledger_new(const char *schema, const char *sink, const char *owner) _must_;
struct ledger *ledger_free(struct ledger *l); /* returns NULL */

/*
 * Claims the entries. `only_mine` claims again only what this process still owns (owner = me, as
 * the ledger says under the row's lock): used after a lost connection, a fence or an operator's
 * change, so that a process which has been replaced meanwhile never takes a partition back from its
 * new owner. A line that belongs to another then is left alone and reported with mine = false.
 * Without it (the group has assigned the partition to us) every line is claimed.
 *
 * May fail with ERROR_AGAIN and sqlstate 55P03 when another transaction holds a line for longer
 * than lock_timeout: then ledger_evict_start, and claim again.
 */
bool ledger_claim_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                        bool only_mine, struct error *err) _must_;

/*
 * Ends the backends (pg_terminate_backend, own role) whose open transactions hold the lines of the
 * entries, found by the row's xmax in pg_stat_activity.backend_xid. How many: ledger_evicted after
 * LEDGER_DONE.
 */
bool ledger_evict_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                        struct error *err) _must_;
size_t ledger_evicted(const struct ledger *l);

/*
 * Moves a line over a gap: (from, next_offset) -> to, only if owner_epoch and next_offset still
 * match, and writes the range to <schema>.gaps with the reason, in one transaction.
 * entry->next_offset and ->owner_epoch are the expected values; on LEDGER_DONE entry->next_offset
 * is `to`. ERROR_FENCED when the line has moved.
 */
bool ledger_gap_start(struct ledger *l, struct conn *c, struct ledger_entry *entry, int64_t to,
                      const char *reason, struct error *err) _must_;

/*
 * Writes the known ends of partitions (for lag in SQL) where this process still owns the line;
 * entries carry the end in first_offset and owner_epoch. Never touches next_offset.
 */
bool ledger_ends_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                       struct error *err) _must_;

/*
 * Writes down the ids of the logs that the entries' partitions belong to, as far as owner_epoch is
 * still that of the entry; empty ids stay as they are. From then on a next_offset that was set by
 * hand counts for that log.
 */
bool ledger_note_start(struct ledger *l, struct conn *c, struct ledger_entry *entries, size_t n,
                       struct error *err) _must_;

enum ledger_step ledger_step(struct ledger *l, struct error *err) _must_;

#endif
