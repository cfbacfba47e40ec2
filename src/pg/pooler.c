/* Texts about poolers, see pooler.h. Any thread. */
#include "pg/pooler.h"

#include "pg/sqlstate.h"

#include <string.h>

bool pooler_refuse(struct error *err)
{
    error_set(err, ERROR_LINK,
              "a connection pooler gives each transaction another server session (%s)",
              SQLSTATE_OTHER_SESSION);
    error_sqlstate(err, SQLSTATE_OTHER_SESSION);
    return error_hint(err, "Set pool_mode = session for this database and user (PgBouncer), or let "
                           "postgres.dsn lead to PostgreSQL directly.");
}

static void hint(struct error *err, unsigned connections)
{
    if (connections == 0) {
        error_hint(err, "If a connection pooler is in between, raise its number of server "
                        "connections for this database and user (default_pool_size).");
    } else {
        error_hint(err,
                   "pgsinkd needs %u connections at the same time: one for each worker, and for "
                   "moments two more. A connection pooler must have as many server connections for "
                   "this database and user (default_pool_size); or lower workers.",
                   connections);
    }
}

void pooler_hint_too_few(struct error *err, unsigned connections)
{
    static const char *const signs[] = {
        "no more connections allowed", /* max_client_conn */
        "query_wait_timeout",          "client_login_timeout",
        "too many clients already", /* PostgreSQL's, or those of its roles and databases */
        "too many connections for",    "remaining connection slots are reserved",
    };

    for (size_t i = 0; i < ARRAY_LEN(signs) && err->hint[0] == '\0'; i++) {
        if (strstr(err->text, signs[i]) != NULL) {
            hint(err, connections);
        }
    }
}

bool pooler_no_answer(struct error *err, const char *host, unsigned long long seconds,
                      unsigned connections)
{
    error_set(err, ERROR_LINK,
              "%s has accepted the login, and then not answered within %llu s: a connection pooler "
              "without a free server connection, or a server that hangs",
              host, seconds);
    hint(err, connections);
    return false;
}
