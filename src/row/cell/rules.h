/*
 * What users want differently when a value goes into a column: units of time, U+0000, bytes, empty
 * strings. Plain data; any thread.
 */
#ifndef ROW_CELL_RULES_H
#define ROW_CELL_RULES_H

#include "base/base.h"

/*
 * Unit of a number that stands for a point in time. UNIT_NONE: only RFC 3339 text is a time.
 */
enum time_unit { UNIT_NONE, UNIT_S, UNIT_MS, UNIT_US, UNIT_NS, UNIT_DAY };

/* What becomes of U+0000 in a text. */
enum nul_policy { NUL_FAULT, NUL_STRIP, NUL_REPLACE };

/* What a string that goes into bytea means. BYTES_AUTO: \x and hexadecimal digits, or base64. */
enum bytes_policy { BYTES_AUTO, BYTES_BASE64, BYTES_HEX, BYTES_UTF8 };

/* What users want differently. All zero: no value is changed to fit, and nothing is guessed. */
struct value_rules {
    enum nul_policy nul;
    enum bytes_policy bytes;
    enum time_unit unit;  /* of columns whose entry names none */
    int32_t zone_sec;     /* seconds east of UTC, for a timestamptz from a time without a zone */
    bool strict_numbers;  /* a string is not a number, and a number is not a text */
    bool truncates;       /* cuts texts to the length of their column */
    bool empty_as_null;   /* an empty string is NULL, except in json */
    bool number_booleans; /* 0 is false, every other number true; true is the number 1, false 0 */
};

#endif
