/*
 * What a worker owns, shared by its own files only. They lie in layers: a file calls files of the
 * layers below it, never one above or beside it.
 *
 *     worker.c                 the thread: loop, orders, letting partitions go, start and stop
 *     worker_schedule.c        what the connection does next
 *     worker_write.c           batches on their way over it
 *     -----------------------------------------------------------------------------------------
 *     worker_ledger.c          claim partitions, move over gaps, note ids, publish ends
 *     worker_fill.c            from the queue into the open batch
 *     -----------------------------------------------------------------------------------------
 *     worker_blame.c           whose fault it is that a batch is refused
 *     -----------------------------------------------------------------------------------------
 *     worker_stand.c           partitions that do not move, and when they are tried again
 *     worker_letters.c         records that cannot be stored: dead letters, or a stop
 *     -----------------------------------------------------------------------------------------
 *     worker_link.c            the connection: made, well, failed, lost
 *     worker_group.c           positions in the group, where there is no ledger
 *     -----------------------------------------------------------------------------------------
 *     worker_plan.c            when tables change while we run
 *     worker_settle.c          what an answer of the database means for slots and batches
 *     worker_locks.c           partitions whose row of the ledger another session has locked
 *     -----------------------------------------------------------------------------------------
 *     worker_schema.c          records that wait for the schema they were written with
 *     -----------------------------------------------------------------------------------------
 *     worker_slot.c            what a worker does with a slot: start, verify, read again, stop
 *     -----------------------------------------------------------------------------------------
 *     worker_outbox.c          the batches: open, sealed, spare
 *     worker_due.c             what the group is to have, and has
 *     worker_report.c          what main hears
 *     worker_absence.c         columns whose field the records never have
 *
 * The first three, and the last two, call each other downward too. All of it belongs to the
 * worker's thread between start and join (invariant I6), but for orders and stats.
 */
#ifndef SINK_WORKER_WORKER_STATE_H
#define SINK_WORKER_WORKER_STATE_H

#include "base/backoff.h"
#include "base/log.h"
#include "base/thread.h"
#include "kafka/feed.h"
#include "pg/conn.h"
#include "pg/ledger.h"
#include "pg/txn.h"
#include "row/batch/batch.h"
#include "row/record/record.h"
#include "row/schema/schema_table.h"
#include "sink/shared/index.h"
#include "sink/worker/slot.h"
#include "sink/worker/worker.h"
#include "sink/worker/write_path.h"

enum link_state {
    LINK_DOWN, /* no connection; tries at retry_at */
    LINK_CONNECTING,
    LINK_RENEWING, /* the session is set up by other settings */
    LINK_IDLE,     /* connected, nothing under way */
    LINK_CLAIMING,
    LINK_LOOKING, /* which rows of the ledger are locked? */
    LINK_GAPPING,
    LINK_NOTING,     /* writing which logs it is */
    LINK_STANDING,   /* writing what does not move */
    LINK_PUBLISHING, /* writing known ends */
    LINK_WRITING,    /* the first batches of the outbox are on their way: link.flying */
};

struct link {
    enum link_state state;
    struct conn *conn;
    struct ledger *ledger; /* NULL: positions are in the group (worker_group.c) */
    struct txn *txn;
    bool has_schema;   /* it knows that of ours, once it has been needed */
    bool reconfigured; /* the txn is to follow the configuration in force, when nothing flies */

    /* WRITING. The outbox begins with the refused batches; those on their way come next. */
    size_t failed; /* answered and refused */
    size_t flying; /* sent, not answered */
    size_t sent;   /* ever; the time of each that flies lies in sent_at */
    usec_t sent_at[TXN_FLIGHTS];
    struct txn_result verdict; /* the first refusal; it decides what is done */
    struct slot *canary;       /* whose canary is on its way, instead of batches of the outbox */
    bool canary_before;        /* a canary was the last to be written, so it is the outbox's turn */
    usec_t again_since;        /* outbox[0] is refused for now since then; 0: it is not */
    usec_t follow_at;          /* when another batch may be sent */
    unsigned followers;        /* sent since the link was idle */

    struct write_path path; /* COPY or unnest for the next batch */
    bool copy_once;         /* send outbox[0] by COPY, which names the refused row */
    bool each_once;         /* send outbox[0] as TXN_EACH, which names all refused rows */
    bool given; /* what is on its way has dead letters of rows that were refused in it */

