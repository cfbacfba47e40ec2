/*
 * Is it alive, and can it store? What /livez, /readyz and the page say. Decides only that; no I/O.
 * Any thread.
 */
#ifndef SINK_WATCH_HEALTH_H
#define SINK_WATCH_HEALTH_H

#include "base/buf.h"
#include "sink/watch/snapshot.h"
#include "sink/watch/vitals.h"

/*
 * Appends why it cannot store, or what stands although it can; nothing where all is well. False: it
 * cannot. What an operator has paused is not counted: a sink of which nothing else stands could
 * store, and is ready. s: NULL, main has not shown anything yet; is_late: it owes an answer.
 */
bool health_is_ready(const struct snapshot *s, bool is_late, struct buf *out);

#endif
