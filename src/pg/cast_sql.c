/* See cast_sql.h. Any thread. */
#include "pg/cast_sql.h"

#include "pg/sql.h"

/* A JSON object begins so, and PostgreSQL's own text of a row does not. */
#define IS_OBJECT(text) "pg_catalog.left(" text ",1)" SQL_EQ "'{'"
#define ELEMENTS(text) "pg_catalog.unnest(" text "::pg_catalog.text[])"

static void add_row(struct buf *out, const char *type, const char *text)
{
    buf_printf(out,
               "CASE WHEN " IS_OBJECT("%s") " THEN pg_catalog.jsonb_populate_record(NULL::%s,"
                                            "%s::pg_catalog.jsonb) ELSE %s::%s END",
               text, type, text, text, type);
}

/* An array in which some element is an object. It has one dimension: ARRAY() makes no other, and so
 * the rest is left to the input of the type. */
static void add_rows(struct buf *out, const struct column *c, const char *text)
{
    buf_printf(
        out,
        "CASE WHEN pg_catalog.array_ndims(%s::pg_catalog.text[])" SQL_EQ "1 AND EXISTS "
        "(SELECT FROM " ELEMENTS("%s") " AS u(e) WHERE " IS_OBJECT("u.e") ") "
                                                                          "THEN ARRAY(SELECT ",
        text, text);
    add_row(out, c->element->sql_name, "u.e");
    buf_printf(out,
               " FROM " ELEMENTS("%s") " WITH ORDINALITY AS u(e,n) ORDER BY u.n)::%s"
                                       " ELSE %s::%s END",
               text, c->sql_name, text, c->sql_name);
}

void cast_sql(struct buf *out, const struct column *c, const char *field)
{
    if (c->type == TYPE_COMPOSITE) {
        add_row(out, c->sql_name, field);
    } else if (column_holds_rows(c)) {
        add_rows(out, c, field);
    } else {
        buf_printf(out, "%s%s%s", field, c->cast ? "::" : "", c->cast ? c->sql_name : "");
    }
}
