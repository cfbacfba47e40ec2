/*
 * One record through one route: which rows it makes, and what is to be done with them. The modes,
 * deletes, and all that makes no row or many rows of one record come together here. Worker thread.
 */
#ifndef ROW_RECORD_RECORD_H
#define ROW_RECORD_RECORD_H

#include "row/batch/batch.h"
#include "row/mapping/chooser.h"
#include "row/record/decoder.h"

/* How a route makes rows of its records. */
struct record_route {
    uint32_t number;               /* in the configuration */
    const struct mapping *mapping; /* by which a record is read first */
    const struct chooser *chooser; /* finds the mapping that makes the rows; NULL: the first does */
};

/*
 * Adds all rows of the record to b, between batch_record_begin and _end. False: it has
 * added none, and err (ERROR_RECORD, with err->column where a column is the reason) says why.
 */
bool record_rows(struct decoder *d, const struct record_route *r, const struct message *msg,
                 struct batch *b, struct error *err) _must_;

#endif
