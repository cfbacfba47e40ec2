/*
 * A partition whose offset is not in its log, or not in this log any more: what has happened, and
 * where to go on, as kafka.on_gap says. It decides only what is understood:
 *
 *     cause                                   stop    earliest                latest
 *     below the log's start                   stops   the start               the end
 *     truncated, the library says where       stops   there                   the end
 *     the topic was created again (its id)    stops   the start               the end
 *     above the log, another log              stops   stops                   stops
 *
 * Continuing leaves a gap: the worker moves the ledger and records the range, in one transaction.
 * Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"
#include "sink/shared/remedy.h"

#include <stdio.h>

#define RANGE_RETRY USEC_PER_SEC

/* ---- it stops ---- */

/* How to accept the log that is there: an offset that is set by hand is taken to be one of it.
 * from: where to go on; -1: at its beginning, which is not known here. */
static void hint_accept(const struct crew *c, const struct partition *p, const char *why,
                        int64_t from, struct error *err)
{
    const struct config *cfg = c->cc.cfg;
    _cleanup_buf_ struct buf how = {0};
    char where[40] = "";

    if (from >= 0) {
        snprintf(where, sizeof where, " from offset %lld on", (long long) from);
    }
    if (config_has_ledger(cfg)) {
        buf_add_z(&how, "SELECT ");
        remedy_schema(cfg, &how);
        buf_printf(&how, ".seek('%s', '%s', ", cfg->sink, p->topic);
        if (from >= 0) {
            buf_printf(&how, "%d, %lld);", p->number, (long long) from);
        } else {
            buf_printf(&how, "'earliest', %d);", p->number);
        }
        error_hint(err, "%s To store what the log holds now%s: %s", why, where, buf_cstr(&how));
        return;
    }
    remedy_move_group(cfg, p->topic, p->number, from, &how);
    error_hint(err, "%s To store what it holds now%s, stop pgsinkd and move the group: %s", why,
               where, buf_cstr(&how));
}

void crew_gap_stop(struct crew *c, struct partition *p, const char *why, int64_t from,
                   struct error *err)
{
    hint_accept(c, p, why, from, err);
    if (partition_stands(p, STANDING_STOPPED, err->sqlstate)) {
        log_fault_at(partition_at(p, p->reset_offset), LOG_log_refused, err);
    }
    partition_stop(p, err->text);
    crew_fetch_want(c); /* the others go on without it */
    struct order *o = partition_order(p, ORDER_STAND);
    o->fault = mem_zalloc(sizeof *o->fault);
    *o->fault = *err;
    worker_post(p->worker, o);
}

/* ---- where the log begins and ends ---- */

void crew_gap_begin(struct partition *p, int64_t offset, enum reset_cause cause)
{
    partition_set(p, PARTITION_GAPPED);
    p->reset_offset = offset;
    p->reset_cause = cause;
    p->range_due = true;
}

void crew_gap_report(struct partition *p, const struct report *r)
{
    bool lost = r->truncated && r->log_end < r->offset; /* else all that was stored is there */

    p->log_end = r->log_end;
    crew_gap_begin(p, r->offset, lost ? RESET_TRUNCATED : RESET_RANGE);
}

void crew_gap_ask(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (p->range_due) {
            p->range_due = false;
            struct scout_mail *m = scout_mail_new(SCOUT_RANGE, 1);
            scout_mail_add(m, p->topic, p->number, p->generation);
            scout_ask(c->cc.scout, m);
        }
    }
}

static enum gap_cause gap_cause_of(const struct partition *p)
{
    switch (p->reset_cause) {
    case RESET_TRUNCATED:
        return GAP_OVERWRITTEN;
    case RESET_CREATED_AGAIN:
        return GAP_CREATED_AGAIN;
    case RESET_RANGE:
        break;
    }
    return GAP_DELETED;
}

/*
 * May kafka.on_gap decide? Not above the log, for nobody knows how that came about; nor where
 * nobody knows at which offset the log was truncated: to begin at its start would store everything
 * below that offset twice.
 */
static bool is_understood(const struct partition *p, int64_t low)
{
    switch (p->reset_cause) {
    case RESET_CREATED_AGAIN:
        return true;
    case RESET_TRUNCATED:
        return p->log_end >= 0;
    case RESET_RANGE:
        break;
    }
    return p->reset_offset < low;
}

/* err: what has happened; returned is what a person should know about it. */

