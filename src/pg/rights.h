/*
 * Privileges that the role has not: collected from wherever they are missed, each once, and printed
 * as GRANTs that can be pasted into psql. Blocking where it asks the server. @thread main
 */
#ifndef PG_RIGHTS_H
#define PG_RIGHTS_H

#include "base/buf.h"
#include "base/error.h"
#include "pg/conn.h"
#include "row/table/table.h"

/* In the order in which they are printed. */
enum right_on {
    RIGHT_ON_DATABASE,
    RIGHT_ON_SCHEMA,
    RIGHT_ON_TABLE,
    RIGHT_ON_SEQUENCE,
    RIGHT_ON_FUNCTIONS, /* all of a schema */
};

struct rights;

struct rights *rights_new(void);
struct rights *rights_free(struct rights *r); /* returns NULL */

/* Asks for the names of the role and of the database, which the GRANTs need: comes first.
 * ERROR_LINK. */
bool rights_begin(struct rights *r, struct conn *c, struct error *err) _must_;

/*
 * Adds a privilege ("SELECT"), or several ("SELECT, INSERT"), on what has this name in SQL; NULL:
 * the database. What has been added before is not added again.
 */
void rights_miss(struct rights *r, enum right_on on, const char *name, const char *privileges);

/* Adds those of `privileges` (enum table_privilege) that the table lacks. */
void rights_miss_table(struct rights *r, const struct table *t, uint32_t privileges);

/*
 * Adds the sequences that DEFAULTs of columns use for which `asks` is true, where the role may not.
 * An identity column needs no privilege. ERROR_LINK.
 */
bool rights_miss_sequences(struct rights *r, struct conn *c, const struct table *t,
                           bool (*asks)(const void *arg, const char *column), const void *arg,
                           struct error *err) _must_;

/* How many GRANTs there are. */
size_t rights_count(const struct rights *r) _pure_;

/* "warehouse" and "pgsinkd", quoted for SQL; valid as long as r. NULL before rights_begin. */
const char *rights_database(const struct rights *r) _pure_;
const char *rights_role(const struct rights *r) _pure_;

/* Appends the GRANTs, one a line, ordered by what they are on and then by name. */
void rights_print(const struct rights *r, struct buf *out);

#endif
