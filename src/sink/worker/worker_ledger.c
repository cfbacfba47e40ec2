/*
 * Operations on the ledger over the worker's connection: claim partitions, look who has locked
 * their rows, move one over a gap, note which log it is, write what stands, publish known ends.
 * Which comes when is decided in worker_schedule.c, what the answer to a claim means in
 * worker_settle.c. Worker thread.
 */
#include "base/failpoint.h"
#include "base/mem.h"
#include "pg/sqlstate.h"
#include "sink/worker/worker_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISH_INTERVAL (5 * USEC_PER_SEC) /* ends of idle partitions, for lag by SQL */
/* Also when nothing changes, so that SQL can distinguish an idle daemon from a dead one. */
#define PUBLISH_REFRESH (60 * USEC_PER_SEC)
/* After so many claims that have waited for no lock that can be seen, they go one by one. */
#define BLIND_MAX 2

static struct ledger_entry *add_entry(struct link *l, struct slot *s)
{
    l->entries = mem_grow(l->entries, &l->entry_cap, l->entry_count, sizeof *l->entries);
    struct ledger_entry *e = &l->entries[l->entry_count++];
    *e = (struct ledger_entry){
        .topic = s->topic,
        .partition = s->number,
        .first_offset = LEDGER_UNKNOWN,
        .next_offset = s->stored,
        .owner_epoch = s->owner_epoch,
        .tag = s,
    };
    return e;
}

bool worker_ledger_uses(const struct worker *w, const struct slot *s)
{
    const struct link *l = &w->link;

    for (size_t i = 0; i < l->entry_count; i++) {
        if (l->entries[i].tag == s) {
            return true;
        }
    }
    return false;
}

/* ---- claims ---- */

bool worker_ledger_wants_claim(const struct worker *w)
{
    for (size_t i = 0; i < w->slot_count; i++) {
        const struct slot *s = w->slots[i];
        bool wants = s->state == SLOT_CLAIMING || (slot_owns(s) && (s->reclaim || s->gap.to >= 0));
        if (wants && !s->lock.is_held) {
            return true;
        }
    }
    return false;
}

bool worker_ledger_start_claim(struct worker *w, bool only_mine)
{
    struct link *l = &w->link;

    size_t most = l->blind < BLIND_MAX ? SIZE_MAX : 1;

    l->entry_count = 0;
    for (size_t i = 0; i < w->slot_count && l->entry_count < most; i++) {
        struct slot *s = w->slots[i];
        bool is_due = only_mine ? s->reclaim && slot_owns(s) : s->state == SLOT_CLAIMING;
        if (is_due && !s->lock.is_held) {
            struct ledger_entry *e = add_entry(l, s);
            e->first_offset = only_mine ? LEDGER_UNKNOWN : s->first_offset;
            e->first_reason = s->first_reason;
        }
    }
    if (l->entry_count == 0) {
        l->blind = worker_ledger_wants_claim(w) ? l->blind : 0;
        return false;
    }
    struct error err;
    l->only_mine = only_mine;
    worker_link_begin(
        w, LINK_CLAIMING,
        ledger_claim_start(l->ledger, l->conn, l->entries, l->entry_count, only_mine, &err), &err);
    return true;
}

static void claimed(struct worker *w)
{
    struct link *l = &w->link;

    (void) failpoint_hit(FAILPOINT_LEDGER_AFTER_CLAIM);
    worker_locks_claimed(w);
    size_t n = l->entry_count;
    stats_count(&w->stats.claims, n);
    l->entry_count = 0;
    worker_link_succeeded(w);
    for (size_t i = 0; i < n; i++) {
        struct slot *s = l->entries[i].tag;
        if (s->state == SLOT_RELEASING) {
            worker_outbox_drop(w, s); /* the claim has fenced all that it had on its way */
        } else if (l->only_mine) {
            worker_settle_reclaim(w, s, &l->entries[i]);
        } else {
            worker_settle_claim(w, s, &l->entries[i]);
        }
        free(TAKE_PTR(l->entries[i].standing)); /* nobody has wanted it */
    }
}

/* ---- rows that are locked ---- */

/* Looks at the rows of the entries. `after`: what has waited for them in vain. */
static void look(struct worker *w, enum link_state after)
{
    struct link *l = &w->link;
    struct error err;

    for (size_t i = 0; i < l->entry_count; i++) {
        worker_locks_prepare(w, l->entries[i].tag, &l->entries[i]);
    }
    l->look_after = after;
    worker_link_begin(w, LINK_LOOKING,
                      ledger_look_start(l->ledger, l->conn, l->entries, l->entry_count, &err),
                      &err);
}

