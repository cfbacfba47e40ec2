/*
 * What a table for the records of a topic could look like: their fields, what each of them holds,
 * how often it is there. Made from a sample of plain JSON, so it proves nothing about records that
 * are not in it: for `propose`, which prints it for a person to judge. One thread.
 */
#ifndef ROW_RECORD_PROPOSAL_H
#define ROW_RECORD_PROPOSAL_H

#include "base/buf.h"
#include "row/cell/rules.h"
#include "row/message.h"

/* Fields beyond these are counted as left out: an object whose names are data has ever more. */
#define PROPOSAL_FIELDS_MAX 400

/* What surrounds the rows. */
enum proposal_envelope { PROPOSAL_PLAIN, PROPOSAL_CONNECT, PROPOSAL_DEBEZIUM };

/* Forms that all strings of a field may have; bits. */
enum {
    FORM_DATE = 1,
    FORM_TIME = 2,
    FORM_TIMESTAMP = 4,   /* without a zone */
    FORM_TIMESTAMPTZ = 8, /* with one */
    FORM_UUID = 16,
    FORM_NUMBER = 32,
    FORM_DOCUMENT = 64, /* an object or an array, as JSON in a string */
    FORM_ALL = 127,
};

/* What arrays hold; bits. */
enum { HOLDS_WHOLES = 1, HOLDS_NUMBERS = 2, HOLDS_TEXTS = 4, HOLDS_TRUTHS = 8, HOLDS_MORE = 16 };

/* What one field of the rows holds. */
struct proposal_field {
    char *name; /* owned; as in the records */
    size_t present;
    size_t nulls;
    size_t truths;
    size_t wholes;
    size_t fractions; /* numbers with digits after the point, without an exponent */
    size_t floats;    /* numbers with an exponent */
    size_t texts;
    size_t objects;
    size_t arrays;
    bool is_huge; /* a whole number does not fit into 64 bits */
    int64_t least;
    int64_t most;
    unsigned forms;    /* of the texts */
    size_t longest;    /* text, in characters */
    unsigned elements; /* of the arrays: bits of what they hold */
    size_t keys;       /* the record's key, or the field of this name in it, is the same value */
};

struct proposal;

/* What a column is to be, and why. */
struct proposed_type {
    const char *type;    /* as in SQL; static */
    enum time_unit unit; /* the numbers count this */
    bool parses;         /* its strings are documents */
};

struct proposal *proposal_new(void) _must_;
struct proposal *proposal_free(struct proposal *p); /* returns NULL */

/* Looks at one more record. */
void proposal_add(struct proposal *p, const struct message *msg);

/* How many records there were; of these: rows that were looked at; tombstones; records that are no
 * JSON object, or have another envelope than the first one. */
size_t proposal_records(const struct proposal *p) _pure_;
size_t proposal_rows(const struct proposal *p) _pure_;
size_t proposal_tombstones(const struct proposal *p) _pure_;
size_t proposal_others(const struct proposal *p) _pure_;
enum proposal_envelope proposal_envelope(const struct proposal *p) _pure_;

/* In the order in which they were found; *out_left_out: how many more there are, or have a name
 * that no column can have. */
const struct proposal_field *proposal_fields(const struct proposal *p, size_t *out_count,
                                             size_t *out_left_out);

/*
 * Is the field part of the key of the records? False for all fields where the keys do not name
 * rows: a record has none, or its key is something else than fields of the row.
 */
bool proposal_is_key(const struct proposal *p, const struct proposal_field *f) _pure_;

/* The column for the field; the reason is appended to why: "whole numbers, 1 to 99". */
void proposal_type(const struct proposal_field *f, struct proposed_type *out, struct buf *why);

#endif
