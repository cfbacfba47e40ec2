/*
 * Change events as Debezium writes them: an envelope with the row before and after the change, and
 * what was done.
 *
 *     {"before": null, "after": {"id": 1}, "source": {...}, "op": "c", "ts_ms": 1700000000000}
 *
 *     op    c, r   created, or read by a snapshot: the row is in `after`
 *           u      updated: `after`; `before` if the source reports it
 *           d      deleted: its key is in `before`, or in the record's key
 *           t      the table was truncated
 *           m      a message in the log, no change of a row
 *     A record without a value (a tombstone) follows a delete, for log compaction; it says nothing
 *     new.
 *
 * Works on the cells of an envelope that was read, whatever its format; a wrapper around it has
 * been opened before (row/envelope/connect.h). Any thread.
 */
#ifndef ROW_ENVELOPE_DEBEZIUM_H
#define ROW_ENVELOPE_DEBEZIUM_H

#include "row/envelope/change.h"
#include "row/mapping/mapping_state.h"
#include "row/schema/shape.h"

/*
 * Looks at the cells of the value's tree: what the event did, and whether they hold its row. A
 * value that the source could not report becomes absent. Debezium's heartbeats, and its records
 * about transactions and schemas, do nothing. ERROR_RECORD: no change event; a value is lacking
 * that the row cannot do without. plain is scratch memory.
 */
bool debezium_read(const struct mapping *m, struct cell *cells, struct buf *plain,
                   enum change_op *out_op, struct error *err) _must_;

/* The same of its heartbeats and so on where they were written with a schema: by that alone. */
bool debezium_is_own(const struct shape *s) _pure_;

/* Who wrote the event that was read into these cells. */
enum connector debezium_connector(const struct mapping *m, const struct cell *cells);

/*
 * For rows that a connector has taken out of their envelopes: fields of the value, and of its
 * parsed root, that are a placeholder become absent. Was there one?
 */
bool debezium_hide_untold(const struct mapping *m, struct cell *cells, struct buf *plain);

#endif
