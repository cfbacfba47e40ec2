/*
 * One line of the log before it has a shape, and the shapes: JSON (log_json.c) and a datagram to
 * the journal (log_journal.c); the plain one is log.c's own. Private to base/log*.c. Any thread.
 */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include "base/clock.h"
#include "base/log.h"

struct log_line {
    int64_t wall_ms;
    const struct log_entry *entry;
    const char *level; /* its name, */
    int priority;      /*   and syslog's number of it */
    const char *thread;
    const char *sink; /* "": not known yet */
    struct log_where at;
    const char *text; /* any bytes */
    const char *hint; /* "": none */
};

/* What leaves in one piece. Everything put in has a bound, so that the end is always there. */
enum { LOG_OUT_MAX = 4096 }; /* PIPE_BUF on Linux: a pipe takes that much in one piece */
struct log_out {
    char text[LOG_OUT_MAX];
    size_t n;
};

enum { LOG_STAMP_MAX = 32 };

/* How long a line waits for whoever reads the log, while that one is not known to be stuck. */
#define LOG_PATIENCE (900 * USEC_PER_MSEC)

/* 2026-11-24T08:00:00.123Z */
void log_stamp(int64_t wall_ms, char out[LOG_STAMP_MAX]);

void log_out_printf(struct log_out *o, const char *fmt, ...) _printf_(2, 3);
void log_out_bytes(struct log_out *o, const char *p, size_t n);

/* Appends at most `max` bytes of text; where more was left out, it ends in dots. Each character is
 * written by `put`: n bytes at c, or 0 where the byte at c belongs to no character of UTF-8. */
typedef void log_put(struct log_out *o, const char *c, size_t n);
void log_out_text(struct log_out *o, const char *text, size_t max, log_put *put);

/* One JSON object and a line feed. */
void log_json(const struct log_line *l, struct log_out *o);

/* A socket for log_journal_send, or -1. */
int log_journal_open(void);

enum log_sent {
    LOG_SENT,
    LOG_FULL,   /* whoever reads it is behind */
    LOG_NOBODY, /* nobody listens at path */
};

/* May wait LOG_PATIENCE for room if `waits`. */
enum log_sent log_journal_send(int fd, const char *path, const struct log_line *l, bool waits);

#endif
