/*
 * A table that does not exist yet, made by the DDL that row/evolve prints. Blocking, on a
 * connection that is ready. Scout thread.
 */
#ifndef PG_CREATE_H
#define PG_CREATE_H

#include "base/error.h"
#include "pg/conn.h"

/*
 * In one transaction, under an advisory lock of the table's name, so that of several daemons one
 * makes it and the others find it. schema NULL: the first of the search path. Waits at most 2 s for
 * locks. *out_created: it was not there. ERROR_SETUP: the role may not, or PostgreSQL refuses the
 * DDL.
 */
bool create_table(struct conn *c, const char *schema, const char *name, const char *ddl,
                  bool *out_created, struct error *err) _must_;

#endif
