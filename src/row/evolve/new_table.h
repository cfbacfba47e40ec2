/*
 * A table for the records of a schema, as SQL. A column for each field, with the field's name by
 * the route's policy; the key is the route's, or else consists of the fields of the records' keys.
 * All other columns take NULL, for the next schema may lack a field. Nothing is executed here.
 * Pure; any thread.
 */
#ifndef ROW_EVOLVE_NEW_TABLE_H
#define ROW_EVOLVE_NEW_TABLE_H

#include "base/arena.h"
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

/* One column of a table in the making. Texts are in the memory of the columns. */
struct new_column {
    struct str name;
    struct str type; /* in SQL, as new_type_print has it */
    struct str of;   /* the field whose name it is, or the name itself */
    bool not_null;
    bool is_key;
};

/* Starts as zeros; new_columns_done gives it back. */
struct new_columns {
    struct arena memory;
    struct new_column *items;
    size_t count;
};

/* The record whose fields are columns: the root itself, or `after` of a change event, which may be
 * null. NULL: it has none. */
const struct shape *new_table_row(const struct shape *root, bool is_change) _pure_;

/*
 * The columns of such a table, in their order: what a table that exists may lack, too. row is a
 * record; key: what the records' keys are written with, NULL if that is not known. ERROR_SETUP:
 * names that PostgreSQL would cut or that become one, a column of the key that is not there, no
 * column at all.
 */
bool new_columns_make(const struct shape *row, const struct shape *key,
                      const struct new_table_spec *spec, struct new_columns *out,
                      struct error *err) _must_;
void new_columns_done(struct new_columns *c);

/*
 * Appends CREATE TABLE and COMMENT ON TABLE, each with a semicolon and a line feed. Arguments
 * and errors as those of new_columns_make.
 */
bool new_table_print(const struct shape *row, const struct shape *key,
                     const struct new_table_spec *spec, struct buf *out, struct error *err) _must_;

#endif
