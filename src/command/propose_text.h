/*
 * A proposed table and its route: the table as SQL, the route as a comment of SQL that holds YAML,
 * so that all of it may be read by psql. Names come from records: they are quoted, and cannot end
 * the comment or move a cursor. Pure. Main thread.
 */
#ifndef COMMAND_PROPOSE_TEXT_H
#define COMMAND_PROPOSE_TEXT_H

#include "base/buf.h"
#include "row/record/proposal.h"

/* Appends all of it. */
void propose_text(const struct proposal *p, const char *topic, struct buf *out);

#endif
