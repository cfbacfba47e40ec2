/*
 * What the rows of one key, one after the other, come to: as few rows as leave in the table what
 * all of them would, whatever is there before.
 *
 * Each row is a function of what the table holds for its key. Two that follow each other become one
 * where one row can say the same:
 *
 *     then \ first   insert    ignore    upsert        update, mark   delete
 *     insert         both      both      both          both           both
 *     ignore         both      first     first         both           both
 *     upsert         both      then (1)  then (2)      then (1)       both
 *     update, mark   both      both      together (2)  together (2)   first (3)
 *     delete         both      then      then          then           then
 *
 *     mark is a soft delete; first, then: that one alone; together: the first, changed by the then
 *     (1) both, where it leaves columns alone that the first one sets
 *     (2) an upsert that sets all columns is itself the outcome
 *     (3) there is nothing to change
 *
 * A version makes a row conditional: it changes nothing that has a higher one. Then the second of
 * two is dropped if it is older and the first has surely left its version there; else, what is in
 * the table may be newer than the first and older than the second, so two rows that set different
 * columns stay two. So do two of different targets, routes into the same table. A version is not
 * remembered beyond a delete: an older row that comes later is put.
 *
 * One worker thread; memory is kept from key to key.
 */
#ifndef ROW_BATCH_OUTCOME_H
#define ROW_BATCH_OUTCOME_H

#include "base/buf.h"
#include "row/table/table.h"

/* One row: columns as its action and omit mask say, or what a mixed row says itself. */
struct outcome_step {
    const struct target *target;
    enum row_action action;
    uint64_t omit;
    struct str tuple; /* borrowed from the batch, or `own` */
    struct buf own;
};

struct outcome {
    struct outcome_step *steps; /* to be stored in this order */
    size_t count;
    size_t cap;
    struct buf scratch;
};

void outcome_clear(struct outcome *o);
void outcome_done(struct outcome *o);

/* Has the row a value for that column of its target? */
bool outcome_has(const struct outcome_step *s, size_t column) _pure_;

/* The next row of the key. Its tuple must stay as long as the outcome is used. */
void outcome_add(struct outcome *o, const struct target *t, enum row_action action, uint64_t omit,
                 struct str tuple);

#endif