    struct backoff backoff;
    usec_t retry_at;          /* DOWN: when to connect. IDLE: nothing starts before */
    usec_t publish_at;        /* when ends are written next */
    bool down_reported;       /* REPORT_UP is due, */
    uint64_t refused;         /*   and why: the reason in the last REPORT_REFUSED; 0 = none */
    enum link_state unproved; /*   and an operation like this has to succeed, */
    usec_t proved_at;         /*   or there is to be no refusal until then */
    bool trouble_reported;    /* of a streak of ERROR_AGAIN: REPORT_EASED is due */
    bool check_idle;          /* the server may have sent something unasked */
    bool moved;               /* somebody has changed the ledger by hand: claim again */
    usec_t moved_at;          /* ... but not before */

    struct ledger_entry *entries; /* of the ledger operation under way; tag = slot */
    size_t entry_count;
    size_t entry_cap;
    bool only_mine; /* the claim under way is a re-claim */

    enum link_state look_after; /* LOOKING: what has waited in vain, or IDLE: it was time to */
    usec_t look_at;             /* some slots are held: when to look again; 0: none is */
    usec_t look_pause;
    unsigned blind; /* claims in a row that have waited in vain, and a look found no lock */
};

#define WORKER_SPARE_BATCHES 3

/* A record that waits for its schema, while nothing else is taken from the queue. */
struct waiting {
    struct feed_item item; /* FEED_NONE: there is none */
    struct slot *slot;     /* its own, */
    uint64_t seq;          /*   which has not begun again if this is still its seq */
    struct schema_ref ref; /* that it waits for, */
    bool is_ready;         /*   which has come, */
    usec_t until;          /*   or has not come by then */
};

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
    size_t fault_count;      /* slots with a fault that is not reported yet */
    size_t standing_count;   /* slots that stand */
    bool stand_due;          /* some of that is to be written to the ledger */
    unsigned write_failures; /* of outbox[0] by a lost connection, in a row */
    unsigned locked_rows;    /* by which partitions were parked, since a batch was stored */
    unsigned unfit_records;  /* the same, for the table that refuses them, since it stored any */
    const struct table *unfit_table; /*   which is this one; only compared */
    struct index index;              /* of the slots, without those being released */

    /* The slot of the last record: most records come in runs. */
    const void *last_topic_id;
    int32_t last_number;
    struct slot *last_slot;

    struct slot *run;               /* whose records were taken last, one after the other */
    const struct message *run_last; /* the last of them, while its event is held */
    struct decoder *decoder;
    struct waiting hand;
    struct schema_table asked; /* main has been asked for these; until: kept in hand no longer */
    struct batch *open;        /* being filled */
    uint64_t open_id;          /* changes whenever span indices of `open` may have changed */
    struct batch **outbox;     /* sealed, oldest first; [0] is on its way while LINK_WRITING */
    size_t outbox_count;
    size_t outbox_cap;
    struct batch *spare[WORKER_SPARE_BATCHES];
    bool more;                /* the queue may hold records that no wake-up will announce */
    bool flush;               /* write the open batch without waiting for linger */
    usec_t keep_until;        /* until then batches keep their records as they came */
    bool keeps;               /* they do now */
    struct log_limit letters; /* limits log lines about dead letters */
    bool confirmed;           /* the group has all that is due */
    bool awaits_group;        /* nothing is written before it has */

    /* worker_absence.c, by the numbers of policies */
    struct route_watch **watches;
    bool *watched; /* nothing more is to be found out */
    size_t watch_count;

    struct link link;
    bool stopping;
    usec_t each_denied_until; /* our role may not make temporary tables; until it is tried again */
    usec_t stop_deadline;
    bool poison_due;         /* a record may be poison, as soon as its row is claimed again */
    struct error poison_why; /* by which the connection was lost, with one record on its way */

    /* Tables that have changed (worker_plan.c). Questions are numbered from 1. */
    uint64_t plan_asked;                  /* the last question, */
    uint64_t plan_told;                   /*   the last that an order has answered, */
    uint64_t plan_answered;               /*   and the last whose answer is applied */
    const struct plan_renewal **renewals; /* not applied yet, in their order */
    size_t renewal_count;
    size_t renewal_cap;
    bool stale; /* nothing is written until this question is answered: */
    uint64_t stale_until;
    bool stale_changed;    /* something has changed since that was asked */
    bool stale_tried;      /* nothing had, and nothing has been stored since */
    unsigned stale_rounds; /* such answers since something was stored */
};

/*
 * worker_report.c
 * new: a report that is to be completed; s and err may be NULL. post: takes ownership of it.
 */
struct report *worker_report_new(struct worker *w, enum report_kind kind, const struct slot *s,
                                 int64_t offset, const struct error *err);
