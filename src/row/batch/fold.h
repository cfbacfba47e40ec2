/*
 * A batch as it is sent: its rows grouped by what one statement can store, and, where rows have a
 * key, in the order of the keys and as few for each key as will do (row/batch/outcome.h), which is
 * nearly always one.
 *
 * One row for each key, because ON CONFLICT DO UPDATE refuses to touch a row twice, and because
 * what is overwritten at once need not be written. In the order of the keys, so that two workers
 * that write the same rows lock them in the same order and cannot wait for each other.
 *
 * A truncate makes all rows of its target before it void, and is the first of its groups.
 *
 * Groups come in rounds. In each round: truncates and deletes, the last target first; then all
 * others, the first target first. So a row is there before what refers to it, if the routes are in
 * that order. A key whose rows come to several has each in a round of its own, but a delete and the
 * row after it share one.
 *
 * Keys are compared by their encoded bytes; of numeric, float and char(n) by a normal form. Where
 * only SQL can compare them (citext; target.keys_by_sql), groups are runs of rows as they came,
 * each in a round of its own, and rows of one group may share a key.
 *
 * Routes that fill the same table are folded together, by the key that they share. If their keys
 * are of different columns, nobody can say here which rows are the same: then each run of rows that
 * share the columns is folded by itself, and the runs follow each other as they came.
 *
 * One worker thread; memory is kept from use to use.
 */
#ifndef ROW_BATCH_FOLD_H
#define ROW_BATCH_FOLD_H

#include "row/batch/batch.h"
#include "row/batch/outcome.h"

#define FOLD_NO_PART SIZE_MAX

/* What one statement stores. */
struct fold_group {
    const struct target *target;
    enum row_action action;
    omit_mask omit;
    uint32_t round;
    size_t part;      /* of the batch, whose rows these are, one by one; FOLD_NO_PART: folded */
    struct str bytes; /* tuples; of the part or of `own` */
    size_t row_count;
    struct buf own;
};

struct fold {
    struct fold_group *groups;
    size_t group_count;
    size_t group_cap;
    struct fold_entry *entries;
    size_t entry_count;
    size_t entry_cap;
    struct buf keys;
    struct outcome outcome; /* of one key */
    /* of the table, or of the run of its rows, that is being folded */
    size_t first_group;
    uint32_t round;
    uint32_t last_round;
};

/* Fills f with the groups of b, which must not change while they are used. */
void fold_batch(struct fold *f, const struct batch *b);
void fold_done(struct fold *f);

#endif
