/*
 * A table for the records of a schema, as SQL. A column for each field, with the field's name by
 * the route's policy; the key is the route's, or else consists of the fields of the records' keys.
 * All other columns take NULL, for the next schema may lack a field. Nothing is executed here.
 * Pure; any thread.
 */
#ifndef ROW_EVOLVE_NEW_TABLE_H
#define ROW_EVOLVE_NEW_TABLE_H

#include "base/buf.h"
#include "base/error.h"
#include "row/cell/names.h"
#include "row/schema/shape.h"

/* A column that the route fills otherwise than from the field of its name. */
struct new_table_extra {
    const char *name;
    const char *type;          /* in SQL; NULL: that of `shape` */
    const struct shape *shape; /* NULL with `type` NULL: it stays as the record's field has it */
};

struct new_table_spec {
    const char *schema; /* unquoted; NULL: the first of the search path */
    const char *name;
    const char *source; /* whose records: for the table's comment */
    enum name_policy names;
    const char *const *key; /* the route's, names of columns; none: see above */
    size_t key_count;
    bool wants_key;    /* the route's mode cannot do without one */
    bool takes_key;    /* the fields of the records' keys may be it */
    bool not_null;     /* what the schema always has takes no NULL */
    bool has_metadata; /* columns _topic, _partition, _offset, _timestamp */
    const struct new_table_extra *extras;
    size_t extra_count;
};

/* The record whose fields are columns: the root itself, or `after` of a change event, which may be
 * null. NULL: it has none. */
const struct shape *new_table_row(const struct shape *root, bool is_change) _pure_;

/*
 * Appends CREATE TABLE and COMMENT ON TABLE, each with a semicolon and a line feed. row is a
 * record; key: what the records' keys are written with, NULL if that is not known. ERROR_SETUP:
 * names that PostgreSQL would cut or that become one, a column of the key that is not there, no
 * column at all.
 */
bool new_table_print(const struct shape *row, const struct shape *key,
                     const struct new_table_spec *spec, struct buf *out, struct error *err) _must_;

#endif
