/*
 * What one record becomes through one route: its rows, the value of each of their columns as
 * PostgreSQL reads it, and the first fault. Nothing is written. Main thread.
 */
#ifndef COMMAND_TRY_ROWS_H
#define COMMAND_TRY_ROWS_H

#include "config/config.h"
#include "pg/preview.h"
#include "row/record/trial.h"

#define TRY_ROWS_MAX 20 /* of an array that is exploded, more help nobody */

enum tried_state {
    TRIED_VALUE,
    TRIED_NULL,
    TRIED_DEFAULT, /* the row leaves the column out */
    TRIED_KEPT,    /* the same, and a row that is there keeps its value */
    TRIED_NOT,     /* nothing fills the column: `source` says why */
    TRIED_REFUSED, /* PostgreSQL refuses the value, or cannot make it now */
    TRIED_UNKNOWN, /* PostgreSQL computes it, and would write while it does */
};

struct tried_column {
    const struct column *column;
    const char *source;
    enum tried_state state;
    char *value; /* of TRIED_VALUE as it will be stored, of TRIED_REFUSED as it is sent; owned */
};

struct tried_row {
    const struct batch_part *part;
    const struct mapping *mapping;
    struct tried_column *columns; /* those that the row concerns, in the order of the table */
    size_t column_count;
    char **sent; /* one for each column of the target, owned; NULL: SQL's NULL, or not sent */
    char *there; /* of a mixed row: a bit for each column that is there, as a bytea; owned */
};

struct tried {
    const struct config_route *route;
    size_t number;
    const char *topic;
    struct error unusable; /* its table cannot be used; ERROR_NONE: it can, and the rest is known */
    struct record_route way;
    struct trial trial;
    bool lacks_schema;      /* tried_make has failed because of the registry */
    struct tried_row *rows; /* in the order in which they are made */
    size_t row_count;
    size_t rows_left_out;
    /* What PostgreSQL says of the first value that it refuses; or, where the target is unfit for
     * any, of the first such one. ERROR_NONE: it takes all. */
    struct error refused;
    size_t refused_row;
};

/* One record through the route t->number, whose tables are known as `way`. False: ERROR_LINK of the
 * connection, which has called preview_begin, or of the registry. tried_done is due in any case. */
bool tried_make(struct tried *t, const struct config *cfg, struct conn *c,
                const struct message *msg, struct error *err) _must_;
void tried_done(struct tried *t);

/* Would it be stored: neither rejected nor refused? */
bool tried_is_fine(const struct tried *t) _pure_;

/* Is the target unfit, so that no record is refused, and the partition parks or is tried again? */
bool tried_parks(const struct tried *t) _pure_;

/* Why the record makes no row, in words. Only without rows and faults. */
const char *tried_nothing(const struct tried *t);

/* The SQL that stores the rows of a part: one statement, or several. */
void tried_sql(const struct batch_part *part, struct buf *out);

#endif