bool worker_ledger_start_look(struct worker *w)
{
    struct link *l = &w->link;

    if (!worker_locks_look_is_due(w)) {
        return false;
    }
    l->entry_count = 0;
    for (size_t i = 0; i < w->slot_count; i++) {
        if (w->slots[i]->lock.is_held && w->slots[i]->state != SLOT_RELEASING) {
            add_entry(l, w->slots[i]);
        }
    }
    if (l->entry_count == 0) {
        l->look_at = 0;
        return false;
    }
    look(w, LINK_IDLE);
    return true;
}

void worker_ledger_look_at_batch(struct worker *w, const struct batch *b)
{
    struct link *l = &w->link;

    l->entry_count = 0;
    for (size_t i = 0; i < b->span_count; i++) {
        add_entry(l, b->spans[i].tag);
    }
    look(w, LINK_WRITING);
}

/*
 * No row is locked. Then what has waited had bad luck and is tried again, unless a row is being
 * inserted by another transaction, which nobody can see: to find out which one it is, claims go one
 * by one.
 */
static void found_none(struct worker *w)
{
    struct link *l = &w->link;

    if (l->look_after == LINK_WRITING) {
        l->entry_count = 0;
        worker_link_failed(w, &l->verdict.error);
        return;
    }
    if (l->look_after == LINK_CLAIMING && ++l->blind > BLIND_MAX) {
        const struct ledger_lock unseen = {.holder = "a transaction that cannot be seen"};
        (void) worker_locks_looked(w, &unseen, 1);
    }
    l->entry_count = 0;
    worker_link_succeeded(w);
}

static void looked(struct worker *w)
{
    struct link *l = &w->link;
    size_t n;
    const struct ledger_lock *locks = ledger_locks(l->ledger, &n);

    if (ledger_ended(l->ledger) > 0) {
        worker_report(w, REPORT_EVICTED, NULL, (int64_t) ledger_ended(l->ledger), NULL);
    }
    if (!worker_locks_looked(w, locks, n)) {
        found_none(w);
        return;
    }
    l->entry_count = 0;
    worker_link_succeeded(w);
}

/* ---- gaps ---- */

static void describe_gap(const struct gap *gap, char *out, size_t size)
{
    static const char *const causes[] = {
        [GAP_DELETED] = "deleted before it was stored",
        [GAP_OVERWRITTEN] = "overwritten: the log was truncated",
        [GAP_CREATED_AGAIN] = "the topic was created again",
    };

    snprintf(out, size, "%s; the log held offsets %lld to %lld", causes[gap->cause],
             (long long) gap->low, (long long) gap->high);
}

bool worker_ledger_start_gap(struct worker *w)
{
    struct link *l = &w->link;

    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        if (s->gap.to < 0 || s->lock.is_held || !slot_owns(s) || worker_outbox_holds(w, s)) {
            continue;
        }
        if (l->ledger == NULL) {
            worker_slot_start(w, s, s->gap.to, false);
            continue;
        }
        struct error err;
        char reason[160];
        describe_gap(&s->gap, reason, sizeof reason);
        l->entry_count = 0;
        struct ledger_entry *e = add_entry(l, s);
        worker_link_begin(w, LINK_GAPPING,
                          ledger_gap_start(l->ledger, l->conn, e, s->gap.to, reason, &err), &err);
        return true;
    }
    return false;
}

static void gap_moved(struct worker *w)
{
    struct link *l = &w->link;
    struct ledger_entry e = l->entries[0];
    struct slot *s = e.tag;

    l->entry_count = 0;
    worker_link_succeeded(w);
    s->gap.to = -1;
    s->known = (struct known_log){.fp = {.offset = FINGERPRINT_BY_HAND}, .leader_epoch = -1};
    if (slot_owns(s)) {
        worker_slot_start(w, s, e.next_offset, false);
    }
}

/* ---- which log it is ---- */

bool worker_ledger_start_note(struct worker *w)
{
    struct link *l = &w->link;

    l->entry_count = 0;
    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        if (s->note_due && slot_owns(s) && !s->lock.is_held) {
            add_entry(l, s)->ids = s->known.ids;
        }
    }
    if (l->entry_count == 0) {
        return false;
    }
    struct error err;
    worker_link_begin(w, LINK_NOTING,
                      ledger_note_start(l->ledger, l->conn, l->entries, l->entry_count, &err),
                      &err);
    return true;
}

