/*
 * The crew's front door: what happens is given to the file whose matter it is; in each turn every
 * file does what is due, and has a deadline for the next; what others ask is answered. Main
 * thread.
 */
#include "sink/crew/crew.h"

#include "base/log.h"
#include "base/mem.h"
#include "sink/crew/crew_state.h"
#include "sink/shared/delays.h"

#include <stdlib.h>

/* ---- what happens ---- */

void crew_event(struct crew *c, struct event *e)
{
    if (e->kind == EVENT_ASSIGN) {
        crew_rights_group_works(c);
        crew_rebalance_assign(c, e);
    } else if (e->kind == EVENT_REVOKE) {
        crew_rebalance_revoke(c, e);
    } else if (e->kind == EVENT_COMMITTED) {
        if (e->text[0] == '\0' && e->ref_count > 0) {
            crew_rights_group_works(c);
        }
        crew_commit_answer(c, e);
        crew_rebalance_committed(c);
    } else if (e->kind == EVENT_DOUBT) {
        crew_verify_event(c, e);
    } else if (e->kind == EVENT_DENIED) {
        crew_rights_event(c, e);
        crew_topics_event(c, e);
    } else if (e->kind == EVENT_NO_TOPIC) {
        crew_topics_event(c, e);
    } else if (e->kind == EVENT_AWAY || e->kind == EVENT_REFUSED || e->kind == EVENT_NO_TOKEN) {
        crew_ask_ping(c);
    }
}

void crew_answer(struct crew *c, struct scout_mail *m)
{
    switch (m->kind) {
    case SCOUT_FIRST:
        crew_first_answer(c, m);
        break;
    case SCOUT_FIRST_USE:
        crew_first_answer_use(c, m);
        break;
    case SCOUT_VERIFY:
        crew_verify_answer(c, m);
        break;
    case SCOUT_ENDS:
        crew_ends_answer(c, m);
        break;
    case SCOUT_RANGE:
        crew_gap_answer(c, m);
        break;
    case SCOUT_PLAN:
        crew_plan_answer(c, m);
        break;
    case SCOUT_RENEW:
        crew_plan_answer_renew(c, m);
        break;
    case SCOUT_TOPICS:
        crew_ask_answer_ping(c, m);
        crew_first_topics(c, m);
        crew_topics_answer(c, m);
        break;
    case SCOUT_PING:
        crew_ask_answer_ping(c, m);
        break;
    case SCOUT_MEMBER:
    case SCOUT_JOINED:
        crew_member_answer(c, m);
        break;
    case SCOUT_GROUP:
        crew_unread_answer(c, m);
        break;
    case SCOUT_REPLAY:
    case SCOUT_SEEKS:
    case SCOUT_HEARTBEAT:
    case SCOUT_FAREWELL:
    case SCOUT_TARGETS:
    case SCOUT_TARGET_ENDS:
    case SCOUT_LEDGER:
    case SCOUT_REFUSED:
    case SCOUT_ADMITTED:
    case SCOUT_UNTRIMMED:
    case SCOUT_FILE:
    case SCOUT_SCHEMA:
    case SCOUT_HISTORY:
    case SCOUT_CONFIG:
        break; /* the replayer's, the seeker's, the drain's, main's */
    case SCOUT_AWAY:
        crew_brokers_away(c, m->error.text);
        break;
    case SCOUT_REACHABLE:
        crew_brokers_back(c);
        break;
    }
    scout_mail_free(m);
}

/* ---- the turn ---- */

/* For STATUS, /readyz and the page. */
static void show_lacks(struct crew *c)
{
    const char *rights = c->rights.shown;
    const char *topics = c->topics_asked.shown;
    const char *brokers = c->missing > 0 ? c->why_missing.text : "";
    bool is_first_over = *rights != '\0' && (*topics != '\0' || *brokers != '\0');
    bool is_second_over = *topics != '\0' && *brokers != '\0';
    struct error all;

    error_set(&all, ERROR_LINK, "%s%s%s%s%s%s", rights, is_first_over ? "; " : "", topics,
              is_second_over ? "; " : "", *brokers != '\0' ? "kafka: " : "", brokers);
    error_short_text(&all, c->lacks, sizeof c->lacks);
}

