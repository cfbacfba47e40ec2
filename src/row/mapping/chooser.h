/*
 * The table of a record where its name is a template of what records hold: events_{value.type}. All
 * tables that may come are known before: a record that names another one is a fault, and so is one
 * that names none.
 *
 * A chooser is a mapping that makes no rows: it reads what the name needs, and the condition of the
 * route, and leads to the mapping that does. Made by the main thread; immutable once it is used.
 */
#ifndef ROW_MAPPING_CHOOSER_H
#define ROW_MAPPING_CHOOSER_H

#include "row/cell/cell.h"
#include "row/mapping/mapping.h"

/*
 * Compiles a template: text with paths in braces, {topic} being {meta.topic}. Of the spec count
 * named_by, the template, and route, format, when and explode. The caller gives it to mapping_free.
 * ERROR_SETUP, as mapping_new with *out_part.
 */
struct mapping *chooser_new(const struct mapping_spec *spec, struct error *err) _must_;

/* One of the tables: its name, as the template makes it, and its mapping; both outlive the chooser.
 */
void chooser_add(struct mapping *chooser, const char *name, const struct mapping *m);

/*
 * The mapping for the record that was read into these cells; NULL is ERROR_RECORD: "no table of
 * this route is called 'events_visit'".
 */
const struct mapping *chooser_find(const struct mapping *chooser, const struct cell *cells,
                                   struct error *err) _must_;

#endif
