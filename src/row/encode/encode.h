/*
 * One value into one field of COPY BINARY: an int32 length and the bytes of the type's send
 * function in PostgreSQL; the bytes are the same as those of an array element. -1 is NULL. One
 * function per type.
 *
 * The rule: a JSON scalar means what its text means to the input function of the type in PostgreSQL
 * (boolin, numeric_in, ...), so a column gets the same value as from an INSERT of that text. If
 * a type takes less than that, or decides what PostgreSQL leaves to the session, its function says
 * so. No value is changed silently: one that is out of range, too long or not well-formed is a
 * fault.
 *
 * No I/O, no clock; called by the thread that owns the encoder.
 */
#ifndef ROW_ENCODE_ENCODE_H
#define ROW_ENCODE_ENCODE_H

#include "row/encode/encoding.h"

/*
 * Appends the field to v->out; an absent value becomes NULL. On failure the bytes after the
 * former end of out are undefined, and v->err is ERROR_RECORD without the column's name: "99999 is
 * out of range for int2".
 */
bool encode_value(const struct encoding *v) _must_;

#endif
