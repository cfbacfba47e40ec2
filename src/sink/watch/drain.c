/*
 * The state of a drain and its decisions, see drain.h. Main thread.
 *
 *     SCOUT_TARGETS       what topics there are; again after a second if a named one seems missing
 *     SCOUT_TARGET_ENDS   the ends of their partitions; later, where a target stands above its end,
 *                         whether the log has grown so far
 *     SCOUT_LEDGER        when all that is ours is read: where the others stand
 */
#include "sink/watch/drain.h"

#include "base/log.h"
#include "base/mem.h"
#include "sink/watch/drain_state.h"

#include <stdlib.h>
#include <string.h>

#define MISSING_RETRY USEC_PER_SEC /* brokers learn of a new topic one after the other */
#define ENDS_RETRY (250 * USEC_PER_MSEC)
#define LEDGER_INTERVAL USEC_PER_SEC
/* In addition to the session's timeout: for a rebalance, and the first batch of the next owner. */
#define PATIENCE (15 * USEC_PER_SEC)
#define SESSION_TIMEOUT (45 * USEC_PER_SEC) /* the library's default */

/* ---- life ---- */

/* How long the group may take to notice that a member has gone, and what follows. */
static usec_t patience_of(const struct config *cfg)
{
    uint64_t session_ms = client_property_number(cfg, "session.timeout.ms",
                                                 SESSION_TIMEOUT / USEC_PER_MSEC);

    return session_ms * USEC_PER_MSEC + PATIENCE;
}

static struct drain_topic *find_topic(const struct drain *d, const char *name)
{
    for (size_t i = 0; i < d->topic_count; i++) {
        if (strcmp(d->topics[i].name, name) == 0) {
            return &d->topics[i];
        }
    }
    return NULL;
}

static struct drain_topic *add_topic(struct drain *d, const char *name, bool is_pattern)
{
    d->topics = mem_grow(d->topics, &d->topic_cap, d->topic_count, sizeof *d->topics);
    struct drain_topic *t = &d->topics[d->topic_count++];
    *t = (struct drain_topic){.name = mem_strdup(name), .is_pattern = is_pattern};
    return t;
}

struct drain *drain_new(const struct config *cfg, const struct plan *plan)
{
    struct drain *d = mem_zalloc(sizeof *d);

    d->cfg = cfg;
    d->plan = plan;
    d->patience = patience_of(cfg);
    for (size_t r = 0; r < cfg->route_count; r++) {
        const struct config_topics *topics = &cfg->routes[r].topics;
        for (size_t i = 0; i < topics->count; i++) {
            if (find_topic(d, topics->items[i].name) == NULL) {
                add_topic(d, topics->items[i].name, topics->items[i].is_regex);
            }
        }
    }
    return d;
}

struct drain *drain_free(struct drain *d)
{
    if (d == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < d->topic_count; i++) {
        free(d->topics[i].name);
    }
    for (size_t i = 0; i < d->count; i++) {
        free(d->targets[i].why);
        free(d->targets[i].owner);
    }
    free(d->topics);
    free(d->targets);
    free(d);
    return NULL;
}

size_t drain_count(const struct drain *d)
{
    return d->count;
}

struct partition_ref drain_ref(const struct drain *d, size_t i)
{
    const struct drain_target *t = &d->targets[i];

    return (struct partition_ref){
        .topic = d->topics[t->topic].name, .partition = t->partition, .offset = t->end};
}

/* ---- judging ---- */

/*
 * A ledger above the end is right where the log has grown meanwhile, and wrong where the topic was
 * created again with fewer records: so the log's end is asked for again.
 */
bool drain_is_above(const struct drain_target *t)
{
    return t->end >= 0 && t->at > t->end && !t->inside;
}

/* What is ours counts as read only when it is fetched: then everything is known that can be found
 * out about its log. */
enum fate drain_fate(const struct drain_target *t)
{
    if (t->hold == CREW_STOPPED) {
        return FATE_STOPPED;
    }
    if (t->end < 0 || t->hold == CREW_BUSY) {
        return FATE_OPEN;
    }
    if (t->at >= t->end && !drain_is_above(t)) {
        return FATE_READ;
    }
    return t->hold == CREW_ELSEWHERE ? FATE_ELSEWHERE : FATE_OPEN;
}

