/*
 * A crew without a broker, a server or a thread. What it uses of the library, the scout and the
 * clock is wrapped (meson.build, --wrap): a fetch is written down and checked against what the
 * library demands, questions to the scout wait to be answered by the test, and time passes only
 * when the test says so. Workers are mailboxes. Tests only; one thread, one file per program.
 */
#ifndef UNIT_SINK_CREW_RIG_H
#define UNIT_SINK_CREW_RIG_H

#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"
#include "config/config_kit.h"
#include "row/kit.h"
#include "sink/plan_kit.h"
#include "sink/worker/worker_state.h"

enum { RIG_WORKERS = 2, RIG_PLACES = 64 };

/* The library's side. */
struct feed_route {
    char topic[64];
    int32_t number;
};

struct rig_place {
    char topic[64];
    int32_t number;
    int64_t offset;
};

struct rig {
    struct config *cfg;
    struct plan *plan;
    struct entries entries;
    struct worker workers[RIG_WORKERS];
    struct worker *list[RIG_WORKERS];
    struct crew *crew;
};

static struct {
    usec_t now;
    bool cooperative;
    bool refuses; /* client_fetch fails */
    bool has_topic_ids;
    bool commits; /* client_commit takes what it is given */
    char cluster[64];
    size_t missing;         /* brokers that cannot be reached while others can: so many from */
    uint64_t missing_first; /* ... this one on */
    const char *why; /* brokers cannot be reached, as the library says; NULL: it says nothing */
    unsigned accepted;
    unsigned given_up;
    unsigned fetches;
    size_t routes;
    struct rig_place fetched[RIG_PLACES];
    size_t fetched_count;
    struct rig_place committed[RIG_PLACES];
    size_t committed_count;
    struct scout_mail *questions[RIG_PLACES];
    size_t question_count;
    void (*on_fetch)(const struct partition_ref *ref); /* NULL: nothing more is checked */
} world;

/* ---- what the crew uses ---- */

usec_t __wrap_clock_mono(void);
void __wrap_client_accept(struct client *c);
bool __wrap_client_fetch(struct client *c, const struct partition_ref *refs, size_t n,
                         struct error *err);
void __wrap_client_unfetch(struct client *c, const struct partition_ref *refs, size_t n);
void __wrap_client_give_up(struct client *c, const struct partition_ref *refs, size_t n);
bool __wrap_client_commit(struct client *c, const struct partition_ref *refs, size_t n);
bool __wrap_client_may_inform(const struct client *c);
void __wrap_client_why_away(const struct client *c, const char *otherwise, struct error *err);
uint64_t __wrap_client_why_changes(const struct client *c);
bool __wrap_client_why_is_known(const struct client *c);
size_t __wrap_client_missing(struct client *c, uint64_t names[CLIENT_MISSING_MOST],
                             struct error *err);
void __wrap_client_reached(struct client *c);
bool __wrap_client_is_cooperative(const struct client *c);
bool __wrap_client_is_member(const struct client *c);
bool __wrap_client_cluster_id(const struct client *c, char *out, size_t size);
const char *__wrap_client_instance_id(const struct client *c);
bool __wrap_lookup_has_topic_ids(void);
struct feed_route *__wrap_feed_route(struct feed *f, const char *topic, int32_t partition);
struct feed_route *__wrap_feed_unroute(struct feed_route *r);
void __wrap_scout_ask(struct scout *s, struct scout_mail *m);

usec_t __wrap_clock_mono(void)
{
    return world.now;
}

void __wrap_client_accept(struct client *c)
{
    (void) c;
    world.accepted++;
}

static size_t rig_find(const char *topic, int32_t number)
{
    size_t i = 0;

    while (i < world.fetched_count &&
           (world.fetched[i].number != number || strcmp(world.fetched[i].topic, topic) != 0)) {
        i++;
    }
    return i;
}

static struct rig_place rig_place_of(const struct partition_ref *ref)
{
    struct rig_place place = {.number = ref->partition, .offset = ref->offset};

    snprintf(place.topic, sizeof place.topic, "%s", ref->topic);
    return place;
}

