/*
 * What can be seen of an expression of SQL without a server: quotes and brackets that have no
 * partner, and a semicolon. Pure; any thread.
 */
#ifndef PG_EXPRESSION_H
#define PG_EXPRESSION_H

#include "base/error.h"

/* ERROR_SETUP: "sql: '(' at byte 7 is not closed". Whether the rest makes sense only the server
 * knows. */
bool expression_check(const char *sql, struct error *err) _must_;

#endif
