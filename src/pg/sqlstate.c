/*
 * SQLSTATE -> error class, by two questions. Pure; any thread.
 *
 * Of the session (sqlstate_class): who can do something about it? Time (ERROR_AGAIN), a new
 * connection (ERROR_LINK), or an operator (ERROR_SETUP). No record is concerned.
 *
 * Of rows (sqlstate_blame): whose can it be? Of the record alone (ERROR_RECORD), of the target
 * alone (ERROR_TARGET, ERROR_UNFIT), of either (ERROR_DOUBT), or of neither, so that the same is
 * tried again (ERROR_AGAIN). A fault of the infrastructure must never be taken for one of a record:
 * where a code could be either, it is ERROR_DOUBT. What PostgreSQL never raises by itself (20, 38,
 * P0, ...) comes from a function or a trigger that somebody has written.
 *
 * The second table stands once more in SQL, because store_each() must know what to catch: the
 * function itself, sql/005_blame.sql. tests/unit/pg/server_schema.c asks both about every class
 * and every code that is named here or known to PostgreSQL, and fails where they differ. A step of
 * the schema that exists never changes: to change the table takes a new step, see sql/README.md.
 */
#include "pg/sqlstate.h"

#include <string.h>

struct rule {
    const char *code; /* five characters, or two for the whole class */
    enum error_class class;
};

static enum error_class class_of(const char *sqlstate, const struct rule *rules, size_t n,
                                 enum error_class otherwise)
{
    for (size_t i = 0; i < n; i++) {
        if (sqlstate_is(sqlstate, rules[i].code)) {
            return rules[i].class;
        }
    }
    return otherwise;
}

bool sqlstate_is(const char *sqlstate, const char *code)
{
    return strncmp(sqlstate, code, strlen(code)) == 0;
}

/* ---- of the session ---- */

/* Exceptions come before their class. What is not named is for an operator: our own statements
 * raise it only where somebody has changed the schema, its rights or its triggers. */
static const struct rule session_rules[] = {
    {SQLSTATE_FENCED, ERROR_FENCED},
    {"08", ERROR_LINK},  /* connection exception */
    {"0B", ERROR_AGAIN}, /* invalid transaction initiation */
    /* read_only_sql_transaction: a standby, or a fenced-off primary; a new connection passes it by
     */
    {"25006", ERROR_LINK},
    {"25P03", ERROR_LINK},                      /* idle_in_transaction_session_timeout */
    {"25P04", ERROR_LINK},                      /* transaction_timeout */
    {"25", ERROR_AGAIN},                        /* invalid transaction state */
    {"26", ERROR_LINK},                         /* invalid statement name: it was deallocated */
    {"3B", ERROR_AGAIN},                        /* savepoint exception */
    {"40002", ERROR_SETUP},                     /* integrity: a constraint on our own tables */
    {"40", ERROR_AGAIN},                        /* serialization, deadlock */
    {SQLSTATE_DUPLICATE_STATEMENT, ERROR_LINK}, /* of a name that nobody else can know */
    {"53", ERROR_AGAIN},                    /* insufficient resources: disk, memory, connections */
    {"54011", ERROR_SETUP},                 /* too_many_columns */
    {"54023", ERROR_SETUP},                 /* too_many_arguments */
    {"54", ERROR_AGAIN},                    /* wraparound of transaction or multixact ids */
    {"55000", ERROR_SETUP},                 /* object_not_in_prerequisite_state */
    {"55P02", ERROR_SETUP},                 /* cant_change_runtime_param */
    {"55", ERROR_AGAIN},                    /* a lock is not available, an object is in use */
    {"57000", ERROR_AGAIN},                 /* operator_intervention */
    {SQLSTATE_QUERY_CANCELED, ERROR_AGAIN}, /* by an operator, or a timeout */
    {"57", ERROR_LINK},                     /* shutdown, crash, starting up, session ended */
    {"58", ERROR_AGAIN},                    /* system error: I/O */
    {"72", ERROR_AGAIN},                    /* snapshot too old */
    {"HV", ERROR_AGAIN},                    /* what a foreign data wrapper talks to */
    {"XX", ERROR_AGAIN},                    /* internal error, corruption */
};

enum error_class sqlstate_class(const char *sqlstate)
{
    if (sqlstate == NULL || *sqlstate == '\0') {
        return ERROR_LINK;
    }
    return class_of(sqlstate, session_rules, ARRAY_LEN(session_rules), ERROR_SETUP);
}

/* ---- of rows ---- */

