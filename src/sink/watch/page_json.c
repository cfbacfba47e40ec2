/* /status, see page.h. Any thread. */
#include "sink/watch/markup.h"
#include "sink/watch/page.h"

const char *page_state(const struct snapshot_partition *p)
{
    if (p->standing != STANDING_NONE) {
        return standing_name(p->standing);
    }
    return p->is_lost ? "lost" : p->is_fetched ? "reading" : "starting";
}

/* `,"name":`, without the comma at the beginning of an object. */
static void key(struct buf *out, const char *name)
{
    if (out->n > 0 && out->p[out->n - 1] != '{') {
        buf_add_u8(out, ',');
    }
    buf_printf(out, "\"%s\":", name);
}

static void text(struct buf *out, const char *name, const char *value)
{
    key(out, name);
    markup_json(out, value);
}

static void number(struct buf *out, const char *name, uint64_t value)
{
    key(out, name);
    buf_printf(out, "%llu", (unsigned long long) value);
}

static void decimal(struct buf *out, const char *name, double value)
{
    key(out, name);
    buf_printf(out, "%.3f", value);
}

static void truth(struct buf *out, const char *name, bool value)
{
    key(out, name);
    buf_add_z(out, value ? "true" : "false");
}

/* -1: it is not known. */
static void offset(struct buf *out, const char *name, int64_t value)
{
    key(out, name);
    if (value < 0) {
        buf_add_z(out, "null");
    } else {
        buf_printf(out, "%lld", (long long) value);
    }
}

/* Before each element of a list but the first. */
static void element(struct buf *out, size_t i)
{
    buf_add_z(out, i > 0 ? ",{" : "{");
}

static void add_partition(const struct snapshot *s, const struct snapshot_partition *p,
                          struct buf *out)
{
    uint64_t lag = snapshot_lag(p);
    double seconds = snapshot_lag_seconds(s, p);

    text(out, "topic", snapshot_text(s, p->topic));
    offset(out, "partition", p->number);
    text(out, "state", page_state(p));
    offset(out, "next_offset", p->stored);
    offset(out, "end_offset", p->end);
    offset(out, "lag", lag == UINT64_MAX ? -1 : (int64_t) lag);
    if (seconds >= 0) {
        decimal(out, "lag_seconds", seconds);
    }
    number(out, "records", p->records);
    if (p->standing != STANDING_NONE) {
        text(out, "reason", snapshot_text(s, p->why));
        text(out, "sqlstate", p->sqlstate);
        decimal(out, "since_seconds", (double) p->stands_usec / USEC_PER_SEC);
    }
}

/* The largest that one can be: a name of 249 bytes and a reason, each byte as six. */
#define PARTITION_MOST 8192

static void add_partitions(const struct snapshot *s, uint64_t limit, struct buf *out)
{
    size_t shown = 0;

    key(out, "partitions");
    buf_add_u8(out, '[');
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < s->partition_count; i++) {
            const struct snapshot_partition *p = &s->partitions[i];
            if ((p->standing != STANDING_NONE) == (pass == 0) && out->n + PARTITION_MOST <= limit) {
                element(out, shown++);
                add_partition(s, p, out);
                buf_add_u8(out, '}');
            }
        }
    }
    buf_add_u8(out, ']');
    number(out, "partitions_omitted", s->partition_count - shown);
}

static uint64_t letters_of(const struct snapshot_route *r)
{
    uint64_t n = r->others;

    for (size_t i = 0; i < r->code_count; i++) {
        n += r->codes[i].count;
    }
    return n;
}

static void add_routes(const struct snapshot *s, struct buf *out)
{
    key(out, "routes");
    buf_add_u8(out, '[');
    for (size_t i = 0; i < s->route_count; i++) {
        element(out, i);
        text(out, "route", snapshot_text(s, s->routes[i].name));
        number(out, "rows", s->routes[i].rows);
        number(out, "dead_letters", letters_of(&s->routes[i]));
        buf_add_u8(out, '}');
    }
    buf_add_u8(out, ']');
}

static void add_errors(const struct snapshot *s, struct buf *out)
{
    key(out, "errors");
    buf_add_u8(out, '[');
    for (size_t i = 0; i < TROUBLES && s->troubles[i].wall_ms != 0; i++) {
        element(out, i);
        decimal(out, "time", (double) s->troubles[i].wall_ms / 1000);
        number(out, "times", s->troubles[i].times);
        text(out, "text", s->troubles[i].text);
        buf_add_u8(out, '}');
    }
    buf_add_u8(out, ']');
}

static void add_shown(const struct page *p, struct buf *out)
{
    const struct snapshot *s = p->snapshot;
    struct rates rates = samples_rates_now(p->samples, s);

    decimal(out, "time", (double) s->wall_ms / 1000);
    number(out, "records", s->totals.records);
    number(out, "rows", s->totals.rows);
    number(out, "dead_letters", s->totals.dead_letters);
    number(out, "transactions", s->totals.transactions);
    number(out, "bytes", s->totals.bytes);
    decimal(out, "records_per_second", rates.records);
    decimal(out, "rows_per_second", rates.rows);
    decimal(out, "bytes_per_second", rates.bytes);
    number(out, "workers", s->workers);
    number(out, "connections", s->totals.connections);
    truth(out, "brokers_away", s->brokers_away);
    text(out, "brokers_why", snapshot_text(s, s->brokers_why));
    text(out, "registry_why", snapshot_text(s, s->registry_why));
    text(out, "lacks", snapshot_text(s, s->lacks));
    add_routes(s, out);
    add_errors(s, out);
    add_partitions(s, p->limit, out);
}

void page_json(const struct page *p, struct buf *out)
{
    buf_add_u8(out, '{');
    text(out, "sink", p->sink);
    text(out, "version", PGSINKD_VERSION);
    text(out, "librdkafka", p->librdkafka);
    text(out, "owner", p->owner);
    truth(out, "ready", p->ready);
    text(out, "reason", p->reason);
    if (p->snapshot != NULL) {
        add_shown(p, out);
    }
    buf_add_z(out, "}\n");
}
