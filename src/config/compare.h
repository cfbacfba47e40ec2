/* One option in two configurations. Private to config/. Reads only; any thread. */
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

#endif
