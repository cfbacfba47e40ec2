/* Base64 as JSON carries bytes. Any thread. */
#ifndef ROW_TEXT_BASE64_H
#define ROW_TEXT_BASE64_H

#include "base/buf.h"
#include "base/str.h"

enum base64_alphabet { BASE64_STANDARD, BASE64_URL_SAFE };

/* Appends the text of these bytes, padded. */
void base64_add(struct buf *out, struct str bytes, enum base64_alphabet alphabet);

/*
 * RFC 4648, the standard or the URL-safe alphabet, with or without padding; no white space, and the
 * bits after the last byte must be zero, so that different texts are different bytes. Never more
 * bytes than s has.
 */
bool base64_decode(struct str s, uint8_t *to, size_t *out_n) _must_;

#endif
