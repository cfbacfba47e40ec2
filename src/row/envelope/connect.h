/*
 * Kafka Connect's wrapper: JSON values and keys that carry their schema along.
 *
 *     {"schema": {"type": "struct", "fields": [...]}, "payload": {"op": "c", ...}}
 *
 * Paths lead into the payload, and the schema says what its values are (row/schema/logical.h). The
 * schema is the same in record after record, so it is recognised by its bytes and not read again.
 * A change event or a key that is not wrapped is read as it is. What the payload means is not known
 * here.
 *
 * Belongs to one decoder and its thread.
 */
#ifndef ROW_ENVELOPE_CONNECT_H
#define ROW_ENVELOPE_CONNECT_H

#include "row/format/format.h"
#include "row/mapping/mapping_state.h"
#include "row/schema/logical.h"

/* How many schemas one decoder remembers, and how many bytes of them; with more, it begins again.
 */
#define CONNECT_SCHEMAS_MAX 256
#define CONNECT_SCHEMA_BYTES_MAX (4 * 1024 * 1024)

struct connect;

struct connect *connect_new(void) _must_;
struct connect *connect_free(struct connect *x); /* returns NULL */

/* A record begins whose value is no JSON, but its key may be. */
void connect_begin(struct connect *x);

/*
 * Is that object, the text of a checked document, a wrapper and nothing else: exactly a schema, or
 * null in its place, and a payload? plain is scratch memory.
 */
bool connect_is_wrapper(struct str object, struct buf *plain);

/*
 * Reads a record's value by the format of the mapping, or its payload, into the cells of the
 * value's tree. Comes before the record's key. ERROR_RECORD as the format has it; with
 * ENVELOPE_CONNECT a value that is not wrapped.
 */
bool connect_read_value(struct connect *x, const struct mapping *m, struct format_scratch *s,
                        struct str bytes, struct cell *cells, struct error *err) _must_;

/* The record's key, which is JSON, into the cells of the key's tree, all absent for a null key. */
bool connect_read_key(struct connect *x, const struct mapping *m, struct format_scratch *s,
                      struct str bytes, struct cell *cells, struct error *err) _must_;

/*
 * What a value of that meaning (mapping_meant) is in the record that was read last: by its schema,
 * otherwise by the column and by who wrote it. Valid until the next record.
 */
const struct logical *connect_logical(const struct connect *x, const struct mapping *m,
                                      size_t meaning, enum connector connector);

#endif
