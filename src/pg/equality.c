/* One query for a column of a type that is not built in, see equality.h. */
#include "pg/equality.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <stdio.h>
#include <string.h>

/* Types with smaller numbers come with PostgreSQL: = of pg_catalog knows them. */
#define FIRST_USER_OID 16384

/*
 * The operator of the operator class that the column's unique index uses, the primary key's first;
 * without one, of the default class of its type. Only superusers make operator classes, so what
 * they name can be trusted. With the type that the class is for, since somebody else may have made
 * an operator of the same name in that schema which would fit the column better.
 */
static const char equals_sql[] =
    "SELECT pg_catalog.quote_ident(n.nspname)" SQL_CAT "'.'" SQL_CAT "o.oprname,"
    " CASE WHEN y.typtype" SQL_NE "'p' THEN " SQL_TYPE_NAME(
        "y.oid",
        "-1") " END"
              " FROM (SELECT u.class, i.indisprimary FROM pg_catalog.pg_index i"
              " CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(i.indkey::pg_catalog.int2[]),"
              " pg_catalog.unnest(i.indclass::pg_catalog.oid[])) AS u(num, class)"
              " WHERE i.indrelid" SQL_EQ "$1::pg_catalog.oid AND i.indisunique"
              " AND u.num" SQL_EQ "$2::pg_catalog.int2"
              " UNION ALL SELECT d.oid, NULL FROM pg_catalog.pg_opclass d"
              " WHERE d.opcintype" SQL_EQ "$3::pg_catalog.oid AND d.opcdefault) AS c"
              " JOIN pg_catalog.pg_opclass k ON k.oid" SQL_EQ "c.class"
              " JOIN pg_catalog.pg_am m ON m.oid" SQL_EQ "k.opcmethod"
              " JOIN pg_catalog.pg_amop s ON s.amopfamily" SQL_EQ "k.opcfamily"
              " AND s.amoplefttype" SQL_EQ "k.opcintype AND s.amoprighttype" SQL_EQ "k.opcintype"
              " AND s.amopstrategy" SQL_EQ "CASE WHEN m.amname" SQL_EQ "'btree' THEN 3"
              " WHEN m.amname" SQL_EQ "'hash' THEN 1 END"
              " JOIN pg_catalog.pg_operator o ON o.oid" SQL_EQ "s.amopopr"
              " JOIN pg_catalog.pg_namespace n ON n.oid" SQL_EQ "o.oprnamespace"
              " JOIN pg_catalog.pg_type y ON y.oid" SQL_EQ "k.opcintype"
              " ORDER BY c.indisprimary DESC NULLS LAST, m.amname, o.oid LIMIT 1";

enum { EQUALS_OPERATOR, EQUALS_TYPE };

bool equality_read(struct conn *c, const struct equality_column *which, struct column *out,
                   struct error *err)
{
    char table[16];
    char attnum[16];
    char type[16];
    const char *values[] = {table, attnum, type};

    if (which->type_oid < FIRST_USER_OID) {
        return true;
    }
    snprintf(table, sizeof table, "%u", which->table_oid);
    snprintf(attnum, sizeof attnum, "%u", which->attnum);
    snprintf(type, sizeof type, "%u", which->type_oid);
    _cleanup_result_ PGresult *r = conn_exec(c, equals_sql, ARRAY_LEN(values), values, err);
    if (r == NULL) {
        return false;
    }
    if (PQntuples(r) == 0 || strcmp(PQgetvalue(r, 0, EQUALS_OPERATOR), "pg_catalog.=") == 0) {
        return true;
    }
    out->equals = mem_printf(" OPERATOR(%s) ", PQgetvalue(r, 0, EQUALS_OPERATOR));
    if (!PQgetisnull(r, 0, EQUALS_TYPE)) {
        out->equals_as = mem_strdup(PQgetvalue(r, 0, EQUALS_TYPE));
    }
    return true;
}
