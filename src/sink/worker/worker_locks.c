/*
 * Partitions whose row of the ledger another session has locked. One such row holds up its own
 * partition and no other:
 *
 *     claim() or advance() has waited a moment for the row (LEDGER_PATIENCE), in vain
 *     a look says which rows are locked, by which transaction
 *     these slots are held: they are claimed no more, their records are dropped; all else goes on
 *     after a pause another look, which waits for nothing, as long as there are held slots
 *     the row is free, or another transaction has it now: the slot is claimed again, and waits a
 *     moment in the row's queue
 *
 * If one transaction keeps a row for longer than postgres.lock_timeout its session is ended, where
 * it may be that of a former owner, which this process replaces: a process that was stopped in the
 * middle of COPY would keep its locks for ever. As long as the partition is ours and its connection
 * was not lost since the claim, that cannot be, and it is somebody who is changing the ledger by
 * hand; nor can it be if the row says that another process has claimed it meanwhile.
 * Worker thread.
 */
#include "sink/worker/worker_state.h"

#include <stdio.h>
#include <string.h>

#define LOOK_PAUSE (100 * USEC_PER_MSEC)
#define LOOK_PAUSE_MAX USEC_PER_SEC

bool worker_locks_look_is_due(const struct worker *w)
{
    return w->link.look_at > 0 && clock_mono() >= w->link.look_at;
}

static bool may_be_zombies(const struct slot *s)
{
    return s->state == SLOT_CLAIMING || s->relinked;
}

void worker_locks_prepare(const struct worker *w, const struct slot *s, struct ledger_entry *e)
{
    usec_t patience = config_lock_timeout(w->wc.cfg);
    bool is_due = s->lock.is_held && clock_mono() + LEDGER_PATIENCE >= s->lock.xid_since + patience;

    e->end_xid = is_due && may_be_zombies(s) ? s->lock.xid : NULL;
}

/* ---- what people see ---- */

/* "orders-1: its row of the ledger is", or with others "orders-1 and 3 others: their rows ... are"
 */
static void whose(const struct slot *s, size_t others, char *out, size_t size)
{
    if (others == 0) {
        snprintf(out, size, "%s-%d: its row of the ledger is", s->topic, s->number);
    } else {
        snprintf(out, size, "%s-%d and %zu other%s: their rows of the ledger are", s->topic,
                 s->number, others, others == 1 ? "" : "s");
    }
}

static void say_locked(struct worker *w, const struct slot *s, const struct ledger_lock *lock,
                       size_t others)
{
    struct error err;
    char rows[320];

    whose(s, others, rows, sizeof rows);
    error_set(&err, ERROR_AGAIN, "%s locked by %s; all other partitions continue", rows,
              lock->holder);
    if (lock->pid != 0 && !may_be_zombies(s)) {
        error_hint(&err,
                   "It continues by itself when that transaction ends. To end it now: SELECT "
                   "pg_terminate_backend(%d);",
                   lock->pid);
    } else if (lock->pid == 0) {
        error_hint(&err, "It continues by itself when that transaction ends.");
    }
    worker_report(w, REPORT_LOCKED, s, 0, &err);
}

static void say_refused(struct worker *w, const struct slot *s, const struct ledger_lock *lock,
                        size_t others)
{
    struct error err;
    char rows[320];

    whose(s, others, rows, sizeof rows);
    error_set(&err, ERROR_AGAIN, "%s still locked by %s, which cannot be ended: %s", rows,
              lock->holder, lock->refused);
    error_hint(&err,
               "GRANT pg_signal_backend TO the role that pgsinkd connects as, or end it as a "
               "superuser: SELECT pg_terminate_backend(%d);",
               lock->pid);
    worker_report(w, REPORT_LOCKED, s, 0, &err);
}

/* ---- what a look has found ---- */

/* The slot's records leave the batches; from now on only a look decides when it is claimed. */
static void hold(struct worker *w, struct slot *s)
{
    bool is_dropped = s->state == SLOT_WAITING && s->expect < 0;

    s->lock.is_held = true;
    if (slot_owns(s) && !is_dropped) {
        worker_slot_hold(w, s);
    }
}

static void take_lock(struct worker *w, struct slot *s, const struct ledger_lock *lock, usec_t now)
{
    bool is_other = s->lock.since == 0 || strcmp(s->lock.xid, lock->xid) != 0;

    if (s->lock.since == 0) {
        s->lock.since = now;
    }
    if (is_other) {
        s->lock.xid_since = now;
        snprintf(s->lock.xid, sizeof s->lock.xid, "%s", lock->xid);
    }
    if (is_other && s->lock.is_held) {
        s->lock.is_held = false; /* it was free meanwhile: wait in its queue */
    } else {
        hold(w, s);
    }
}

