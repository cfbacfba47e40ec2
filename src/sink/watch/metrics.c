/*
 * See metrics.h. A row of stats.def becomes a family: its head, then its samples. What is broken
 * down by labels has a function of its name below; a row without one does not compile.
 */
#include "sink/watch/metrics.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* With more topics, and more than partitions that may have metrics, they are added up. */
#define TOPICS_MOST ((size_t) 1000)

enum kind { COUNTER, GAUGE, BUCKETS };

struct writer {
    const struct metrics *m;
    const struct snapshot *s; /* m->snapshot */
    enum metrics_format format;
    const char *name;   /* of the family under way, */
    const char *suffix; /*   and what its samples add to that */
    bool labelled;      /* a sample is open and has a label */
    bool one_topic;     /* there are too many topics: they are added up, without a label */
    struct buf *out;
};

enum metrics_format metrics_format_of(const char *accept)
{
    return strstr(accept, "application/openmetrics-text") != NULL ? METRICS_OPENMETRICS
                                                                  : METRICS_TEXT;
}

const char *metrics_type(enum metrics_format format)
{
    return format == METRICS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- families ---- */

static bool ends_with(const char *name, const char *unit)
{
    size_t n = strlen(name);
    size_t k = strlen(unit);

    return n > k && name[n - k - 1] == '_' && strcmp(name + n - k, unit) == 0;
}

static void family(struct writer *w, const char *name, enum kind kind, const char *unit,
                   const char *help)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const char *suffix = kind == COUNTER ? "_total" : "";
    bool open = w->format == METRICS_OPENMETRICS;
    const char *shown = open ? "" : suffix; /* OpenMetrics leaves it out here */

    w->name = name;
    w->suffix = suffix;
    buf_printf(w->out, "# HELP %s%s %s\n", name, shown, help);
    buf_printf(w->out, "# TYPE %s%s %s\n", name, shown, kinds[kind]);
    if (open && ends_with(name, unit)) {
        buf_printf(w->out, "# UNIT %s %s\n", name, unit);
    }
}

/* ---- samples: begin, labels, value ---- */

static void label(struct writer *w, const char *name, const char *value)
{
    buf_printf(w->out, "%s%s=\"", w->labelled ? "," : "{", name);
    w->labelled = true;
    for (const char *p = value; *p != '\0'; p++) {
        if (*p == '\n') {
            buf_add_z(w->out, "\\n");
            continue;
        }
        if (*p == '"' || *p == '\\') {
            buf_add_u8(w->out, '\\');
        }
        buf_add_u8(w->out, (uint8_t) *p);
    }
    buf_add_u8(w->out, '"');
}

static void begin_as(struct writer *w, const char *suffix)
{
    buf_add_z(w->out, w->name);
    buf_add_z(w->out, suffix);
    w->labelled = false;
    label(w, "sink", w->m->sink);
}

static void begin(struct writer *w)
{
    begin_as(w, w->suffix);
}

static void label_number(struct writer *w, const char *name, int32_t number)
{
    char text[16];

    snprintf(text, sizeof text, "%d", number);
    label(w, name, text);
}

static void value(struct writer *w, uint64_t number)
{
    buf_printf(w->out, "} %llu\n", (unsigned long long) number);
}

static void value_double(struct writer *w, double number)
{
    buf_printf(w->out, "} %.16g\n", number);
}

static void sample(struct writer *w, uint64_t number)
{
    begin(w);
    value(w, number);
}

static void sample_double(struct writer *w, double number)
{
    begin(w);
    value_double(w, number);
}

static void histogram(struct writer *w, const struct histogram *h, double scale,
                      enum stats_histogram which)
{
    size_t n;
    const uint64_t *at = stats_bounds(which, &n);
    uint64_t count = 0;
    char le[32] = "+Inf";

    for (size_t i = 0; i <= n; i++) {
        count += h->counts[i];
        snprintf(le, sizeof le, i < n ? "%.16g" : "+Inf", i < n ? (double) at[i] / scale : 0);
        begin_as(w, "_bucket");
        label(w, "le", le);
        value(w, count);
    }
    begin_as(w, "_sum");
    value_double(w, (double) h->sum / scale);
    begin_as(w, "_count");
    value(w, count);
}

/* ---- by topic ---- */

