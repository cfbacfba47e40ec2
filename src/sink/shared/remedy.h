/*
 * What a person can do about a partition that stands, in SQL or, without a ledger, as a command:
 * the hint in the log, in `standing` and on the status page is the same. Pure. @thread any
 */
#ifndef SINK_SHARED_REMEDY_H
#define SINK_SHARED_REMEDY_H

#include "base/buf.h"
#include "config/config.h"
#include "pg/ledger.h"

/* Appends the name of our schema as SQL has it: quoted only if it must be. */
void remedy_schema(const struct config *cfg, struct buf *out);

/* Appends the command that moves a partition of the group, while no member of it runs. to: an
 * offset; -1: the beginning of the log. */
void remedy_move_group(const struct config *cfg, const char *topic, int32_t number, int64_t to,
                       struct buf *out);

/*
 * Completes the hint of why->why: how the partition goes on, with its topic, number and offset
 * filled in. A hint of its own stays; if only a person can make it go on, the SQL follows it. Once
 * more it changes nothing.
 */
void remedy_for(const struct config *cfg, const char *topic, int32_t number, struct standing *why);

#endif
