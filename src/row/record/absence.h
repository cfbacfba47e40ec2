/*
 * Which columns the first records of a route never had a field for: for a warning while it runs,
 * since such columns stay NULL without a fault. One thread, that of the decoder.
 */
#ifndef ROW_RECORD_ABSENCE_H
#define ROW_RECORD_ABSENCE_H

#include "row/record/survey.h"

/* That make rows; fewer say little about fields that may be missing. */
#define ABSENCE_RECORDS 1000

struct absence {
    struct survey survey;
    size_t records;
};

/* Of one table. The mapping must outlive it. */
void absence_init(struct absence *a, const struct mapping *m);
void absence_done(struct absence *a);

/*
 * Looks at a record that the mapping's route takes, by reading it once more: what the decoder has
 * read before is lost. Records that make no row, and deletes, do not count. True: there were
 * ABSENCE_RECORDS.
 */
bool absence_add(struct absence *a, struct decoder *d, const struct message *msg);

/*
 * True: fills *out (ERROR_SETUP, with a hint) with the columns that a person should know about,
 * because no record had their field:
 *   - those with an entry of their own, whose path leads to nothing;
 *   - those without one, if there is a field that no column takes and whose name differs only in
 *     upper and lower case, `_` and `-`. Another column that the records do not have may well be
 *     filled by its DEFAULT, or by somebody else.
 */
bool absence_find(const struct absence *a, struct error *out);

#endif
