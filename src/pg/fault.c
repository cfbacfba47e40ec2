/*
 * From libpq's errors to struct error. The text is one line: what the server said, its DETAIL cut
 * short, the SQLSTATE. What it quotes may be a piece of a password: conn_open.c conceals
 * those. Any thread.
 */
#include "base/ascii.h"
#include "pg/libpq.h"
#include "pg/pooler.h"
#include "pg/sqlstate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fault_one_line(char *to, size_t size, const char *text)
{
    size_t n = 0;
    bool gap = false;

    for (; *text != '\0'; text++) {
        if (ascii_is_space(*text)) {
            gap = n > 0;
            continue;
        }
        if (n + gap + 1 >= size) {
            break;
        }
        if (gap) {
            to[n++] = ' ';
            gap = false;
        }
        to[n++] = *text;
    }
    if (*text != '\0') { /* cut, but not in the middle of a character */
        while (n > 0 && ((unsigned char) to[n - 1] & 0xC0) == 0x80) {
            n--;
        }
        if (n > 0 && (unsigned char) to[n - 1] >= 0xC0) {
            n--;
        }
    }
    to[n] = '\0';
}

bool fault_is_fatal(const PGresult *res)
{
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

    return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

bool fault_result(const PGresult *res, struct error *err)
{
    char primary[400];
    char detail[240];
    const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *more = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
    const char *column = PQresultErrorField(res, PG_DIAG_COLUMN_NAME);
    const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
    enum error_class class = sqlstate_class(sqlstate);

    if (message == NULL) {
        message = PQresultErrorMessage(res);
        message = *message ? message : "an error without a message";
    }
    fault_one_line(primary, sizeof primary, message);
    fault_one_line(detail, sizeof detail, more != NULL ? more : "");
    error_set(err, class, "%s%s%s%s%s%s", primary, *detail ? ": " : "", detail,
              sqlstate != NULL ? " (" : "", sqlstate != NULL ? sqlstate : "",
              sqlstate != NULL ? ")" : "");
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate != NULL ? sqlstate : "");
    snprintf(err->column, sizeof err->column, "%s", column != NULL ? column : "");
    if (hint != NULL && class == ERROR_SETUP) {
        fault_one_line(err->hint, sizeof err->hint, hint);
    }
    if (sqlstate != NULL && (sqlstate_is(sqlstate, SQLSTATE_OTHER_SESSION) ||
                             sqlstate_is(sqlstate, SQLSTATE_DUPLICATE_STATEMENT))) {
        return pooler_refuse(err);
    }
    return false;
}

static bool has_field(const PGresult *res, int field)
{
    const char *text = PQresultErrorField(res, field);

    return text != NULL && *text != '\0';
}

/* 54 is also said where transaction ids or notifications run out: by these files of the server. The
 * text is translated, the name of the file is not. */
static bool is_surroundings(const PGresult *res)
{
    static const char *const files[] = {"varsup.c", "multixact.c", "async.c", "xact.c"};
    const char *file = PQresultErrorField(res, PG_DIAG_SOURCE_FILE);

    for (size_t i = 0; file != NULL && i < ARRAY_LEN(files); i++) {
        if (strcmp(file, files[i]) == 0) {
            return true;
        }
    }
    return false;
}

enum error_class fault_blame(const PGresult *res)
{
    const char *code = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const struct sqlstate_fault said = {
        .code = code != NULL ? code : "",
        .constraint = has_field(res, PG_DIAG_CONSTRAINT_NAME),
        .column = has_field(res, PG_DIAG_COLUMN_NAME),
        .datatype = has_field(res, PG_DIAG_DATATYPE_NAME),
    };

    if (sqlstate_is(said.code, SQLSTATE_PROGRAM_LIMIT_EXCEEDED) && is_surroundings(res)) {
        return ERROR_TARGET;
    }
    return sqlstate_blame(&said);
}

/* Faults that libpq itself finds and that no waiting will fix. Its texts are in English: nobody
 * calls setlocale. */
static const char *const permanent[] = {
    " value: \"",
    "for connection option",
    "invalid port number",
    "invalid connection option",
    "definition of service",
    "service file",
    "could not match",
    "does not support SSL",
    "certificate",
    "private key",
    "SCRAM",
    "authentication method",
    "channel binding",
};

/* What is read from there at each attempt is as old as the service's last start. */
static const char *credentials_hint(void)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");

    return dir != NULL && *dir != '\0'
               ? " systemd copies its credentials when the service starts: restart it after one of "
                 "them was changed."
               : "";
}

