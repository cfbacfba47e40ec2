/*
 * The formats in which values are written, one row of a table each. No
 * code asks which format it is: what differs between formats is a property here, and a new format
 * is a new row.
 *
 * Elements of arrays are JSON whatever the format of the value is; keys have formats of their own
 * (row/format/key_format.h).
 */
#ifndef ROW_FORMAT_FORMAT_H
#define ROW_FORMAT_FORMAT_H

#include "base/error.h"
#include "base/str.h"
#include "row/cell/cell.h"
#include "row/cell/fields.h"

enum format_id { FORMAT_JSON, FORMAT_RAW, FORMAT_COUNT };

/* What is read, and what of it is wanted. */
struct format_input {
    const char *what;           /* its name in faults: "value", "key", "element" */
    struct str bytes;           /* absent: null */
    const struct fields *names; /* node i is wanted in cells[i], node 0 being all of it */
    bool any;                   /* it may be no object, although fields are asked for */
};

/*
 * Scratch memory of a reader. The cells that it has filled are valid until it reads again with the
 * same scratch memory, and as long as the bytes are there. Starts as zeros; belongs to one thread.
 */
struct format_scratch {
    struct document *document; /* JSON's; made when it is first needed, unless init has made it */
    bool is_odd;               /* what was read last may hold something that jsonb refuses */
};

/* Makes the document at once. Reading is measurably slower if its memory is allocated only after
 * the records have come (bench/encode). */
void format_scratch_init(struct format_scratch *s);
void format_scratch_done(struct format_scratch *s);

struct format {
    const char *name;  /* as users write it */
    bool has_fields;   /* a value has named fields; otherwise it is bytes that are not looked at */
    bool wants_schema; /* a value can be read only with the schema that it was written with */

    /*
     * The fields that are asked for into cells; CELL_ABSENT where there is none. Neither bytes that
     * are absent nor a value that is null have fields. NULL without has_fields. ERROR_RECORD: the
     * bytes are not what the format says; they are no object although fields are wanted.
     */
    bool (*read)(struct format_scratch *s, const struct format_input *in, struct cell *cells,
                 struct error *err);
};

const struct format *format_of(enum format_id id) _pure_;

#endif