/* The partitions of a topic: from `first` to before the result. */
static size_t topic_end(const struct snapshot *s, size_t first)
{
    size_t i = first;
    const char *topic = snapshot_text(s, s->partitions[first].topic);

    while (i < s->partition_count && strcmp(snapshot_text(s, s->partitions[i].topic), topic) == 0) {
        i++;
    }
    return i;
}

/* Those of partitions that we have, and those that have gone, each once. */
static size_t count_topics(const struct snapshot *s)
{
    size_t gone = 0;
    size_t n = 0;

    for (size_t first = 0; first < s->partition_count; first = topic_end(s, first)) {
        const char *topic = snapshot_text(s, s->partitions[first].topic);
        while (gone < s->topic_count && strcmp(snapshot_text(s, s->topics[gone].name), topic) < 0) {
            gone++;
            n++;
        }
        gone += gone < s->topic_count && strcmp(snapshot_text(s, s->topics[gone].name), topic) == 0;
        n++;
    }
    return n + s->topic_count - gone;
}

static void sample_topic(struct writer *w, const char *topic, uint64_t number)
{
    begin(w);
    label(w, "topic", topic);
    value(w, number);
}

/* With what was stored of partitions that have gone since. Both lists are in the order of names. */
static void print_records_by_topic(struct writer *w)
{
    const struct snapshot *s = w->s;
    size_t gone = 0;

    for (size_t first = 0, end; first < s->partition_count; first = end) {
        const char *topic = snapshot_text(s, s->partitions[first].topic);
        uint64_t records = 0;
        end = topic_end(s, first);
        for (; gone < s->topic_count; gone++) {
            const struct snapshot_topic *g = &s->topics[gone];
            int order = strcmp(snapshot_text(s, g->name), topic);
            if (order > 0) {
                break;
            }
            if (order < 0) {
                sample_topic(w, snapshot_text(s, g->name), g->records);
            }
            records += order == 0 ? g->records : 0;
        }
        for (size_t i = first; i < end; i++) {
            records += s->partitions[i].records;
        }
        sample_topic(w, topic, records);
    }
    for (; gone < s->topic_count; gone++) {
        sample_topic(w, snapshot_text(s, s->topics[gone].name), s->topics[gone].records);
    }
}

static void print_records(struct writer *w)
{
    uint64_t records = 0;

    if (!w->one_topic) {
        print_records_by_topic(w);
        return;
    }
    for (size_t i = 0; i < w->s->partition_count; i++) {
        records += w->s->partitions[i].records;
    }
    for (size_t i = 0; i < w->s->topic_count; i++) {
        records += w->s->topics[i].records;
    }
    sample(w, records);
}

static void print_partitions(struct writer *w)
{
    if (w->one_topic) {
        sample(w, w->s->partition_count);
        return;
    }
    for (size_t first = 0, end; first < w->s->partition_count; first = end) {
        end = topic_end(w->s, first);
        sample_topic(w, snapshot_text(w->s, w->s->partitions[first].topic), end - first);
    }
}

/* ---- by partition, or added up ---- */

/* Also where few are here now, and it is topics that have gone that are too many: without a topic,
 * several partitions would have the same labels. */
static bool are_added_up(const struct writer *w)
{
    return w->one_topic || w->s->partition_count > w->m->partition_limit;
}

static void begin_partition(struct writer *w, const struct snapshot_partition *p)
{
    begin(w);
    if (!w->one_topic) {
        label(w, "topic", snapshot_text(w->s, p->topic));
    }
    if (are_added_up(w)) {
        label(w, "partition", "all");
    } else {
        label_number(w, "partition", p->number);
    }
}

/* Where what is added up with number i ends. */
static size_t sum_end(const struct writer *w, size_t i)
{
    if (w->one_topic) {
        return w->s->partition_count;
    }
    return are_added_up(w) ? topic_end(w->s, i) : i + 1;
}

static void print_lag_records(struct writer *w)
{
    const struct snapshot *s = w->s;

    for (size_t i = 0; i < s->partition_count; i++) {
        const struct snapshot_partition *p = &s->partitions[i];
        size_t end = sum_end(w, i);
        uint64_t sum = 0;
        bool known = false;
        for (; i < end; i++) {
            uint64_t lag = snapshot_lag(&s->partitions[i]);
            known |= lag != UINT64_MAX;
            sum += lag != UINT64_MAX ? lag : 0;
        }
        i = end - 1;
        if (known) {
            begin_partition(w, p);
            value(w, sum);
        }
    }
}

