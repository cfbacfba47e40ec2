/*
 * SQLSTATE -> error class: two pure tables, from "PostgreSQL Error Codes" (appendix A of its
 * manual), one for sessions and one for rows; and the names of those that are asked for by
 * themselves. Any thread.
 */
#ifndef PG_SQLSTATE_H
#define PG_SQLSTATE_H

#include "base/error.h"

/* The ledger's own code, raised by <schema>.advance when the compare-and-set misses. */
#define SQLSTATE_FENCED "SK001"
/* ... raised by columns_now(), when a table is not as the rows were made for. txn_blame.c alone
 * knows it: no statement that store_each() tries calls that function. */
#define SQLSTATE_CHANGED "SK003"

/* ... raised where another session than the one that was set up is met: see pg/pooler.h. fault.c
 * alone knows it: no statement that store_each() tries raises it. */
#define SQLSTATE_OTHER_SESSION "SK004"

/* PostgreSQL's, by its names. */
#define SQLSTATE_PROTOCOL_VIOLATION "08P01"     /* also: a parameter that has no value */
#define SQLSTATE_INVALID_STATEMENT_NAME "26000" /* also: it was deallocated */
#define SQLSTATE_DUPLICATE_STATEMENT "42P05"    /* duplicate_prepared_statement */
#define SQLSTATE_INVALID_AUTHORIZATION "28"     /* the class */
#define SQLSTATE_INVALID_PASSWORD "28P01"
#define SQLSTATE_INVALID_CATALOG_NAME "3D000" /* no such database */
#define SQLSTATE_READ_ONLY "25006"
#define SQLSTATE_INSUFFICIENT_PRIVILEGE "42501"
#define SQLSTATE_UNIQUE_VIOLATION "23505"
#define SQLSTATE_DUPLICATE_TABLE "42P07"           /* or another relation of that name */
#define SQLSTATE_UNDEFINED_OBJECT "42704"          /* also: a setting that does not exist */
#define SQLSTATE_PROGRAM_LIMIT_EXCEEDED "54"       /* the class */
#define SQLSTATE_NOT_IN_PREREQUISITE_STATE "55000" /* also: a database that lets nobody in */
#define SQLSTATE_LOCK_NOT_AVAILABLE "55P03"
#define SQLSTATE_QUERY_CANCELED "57014"
#define SQLSTATE_INTERNAL_ERROR "XX000" /* also: a type of a parameter does not exist any more */

/*
 * An error of a session, or of a statement of our own: ERROR_AGAIN, ERROR_LINK, ERROR_FENCED or
 * ERROR_SETUP. NULL or "" (libpq made the error itself) counts as ERROR_LINK.
 */
enum error_class sqlstate_class(const char *sqlstate) _pure_;

/* An ERROR (not a FATAL one, which is the session's) of a statement that stores rows. */
struct sqlstate_fault {
    const char *code;
    bool constraint; /* the server has named one, */
    bool column;
    bool datatype; /* mostly a domain */
};

/*
 * Whose it can be: ERROR_RECORD, ERROR_DOUBT, ERROR_UNFIT, ERROR_TARGET, ERROR_AGAIN; or ERROR_LINK
 * (the session lacks a statement), ERROR_FENCED.
 */
enum error_class sqlstate_blame(const struct sqlstate_fault *f) _pure_;

/* Is it this code, or of this class (two characters)? */
bool sqlstate_is(const char *sqlstate, const char *code) _pure_;

#endif
