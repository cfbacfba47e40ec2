/* See health.h. */
#include "sink/watch/health.h"

size_t health_standing(const struct snapshot *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->partition_count; i++) {
        n += s->partitions[i].standing != STANDING_NONE;
    }
    return n;
}

/* The first that stands, with its reason. */
static void add_standing(const struct snapshot *s, size_t n, struct buf *out)
{
    buf_printf(out, "%zu of %zu partitions %s", n, s->partition_count, n == 1 ? "stands" : "stand");
    for (size_t i = 0; i < s->partition_count; i++) {
        const struct snapshot_partition *p = &s->partitions[i];
        if (p->standing != STANDING_NONE) {
            buf_printf(out, ": %s-%d is %s: %s", snapshot_text(s, p->topic), p->number,
                       standing_name(p->standing), snapshot_text(s, p->why));
            return;
        }
    }
}

bool health_is_ready(const struct snapshot *s, bool is_late, struct buf *out)
{
    if (s == NULL) {
        buf_add_z(out, "starting: the database is not prepared yet");
        return false;
    }
    if (s->stopping) {
        buf_add_z(out, "stopping");
        return false;
    }
    if (is_late) {
        buf_add_z(out, "the main loop does not answer");
        return false;
    }
    if (s->workers_down > 0 && s->workers_down == s->workers) {
        buf_add_z(out, "no connection to PostgreSQL");
        return false;
    }
    if (s->brokers_away) {
        buf_add_z(out, "no broker of Kafka can be reached");
        return false;
    }
    if (!s->ready) {
        buf_add_z(out, "starting: no partition has been claimed yet");
        return false;
    }
    size_t n = health_standing(s);
    if (n > 0) {
        add_standing(s, n, out);
    }
    return n == 0 || n < s->partition_count;
}