static void print_lag_seconds(struct writer *w)
{
    const struct snapshot *s = w->s;

    for (size_t i = 0; i < s->partition_count; i++) {
        const struct snapshot_partition *p = &s->partitions[i];
        size_t end = sum_end(w, i);
        double most = -1;
        for (; i < end; i++) {
            double age = snapshot_lag_seconds(s, &s->partitions[i]);
            most = MAX(most, age);
        }
        i = end - 1;
        if (most >= 0) {
            begin_partition(w, p);
            value_double(w, most);
        }
    }
}

static void print_next_offset(struct writer *w)
{
    for (size_t i = 0; i < w->s->partition_count && !are_added_up(w); i++) {
        const struct snapshot_partition *p = &w->s->partitions[i];
        if (p->stored >= 0) {
            begin_partition(w, p);
            value(w, (uint64_t) p->stored);
        }
    }
}

/* ---- by others ---- */

static void print_rows(struct writer *w)
{
    for (size_t i = 0; i < w->s->route_count; i++) {
        begin(w);
        label(w, "route", snapshot_text(w->s, w->s->routes[i].name));
        value(w, w->s->routes[i].rows);
    }
}

static void sample_letters(struct writer *w, const char *route, const char *sqlstate, uint64_t n)
{
    begin(w);
    label(w, "route", route);
    label(w, "sqlstate", sqlstate);
    value(w, n);
}

static void print_dead_letters(struct writer *w)
{
    for (size_t i = 0; i < w->s->route_count; i++) {
        const struct snapshot_route *r = &w->s->routes[i];
        const char *route = snapshot_text(w->s, r->name);
        for (size_t k = 0; k < r->code_count; k++) {
            char code[6];
            stats_code_text(r->codes[k].code, code);
            sample_letters(w, route, code, r->codes[k].count);
        }
        sample_letters(w, route, "other", r->others); /* also 0: else nothing has no rate */
    }
}

static void print_retries(struct writer *w)
{
    for (size_t i = ERROR_NONE + 1; i < STATS_ERROR_CLASSES; i++) {
        begin(w);
        label(w, "class", error_class_name((enum error_class) i));
        value(w, w->s->totals.retries_by_class[i]);
    }
}

static void print_standing_partitions(struct writer *w)
{
    size_t counts[STANDING_STATES] = {0};

    for (size_t i = 0; i < w->s->partition_count; i++) {
        counts[w->s->partitions[i].standing]++;
    }
    for (size_t i = STANDING_NONE + 1; i < STANDING_STATES; i++) {
        begin(w);
        label(w, "state", standing_name((enum standing_state) i));
        value(w, counts[i]);
    }
}

/* ---- one number ---- */

static void print_workers(struct writer *w)
{
    sample(w, w->s->workers);
}

static void print_queue_records(struct writer *w)
{
    sample(w, w->s->queued);
}

static void print_buffer_limit_bytes(struct writer *w)
{
    sample(w, w->m->buffer_limit);
}

static void print_last_commit_timestamp_seconds(struct writer *w)
{
    sample_double(w, (double) w->s->totals.committed_ms / 1000);
}

static void print_registry_away(struct writer *w)
{
    sample(w, *snapshot_text(w->s, w->s->registry_why) != '\0');
}

static void print_schemas(struct writer *w)
{
    sample(w, w->s->schemas);
}

static void print_brokers_away(struct writer *w)
{
    sample(w, w->s->brokers_away);
}

/* ---- brokers and the group ---- */

static void begin_broker(struct writer *w, const char *suffix, const struct traffic_broker *b)
{
    begin_as(w, suffix);
    if (b->id >= 0) {
        label_number(w, "broker", b->id);
    } else {
        label(w, "broker", b->id == TRAFFIC_BOOTSTRAP ? "bootstrap" : "other");
    }
}

static void begin_trip(struct writer *w, const char *suffix, const struct traffic_broker *b,
                       size_t request)
{
    begin_broker(w, suffix, b);
    label(w, "request", request == TRAFFIC_FETCH ? "fetch" : "other");
}