static void connect_hint(const char *sqlstate, struct error *err)
{
    if (sqlstate_is(sqlstate, SQLSTATE_INVALID_PASSWORD)) {
        error_hint(err,
                   "Check user and password: they come from postgres.password, postgres.dsn, "
                   "PGPASSWORD or the password file, and are read again at each attempt.%s",
                   credentials_hint());
    } else if (sqlstate_is(sqlstate, SQLSTATE_INVALID_AUTHORIZATION)) {
        error_hint(
            err,
            "The server does not let this user in: see its pg_hba.conf, and ALTER ROLE ... LOGIN.");
    } else if (sqlstate_is(sqlstate, SQLSTATE_INVALID_CATALOG_NAME)) {
        error_hint(err, "Create it with CREATE DATABASE, or correct dbname in postgres.dsn.");
    } else if (sqlstate_is(sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE)) {
        error_hint(err, "The database's owner can run GRANT CONNECT ON DATABASE ... TO this user.");
    } else if (sqlstate_is(sqlstate, SQLSTATE_NOT_IN_PREREQUISITE_STATE)) {
        error_hint(err,
                   "Somebody has closed the database; to open it, from another database: ALTER "
                   "DATABASE ... ALLOW_CONNECTIONS true.");
    }
}

/*
 * libpq keeps no result of a failed connect, so the SQLSTATE is read out of the verbose text:
 *     connection to server at "h", port 5432 failed: FATAL:  28P01: password authentication failed
 *     ... LOCATION:  auth_failed, auth.c:338
 * The two spaces come from the protocol, in any language. The last attempt counts.
 */
static const char *find_sqlstate(const char *text, char out[static 6])
{
    const char *found = NULL;

    for (const char *p = text; (p = strstr(p, ":  ")) != NULL; p += 3) {
        size_t n = strspn(p + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (n == 5 && p[8] == ':' && p[9] == ' ') {
            memcpy(out, p + 3, 5);
            out[5] = '\0';
            found = p + 3;
        }
    }
    return found;
}

/* The library's message without what only the server's developers want to see, its lines joined. */
static void library_text(const PGconn *pg, char *to, size_t size)
{
    static const char *const noise[] = {"LOCATION:", "\tThis probably means", "\tbefore or while"};
    const char *message = PQerrorMessage(pg);
    size_t n = 0;

    while (*message && n + 2 < size) {
        size_t len = strcspn(message, "\n");
        bool skip = false;
        for (size_t i = 0; i < ARRAY_LEN(noise); i++) {
            skip = skip || strncmp(message, noise[i], strlen(noise[i])) == 0;
        }
        if (!skip) {
            size_t copy = MIN(len, size - n - 2);
            memcpy(to + n, message, copy);
            n += copy;
            to[n++] = ' ';
        }
        message += len + (message[len] == '\n');
    }
    to[n] = '\0';
}

bool fault_library(const PGconn *pg, struct error *err)
{
    char text[sizeof err->text];
    char line[sizeof err->text - 16];
    char sqlstate[6] = "";

    library_text(pg, text, sizeof text);
    const char *code = find_sqlstate(text, sqlstate);
    if (code != NULL) {
        /* "FATAL:  28P01: password ..." -> "FATAL: password ... (28P01)" */
        char *at = text + (code - text);
        memmove(at, at + 7, strlen(at + 7) + 1);
        char *more = strstr(at, " server closed the connection");
        if (more != NULL) {
            *more = '\0';
        }
    }
    fault_one_line(line, sizeof line, text);
    if (code == NULL) {
        return error_set(err, ERROR_LINK, "%s", *line ? line : "the connection is closed");
    }
    error_set(err, sqlstate_class(sqlstate), "%s (%s)", line, sqlstate);
    memcpy(err->sqlstate, sqlstate, sizeof sqlstate);
    return false;
}

bool fault_connect(const PGconn *pg, struct error *err)
{
    fault_library(pg, err);
    if (*err->sqlstate) {
        connect_hint(err->sqlstate, err);
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(permanent); i++) {
        if (strstr(err->text, permanent[i]) != NULL) {
            err->class = ERROR_SETUP;
            error_hint(err,
                       "Check the connection's options in postgres.dsn, and the files that they "
                       "name, which are read again at each attempt.%s",
                       credentials_hint());
        }
    }
    if (PQconnectionNeedsPassword(pg)) {
        err->class = ERROR_SETUP;
        connect_hint(SQLSTATE_INVALID_PASSWORD, err);
    }
    return false;
}