/* The same in SQL: store_each(), sql/005_blame.sql. Exceptions come before their class. */
static const struct rule row_rules[] = {
    {SQLSTATE_FENCED, ERROR_FENCED},
    {"08", ERROR_TARGET},    /* of what a trigger or a foreign table talks to */
    {"0A", ERROR_UNFIT},     /* feature not supported: COPY into what cannot be copied into */
    {"0L", ERROR_UNFIT},     /* invalid grantor */
    {"0P", ERROR_UNFIT},     /* invalid role specification: a role that a trigger sets */
    {"2200H", ERROR_UNFIT},  /* sequence_generator_limit_exceeded: of every row that comes */
    {"22P03", ERROR_DOUBT},  /* invalid_binary_representation: our encoding, not only the value */
    {"22P04", ERROR_UNFIT},  /* bad_copy_file_format: encoded for another shape of table */
    {"22", ERROR_RECORD},    /* data exception */
    {"23", ERROR_RECORD},    /* integrity constraint violation; but see named() */
    {"25", ERROR_TARGET},    /* invalid transaction state: advance has just written in this one */
    {"26", ERROR_LINK},      /* invalid statement name: it was deallocated */
    {"28", ERROR_UNFIT},     /* invalid authorization, where a trigger or foreign table logs in */
    {"2B", ERROR_UNFIT},     /* dependent privileges */
    {"3D", ERROR_UNFIT},     /* invalid catalog name: the same for a database that is missing */
    {"3F", ERROR_UNFIT},     /* invalid schema name */
    {"40002", ERROR_RECORD}, /* transaction_integrity_constraint_violation */
    {"40", ERROR_AGAIN},     /* serialization, deadlock */
    {"42501", ERROR_UNFIT},  /* insufficient_privilege */
    {"42703", ERROR_UNFIT},  /* undefined_column */
    {"42704", ERROR_UNFIT},  /* undefined_object */
    {"42883", ERROR_UNFIT},  /* undefined_function */
    {"42P01", ERROR_UNFIT},  /* undefined_table */
    {"42P10", ERROR_UNFIT},  /* invalid_column_reference: no index for ON CONFLICT any more */
    {"44", ERROR_RECORD},    /* WITH CHECK OPTION violation */
    {"53400", ERROR_UNFIT},  /* configuration_limit_exceeded: an operator's limit */
    {"53", ERROR_TARGET},    /* disk, memory, locks: smaller batches may pass */
    {"55000", ERROR_UNFIT}, /* object_not_in_prerequisite_state: an ON CONFLICT index, a sequence */
    {"55P02", ERROR_UNFIT}, /* cant_change_runtime_param: a setting that a trigger sets */
    {"55", ERROR_TARGET},   /* of an object, never of a value: locked, in use */
    {"57", ERROR_TARGET},   /* operator intervention; those of our session are FATAL */
    {"58P01", ERROR_UNFIT}, /* undefined_file: an extension's library */
    {"58", ERROR_TARGET},   /* system error: I/O */
    {"72", ERROR_TARGET},   /* snapshot too old: it passes by itself */
    {"F0", ERROR_UNFIT},    /* configuration file error */
    {"P0", ERROR_RECORD},   /* PL/pgSQL: RAISE, ASSERT, no data found */
    {"XX001", ERROR_TARGET}, /* data_corrupted */
    {"XX002", ERROR_TARGET}, /* index_corrupted */
};

/*
 * The other classes that PostgreSQL knows: of the record or of the target. Some it never raises by
 * itself (01, 02, 03, 09, 0F, 20, 24, 2F, 34, 38, ...), and 39, 3B, 2D, 0Z say that somebody's code
 * is wrong: that may show with each row or only with some.
 */
static const char doubtful_classes[] =
    "01 02 03 09 0B 0F 0Z 10 20 21 24 27 2D 2F 34 38 39 3B 42 54 "
    "HV XX";

/* What is said of a class of codes is said of those that PostgreSQL raises with what they are
 * about.
 */
static enum error_class named(const struct sqlstate_fault *f)
{
    bool not_null = sqlstate_is(f->code, "23502");
    bool check = sqlstate_is(f->code, "23514");

    if (not_null && !f->column && !f->datatype) {
        return ERROR_DOUBT; /* a trigger's: a row that lacks a value has a column or a domain */
    }
    if (check && !f->constraint && !f->datatype) {
        return ERROR_UNFIT; /* no partition for the row, or it is put into the wrong one */
    }
    return ERROR_RECORD;
}

enum error_class sqlstate_blame(const struct sqlstate_fault *f)
{
    enum error_class class = class_of(f->code, row_rules, ARRAY_LEN(row_rules), ERROR_NONE);
    char prefix[3] = "";

    if (class == ERROR_NONE) {
        memcpy(prefix, f->code, strnlen(f->code, sizeof prefix - 1));
        /* Not PostgreSQL's: an application's trigger speaks of the row it was given. */
        return strstr(doubtful_classes, prefix) != NULL ? ERROR_DOUBT : ERROR_RECORD;
    }
    return class == ERROR_RECORD ? named(f) : class;
}
