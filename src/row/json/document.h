/*
 * A strict reader of one JSON document (RFC 8259): takes out the fields that a tree of names asks
 * for and checks all the rest. One pass over simdjson's index, no recursion, no allocation once its
 * scratch memory has grown to the size of the records.
 *
 * Checked everywhere, also in fields that nothing wants: UTF-8, structure, every number, literal
 * and escape (a lone surrogate is a fault), nothing after the document, at most DOCUMENT_DEPTH_MAX
 * levels. Duplicate names: the last one wins, with all that is below it; two different names that
 * the tree's policy leads to one node are a fault.
 *
 * A document belongs to one thread; what it hands out is valid until its next read, and as long as
 * the text is there.
 */
#ifndef ROW_JSON_DOCUMENT_H
#define ROW_JSON_DOCUMENT_H

#include "base/error.h"
#include "row/cell/cell.h"
#include "row/cell/fields.h"

#include <string.h>

/* PostgreSQL's own limit depends on max_stack_depth: about 6,000 levels with its default. */
#define DOCUMENT_DEPTH_MAX 1024

struct document;

/* Without the byte order mark that a writer may put before a document (RFC 8259, section 8.1). */
static inline struct str document_without_mark(struct str text)
{
    bool marked = text.n >= 3 && memcmp(text.p, "\xEF\xBB\xBF", 3) == 0;

    return marked ? (struct str){.p = text.p + 3, .n = text.n - 3} : text;
}

struct document *document_new(void) _must_;
struct document *document_free(struct document *d); /* returns NULL */

/*
 * Reads text. cells[i] receives node i of f (CELL_ABSENT where the document lacks it); cells[0] is
 * the whole document, its text without white space around. f and cells may be NULL: only check.
 * Fault: ERROR_RECORD, "not valid JSON: ... at byte 17".
 */
bool document_read(struct document *d, struct str text, const struct fields *f, struct cell *cells,
                   struct error *err) _must_;

/*
 * May the document hold something that jsonb refuses although it is JSON: an escaped U+0000, a
 * number beyond numeric? False is certain, true means: look closer.
 */
bool document_is_odd(const struct document *d);

#endif