bool drain_is_over(const struct drain *d, usec_t now)
{
    bool waits = d->count > 0 && !d->joined;

    if (!d->complete) {
        return false;
    }
    for (size_t i = 0; i < d->count; i++) {
        enum fate fate = drain_fate(&d->targets[i]);
        if (fate == FATE_OPEN) {
            return false;
        }
        waits = waits || fate == FATE_ELSEWHERE;
    }
    return !waits || now >= d->quiet_since + d->patience;
}

/* ---- what the crew knows ---- */

static void keep_why(struct drain_target *t, const char *why)
{
    if (why != NULL && (t->why == NULL || strcmp(t->why, why) != 0)) {
        free(t->why);
        t->why = mem_strdup(why);
    }
}

void drain_note(struct drain *d, size_t i, const struct crew_place *place, usec_t now)
{
    struct drain_target *t = &d->targets[i];
    bool moved = place->hold != t->hold;

    t->hold = place->hold;
    if (t->hold == CREW_STOPPED) {
        keep_why(t, place->why);
    }
    if (t->hold != CREW_ELSEWHERE && place->stored >= 0) {
        t->at = place->stored;
        t->first = t->first < 0 ? t->at : t->first;
    }
    if (moved || drain_fate(t) == FATE_OPEN) {
        d->quiet_since = now;
    }
}

/* While the brokers are away no member can go on. */
void drain_note_group(struct drain *d, const struct crew_summary *crew, usec_t now)
{
    if (crew->away || crew->joined != d->joined) {
        d->quiet_since = now;
    }
    d->joined = crew->joined;
}

void drain_look(struct drain *d, const struct crew *c, usec_t now)
{
    struct crew_summary s = crew_summary(c);

    drain_note_group(d, &s, now);
    for (size_t i = 0; i < d->count; i++) {
        const struct drain_target *t = &d->targets[i];
        struct crew_place place = crew_place(c, d->topics[t->topic].name, t->partition);
        drain_note(d, i, &place, now);
    }
}

/* ---- questions ---- */

static bool end_is_due(const struct drain_target *t)
{
    return t->end < 0 || drain_is_above(t);
}

static bool ledger_is_due(const struct drain_target *t)
{
    return t->hold == CREW_ELSEWHERE;
}

/* About all targets that `due` selects; NULL when there are none. */
static struct scout_mail *question(const struct drain *d, enum scout_kind kind,
                                   bool (*due)(const struct drain_target *t))
{
    struct scout_mail *m = NULL;

    for (size_t i = 0; i < d->count; i++) {
        const struct drain_target *t = &d->targets[i];
        if (due(t)) {
            m = m != NULL ? m : scout_mail_new(kind, d->count - i);
            scout_mail_add(m, d->topics[t->topic].name, t->partition, i);
        }
    }
    return m;
}

static struct scout_mail *ask_topics(struct drain *d, usec_t now)
{
    if (d->complete || now < d->topics_at) {
        return NULL;
    }
    d->begun = true;
    return scout_mail_new(SCOUT_TARGETS, 0);
}

static struct scout_mail *ask_ends(struct drain *d, usec_t now)
{
    struct scout_mail *m = now >= d->ends_at ? question(d, SCOUT_TARGET_ENDS, end_is_due) : NULL;

    if (m == NULL) {
        return NULL;
    }
    d->ends_at = now + ENDS_RETRY;
    for (size_t i = 0; i < d->count; i++) {
        d->targets[i].asked_at = d->targets[i].at;
    }
    return m;
}

static bool ours_are_read(const struct drain *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct drain_target *t = &d->targets[i];
        if (t->hold != CREW_ELSEWHERE && drain_fate(t) == FATE_OPEN) {
            return false;
        }
    }
    return true;
}

static struct scout_mail *ask_ledger(struct drain *d, usec_t now)
{
    if (now < d->ledger_at || !ours_are_read(d)) {
        return NULL;
    }
    d->ledger_at = now + LEDGER_INTERVAL;
    return question(d, SCOUT_LEDGER, ledger_is_due);
}

struct scout_mail *drain_turn(struct drain *d, usec_t now)
{
    if (d->asking) {
        return NULL;
    }
    struct scout_mail *m = ask_topics(d, now);
    m = m != NULL ? m : ask_ends(d, now);
    m = m != NULL ? m : ask_ledger(d, now);
    d->asking = m != NULL;
    return m;
}

/* ---- answers ---- */

