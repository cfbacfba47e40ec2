/*
 * One fault: the class is the decision, the text is for people. It is a plain value (no allocation,
 * no ownership), so it crosses threads by copy. Lower rooms fill it and return false; only sink/,
 * command/ and main.c log it, where it is decided what to do, and only there.
 *
 * Texts are lower case, concrete, without a full stop; the hint is a full sentence for a person who
 * must act. Secrets never enter either. Any thread.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/base.h"

enum error_class {
    ERROR_NONE,
    ERROR_AGAIN,  /* the same connection may succeed later: serialization, lock, resources */
    ERROR_LINK,   /* the connection is lost, or the server cannot write now: reconnect, resolve */
    ERROR_FENCED, /* the ledger's compare-and-set missed: claimed by another, or moved by hand */
    ERROR_RECORD, /* this record cannot be stored */
    ERROR_DOUBT,  /* of a record or of its target: only a witness, or patience, can tell */
    ERROR_UNFIT,  /* the target lacks what the rows need, such as a right or a column */
    ERROR_TARGET, /* the target refuses whatever is sent now: a lock, a full disk, a broken index */
    ERROR_SETUP,  /* an operator must act: configuration, grants, a missing table */
    ERROR_KAFKA,  /* fatal for the consumer: this process must end */
};

struct error {
    enum error_class class;
    /* PostgreSQL's code for such a fault, also if it was found here; "" when it has none. */
    char sqlstate[6];
    char column[64]; /* the target column concerned, "" if none (PostgreSQL's NAMEDATALEN) */
    char text[768];
    char hint[384]; /* "" when nobody has to act */
};

/*
 * Fills *err and returns false, so that a caller can write `return error_set(...)`.
 * Clears sqlstate, column and hint.
 */
bool error_set(struct error *err, enum error_class class, const char *fmt, ...) _printf_(3, 4);

/* Adds context in front: "<context>: <text>". Returns false, as error_set does. */
bool error_wrap(struct error *err, const char *fmt, ...) _printf_(2, 3);

/* Sets the hint. Returns false, as error_set does. */
bool error_hint(struct error *err, const char *fmt, ...) _printf_(2, 3);

/* Sets PostgreSQL's code, five characters. Returns false, as error_set does. */
bool error_sqlstate(struct error *err, const char *code);

/* Equal for faults of one reason, whatever else their texts say: a hash of the code, or of the text
 * if there is none. Never 0. */
uint64_t error_reason(const struct error *err) _pure_;

/* Copies the text, cut between two characters if it is longer than size - 1. */
void error_short_text(const struct error *err, char *out, size_t size);

/* The class in one lower-case word, for logs and tests: "again", "link", "fenced", ... */
const char *error_class_name(enum error_class class);

#endif
