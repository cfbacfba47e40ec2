/*
 * A worker made by hand, without a thread, a server or a broker, for tests of what it decides: the
 * test is main, the database and the group. Its slots read partitions 0, 1, 2 of topic "t", and
 * expect offset 0. Tests only; one thread.
 */
#ifndef UNIT_SINK_RIG_H
#define UNIT_SINK_RIG_H

#include "base/mem.h"
#include "sink/plan/plan.h"
#include "sink/worker/worker_state.h"

#include "unit.h"

enum { RIG_SLOTS = 3, RIG_EPOCH = 7, RIG_ANY = -1 };

struct rig {
    struct worker w;
    struct config cfg;
    struct policies policies; /* of no route: whatever is refused stops */
    struct topic_plan plan;   /* of "t": no route either */
    struct mailbox reports;
    struct share shares[RIG_SLOTS];
    struct slot slots[RIG_SLOTS];
    struct slot *all[RIG_SLOTS];
    int handles[RIG_SLOTS]; /* stand for main's partitions */
};

static inline struct rig *rig_new(enum config_delivery delivery, enum config_commit commit)
{
    struct rig *r = mem_zalloc(sizeof *r);

    mailbox_init(&r->reports);
    r->cfg.delivery = delivery;
    r->cfg.kafka.commit = commit;
    r->w.delivery = delivery;
    r->w.confirmed = true;
    static char sink_name[] = "s";
    static char schema_name[] = "pgsinkd";
    r->cfg.sink = sink_name;
    r->cfg.postgres.schema = schema_name;
    r->w.wc.cfg = &r->cfg;
    r->w.wc.reports = &r->reports;
    r->w.wc.policies = &r->policies;
    r->w.open = batch_new();
    r->w.open_id = 1;
    r->w.link.state = LINK_IDLE;
    r->w.slots = r->all;
    r->w.slot_count = RIG_SLOTS;
    for (int i = 0; i < RIG_SLOTS; i++) {
        r->slots[i] = (struct slot){
            .partition = (struct partition *) &r->handles[i],
            .topic = "t",
            .number = i,
            .plan = &r->plan,
            .share = &r->shares[i],
            .state = SLOT_READING,
            .owner_epoch = RIG_EPOCH,
            .gap.to = -1,
            .end_published = -1,
        };
        r->all[i] = &r->slots[i];
        atomic_init(&r->shares[i].end, -1);
    }
    return r;
}

/* Takes all reports that wait; returns how many of them are of the kind, or of RIG_ANY. */
static inline size_t rig_take_reports(struct rig *r, int kind)
{
    size_t n = 0;

    for (struct mail *m = mailbox_take(&r->reports); m != NULL;) {
        struct mail *next = m->next;
        n += kind == RIG_ANY || (int) ((struct report *) m)->kind == kind;
        free(m);
        m = next;
    }
    return n;
}

/* Exactly one report waits, and it is this one. The caller frees it. */
static inline struct report *rig_only_report(struct rig *r, enum report_kind kind, int slot,
                                             int64_t offset)
{
    worker_slot_report_faults(&r->w);
    struct report *report = (struct report *) mailbox_take(&r->reports);

    assert_non_null(report);
    assert_null(report->mail.next);
    assert_int_equal(report->kind, kind);
    assert_ptr_equal(report->partition, &r->handles[slot]);
    assert_int_equal(report->offset, offset);
    return report;
}

/* Reports that still wait go with it. */
static inline void rig_free(struct rig *r)
{
    rig_take_reports(r, RIG_ANY);
    mailbox_done(&r->reports);
    for (size_t i = 0; i < RIG_SLOTS; i++) {
        worker_slot_forget_standing(&r->w, &r->slots[i]);
        free(r->slots[i].unplanned);
    }
    for (size_t i = 0; i < r->w.outbox_count; i++) {
        batch_free(r->w.outbox[i]);
    }
    for (size_t i = 0; i < WORKER_SPARE_BATCHES; i++) {
        batch_free(r->w.spare[i]);
    }
    free(r->w.outbox);
    batch_free(r->w.open);
    free(r);
}

/* The next record of the slot begins in the open batch; it is the caller who ends it. */
static inline void rig_record_begin(struct rig *r, int slot)
{
    struct slot *s = &r->slots[slot];
    struct batch *b = r->w.open;
    uint32_t span = batch_span(b, s, s->topic, s->number, s->owner_epoch, s->expect);

    batch_record_begin(b, span, s->expect, 1000, -1);
}

static inline void rig_record_end(struct rig *r, int slot)
{
    batch_record_end(r->w.open);
    r->slots[slot].expect++;
}

#endif