static void trip(struct writer *w, const struct traffic_broker *b, size_t request)
{
    size_t n;
    const uint64_t *at = traffic_bounds(&n);
    uint64_t count = 0;
    char le[32] = "+Inf";

    for (size_t i = 0; i <= n; i++) {
        count += b->round_trip[request].counts[i];
        snprintf(le, sizeof le, i < n ? "%.16g" : "+Inf",
                 i < n ? (double) at[i] / USEC_PER_SEC : 0);
        begin_trip(w, "_bucket", b, request);
        label(w, "le", le);
        value(w, count);
    }
    begin_trip(w, "_sum", b, request);
    value_double(w, (double) b->round_trip[request].sum_usec / USEC_PER_SEC);
    begin_trip(w, "_count", b, request);
    value(w, count);
}

static void print_broker_round_trip_seconds(struct writer *w)
{
    for (size_t i = 0; i < w->s->broker_count; i++) {
        trip(w, &w->s->brokers[i], TRAFFIC_FETCH);
        trip(w, &w->s->brokers[i], TRAFFIC_OTHER);
    }
}

static void print_broker_sent_bytes(struct writer *w)
{
    for (size_t i = 0; i < w->s->broker_count; i++) {
        begin_broker(w, w->suffix, &w->s->brokers[i]);
        value(w, w->s->brokers[i].sent_bytes);
    }
}

static void print_broker_received_bytes(struct writer *w)
{
    for (size_t i = 0; i < w->s->broker_count; i++) {
        begin_broker(w, w->suffix, &w->s->brokers[i]);
        value(w, w->s->brokers[i].received_bytes);
    }
}

static void print_broker_failed_requests(struct writer *w)
{
    static const char *const reasons[TRAFFIC_FAILURES] = {"timeout", "transport", "other"};

    for (size_t i = 0; i < w->s->broker_count; i++) {
        for (size_t k = 0; k < TRAFFIC_FAILURES; k++) {
            begin_broker(w, w->suffix, &w->s->brokers[i]);
            label(w, "reason", reasons[k]);
            value(w, w->s->brokers[i].failed[k]);
        }
    }
}

static void print_broker_connects(struct writer *w)
{
    for (size_t i = 0; i < w->s->broker_count; i++) {
        begin_broker(w, w->suffix, &w->s->brokers[i]);
        value(w, w->s->brokers[i].connects);
    }
}

static void print_broker_disconnects(struct writer *w)
{
    for (size_t i = 0; i < w->s->broker_count; i++) {
        begin_broker(w, w->suffix, &w->s->brokers[i]);
        value(w, w->s->brokers[i].disconnects);
    }
}

static void print_broker_throttled_seconds(struct writer *w)
{
    for (size_t i = 0; i < w->s->broker_count; i++) {
        begin_broker(w, w->suffix, &w->s->brokers[i]);
        value_double(w, (double) w->s->brokers[i].throttled_ms / 1000);
    }
}

static void sample_kind(struct writer *w, const char *kind, uint64_t number)
{
    begin(w);
    label(w, "kind", kind);
    value(w, number);
}

static void print_rebalances(struct writer *w)
{
    sample_kind(w, "assigned", w->s->rebalances.assigned);
    sample_kind(w, "revoked", w->s->rebalances.revoked);
    sample_kind(w, "lost", w->s->rebalances.lost);
}

static void print_last_rebalance_timestamp_seconds(struct writer *w)
{
    sample_double(w, (double) w->s->rebalances.last_ms / 1000);
}

static void print_ready(struct writer *w)
{
    sample(w, w->m->ready);
}

static void print_snapshot_timestamp_seconds(struct writer *w)
{
    sample_double(w, w->s != NULL ? (double) w->s->wall_ms / 1000 : 0);
}

static void print_build_info(struct writer *w)
{
    begin(w);
    label(w, "version", PGSINKD_VERSION);
    label(w, "librdkafka", w->m->librdkafka);
    value(w, 1);
}

/* ---- the process ---- */

static void print_process_cpu_seconds(struct writer *w)
{
    sample_double(w, (double) w->m->process.cpu_usec / USEC_PER_SEC);
}

static void print_process_resident_memory_bytes(struct writer *w)
{
    sample(w, w->m->process.resident_bytes);
}

