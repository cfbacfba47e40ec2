/*
 * What users want differently when a value goes into a column: units of time, U+0000, bytes, empty
 * strings. Plain data; any thread.
 */
#ifndef ROW_CELL_RULES_H
#define ROW_CELL_RULES_H

#include "base/base.h"

/*
 * Unit of a number that stands for a point in time. UNIT_NONE: only RFC 3339 text is a time.
 * UNIT_DAY: no user declares it; dates of Kafka Connect and Debezium are such numbers.
 */
enum time_unit { UNIT_NONE, UNIT_S, UNIT_MS, UNIT_US, UNIT_NS, UNIT_DAY };

/* What becomes of U+0000 in a text. */
enum nul_policy { NUL_FAULT, NUL_STRIP, NUL_REPLACE };

/* What a string means that goes into bytea. BYTES_AUTO: \x and hexadecimal digits, or base64. */
enum bytes_policy { BYTES_AUTO, BYTES_BASE64, BYTES_HEX, BYTES_UTF8 };

/* What users want differently. All zero: nothing is changed to fit, nothing is guessed. */
struct value_rules {
    enum nul_policy nul;
    enum bytes_policy bytes;
    enum time_unit unit; /* of columns whose entry has none */
    int32_t zone_sec;    /* east of UTC: of a time without a zone, into timestamptz */
    bool strict_numbers; /* a string is no number, a number no text */
    bool truncates;      /* texts to the length of their column */
    bool empty_as_null;  /* empty strings, but in json */
};

#endif