static void add_targets(struct drain *d, struct drain_topic *topic, int n)
{
    topic->found = true;
    topic->first = d->count;
    topic->count = (size_t) n;
    for (int i = 0; i < n; i++) {
        d->targets = mem_grow(d->targets, &d->cap, d->count, sizeof *d->targets);
        d->targets[d->count++] = (struct drain_target){
            .topic = (size_t) (topic - d->topics),
            .partition = i,
            .end = -1,
            .log_end = -1,
            .asked_at = -1,
            .first = -1,
            .at = -1,
        };
    }
}

/* A topic without partitions is about to appear, or has just gone. */
static void take_topic(struct drain *d, const struct lookup_topic *found)
{
    if (found->partition_count <= 0 || !plan_takes(d->plan, found->name)) {
        return;
    }
    struct drain_topic *t = find_topic(d, found->name);
    if (t == NULL) {
        t = add_topic(d, found->name, false);
    }
    if (!t->found) {
        add_targets(d, t, found->partition_count);
    }
}

static bool any_missing(const struct drain *d)
{
    for (size_t i = 0; i < d->topic_count; i++) {
        if (!d->topics[i].is_pattern && !d->topics[i].found) {
            return true;
        }
    }
    return false;
}

static void answer_topics(struct drain *d, const struct scout_mail *m, usec_t now)
{
    for (size_t i = 0; i < m->topic_count; i++) {
        take_topic(d, &m->topics[i]);
    }
    d->reached = true;
    d->quiet_since = now;
    d->topics_at = now + MISSING_RETRY;
    d->complete = ++d->answers > 1 || !any_missing(d);
}

static void answer_ends(struct drain *d, const struct scout_mail *m)
{
    for (size_t i = 0; i < m->ref_count; i++) {
        struct drain_target *t = &d->targets[m->generations[i]];
        int64_t end = m->refs[i].offset;
        if (end >= 0) {
            t->log_end = end;
            t->inside = t->inside || (t->end >= 0 && end >= t->asked_at);
            t->end = t->end < 0 ? end : t->end;
        }
    }
}

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void log_waiting(struct drain *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->count; i++) {
        n += drain_fate(&d->targets[i]) == FATE_ELSEWHERE;
    }
    if (n > 0 && d->joined && !d->waits_logged) {
        d->waits_logged = true;
        log_event(LOG(drain_waits), n, n == 1 ? "" : "s");
    }
}

static void answer_ledger(struct drain *d, const struct scout_mail *m, usec_t now)
{
    d->ledger_at = now + LEDGER_INTERVAL;
    for (size_t i = 0; i < m->ref_count; i++) {
        struct drain_target *t = &d->targets[m->generations[i]];
        int64_t at = m->refs[i].offset >= 0 ? m->refs[i].offset : -1;
        if (t->hold != CREW_ELSEWHERE || m->refs[i].offset == LOOKUP_FAILED) {
            continue;
        }
        if (at != t->at || !same(m->owners[i], t->owner)) {
            d->quiet_since = now;
        }
        t->at = at;
        free(t->owner);
        t->owner = mem_strdup(m->owners[i]);
    }
    log_waiting(d);
}

bool drain_asks(enum scout_kind kind)
{
    return kind == SCOUT_TARGETS || kind == SCOUT_TARGET_ENDS || kind == SCOUT_LEDGER;
}

void drain_answer(struct drain *d, const struct scout_mail *m, usec_t now)
{
    d->asking = false;
    if (m->failed) {
        d->quiet_since = now; /* what is not seen may well move */
        d->ledger_at = now + LEDGER_INTERVAL;
    } else if (m->kind == SCOUT_TARGETS) {
        answer_topics(d, m, now);
    } else if (m->kind == SCOUT_TARGET_ENDS) {
        answer_ends(d, m);
    } else {
        answer_ledger(d, m, now);
    }
}

static uint64_t above(int64_t high, int64_t low)
{
    return high > low ? (uint64_t) (high - low) : 0;
}

struct drain_left drain_left(const struct drain *d)
{
    struct drain_left left = {0};

    for (size_t i = 0; i < d->count; i++) {
        const struct drain_target *t = &d->targets[i];
        if (t->hold != CREW_ELSEWHERE && t->first >= 0) {
            left.total += above(t->end, t->first);
            left.to_go += above(t->end, t->at);
        }
    }
    return left;
}