static void print_process_virtual_memory_bytes(struct writer *w)
{
    sample(w, w->m->process.virtual_bytes);
}

static void print_process_open_fds(struct writer *w)
{
    sample(w, w->m->process.open_fds);
}

static void print_process_max_fds(struct writer *w)
{
    sample(w, w->m->process.max_fds);
}

static void print_process_threads(struct writer *w)
{
    sample(w, w->m->process.threads);
}

static void print_process_start_time_seconds(struct writer *w)
{
    sample_double(w, w->m->process.start_seconds);
}

/* ---- all of it ---- */

/* What can be said before main has shown anything. */
static bool needs_snapshot(const char *name)
{
    return strcmp(name, "ready") != 0 && strcmp(name, "snapshot_timestamp_seconds") != 0 &&
           strcmp(name, "build_info") != 0;
}

void metrics_print(const struct metrics *m, enum metrics_format format, struct buf *out)
{
    struct writer writer = {.m = m, .s = m->snapshot, .format = format, .out = out};
    struct writer *w = &writer;

    w->one_topic = w->s != NULL && count_topics(w->s) > MAX(m->partition_limit, TOPICS_MOST);

#define STAT(name, kind, unit, help)                                                               \
    if (w->s != NULL) {                                                                            \
        family(w, "pgsinkd_" #name, kind, #unit, help);                                            \
        sample(w, w->s->totals.name);                                                              \
    }
#define STAT_BY(name, kind, unit, labels, help)                                                    \
    if (w->s != NULL) {                                                                            \
        family(w, "pgsinkd_" #name, kind, #unit, help);                                            \
        print_##name(w);                                                                           \
    }
#define HISTOGRAM(name, unit, scale, help, ...)                                                    \
    if (w->s != NULL) {                                                                            \
        family(w, "pgsinkd_" #name, BUCKETS, #unit, help);                                         \
        histogram(w, &w->s->totals.name, scale, HISTOGRAM_##name);                                 \
    }
#define SEEN(name, kind, unit, labels, help)                                                       \
    if (w->s != NULL || !needs_snapshot(#name)) {                                                  \
        family(w, "pgsinkd_" #name, kind, #unit, help);                                            \
        print_##name(w);                                                                           \
    }
#define PROCESS(name, kind, unit, help)                                                            \
    family(w, #name, kind, #unit, help);                                                           \
    print_##name(w);
#include "sink/shared/stats.def"
    if (format == METRICS_OPENMETRICS) {
        buf_add_z(out, "# EOF\n");
    }
}

/* ---- docs/metrics.md ---- */

static void doc_row(struct buf *out, const char *name, enum kind kind, const char *labels,
                    const char *help)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};

    buf_printf(out, "| `%s%s` | %s | %s | %s |\n", name, kind == COUNTER ? "_total" : "",
               kinds[kind], labels, help);
}

void metrics_doc(struct buf *out)
{
    buf_add_z(
        out,
        "# Metrics\n\n"
        "Printed from `src/sink/shared/stats.def`. With `http.listen` (docs/options.md) they are "
        "served\n"
        "on `/metrics`, in Prometheus' text format or as OpenMetrics, whichever is asked for. Each "
        "has\n"
        "the label `sink`. They are of one process, count from its start, and are at most a second "
        "old.\n"
        "Where there are more than 1,000 topics, and more than `http.partitions`, they are added "
        "up, and\n"
        "the label `topic` is not there.\n"
        "Alerts and a dashboard over them are in `contrib/`; docs/OPERATIONS.md says how to use "
        "them.\n\n");
    buf_add_z(out, "| name | kind | labels besides `sink` | what it says |\n|---|---|---|---|\n");
#define STAT(name, kind, unit, help) doc_row(out, "pgsinkd_" #name, kind, "", help);
#define STAT_BY(name, kind, unit, labels, help) doc_row(out, "pgsinkd_" #name, kind, labels, help);
#define HISTOGRAM(name, unit, scale, help, ...) doc_row(out, "pgsinkd_" #name, BUCKETS, "le", help);
#define SEEN(name, kind, unit, labels, help) doc_row(out, "pgsinkd_" #name, kind, labels, help);
#define PROCESS(name, kind, unit, help) doc_row(out, #name, kind, "", help);
#include "sink/shared/stats.def"
}
