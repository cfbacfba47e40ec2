/*
 * The types that the encoders know, and what types.def says about each: its numbers, what it holds,
 * how its fields are sent, what equal values have in common. Pure; any thread.
 */
#ifndef ROW_TABLE_COLUMN_TYPE_H
#define ROW_TABLE_COLUMN_TYPE_H

#include "base/base.h"

/* A domain counts as its base type. TYPE_OTHER is every type that has no row of its own. */
enum column_type {
#define COLUMN_TYPE(tag, ...) TYPE_##tag,
#include "row/table/types.def"
};

/* The number of types, for loops over all of them. */
enum {
#define COLUMN_TYPE(...) +1
    COLUMN_TYPES = 0
#include "row/table/types.def"
};

/* OID_TEXT, OID_TEXT_ARRAY: the numbers of the built-in types, which never change. */
enum {
#define COLUMN_TYPE(tag, name, oid, array_oid, ...)                                                \
    OID_##tag = (oid), OID_##tag##_ARRAY = (array_oid),
#include "row/table/types.def"
};

/* The words of types.def, which explains them. */
enum column_family {
    FAMILY_TRUTH,
    FAMILY_INTEGER,
    FAMILY_FRACTION,
    FAMILY_TEXT,
    FAMILY_BYTES,
    FAMILY_JSON,
    FAMILY_DATE,
    FAMILY_TIMESTAMP,
    FAMILY_SPAN,
    FAMILY_SINGLE,
    FAMILY_VARIOUS,
};

enum column_equality {
    EQUAL_BYTES,
    EQUAL_NUMERIC,
    EQUAL_FLOAT,
    EQUAL_PADDED,
    EQUAL_ROUNDED,
    EQUAL_BUILT_IN,
    EQUAL_BY_SQL,
};

/*
 * The type of that number; if there is none, the type that is known by that kind: "enum", "array",
 * "composite", or the name of the function that receives its fields. Otherwise TYPE_OTHER.
 */
enum column_type column_type_find(uint32_t oid, const char *kind) _pure_;

/* PostgreSQL's name of it: "int4", "timestamptz"; "enum", "array", "composite" and "other" stand
 * for many. */
const char *column_type_name(enum column_type t) _pure_;

/* Numbers of the type and of its arrays; 0: they have no fixed number. */
uint32_t column_type_oid(enum column_type t) _pure_;
uint32_t column_type_array_oid(enum column_type t) _pure_;

enum column_family column_type_family(enum column_type t) _pure_;
enum column_equality column_type_equality(enum column_type t) _pure_;

/* Are its fields sent as another type that SQL casts? As which: TYPE_TEXT, TYPE_NUMERIC, itself. */
bool column_type_is_cast(enum column_type t) _pure_;
enum column_type column_type_sent_as(enum column_type t) _pure_;

/* Can PostgreSQL store such a value apart from its row, so that an update does not log it? */
bool column_type_is_toastable(enum column_type t) _pure_;

/* Does one row of types.def stand for many types? Then the column's own type_name says which. */
static inline bool column_type_is_various(enum column_type t)
{
    return column_type_family(t) == FAMILY_VARIOUS;
}

static inline bool column_type_is_text(enum column_type t)
{
    return column_type_family(t) == FAMILY_TEXT;
}

static inline bool column_type_is_json(enum column_type t)
{
    return column_type_family(t) == FAMILY_JSON;
}

static inline bool column_type_is_number(enum column_type t)
{
    enum column_family f = column_type_family(t);

    return f == FAMILY_INTEGER || f == FAMILY_FRACTION;
}

static inline bool column_type_is_timestamp(enum column_type t)
{
    return column_type_family(t) == FAMILY_TIMESTAMP;
}

/* A date, a time of day, a timestamp, an interval. */
static inline bool column_type_is_time(enum column_type t)
{
    enum column_family f = column_type_family(t);

    return f == FAMILY_DATE || f == FAMILY_TIMESTAMP || f == FAMILY_SPAN;
}

/* Can a column of it say which of two rows is newer? Texts do by their bytes; bpchar, whose blanks
 * at the end may or may not be there, does not. */
static inline bool column_type_is_version(enum column_type t)
{
    enum column_family f = column_type_family(t);

    return f == FAMILY_INTEGER || f == FAMILY_DATE || f == FAMILY_TIMESTAMP || t == TYPE_TEXT ||
           t == TYPE_VARCHAR;
}

#endif
