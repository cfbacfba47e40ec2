/*
 * What records hold beside what their columns take, and which columns get nothing: for `check`,
 * over a sample of records. It reads each record once more, so that the way of a record into a row
 * has nothing to count. One thread, that of the decoder.
 */
#ifndef ROW_RECORD_SURVEY_H
#define ROW_RECORD_SURVEY_H

#include "row/record/decoder.h"

/* A field of a row's object that no column takes. */
struct survey_field {
    char *name; /* owned; without what is behind a U+0000 */
    size_t count;
};

/* What one column got. */
struct survey_column {
    const char *name;   /* lives as long as the mapping */
    const char *source; /* "value.customer.name" */
    size_t found;       /* how often the record had it, or may have had it, also null */
    size_t filled;      /* how often it got a value: neither nothing nor null */
    size_t documents;   /* ... a json column: a string that holds an object or an array */
};

struct survey {
    const struct mapping *mapping; /* borrowed */
    bool takes_whole;              /* a column takes the object as a whole: no field is left */
    size_t rows;                   /* objects that were looked at */
    struct survey_field *fields;   /* in the order in which they were found */
    size_t field_count;
    size_t field_cap;
    bool is_full; /* there are more fields than are counted */
    struct survey_column *columns;
    size_t column_count;
    struct buf plain;
};

/* Of one table. The mapping must outlive it. */
void survey_init(struct survey *s, const struct mapping *m);
void survey_done(struct survey *s);

/*
 * Looks at a record that the mapping's route takes: its object, or the elements of its array, or
 * the row after a change; a record that deletes shows nothing. What the decoder has read before is
 * lost. Of a record that cannot be read, nothing is counted.
 */
void survey_add(struct survey *s, struct decoder *d, const struct message *msg);

/* Are the names the same, but for upper and lower case, `_` and `-`? */
bool survey_same_words(const char *a, const char *b) _pure_;

/*
 * The column that a field without one may be meant for, among those that got nothing; NULL: none.
 * *out_same: their names differ only in upper and lower case, `_` and `-`.
 */
const char *survey_meant(const struct survey *s, const char *field, bool *out_same);

/* Does the mapping take the record's key as it is, or (unless `whole`) a field of it? */
bool survey_wants_key(const struct mapping *m, bool whole) _pure_;

#endif
