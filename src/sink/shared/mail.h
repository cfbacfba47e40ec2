/*
 * What main and the workers say to each other. Orders go down, reports come up; each is one heap
 * block whose ownership moves with it through a mailbox. Nothing else crosses but the single atomic
 * words of `struct share` and of the worker's counters (stats.h).
 *
 * A partition begins, is moved, or begins again always by the same exchange, so that no record of
 * an older fetch can be taken for one of a newer fetch (invariant I5):
 *
 *     main                          worker
 *     ORDER_ADOPT        ------>    claims it in PostgreSQL; slot WAITING (drops every record)
 *                        <------    REPORT_START seq, offset
 *     stops fetching it, if it was: from here on no older record can be taken from the queue
 *     ORDER_RESUME seq   ------>    whatever it has taken before is dealt with; slot READING
 *                        <------    REPORT_RESUMED seq
 *     fetches it from offset
 *
 * The answer is needed: without it, a record that the worker had taken just before main stopped
 * fetching could meet a slot that is READING again, and its higher offset would look like a hole in
 * the log.
 *
 * Without a ledger (delivery at_least_once, at_most_once) ADOPT carries the group's offset, nothing
 * is claimed, and positions go to the group through two words of `struct share`:
 *
 *     worker                        main
 *     due = X; REPORT_DUE  ----->   commits X to the group
 *                          <-----   committed = X; ORDER_COMMITTED
 *
 * When a table is not as a plan has it, main has it looked up again. What has changed comes as one
 * order for all slots of a worker, and to every worker; the answer to a question comes even where
 * nothing has changed. Main frees what was replaced when all have taken it over:
 *
 *     worker                        main
 *     REPORT_STALE seq     ----->   the scout reads the catalog
 *                          <-----   ORDER_PLAN seq, renewal
 *     once nothing is on its way: drops the records of changed plans, reads them again
 *     REPORT_RENEWED       ----->   frees what the renewal has replaced
 *
 * When the configuration has changed (a reload), every worker is told at once; batches that are on
 * their way are not touched. A partition whose topic has other routes now, or that another worker
 * is to have, moves: it is released as if the group had taken it, by the configuration of before,
 * and begins again by the exchange above. When all have moved, one order of the kind above lets go
 * of the mappings that were replaced:
 *
 *     main                          worker
 *     ORDER_CONFIG         ------>  limits, policies
 *                          <------  REPORT_CONFIGURED
 *     stops fetching it
 *     ORDER_RELEASE        ------>  its last records are stored, or dropped
 *                          <------  REPORT_RELEASED
 *     ORDER_ADOPT          ------>  perhaps another worker
 *     ORDER_PLAN           ------>
 *                          <------  REPORT_RENEWED
 *
 * A record names the schema that it was written with. A worker that does not have it lets the
 * record wait, and asks; main asks the registry once for each ref, whoever wants it, and hands what
 * it has learned to every worker (sink/app/app_schemas.c). Workers keep what they are given until
 * they are to forget it: what main forgets is asked for again when it is needed again. While the
 * registry is away nothing comes:
 *
 *     worker                        main
 *     REPORT_SCHEMA        ----->   asks, unless that is under way
 *                          <-----   ORDER_SCHEMA schema, or fault
 *                          <-----   ORDER_SCHEMA neither: forget it
 *
 * Any thread.
 */
#ifndef SINK_SHARED_MAIL_H
#define SINK_SHARED_MAIL_H

#include "base/error.h"
#include "base/mailbox.h"
#include "pg/ledger.h"
#include "row/identity.h"
#include "row/schema/schema_ref.h"

#include <stdatomic.h>

struct config;     /* config/config.h */
struct policies;   /* sink/plan/policy.h */
struct partition;  /* main's view of a partition, sink/crew/partition.h */
struct topic_plan; /* sink/plan/plan.h */
struct plan_renewal;
struct schema; /* row/schema/shape.h */
struct worker;

