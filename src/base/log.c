/*
 * The log. A line is put together on the stack and leaves with one write(2) or datagram: no lock,
 * no allocation, and nothing of two threads mixes (a pipe takes up to PIPE_BUF bytes in one piece).
 * Control characters in a text, line feeds included, are escaped: what a server or a record says
 * cannot forge a line.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/log_line.h"
#include "base/str.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    LOG_TEXT_MAX = 2048,
    SINK_MAX = 64,
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
static atomic_int log_shape = LOG_FORMAT_TEXT;
static atomic_bool log_to_journal = false;

/* Set by log_open, before other threads. */
static int journal_fd = -1;
static char journal_path[sizeof((struct sockaddr_un *) NULL)->sun_path];
static char log_sink[SINK_MAX];

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

void log_open(const char *sink, const char *path)
{
    snprintf(log_sink, sizeof log_sink, "%s", sink);
    snprintf(journal_path, sizeof journal_path, "%s", path);
    if (atomic_load_explicit(&log_to_journal, memory_order_relaxed)) {
        journal_fd = log_journal_open();
    }
}

void log_set_format(enum log_format format)
{
    atomic_store_explicit(&log_shape, (int) format, memory_order_relaxed);
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

/* ---- the plain shape ---- */

/* A hint belongs to the line before it: only the journal's pipe, which keeps lines apart, wants a
 * front for it. */
static void add_front(struct log_out *o, const struct log_line *l, bool follows)
{
    char stamp[LOG_STAMP_MAX];

    if (atomic_load_explicit(&log_to_journal, memory_order_relaxed)) {
        log_out_printf(o, "<%d>%s: ", l->priority, l->thread);
    } else if (!follows) {
        log_stamp(l->wall_ms, stamp);
        log_out_printf(o, "%s %s %s: ", stamp, l->level, l->thread);
    }
}

/* Leaves room for the dots, the number and for the second line of a fault. */
static void add_line(struct log_out *o, const struct log_line *l, const char *mark,
                     const char *text)
{
    add_front(o, l, *mark);
    log_out_printf(o, "%s", mark);

    size_t end = MIN(o->n + LOG_TEXT_MAX, sizeof o->text - 24);
    while (*text && o->n < end) {
        unsigned char c = (unsigned char) *text++;
        if (c == '\n' || c == '\t') {
            o->text[o->n++] = ' ';
        } else if (c < 0x20 || c == 0x7F) {
            log_out_printf(o, "\\x%02x", c);
        } else {
            o->text[o->n++] = (char) c;
        }
    }
    log_out_printf(o, "%s", *text ? "..." : "");
}

/* The number leads from a hint to docs/errors.md. */
static void plain(const struct log_line *l, struct log_out *o)
{
    o->n = 0;
    add_line(o, l, "", l->text);
    log_out_printf(o, "\n");
    if (l->hint[0] != '\0') {
        add_line(o, l, "HINT: ", l->hint);
        log_out_printf(o, " (PGS-%u)\n", l->entry->number);
    }
}

/* ---- out ---- */

/* A pipe that is not full takes a whole line; of a file there is always room. */
static bool has_room(bool waits)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&out, 1, waits ? (int) (LOG_PATIENCE / USEC_PER_MSEC) : 0) != 0;
}

/* A log that cannot be written is no reason to stop: what matters is in PostgreSQL. */
static enum log_sent write_out(const struct log_out *o, bool waits)
{
    size_t done = 0;

