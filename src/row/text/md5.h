/* MD5, for UUIDs that are made from names. Not for anything that must not be forged. Any thread. */
#ifndef ROW_TEXT_MD5_H
#define ROW_TEXT_MD5_H

#include "base/str.h"

#define MD5_BYTES 16

/* RFC 1321. */
void md5(struct str text, uint8_t out[MD5_BYTES]);

#endif
