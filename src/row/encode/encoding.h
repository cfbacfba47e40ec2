/*
 * One value on its way into a field, and what the encoders of all types ask about it: its text, its
 * type's name, and the two usual faults. An encoding is plain data that borrows everything; its
 * encoder belongs to one thread.
 */
#ifndef ROW_ENCODE_ENCODING_H
#define ROW_ENCODE_ENCODING_H

#include "base/buf.h"
#include "base/error.h"
#include "row/cell/cell.h"
#include "row/cell/rules.h"
#include "row/json/document.h"
#include "row/schema/logical.h"
#include "row/table/table.h"

/* Scratch memory of the encoders; of one thread. */
struct encoder {
    struct buf scratch;            /* of the function that runs */
    struct buf plain;              /* of an array's element, without its escapes */
    struct buf quoted;             /* of a string that comes from no document, for json */
    struct document *document;     /* to check a text that has to be JSON; made when first needed */
    const struct logical *logical; /* of the current value; NULL: what its JSON says */
    struct logical_scratch applied; /* of logical_apply */
    bool odd_json;                  /* document_is_odd of the documents that the cells came from */
};

void encoder_done(struct encoder *e);

/* One value on its way into a field. */
struct encoding {
    struct encoder *encoder;
    const struct column *column;
    enum time_unit unit; /* of a number that stands for a time, unless the cell has its own */
    const struct cell *cell;
    struct buf *out;
    struct error *err;
    const struct value_rules *rules;
};

/*
 * The text of a scalar (a number, a boolean, a string, bytes) as an input function would read it.
 * `digits` is room for that of a CELL_INT. False for an object or an array.
 */
struct digits {
    char text[24];
};
bool encoding_text_of(const struct encoding *v, struct digits *digits, struct str *out);

/* The column's type as errors name it: "int4", and the name of one that is not built in. */
const char *encoding_type_name(const struct encoding *v);

/* The two usual faults, ERROR_RECORD: "<value> is not a valid <type>", and "<value> is out of range
 * for <type>". Both return false. */
bool encoding_misfit(const struct encoding *v);
bool encoding_misfit_boolean(const struct encoding *v); /* booleans: number would take it */
bool encoding_out_of_range(const struct encoding *v);

#endif
