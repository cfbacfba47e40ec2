/*
 * What routes have wrong whatever the tables are: their paths, conditions and expressions. Asks no
 * server. Any thread.
 */
#ifndef SINK_PLAN_PLAN_CHECK_H
#define SINK_PLAN_PLAN_CHECK_H

#include "config/config.h"

/* ERROR_SETUP with the place in the file, of the first fault of each route. What a value is that
 * could not be read (config_lacks) is not asked. */
void plan_check(const struct config *cfg, struct config_faults *out);

#endif
