/*
 * A record that cannot be a row, as a row of the table dead_letters (sql/002_dead_letters.sql): in
 * the same batch, and so in the same transaction, as its neighbours. Pure.
 */
#ifndef ROW_BATCH_DEAD_LETTER_H
#define ROW_BATCH_DEAD_LETTER_H

#include "base/buf.h"
#include "base/error.h"
#include "row/message.h"
#include "row/table/table.h"

/* Who has found the fault: pgsinkd when it made the row, or PostgreSQL. */
enum dead_letter_class { DEAD_LETTER_RECORD, DEAD_LETTER_DATABASE };

struct dead_letter {
    const char *sink;
    const char *route;
    const struct message *message;
    enum dead_letter_class class;
    const struct error *error;
    bool escapes;     /* the table cannot hold every character, see struct table */
    int32_t attempts; /* the row counts these more than one that is there already */
};

/*
 * The target that dead letters are written to, over the table as the catalog describes it, which
 * must outlive it; freed by dead_letter_target_free. NULL, ERROR_SETUP: a column is missing.
 */
struct target *dead_letter_target(const struct table *table, struct error *err) _must_;
void dead_letter_target_free(struct target *t); /* NULL is fine */

/* Appends the tuple. Never fails: what PostgreSQL's text cannot hold is replaced. */
void dead_letter_write(const struct dead_letter *d, struct buf *out);

/*
 * What dead_letter_write has made of a letter: its route, which borrows from the tuple, and its
 * fault, with text, SQLSTATE and column.
 */
void dead_letter_read(struct str tuple, struct str *out_route, struct error *out_fault);

#endif
