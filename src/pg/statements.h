/*
 * The statements that the write path unnest has prepared on its connection: advance(), and an
 * INSERT for each target and set of columns. What is prepared is known from the answers, for a
 * transaction that fails early skips the rest; a new connection has none. Worker thread.
 */
#ifndef PG_STATEMENTS_H
#define PG_STATEMENTS_H

#include "pg/libpq.h"
#include "pg/oids.h"
#include "row/batch.h"

enum statement_state {
    STATEMENT_NONE,
    STATEMENT_ASKED, /* Parse is on its way */
    STATEMENT_READY,
};

struct statement {
    char name[16];
    enum statement_state state;
    const struct target *target; /* NULL: advance() */
    uint64_t omit;
    char *sql;
    size_t parameter_count;
    uint32_t *parameter_types;
};

struct statements;

struct statements *statements_new(const char *schema) _must_;
struct statements *statements_free(struct statements *s); /* returns NULL */

/* To be called before the first statement of a transaction: forgets what another session had. */
void statements_meet(struct statements *s, const struct conn *c);

/* Valid as long as s. insert: NULL when too many different ones would be prepared. */
struct statement *statements_advance(struct statements *s);
struct statement *statements_insert(struct statements *s, const struct batch_part *p);

#endif
