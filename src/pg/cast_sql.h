/*
 * The SQL that makes a value of a column's type of a field that is sent as another one. Pure text;
 * any thread.
 */
#ifndef PG_CAST_SQL_H
#define PG_CAST_SQL_H

#include "row/table/table.h"

/*
 * Appends it. `field` is SQL for the field, which may come in it several times if
 * column_holds_rows(): of a column that is not cast, `field` itself.
 */
void cast_sql(struct buf *out, const struct column *c, const char *field);

#endif
