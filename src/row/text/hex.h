/* Bytes as hexadecimal digits. Any thread. */
#ifndef ROW_TEXT_HEX_H
#define ROW_TEXT_HEX_H

#include "base/buf.h"
#include "base/str.h"

/* Appends two digits for each byte, in lower case. */
void hex_add(struct buf *out, const void *bytes, size_t n);

/* The bytes of pairs of digits in either case, s.n / 2 of them; false if there is anything else.
 */
bool hex_decode(struct str s, uint8_t *to) _must_;

#endif
