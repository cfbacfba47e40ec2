/*
 * The order of two values of a record, as conditions see it. Pure; any thread.
 *
 * Numbers are compared exactly, whatever their length; texts by their bytes. Bytes (a key, a
 * header, a raw value) are taken for what they are compared with: text with text, a number with a
 * number if they are written like one, true and false. All else is unlike: a text and a number, an
 * object or an array and anything.
 */
#ifndef ROW_CELL_COMPARE_H
#define ROW_CELL_COMPARE_H

#include "row/cell/cell.h"

enum cell_order {
    CELL_LESS,
    CELL_EQUAL,
    CELL_GREATER,
    CELL_OTHER,  /* two booleans that differ: neither is less */
    CELL_UNLIKE, /* of kinds that cannot be compared */
};

/* Both are there and not null. */
enum cell_order compare_cells(const struct cell *a, const struct cell *b) _pure_;

/* Makes a cell of a number's text, as the reader of documents would; the text is borrowed. False:
 * it is none. */
bool compare_number(struct str text, struct cell *out) _must_;

#endif
