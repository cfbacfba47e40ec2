/*
 * What a worker owns, shared by its own files only:
 *     worker.c         the thread: loop, orders, slots, start and stop
 *     worker_fill.c    from the queue into the open batch
 *     worker_link.c    the connection: connect, claim, write, one operation at a time
 *     worker_write.c   batches on their way over it
 *     worker_settle.c  what an answer of the database means for slots and batches
 *     worker_plan.c    when tables change while we run
 *     worker_letters.c records that cannot be stored, as dead letters
 *     worker_group.c   positions in the group, where there is no ledger
 * All of it belongs to the worker's thread between start and join (invariant I6), but for orders
 * and stats.
 */
#ifndef SINK_WORKER_WORKER_STATE_H
#define SINK_WORKER_WORKER_STATE_H

#include "base/backoff.h"
#include "base/log.h"
#include "base/thread.h"
#include "pg/conn.h"
#include "pg/ledger.h"
#include "pg/txn.h"
#include "row/batch/batch.h"
#include "row/record/decoder.h"
#include "sink/shared/index.h"
#include "sink/worker/slot.h"
#include "sink/worker/worker.h"
#include "sink/worker/write_path.h"

enum link_state {
    LINK_DOWN, /* no connection; tries at retry_at */
    LINK_CONNECTING,
    LINK_IDLE, /* connected, nothing under way */
    LINK_CLAIMING,
    LINK_EVICTING,
    LINK_GAPPING,
    LINK_NOTING,  /* writing which logs it is */
    LINK_TELLING, /* writing known ends */
    LINK_WRITING, /* the first batches of the outbox are on their way: link.flying */
};

struct link {
    enum link_state state;
    struct conn *conn;
    struct ledger *ledger; /* NULL: positions are in the group (worker_group.c) */
    struct txn *txn;
    size_t flying;             /* WRITING: batches on their way, */
    size_t failed;             /*   behind so many that are already refused; */
    struct txn_result verdict; /*   what is to be done about the first of those */
    usec_t follow_at;          /*   when another may follow them */
    unsigned followers;        /* sent since the link was idle */
    struct path path;          /* COPY or unnest for the next batch */
    bool copy_once; /* outbox[0] was refused for a record: again, in the way that names it, */
    bool each_once; /*   or the one that names all of them */
    struct backoff backoff;
    usec_t retry_at;              /* DOWN: when to connect. IDLE: nothing starts before */
    usec_t tell_at;               /* when ends are written next */
    bool down_told;               /* REPORT_DOWN is out, REPORT_UP is due */
    bool trouble_told;            /* ditto for a streak of ERROR_AGAIN */
    bool check_idle;              /* the server may have sent something unasked */
    struct ledger_entry *entries; /* of the ledger operation under way; tag = slot */
    size_t entry_count;
    size_t entry_cap;
    bool only_mine; /* the claim under way is a re-claim */
};

#define WORKER_SPARE_BATCHES 3

struct worker {
    struct worker_config wc;
    enum config_delivery delivery;
    struct thread thread;
    struct thread_owner owner;
    struct mailbox orders;
    struct worker_stats stats;

    struct slot **slots;
    size_t slot_count;
    size_t slot_cap;
    size_t releasing_count;
    unsigned write_failures;   /* of outbox[0] by a lost connection, in a row */
    size_t fault_count;        /* slots with a fault that is not told yet */
    struct index index;        /* of the slots, without those being released */
    const void *last_topic_id; /* the last record's slot, for most records come in runs */
    int32_t last_number;
    struct slot *last_slot;

    struct slot *run;               /* whose records were taken last, one after the other: */
    const struct message *run_last; /*   the last of them, while its event is held */
    struct decoder *decoder;
    struct batch *open;    /* being filled */
    uint64_t open_id;      /* changes whenever span indices of `open` may have changed */
    struct batch **outbox; /* sealed, oldest first; [0] is on its way while LINK_WRITING */
    size_t outbox_count;
    size_t outbox_cap;
    struct batch *spare[WORKER_SPARE_BATCHES];
    bool more;                /* the queue may hold records that no wake-up will announce */
    bool flush;               /* write the open batch without waiting for linger */
    usec_t keep_until;        /* so long batches keep their records as they came */
    bool keeps;               /* they do now */
    struct log_limit letters; /* lines about dead letters */
    bool confirmed;           /* the group has all that is due */
    bool awaits_group;        /* nothing is written before it has */

    struct link link;
    bool stopping;
    bool plans_due;   /* some slots have a next plan */
    bool each_denied; /* our role may not make temporary tables */
    bool stale;       /* REPORT_STALE is out: nothing is written until the new plan is here */
    bool stale_tried; /* with the new plan nothing has been stored yet */
    bool dead;        /* REPORT_FATAL is out: nothing is written any more */
    usec_t stop_deadline;
};

