/*
 * Values that are more than their JSON says: Kafka Connect and Debezium write a date as a number of
 * days, a decimal as base64, a JSON document as a string. The schema part of the record says which
 * logical type a value has (logical_of_schema); without one, it is derived from the column
 * (logical_of_column).
 *
 * Plain data, immutable once made; any thread.
 */
#ifndef ROW_SCHEMA_LOGICAL_H
#define ROW_SCHEMA_LOGICAL_H

#include "base/buf.h"
#include "base/error.h"
#include "row/cell/cell.h"
#include "row/cell/rules.h"
#include "row/table/table.h"

enum logical_kind {
    LOGICAL_PLAIN,   /* what the JSON says; a number that is a time counts in `unit` */
    LOGICAL_DAYS,    /* days since 1970 */
    LOGICAL_INSTANT, /* a count of `unit` since 1970; some numbers stand for infinity */
    LOGICAL_DECIMAL, /* base64 of the unscaled number, big-endian two's complement; `scale` */
    LOGICAL_SCALED,  /* {"scale": 2, "value": base64 as above} */
    /* base64, lowest byte first, of `length` bits (0: up to the highest bit that is set); a single
     * bit may be a boolean */
    LOGICAL_BITS,
    LOGICAL_JSON,     /* a string that is a JSON document */
    LOGICAL_OBJECT,   /* the same, and the document is an object whose fields are wanted */
    LOGICAL_TEXT,     /* base64 of a text */
    LOGICAL_POINT,    /* {"x": 1, "y": 2, ...} */
    LOGICAL_GEOMETRY, /* {"wkb": base64, "srid": 4326} */
    LOGICAL_ARRAY,    /* of `element`s */
};

struct logical {
    enum logical_kind kind;
    enum time_unit unit;
    int32_t scale;
    int32_t length;
    struct logical *element; /* owned; LOGICAL_ARRAY, NULL: plain */
};

/*
 * The source's `time.precision.mode`: the unit of its times, for values without a schema.
 * Adaptive: milliseconds for a precision of at most three digits, else microseconds.
 */
enum time_precision {
    PRECISION_ADAPTIVE,
    PRECISION_ADAPTIVE_TIME_MICROSECONDS, /* adaptive, but a time of day is in microseconds */
    PRECISION_CONNECT,                    /* milliseconds */
    PRECISION_MICROSECONDS,
    PRECISION_NANOSECONDS,
};

void logical_done(struct logical *l);

/*
 * The logical type of a field that goes into that column, by its entry in the schema part: the text
 * of a checked JSON object.
 *     {"type": "int64", "optional": true, "name": "io.debezium.time.MicroTimestamp", ...}
 */
void logical_of_schema(struct str entry, const struct column *c, struct logical *out);

/* The logical type of a field without a schema, derived from the column. */
void logical_of_column(const struct column *c, enum time_precision precision, struct logical *out);

/* Scratch memory of logical_apply. Its results live here until the next call. */
struct document;
struct logical_scratch {
    struct buf text;
    struct buf bytes;
    struct buf plain;
    struct document *document; /* made when first needed */
};

void logical_scratch_done(struct logical_scratch *s);

/*
 * The value as the encoder of the column takes it. in is neither absent nor null; *out may borrow
 * from it. Not for LOGICAL_PLAIN and LOGICAL_ARRAY. Fault: ERROR_RECORD, "<value> is not base64".
 */
bool logical_apply(const struct logical *l, const struct cell *in, struct logical_scratch *s,
                   struct cell *out, struct error *err) _must_;

#endif
