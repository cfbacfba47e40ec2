/*
 * What a writer says about its records, whatever language it says it in: one neutral graph, made
 * from an Avro schema, a Protobuf descriptor, a JSON Schema or the schema part of Kafka Connect's
 * JSON. The decoders of binary formats are planned from it, the meaning of a value is derived from
 * it (row/schema/logical.h), and so are the columns of a table that is created.
 *
 * It is a graph, not a tree: a record may contain itself, and a type that is used twice is one
 * shape. Whoever walks it must bound the depth.
 *
 * A schema owns its shapes, is immutable once it is sealed, and is shared by threads by counting
 * references.
 */
#ifndef ROW_SCHEMA_SHAPE_H
#define ROW_SCHEMA_SHAPE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "row/cell/rules.h"

/* How a value is written. */
enum shape_kind {
    SHAPE_NULL,
    SHAPE_BOOL,
    SHAPE_INT32,
    SHAPE_INT64,
    SHAPE_UINT32,
    SHAPE_UINT64,
    SHAPE_FLOAT,
    SHAPE_DOUBLE,
    SHAPE_NUMBER, /* of any size and precision: JSON's */
    SHAPE_STRING,
    SHAPE_BYTES,
    SHAPE_FIXED, /* bytes, `length` of them */
    SHAPE_ENUM,  /* one of `symbols` */
    SHAPE_RECORD,
    SHAPE_ARRAY, /* of `element`s */
    SHAPE_MAP,   /* from strings to `element`s; Protobuf: from `key` */
    SHAPE_UNION, /* one of `branches`; where null is one of them, it is a branch as well */
    SHAPE_ANY,   /* whatever JSON can say */
};

/* What a value means beyond how it is written: the logical types of Avro, Connect, Debezium,
 * Protobuf's well-known types and the formats of JSON Schema, under one name each. */
enum shape_sense {
    SENSE_NONE,
    SENSE_DATE,         /* days since 1970; a string: ISO 8601 */
    SENSE_TIME,         /* a time of day: a count of `unit` since midnight; a string: ISO 8601 */
    SENSE_TIMESTAMP,    /* without a zone: a count of `unit` since 1970; a string: ISO 8601 */
    SENSE_INSTANT,      /* a point in time: the same, in UTC; a string: with its zone */
    SENSE_ZONED_TIME,   /* a time of day with its zone, as text */
    SENSE_DURATION,     /* Avro's fixed(12), a count of `unit`, ISO 8601 text, or Protobuf's */
    SENSE_YEAR,         /* a number */
    SENSE_DECIMAL,      /* unscaled bytes, big-endian two's complement; `precision`, `scale` */
    SENSE_SCALED,       /* Debezium's VariableScaleDecimal: a record of scale and value */
    SENSE_DECIMAL_TEXT, /* a string that is a decimal number */
    SENSE_UUID,         /* a string, or 16 bytes */
    SENSE_JSON,         /* a string that is a JSON document */
    SENSE_XML,          /* a string */
    SENSE_LTREE,        /* a string */
    SENSE_INET,         /* a string */
    SENSE_BITS,         /* bytes, the lowest first; `length` bits, 0: not said */
    SENSE_ENUM,         /* a string that is one of the labels of the source's type */
    SENSE_SET,          /* a string with commas between labels */
    SENSE_POINT,        /* Debezium's records of these names */
    SENSE_GEOMETRY,
    SENSE_GEOGRAPHY,
    SENSE_WRAPPER,           /* Protobuf: a message of one field `value`, nullable */
    SENSE_DYNAMIC,           /* Protobuf's Struct, Value, ListValue: whatever JSON can say */
    SENSE_PACKED_ANY,        /* Protobuf's Any */
    SENSE_CALENDAR_DATE,     /* google.type.Date: a record of year, month, day */
    SENSE_TIME_OF_DAY,       /* google.type.TimeOfDay: a record */
    SENSE_DECIMAL_RECORD,    /* google.type.Decimal: a record of one string */
    SENSE_CONFLUENT_DECIMAL, /* confluent.type.Decimal: a record of value, precision, scale */
    SENSE_COUNT,
};

#define SHAPE_UNSAID INT32_MIN /* precision, scale, length: the schema does not say it */

struct shape;

struct shape_field {
    struct str name;
    const struct shape *shape;
    int32_t number;   /* Protobuf's; else its position */
    bool is_optional; /* a record may lack it: Protobuf with presence, JSON Schema, Connect */
    bool is_repeated; /* Protobuf: its shape is a SHAPE_ARRAY, written in pieces */
    int32_t oneof;    /* Protobuf: number of the oneof that it belongs to; -1: of none */
    bool is_key;      /* a Connect key; set by nobody else */
};

/* A value of an enum of Protobuf. */
struct shape_symbol {
    int32_t number;
    uint32_t place; /* of its name in `symbols` */
};

