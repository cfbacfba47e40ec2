/*
 * Dead letters as an operator handles them: chosen by the arguments of choose_dead_letters(), read
 * one by one, marked for a replay, discarded; and those that a replay has to take. How the daemon
 * writes them is not here. Blocking. All functions that can fail do so with ERROR_SETUP for a
 * missing table or right, and with the connection's errors. @thread main, scout
 */
#ifndef PG_LETTERS_H
#define PG_LETTERS_H

#include "base/error.h"
#include "base/str.h"
#include "pg/conn.h"

/* In the order of the arguments of choose_dead_letters(), after the sink. */
enum letters_term {
    LETTERS_ROUTE,
    LETTERS_TOPIC,
    LETTERS_PARTITION,
    LETTERS_OFFSET,
    LETTERS_SQLSTATE, /* or its first characters */
    LETTERS_SINCE,    /* as PostgreSQL reads a time */
    LETTERS_UNTIL,
    LETTERS_LIMIT,
    LETTERS_TERMS
};

struct letters_choice {
    const char *sink;
    const char *terms[LETTERS_TERMS]; /* NULL = any */
};

struct letter_header {
    struct str name;
    struct str value; /* absent when it has none */
};

/* Texts are NULL where the table has NULL; times are RFC 3339 in UTC. */
struct letter {
    const char *topic;
    const char *partition;
    const char *offset;
    const char *route;
    const char *timestamp;
    const char *error_class;
    const char *sqlstate;
    const char *message;
    const char *column;
    const char *failed_at;
    const char *attempts;
    const char *replay_requested_at;
    const char *timestamp_ms; /* milliseconds since 1970 */
    struct str key;           /* absent = NULL; this and what follows: only when read as a whole */
    struct str value;
    struct letter_header *headers;
    size_t header_count;
};

/* What has become of the letters that letters_replay has marked. */
struct letters_progress {
    int64_t waiting; /* not yet tried */
    int64_t failed;  /* tried, and failed again */
};

struct letters;

/* The connection must outlive it; the choice's texts must too. */
struct letters *letters_new(struct conn *c, const char *schema,
                            const struct letters_choice *choice) _must_;
struct letters *letters_free(struct letters *l); /* NULL is fine; returns NULL */

/*
 * Starts to read the chosen ones in the order of their offsets, from one snapshot; `whole`: with
 * key, value and headers. A term that PostgreSQL does not understand is ERROR_RECORD.
 */
bool letters_read(struct letters *l, bool whole, struct error *err) _must_;

/* The next one, valid until the next call, or NULL after the last. */
bool letters_next(struct letters *l, const struct letter **out, struct error *err) _must_;

/*
 * For a replay: are any of the sink's letters marked? And the first route of marked ones that is
 * not among `routes`, or NULL (the caller frees it).
 */
bool letters_marked(struct letters *l, bool *out_any, struct error *err) _must_;
bool letters_marked_stranger(struct letters *l, const char *const *routes, size_t n,
                             char **out_route, struct error *err) _must_;

/*
 * Starts to read marked ones of a route as a whole, in the order of their offsets: at most `limit`,
 * and none after those that together reach `bytes`. Those that another replay is about to take are
 * left out. letters_next as above.
 */
bool letters_read_marked(struct letters *l, const char *route, uint32_t limit, size_t bytes,
                         struct error *err) _must_;

/* Calls replay() or discard(). *out_count is the number of letters concerned. ERROR_RECORD as for
 * letters_read. */
bool letters_replay(struct letters *l, int64_t *out_count, struct error *err) _must_;
bool letters_discard(struct letters *l, int64_t *out_count, struct error *err) _must_;

/* How far the replay has come that letters_replay has asked for. */
bool letters_progress(struct letters *l, struct letters_progress *out, struct error *err) _must_;

#endif
