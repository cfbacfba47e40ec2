/* See verifier.h. Scout thread. */
#include "sink/scout/verifier.h"

#include "base/mem.h"
#include "kafka/probe.h"

#include <stdio.h>
#include <stdlib.h>

#define PROBE_KEPT (20 * USEC_PER_SEC) /* its connections, for the next question */
/* Records further back are not fetched only to be compared: what lies between may be much. */
#define PROBE_DISTANCE 10000

static bool is_worth_a_look(const struct partition_ref *ref, const struct scout_log *log)
{
    bool is_near = log->any_distance || ref->offset - log->fp.offset <= PROBE_DISTANCE;

    return log->fp.offset >= 0 && is_near;
}

/* What is worth a look: the items, and of which partition of m each is. */
struct looks {
    struct probe_item *items;
    size_t *at;
    size_t count;
};

static struct looks looks_of(const struct scout_mail *m)
{
    struct looks l = {
        .items = mem_array(m->ref_count, sizeof *l.items),
        .at = mem_array(m->ref_count, sizeof *l.at),
    };

    for (size_t i = 0; i < m->ref_count; i++) {
        if (is_worth_a_look(&m->refs[i], &m->logs[i])) {
            l.at[l.count] = i;
            l.items[l.count++] = (struct probe_item){.topic = m->refs[i].topic,
                                                     .partition = m->refs[i].partition,
                                                     .want = m->logs[i].fp};
        }
    }
    return l;
}

static void looks_done(struct looks *l)
{
    free(l->items);
    free(l->at);
}

static struct partition_ref *outside_refs(const struct probe_item *items, size_t n, size_t *count)
{
    struct partition_ref *refs = mem_array(MAX(n, 1), sizeof *refs);

    *count = 0;
    for (size_t i = 0; i < n; i++) {
        if (items[i].is_outside) {
            refs[(*count)++] = (struct partition_ref){.topic = items[i].topic,
                                                      .partition = items[i].partition};
        }
    }
    return refs;
}

/*
 * Where there is nothing at the record's offset, the log has lost it at its start, to retention, or
 * it ends before: then it is not the log in which that record was. An end that cannot be asked for
 * is no answer: a broker that has just been elected may not know it yet (KIP-207).
 */
static bool look_at_ends(struct verifier *v, struct probe_item *items, size_t n, usec_t timeout,
                         struct error *err)
{
    size_t count;
    _cleanup_mem_ struct partition_ref *starts = outside_refs(items, n, &count);
    _cleanup_mem_ struct partition_ref *ends = outside_refs(items, n, &count);

    if (!lookup_offsets(v->client, starts, count, LOOKUP_EARLIEST, timeout, err) ||
        !lookup_offsets(v->client, ends, count, LOOKUP_LATEST, timeout, err)) {
        return false;
    }
    count = 0;
    for (size_t i = 0; i < n; i++) {
        if (items[i].is_outside) {
            int64_t start = starts[count].offset;
            int64_t end = ends[count++].offset;
            bool known = start != LOOKUP_FAILED && end != LOOKUP_FAILED;
            items[i].answered = known && log_look_at_ends(items[i].want.offset, start, end,
                                                          &items[i].evidence);
        }
    }
    return true;
}

static void take_evidence(struct scout_mail *m, const struct looks *l)
{
    for (size_t i = 0; i < m->ref_count; i++) {
        m->logs[i].broker = -1;
    }
    for (size_t k = 0; k < l->count; k++) {
        const struct probe_item *item = &l->items[k];
        struct partition_ref *ref = &m->refs[l->at[k]];
        m->logs[l->at[k]].evidence = item->evidence;
        m->logs[l->at[k]].broker = item->broker;
        ref->offset = item->answered ? ref->offset : LOOKUP_FAILED;
    }
}

static bool look(struct verifier *v, struct looks *l, usec_t timeout, struct error *err)
{
    if (l->count > 0 && v->probe == NULL) {
        v->probe = probe_new(v->cfg, err);
    }
    v->probed_at = clock_mono();
    return l->count == 0 ||
           (v->probe != NULL && probe_ask(v->probe, l->items, l->count, timeout, err) &&
            look_at_ends(v, l->items, l->count, timeout, err));
}

static bool look_at_records(struct verifier *v, struct scout_mail *m, usec_t timeout,
                            struct error *err)
{
    struct looks l = looks_of(m);
    bool ok = look(v, &l, timeout, err);

    if (ok) {
        take_evidence(m, &l);
    }
    looks_done(&l);
    return ok;
}

static void ask_ids(struct verifier *v, struct scout_mail *m, usec_t timeout)
{
    struct log_ids ids = {{""}, {""}};
    _cleanup_mem_ struct lookup_id *topics = mem_array(MAX(m->ref_count, 1), sizeof *topics);

    for (size_t i = 0; i < m->ref_count; i++) {
        topics[i].topic = m->refs[i].topic;
    }
    lookup_cluster_id(v->client, ids.cluster, sizeof ids.cluster, timeout);
    lookup_topic_ids(v->client, topics, m->ref_count, timeout);
    for (size_t i = 0; i < m->ref_count; i++) {
        m->logs[i].ids = ids;
        snprintf(m->logs[i].ids.topic, sizeof ids.topic, "%s", topics[i].id);
    }
}

bool verifier_ask(struct verifier *v, struct scout_mail *m, usec_t timeout, struct error *err)
{
    ask_ids(v, m, timeout);
    return look_at_records(v, m, timeout, err);
}

/* ---- its connections ---- */

void verifier_prepare(struct verifier *v)
{
    struct error ignored;

    if (config_has_ledger(v->cfg)) {
        v->probe = probe_new(v->cfg, &ignored);
        v->probed_at = clock_mono();
    }
}

void verifier_configure(struct verifier *v, const struct config *cfg)
{
    if (client_has_other_login(v->cfg, cfg)) {
        v->probe = probe_free(v->probe); /* the next one is made with the new login */
    }
    v->cfg = cfg;
}

usec_t verifier_deadline(const struct verifier *v)
{
    return v->probe != NULL ? v->probed_at + PROBE_KEPT : USEC_NEVER;
}

void verifier_turn(struct verifier *v, usec_t now)
{
    if (now >= verifier_deadline(v)) {
        v->probe = probe_free(v->probe);
    }
}

void verifier_done(struct verifier *v)
{
    v->probe = probe_free(v->probe);
}
