/*
 * What would become of records through one route: they are made into rows as a worker does it, and
 * the rows are counted and thrown away. For `check`. One thread.
 */
#ifndef ROW_RECORD_TRIAL_H
#define ROW_RECORD_TRIAL_H

#include "row/record/guess.h"
#include "row/record/record.h"
#include "row/record/survey.h"

/* Different reasons of rejected records that are kept. */
#define TRIAL_REASONS 5

#define TRIAL_ACTIONS (ROW_TRUNCATE + 1)

/* Why a record makes no row although nothing is wrong with it. */
enum trial_nothing {
    NOTHING_WHEN,      /* the condition of the route does not hold */
    NOTHING_TOMBSTONE, /* no value */
    NOTHING_EVENT,     /* an envelope without a row */
    NOTHING_ELEMENTS,  /* no element is exploded */
    NOTHING_IGNORED,   /* a delete or a truncate, which the route leaves alone */
    NOTHING_COUNT,
};

/* The rows of one table. */
struct trial_table {
    const struct target *target;
    size_t rows[TRIAL_ACTIONS];
    struct survey survey;
};

/* Records that are rejected for one reason, and the first of them. */
struct trial_reason {
    struct error why;
    int32_t partition;
    int64_t offset;
    size_t count;
};

struct trial {
    const struct record_route *route; /* borrowed */
    struct decoder *decoder;
    struct guesser *guesser;
    struct batch *batch;
    size_t records;
    size_t rejected;
    size_t nothing[NOTHING_COUNT];
    struct trial_table *tables; /* in the order in which they got a row or would have got one */
    size_t table_count;
    size_t table_cap;
    struct trial_reason reasons[TRIAL_REASONS];
    size_t reason_count;
    size_t values[GUESS_COUNT]; /* of how many records the value looks like this; */
    size_t keys[GUESS_COUNT];   /*   of how many the key that the route takes */
};

/* The route must outlive it. */
void trial_init(struct trial *t, const struct record_route *route);
void trial_done(struct trial *t);

/* Does the record name a schema that t->decoder lacks? It is to learn it, and to be asked again,
 * before the record is added. */
bool trial_lacks(struct trial *t, const struct message *msg) _must_;

/* One record, with its headers. */
void trial_add(struct trial *t, const struct message *msg);

/* The mapping that makes the rows of a target that is in the route's batch. */
const struct mapping *trial_mapping(const struct trial *t, const struct target *target);

#endif
