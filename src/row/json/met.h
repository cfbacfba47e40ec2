/*
 * Which fields of a document have met the columns of a tree with a policy for names
 * (row/cell/names.h): two different names that meet one column are a fault, and a field that a
 * user's path wants as well goes into both cells. Nothing of this is used without a policy. Belongs
 * to one document.
 */
#ifndef ROW_JSON_MET_H
#define ROW_JSON_MET_H

#include "base/error.h"
#include "row/cell/cell.h"
#include "row/cell/fields.h"

struct twins;

/* Starts as zeros. */
struct met {
    struct str *names; /* per node: the field's name, if it had to be looked for; else absent */
    size_t name_cap;
    struct twins *twins; /* fields that go into two cells */
    size_t twin_count;
    size_t twin_cap;
};

void met_done(struct met *m);

/* Before a document is read for that tree; NULL: for none. */
void met_clear(struct met *m, const struct fields *f);

/*
 * The field of that name is wanted by *node (FIELD_NONE: by no user's path), and perhaps by a
 * column: then *node is that, if it was none. The name stays until the document is read. False: a
 * field of another name has met the column (ERROR_RECORD).
 */
bool met_field(struct met *m, const struct fields *f, struct cell *cells, uint32_t parent,
               struct str name, uint32_t *node, struct error *err);

/*
 * Another value for the node, of a field that met_field was not asked about, because it has the
 * exact name. False: as met_field.
 */
bool met_again(const struct met *m, const struct fields *f, uint32_t node, struct error *err);

/* The fault of two fields that meet the column of that node. Returns false. */
bool met_two_names(const struct fields *f, uint32_t node, struct str earlier, struct str name,
                   struct error *err);

/* After the document: cells that are filled twice. */
void met_finish(const struct met *m, struct cell *cells);

#endif
