/* DSNs taken apart by libpq's own parser, see dsn.h. Never connects. Any thread. */
#include "pg/dsn.h"

#include "base/mem.h"
#include "pg/conn.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

static const char *option(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, keyword) == 0) {
            if (o->val != NULL && *o->val != '\0') {
                return o->val;
            }
            return o->envvar != NULL ? getenv(o->envvar) : NULL;
        }
    }
    return NULL;
}

static size_t list_count(const char *list)
{
    size_t n = list != NULL && *list != '\0' ? 1 : 0;

    for (; list != NULL && *list != '\0'; list++) {
        n += *list == ',';
    }
    return n;
}

/* A copy of the i-th member of a comma-separated list, or of its only one; NULL for an empty list.
 */
static char *list_member(const char *list, size_t i)
{
    if (list == NULL || *list == '\0') {
        return NULL;
    }
    if (list_count(list) > 1) {
        for (; i > 0; i--) {
            list = strchr(list, ',') + 1;
        }
    }
    return mem_strndup(list, strcspn(list, ","));
}

/* Several hosts, to be tried one by one, or a single one as the DSN says. */
static void find_hosts(struct dsn *d, const PQconninfoOption *options)
{
    const char *host = option(options, "host");
    const char *hostaddr = option(options, "hostaddr");
    const char *port = option(options, "port");
    size_t n = MAX(list_count(host), list_count(hostaddr));
    size_t ports = list_count(port);

    /* An empty member means a default, which cannot be asked for by name; it is libpq that refuses
     * lists of different lengths. */
    bool plain = n > 1 && (ports <= 1 || ports == n) && option(options, "service") == NULL;
    for (size_t i = 0; plain && i < 3; i++) {
        const char *list = (const char *[]){host, hostaddr, port}[i];
        size_t count = list_count(list);
        plain = list == NULL || (count == n || (i == 2 && count <= 1));
        plain = plain && (list == NULL || (list[0] != ',' && strstr(list, ",,") == NULL &&
                                           (*list == '\0' || list[strlen(list) - 1] != ',')));
    }
    d->host_count = plain ? n : 1;
    d->hosts = mem_array(d->host_count, sizeof *d->hosts);
    for (size_t i = 0; plain && i < n; i++) {
        d->hosts[i] = (struct dsn_host){
            .host = list_member(host, i),
            .hostaddr = list_member(hostaddr, i),
            .port = list_member(port, i),
        };
    }
}

struct dsn *dsn_new(const char *text)
{
    struct dsn *d = mem_zalloc(sizeof *d);
    PQconninfoOption *options = PQconninfoParse(text, NULL);

    d->text = mem_strdup(text);
    if (options != NULL) {
        find_hosts(d, options);
        PQconninfoFree(options);
    } else {
        d->host_count = 1;
        d->hosts = mem_array(1, sizeof *d->hosts);
    }
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
