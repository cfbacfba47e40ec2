/* Bookkeeping of what nobody reads, see unread.h. Pure. Main thread. */
#include "sink/crew/unread.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE (60 * USEC_PER_SEC)
#define REPEAT (600 * USEC_PER_SEC)
#define LIST_BYTES 150 /* of a list of partitions; then "..." */

struct missing {
    int32_t number;
    usec_t since;
    bool seen; /* in this look at the group */
};

struct topic {
    char *name;
    struct missing *missing;
    size_t count;
    size_t cap;
    usec_t reported_at; /* 0 = never */
};

struct unread {
    struct topic *topics;
    size_t count;
    size_t cap;
};

struct unread *unread_new(void)
{
    return mem_zalloc(sizeof(struct unread));
}

static void forget_topic(struct unread *u, size_t i)
{
    free(u->topics[i].name);
    free(u->topics[i].missing);
    u->topics[i] = u->topics[--u->count];
}

struct unread *unread_free(struct unread *u)
{
    while (u != NULL && u->count > 0) {
        forget_topic(u, u->count - 1);
    }
    if (u != NULL) {
        free(u->topics);
        free(u);
    }
    return NULL;
}

/* ---- one look at the group ---- */

void unread_begin(struct unread *u)
{
    for (size_t i = 0; i < u->count; i++) {
        for (size_t k = 0; k < u->topics[i].count; k++) {
            u->topics[i].missing[k].seen = false;
        }
    }
}

static struct topic *topic_of(struct unread *u, const char *name)
{
    for (size_t i = u->count; i-- > 0;) { /* most often that of the call before */
        if (strcmp(u->topics[i].name, name) == 0) {
            return &u->topics[i];
        }
    }
    u->topics = mem_grow(u->topics, &u->cap, u->count, sizeof *u->topics);
    u->topics[u->count] = (struct topic){.name = mem_strdup(name)};
    return &u->topics[u->count++];
}

/* Ordered by number. */
static struct missing *missing_of(struct topic *t, int32_t number, usec_t now)
{
    size_t at = t->count;

    while (at > 0 && t->missing[at - 1].number >= number) {
        at--;
    }
    if (at < t->count && t->missing[at].number == number) {
        return &t->missing[at];
    }
    t->missing = mem_grow(t->missing, &t->cap, t->count, sizeof *t->missing);
    memmove(t->missing + at + 1, t->missing + at, (t->count - at) * sizeof *t->missing);
    t->missing[at] = (struct missing){.number = number, .since = now};
    t->count++;
    return &t->missing[at];
}

void unread_add(struct unread *u, const char *topic, int32_t partition, usec_t now)
{
    missing_of(topic_of(u, topic), partition, now)->seen = true;
}

void unread_end(struct unread *u)
{
    for (size_t i = u->count; i-- > 0;) {
        struct topic *t = &u->topics[i];
        size_t kept = 0;
        for (size_t k = 0; k < t->count; k++) {
            if (t->missing[k].seen) {
                t->missing[kept++] = t->missing[k];
            }
        }
        t->count = kept;
        if (kept == 0 && t->reported_at == 0) {
            forget_topic(u, i);
        }
    }
}

/* ---- what is to be said ---- */

static bool is_long(const struct missing *m, usec_t now)
{
    return now >= m->since + PATIENCE;
}

static void add_range(struct buf *out, int32_t first, int32_t last)
{
    buf_printf(out, "%s%d", out->n > 0 ? ", " : "", first);
    if (last > first) {
        buf_printf(out, "-%d", last);
    }
}

/* The last place of the range that begins at `first`. */
static size_t range_end(const struct topic *t, size_t first, usec_t now)
{
    size_t last = first;

    while (last + 1 < t->count && is_long(&t->missing[last + 1], now) &&
           t->missing[last + 1].number == t->missing[last].number + 1) {
        last++;
    }
    return last;
}

/* "0-2, 5"; a long list is cut. Empty when none has been missing for long enough. */
static void list_partitions(const struct topic *t, usec_t now, struct buf *out)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!is_long(&t->missing[i], now)) {
            continue;
        }
        if (out->n > LIST_BYTES) {
            buf_add_z(out, ", ...");
            return;
        }
        size_t last = range_end(t, i, now);
        add_range(out, t->missing[i].number, t->missing[last].number);
        i = last;
    }
}

static bool is_due(const struct topic *t, usec_t now)
{
    return t->reported_at == 0 || now >= t->reported_at + REPEAT;
}

bool unread_next(struct unread *u, usec_t now, struct unread_news *out)
{
    for (size_t i = 0; i < u->count; i++) {
        struct topic *t = &u->topics[i];
        _cleanup_buf_ struct buf list = {0};
        list_partitions(t, now, &list);
        if (t->count > 0 && (list.n == 0 || !is_due(t, now))) {
            continue;
        }
        snprintf(out->topic, sizeof out->topic, "%s", t->name);
        snprintf(out->partitions, sizeof out->partitions, "%s", buf_cstr(&list));
        out->read_again = t->count == 0;
        t->reported_at = now;
        if (out->read_again) {
            forget_topic(u, i);
        }
        return true;
    }
    return false;
}
