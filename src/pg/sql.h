/* SQL text: literals, array literals, the project's schema in a statement. Pure; any thread. */
#ifndef PG_SQL_H
#define PG_SQL_H

#include "base/buf.h"

/* Appends text as an SQL string literal (standard_conforming_strings is on). */
void sql_literal(struct buf *out, const char *text);

/*
 * Append an array in PostgreSQL's text format, as a parameter's value: open, elements, close.
 * Within an SQL string literal, text elements need sql_array_text_quoted, which doubles single
 * quotes.
 */
void sql_array_open(struct buf *out);
void sql_array_text(struct buf *out, const char *text);
void sql_array_text_quoted(struct buf *out, const char *text);
void sql_array_i64(struct buf *out, int64_t value);
void sql_array_null(struct buf *out);
void sql_array_close(struct buf *out);

/* A copy of sql with the schema's name, quoted, in place of each $S. The caller frees it. */
char *sql_in_schema(const char *sql, const char *schema) _must_;

#endif
