/* DSNs taken apart by libpq's own parser, see dsn.h. Never connects. Any thread. */
#include "pg/dsn.h"

#include "base/mem.h"
#include "pg/conn.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

static const PQconninfoOption *find(const PQconninfoOption *options, const char *keyword)
{
    while (strcmp(options->keyword, keyword) != 0) {
        options++; /* each libpq has these keywords */
    }
    return options;
}

static const char *value(const PQconninfoOption *options, const char *keyword)
{
    const char *v = find(options, keyword)->val;

    return v != NULL ? v : "";
}

/*
 * A connection that fails before anything is looked up or connected, because its sslmode does not
 * exist: by then libpq has put together what DSN, environment and service file say. The password
 * keeps it from reading the password file.
 */
static PGconn *complete(const char *text)
{
    static const char *const keywords[] = {"dbname", "password", "sslmode", NULL};
    const char *values[] = {text, "-", "none such", NULL};

    return PQconnectStartParams(keywords, values, 1);
}

/* Where a host that is left out leads: the directory of libpq's own socket, or localhost. */
static char *default_host(void)
{
    PGconn *pg = complete("host=,");
    char *host = mem_strdup(PQhost(pg));

    PQfinish(pg);
    return host;
}

static size_t list_count(const char *list)
{
    size_t n = 1;

    for (; *list != '\0'; list++) {
        n += *list == ',';
    }
    return n;
}

/* A copy of the i-th member of a comma-separated list, or of its only one; NULL if it is empty. */
static char *list_member(const char *list, size_t i)
{
    if (list_count(list) > 1) {
        for (; i > 0; i--) {
            list = strchr(list, ',') + 1;
        }
    }
    size_t n = strcspn(list, ",");
    return n > 0 ? mem_strndup(list, n) : NULL;
}

/* One member of each list, with defaults where it is empty. */
static struct dsn_host host_at(const PQconninfoOption *options, size_t i)
{
    struct dsn_host h = {
        .host = list_member(value(options, "host"), i),
        .hostaddr = list_member(value(options, "hostaddr"), i),
        .port = list_member(value(options, "port"), i),
    };

    if (h.host == NULL) {
        h.host = h.hostaddr != NULL ? mem_strdup(h.hostaddr) : default_host();
    }
    if (h.port == NULL) {
        h.port = mem_strdup(find(options, "port")->compiled);
    }
    return h;
}

/* libpq refuses lists of different lengths. An address cannot be taken back by a keyword, so it is
 * libpq, too, that tries lists of them with one left out. */
static size_t count_hosts(const PQconninfoOption *options)
{
    const char *host = value(options, "host");
    const char *hostaddr = value(options, "hostaddr");
    size_t ports = list_count(value(options, "port"));
    size_t n = list_count(*hostaddr ? hostaddr : host);
    bool whole = hostaddr[0] != ',' && strstr(hostaddr, ",,") == NULL &&
                 (*hostaddr == '\0' || hostaddr[strlen(hostaddr) - 1] != ',');

    if ((*host && list_count(host) != n) || (ports != 1 && ports != n) || !whole) {
        return 0;
    }
    return n;
}

struct dsn *dsn_new(const char *text)
{
    struct dsn *d = mem_zalloc(sizeof *d);
    PGconn *pg = complete(text);
    PQconninfoOption *options = PQconninfo(pg);
    size_t n = options != NULL ? count_hosts(options) : 0;

    d->text = mem_strdup(text);
    d->host_count = MAX(n, 1);
    d->hosts = mem_array(d->host_count, sizeof *d->hosts);
    for (size_t i = 0; i < n; i++) {
        d->hosts[i] = host_at(options, i);
    }
    PQconninfoFree(options);
    PQfinish(pg);
    return d;
}

struct dsn *dsn_free(struct dsn *d)
{
    if (d != NULL) {
        for (size_t i = 0; i < d->host_count; i++) {
            free(d->hosts[i].host);
            free(d->hosts[i].hostaddr);
            free(d->hosts[i].port);
        }
        free(d->hosts);
        free(d->text);
        free(d);
    }
    return NULL;
}

/*
 * libpq's messages quote what they do not understand, which may be part of a password with a space
 * in it: so they are translated, and never passed on.
 */
bool conn_check_dsn(const char *dsn, struct error *err)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &message);

    if (options != NULL) {
        PQconninfoFree(options);
        return true;
    }
    const char *m = message != NULL ? message : "";
    const char *what = "malformed";
    if (strstr(m, "missing \"=\"") != NULL) {
        what = "a word without \"=\"";
    } else if (strstr(m, "invalid connection option") != NULL ||
               strstr(m, "invalid URI query parameter") != NULL) {
        what = "an unknown keyword";
    } else if (strstr(m, "unterminated quoted string") != NULL) {
        what = "a quoted value without its closing quote";
    } else if (strstr(m, "percent-encoded") != NULL) {
        what = "a bad %-sequence in the URI";
    } else if (strstr(m, "URI") != NULL) {
        what = "a malformed URI";
    }
    PQfreemem(message);
    error_set(err, ERROR_SETUP, "not a PostgreSQL connection string: %s", what);
    return error_hint(
        err,
        "Write it as for psql: \"host=db1 dbname=warehouse\" or \"postgresql://db1/warehouse\".");
}
