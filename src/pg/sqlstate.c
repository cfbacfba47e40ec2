/*
 * SQLSTATE -> error class. The question for each code: who can do something about it? Time
 * (ERROR_AGAIN), a new connection (ERROR_LINK), an operator (ERROR_SETUP), or nobody, because the
 * record itself is to be rejected (ERROR_RECORD). A fault of the infrastructure must never be taken
 * for one of a record: where a code could be either, it is not ERROR_RECORD. Pure; any thread.
 *
 * What is ERROR_RECORD stands once more in SQL: store_each() catches only these (the arrays
 * not_rows_classes and not_rows_codes, sql/002_dead_letters.sql). tests/unit/pg/server_schema.c
 * asks both about every class and every code of these tables, and fails where they differ. A step
 * of the schema that exists never changes: to move a code into or out of ERROR_RECORD takes a new
 * step that replaces store_each(), see sql/README.md.
 */
#include "pg/sqlstate.h"

#include <string.h>

struct rule {
    const char *code; /* five characters, or two for the whole class */
    enum error_class class;
};

/* Exceptions to what is said of their class below. */
static const struct rule codes[] = {
    {SQLSTATE_FENCED, ERROR_FENCED},
    {"22P04", ERROR_SETUP},  /* bad_copy_file_format: rows encoded for another shape of table */
    {"2200H", ERROR_SETUP},  /* sequence_generator_limit_exceeded: no record is to blame */
    {"25006", ERROR_LINK},   /* read_only_sql_transaction: a standby, or a fenced-off primary */
    {"25P03", ERROR_LINK},   /* idle_in_transaction_session_timeout ends the session */
    {"25P04", ERROR_LINK},   /* transaction_timeout as well */
    {"40002", ERROR_RECORD}, /* transaction_integrity_constraint_violation */
    {"40003", ERROR_LINK},   /* statement_completion_unknown */
    {"54011", ERROR_SETUP},  /* too_many_columns */
    {"54023", ERROR_SETUP},  /* too_many_arguments */
    {"55000", ERROR_SETUP},  /* object_not_in_prerequisite_state: a deferrable ON CONFLICT index */
    {"55P02", ERROR_SETUP},  /* cant_change_runtime_param */
    {SQLSTATE_QUERY_CANCELED, ERROR_AGAIN}, /* by an operator, or a timeout */
    {"57000", ERROR_AGAIN},                 /* operator_intervention */
};

static const struct rule classes[] = {
    {"08", ERROR_LINK},   /* connection exception */
    {"09", ERROR_RECORD}, /* triggered action exception */
    {"0A", ERROR_SETUP},  /* feature not supported: COPY into what cannot be copied into */
    {"0B", ERROR_AGAIN},  /* invalid transaction initiation */
    {"0L", ERROR_SETUP},  /* invalid grantor */
    {"0P", ERROR_SETUP},  /* invalid role specification */
    {"20", ERROR_RECORD}, /* case not found: a trigger met a value it does not know */
    {"21", ERROR_RECORD}, /* cardinality violation */
    {"22", ERROR_RECORD}, /* data exception */
    {"23", ERROR_RECORD}, /* integrity constraint violation */
    {"24", ERROR_SETUP},  /* invalid cursor state: a trigger's code */
    {"25", ERROR_AGAIN},  /* invalid transaction state */
    {"26", ERROR_LINK},   /* invalid statement name: another session than the one that prepared */
    {"27", ERROR_RECORD}, /* triggered data change violation */
    {"28", ERROR_SETUP},  /* invalid authorization */
    {"2B", ERROR_SETUP},  /* dependent privileges */
    {"2D", ERROR_SETUP},  /* invalid transaction termination: a trigger's code */
    {"2F", ERROR_RECORD}, /* SQL routine exception */
    {"34", ERROR_SETUP},  /* invalid cursor name: a trigger's code */
    {"38", ERROR_RECORD}, /* external routine exception */
    {"39", ERROR_SETUP},  /* external routine invocation: the trigger is wrong, whatever the row */
    {"3B", ERROR_AGAIN},  /* savepoint exception */
    {"3D", ERROR_SETUP},  /* invalid catalog name: no such database */
    {"3F", ERROR_SETUP},  /* invalid schema name */
    {"40", ERROR_AGAIN},  /* transaction rollback: serialization, deadlock */
    {"42", ERROR_SETUP},  /* syntax error or access rule violation: missing table, grants */
    {"44", ERROR_RECORD}, /* WITH CHECK OPTION violation */
    {"53", ERROR_AGAIN},  /* insufficient resources: disk, memory, connections */
    {"54", ERROR_RECORD}, /* program limit exceeded: row too big, nesting too deep */
    {"55", ERROR_AGAIN},  /* object not in prerequisite state, lock not available */
    {"57", ERROR_LINK},   /* operator intervention: shutdown, crash, starting up, session ended */
    {"58", ERROR_AGAIN},  /* system error: I/O */
    {"72", ERROR_AGAIN},  /* snapshot too old */
    {"F0", ERROR_SETUP},  /* configuration file error */
    {"HV", ERROR_AGAIN},  /* foreign data wrapper: what it talks to is infrastructure */
    {"P0", ERROR_RECORD}, /* PL/pgSQL: RAISE, ASSERT, no data found */
    {"XX", ERROR_AGAIN},  /* internal error, corruption: loud and again, but no record's fault */
};

enum error_class sqlstate_class(const char *sqlstate)
{
    if (sqlstate == NULL || *sqlstate == '\0') {
        return ERROR_LINK;
    }
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (sqlstate_is(sqlstate, codes[i].code)) {
            return codes[i].class;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if (sqlstate_is(sqlstate, classes[i].code)) {
            return classes[i].class;
        }
    }
    /* Not PostgreSQL's: an application's trigger speaks of the row it was given. */
    return ERROR_RECORD;
}

bool sqlstate_is(const char *sqlstate, const char *code)
{
    return strncmp(sqlstate, code, strlen(code)) == 0;
}
