/*
 * The log: lines on stderr, or fields in the journal.
 *
 *     2026-11-24T08:00:00.123Z warning worker-1: text        format text
 *     {"time":"2026-11-24T08:00:00.123Z","level":"warning",...}   format json
 *     MESSAGE=text, PRIORITY=4, TOPIC=..., MESSAGE_ID=...    the journal, whatever the format
 *     <4>worker-1: text                                      ... where only its pipe is there
 *
 * One call writes whole lines with one write(2) or one datagram, so lines of different threads do
 * not mix. Control characters in a text are escaped, line feeds become blanks; about 2,000 bytes of
 * it are shown. What a line is about comes as a `struct log_where` and is never read from a text.
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

enum log_format {
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON,
};

#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Is stderr the journal's (JOURNAL_STREAM names its device and inode)? Sets the threshold. Lines
 * are text until log_set_format. Main thread, before other threads. */
void log_init(enum log_level threshold);

/* Shows the sink in every line, and sends lines to journald at `path` if stderr is the journal's:
 * LOG_JOURNAL_SOCKET, but for tests. Both are copied. Main thread, before other threads. */
void log_open(const char *sink, const char *path);

/* Before the process ends: says how many lines were left out, if the last ones were. May wait, for
 * a second at most. Main thread. */
void log_close(void);

void log_set_format(enum log_format format);
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

/* What a line is about: the fields of json and of the journal. */
struct log_where {
    const char *topic;    /* NULL: of none, or of several */
    int32_t partition;    /* < 0: of none, or of several */
    int64_t offset;       /* < 0: of none */
    const char *sqlstate; /* NULL or "": none */
};
#define LOG_NOWHERE ((struct log_where){.partition = -1, .offset = -1})

/* log_event(LOG(assigned), count, ending) */
#define LOG(name) LOG_##name, log_text_##name

void log_event(enum log_kind kind, const char *fmt, ...) _printf_(2, 3);

/* log_event_at(partition_at(p, offset), LOG(partition_begins), p->topic, ...): what concerns a
 * partition. tests/lint/events.py asks for it in all of 4xx. */
void log_event_at(struct log_where at, enum log_kind kind, const char *fmt, ...) _printf_(3, 4);

/* A fault: its text on one line, its hint, if any, on a second one that starts with "HINT: ". Its
 * SQLSTATE is a field. */
void log_fault(enum log_kind kind, const struct error *err);
void log_fault_at(struct log_where at, enum log_kind kind, const struct error *err);

/* The last line of level error, whoever has logged it. False: there is none, or one is being
 * written at this very moment. */
struct log_last {
    char text[768];   /* without time and hint; cut if longer */
    uint64_t at_usec; /* monotonic */
};
bool log_last_error(struct log_last *out) _must_;

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
