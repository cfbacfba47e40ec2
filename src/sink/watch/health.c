/* See health.h. */
#include "sink/watch/health.h"

/* What an operator has paused stands because it is meant to. */
struct stand {
    size_t paused;
    size_t others;
    const struct snapshot_partition *first; /* a paused one only if there is no other */
};

static struct stand stand_of(const struct snapshot *s)
{
    struct stand out = {0};

    for (size_t i = 0; i < s->partition_count; i++) {
        const struct snapshot_partition *p = &s->partitions[i];
        bool paused = p->standing == STANDING_PAUSED;
        if (p->standing == STANDING_NONE) {
            continue;
        }
        if (out.first == NULL || (!paused && out.others == 0)) {
            out.first = p;
        }
        out.paused += paused;
        out.others += !paused;
    }
    return out;
}

/* How many stand, and one of them with its reason. */
static void add_stand(const struct snapshot *s, const struct stand *stand, struct buf *out)
{
    size_t n = stand->paused + stand->others;
    const struct snapshot_partition *p = stand->first;

    buf_printf(out, "%zu of %zu partitions %s", n, s->partition_count, n == 1 ? "stands" : "stand");
    if (stand->paused > 0 && stand->others > 0) {
        buf_printf(out, ", %zu of them paused", stand->paused);
    }
    buf_printf(out, ": %s-%d is %s: %s", snapshot_text(s, p->topic), p->number,
               standing_name(p->standing), snapshot_text(s, p->why));
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
        buf_printf(out, "no connection to PostgreSQL: %s", snapshot_text(s, s->target_why));
        return false;
    }
    if (s->brokers_away) {
        buf_printf(out, "kafka: %s", snapshot_text(s, s->brokers_why));
        return false;
    }
    if (s->group_denied) {
        buf_add_z(out, snapshot_text(s, s->lacks));
        return false;
    }
    if (!s->ready) {
        bool lacks = *snapshot_text(s, s->lacks) != '\0';
        buf_printf(out, "starting: no partition has been claimed yet%s%s", lacks ? "; " : "",
                   snapshot_text(s, s->lacks));
        return false;
    }
    struct stand stand = stand_of(s);
    if (*snapshot_text(s, s->lacks) != '\0') {
        buf_printf(out, "%s%s", snapshot_text(s, s->lacks),
                   stand.first != NULL || *snapshot_text(s, s->registry_why) != '\0' ? "; " : "");
    }
    if (*snapshot_text(s, s->registry_why) != '\0') { /* what needs no schema goes on */
        buf_printf(out, "%s%s", snapshot_text(s, s->registry_why), stand.first != NULL ? "; " : "");
    }
    if (stand.first != NULL) {
        add_stand(s, &stand, out);
    }
    return stand.others == 0 || stand.others + stand.paused < s->partition_count;
}