static void retry(struct crew *c, struct partition *p)
{
    if (p->plan == NULL) {
        crew_plan_again(c, p);
    } else if (p->start == START_UNVERIFIED) {
        crew_verify_again(p);
    } else if (p->state == PARTITION_GAPPED && config_has_ledger(c->cc.cfg)) {
        crew_verify_doubt(p, "its offset was outside of the log for a moment");
    } else if (p->state == PARTITION_GAPPED) {
        p->start = START_ANSWERED; /* its slot is still reading: no RESUME is needed */
        p->start_offset = p->reset_offset;
        crew_fetch_want(c);
        p->retry_at = USEC_NEVER;
    } else {
        partition_adopt(c, p, -1);
    }
}

/* What stands for long must be in a log that is rotated, too. */
static void say_again(struct partition *p, usec_t now)
{
    double minutes = (double) (now - p->stands_since) / (double) (60 * USEC_PER_SEC);

    p->repeat_at = now + delay_repeat();
    struct log_where at = partition_at(p, partition_stored(p));
    at.sqlstate = p->stands_for;
    log_event_at(at, LOG(partition_still_stands), p->why, standing_name(p->standing), minutes);
}

static bool stands(const struct partition *p)
{
    return p->standing != STANDING_NONE && p->why != NULL && p->state == PARTITION_STOPPED;
}

void crew_turn(struct crew *c, usec_t now)
{
    crew_rebalance_turn(c, now);
    crew_reload_turn(c, now);
    for (size_t i = 0; i < c->count; i++) {
        if (c->partitions[i]->retry_at <= now) {
            retry(c, c->partitions[i]);
        }
        if (stands(c->partitions[i]) && c->partitions[i]->repeat_at <= now) {
            say_again(c->partitions[i], now);
        }
    }
    crew_brokers_turn(c, now);
    crew_verify_turn(c, now);
    crew_member_turn(c, now);
    crew_unread_turn(c, now);
    crew_rights_turn(c, now);
    crew_topics_turn(c, now);
    crew_first_ask(c, now);
    crew_first_ask_offsets(c);
    crew_verify_ask(c);
    crew_gap_ask(c);
    crew_ends_ask(c, now);
    crew_fetch_turn(c, now);
    crew_commit_turn(c, now);
    show_lacks(c);
}

usec_t crew_deadline(const struct crew *c)
{
    if (c->stopping) {
        return crew_commit_deadline(c);
    }
    usec_t at = MIN(crew_rebalance_deadline(c), crew_ends_deadline(c));
    at = MIN(at, MIN(crew_fetch_deadline(c), crew_commit_deadline(c)));
    at = MIN(at, MIN(crew_member_deadline(c), crew_unread_deadline(c)));
    at = MIN(at, MIN(crew_first_deadline(c), crew_reload_deadline(c)));
    at = MIN(at, MIN(crew_brokers_deadline(c), crew_rights_deadline(c)));
    at = MIN(at, crew_topics_deadline(c));
    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        at = MIN(at, MIN(p->retry_at, stands(p) ? p->repeat_at : USEC_NEVER));
    }
    return at;
}

/* ---- what others ask ---- */

bool crew_is_ready(const struct crew *c)
{
    bool started = c->started_once || (c->count == 0 && (c->assigned_once || c->nothing_matches));

    return started && crew_member_is_at_rest(c) && c->rights.group_since == USEC_NEVER;
}

static uint64_t above(int64_t high, int64_t low)
{
    return high > low ? (uint64_t) (high - low) : 0;
}

struct crew_summary crew_summary(const struct crew *c)
{
    struct crew_summary s = {
        .joined = c->assigned_once,
        .away = c->away,
        .why_away = c->away ? c->why_away.text : NULL,
        .group_denied = c->rights.group_since != USEC_NEVER,
        .lacks = c->lacks,
    };

