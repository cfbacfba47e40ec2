/*
 * Change events as Debezium writes them: an envelope with the row before and after the change, and
 * what was done.
 *
 *     {"before": null, "after": {"id": 1}, "source": {...}, "op": "c", "ts_ms": 1700000000000}
 *
 *     op    c, r   created, or read by a snapshot: the row is in `after`
 *           u      updated: `after`; `before` if the source tells
 *           d      deleted: its key is in `before`, or in the record's key
 *           t      the table was truncated
 *           m      a message in the log, no change of a row
 *     A record without a value (a tombstone) follows a delete, for log compaction; it says nothing
 *     new.
 *
 * With Kafka Connect's schema part the envelope is the payload: {"schema": ..., "payload": ...}, in
 * the value as in the key. The schema is the same in record after record, so it is recognised by
 * its bytes and not read again.
 *
 * Belongs to one decoder and its thread.
 */
#ifndef ROW_ENVELOPE_DEBEZIUM_H
#define ROW_ENVELOPE_DEBEZIUM_H

#include "row/envelope/change.h"
#include "row/format/format.h"
#include "row/mapping/mapping_state.h"
#include "row/message.h"
#include "row/schema/logical.h"

struct debezium;

struct debezium *debezium_new(void) _must_;
struct debezium *debezium_free(struct debezium *z); /* returns NULL */

/*
 * Reads the value's envelope into the cells of the value's tree: paths lead into the envelope,
 * never into the schema part. A value that the source could not tell is absent. Fault
 * (ERROR_RECORD): not valid JSON; no change event.
 */
bool debezium_read(struct debezium *z, const struct mapping *m, struct format_scratch *s,
                   const struct message *msg, struct cell *cells, enum change_op *out_op,
                   struct error *err) _must_;

/* Reads the record's key into the cells of the key's tree, all absent for a null key. */
bool debezium_read_key(struct debezium *z, const struct mapping *m, struct format_scratch *s,
                       const struct message *msg, struct cell *cells, struct error *err) _must_;

/* What the values of fill i are, in the record that was read last. */
const struct logical *debezium_logical(const struct debezium *z, const struct mapping *m, size_t i);

#endif