    if (!has_room(waits)) {
        return LOG_FULL;
    }
    while (done < o->n) {
        ssize_t n = write(STDERR_FILENO, o->text + done, o->n - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        done += (size_t) n;
    }
    return LOG_SENT;
}

/* ---- the last error ---- */

static struct log_last last_error;
static atomic_flag last_is_busy = ATOMIC_FLAG_INIT; /* nobody waits for it */

static void keep_error(enum log_level level, const char *text)
{
    struct error whole; /* cuts no character */

    if (level != LOG_LEVEL_ERROR || atomic_flag_test_and_set(&last_is_busy)) {
        return;
    }
    error_set(&whole, ERROR_NONE, "%s", text);
    memcpy(last_error.text, whole.text, sizeof last_error.text);
    _Static_assert(sizeof last_error.text == sizeof whole.text, "a fault fits");
    last_error.at_usec = clock_mono();
    atomic_flag_clear(&last_is_busy);
}

bool log_last_error(struct log_last *out)
{
    if (atomic_flag_test_and_set(&last_is_busy)) {
        return false;
    }
    *out = last_error;
    atomic_flag_clear(&last_is_busy);
    return out->at_usec > 0;
}

/* ---- a line ---- */

/*
 * Whoever reads the log may be stuck: journald that is stopped, a pipe that nobody empties. A line
 * then waits for LOG_PATIENCE, and the lines of the next CALM, of all threads, do not wait at all.
 * Errors, which are few and which somebody must see, have a patience of their own: the first waits
 * although other lines have just waited in vain. So a thread stands for a fifth of its time at
 * most, however much it has to say. What is not taken is left out, and counted until a line is
 * taken again, before which the number is said; or until the end.
 */
#define CALM (10 * USEC_PER_SEC)
static _Atomic uint64_t left_out;
static _Atomic usec_t patient_from[2]; /* monotonic; [1]: of errors */

/* A file or a pipe that is gone has taken it: nobody will ever see it. */
static enum log_sent send_line(const struct log_line *l, bool waits)
{
    struct log_out o;

    if (journal_fd >= 0) {
        enum log_sent sent = log_journal_send(journal_fd, journal_path, l, waits);
        if (sent != LOG_NOBODY) {
            return sent;
        }
    }
    bool is_json = atomic_load_explicit(&log_shape, memory_order_relaxed) == LOG_FORMAT_JSON;
    if (is_json && !atomic_load_explicit(&log_to_journal, memory_order_relaxed)) {
        log_json(l, &o);
    } else {
        plain(l, &o);
    }
    return write_out(&o, waits);
}

static struct log_line line_of(struct log_where at, enum log_kind kind, const char *text,
                               const char *hint)
{
    const struct log_entry *entry = log_entry(kind);

    return (struct log_line){
        .wall_ms = clock_wall_ms(),
        .entry = entry,
        .level = levels[entry->level].name,
        .priority = levels[entry->level].syslog,
        .thread = thread_name(),
        .sink = log_sink,
        .at = at,
        .text = text,
        .hint = hint,
    };
}

static bool say_left_out(uint64_t n, bool waits)
{
    char text[128];

    snprintf(text, sizeof text, log_text_lines_left_out, (unsigned long long) n);
    struct log_line l = line_of(LOG_NOWHERE, LOG_lines_left_out, text, "");
    return send_line(&l, waits) == LOG_SENT;
}

static void say(struct log_where at, enum log_kind kind, const char *text, const char *hint)
{
    struct log_line l = line_of(at, kind, text, hint);
    _Atomic usec_t *patient = &patient_from[l.entry->level == LOG_LEVEL_ERROR];
    bool waits = clock_mono() >= atomic_load_explicit(patient, memory_order_relaxed);
    uint64_t n = atomic_exchange(&left_out, 0);

    keep_error(l.entry->level, text);
    if (n > 0 && say_left_out(n, waits)) {
        n = 0;
    }
    if (n == 0 && send_line(&l, waits) == LOG_SENT) {
        return;
    }
    atomic_fetch_add(&left_out, n + 1);
    if (waits) {
        atomic_store_explicit(patient, clock_mono() + CALM, memory_order_relaxed);
    }
}

void log_close(void)
{
    uint64_t n = atomic_exchange(&left_out, 0);

    if (n > 0 && !say_left_out(n, true)) {
        atomic_fetch_add(&left_out, n);
    }
}

/* ---- kinds ---- */

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

_printf_(3, 0) static void say_format(struct log_where at, enum log_kind kind, const char *fmt,
                                      va_list args)
{
    char text[LOG_TEXT_MAX + 2]; /* one character too many shows that there were more */

    if (!log_enabled(log_entry(kind)->level)) {
        return;
    }
    int n = vsnprintf(text, sizeof text, fmt, args);
    assert(n >= 0);
    say(at, kind, text, "");
}

void log_event(enum log_kind kind, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say_format(LOG_NOWHERE, kind, fmt, args);
    va_end(args);
}

void log_event_at(struct log_where at, enum log_kind kind, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say_format(at, kind, fmt, args);
    va_end(args);
}

void log_fault(enum log_kind kind, const struct error *err)
{
    log_fault_at(LOG_NOWHERE, kind, err);
}

void log_fault_at(struct log_where at, enum log_kind kind, const struct error *err)
{
    at.sqlstate = err->sqlstate;
    if (log_enabled(log_entry(kind)->level)) {
        say(at, kind, err->text, err->hint);
    }
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
