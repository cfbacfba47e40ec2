/*
 * Values of formats with schemas as JSON: how each is written is the same whatever the format. What
 * a schema says about a value is applied: a decimal is a number, a date or a time its ISO 8601
 * text, a UUID its usual form; other bytes are base64, and what is not finite is "NaN", "Infinity"
 * or "-Infinity". Nothing is lost: numbers have all their digits. Any thread.
 */
#ifndef ROW_FORMAT_SHAPE_JSON_H
#define ROW_FORMAT_SHAPE_JSON_H

#include "base/buf.h"
#include "row/cell/cell.h"
#include "row/json/json.h"
#include "row/schema/shape.h"

/* Each appends one value of that shape. */
void shape_json_bool(struct buf *out, bool truth);
void shape_json_int(struct buf *out, const struct shape *s, int64_t n);
void shape_json_uint(struct buf *out, uint64_t n);
void shape_json_double(struct buf *out, double d);
void shape_json_float(struct buf *out, float f);
void shape_json_string(struct buf *out, struct str text); /* well-formed UTF-8 */

/* The same. ERROR_RECORD: a decimal that is out of range for numeric. */
bool shape_json_bytes(struct buf *out, const struct shape *s, struct str bytes,
                      struct error *err) _must_;

/* The decimal number of unscaled big-endian bytes. ERROR_RECORD as above. */
bool shape_json_decimal(struct buf *out, struct str bytes, int64_t scale, struct error *err) _must_;

/* A float as a cell: a number with its shortest text, which is in `room`, or the string NaN,
 * Infinity or -Infinity. */
void shape_cell_double(struct cell *c, char room[JSON_DOUBLE_MAX], double d);
void shape_cell_float(struct cell *c, char room[JSON_DOUBLE_MAX], float f);

/* The JSON of a value, which is in its text, as a cell: an object, an array, a string without
 * escapes, or a number. */
void shape_cell_json(struct cell *c, struct str json);

#endif