/* As far as is committed another process has claimed it: that is the answer to a claim again. */
static bool is_lost(const struct slot *s, const struct ledger_lock *lock)
{
    return slot_owns(s) && !lock->mine && lock->xid[0] != '\0';
}

enum news { NEWS_NONE, NEWS_LOCKED, NEWS_REFUSED };

static enum news news_of(const struct slot *s, const struct ledger_lock *lock)
{
    if (s->state == SLOT_RELEASING || is_lost(s, lock)) {
        return NEWS_NONE;
    }
    if (s->lock.since == 0 || s->lock.pid != lock->pid) {
        return NEWS_LOCKED;
    }
    return lock->refused[0] != '\0' && !s->lock.is_refused ? NEWS_REFUSED : NEWS_NONE;
}

/* One line for all rows of one transaction. */
static void say(struct worker *w, const struct ledger_lock *locks, size_t n, size_t first)
{
    const struct link *l = &w->link;
    const struct slot *s = l->entries[locks[first].entry].tag;
    enum news news = news_of(s, &locks[first]);
    size_t others = 0;

    if (news == NEWS_NONE) {
        return;
    }
    for (size_t i = first; i < n; i++) {
        struct slot *other = l->entries[locks[i].entry].tag;
        if (strcmp(locks[i].xid, locks[first].xid) == 0 && news_of(other, &locks[i]) == news) {
            other->lock.pid = locks[i].pid;
            other->lock.since = other->lock.since != 0 ? other->lock.since : clock_mono();
            other->lock.is_refused = news == NEWS_REFUSED;
            others += other != s;
        }
    }
    if (news == NEWS_LOCKED) {
        say_locked(w, s, &locks[first], others);
    } else {
        say_refused(w, s, &locks[first], others);
    }
}

static void take_locks(struct worker *w, const struct ledger_lock *locks, size_t n)
{
    usec_t now = clock_mono();

    for (size_t i = 0; i < n; i++) {
        struct slot *s = w->link.entries[locks[i].entry].tag;
        if (s->state == SLOT_RELEASING) {
            worker_outbox_drop(w, s); /* its next reader starts at what is stored */
        } else if (is_lost(s, &locks[i])) {
            worker_settle_lost(w, s);
            s->lock = (struct slot_lock){0};
        } else {
            say(w, locks, n, i);
            take_lock(w, s, &locks[i], now);
        }
    }
}

static void look_later(struct link *l)
{
    bool goes_on = l->look_after == LINK_IDLE;

    l->look_pause = goes_on ? MIN(2 * l->look_pause, LOOK_PAUSE_MAX) : LOOK_PAUSE;
    if (ledger_ended(l->ledger) > 0) {
        l->look_pause = LOOK_PAUSE / 4; /* it is gone in a moment */
    }
    l->look_at = clock_mono() + l->look_pause;
}

bool worker_locks_looked(struct worker *w, const struct ledger_lock *locks, size_t n)
{
    struct link *l = &w->link;
    size_t next = 0;

    for (size_t i = 0; i < l->entry_count; i++) {
        struct slot *s = l->entries[i].tag;
        bool is_locked = next < n && locks[next].entry == i;
        next += is_locked;
        s->lock.is_held = s->lock.is_held && is_locked;
    }
    take_locks(w, locks, n);
    look_later(l);
    return n > 0;
}

void worker_locks_claimed(struct worker *w)
{
    struct link *l = &w->link;
    const struct slot *first = NULL;
    size_t others = 0;

    for (size_t i = 0; i < l->entry_count; i++) {
        struct slot *s = l->entries[i].tag;
        if (s->lock.since != 0) {
            others += first != NULL;
            first = first != NULL ? first : s;
        }
    }
    if (first == NULL) {
        return;
    }
    struct error err;
    char rows[320];
    whose(first, others, rows, sizeof rows);
    error_set(&err, ERROR_AGAIN, "%s no longer locked, after %.1f s", rows,
              (double) (clock_mono() - first->lock.since) / (double) USEC_PER_SEC);
    worker_report(w, REPORT_UNLOCKED, first, 0, &err);
    for (size_t i = 0; i < l->entry_count; i++) {
        struct slot *s = l->entries[i].tag;
        s->lock = (struct slot_lock){0};
        w->stand_due = w->stand_due || s->stand_written != s->stand_changes;
    }
}
