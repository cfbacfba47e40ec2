/*
 * What one transaction has said so far about each of its targets: found by the target's address, so
 * that a batch of many targets costs no search among them for each of its groups. Worker thread;
 * memory is kept from use to use.
 */
#ifndef PG_TARGET_MARKS_H
#define PG_TARGET_MARKS_H

#include "row/table/table.h"

struct target_mark {
    const struct target *target; /* NULL = free */
    bool is_checked;             /* its table is compared; by COPY and each: under a lock */
    bool is_guarded;  /* unnest: its table is locked, and compared when that is planned */
    bool is_staged;   /* its temporary table is there */
    size_t row_count; /* rows that have their places in that table */
};

struct target_marks {
    struct target_mark *marks;
    size_t size; /* a power of two, or 0 */
    size_t cap;  /* of the memory */
};

/* Forgets all, and makes room for this many targets. */
void target_marks_begin(struct target_marks *m, size_t most);
void target_marks_done(struct target_marks *m);

/* The target's mark, which begins with nothing said. Valid until the next target_marks_begin. */
struct target_mark *target_marks_of(struct target_marks *m, const struct target *target);

#endif