void worker_report_post(struct worker *w, struct report *r);
void worker_report(struct worker *w, enum report_kind kind, const struct slot *s, int64_t offset,
                   const struct error *err);

/*
 * worker_absence.c
 * look: a record that made rows through the route, or none, unless worker_absence_is_over. reset:
 * mappings or policies change. renewed: the routes of a topic have other tables, of which something
 * may be said again.
 */
void worker_absence_look(struct worker *w, const struct record_route *route,
                         const struct message *msg);
void worker_absence_reset(struct worker *w);
void worker_absence_renewed(struct worker *w, const struct topic_plan *plan);
static inline bool worker_absence_is_over(const struct worker *w, uint32_t number)
{
    return number < w->watch_count && w->watched[number];
}

/* worker_due.c */
int64_t worker_due_of(const struct slot *s);                                   /* due */
int64_t worker_due_committed(const struct slot *s);                            /* what it has */
void worker_due_set(struct slot *s, int64_t offset);                           /* reports nothing */
void worker_due_begin(const struct worker *w, struct slot *s, int64_t offset); /* a new start */
void worker_due_take_back(struct worker *w, struct slot *s); /* records from s->stored on */
void worker_due_report(struct worker *w);                    /* has moved: main is to commit */

/*
 * worker_outbox.c
 * seal: the open batch goes to the end of the outbox. cut: the first records of outbox[0] become a
 * batch of their own, before the rest. remove: it is done with. holds: has any batch, the open one
 * included, something of the slot? drop: takes the slot out of all batches; not while WRITING.
 */
void worker_outbox_seal(struct worker *w);
void worker_outbox_cut(struct worker *w, size_t records);
void worker_outbox_remove(struct worker *w, size_t at);
bool worker_outbox_holds(const struct worker *w, const struct slot *s);
void worker_outbox_drop(struct worker *w, struct slot *s);
void worker_outbox_drop_empty(struct worker *w);
struct batch *worker_outbox_spare(struct worker *w); /* an empty one; the caller's */
void worker_outbox_recycle(struct worker *w, struct batch *b);

/*
 * worker_slot.c
 * start: WAITING, REPORT_START; inserted: its row of the ledger is new. read_again: what is not
 * stored is dropped and fetched again. hold: its row is locked; the same, but not before it has
 * been claimed again. wait_for_claim: it has nothing, and starts by its next claim. verify_again: a
 * slot that reads takes nothing more before main has found its log to be the same, by fp: of a
 * record that was taken before there was any doubt.
 *
 * stand: nothing is taken from why->offset on, where s->expect is; the report waits until all
 * before is stored. stop: with the state `stopped`. stay: it stood when it was claimed; takes over
 * `kept`. unplanned: it is claimed, but its tables cannot be used; planned: they
 * can. stopped_by_main: main knows already. try_again: reads from s->expect, but stands until
 * something is stored. moves: it does not stand any more; main and the ledger will know.
 * forget_standing: nobody needs to.
 */
void worker_slot_set_stored(struct slot *s, int64_t next_offset);
void worker_slot_start(struct worker *w, struct slot *s, int64_t offset, bool inserted);
void worker_slot_read_again(struct worker *w, struct slot *s, const struct error *why);
void worker_slot_hold(struct worker *w, struct slot *s);
void worker_slot_wait_for_claim(struct slot *s);
void worker_slot_verify_again(struct worker *w, struct slot *s, struct fingerprint fp,
                              const char *why);
void worker_slot_try_again(struct worker *w, struct slot *s);
void worker_slot_stand(struct worker *w, struct slot *s, const struct standing *why);
void worker_slot_stop(struct worker *w, struct slot *s, int64_t offset, const struct error *err);
void worker_slot_stay(struct worker *w, struct slot *s, struct standing *kept, bool inserted);
void worker_slot_stopped_by_main(struct worker *w, struct slot *s, const struct error *err);
void worker_slot_write_standing(struct worker *w, struct slot *s); /* again */
void worker_slot_unplanned(struct worker *w, struct slot *s);
void worker_slot_planned(struct worker *w, struct slot *s, const struct topic_plan *plan);
void worker_slot_free(struct worker *w, struct slot *s);
void worker_slot_moves(struct worker *w, struct slot *s);
void worker_slot_forget_standing(struct worker *w, struct slot *s);
bool worker_slot_verify_tail(struct worker *w,
                             struct slot *s); /* false: nothing is left to verify */
void worker_slot_forget_fault(struct worker *w, struct slot *s); /* it is void */
void worker_slot_report_faults(struct worker *w); /* those before which all is stored */