    for (size_t i = 0; i < c->count; i++) {
        const struct partition *p = c->partitions[i];
        if (p->state == PARTITION_RELEASING) {
            continue;
        }
        s.partitions++;
        s.fetching += p->state == PARTITION_FETCHING;
        s.stopped += p->state == PARTITION_STOPPED;
        s.lost += p->state == PARTITION_LOST;
        s.standing[p->standing]++;
        if (p->standing != STANDING_NONE && s.why == NULL) {
            s.why = p->why;
        }
        int64_t stored = partition_stored(p);
        if (stored >= 0 && partition_end(p) >= 0) {
            s.lag += above(partition_end(p), stored);
        }
    }
    return s;
}

struct crew_rebalances crew_rebalances(const struct crew *c)
{
    return c->seen;
}

size_t crew_view_count(const struct crew *c)
{
    return c->count;
}

bool crew_view(const struct crew *c, size_t i, struct crew_view *out)
{
    const struct partition *p = i < c->count ? c->partitions[i] : NULL;

    if (p == NULL || p->state == PARTITION_RELEASING) {
        return false;
    }
    *out = (struct crew_view){
        .topic = p->topic,
        .number = p->number,
        .is_fetched = p->state == PARTITION_FETCHING,
        .is_lost = p->state == PARTITION_LOST,
        .stored = partition_stored(p),
        .end = partition_end(p),
        .records = atomic_load_explicit(&p->share.records, memory_order_relaxed),
        .timestamp_ms = atomic_load_explicit(&p->share.timestamp_ms, memory_order_relaxed),
        .standing = p->standing,
        .stands_since = p->stands_since,
        .sqlstate = p->stands_for,
        .why = p->standing != STANDING_NONE ? p->why : NULL,
    };
    return true;
}

size_t crew_gone_count(const struct crew *c)
{
    return c->topics.size + c->count;
}

const char *crew_gone(const struct crew *c, size_t i, uint64_t *out_records)
{
    if (i < c->topics.size) {
        const struct crew_topic *t = c->topics.entries[i].value;
        if (c->topics.entries[i].topic == NULL) {
            return NULL;
        }
        *out_records = t->records;
        return t->name;
    }
    const struct partition *p = c->partitions[i - c->topics.size];
    *out_records = atomic_load_explicit(&p->share.records, memory_order_relaxed);
    return p->state == PARTITION_RELEASING && *out_records > 0 ? p->topic : NULL;
}

static void topics_done(struct crew *c)
{
    for (size_t i = 0; i < c->topics.size; i++) {
        free(c->topics.entries[i].value);
    }
    index_done(&c->topics);
}

static enum crew_hold hold_of(const struct partition *p)
{
    if (p == NULL || p->state == PARTITION_LOST) {
        return CREW_ELSEWHERE;
    }
    if (p->state == PARTITION_STOPPED && p->start == START_NONE &&
        p->standing != STANDING_WAITING && !p->lacks_schema) {
        return CREW_STOPPED;
    }
    bool reads = p->state == PARTITION_FETCHING && p->start == START_NONE;
    return reads ? CREW_READING : CREW_BUSY;
}

struct crew_place crew_place(const struct crew *c, const char *topic, int32_t partition)
{
    const struct partition *p = index_find(&c->index, topic, partition);

    return (struct crew_place){
        .hold = hold_of(p),
        .stored = p != NULL ? partition_stored(p) : -1,
        .why = p != NULL ? p->why : NULL,
    };
}

struct crew *crew_new(const struct crew_config *cc)
{
    struct crew *c = mem_zalloc(sizeof *c);

    c->cc = *cc;
    c->load = mem_array(cc->worker_count, sizeof *c->load);
    c->active = cc->worker_count;
    crew_commit_init(c);
    crew_member_init(c);
    crew_rights_init(c);
    crew_topics_init(c);
    crew_plan_init(c);
    crew_unread_init(c);
    return c;
}

void crew_free(struct crew *c)
{
    if (c == NULL) {
        return;
    }
    crew_rebalance_done(c);
    crew_reload_done(c);
    while (c->count > 0) {
        partition_forget(c, c->partitions[c->count - 1]);
    }
    free(c->partitions);
    free(c->load);
    index_done(&c->index);
    topics_done(c);
    crew_stranger_done(c);
    crew_member_done(c);
    crew_plan_done(c);
    unread_free(c->unread);
    crew_rights_done(c);
    crew_topics_done(c);
    free(c);
}