/* The eager protocol replaces the assignment as a whole; none is fetched twice at a time. */
bool __wrap_client_fetch(struct client *c, const struct partition_ref *refs, size_t n,
                         struct error *err)
{
    (void) c;
    if (world.refuses) {
        return error_set(err, ERROR_KAFKA, "refused");
    }
    assert_true(world.cooperative || world.fetched_count == 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(rig_find(refs[i].topic, refs[i].partition), world.fetched_count);
        assert_true(refs[i].offset >= 0);
        if (world.on_fetch != NULL) {
            world.on_fetch(&refs[i]);
        }
        world.fetched[world.fetched_count++] = rig_place_of(&refs[i]);
    }
    world.fetches++;
    return true;
}

static void rig_unfetch(const struct partition_ref *ref)
{
    size_t i = rig_find(ref->topic, ref->partition);

    assert_true(i < world.fetched_count);
    world.fetched[i] = world.fetched[--world.fetched_count];
}

void __wrap_client_unfetch(struct client *c, const struct partition_ref *refs, size_t n)
{
    (void) c;
    for (size_t i = 0; i < n; i++) {
        rig_unfetch(&refs[i]);
    }
    world.fetched_count = world.cooperative ? world.fetched_count : 0; /* all */
}

void __wrap_client_give_up(struct client *c, const struct partition_ref *refs, size_t n)
{
    (void) c;
    world.given_up++;
    for (size_t i = 0; world.cooperative && i < n; i++) {
        rig_unfetch(&refs[i]);
    }
    world.fetched_count = world.cooperative ? world.fetched_count : 0; /* all */
}

bool __wrap_client_commit(struct client *c, const struct partition_ref *refs, size_t n)
{
    (void) c;
    world.committed_count = 0;
    for (size_t i = 0; world.commits && i < n; i++) {
        world.committed[world.committed_count++] = rig_place_of(&refs[i]);
    }
    return world.commits && n > 0;
}

bool __wrap_client_may_inform(const struct client *c)
{
    (void) c;
    return true;
}

void __wrap_client_why_away(const struct client *c, const char *otherwise, struct error *err)
{
    (void) c;
    error_set(err, ERROR_LINK, "brokers cannot be reached (%s)",
              world.why != NULL ? world.why : otherwise);
    error_hint(err, "Check them.");
}

uint64_t __wrap_client_why_changes(const struct client *c)
{
    (void) c;
    return world.why != NULL;
}

bool __wrap_client_why_is_known(const struct client *c)
{
    (void) c;
    return world.why != NULL;
}

size_t __wrap_client_missing(struct client *c, uint64_t names[CLIENT_MISSING_MOST],
                             struct error *err)
{
    (void) c;
    error_set(err, ERROR_LINK, "some brokers cannot be reached (%zu)", world.missing);
    error_hint(err, "Look for them.");
    for (size_t i = 0; i < world.missing; i++) {
        names[i] = world.missing_first + i;
    }
    return world.missing;
}

void __wrap_client_reached(struct client *c)
{
    (void) c;
    world.why = NULL;
}

bool __wrap_client_is_cooperative(const struct client *c)
{
    (void) c;
    return world.cooperative;
}

bool __wrap_client_is_member(const struct client *c)
{
    (void) c;
    return false; /* so the group is never asked */
}

bool __wrap_client_cluster_id(const struct client *c, char *out, size_t size)
{
    (void) c;
    snprintf(out, size, "%s", world.cluster);
    return world.cluster[0] != '\0';
}

const char *__wrap_client_instance_id(const struct client *c)
{
    (void) c;
    return NULL;
}

bool __wrap_lookup_has_topic_ids(void)
{
    return world.has_topic_ids;
}

struct feed_route *__wrap_feed_route(struct feed *f, const char *topic, int32_t partition)
{
    struct feed_route *r = mem_zalloc(sizeof *r);

    (void) f;
    assert_int_equal(rig_find(topic, partition), world.fetched_count); /* routed before */
    snprintf(r->topic, sizeof r->topic, "%s", topic);
    r->number = partition;
    world.routes++;
    return r;
}

struct feed_route *__wrap_feed_unroute(struct feed_route *r)
{
    world.routes -= r != NULL;
    free(r);
    return NULL;
}

void __wrap_scout_ask(struct scout *s, struct scout_mail *m)
{
    (void) s;
    assert_true(world.question_count < RIG_PLACES);
    world.questions[world.question_count++] = m;
}

/* ---- life ---- */

/* `more` is appended to the file; rows of orders and payments have tables, those of t_... not yet.
 */
