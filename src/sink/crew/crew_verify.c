/*
 * Is it still the same log? Three things can put other records behind the offsets of a partition
 * (row/identity.h), and each start is verified before the partition is fetched:
 *
 *     worker                  main                         scout
 *     REPORT_START known -->  START_UNVERIFIED
 *                             SCOUT_VERIFY  -------------> ids of cluster and topic; the record
 *                                                          of the fingerprint, read again
 *                             START_WANTED  <------------- the same log, as far as can be known
 *     ORDER_NOTE ids    <---                               (its ids are not known yet, or new)
 *                             GAPPED, STOPPED <----------- another log
 *
 * A worker asks for the same when its partition's log may have been exchanged while it was read
 * (worker_fill.c), and main when the library's log, an asked end or the id of the cluster gives
 * reason to doubt it. What becomes of a partition whose log is another one: crew_gap.c. Main
 * thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define VERIFY_RETRY USEC_PER_SEC
#define CLUSTER_INTERVAL (5 * USEC_PER_SEC)

/* ---- starts ---- */

/*
 * A next_offset that somebody has set by hand is taken for one of whatever log is there; so is one
 * below which nothing was stored yet, and whose ids nobody knows.
 */
static bool can_be_verified(const struct partition *p)
{
    const struct known_log *k = &p->known;
    bool knows_ids = k->ids.cluster[0] != '\0' || k->ids.topic[0] != '\0';

    return k->fp.offset >= 0 || (k->fp.offset == FINGERPRINT_NONE && knows_ids);
}

static void order_note(struct partition *p, const struct log_ids *ids)
{
    bool by_hand = p->known.fp.offset == FINGERPRINT_BY_HAND;

    if (by_hand || log_ids_are_news(&p->known.ids, ids)) {
        struct order *o = partition_order(p, ORDER_NOTE);
        o->ids = *ids;
        worker_post(p->worker, o);
        p->known.ids = *ids;
    }
}

static void begin(struct crew *c, struct partition *p, const struct log_ids *ids)
{
    order_note(p, ids);
    p->start = START_WANTED;
    crew_fetch_want(c);
}

void crew_verify_start(struct crew *c, struct partition *p)
{
    p->broker = -1;
    if (!config_has_ledger(c->cc.cfg)) {
        p->start = START_WANTED;
        crew_fetch_want(c);
        return;
    }
    struct log_ids ids = {{""}, {""}};
    bool known = client_cluster_id(c->cc.client, ids.cluster, sizeof ids.cluster);
    if (known && !can_be_verified(p) && !lookup_has_topic_ids()) {
        begin(c, p, &ids); /* the scout could find out no more */
    } else {
        p->start = START_UNVERIFIED;
        p->verify_due = true;
    }
}

void crew_verify_again(struct partition *p)
{
    p->retry_at = USEC_NEVER;
    p->verify_due = true;
}

static bool is_due(const struct partition *p)
{
    return p->verify_due;
}

void crew_verify_ask(struct crew *c)
{
    struct scout_mail *m = c->asking_verify ? NULL : crew_ask_about(c, SCOUT_VERIFY, is_due);

    if (m == NULL) {
        return;
    }
    c->asking_verify = true;
    for (size_t i = 0; i < m->ref_count; i++) {
        struct partition *p = crew_ask_wanted(c, m, i);
        p->verify_due = false;
        m->refs[i].offset = p->start_offset;
        m->logs[i].seq = p->start_seq;
        m->logs[i].fp = p->known.fp;
        m->logs[i].any_distance = p->known.is_doubted;
    }
    scout_ask(c->cc.scout, m);
}

/* ---- another log ---- */

static void stop_other_cluster(struct crew *c, struct partition *p, const struct log_ids *now)
{
    struct error err;
    long long at = p->start_offset;

    error_set(&err, ERROR_RECORD,
              "%s-%d@%lld: next_offset %lld belongs to cluster '%s', and these brokers to '%s'",
              p->topic, p->number, at, at, p->known.ids.cluster, now->cluster);
    crew_gap_stop(c, p, "Does kafka.brokers lead to the right cluster?", -1, &err);
}