/* Published words of one partition. `stored`, `due`, `records`, `timestamp_ms`, `denied` and
 * `fetched` are written by its worker, `committed` by main, `end` by both. */
struct share {
    _Atomic int64_t stored;       /* next_offset as the ledger has it; -1 before the first claim */
    _Atomic int64_t end;          /* last known end of the partition; -1 unknown */
    _Atomic uint64_t records;     /* stored since the partition was adopted */
    _Atomic int64_t timestamp_ms; /* of the last record that was stored; -1 none, or it has none */
    _Atomic bool denied;          /* the brokers do not allow to read it, as far as is known */
    _Atomic bool fetched;         /* they have: of this assignment a record, or the end, has come */
    /* without a ledger: */
    _Atomic int64_t due;       /* what the group is to have; -1 nothing yet */
    _Atomic int64_t committed; /* what it has, as far as kafka.commit waits for it; -1 unknown */
};

/* Why a partition passes offsets that are not stored. */
enum gap_cause {
    GAP_DELETED,       /* by retention, before they were read */
    GAP_OVERWRITTEN,   /* the log was truncated: other records are there now, or will be */
    GAP_CREATED_AGAIN, /* the topic is a new one of the same name */
};

struct gap {
    int64_t from; /* the next record, else the gap is not made */
    int64_t to;   /* where reading continues; below `from` where the log is another one */
    enum gap_cause cause;
    int64_t low; /* the log's bounds then */
    int64_t high;
};

enum order_kind {
    ORDER_ADOPT,  /* claim the partition; `offset`, if known, starts a row the ledger lacks */
    ORDER_RESUME, /* no older record can come: read again, as REPORT_START seq has asked */
    ORDER_GAP,    /* move the ledger over `gap`, and write the range to gaps */
    ORDER_VERIFY, /* its log may be another one: start again, which verifies it */
    ORDER_NOTE,   /* its log is that of `ids`: write it down */
    ORDER_STAND,  /* main has stopped it: write `fault` to the ledger */
    ORDER_PLAN,   /* tables were looked up again; `renewal` is what has changed. Of no partition */
    ORDER_CONFIG, /* cfg and policies are in force; want_headers. Of no partition */
    /* `ref` names `schema`; or `fault`: ERROR_RECORD: the registry does not know it, ERROR_SETUP:
     * it cannot be used; or neither: forget what you know of it. Of no partition */
    ORDER_SCHEMA,
    ORDER_RELEASE,   /* finish or drop its records, forget it */
    ORDER_COMMITTED, /* share.committed of some of its partitions has moved */
    ORDER_STOP,      /* no more records; finish what is there until the deadline, then end */
};

struct order {
    struct mail mail;
    enum order_kind kind;
    struct partition *partition;
    const char *topic; /* lives as long as the partition */
    int32_t number;
    const struct topic_plan *plan;
    const struct plan_renewal *renewal; /* PLAN; NULL: nothing has changed */
    const struct config *cfg;           /* CONFIG */
    struct policies *policies;          /* CONFIG */
    bool want_headers;                  /* CONFIG: some mapping may want those of records */
    struct share *share;
    int64_t offset;              /* ADOPT: the first offset or -1 */
    const char *first_reason;    /* ADOPT, with a first offset: why there; static */
    const char *why;             /* VERIFY; static */
    int32_t broker;              /* RESUME: whose log was verified; -1: of none */
    struct gap gap;              /* GAP */
    struct log_ids ids;          /* NOTE */
    struct error *fault;         /* STAND, ADOPT without a plan, SCHEMA; on the heap: why */
    struct schema_ref ref;       /* SCHEMA */
    const struct schema *schema; /* SCHEMA: a reference of the order's; whoever keeps it holds it */
    uint64_t seq;                /* RESUME; PLAN: of the worker's last question that is answered */
    uint64_t deadline;           /* STOP: monotonic microseconds */
};

