/*
 * What a route of the configuration means to row/mapping. Borrows the route's texts. Any thread.
 */
#ifndef SINK_PLAN_PLAN_SPEC_H
#define SINK_PLAN_PLAN_SPEC_H

#include "base/error.h"
#include "config/config.h"
#include "row/mapping/mapping.h"

struct plan_spec {
    struct mapping_spec mapping;
    enum mapping_part part; /* what a fault of the mapping is about */
    struct mapping_entry *entries;
    struct mapping_value *values;
};

/* The spec of the route; plan_spec_done gives it back. It must not be moved in between. */
void plan_spec_init(struct plan_spec *s, const struct config_route *route);
void plan_spec_done(struct plan_spec *s);

/* Where in the file an error of this mapping belongs: the option that it is about, the entry of the
 * column that it names, else the route's table. */
struct position plan_spec_place(const struct plan_spec *s, const struct config_route *route,
                                const struct error *err);

#endif
