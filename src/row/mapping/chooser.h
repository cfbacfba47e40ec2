/*
 * The table of a record where its name is a template of what records hold: events_{value.type}. All
 * tables that may come are known before: a record that names another one is a fault, and so is one
 * that names none.
 *
 * A chooser owns a mapping that makes no rows: by it a record is read first, as far as the name and
 * the condition of the route need it. What was read leads to the mapping that makes the rows. Made
 * by the main thread; immutable once it is used.
 */
#ifndef ROW_MAPPING_CHOOSER_H
#define ROW_MAPPING_CHOOSER_H

#include "row/cell/cell.h"
#include "row/mapping/mapping.h"

struct chooser;

/*
 * Compiles a template (row/mapping/template.h). Of the spec count named_by, which is the template,
 * and route, format, when, explode and envelope. ERROR_SETUP, as mapping_new with *out_part.
 */
struct chooser *chooser_new(const struct mapping_spec *spec, struct error *err) _must_;
struct chooser *chooser_free(struct chooser *c); /* returns NULL */

/* The mapping by which a record is read first; it lives as long as the chooser. */
const struct mapping *chooser_mapping(const struct chooser *c);

/* One of the tables: its name, as the template makes it, and its mapping; both outlive the chooser.
 */
void chooser_add(struct chooser *c, const char *name, const struct mapping *m);

/* The mappings of all its tables, one after the other; NULL after the last. */
const struct mapping *chooser_table(const struct chooser *c, size_t i);

/*
 * The mapping for the record that was read into these cells; NULL is ERROR_RECORD: "no table of
 * this route is called 'events_visit'".
 */
const struct mapping *chooser_find(const struct chooser *c, const struct cell *cells,
                                   struct error *err) _must_;

#endif
