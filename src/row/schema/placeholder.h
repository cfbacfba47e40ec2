/*
 * The text that a source writes in place of a value that it does not have, in all forms in which it
 * comes: Debezium does so for large values that an update did not change (PostgreSQL's TOAST,
 * Oracle's LOBs), where it makes a value of the column's type of `unavailable.value.placeholder`.
 * For the text P:
 *     text, and all that travels as text    "P"
 *     bytes                                 P as base64 (either alphabet) or hexadecimal digits; in
 *                                           binary formats, where a uuid is bytes, too, as they are
 *     hstore, a map                         {"P": "P"}, also as the text of that JSON
 *     uuid                                  the UUID of version 3 of P (RFC 9562, no name space)
 *     arrays                                one element that is one of these, or the bytes of P as
 *                                           numbers
 * Immutable once made; any thread.
 */
#ifndef ROW_SCHEMA_PLACEHOLDER_H
#define ROW_SCHEMA_PLACEHOLDER_H

#include "base/buf.h"
#include "row/cell/cell.h"

struct placeholder;

struct placeholder *placeholder_new(const char *text) _must_;
struct placeholder *placeholder_free(struct placeholder *p); /* returns NULL */

/* Is the value one of its forms? plain is scratch memory. */
bool placeholder_is(const struct placeholder *p, const struct cell *c, struct buf *plain);

#endif
