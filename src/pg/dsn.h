/*
 * A DSN taken apart as far as we must: libpq tries several hosts itself, but not with a deadline
 * for each when it is driven without blocking. So each host is tried by its own. Immutable; any
 * thread.
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

/* A DSN with a wrong syntax gives one host: libpq will say what is wrong with it. */
struct dsn *dsn_new(const char *text) _must_;
struct dsn *dsn_free(struct dsn *d); /* returns NULL */

#endif