struct shape {
    enum shape_kind kind;
    enum shape_sense sense;
    enum time_unit unit; /* of SENSE_TIME, SENSE_TIMESTAMP, SENSE_INSTANT, SENSE_DURATION */
    int32_t precision;   /* SENSE_DECIMAL; SHAPE_UNSAID */
    int32_t scale;       /* SENSE_DECIMAL: 0 if it is not said */
    int32_t length;      /* SHAPE_FIXED: bytes; SENSE_BITS: bits; strings: most characters */
    int32_t bits;        /* whole numbers: Connect's int8 and int16 are 8 and 16; else 0 */
    bool is_zigzag;      /* Protobuf's sint32, sint64 */
    bool is_fixed_width; /* Protobuf's fixed32, sfixed64, ... */
    bool is_group;       /* Protobuf's groups */
    bool is_loose;       /* Protobuf before proto3: a string that need not be UTF-8 */
    struct str name;     /* full name of a record, an enum, a fixed: "shop.Order"; else absent */
    struct str logical;  /* the name that the schema has for the sense, as it spells it; absent */
    struct str source_type; /* __debezium.source.column.type, absent if it does not say it, ... */
    int32_t source_length;  /*   .length, SHAPE_UNSAID */
    int32_t source_scale;   /*   .scale, SHAPE_UNSAID */
    const struct shape_field *fields; /* SHAPE_RECORD */
    uint32_t field_count;
    const struct shape_field **by_number; /* ... of Protobuf: the fields by rising numbers */
    const struct shape **nested; /* SHAPE_RECORD of Protobuf: what is declared in it, in order */
    uint32_t nested_count;       /*   (protobuf_schema.h) */
    const struct str *symbols;   /* SHAPE_ENUM */
    const int32_t *numbers; /* SHAPE_ENUM: Protobuf's, in the order of symbols; NULL: positions */
    const struct shape_symbol *sorted; /* ... of Protobuf: by rising numbers, then places */
    uint32_t symbol_count;
    const struct shape *element;   /* SHAPE_ARRAY, SHAPE_MAP */
    const struct shape *key;       /* SHAPE_MAP of Protobuf; NULL: strings */
    const struct shape *entry;     /* SHAPE_MAP of Protobuf: a record of the key and the element */
    const struct shape **branches; /* SHAPE_UNION */
    uint32_t branch_count;
    uint32_t serial; /* its number within the schema, from 0 */
};

/* The languages of schemas, as a registry names them. */
enum schema_language { SCHEMA_AVRO, SCHEMA_PROTOBUF, SCHEMA_JSON, SCHEMA_CONNECT };

struct schema;

/* The language's name: "AVRO", "PROTOBUF", "JSON"; "CONNECT" is no registry's. */
const char *schema_language_name(enum schema_language l) _pure_;

/* One that is being made, with one reference; its shapes come from schema_add. */
struct schema *schema_new(enum schema_language language) _must_;

/* A shape of that kind with nothing said about it, owned by the schema. Not after schema_seal. */
struct shape *schema_add(struct schema *s, enum shape_kind kind) _must_;

/* Memory that lives as long as the schema. Not after schema_seal. */
struct arena *schema_memory(struct schema *s);

/* The shape of the whole record. For Protobuf, of each message at the top of the file, in its
 * order, by calling it more than once. Not after schema_seal. */
void schema_add_root(struct schema *s, const struct shape *root);

/* From here on it is immutable, and may be held by several threads. */
void schema_seal(struct schema *s);

/* One more, and one less holder. The last one frees it. @thread any */
const struct schema *schema_hold(const struct schema *s) _must_;
const struct schema *schema_drop(const struct schema *s); /* NULL is fine; returns NULL */

enum schema_language schema_language(const struct schema *s) _pure_;
size_t schema_root_count(const struct schema *s) _pure_;
const struct shape *schema_root(const struct schema *s, size_t i) _pure_;
size_t schema_shape_count(const struct schema *s) _pure_; /* serials are less than that */
size_t schema_bytes(const struct schema *s) _pure_;       /* of memory that it holds */

/* [null, T] and [T, null] are T, and *out_nullable true; others are themselves. out_nullable may be
 * NULL. */
const struct shape *shape_beyond_null(const struct shape *s, bool *out_nullable);

/* The field of that exact name; NULL: it has none, or is no record. */
const struct shape_field *shape_field_of(const struct shape *s, struct str name) _pure_;

/*
 * Which sense a name of Kafka Connect or Debezium has ("io.debezium.time.MicroTimestamp"), and in
 * which unit; SENSE_NONE: it is not known. Avro's own logical types: avro_schema.h.
 */
enum shape_sense shape_sense_of_connect(struct str name, enum time_unit *out_unit);

#endif
