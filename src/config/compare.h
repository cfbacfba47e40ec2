/* What differs between two configurations. Private to config/. Reads only; any thread. */
#ifndef CONFIG_COMPARE_H
#define CONFIG_COMPARE_H

#include "config/config.h"
#include "config/option.h"

/*
 * Is the value the same? base_a, base_b: the configurations, or a route of each. For postgres.dsn,
 * which is read again for each connection, that is what stands in the file. Of a secret among
 * kafka.properties nothing can be said: it is as good as the same.
 */
bool compare_is_same(const struct option *o, const struct config *a, const void *base_a,
                     const struct config *b, const void *base_b);

/*
 * Is this property of the library's a user or password that a running client can be given? Both
 * must have it, and use the same mechanism, of those that log in by a password.
 */
bool compare_is_login(const struct config *before, const struct config *after, const char *name);

/* Appends what differs: options that are no route's; routes and their options. */
void compare_options(const struct config *before, const struct config *after,
                     struct config_changes *out);
void compare_routes(const struct config *before, const struct config *after,
                    struct config_changes *out);

#endif