static void stop_other_log(struct crew *c, struct partition *p)
{
    struct error err;

    error_set(
        &err, ERROR_RECORD,
        "%s-%d@%lld: this is another log than the one that was stored: it does not hold the record "
        "that was stored at offset %lld",
        p->topic, p->number, (long long) p->start_offset, (long long) p->known.fp.offset);
    crew_gap_stop(
        c, p,
        "The topic was deleted and created again, or the log was truncated by an unclean election.",
        -1, &err);
}

static void judge(struct crew *c, struct partition *p, const struct scout_log *log)
{
    p->broker = log->broker;
    bool is_untouched = p->known.fp.offset == FINGERPRINT_NONE && p->start_offset == 0;
    if (!can_be_verified(p) || is_untouched) {
        begin(c, p, &log->ids);
        return;
    }
    switch (log_judge(log->evidence, &p->known.ids, &log->ids)) {
    case LOG_MOVED:
        log_event_at(partition_at(p, p->start_offset), LOG(log_has_new_ids), p->topic, p->number);
        begin(c, p, &log->ids);
        break;
    case LOG_SAME:
        begin(c, p, &log->ids);
        break;
    case LOG_CREATED_AGAIN:
        /* If kafka.on_gap allows it, it goes on where the new log begins. */
        crew_gap_begin(p, p->start_offset, RESET_CREATED_AGAIN);
        break;
    case LOG_OTHER_CLUSTER:
        stop_other_cluster(c, p, &log->ids);
        break;
    case LOG_OTHER:
        stop_other_log(c, p);
        break;
    }
}

/* An id that was known and cannot be had now may be the only thing that shows another log. */
static bool is_unanswered(const struct scout_mail *m, size_t i, const struct log_ids *known)
{
    bool lacks_id = lookup_has_topic_ids() && known->topic[0] != '\0' &&
                    m->logs[i].ids.topic[0] == '\0';

    return m->refs[i].offset == LOOKUP_FAILED || lacks_id;
}

/* An answer about an older start is ignored: the partition has started again since. */
void crew_verify_answer(struct crew *c, const struct scout_mail *m)
{
    c->asking_verify = false;
    for (size_t i = 0; i < m->ref_count; i++) {
        struct partition *p = crew_ask_wanted(c, m, i);
        bool awaited = p != NULL && p->start == START_UNVERIFIED && p->start_seq == m->logs[i].seq;
        if (awaited && (m->failed || is_unanswered(m, i, &p->known.ids))) {
            p->retry_at = clock_mono() + VERIFY_RETRY;
        } else if (awaited) {
            judge(c, p, &m->logs[i]);
        }
    }
}

/* ---- doubts while it runs ---- */

void crew_verify_doubt(struct partition *p, const char *why)
{
    struct order *o = partition_order(p, ORDER_VERIFY);

    o->why = why;
    p->retry_at = USEC_NEVER;
    worker_post(p->worker, o);
}

static void doubt_if_read(const struct crew *c, struct partition *p, const char *why)
{
    if (p->state == PARTITION_FETCHING && config_has_ledger(c->cc.cfg)) {
        crew_verify_doubt(p, why);
    }
}

void crew_verify_event(const struct crew *c, const struct event *e)
{
    struct partition *p = index_find(&c->index, e->topic, e->partition);

    if (p != NULL) {
        doubt_if_read(c, p, "its broker does not lead it any more, or does not know its topic");
    }
}

void crew_verify_end(const struct crew *c, struct partition *p, int64_t end)
{
    if (end < partition_stored(p)) {
        doubt_if_read(c, p, "its log ends before what is stored");
    }
}

static void verify_all(const struct crew *c)
{
    for (size_t i = 0; i < c->count; i++) {
        doubt_if_read(c, c->partitions[i], "the brokers belong to another cluster now");
    }
}

void crew_verify_turn(struct crew *c, usec_t now)
{
    char id[sizeof c->cluster_id];

    if (now < c->cluster_at || !config_has_ledger(c->cc.cfg)) {
        return;
    }
    c->cluster_at = now + CLUSTER_INTERVAL;
    if (!client_cluster_id(c->cc.client, id, sizeof id) || strcmp(id, c->cluster_id) == 0) {
        return;
    }
    if (c->cluster_id[0] != '\0') {
        log_event(LOG(cluster_changed), id, c->cluster_id);
        verify_all(c);
    }
    snprintf(c->cluster_id, sizeof c->cluster_id, "%s", id);
}
