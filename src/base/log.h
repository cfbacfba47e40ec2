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
void log_set_level(enum log_level threshold); /* at any time */
bool log_level_parse(const char *text, enum log_level *out) _must_;
bool log_enabled(enum log_level level);

/* The kinds of lines, LOG_program_ready and so on, in the order of base/events.def. */
enum log_kind {
#define EVENT(number, name, level, text) LOG_##name,
#define FAULT(number, name, level, what) LOG_##name,
#include "base/events.def"
#undef EVENT
#undef FAULT
    LOG_KINDS,
};

/* Their formats, where the compiler finds them when it checks the arguments of log_event. */
#define EVENT(number, name, level, text) static const char log_text_##name[] = text;
#define FAULT(number, name, level, what)
#include "base/events.def"
#undef EVENT
#undef FAULT

/* log_event(LOG(partition_begins), topic, partition, offset, reason) */
#define LOG(name) LOG_##name, log_text_##name

void log_event(enum log_kind kind, const char *fmt, ...) _printf_(2, 3);

/* A fault: its text on one line, its hint, if any, on a second one that starts with "HINT: ". */
void log_fault(enum log_kind kind, const struct error *err);

/* A row of base/events.def. */
struct log_entry {
    unsigned number;
    const char *name;
    enum log_level level;
    const char *text; /* an event's format; what a fault is about */
    bool is_fault;
};
const struct log_entry *log_entry(enum log_kind kind);

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
