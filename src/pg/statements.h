/*
 * The statements that store rows, one for each shape (target, action, columns), advance(), that of
 * history, and those that compare tables; and which of them are prepared on the connection, for the
 * write path unnest. Only the server's answers say what is prepared, because a transaction that
 * fails skips the rest of its statements; a new connection has none. Worker thread.
 */
#ifndef PG_STATEMENTS_H
#define PG_STATEMENTS_H

#include "pg/libpq.h"
#include "pg/rows_sql.h"
#include "row/batch/batch.h"

enum statement_state {
    STATEMENT_NONE,
    STATEMENT_ASKED, /* Parse is sent, not answered */
    STATEMENT_READY,
};

struct statement {
    char name[48]; /* unique to the connection: a pooler may lead to the session of another */
    size_t number;
    enum statement_state state;
    struct rows_shape shape; /* target NULL: advance(), compare, history */
    bool may_prepare;        /* false once too many would be prepared */
    char stage[24];          /* the temporary table for rows of its target */
    char places[24];         /* the one that has places, too */
    char *sql;               /* stores rows from arrays */
    /* For each column of the target: a value of it has been cast without a fault. */
    bool *casts_pass;
    size_t parameter_count;
    uint32_t *parameter_types;
};

/* The fields of a span, in the order of advance()'s parameters. */
enum span_field {
    SPAN_PARTITION,
    SPAN_OWNER_EPOCH,
    SPAN_FROM,
    SPAN_NEXT,
    SPAN_LEADER_EPOCH,
    SPAN_TIMESTAMP,
    SPAN_END,
    SPAN_FP_OFFSET,
    SPAN_FP_CRC,
    SPAN_FIELDS
};

struct statements;

/* schema is that of our own functions; NULL: there is none. */
struct statements *statements_new(const char *schema) _must_;
struct statements *statements_free(struct statements *s); /* returns NULL */

/* In place of those without a schema, which are freed: what they have prepared is left in the
 * session, and no name of theirs is used again. */
struct statements *statements_with_schema(struct statements *former, const char *schema) _must_;

/*
 * To be called before the first statement of a transaction: forgets what another session had, and
 * names what is prepared after the connection's marker. True: this session still has many
 * statements and temporary tables of targets that were forgotten, and the transaction is to begin
 * with statements_clean_sql, which takes all of them away.
 */
bool statements_meet(struct statements *s, const struct conn *c);
extern const char *const statements_clean_sql[2];

/* That of advance(), and that of a shape, which is made where it is new. Valid as long as s, and
 * until its target is forgotten. */
struct statement *statements_advance(struct statements *s);
/* That which writes the row of history, see txn_history.c for its parameters. */
struct statement *statements_history(struct statements *s);
struct statement *statements_of(struct statements *s, const struct rows_shape *shape);

/*
 * Has a value of this column been cast without a fault, in rows of this shape? statements_met_rows
 * learns that from rows that are stored.
 */
bool statements_cast_passes(struct statements *s, const struct rows_shape *shape, size_t column);
void statements_met_cast(struct statements *s, const struct rows_shape *shape, size_t column);
void statements_met_rows(struct statements *s, const struct batch *b);

/*
 * Is the table as the rows were made for? All fail if it is not (catalog_guard_speaks).
 * Statements that insert have the guard in themselves.
 * guard: of a target whose rows are updated or deleted; before them, in their transaction. NULL: it
 * needs none, because the statements have it in themselves.
 * compare: of a table that is named by two parameters, its name in SQL and its signature; NULL:
 * there is no schema of ours.
 */
struct statement *statements_guard(struct statements *s, const struct target *target);
struct statement *statements_compare(struct statements *s);

/* The targets are about to be freed: nothing of them is on its way any more. */
void statements_forget(struct statements *s, const struct target *const *targets, size_t n);

/* A field of a span as advance() is given it. */
int64_t statements_span_field(const struct span *s, enum span_field field);

#endif
