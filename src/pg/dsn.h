/*
 * A DSN taken apart as far as needed: libpq can try several hosts itself, but when it is used
 * without blocking there is no deadline for each of them. So we try each host on its own.
 * Immutable; any thread.
 */
#ifndef PG_DSN_H
#define PG_DSN_H

#include "base/error.h"

/* NULL members: as the DSN says. */
struct dsn_host {
    char *host;
    char *hostaddr;
    char *port;
};

struct dsn {
    char *text;
    struct dsn_host *hosts;
    size_t host_count; /* at least 1 */
};

/* The text is copied. A DSN with a wrong syntax has one host: libpq will say what is wrong with it.
 */
struct dsn *dsn_new(const char *text) _must_;
struct dsn *dsn_free(struct dsn *d); /* returns NULL */

#endif
