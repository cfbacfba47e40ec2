/*
 * Dead letters as an operator deals with them: chosen by the arguments of choose_dead_letters(),
 * read one by one, asked to be tried again, given up; and those that a replay is to take. How the
 * daemon writes them is not here. Blocking. @thread main, scout
 */
#ifndef PG_LETTERS_H
#define PG_LETTERS_H

#include "base/error.h"
#include "base/str.h"
#include "pg/conn.h"

/* In the order of the arguments of choose_dead_letters(), behind the sink. */
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
    struct str key;           /* absent = NULL; only when read as a whole, as the next two */
    struct str value;
    struct letter_header *headers;
    size_t header_count;
};

/* What letters_replay has asked for, seen later. */
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
 * Starts to read the chosen ones in the order of their offsets, from one snapshot; `whole` with
 * key, value and headers. A term that PostgreSQL does not understand is ERROR_RECORD, a missing
 * table or right ERROR_SETUP.
 */
bool letters_read(struct letters *l, bool whole, struct error *err) _must_;

/* The next one, valid until the call after it, or NULL behind the last. */
bool letters_next(struct letters *l, const struct letter **out, struct error *err) _must_;

/*
 * For a replay: are any of the sink marked; and the first route of marked ones that is none of
 * these, or NULL (the caller frees it).
 */
bool letters_marked(struct letters *l, bool *out_any, struct error *err) _must_;
bool letters_marked_stranger(struct letters *l, const char *const *routes, size_t n,
                             char **out_route, struct error *err) _must_;

/*
 * Starts to read marked ones of a route as a whole, as many as `limit` at most and no more once
 * they have so many bytes, in the order of their offsets. Those that another replay is about to
 * take are left out. letters_next as above.
 */
bool letters_read_marked(struct letters *l, const char *route, uint32_t limit, size_t bytes,
                         struct error *err) _must_;

/* Calls replay() or discard(); the number of dead letters concerned goes to *out_count. */
bool letters_replay(struct letters *l, int64_t *out_count, struct error *err) _must_;
bool letters_discard(struct letters *l, int64_t *out_count, struct error *err) _must_;

/* How far the replay is that letters_replay has asked for. */
bool letters_progress(struct letters *l, struct letters_progress *out, struct error *err) _must_;

#endif