/* worker_settle.c */
void worker_settle_claim(struct worker *w, struct slot *s, struct ledger_entry *e);
void worker_settle_reclaim(struct worker *w, struct slot *s, struct ledger_entry *e);
void worker_settle_stored(struct worker *w, struct batch *b); /* counts it too */
void worker_settle_commit(struct worker *w, size_t place);    /* outbox[place] is stored */
void worker_settle_fence(struct worker *w);                   /* outbox[0] is */
void worker_settle_lost(struct worker *w, struct slot *s);    /* another process has claimed it */

/*
 * worker_locks.c
 * look_is_due: some slots are held, and it is time to look again. prepare: what a look is to do
 * about the lock of s. looked: its answer, for the entries of the link; false: it found none.
 * claimed: the entries are, so what they have waited for is over.
 */
bool worker_locks_look_is_due(const struct worker *w);
void worker_locks_prepare(const struct worker *w, const struct slot *s, struct ledger_entry *e);
bool worker_locks_looked(struct worker *w, const struct ledger_lock *locks, size_t n);
void worker_locks_claimed(struct worker *w);

/*
 * worker_schema.c
 * waits: a record is in hand, and its schema is not there yet: nothing is to be taken. lack: the
 * decoder lacks the schema of a record that was just taken, and nothing was made of it. park: it
 * cannot be used. take_hand: the record in hand, if it is still one of its slot. forget: the slot
 * begins again, or goes. turn: a record has waited for long enough. take: ORDER_SCHEMA.
 */
bool worker_schema_waits(const struct worker *w);
usec_t worker_schema_deadline(const struct worker *w);
void worker_schema_lack(struct worker *w, struct slot *s, const struct feed_item *item);
void worker_schema_park(struct worker *w, struct slot *s, int64_t offset, const struct error *err);
bool worker_schema_take_hand(struct worker *w, struct feed_item *out);
void worker_schema_forget(struct worker *w, const struct slot *s);
void worker_schema_turn(struct worker *w);
void worker_schema_take(struct worker *w, const struct order *o);
void worker_schema_done(struct worker *w);

/*
 * worker_plan.c
 * stale: a batch cannot be stored because of the target's table (NULL: not known which); true: main
 * is asked to read the catalog again. changed: the table is certainly another one. look: the same,
 * but writing goes on meanwhile. doubt_faults: asks about the tables of records that our own
 * encoders have rejected, before they stop their partitions. take: ORDER_PLAN; apply: once nothing
 * is on its way.
 */
bool worker_plan_stale(struct worker *w, const struct target *target, const struct error *err);
void worker_plan_changed(struct worker *w, const struct target *target, const struct error *err);
void worker_plan_look(struct worker *w, const struct target *target);
void worker_plan_doubt_faults(struct worker *w);
void worker_plan_take(struct worker *w, const struct order *o);
void worker_plan_apply(struct worker *w);
void worker_plan_done(struct worker *w);

/* worker_group.c, where there is no ledger */
void worker_group_adopt(struct worker *w, struct slot *s); /* begins at first_offset */
bool worker_group_is_ready(struct worker *w);              /* may another batch be written? */
bool worker_group_may_send(struct worker *w);              /* outbox[0] */
void worker_group_stored(struct worker *w);                /* a batch is */
void worker_group_unknown(struct worker *w); /* outbox[0], its connection lost after COMMIT */
void worker_group_release(struct worker *w, struct slot *s);
void worker_group_end(struct worker *w); /* the worker ends: what is not stored is taken back */

/*
 * worker_letters.c
 * reject: a record that we found bad becomes a dead letter of the open batch, unless its route
 * stops; then *err says why. keeps: are records to be kept as they came? isolate: outbox[0] was
 * rolled back for one of its records (ERROR_RECORD). fetch: if that record is named, is to become a
 * dead letter and was not kept, its partition is fetched again; else false. condemn: TXN_EACH has
 * said which rows of outbox[0] are refused. give: it has said so before the end, and asks for their
 * dead letters; true: it has them, as part of a new outbox[0]. fit: outbox[0] may have its dead
 * letters, which are reserved now; else it has been cut before the first that is too much, or that
 * one has stopped its partition. over_limit: what becomes of a partition whose next record, at
 * `offset`, would be a dead letter that its route may not have; err is the fault of the record.
 */
bool worker_letters_reject(struct worker *w, uint32_t route, struct message *msg,
                           struct error *err);
