/*
 * What PostgreSQL says about the fields of an encoded row before it is stored: as texts, and
 * whether they can become values of their columns. The session cannot write. Commands' only thread;
 * blocks.
 */
#ifndef PG_PREVIEW_H
#define PG_PREVIEW_H

#include "pg/conn.h"
#include "pg/rows_sql.h"

/* The SQLSTATE of what would write. */
#define PREVIEW_WRITES "25006"

/* From now on the session of c only reads. The connection's errors. */
bool preview_begin(struct conn *c, struct error *err) _must_;

/*
 * A text as PostgreSQL writes it, which the caller frees; NULL: SQL's NULL. All fail with what the
 * server says, and with the class that the same fault has when a row is stored (sqlstate_blame).
 * One that is not ERROR_LINK leaves the connection usable.
 *
 * field: as it is sent, without its length; absent: NULL.
 * cast: what becomes of it in its column, where SQL casts it.
 * expression: what is computed of the fields of a row, one for each column of the target; absent is
 * NULL, or not held.
 */
bool preview_field(struct conn *c, const struct column *column, struct str field, char **out,
                   struct error *err) _must_;
bool preview_cast(struct conn *c, const struct rows_shape *s, size_t column, struct str field,
                  char **out, struct error *err) _must_;
bool preview_expression(struct conn *c, const struct rows_shape *s, size_t expression,
                        const struct str *fields, char **out, struct error *err) _must_;

#endif
