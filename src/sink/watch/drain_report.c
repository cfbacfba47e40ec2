/*
 * What a drain logs at its end: a line for each topic that is not read, and the exit code. Main
 * thread.
 */
#include "sink/watch/drain_state.h"

#include "base/log.h"

#define SHOWN 3 /* partitions of a topic in its line */

size_t drain_topic_count(const struct drain *d)
{
    return d->topic_count;
}

static void describe_place(const struct drain_target *t, struct buf *out)
{
    if (t->at < 0) {
        buf_add_z(out, " before its first claim");
        return;
    }
    buf_printf(out, " at offset %lld", (long long) t->at);
    if (t->end >= 0) {
        buf_printf(out, t->at <= t->end ? " of %lld" : ", beyond its end %lld", (long long) t->end);
    }
}

static void describe_holder(const struct drain *d, const struct drain_target *t, struct buf *out)
{
    if (!config_has_ledger(d->cfg)) {
        buf_add_z(out, " is held by another member of the group, and stands");
    } else if (t->owner != NULL) {
        buf_printf(out, " is held by %s, and stands", t->owner);
    } else {
        buf_add_z(out, " is held by nobody, and stands");
    }
    describe_place(t, out);
}

static void describe_target(const struct drain *d, const struct drain_target *t, struct buf *out)
{
    buf_printf(out, "partition %d", t->partition);
    if (t->hold == CREW_STOPPED) {
        buf_add_z(out, " has stopped");
        describe_place(t, out);
        buf_printf(out, ": %s", t->why != NULL ? t->why : "a fault");
    } else if (t->end < 0) {
        buf_add_z(out, ": its end is not known yet");
    } else if (drain_is_above(t)) {
        buf_printf(out, ": next_offset %lld is above the log, which ends at %lld",
                   (long long) t->at, (long long) t->log_end);
    } else if (t->hold == CREW_ELSEWHERE) {
        describe_holder(d, t, out);
    } else {
        buf_add_z(out, " stands");
        describe_place(t, out);
    }
}

static const char *end_text(enum drain_end end)
{
    switch (end) {
    case DRAIN_SIGNAL:
        return "ended by a signal before it was read to its end";
    case DRAIN_TIMEOUT:
        return "--timeout expired before it was read to the end";
    case DRAIN_OVER:
        break;
    }
    return "it is not read to its end";
}

static bool describe_targets(const struct drain *d, const struct drain_topic *topic,
                             enum drain_end end, struct buf *out)
{
    size_t n = 0;

    for (size_t i = topic->first; i < topic->first + topic->count; i++) {
        const struct drain_target *t = &d->targets[i];
        if (drain_fate(t) == FATE_READ) {
            continue;
        }
        if (n == 0) {
            buf_printf(out, "topic '%s': %s", topic->name, end_text(end));
        }
        if (n++ < SHOWN) {
            buf_add_z(out, n == 1 ? ": " : "; ");
            describe_target(d, t, out);
        }
    }
    if (n > SHOWN) {
        buf_printf(out, "; and %zu more", n - SHOWN);
    }
    return n > 0;
}

static bool is_missing(const struct drain *d, const struct drain_topic *t)
{
    return d->complete && !t->is_pattern && !t->found;
}

bool drain_describe(const struct drain *d, size_t i, enum drain_end end, struct buf *out)
{
    const struct drain_topic *t = &d->topics[i];

    if (t->found) {
        return describe_targets(d, t, end, out);
    }
    if (is_missing(d, t)) {
        buf_printf(out, "topic '%s' does not exist, or may not be seen", t->name);
        return true;
    }
    if (t->is_pattern && d->reached) {
        return false; /* the topics that it matches speak for themselves */
    }
    buf_printf(out, "topic '%s': %s", t->name, end_text(end));
    return true;
}

static void report_topic(const struct drain *d, size_t i, const char *text)
{
    const struct drain_topic *t = &d->topics[i];
    const struct log_where at = {
        .topic = t->is_pattern ? NULL : t->name, .partition = -1, .offset = -1};
    struct error err;

    if (!is_missing(d, t)) {
        log_event_at(at, LOG(drain_topic_left), text);
        return;
    }
    error_set(&err, ERROR_SETUP, "%s", text);
    error_hint(&err, "Check its name in the file, and that this user may describe it.");
    log_fault_at(at, LOG_drain_topic_missing, &err);
}

enum exit_code drain_report(const struct drain *d, enum drain_end end)
{
    _cleanup_buf_ struct buf text = {0};
    enum exit_code code = EXIT_OK;

    if (end == DRAIN_TIMEOUT && d->begun && !d->reached) {
        log_event(LOG(drain_unreached));
        return EXIT_SOURCE;
    }
    for (size_t i = 0; i < d->topic_count; i++) {
        buf_clear(&text);
        if (drain_describe(d, i, end, &text)) {
            report_topic(d, i, buf_cstr(&text));
            bool source = code == EXIT_SOURCE || is_missing(d, &d->topics[i]);
            code = source ? EXIT_SOURCE : EXIT_FAULT;
        }
    }
    if (code == EXIT_OK && d->count == 0) {
        log_event(LOG(drain_finds_nothing));
    }
    return code;
}
