/*
 * The statements that store rows, one for each shape (target, action, columns), and advance(); and
 * which of them are prepared on the connection, for the write path unnest. Only the server's
 * answers say what is prepared, because a transaction that fails skips the rest of its statements;
 * a new connection has none. Worker thread.
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
    enum statement_state state;
    struct rows_shape shape; /* target NULL: advance() */
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

/* schema is that of advance(); NULL: there is none. */
struct statements *statements_new(const char *schema) _must_;
struct statements *statements_free(struct statements *s); /* returns NULL */

/* To be called before the first statement of a transaction: forgets what another session had, and
 * names what is prepared after the connection's marker. */
void statements_meet(struct statements *s, const struct conn *c);

/* That of advance(), and that of a shape, which is made where it is new. Valid as long as s. */
struct statement *statements_advance(struct statements *s);
struct statement *statements_of(struct statements *s, const struct rows_shape *shape);

/*
 * Has a value of this column been cast without a fault, in rows of this shape? statements_met_rows
 * learns that from rows that are stored.
 */
bool statements_cast_passes(struct statements *s, const struct rows_shape *shape, size_t column);
void statements_met_cast(struct statements *s, const struct rows_shape *shape, size_t column);
void statements_met_rows(struct statements *s, const struct batch *b);

/* A field of a span as advance() is given it. */
int64_t statements_span_field(const struct span *s, enum span_field field);

#endif
