/*
 * The window to a schema registry: a path is asked for at each of its addresses in turn, with
 * whatever it takes to log in, and what the answers mean is said in one word. What is in them is
 * the caller's to read. Nothing is logged or tried again here. Blocking; one thread at a time.
 */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include "config/config.h"
#include "registry/http_client.h"

enum registry_outcome {
    REGISTRY_FOUND,
    REGISTRY_ABSENT,   /* it says itself that it does not have that */
    REGISTRY_UNUSABLE, /* what it answers, or is asked, can never be used; ERROR_SETUP */
    /* It cannot answer now: ERROR_LINK, or ERROR_SETUP with a hint where somebody must act. Either
     * may pass, also for this question alone. */
    REGISTRY_AWAY,
};

/* Whose API. The last two are Apicurio's own, for what Confluent's does not know. */
enum registry_api { REGISTRY_CONFLUENT, REGISTRY_APICURIO_3, REGISTRY_APICURIO_2 };

struct registry;

/* cfg must outlive it, or be replaced. stop_fd: a question ends early when it is readable; -1. */
struct registry *registry_new(const struct config *cfg, int stop_fd) _must_;
struct registry *registry_free(struct registry *r); /* returns NULL */

/* Another configuration: connections and tokens are those of before no more. */
void registry_configure(struct registry *r, const struct config *cfg);

/*
 * Appends the name under which schemas of this registry are kept: its first URL, without user and
 * password, its context, and, where one logs in or sends headers, a hash of the user, the OAuth
 * client and the headers but those that may be secrets. Confluent Cloud serves several registries
 * at one URL, each with numbers of its own, and knows by these which one is meant. Passwords and
 * tokens are not in it. Reads what ${...} stands for again.
 */
void registry_name(const struct config *cfg, struct buf *out);

/* May a number name another schema with `after` than with `before`? */
bool registry_is_other(const struct config *before, const struct config *after);

/* GET of what is below the address. *out belongs to the caller, also if it is not FOUND, and may be
 * given again. err is set unless it is FOUND. */
enum registry_outcome registry_get(struct registry *r, enum registry_api api, const char *path,
                                   struct http_response *out, struct error *err) _must_;

#endif
