/* See snapshot.h. Made by main, read by the thread that has asked. */
#include "sink/watch/snapshot.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static snapshot_str add_text(struct snapshot *s, const char *text)
{
    size_t at = s->texts.n;

    if (text == NULL || *text == '\0' || at > UINT32_MAX / 2) {
        return 0;
    }
    buf_add(&s->texts, text, strlen(text) + 1);
    return (snapshot_str) at;
}

const char *snapshot_text(const struct snapshot *s, snapshot_str text)
{
    return (const char *) s->texts.p + text;
}

/* Partitions of one topic often follow each other. */
static snapshot_str add_topic(struct snapshot *s, const char *topic)
{
    if (s->partition_count > 0) {
        snapshot_str before = s->partitions[s->partition_count - 1].topic;
        if (strcmp(snapshot_text(s, before), topic) == 0) {
            return before;
        }
    }
    return add_text(s, topic);
}

static void copy_partition(struct snapshot *s, const struct crew_view *v)
{
    struct snapshot_partition p = {
        .topic = add_topic(s, v->topic),
        .number = v->number,
        .standing = v->standing,
        .is_fetched = v->is_fetched,
        .is_lost = v->is_lost,
        .stored = v->stored,
        .end = v->end,
        .timestamp_ms = v->timestamp_ms,
        .records = v->records,
        .stands_usec = v->standing != STANDING_NONE ? s->at - v->stands_since : 0,
        .why = add_text(s, v->why),
    };

    snprintf(p.sqlstate, sizeof p.sqlstate, "%s", v->standing != STANDING_NONE ? v->sqlstate : "");
    s->partitions[s->partition_count++] = p;
}

static void copy_partitions(struct snapshot *s, const struct crew *crew)
{
    size_t n = crew_view_count(crew);
    struct crew_view view;

    s->partitions = mem_array(n, sizeof *s->partitions);
    for (size_t i = 0; i < n; i++) {
        if (crew_view(crew, i, &view)) {
            copy_partition(s, &view);
        }
    }
    size_t places = crew_gone_count(crew);
    s->topics = mem_array(places, sizeof *s->topics);
    for (size_t i = 0; i < places; i++) {
        uint64_t records;
        const char *topic = crew_gone(crew, i, &records);
        if (topic != NULL) {
            s->topics[s->topic_count++] = (struct snapshot_topic){.name = add_text(s, topic),
                                                                  .records = records};
        }
    }
}

static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void copy_route(struct snapshot *s, const struct policy *policy)
{
    const struct route_stats *from = policy->stats;
    struct snapshot_route *r = &s->routes[s->route_count++];

    r->name = add_text(s, policy->route);
    r->rows = get(&from->rows);
    r->others = get(&from->others);
    for (size_t i = 0; i < ROUTE_CODES && get(&from->codes[i].code) != 0; i++) {
        r->codes[i].code = get(&from->codes[i].code);
        r->codes[i].count = get(&from->codes[i].count);
        r->code_count++;
    }
}

struct snapshot *snapshot_new(const struct snapshot_source *from)
{
    struct snapshot *s = mem_zalloc(sizeof *s);
    struct crew_summary summary = crew_summary(from->crew);

    buf_add_u8(&s->texts, 0);
    s->at = clock_mono();
    s->wall_ms = clock_wall_ms();
    s->ready = from->ready;
    s->stopping = from->stopping;
    s->brokers_away = summary.away;
    s->brokers_why = add_text(s, summary.why_away);
    s->target_why = add_text(s, from->target_why);
    s->registry_why = add_text(s, from->registry_why);
    s->schemas = from->schemas;
    s->group_denied = summary.group_denied;
    s->lacks = add_text(s, summary.lacks);
    s->workers = from->worker_count;
    s->workers_down = from->workers_down;
    s->buffer_limit = from->buffer_limit;
    s->totals = *from->past;
    for (size_t i = 0; i < from->worker_count; i++) {
        stats_add(&s->totals, worker_stats(from->workers[i]));
        s->queued += feed_length(worker_feed(from->workers[i]));
    }
    s->rebalances = crew_rebalances(from->crew);
    s->broker_count = traffic_read(client_traffic(from->client), s->brokers);
    copy_partitions(s, from->crew);
    s->routes = mem_array(from->policies->count, sizeof *s->routes);
    for (size_t i = 0; i < from->policies->count; i++) {
        const struct policy *p = from->policies->list[i];
        if (!p->retired && p != from->policies->nobody) {
            copy_route(s, p);
        }
    }
    for (size_t i = 0; i < TROUBLES; i++) {
        s->troubles[i] = *troubles_at(from->troubles, i);
    }
    return s;
}

struct snapshot *snapshot_free(struct snapshot *s)
{
    if (s != NULL) {
        free(s->partitions);
        free(s->topics);
        free(s->routes);
        buf_done(&s->texts);
        free(s);
    }
    return NULL;
}

static int compare(const void *a, const void *b, void *arg)
{
    const struct snapshot_partition *p = a;
    const struct snapshot_partition *q = b;
    const struct snapshot *s = arg;
    int order = p->topic == q->topic
                    ? 0
                    : strcmp(snapshot_text(s, p->topic), snapshot_text(s, q->topic));

    return order != 0 ? order : (p->number > q->number) - (p->number < q->number);
}

static int compare_topics(const void *a, const void *b, void *arg)
{
    const struct snapshot_topic *p = a;
    const struct snapshot_topic *q = b;

    return strcmp(snapshot_text(arg, p->name), snapshot_text(arg, q->name));
}

/* Each topic once. */
static void merge_topics(struct snapshot *s)
{
    size_t n = 0;

    qsort_r(s->topics, s->topic_count, sizeof *s->topics, compare_topics, s);
    for (size_t i = 0; i < s->topic_count; i++) {
        if (n > 0 && compare_topics(&s->topics[n - 1], &s->topics[i], s) == 0) {
            s->topics[n - 1].records += s->topics[i].records;
        } else {
            s->topics[n++] = s->topics[i];
        }
    }
    s->topic_count = n;
}

/* Addresses first, then brokers, those that share a place last. */
static int compare_brokers(const void *a, const void *b)
{
    const struct traffic_broker *p = a;
    const struct traffic_broker *q = b;
    bool p_rest = p->id == TRAFFIC_REST;
    bool q_rest = q->id == TRAFFIC_REST;

    return p_rest != q_rest ? p_rest - q_rest : (p->id > q->id) - (p->id < q->id);
}

void snapshot_sort(struct snapshot *s)
{
    qsort(s->brokers, s->broker_count, sizeof *s->brokers, compare_brokers);
    qsort_r(s->partitions, s->partition_count, sizeof *s->partitions, compare, s);
    merge_topics(s);
}

uint64_t snapshot_lag(const struct snapshot_partition *p)
{
    if (p->stored < 0 || p->end < 0) {
        return UINT64_MAX;
    }
    return p->end > p->stored ? (uint64_t) (p->end - p->stored) : 0;
}

double snapshot_lag_seconds(const struct snapshot *s, const struct snapshot_partition *p)
{
    uint64_t lag = snapshot_lag(p);

    if (lag == 0) {
        return 0;
    }
    if (lag == UINT64_MAX || p->timestamp_ms < 0) {
        return -1;
    }
    return s->wall_ms > p->timestamp_ms ? (double) (s->wall_ms - p->timestamp_ms) / 1000 : 0;
}