static const char *describe_created_again(const struct partition *p, int64_t low, int64_t high,
                                          struct error *err)
{
    error_set(err, ERROR_RECORD,
              "%s-%d@%lld: the topic was created again; its log holds offsets %lld to %lld",
              p->topic, p->number, (long long) p->reset_offset, (long long) low, (long long) high);
    return "next_offset belongs to the former topic of this name. Set kafka.on_gap, or move "
           "next_offset.";
}

static const char *describe_truncated(const struct partition *p, int64_t low, int64_t high,
                                      struct error *err)
{
    error_set(err, ERROR_RECORD,
              "%s-%d@%lld: the log was truncated at offset %lld, and holds offsets %lld to %lld",
              p->topic, p->number, (long long) p->reset_offset, (long long) p->log_end,
              (long long) low, (long long) high);
    return "An unclean election has lost records that were stored already, and other records take "
           "their offsets. Set kafka.on_gap, or move next_offset.";
}

static const char *describe_range(const struct partition *p, int64_t low, int64_t high,
                                  struct error *err)
{
    long long at = p->reset_offset;
    bool below = p->reset_offset < low;

    error_set(err, ERROR_RECORD,
              "%s-%d@%lld: next_offset %lld is %s the log, which holds offsets %lld to %lld",
              p->topic, p->number, at, at, below ? "below" : "above", (long long) low,
              (long long) high);
    return below ? "Kafka has deleted records that were not stored. Set kafka.on_gap, or move "
                   "next_offset."
                 : "Was the topic created again, or does kafka.brokers lead to another cluster?";
}

static const char *describe(const struct partition *p, int64_t low, int64_t high, struct error *err)
{
    switch (p->reset_cause) {
    case RESET_CREATED_AGAIN:
        return describe_created_again(p, low, high, err);
    case RESET_TRUNCATED:
        return describe_truncated(p, low, high, err);
    case RESET_RANGE:
        break;
    }
    return describe_range(p, low, high, err);
}

static int64_t place_to_go_on(const struct partition *p, enum config_on_gap policy, int64_t low,
                              int64_t high)
{
    if (policy == ON_GAP_LATEST) {
        return high;
    }
    return p->reset_cause == RESET_TRUNCATED ? MAX(p->log_end, low) : low;
}

static void go_on(struct crew *c, struct partition *p, const struct error *why, int64_t low,
                  int64_t high)
{
    enum config_on_gap policy = c->cc.cfg->kafka.on_gap;
    bool ledger = config_has_ledger(c->cc.cfg);
    struct order *o = partition_order(p, ORDER_GAP);

    o->gap = (struct gap){.from = p->reset_offset,
                          .to = place_to_go_on(p, policy, low, high),
                          .cause = gap_cause_of(p),
                          .low = low,
                          .high = high};
    log_event_at(partition_at(p, p->reset_offset), LOG(gap_passed), why->text,
                 policy == ON_GAP_EARLIEST ? "earliest" : "latest", (long long) o->gap.to,
                 ledger ? ", and writing the range to " : "",
                 ledger ? c->cc.cfg->postgres.schema : "", ledger ? ".gaps" : "");
    worker_post(p->worker, o);
}

static void decide(struct crew *c, struct partition *p, int64_t low, int64_t high)
{
    struct error err;
    const char *why = describe(p, low, high, &err);

    if (c->cc.cfg->kafka.on_gap == ON_GAP_STOP || !is_understood(p, low)) {
        crew_gap_stop(c, p, why, place_to_go_on(p, ON_GAP_EARLIEST, low, high), &err);
    } else {
        go_on(c, p, &err, low, high);
    }
}

/* It counts no more if the partition starts elsewhere by now: an operator was faster. */
void crew_gap_answer(struct crew *c, const struct scout_mail *m)
{
    struct partition *p = crew_ask_wanted(c, m, 0);

    if (p == NULL || p->state != PARTITION_GAPPED || p->start != START_NONE) {
        return;
    }
    int64_t low = m->refs[0].offset;
    bool inside = p->reset_offset >= low && p->reset_offset <= m->high;
    if (m->failed) {
        p->range_due = true;
    } else if (inside && p->reset_cause == RESET_RANGE) {
        /* Inside by now: fetch again, but not in a tight loop. */
        p->retry_at = clock_mono() + RANGE_RETRY;
    } else {
        decide(c, p, low, m->high);
    }
}
