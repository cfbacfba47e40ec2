/* sql/ as it was when the program was built: made by tools/embed_sql.py. Private to pg/schema.c.
 * Any thread. */
#ifndef PG_STEPS_H
#define PG_STEPS_H

/* Steps are numbered from 1 to steps_count(). */
int steps_count(void);

/* Lines, each with its newline; NULL ends them. NULL: no such step. */
const char *const *steps_lines(int version);
const char *const *steps_grants(void);

#endif
