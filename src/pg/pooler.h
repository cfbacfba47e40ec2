/*
 * A connection pooler between us and PostgreSQL: what its faults mean. It must keep one server
 * session for each connection (PgBouncer's pool_mode = session): prepared statements, settings and
 * LISTEN belong to a session, and so does the right to end another one.
 *
 * How another pool mode is noticed: each connection leaves a random marker in its session
 * (pgsinkd.session) when it sets it up. It looks for it at once, in the round trip that is measured
 * then, and has advance() and each statement on the ledger compare it, before they do anything.
 * The names of prepared statements contain the marker. One that exists already (42P05) means that
 * it was prepared before the session was shared, and what became of it was not reported.
 * Pure; any thread.
 */
#ifndef PG_POOLER_H
#define PG_POOLER_H

#include "base/error.h"

/* Fills err: the statement has met another session than the one that was set up (SK004).
 * ERROR_LINK: the pooler may be set right while we run. Returns false. */
bool pooler_refuse(struct error *err);

/*
 * Adds the hint to a failure to connect that a pooler with too few server connections explains, or
 * a server with too few of its own. connections: how many we need at the same time; 0 = not known.
 */
void pooler_hint_too_few(struct error *err, unsigned connections);

/* The login was accepted, and then there was no answer for so many seconds. Returns false. */
bool pooler_no_answer(struct error *err, const char *host, unsigned long long seconds,
                      unsigned connections);

#endif
