/*
 * The order of two values of a record, as conditions see it. Pure; any thread.
 *
 * Numbers are compared exactly, whatever their length; texts by their bytes. Bytes (a key, a
 * header, a raw value) count as what they are compared with: as text beside a text, as a number
 * beside a number if they spell one, as a boolean if they are true or false. Everything else cannot
 * be compared: a text with a number, an object or an array with anything.
 */
#ifndef ROW_CELL_COMPARE_H
#define ROW_CELL_COMPARE_H

#include "row/cell/cell.h"

enum cell_order {
    CELL_LESS,
    CELL_EQUAL,
    CELL_GREATER,
    CELL_OTHER,  /* two booleans that differ: neither is less */
    CELL_UNLIKE, /* they cannot be compared */
};

/* Neither may be absent or null. */
enum cell_order compare_cells(const struct cell *a, const struct cell *b) _pure_;

/* Makes a cell of a number's text, as the reader of documents would; the text is borrowed. False:
 * it is not a number. */
bool compare_number(struct str text, struct cell *out) _must_;

#endif