static void noted(struct worker *w)
{
    struct link *l = &w->link;

    for (size_t i = 0; i < l->entry_count; i++) {
        struct slot *s = l->entries[i].tag;
        /* They may have changed meanwhile. */
        s->note_due = log_ids_are_news(&l->entries[i].ids, &s->known.ids);
    }
    l->entry_count = 0;
    worker_link_succeeded(w);
}

/* ---- what does not move ---- */

bool worker_ledger_start_stand(struct worker *w)
{
    struct link *l = &w->link;

    if (!w->stand_due) {
        return false;
    }
    w->stand_due = false;
    l->entry_count = 0;
    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        if (s->stand_written != s->stand_changes && slot_owns(s) && !s->lock.is_held) {
            add_entry(l, s)->standing = s->standing;
            s->stand_sent = s->stand_changes;
        }
    }
    if (l->entry_count == 0) {
        return false;
    }
    struct error err;
    worker_link_begin(w, LINK_STANDING,
                      ledger_stand_start(l->ledger, l->conn, l->entries, l->entry_count, &err),
                      &err);
    return true;
}

static void stood(struct worker *w)
{
    struct link *l = &w->link;

    for (size_t i = 0; i < l->entry_count; i++) {
        struct slot *s = l->entries[i].tag;
        s->stand_written = s->stand_sent;
        w->stand_due = w->stand_due || s->stand_written != s->stand_changes;
    }
    l->entry_count = 0;
    worker_link_succeeded(w);
}

/* ---- ends ---- */

bool worker_ledger_start_publish(struct worker *w)
{
    struct link *l = &w->link;
    usec_t now = clock_mono();

    if (now < l->publish_at) {
        return false;
    }
    l->publish_at = now + PUBLISH_INTERVAL;
    l->entry_count = 0;
    for (size_t i = 0; i < w->slot_count; i++) {
        struct slot *s = w->slots[i];
        int64_t end = atomic_load_explicit(&s->share->end, memory_order_relaxed);
        bool due = end != s->end_published || now >= s->published_at + PUBLISH_REFRESH;
        if (slot_owns(s) && end >= 0 && due) {
            add_entry(l, s)->first_offset = end;
            s->end_published = end;
            s->published_at = now;
        }
    }
    if (l->entry_count == 0) {
        return false;
    }
    struct error err;
    worker_link_begin(w, LINK_PUBLISHING,
                      ledger_ends_start(l->ledger, l->conn, l->entries, l->entry_count, &err),
                      &err);
    return true;
}

/* ---- answers ---- */

static void ledger_failed(struct worker *w, const struct error *err)
{
    struct link *l = &w->link;

    bool waits = l->state == LINK_CLAIMING || l->state == LINK_GAPPING || l->state == LINK_NOTING ||
                 l->state == LINK_STANDING;
    w->stand_due = w->stand_due || l->state == LINK_STANDING;
    if (waits && sqlstate_is(err->sqlstate, SQLSTATE_LOCK_NOT_AVAILABLE)) {
        look(w, l->state);
        return;
    }
    if (err->class == ERROR_FENCED && l->entry_count == 1) {
        struct slot *s = l->entries[0].tag; /* the row was moved meanwhile: claim, then try again */
        s->reclaim = slot_owns(s);
        l->entry_count = 0;
        worker_link_succeeded(w);
        return;
    }
    l->entry_count = 0;
    worker_link_failed(w, err);
}

void worker_ledger_step(struct worker *w)
{
    struct error err;
    struct link *l = &w->link;

    switch (ledger_step(l->ledger, &err)) {
    case LEDGER_WAIT:
        return;
    case LEDGER_FAILED:
        ledger_failed(w, &err);
        return;
    case LEDGER_DONE:
        break;
    }
    if (l->state == LINK_CLAIMING) {
        claimed(w);
    } else if (l->state == LINK_GAPPING) {
        gap_moved(w);
    } else if (l->state == LINK_NOTING) {
        noted(w);
    } else if (l->state == LINK_STANDING) {
        stood(w);
    } else if (l->state == LINK_LOOKING) {
        looked(w);
    } else {
        l->entry_count = 0;
        worker_link_succeeded(w);
    }
}