/* worker.c */
struct slot *worker_find(struct worker *w, const char *topic, int32_t number);
struct report *worker_report_new(struct worker *w, enum report_kind kind, const struct slot *s,
                                 int64_t offset, const struct error *err);
void worker_report(struct worker *w, enum report_kind kind, const struct slot *s, int64_t offset,
                   const struct error *err);

/* worker_fill.c */
bool worker_has_room(const struct worker *w);
void worker_fill(struct worker *w);

/* worker_link.c */
void worker_link_init(struct worker *w);
void worker_link_done(struct worker *w);
void worker_link_drive(struct worker *w); /* does what can be done without waiting */
usec_t worker_link_deadline(const struct worker *w);
bool worker_link_uses(const struct worker *w, const struct slot *s);

void worker_link_begin(struct worker *w, enum link_state state, bool started,
                       const struct error *err);
void worker_link_succeeded(struct worker *w);
void worker_link_failed(struct worker *w, const struct error *err);
bool worker_link_wants_claim(const struct worker *w); /* or a gap: before anything is written */

/*
 * worker_plan.c
 * stale: a batch cannot be stored because of its table; true: main is asked to read the catalog
 * again. take: the plan that main has made; apply: once nothing is on its way.
 */
bool worker_plan_stale(struct worker *w, const struct error *err);
void worker_plan_changed(struct worker *w, const struct error *err); /* its columns are others */
void worker_plan_take(struct worker *w, struct slot *s, const struct topic_plan *plan);
void worker_plan_apply(struct worker *w);

/* worker_write.c */
bool worker_write_start(struct worker *w); /* false: nothing is due */
void worker_write_step(struct worker *w);
usec_t worker_write_deadline(const struct worker *w); /* WRITING: when another may follow */

/* worker_group.c, where there is no ledger */
void worker_group_adopt(struct worker *w, struct slot *s); /* begins at first_offset */
void worker_group_begin(const struct worker *w, struct slot *s, int64_t offset); /* anew */
bool worker_group_is_ready(struct worker *w); /* may another batch be written? */
bool worker_group_may_send(struct worker *w); /* outbox[0] */
void worker_group_stored(struct worker *w);   /* a batch is */
void worker_group_unknown(struct worker *w);  /* outbox[0], its connection lost after COMMIT */
void worker_group_take_back(struct worker *w, struct slot *s); /* records from s->stored on */
void worker_group_release(struct worker *w, struct slot *s);
void worker_group_end(struct worker *w); /* the worker ends: what is not stored is taken back */

/* worker_settle.c */
void worker_seal(struct worker *w); /* the open batch goes to the end of the outbox */
void worker_recycle(struct worker *w, struct batch *b);
bool worker_in_batches(const struct worker *w, const struct slot *s);
void worker_drop(struct worker *w, struct slot *s); /* out of all batches; not while WRITING */
void worker_start_at(struct worker *w, struct slot *s, int64_t offset); /* WAITING, REPORT_START */
void worker_read_again(struct worker *w, struct slot *s, const struct error *why);
/*
 * A slot that reads takes nothing more before main has found its log to be the same, by fp: of a
 * record that was taken before there was any doubt.
 */
void worker_verify_again(struct worker *w, struct slot *s, struct fingerprint fp, const char *why);
void worker_stop_slot(struct worker *w, struct slot *s, int64_t offset, enum report_kind kind,
                      struct error *err);
void worker_forget_fault(struct worker *w, struct slot *s);
void worker_tell_faults(struct worker *w); /* those before which all is stored */
void worker_settle_claim(struct worker *w, struct slot *s, const struct ledger_entry *e);
void worker_settle_reclaim(struct worker *w, struct slot *s, const struct ledger_entry *e);
void worker_settle_commit(struct worker *w, size_t place); /* outbox[place] is stored */
void worker_settle_fence(struct worker *w);
void worker_halve(struct worker *w); /* outbox[0], which the server does not get done in time */
void worker_isolate(struct worker *w, const struct txn_result *r); /* ERROR_RECORD */
struct batch *worker_take_spare(struct worker *w);

/*
 * worker_letters.c
 * reject: a record that we found bad becomes a dead letter of the open batch, unless its route
 * stops; then *err says why. condemn: TXN_EACH has said which rows of outbox[0] are refused.
 * bury_only: the only record of outbox[0] is refused; false: its partition has to stop.
 */
bool worker_reject(struct worker *w, const struct target *target, struct message *msg,
                   struct error *err);
bool worker_keeps(const struct worker *w);
size_t worker_count_letters(const struct worker *w, const struct batch *b);
void worker_condemn(struct worker *w, const struct txn_result *r);
bool worker_bury_only(struct worker *w, const struct txn_result *r, struct error *out_why);

#endif
