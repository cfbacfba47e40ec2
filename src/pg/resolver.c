/*
 * Lookups of host names, each in a thread of its own; see resolver.h. The connection's thread, but
 * for look_up.
 */
#include "pg/resolver.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* An answer that nobody has taken for so long is not used: a failover may have moved the name. */
#define STALE_USEC (60 * USEC_PER_SEC)

/* Belongs to the resolver and to the lookup's own thread: whoever lets go of it last frees it. */
struct lookup {
    struct thread thread;
    char *name;
    int fd; /* eventfd: readable when it is done */
    atomic_uint holders;
    atomic_bool done; /* from then on the thread changes nothing below */
    struct addresses addresses;
    int code;   /* of getaddrinfo */
    int number; /* errno, with EAI_SYSTEM */
    usec_t done_at;
};

struct resolver {
    struct lookup **lookups; /* names differ */
    size_t count;
    size_t cap;
};

void addresses_clear(struct addresses *a)
{
    for (size_t i = 0; i < a->count; i++) {
        free(a->items[i]);
    }
    free(a->items);
    *a = (struct addresses){NULL, 0};
}

static void let_go(struct lookup *l)
{
    if (atomic_fetch_sub(&l->holders, 1) == 1) {
        addresses_clear(&l->addresses);
        close(l->fd);
        free(l->name);
        free(l);
    }
}

/* ---- the lookup's thread ---- */

static void add_address(struct addresses *a, const struct addrinfo *info)
{
    char text[NI_MAXHOST];

    if (getnameinfo(info->ai_addr, info->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) !=
        0) {
        return; /* of a family without names for addresses */
    }
    a->items = mem_realloc(a->items, a->count + 1, sizeof *a->items);
    a->items[a->count++] = mem_strdup(text);
}

static void look_up(void *arg)
{
    struct lookup *l = arg;
    /* As libpq asks, so the order of the addresses is the same. */
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    uint64_t one = 1;

    l->code = getaddrinfo(l->name, NULL, &hints, &found);
    l->number = errno;
    for (const struct addrinfo *i = found; l->code == 0 && i != NULL; i = i->ai_next) {
        add_address(&l->addresses, i);
    }
    if (found != NULL) {
        freeaddrinfo(found);
    }
    l->done_at = clock_mono();
    atomic_store(&l->done, true);
    if (write(l->fd, &one, sizeof one) < 0) {
        abort();
    }
    let_go(l);
}

/* ---- the connection's thread ---- */

struct resolver *resolver_new(void)
{
    return mem_zalloc(sizeof(struct resolver));
}

struct resolver *resolver_free(struct resolver *r)
{
    if (r != NULL) {
        for (size_t i = 0; i < r->count; i++) {
            let_go(r->lookups[i]);
        }
        free(r->lookups);
        free(r);
    }
    return NULL;
}

bool resolver_is_name(const char *host)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    if (*host == '\0' || *host == '/' || *host == '@') {
        return false;
    }
    bool numeric = getaddrinfo(host, NULL, &hints, &found) == 0; /* asks nobody */
    if (numeric) {
        freeaddrinfo(found);
    }
    return !numeric;
}

static struct lookup **find(const struct resolver *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->lookups[i]->name, name) == 0) {
            return &r->lookups[i];
        }
    }
    return NULL;
}

static struct lookup *start(const char *name)
{
    struct lookup *l = mem_zalloc(sizeof *l);

    l->name = mem_strdup(name);
    l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->fd < 0) {
        abort();
    }
    atomic_init(&l->holders, 2);
    thread_start(&l->thread, "resolver", look_up, l);
    thread_detach(&l->thread);
    return l;
}

static void forget(struct resolver *r, struct lookup **place)
{
    let_go(*place);
    *place = r->lookups[--r->count];
}

int resolver_ask(struct resolver *r, const char *name)
{
    struct lookup **known = find(r, name);

    if (known != NULL) {
        struct lookup *l = *known;
        if (!atomic_load(&l->done) || clock_mono() - l->done_at < STALE_USEC) {
            return l->fd;
        }
        forget(r, known);
    }
    r->lookups = mem_grow(r->lookups, &r->cap, r->count, sizeof(struct lookup *));
    r->lookups[r->count++] = start(name);
    return r->lookups[r->count - 1]->fd;
}

static const char *reason(const struct lookup *l)
{
    if (l->code == 0) {
        return "it has none";
    }
    return l->code == EAI_SYSTEM ? strerror(l->number) : gai_strerror(l->code);
}

static enum resolver_answer answer(struct lookup *l, struct addresses *out, struct error *err)
{
    if (l->code == 0 && l->addresses.count > 0) {
        *out = l->addresses;
        l->addresses = (struct addresses){NULL, 0};
        return RESOLVER_DONE;
    }
    error_set(err, ERROR_LINK, "could not translate host name \"%s\" to address: %s", l->name,
              reason(l));
    return RESOLVER_FAILED;
}

enum resolver_answer resolver_take(struct resolver *r, const char *name, struct addresses *out,
                                   struct error *err)
{
    struct lookup **place = find(r, name);

    assert(place != NULL);
    struct lookup *l = *place;
    if (!atomic_load(&l->done)) {
        return RESOLVER_WAIT;
    }
    enum resolver_answer a = answer(l, out, err);
    forget(r, place);
    return a;
}
