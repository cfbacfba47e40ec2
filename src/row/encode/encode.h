/*
 * One value into one field of COPY BINARY: an int32 length and the bytes of the type's send
 * function in PostgreSQL; the bytes are the same as those of an array element. -1 is NULL. One
 * function per type.
 *
 * The rule: a JSON scalar means what its text means to the input function of the type in PostgreSQL
 * (boolin, numeric_in, ...), so a column gets the same value as from an INSERT of that text. Where
 * it is narrower, or decides what PostgreSQL leaves to the session, the type's function says so.
 * Nothing is damaged in silence: out of range, too long, not well-formed are faults.
 *
 * An encoder holds scratch memory and belongs to one thread. No I/O, no clock.
 */
#ifndef ROW_ENCODE_ENCODE_H
#define ROW_ENCODE_ENCODE_H

#include "base/buf.h"
#include "base/error.h"
#include "row/cell/cell.h"
#include "row/cell/rules.h"
#include "row/json/document.h"
#include "row/schema/logical.h"
#include "row/table/table.h"

struct encoder {
    struct buf scratch;            /* of the function that runs */
    struct buf plain;              /* of an array's element, without its escapes */
    struct document *document;     /* to check a text that has to be JSON; made when first needed */
    const struct logical *logical; /* what the value at hand is; NULL: what its JSON says */
    struct logical_scratch meant;
    bool odd_json; /* document_is_odd of what the cells came from */
};

void encoder_done(struct encoder *e);

/* One value on its way into a field. */
struct value {
    struct encoder *encoder;
    const struct column *column;
    enum time_unit unit; /* the declared one of a number that stands for a time */
    const struct cell *cell;
    struct buf *out;
    struct error *err;
    const struct value_rules *rules;
};

/*
 * Appends the field to v->out; what is absent is NULL. On failure out holds rubbish behind its
 * former end, and v->err is ERROR_RECORD without the column's name: "99999 is out of range for
 * int2".
 */
bool encode_value(const struct value *v) _must_;

#endif
