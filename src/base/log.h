/*
 * The log: lines on stderr. When stderr is the journal (JOURNAL_STREAM names its device and inode)
 * a line is "<4>worker-1: text", <4> being syslog's level; else
 *     2026-11-24T08:00:00.123Z warning worker-1: text
 * One call writes whole lines with one write(2), so lines of different threads do not mix. Control
 * characters in a text are escaped, line feeds become blanks; about 2,000 bytes of it are shown.
 * Called only by sink/, command/ and main.c. Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/base.h"
#include "base/error.h"

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

/* Looks at stderr and sets the threshold. Main thread, before other threads. */
void log_init(enum log_level threshold);
bool log_level_parse(const char *text, enum log_level *out) _must_;
bool log_enabled(enum log_level level);

void log_line(enum log_level level, const char *fmt, ...) _printf_(2, 3);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* A fault: its text on one line, its hint, if any, on a second one that starts with "HINT: ". */
void log_fault(enum log_level level, const struct error *err);

/*
 * Same text again and again: lets the first line of a state through, then at most one a minute,
 * with the number left out. One object per message site and thread.
 */
struct log_limit {
    uint64_t next_usec;
    uint64_t held_back;
};
bool log_limit_pass(struct log_limit *l, uint64_t *out_held_back);

#endif
