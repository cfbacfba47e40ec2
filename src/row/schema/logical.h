/*
 * Values that are more than their JSON says: Kafka Connect and Debezium write a date as a number of
 * days, a decimal as base64, a JSON document as a string. The schema part of the record says which
 * logical type a value has (logical_of_schema), and so does the schema of another format
 * (logical_of_shape); without one, it is derived from the column
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
    LOGICAL_SPAN, /* a span of time: a count of `unit`, or text; a time of day in UTC is one too */
    LOGICAL_YEAR, /* a year, which is neither a date nor a time */
    LOGICAL_DECIMAL,  /* base64 of the unscaled number, big-endian two's complement; `scale` */
    LOGICAL_SCALED,   /* {"scale": 2, "value": base64 as above}, or what `texts` says */
    LOGICAL_BITS,     /* base64 of bits, the lowest byte first; a single bit may be a boolean */
    LOGICAL_BINARY,   /* bytes as hexadecimal digits or as base64, and nobody says which */
    LOGICAL_JSON,     /* a string that is a JSON document, if it reads as one */
    LOGICAL_OBJECT,   /* a string that is a JSON object whose fields are wanted */
    LOGICAL_TEXT,     /* base64 of bytes, which may be a text */
    LOGICAL_POINT,    /* {"x": 1, "y": 2, ...} */
    LOGICAL_GEOMETRY, /* {"wkb": base64, "srid": 4326} */
    LOGICAL_ARRAY,    /* of `element`s */
    LOGICAL_SET,      /* the same, or a string with commas between them: MySQL's SET */
    LOGICAL_UUID,     /* its 16 bytes, or text */
    LOGICAL_DURATION, /* Avro's 12 bytes: months, days, milliseconds, the lowest byte first */
    LOGICAL_ISO,      /* a count of `unit` for a column of texts: there it is text, see `form` */
};

/* What LOGICAL_ISO writes. */
enum iso_form { ISO_DATE, ISO_TIME, ISO_TIMESTAMP, ISO_INSTANT, ISO_SPAN };

/* What LOGICAL_BITS become. */
enum bits_form {
    BITS_DIGITS, /* binary digits: `length` of them, or for 0 up to the highest one that is set */
    BITS_NUMBER, /* the number that they are, without a sign */
    BITS_BYTES,  /* the highest byte first: those of `length` bits, or for 0 as many as it takes */
};

/*
 * What a string in a column of numbers is, where no schema tells it (DECIMAL_TOLD): the source's
 * `decimal.handling.mode`. DECIMAL_AUTO: a decimal, but not where it may be base64 as well.
 */
enum decimal_texts { DECIMAL_TOLD, DECIMAL_AUTO, DECIMAL_STRING, DECIMAL_NUMBER, DECIMAL_BASE64 };

#define SCALE_UNKNOWN INT32_MIN

struct logical {
    enum logical_kind kind;
    enum time_unit unit;
    int32_t scale;
    int32_t length;
    int32_t most; /* LOGICAL_BITS: more bits do not fit into the column; 0: any number does */
    enum bits_form bits;
    enum iso_form form;       /* LOGICAL_ISO */
    enum decimal_texts texts; /* LOGICAL_SCALED */
    bool has_infinity;        /* LOGICAL_SCALED: the text Infinity is one of its numbers */
    bool is_recent;           /* DAYS, INSTANT: after the year 9999 its unit must be another */
    bool is_year;             /* DAYS: a number that could be a year is not taken */
    struct logical *element;  /* owned; LOGICAL_ARRAY, LOGICAL_SET, NULL: plain */
};

/*
 * The source's `time.precision.mode`: the unit of its times, for values without a schema.
 * Adaptive: milliseconds for a precision of at most three digits, else microseconds; without a
 * precision only PostgreSQL's own connector means six digits.
 */
enum time_precision {
    PRECISION_AUTO, /* adaptive for PostgreSQL's connector; otherwise nobody has said it */
    PRECISION_ADAPTIVE,
    PRECISION_ADAPTIVE_TIME_MICROSECONDS, /* adaptive, but a time of day is in microseconds */
    PRECISION_CONNECT,                    /* milliseconds */
    PRECISION_MICROSECONDS,
    PRECISION_NANOSECONDS,
};

/* Who wrote an event, as its `source.connector` says: they differ in what they mean. */
enum connector {
    CONNECTOR_UNKNOWN, /* it does not say it */
    CONNECTOR_POSTGRESQL,
    CONNECTOR_MYSQL, /* MariaDB's too */
    CONNECTOR_OTHER,
    CONNECTORS,
};

/* What a route says about values whose meaning is not in the record. */
struct logical_rules {
    enum time_precision precision;
    enum decimal_texts texts;
    bool guesses_bytes; /* it says nothing about strings for bytea */
    bool has_documents; /* a string for json or jsonb is a document, if it reads as one */
};

void logical_done(struct logical *l);

/*
 * The logical type of a field that goes into that column, by its entry in the schema part: the text
 * of a checked JSON object.
 *     {"type": "int64", "optional": true, "name": "io.debezium.time.MicroTimestamp", ...}
 */
void logical_of_schema(struct str entry, const struct column *c, const struct logical_rules *rules,
                       struct logical *out);

/*
 * The same by its shape, for values of every format: what is bytes in Avro is base64 in JSON, a
 * count may be either's number. A column of texts is given dates and times as texts, as their JSON
 * would have them. A union of several is plain: its value says itself what it is.
 */
struct shape;
void logical_of_shape(const struct shape *shape, const struct column *c,
                      const struct logical_rules *rules, struct logical *out);

/* The logical type of a field without a schema, derived from the column. */
void logical_of_column(const struct column *c, const struct logical_rules *rules,
                       enum connector connector, struct logical *out);

/* Whose word is it? Any that is not known is CONNECTOR_OTHER. */
enum connector logical_connector(struct str name) _pure_;

/*
 * Appends how numbers go into a column of times where no schema says it: "us", "rejected"; if that
 * depends on the connector, "us from postgresql, else rejected". of[i] is for connector i.
 */
void logical_describe_units(const struct logical *const *of, struct buf *out);

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
 * from it. Not for LOGICAL_PLAIN and LOGICAL_ARRAY. What a format without base64 has as bytes is
 * taken as it is. Fault: ERROR_RECORD, "<value> is not base64", often with a hint.
 */
bool logical_apply(const struct logical *l, const struct cell *in, struct logical_scratch *s,
                   struct cell *out, struct error *err) _must_;

#endif
