/*
 * The log. A line is put together on the stack and leaves with one write(2): no lock, no
 * allocation, and nothing of two threads mixes (a pipe takes up to PIPE_BUF bytes in one piece).
 * Control characters in a text, line feeds included, are escaped: what a server or a record says
 * cannot forge a line.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_WRITE_MAX = 4096, /* PIPE_BUF on Linux */
    LOG_TEXT_MAX = 2048,
};

static const struct {
    const char *name;
    int syslog;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},   [LOG_LEVEL_WARNING] = {"warning", 4},
    [LOG_LEVEL_NOTICE] = {"notice", 5}, [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

static atomic_int log_threshold = LOG_LEVEL_INFO;
static atomic_bool log_to_journal = false;

/* JOURNAL_STREAM is "device:inode"; a child that redirected its stderr has inherited it, too. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    const char *colon = stream != NULL ? strchr(stream, ':') : NULL;
    uint64_t device;
    uint64_t inode;
    struct stat st;

    return colon != NULL &&
           str_to_u64((struct str){.p = stream, .n = (size_t) (colon - stream)}, &device) &&
           str_to_u64(str_of(colon + 1), &inode) && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

void log_set_level(enum log_level threshold)
{
    atomic_store_explicit(&log_threshold, (int) threshold, memory_order_relaxed);
}

void log_init(enum log_level threshold)
{
    log_set_level(threshold);
    atomic_store_explicit(&log_to_journal, stderr_is_journal(), memory_order_relaxed);
}

bool log_level_parse(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (strcmp(levels[i].name, text) == 0) {
            *out = (enum log_level) i;
            return true;
        }
    }
    return false;
}

bool log_enabled(enum log_level level)
{
    return (int) level <= atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

/* One write's worth of lines. */
struct lines {
    char text[LOG_WRITE_MAX];
    size_t n;
};

_printf_(2, 3) static void lines_printf(struct lines *l, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(l->text + l->n, sizeof l->text - l->n, fmt, args);
    va_end(args);
    assert(n >= 0);
    l->n = MIN(l->n + (size_t) n, sizeof l->text - 1);
}

/* A hint belongs to the line before it: only the journal, which keeps lines apart, wants a front
 * for it. */
static void lines_front(struct lines *l, enum log_level level, bool follows)
{
    if (atomic_load_explicit(&log_to_journal, memory_order_relaxed)) {
        lines_printf(l, "<%d>%s: ", levels[level].syslog, thread_name());
        return;
    }
    if (follows) {
        return;
    }
    int64_t ms = clock_wall_ms();
    time_t seconds = (time_t) (ms / 1000);
    struct tm tm;
    char stamp[32];

    gmtime_r(&seconds, &tm);
    size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    assert(n > 0);
    lines_printf(l, "%s.%03dZ %s %s: ", stamp, (int) (ms % 1000), levels[level].name,
                 thread_name());
}

/* Leaves room for the dots and for the second line of a fault. */
static void lines_add(struct lines *l, enum log_level level, const char *mark, const char *text)
{
    lines_front(l, level, *mark);
    lines_printf(l, "%s", mark);

    size_t end = MIN(l->n + LOG_TEXT_MAX, sizeof l->text - 8);
    while (*text && l->n < end) {
        unsigned char c = (unsigned char) *text++;
        if (c == '\n' || c == '\t') {
            l->text[l->n++] = ' ';
        } else if (c < 0x20 || c == 0x7F) {
            lines_printf(l, "\\x%02x", c);
        } else {
            l->text[l->n++] = (char) c;
        }
    }
    lines_printf(l, "%s\n", *text ? "..." : "");
}

/* A log that cannot be written is no reason to stop: what matters is in PostgreSQL. */
static void lines_write(const struct lines *l)
{
    size_t done = 0;

    while (done < l->n) {
        ssize_t n = write(STDERR_FILENO, l->text + done, l->n - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        done += (size_t) n;
    }
}

static const struct log_entry entries[] = {
#define EVENT(number, name, level, text) {number, #name, LOG_LEVEL_##level, text, false},
#define FAULT(number, name, level, what) {number, #name, LOG_LEVEL_##level, what, true},
#include "base/events.def"
#undef EVENT
#undef FAULT
};

const struct log_entry *log_entry(enum log_kind kind)
{
    assert(kind < LOG_KINDS);
    return &entries[kind];
}

void log_event(enum log_kind kind, const char *fmt, ...)
{
    char text[LOG_TEXT_MAX + 2]; /* one character too many shows that there were more */
    struct lines l;
    va_list args;

    enum log_level level = log_entry(kind)->level;
    if (!log_enabled(level)) {
        return;
    }
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert(n >= 0);
    l.n = 0;
    lines_add(&l, level, "", text);
    lines_write(&l);
}

void log_fault(enum log_kind kind, const struct error *err)
{
    enum log_level level = log_entry(kind)->level;
    struct lines l;

    if (!log_enabled(level)) {
        return;
    }
    l.n = 0;
    lines_add(&l, level, "", err->text);
    if (err->hint[0]) {
        lines_add(&l, level, "HINT: ", err->hint);
    }
    lines_write(&l);
}

bool log_limit_pass(struct log_limit *l, uint64_t *out_held_back)
{
    usec_t now = clock_mono();

    if (now < l->next_usec) {
        l->held_back++;
        return false;
    }
    *out_held_back = l->held_back;
    l->held_back = 0;
    l->next_usec = now + 60 * USEC_PER_SEC;
    return true;
}
