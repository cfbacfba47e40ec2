/*
 * Which refused rows have a witness: rows of the same statement after them in the batch that had an
 * effect, while few rows were refused for the same reason. Then the target cannot be at fault. Rows
 * before the refused one prove nothing, for the target may have changed in between. Pure; any
 * thread.
 */
#ifndef PG_WITNESS_H
#define PG_WITNESS_H

#include "pg/txn.h"

/* What has become of rows of one statement, which are side by side in the batch. */
struct witness_step {
    size_t statement;     /* its number; rows of one table with which the same is done share it */
    const char *sqlstate; /* of one row that is refused; NULL: the rows are stored */
    size_t rows;
    size_t effects;           /* so many of those stored were inserted, updated or deleted */
    enum txn_witness witness; /* out: of one that is refused */
};

/* The steps are in the order of the batch. Statements are numbered from 0. */
void witness_find(struct witness_step *steps, size_t n, size_t statement_count);

#endif
