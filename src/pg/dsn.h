/*
 * A DSN taken apart as far as needed: libpq can try several hosts itself, but when it is used
 * without blocking there is no deadline for each of them, and it waits while it looks up their
 * names. So we try each host, and each address, on its own.
 *
 * Environment variables and the service file count as for libpq, which says what they come to.
 * Immutable; any thread.
 */
#ifndef PG_DSN_H
#define PG_DSN_H

#include "base/error.h"

/* NULL members: as the DSN says. A host alone is a name, an address, or the path of a socket. */
struct dsn_host {
    char *host;
    char *hostaddr;
    char *port;
};

/* What a text may be printed with, and what not; NULL: it is not there. */
struct dsn_words {
    char *password;
    char *ssl_password;
    char *user;
    char *dbname;
    char *host; /* all of them */
};

struct dsn {
    char *text;
    struct dsn_words words;
    struct dsn_host *hosts;
    size_t host_count; /* at least 1 */
};

/* The text is copied. A DSN with a wrong syntax, or with lists that do not fit together, has one
 * host: libpq will say what is wrong with it. */
struct dsn *dsn_new(const char *text) _must_;
struct dsn *dsn_free(struct dsn *d); /* returns NULL */

#endif
