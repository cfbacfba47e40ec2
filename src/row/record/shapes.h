/*
 * Which omit masks rows of a target have their own statements for: the first few that a worker
 * meets. Where records lack ever different fields, all others are mixed (row/table/table.h): a
 * statement for each would cost PostgreSQL more than the rows. Whatever is answered, a row is
 * stored in the same way, so what is known may outlive a plan. One thread.
 */
#ifndef ROW_RECORD_SHAPES_H
#define ROW_RECORD_SHAPES_H

#include "base/base.h"

struct shapes {
    struct shapes_of **of; /* by the id of the target; NULL: no row of it has omitted anything */
    size_t count;
    size_t cap;
};

void shapes_done(struct shapes *s);

/* Is the mask one of the target's own? Takes it in while there is room. */
bool shapes_own(struct shapes *s, uint32_t target_id, uint64_t omit);

#endif
