/* SQL text: literals, array literals, the project's schema in a statement. Pure; any thread. */
#ifndef PG_SQL_H
#define PG_SQL_H

#include "base/buf.h"

/*
 * Operators for SQL text, between string literals: "a.oid" SQL_EQ "b.oid". By its bare name an
 * operator is looked for in every schema of the search_path, and one whose argument types match
 * exactly is taken before one of pg_catalog: whoever may create one there runs code as our role
 * (CVE-2018-1058). So nothing that has the force of an operator stands bare in our SQL: `x IN (a,
 * b)` is x SQL_EQ "ANY (...)"; BETWEEN, LIKE, IS DISTINCT FROM, NULLIF and CASE x WHEN are not
 * used. The precedence of all of these is the same, below that of + and above that of NOT.
 * Functions and types are written with their schema too. tests/lint/sql_text.py looks for all of
 * this.
 */
#define SQL_EQ " OPERATOR(pg_catalog.=) "
#define SQL_NE " OPERATOR(pg_catalog.<>) "
#define SQL_LT " OPERATOR(pg_catalog.<) "
#define SQL_LE " OPERATOR(pg_catalog.<=) "
#define SQL_GT " OPERATOR(pg_catalog.>) "
#define SQL_GE " OPERATOR(pg_catalog.>=) "
#define SQL_CAT " OPERATOR(pg_catalog.||) "
#define SQL_PLUS " OPERATOR(pg_catalog.+) "
#define SQL_TIMES " OPERATOR(pg_catalog.*) "
#define SQL_AND " OPERATOR(pg_catalog.&) "

/*
 * The name of a type, with its schema. typid and typmod are SQL too; a typmod below 0 is none. They
 * must not use the names name_e, name_n and name_y. format_type() writes the types of time with
 * words of SQL's own grammar, which always mean those of pg_catalog, and their precision in the
 * middle. Of all others the precision comes last.
 */
#define SQL_TYPE_NAME(typid, typmod)                                                               \
    "(SELECT CASE WHEN name_e.oid" SQL_EQ "ANY ('{1083,1114,1184,1186,1266}'::pg_catalog.oid[])"   \
    " THEN pg_catalog.format_type(name_e.oid, " typmod ")"                                         \
    " ELSE pg_catalog.quote_ident(name_n.nspname)" SQL_CAT "'.'" SQL_CAT                           \
    "pg_catalog.quote_ident(name_e.typname)" SQL_CAT "CASE WHEN " typmod SQL_LT "0 THEN ''"        \
    " ELSE pg_catalog.substr(pg_catalog.format_type(name_e.oid, " typmod "),"                      \
    " pg_catalog.length(pg_catalog.format_type(name_e.oid, NULL))" SQL_PLUS "1) END END" SQL_CAT   \
    "CASE WHEN name_e.oid" SQL_EQ "name_y.oid THEN '' ELSE '[]' END"                               \
    " FROM pg_catalog.pg_type name_y JOIN pg_catalog.pg_type name_e ON name_e.oid" SQL_EQ          \
    "CASE WHEN name_y.typinput" SQL_EQ "'pg_catalog.array_in'::pg_catalog.regproc"                 \
    " THEN name_y.typelem ELSE name_y.oid END"                                                     \
    " JOIN pg_catalog.pg_namespace name_n ON name_n.oid" SQL_EQ "name_e.typnamespace"              \
    " WHERE name_y.oid" SQL_EQ typid ")"

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
