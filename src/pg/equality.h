/*
 * By which operator the values of a column are equal, for conditions on keys. Almost always by = of
 * pg_catalog; types of extensions have operators of their own, in the extension's schema.
 * Blocking: main thread, or the scout.
 */
#ifndef PG_EQUALITY_H
#define PG_EQUALITY_H

#include "base/error.h"
#include "pg/conn.h"
#include "row/table/table.h"

/* A column as the catalog numbers it, and the type that it is of without domains. */
struct equality_column {
    uint32_t table_oid;
    uint32_t attnum;
    uint32_t type_oid;
};

/*
 * Sets equals and equals_as of the column, whose other fields are filled. Asks the server only
 * about types that are not built in. Errors: those of conn_exec.
 */
bool equality_read(struct conn *c, const struct equality_column *which, struct column *out,
                   struct error *err) _must_;

#endif
