/* SQLSTATE -> error class: one pure table, from "PostgreSQL Error Codes" (appendix A of its
 * manual). Any thread. */
#ifndef PG_SQLSTATE_H
#define PG_SQLSTATE_H

#include "base/error.h"

/* The ledger's own code, raised by <schema>.advance when the compare-and-set misses. */
#define SQLSTATE_FENCED "SK001"

/* NULL or "" (libpq made the error itself) counts as ERROR_LINK. */
enum error_class sqlstate_class(const char *sqlstate);

#endif