enum report_kind {
    REPORT_UNKNOWN, /* the ledger has no row: adopt again with a first offset */
    /* Verify `known`, then fetch the partition from `offset`, after ORDER_RESUME seq is answered.
     * error: why it is fetched again; ERROR_NONE when the ledger says so. */
    REPORT_START,
    REPORT_RESUMED,  /* it reads again, as of `seq`: the fetch may begin */
    REPORT_RESET,    /* `offset` is outside the log, or the log was truncated below it */
    REPORT_STOPPED,  /* nothing from `offset` on is stored: standing, error */
    REPORT_MOVES,    /* ... it is again, up to `offset`; blamed */
    REPORT_RESUMES,  /* ... it is to be, but has no plan: its tables are looked up at once */
    REPORT_CORRUPT,  /* the records at `offset` cannot be read: error */
    REPORT_DUE,      /* share.due of some of its partitions has moved */
    REPORT_DOUBTFUL, /* error: records that may be stored or not, and are not sent again */
    REPORT_LOST,     /* owned by another now: error */
    REPORT_HELD,     /* it waits for its row of the ledger, and drops what comes; then START */
    REPORT_RELEASED, /* the worker has forgotten it; the partition may be freed */
    REPORT_DOWN,     /* connection to PostgreSQL lost, or could not be made: error */
    REPORT_REFUSED,  /* why the server refuses it, or what is asked over it: connected, error */
    REPORT_UP,       /* ... and made again */
    REPORT_EVICTED,  /* offset = number of backends ended, which held rows of the ledger */
    REPORT_LOCKED,   /* error: whose rows of the ledger are locked by whom */
    REPORT_UNLOCKED, /* error: whose rows no longer are */
    REPORT_TROUBLE,  /* error: worth a line in the log; the worker tries again by itself */
    REPORT_EASED,    /* ... and has got past it */
    REPORT_REPLAY,   /* dead letters may have been marked by replay() */
    REPORT_SEEK,     /* seek() may have left requests */
    REPORT_LETTER,   /* the record at `offset` becomes a dead letter: error */
    REPORT_ABSENCE,  /* error: columns of a route whose field its records never have */
    /* A table is, or may be, not as the plan has it: partition: one of its topic; else that of the
     * target `offset`, or with -1 any. ORDER_PLAN answers `seq`. error: worth a line in the log. */
    REPORT_STALE,
    REPORT_SCHEMA,     /* which schema does `ref` name? ORDER_SCHEMA, to all workers, answers */
    REPORT_CONFIGURED, /* ORDER_CONFIG is taken */
    REPORT_RENEWED,    /* nothing that renewals up to the number `offset` have replaced is used */
    REPORT_ENDED,      /* after ORDER_STOP: the thread is about to return */
    REPORT_KINDS,      /* how many there are */
};

/* What is known of the log in which a partition's offsets were read. */
struct known_log {
    struct fingerprint fp; /* or FINGERPRINT_BY_HAND: whatever log is there now */
    struct log_ids ids;
    int32_t leader_epoch; /* of the last record; -1 unknown */
    bool is_doubted;      /* fp is of a while before: what was taken since may be of another log */
};

struct report {
    struct mail mail;
    enum report_kind kind;
    struct worker *worker;
    struct partition *partition; /* NULL where none is concerned */
    int64_t offset;
    uint64_t seq;
    struct known_log known;       /* START */
    bool is_tail;                 /* START: once more, by a later record */
    bool inserted;                /* START, STOPPED: its row of the ledger is new */
    bool begun;                   /* UNKNOWN: it has had one, which was deleted by hand */
    bool truncated;               /* RESET: the library says so, */
    int64_t log_end;              /*   and that the log now ends here; -1: not where */
    enum standing_state standing; /* STOPPED */
    bool by_itself;               /* ... and it is tried again by itself */
    bool lacks_schema;            /* ... only until the registry answers */
    bool kept;                    /* ... and it stood already when this process claimed it */
    struct schema_ref ref;        /* SCHEMA */
    int64_t blamed;               /* MOVES: its record there was, after a wait; -1: none was */
    bool connected;               /* REFUSED: there was a connection. ENDED: none is missed */
    struct error error;
};

#endif