static const char rig_text[] = "sink: s\n"
                               "kafka: {brokers: b, on_gap: %s}\n"
                               "postgres: {dsn: ''}\n"
                               "%s"
                               "routes:\n"
                               "  - {topics: [orders, payments], table: public.a}\n"
                               "  - {topics: ['^t_'], table: 'c_{topic}'}\n";

static inline struct rig *rig_new(struct kit *kit, const char *on_gap, const char *more)
{
    struct rig *r = mem_zalloc(sizeof *r);
    char text[1024];
    struct plan_job **jobs;

    memset(&world, 0, sizeof world);
    world.now = 1000 * USEC_PER_SEC;
    snprintf(world.cluster, sizeof world.cluster, "c1");
    snprintf(text, sizeof text, rig_text, on_gap, more);
    r->cfg = kit_load(kit, text);
    r->plan = plan_new(r->cfg);
    size_t n = plan_missing(r->plan, NULL, &jobs);
    for (size_t i = 0; i < n; i++) {
        plan_add(r->plan, plan_kit_ran(jobs[i]));
    }
    free(jobs);
    r->entries = entries_of(r->cfg);
    for (size_t i = 0; i < RIG_WORKERS; i++) {
        mailbox_init(&r->workers[i].orders);
        r->list[i] = &r->workers[i];
    }
    struct crew_config cc = {
        .cfg = r->cfg,
        .plan = r->plan,
        .workers = r->list,
        .worker_count = RIG_WORKERS,
        .entries = &r->entries,
    };
    r->crew = crew_new(&cc);
    return r;
}

static inline void rig_order_free(struct order *o)
{
    free(o->fault);
    free(o);
}

static inline void rig_free(struct rig *r)
{
    crew_free(r->crew);
    assert_int_equal(world.routes, 0);
    for (size_t i = 0; i < world.question_count; i++) {
        scout_mail_free(world.questions[i]);
    }
    for (size_t i = 0; i < RIG_WORKERS; i++) {
        struct mail *m = mailbox_take(&r->workers[i].orders);
        while (m != NULL) {
            struct mail *next = m->next;
            rig_order_free((struct order *) m);
            m = next;
        }
        mailbox_done(&r->workers[i].orders);
    }
    entries_done(&r->entries);
    plan_free(r->plan);
    config_free(r->cfg);
    free(r);
}

/* ---- what happens ---- */

static inline void rig_rebalance(struct rig *r, enum event_kind kind, bool lost,
                                 struct partition_ref *refs, size_t n)
{
    struct event e = {.kind = kind, .lost = lost, .refs = refs, .ref_count = n};

    crew_event(r->crew, &e);
}

#define RIG_REFS(...) ((struct partition_ref[]){__VA_ARGS__})
#define RIG_COUNT(...) (sizeof RIG_REFS(__VA_ARGS__) / sizeof(struct partition_ref))
#define rig_assign(r, ...)                                                                         \
    rig_rebalance(r, EVENT_ASSIGN, false, RIG_REFS(__VA_ARGS__), RIG_COUNT(__VA_ARGS__))
#define rig_revoke(r, ...)                                                                         \
    rig_rebalance(r, EVENT_REVOKE, false, RIG_REFS(__VA_ARGS__), RIG_COUNT(__VA_ARGS__))
#define rig_lose(r, ...)                                                                           \
    rig_rebalance(r, EVENT_REVOKE, true, RIG_REFS(__VA_ARGS__), RIG_COUNT(__VA_ARGS__))

/* A turn after this time. */
static inline void rig_turn(struct rig *r, usec_t after)
{
    world.now += after;
    crew_turn(r->crew, world.now);
}

static inline struct partition *rig_partition(struct rig *r, const char *topic, int32_t number)
{
    struct partition *p = index_find(&r->crew->index, topic, number);

    assert_non_null(p);
    return p;
}

/* Takes the first question of this kind; NULL: none was asked. */
static inline struct scout_mail *rig_asked(enum scout_kind kind)
{
    for (size_t i = 0; i < world.question_count; i++) {
        struct scout_mail *m = world.questions[i];
        if (m->kind == kind) {
            memmove(&world.questions[i], &world.questions[i + 1],
                    (--world.question_count - i) * sizeof(struct scout_mail *));
            return m;
        }
    }
    return NULL;
}

#endif
