/*
 * The project's own schema: numbered steps from sql/, embedded in the program, applied in order
 * under an advisory lock, so that two daemons that start at the same time do not collide. Blocking.
 * @thread main
 */
#ifndef PG_SCHEMA_H
#define PG_SCHEMA_H

#include "base/buf.h"
#include "base/error.h"
#include "pg/conn.h"
#include "pg/rights.h"

/* The version this program needs: the number of the last step. */
int schema_version_wanted(void);

/*
 * Brings the schema up to date (manage = true), or only checks that it is (false); a newer schema
 * is refused. Then it checks that the connected role may use the tables as the daemon does.
 * *out_applied receives the number of steps run now. ERROR_SETUP, and the connection's errors.
 */
bool schema_ensure(struct conn *c, const char *schema, bool manage, int *out_applied,
                   struct error *err) _must_;

/* With audit, besides: may it write history and keep it short? Errors as above. */
bool schema_check_history(struct conn *c, const char *schema, struct error *err) _must_;

/*
 * For check: adds to `missing` every privilege that the role lacks on what is there of the schema,
 * with audit also on history. *out_version as schema_version_installed, or -1: it may not be read.
 * Errors are the connection's.
 */
bool schema_missing_rights(struct conn *c, const char *schema, bool audit, struct rights *missing,
                           int *out_version, struct error *err) _must_;

/* The installed version, 0 = none; for `check`, which writes nothing. Errors as above. */
bool schema_version_installed(struct conn *c, const char *schema, int *out_version,
                              struct error *err) _must_;

/*
 * May the connected role do what schema_ensure with manage = true would do now? ERROR_SETUP with a
 * hint if not, and the connection's errors; what a GRANT can mend is added to `missing`. Changes
 * nothing.
 */
bool schema_check_install(struct conn *c, const char *schema, struct rights *missing,
                          struct error *err) _must_;

/*
 * Appends the whole SQL as a script for psql, with the schema's name filled in. The script does
 * only what is not yet done. It grants a role what it needs if psql is given one: -v role=...
 */
void schema_print(const char *schema, struct buf *out);

#endif
