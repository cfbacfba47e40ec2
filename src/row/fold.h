/*
 * A batch as it is sent: its rows grouped by what one statement can store, and, where rows have a
 * key, one row for each key, in the order of the keys.
 *
 * One row for each key, because ON CONFLICT DO UPDATE refuses to touch a row twice, and because
 * what is overwritten at once need not be written. In the order of the keys, so that two workers
 * that write the same rows lock them in the same order and cannot wait for each other.
 *
 * What the rows of one key, in their order, come to:
 *
 *     then \ so far   nothing   row to put     change of columns   mark      delete
 *     upsert          put       put            put                 put       delete, put
 *     ignore          put       the first      -                   -         delete, put
 *     update          change    put, changed   changes together    change    delete
 *     soft delete     mark      put, marked    change, marked      mark      delete
 *     delete          delete    delete         delete              delete    delete
 *
 * With a version, a row that has a lower one than what is there changes nothing.
 *
 * Groups come in the order: deletes, the last target first; then all others, the first target
 * first. So a row is there before what refers to it, if the routes are in that order.
 *
 * Keys are compared by their encoded bytes; of numeric, float and char(n) by a normal form. Where a
 * type has other equal values (a case-insensitive collation), PostgreSQL says so (21000), and the
 * batch is stored row by row.
 *
 * One worker thread; memory is kept from use to use.
 */
#ifndef ROW_FOLD_H
#define ROW_FOLD_H

#include "row/batch.h"

#define FOLD_NO_PART SIZE_MAX

/* What one statement stores. */
struct fold_group {
    const struct target *target;
    enum row_action action;
    uint64_t omit;
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
    struct buf merged;
    struct buf scratch;
};

/* Fills f with the groups of b, which must not change while they are used. */
void fold_batch(struct fold *f, const struct batch *b);
void fold_done(struct fold *f);

#endif
