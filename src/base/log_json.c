/*
 * A line as one JSON object (RFC 8259), valid for whatever bytes are in its texts: a byte that
 * belongs to no character of UTF-8 becomes U+FFFD, control characters are escaped. A key whose
 * value is not known is left out. docs/log.md lists the keys. Any thread.
 */
#include "base/log_line.h"

#include <string.h>

/* What each text may take, so that all of them together, the braces included, fit into one. */
enum {
    JSON_SINK_MAX = 256,
    JSON_THREAD_MAX = 128,
    JSON_TOPIC_MAX = 512,
    JSON_STATE_MAX = 64,
    JSON_TEXT_MAX = 1900,
    JSON_HINT_MAX = 800,
    JSON_REST_MAX = 400, /* keys, numbers, names of events */
};
_Static_assert(JSON_SINK_MAX + JSON_THREAD_MAX + JSON_TOPIC_MAX + JSON_STATE_MAX + JSON_TEXT_MAX +
                       JSON_HINT_MAX + JSON_REST_MAX <
                   LOG_OUT_MAX,
               "no line is cut in the middle of its object");

static void put_char(struct log_out *o, const char *c, size_t n)
{
    unsigned char byte = (unsigned char) *c;

    if (n == 0) {
        log_out_printf(o, "\\ufffd");
    } else if (byte == '"' || byte == '\\') {
        log_out_printf(o, "\\%c", byte);
    } else if (byte < 0x20 || byte == 0x7F) {
        log_out_printf(o, "\\u%04x", byte);
    } else {
        log_out_bytes(o, c, n);
    }
}

/* The first key is `time`, so that a comma stands before each of these. */
static void add_text(struct log_out *o, const char *key, const char *text, size_t max)
{
    if (text == NULL || text[0] == '\0') {
        return;
    }
    log_out_printf(o, ",\"%s\":\"", key);
    log_out_text(o, text, max, put_char);
    log_out_printf(o, "\"");
}

static void add_where(struct log_out *o, const struct log_where *at)
{
    add_text(o, "topic", at->topic, JSON_TOPIC_MAX);
    if (at->topic != NULL && at->partition >= 0) {
        log_out_printf(o, ",\"partition\":%d", at->partition);
    }
    if (at->topic != NULL && at->offset >= 0) {
        log_out_printf(o, ",\"offset\":%lld", (long long) at->offset);
    }
    add_text(o, "sqlstate", at->sqlstate, JSON_STATE_MAX);
}

void log_json(const struct log_line *l, struct log_out *o)
{
    char stamp[LOG_STAMP_MAX];

    log_stamp(l->wall_ms, stamp);
    o->n = 0;
    log_out_printf(o, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"PGS-%u\",\"name\":\"%s\"",
                   stamp, l->level, l->entry->number, l->entry->name);
    add_text(o, "thread", l->thread, JSON_THREAD_MAX);
    add_text(o, "sink", l->sink, JSON_SINK_MAX);
    add_where(o, &l->at);
    add_text(o, "message", l->text, JSON_TEXT_MAX);
    add_text(o, "hint", l->hint, JSON_HINT_MAX);
    log_out_printf(o, "}\n");
}