bool worker_letters_keeps(const struct worker *w);
void worker_letters_isolate(struct worker *w, const struct txn_result *r);
bool worker_letters_fetch(struct worker *w, const struct txn_result *r);
void worker_letters_condemn(struct worker *w, const struct txn_result *r);
bool worker_letters_give(struct worker *w);
bool worker_letters_fit(struct worker *w);
void worker_letters_over_limit(struct worker *w, struct slot *s, struct policy *p, int64_t offset,
                               struct error *err);

/*
 * worker_link.c
 * configure: another configuration is in force. renew: with nothing on its way, what sends and the
 * session follow it; true: that was started. connect: begins to, when it is time. step: goes on
 * with either. begin: an operation that has started, or could not. succeeded, failed: it has;
 * failed is for all but a batch that was refused for a record or a fence. lost: the connection is.
 * is_well: it is idle. sent: one more batch flies.
 */
void worker_link_init(struct worker *w);
void worker_link_done(struct worker *w);
void worker_link_configure(struct worker *w);
bool worker_link_renew(struct worker *w);
void worker_link_connect(struct worker *w);
void worker_link_step(struct worker *w);
void worker_link_begin(struct worker *w, enum link_state state, bool started,
                       const struct error *err);
void worker_link_succeeded(struct worker *w);
void worker_link_failed(struct worker *w, const struct error *err);
void worker_link_lost(struct worker *w, const struct error *err);
void worker_link_is_well(struct worker *w);
void worker_link_sent(struct worker *w);

/*
 * worker_stand.c
 * aside: from a record of outbox[0] on, nothing of its partition is sent. retry_at, look_again_at:
 * when what is parked, or waits, is tried next. doubt, strict: one more refusal; true: patience is
 * over. lost: the connection was, with outbox[0] on its way; settle: the ledger says by now
 * whether its only record is stored. part_suspect: what may be poison leaves outbox[0] with nothing
 * else in it. start: false when no canary is to be tried; canary: what has
 * become of it.
 */
void worker_stand_aside(struct worker *w, size_t record, const struct standing *why);
usec_t worker_stand_retry_at(const struct slot *s);
usec_t worker_stand_look_again_at(const struct slot *s, usec_t patience);
bool worker_stand_doubt(struct slot *s, int64_t offset, const char *sqlstate, usec_t patience);
bool worker_stand_strict(struct slot *s, int64_t offset, const char *sqlstate);
void worker_stand_lost(struct worker *w, const struct txn_result *r);
void worker_stand_settle(struct worker *w);
void worker_stand_part_suspect(struct worker *w);
bool worker_stand_start(struct worker *w);
void worker_stand_canary(struct worker *w, const struct txn_result *r);
usec_t worker_stand_deadline(const struct worker *w);

/*
 * worker_blame.c
 * outbox[0] is refused, and the connection is well: whose fault is it? unusable: a table has
 * changed, and looking it up again did not help: parks the partitions that feed it; false if there
 * are none, so that it may have changed once more. is_alone: outbox[0] is a record that may meet a
 * limit of the server: COPY is to say which.
 */
void worker_blame(struct worker *w, const struct txn_result *r);
bool worker_blame_unusable(struct worker *w, const struct txn_result *r);
bool worker_blame_may_try_each(const struct worker *w);
bool worker_blame_is_alone(const struct worker *w);

/* worker_ledger.c; start: false when nothing is due */
bool worker_ledger_start_claim(struct worker *w, bool only_mine);
bool worker_ledger_start_gap(struct worker *w);
bool worker_ledger_start_note(struct worker *w);
bool worker_ledger_start_stand(struct worker *w);
bool worker_ledger_start_publish(struct worker *w);
bool worker_ledger_start_look(struct worker *w);
/* advance() has waited in vain for rows of b: who locks them? If nobody does any more, the link has
 * failed with its verdict. */
void worker_ledger_look_at_batch(struct worker *w, const struct batch *b);
void worker_ledger_step(struct worker *w);
bool worker_ledger_uses(const struct worker *w, const struct slot *s); /* the one under way */
bool worker_ledger_wants_claim(const struct worker *w); /* or a gap: before anything is written */

/* worker_fill.c */
bool worker_fill_has_room(const struct worker *w);
void worker_fill(struct worker *w);

/* worker_write.c */
bool worker_write_start(struct worker *w); /* false: nothing is due */
void worker_write_step(struct worker *w);
usec_t worker_write_deadline(const struct worker *w); /* WRITING: when another may follow */

/* worker_schedule.c */
void worker_schedule_run(struct worker *w); /* does what can be done without waiting */
usec_t worker_schedule_deadline(const struct worker *w);

#endif
