/*
 * The SQL that stores the rows of one shape: one target, one action, the same columns. Rows come
 * from one of three sources:
 *
 *     ROWS_UNNEST   arrays, one parameter for each column: small batches
 *     ROWS_STAGE    a temporary table filled by COPY: large ones
 *     ROWS_PLACES   a part of such a table, the places $1 to $2: to find out which rows are refused
 *
 * In ROWS_PLACES, and where only SQL can compare keys, several rows may share a key: the last of
 * them counts, by version and place. Of rows to be inserted or ignored, each counts.
 *
 * A field that is not encoded as its column's own type is cast here. Pure text; any thread.
 */
#ifndef PG_ROWS_SQL_H
#define PG_ROWS_SQL_H

#include "row/table/table.h"

enum rows_source { ROWS_UNNEST, ROWS_STAGE, ROWS_PLACES };

struct rows_shape {
    const struct target *target;
    enum row_action action;
    omit_mask omit;
};

/* Does each row say itself which columns it omits? Such statements have the DEFAULTs of the table
 * in their text (rows_have_defaults), see catalog_defaults_guard_sql. */
bool rows_are_mixed(const struct rows_shape *s) _pure_;
bool rows_have_defaults(const struct rows_shape *s) _pure_;

/* Can COPY write straight into the table? */
bool rows_are_direct(const struct rows_shape *s) _pure_;

/* Have the rows no column at all? Neither COPY nor unnest can carry such rows. */
bool rows_are_bare(const struct rows_shape *s) _pure_;

/* Can arrays of fields be unnested into rows? Not if fields are arrays themselves, nor if rows have
 * keys that only SQL can compare. */
bool rows_unnest(const struct rows_shape *s) _pure_;

/* Appends INSERT, UPDATE, DELETE or TRUNCATE. stage names the temporary table, or is NULL for
 * ROWS_UNNEST. guard: one more condition (catalog_guard_sql), not of a truncate; NULL: none. */
void rows_sql_store(struct buf *out, const struct rows_shape *s, enum rows_source source,
                    const char *stage, const char *guard);

/*
 * Appends what stores this many bare rows, without any parameter:
 *     INSERT INTO t SELECT FROM generate_series(1, rows)
 * or a truncate. guard as above.
 */
void rows_sql_bare(struct buf *out, const struct rows_shape *s, size_t rows, const char *guard);

/*
 * Appends CREATE TEMPORARY TABLE IF NOT EXISTS, emptied by each COMMIT, for rows of all shapes of
 * the target. With places it has a first column "place".
 */
void rows_sql_create(struct buf *out, const struct rows_shape *s, const char *stage, bool places);

/* Appends COPY ... FROM STDIN (FORMAT binary) into the table (stage NULL) or the stage. */
void rows_sql_copy(struct buf *out, const struct rows_shape *s, const char *stage, bool places);

/* Is the i-th column of the target cast by SQL in rows of this shape? rows_sql_cast appends a
 * SELECT that does only this, for the row of the stage at place $1: is the result NULL?
 * rows_are_read: it is nothing but the input of a text, as cast_fault() (sql/005_blame.sql) does
 * it. */
bool rows_are_cast(const struct rows_shape *s, size_t column) _pure_;
bool rows_are_read(const struct rows_shape *s, size_t column) _pure_;
void rows_sql_cast(struct buf *out, const struct rows_shape *s, size_t column, const char *stage);

/* Appends the value of one column that rows of this shape hold, of a row of the stage as s. */
void rows_sql_value(struct buf *out, const struct rows_shape *s, size_t column);

/* Append SQL arrays: the names of the columns that all rows of this shape write, but for those that
 * are computed; and the value of each, of a row of the stage as s. */
void rows_sql_names(struct buf *out, const struct rows_shape *s);
void rows_sql_values(struct buf *out, const struct rows_shape *s);

/* The same for the i-th expression, of rows that it is computed for. */
bool rows_are_computed(const struct rows_shape *s) _pure_;
void rows_sql_compute(struct buf *out, const struct rows_shape *s, size_t expression,
                      const char *stage);

/*
 * Appends an EXPLAIN that fails where storing rows would fail because of one expression: because of
 * what it names, of its type, or of a privilege. It computes nothing.
 */
void rows_sql_check(struct buf *out, const struct target *t, const struct target_expression *e);

/* Appends an EXPLAIN that fails where ON CONFLICT finds no index for the key. */
void rows_sql_check_key(struct buf *out, const struct target *t);

#endif
