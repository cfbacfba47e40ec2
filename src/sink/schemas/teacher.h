/*
 * A decoder is given the schemas that it lacks by whoever may wait for them: a replay, and the
 * commands that try records. Blocking; one thread at a time.
 */
#ifndef SINK_SCHEMAS_TEACHER_H
#define SINK_SCHEMAS_TEACHER_H

#include "config/config.h"
#include "pg/conn.h"
#include "row/record/decoder.h"
#include "sink/plan/creation_schemas.h"

struct teacher;

/* cfg must outlive it. conn: is ready whenever a schema may be lacking; NULL: there is none.
 * stop_fd: a question ends early when it is readable. */
struct teacher *teacher_new(const struct config *cfg, struct conn *conn, int stop_fd) _must_;
struct teacher *teacher_free(struct teacher *t); /* NULL is fine; returns NULL */

/*
 * The decoder has failed with ERROR_AGAIN: gives it what it lacks, a schema or a fault, so that the
 * record can be read again. ERROR_LINK: the registry, or PostgreSQL, does not answer; ERROR_AGAIN:
 * PostgreSQL cannot say now what it has kept.
 */
bool teacher_teach(struct teacher *t, struct decoder *d, struct error *err) _must_;

/*
 * The same for a table that is to be made from the topic's records: everything that is lacking.
 * Only the registry is asked. ERROR_LINK, ERROR_SETUP: it does not answer; nothing has been said of
 * the schemas themselves.
 */
bool teacher_complete(struct teacher *t, const char *topic, struct creation_schemas *schemas,
                      struct error *err) _must_;

#endif
