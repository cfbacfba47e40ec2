/*
 * How the name of a field in a record becomes the name of a column. Plain data; any thread.
 *
 * NAMES_LOWER: the letters A to Z become small; all other characters stay.
 *
 * NAMES_SNAKE_CASE: also, a word begins with a capital letter after a small letter or a digit, and
 * with the last of several capitals if a small letter follows it; an underscore comes before such a
 * word. A hyphen and a space become an underscore. Everything else stays, also where a digit
 * begins. A letter outside ASCII counts as small.
 *
 *     userId, UserId, userID, USER_ID, user-id   user_id
 *     HTTPServer                                 http_server
 *     user2Id                                    user2_id
 *     address1, already_snake, _id, userid       as they are
 */
#ifndef ROW_CELL_NAMES_H
#define ROW_CELL_NAMES_H

#include "base/str.h"

enum name_policy { NAMES_EXACT, NAMES_LOWER, NAMES_SNAKE_CASE };

/* A longer name is that of no column. */
#define NAMES_MAX 255

struct folded_name {
    char text[NAMES_MAX + 9]; /* what fields_find may read after a name */
    size_t n;
};

/* False if the result would be longer than NAMES_MAX. */
bool names_fold(enum name_policy policy, struct str name, struct folded_name *out) _must_;

#endif
