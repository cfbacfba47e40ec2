/*
 * The addresses of host names, looked up where nothing waits for them: getaddrinfo cannot be
 * interrupted, and takes a minute when no name server answers. So each lookup is a thread of its
 * own, and a connection has at most one for each name:
 *
 *     connection's thread                  resolver's thread
 *     resolver_ask   ------------------->  getaddrinfo
 *     polls the descriptor                 fills the answer, then makes the descriptor readable
 *     resolver_take  <-------------------
 *
 * Whoever does not want to wait any longer just leaves. The lookup goes on, and the next question
 * for the same name finds it, so a dead name server does not gather threads.
 *
 * Knows nothing of libpq. One thread per object, the connection's.
 */
#ifndef PG_RESOLVER_H
#define PG_RESOLVER_H

#include "base/error.h"

struct resolver;

/* Numeric addresses, in the order in which they are to be tried. */
struct addresses {
    char **items;
    size_t count;
};

struct resolver *resolver_new(void) _must_;
/* Does not wait for what is under way, which frees itself. Returns NULL. */
struct resolver *resolver_free(struct resolver *r);

/* Does a connection to this host need a lookup? Not for an address, nor for a socket's path. */
bool resolver_is_name(const char *host) _must_;

/* Starts to look up the name, unless that is under way. Returns a descriptor that becomes readable
 * with the answer, and is open until that is taken. */
int resolver_ask(struct resolver *r, const char *name);

enum resolver_answer { RESOLVER_WAIT, RESOLVER_DONE, RESOLVER_FAILED };

/* After resolver_ask for the same name. DONE: *out is the caller's, with at least one address.
 * FAILED: ERROR_LINK, in libpq's words. */
enum resolver_answer resolver_take(struct resolver *r, const char *name, struct addresses *out,
                                   struct error *err) _must_;

void addresses_clear(struct addresses *a);

#endif
