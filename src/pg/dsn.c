/* DSNs taken apart by libpq's own parser, see dsn.h. Never connects. Any thread. */
#include "pg/dsn.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/expand.h"
#include "pg/conn.h"

#include <libpq-fe.h>
#include <stdio.h>
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

/* Those of the DSN itself. */
static struct dsn_words words_of(const char *text)
{
    PQconninfoOption *own = PQconninfoParse(text, NULL);
    struct dsn_words w = {0};

    for (const PQconninfoOption *o = own; o != NULL && o->keyword != NULL; o++) {
        const struct {
            const char *keyword;
            char **to;
        } wanted[] = {
            {"password", &w.password}, {"sslpassword", &w.ssl_password},
            {"user", &w.user},         {"dbname", &w.dbname},
            {"host", &w.host},
        };
        for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
            if (o->val != NULL && strcmp(o->keyword, wanted[i].keyword) == 0) {
                *wanted[i].to = mem_strdup(o->val);
            }
        }
    }
    PQconninfoFree(own);
    return w;
}

struct dsn *dsn_new(const char *text)
{
    struct dsn *d = mem_zalloc(sizeof *d);
    PGconn *pg = complete(text);
    PQconninfoOption *options = PQconninfo(pg);
    size_t n = options != NULL ? count_hosts(options) : 0;

    d->text = mem_strdup(text);
    d->words = words_of(text);
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
        free(d->words.password);
        free(d->words.ssl_password);
        free(d->words.user);
        free(d->words.dbname);
        free(d->words.host);
        free(d->text);
        free(d);
    }
    return NULL;
}

/* A keyword and what was written in its place, "" where they are not alike. */
struct misspelling {
    char given[32];
    char meant[32];
};

/* The word that libpq quotes, if it is nearly a keyword: else it may be a piece of a password. */
static void find_misspelling(const char *message, struct misspelling *out)
{
    const char *open = strchr(message, '"');
    size_t n = open != NULL ? strcspn(open + 1, "\"") : 0;
    const char *names[128];
    size_t count = 0;

    if (n == 0 || n >= sizeof out->given) {
        return;
    }
    char given[sizeof out->given] = "";
    memcpy(given, open + 1, n);
    PQconninfoOption *options = PQconndefaults();
    for (const PQconninfoOption *o = options;
         o != NULL && o->keyword != NULL && count < ARRAY_LEN(names); o++) {
        names[count++] = o->keyword;
    }
    const char *near = str_nearest(given, names, count);
    if (near != NULL) {
        memcpy(out->given, given, sizeof given);
        snprintf(out->meant, sizeof out->meant, "%s", near);
    }
    PQconninfoFree(options);
}

/*
 * libpq's messages quote what they do not understand, which may be part of a password with a space
 * in it: so they are translated, and never passed on.
 */
static bool check_syntax(const char *dsn, struct error *err)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &message);

    if (options != NULL) {
        PQconninfoFree(options);
        return true;
    }
    const char *m = message != NULL ? message : "";
    const char *what = "malformed";
    struct misspelling near = {.given = ""};
    if (strstr(m, "missing \"=\"") != NULL) {
        what = "a word without \"=\"";
    } else if (strstr(m, "invalid connection option") != NULL ||
               strstr(m, "invalid URI query parameter") != NULL) {
        what = "an unknown keyword";
        find_misspelling(m, &near);
    } else if (strstr(m, "unterminated quoted string") != NULL) {
        what = "a quoted value without its closing quote";
    } else if (strstr(m, "percent-encoded") != NULL) {
        what = "a bad %-sequence in the URI";
    } else if (strstr(m, "URI") != NULL) {
        what = "a malformed URI";
    }
    PQfreemem(message);
    bool is_known = near.given[0] != '\0';
    bool has_blank = strcmp(what, "a word without \"=\"") == 0;
    error_set(err, ERROR_SETUP, "not a PostgreSQL connection string: %s%s%s%s", what,
              is_known ? " '" : "", near.given, is_known ? "'" : "");
    if (is_known) {
        return error_hint(err, "Did you mean '%s'?", near.meant);
    }
    return error_hint(
        err,
        "Write it as for psql: \"host=db1 dbname=warehouse\" or \"postgresql://db1/warehouse\".%s",
        has_blank ? " A value with a blank in it needs single quotes: password='a b'." : "");
}

/*
 * A URI whose password has an @ or a / as it is: libpq takes what follows for the name of a host,
 * and prints it if that cannot be found. An @ in a parameter is nothing unusual.
 */
static bool is_unescaped(const char *dsn)
{
    size_t scheme = expand_dsn_scheme(str_of(dsn));

    if (scheme == 0) {
        return false;
    }
    const char *rest = dsn + scheme;
    size_t user = strcspn(rest, "@/");
    const char *host = rest[user] == '@' ? rest + user + 1 : rest;
    return memchr(host, '@', strcspn(host, "?")) != NULL;
}

bool conn_check_dsn(const char *dsn, struct error *err)
{
    if (is_unescaped(dsn)) {
        error_set(err, ERROR_SETUP,
                  "not a PostgreSQL connection string: an '@' that is not between "
                  "the user and the host of the URI");
        return error_hint(err, "In a URI, write '@' in a password as %%40, '/' as %%2F and '%%' as "
                               "%%25; or write it, as it is, as postgres.password.");
    }
    return check_syntax(dsn, err);
}

static bool are_ports(const char *list)
{
    for (size_t i = 0; i < list_count(list); i++) {
        _cleanup_mem_ char *port = list_member(list, i);
        uint64_t n = 0;
        if (port != NULL && (!str_to_u64(str_of(port), &n) || n == 0 || n > UINT16_MAX)) {
            return false;
        }
    }
    return true;
}

/* One ':' and then digits: no address of IPv6 is so short. */
static bool has_port(const char *list)
{
    for (size_t i = 0; i < list_count(list); i++) {
        _cleanup_mem_ char *host = list_member(list, i);
        const char *colon = host != NULL && *host != '/' ? strchr(host, ':') : NULL;
        if (colon != NULL && colon[1] != '\0' &&
            colon[1 + strspn(colon + 1, "0123456789")] == '\0') {
            return true;
        }
    }
    return false;
}

static bool check_hosts(const PQconninfoOption *options, struct error *err)
{
    const char *host = value(options, "host");
    const char *port = value(options, "port");
    const char *hosts = *host != '\0' ? host : value(options, "hostaddr");

    if (has_port(host)) {
        error_set(err, ERROR_SETUP, "the host has a port in it");
        return error_hint(err,
                          "Write \"host=db1 port=5432\", or \"postgresql://db1:5432/warehouse\".");
    }
    if (!are_ports(port)) {
        error_set(err, ERROR_SETUP, "the port is not a number from 1 to 65535");
        return error_hint(err, "Write \"host=db1 port=5432\", or leave it out, which is %s.",
                          find(options, "port")->compiled);
    }
    if (list_count(port) > 1 && list_count(port) != list_count(hosts)) {
        error_set(err, ERROR_SETUP, "there are %zu ports for %zu hosts", list_count(port),
                  list_count(hosts));
        return error_hint(err, "Write one for each, or one for all: host=db1,db2 port=5432,5433");
    }
    return true;
}

bool conn_check_hosts(const char *dsn, struct error *err)
{
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    bool ok = options == NULL || check_hosts(options, err);

    PQconninfoFree(options);
    return ok;
}
