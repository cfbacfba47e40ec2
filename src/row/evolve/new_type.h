/*
 * The type of a column that holds every value of a shape without loss (docs/types.md has the
 * table). Pure; any thread.
 */
#ifndef ROW_EVOLVE_NEW_TYPE_H
#define ROW_EVOLVE_NEW_TYPE_H

#include "base/buf.h"
#include "row/schema/shape.h"

/* Appends the type in SQL: "integer", "numeric(12,2)", "text[]". */
void new_type_print(const struct shape *shape, struct buf *out);

#endif
