/*
 * What the server knows about target tables. Blocking, with deadlines. @thread main before workers
 * start; later the scout, when a topic appears that needs a table of its own (sink/plan/plan.h).
 */
#ifndef PG_CATALOG_H
#define PG_CATALOG_H

#include "base/error.h"
#include "pg/conn.h"
#include "row/table/table.h"

/*
 * Reads a table's columns and checks that rows can be written into it: it exists, it is a table,
 * plain or partitioned, and INSERT is granted. schema NULL = search_path. The names are exact
 * (unquoted). Errors: ERROR_SETUP with a hint (the CREATE or GRANT to run), ERROR_LINK.
 */
struct table *catalog_table(struct conn *c, const char *schema, const char *name,
                            struct error *err) _must_;

/* The same for rows that are never inserted, only updated or deleted: INSERT need not be granted.
 */
struct table *catalog_table_without_insert(struct conn *c, const char *schema, const char *name,
                                           struct error *err) _must_;

/*
 * As catalog_table, but as if the role had the privileges that a GRANT on the table or its schema
 * can give it: those it lacks are in table->lacks (enum table_privilege). For check, which lists
 * them.
 */
struct table *catalog_table_as_granted(struct conn *c, const char *schema, const char *name,
                                       struct error *err) _must_;

/*
 * Appends an expression of SQL that is true as long as the table of that name is as it was read,
 * and otherwise fails with an error that catalog_guard_speaks recognises. schema is that of our own
 * functions; NULL: there is none. in_plan: computed when the plan of a statement on the table is
 * made, with the table locked, and again after every change of it (sql/007_columns.sql); else, and
 * without a schema, whenever the statement is executed.
 */
void catalog_guard_sql(struct buf *out, const char *schema, const struct table *t, bool in_plan);

/* The same of the DEFAULTs alone, which the other does not ask about: for statements that have them
 * in their text. Computed whenever the statement is executed. */
void catalog_defaults_guard_sql(struct buf *out, const struct table *t);

/* Is this error of the server that of a guard? @thread any */
bool catalog_guard_speaks(const char *sqlstate, const char *message) _pure_;

/*
 * Can PostgreSQL compute the target's expressions, and store the results? Has a view a key?
 * ERROR_SETUP with the server's words and, of an expression, err->column; ERROR_LINK.
 */
bool catalog_check_target(struct conn *c, const struct target *t, struct error *err) _must_;

/* May the role create temporary tables? ERROR_SETUP with the GRANT to run if not; ERROR_LINK. */
bool catalog_check_temporary(struct conn *c, struct error *err) _must_;

/* The server's version as PostgreSQL counts (150004), and "UTF8" or another encoding. */
bool catalog_server(struct conn *c, int *out_version, char *out_encoding, size_t encoding_size,
                    struct error *err) _must_;

#endif
