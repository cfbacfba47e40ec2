/*
 * Walks over the elements of a JSON array, or the names and values of an object, whose text has
 * been checked by document_read. Not recursive: an element that is an array or an object is a cell
 * with its text, over which another walk may go. Any thread.
 */
#ifndef ROW_JSON_ELEMENTS_H
#define ROW_JSON_ELEMENTS_H

#include "base/buf.h"
#include "row/cell/cell.h"

struct elements {
    const char *p;     /* after what was read last */
    struct buf *plain; /* strings without their escapes */
};

/* Starts after the opening bracket. A string that is read stays in `plain` until the next one. */
void elements_open(struct elements *e, struct str json, struct buf *plain);

/* Goes before the next element or name; false after the last one. */
bool elements_next(struct elements *e) _must_;

/* The name that is next, and its colon. FIELD_PADDING bytes after it are readable where they are
 * after the text. */
void elements_name(struct elements *e, struct str *out);

/* The value that is next. */
void elements_value(struct elements *e, struct cell *out);

/*
 * The value of that name in an object, as elements_value makes it (of several the first); false if
 * the object has none.
 */
bool elements_find(struct str object, const char *name, struct buf *plain, struct cell *out) _must_;

/* How many brackets [ the text begins with. */
int elements_depth(struct str json) _pure_;

#endif
