/*
 * The escapes of JSON strings (RFC 8259, section 7). Knows nothing of the rest of a document. Any
 * thread.
 */
#ifndef ROW_JSON_ESCAPE_H
#define ROW_JSON_ESCAPE_H

#include "base/buf.h"

/*
 * Resolves the escape whose backslash is at *p, with a quote somewhere after it, into *to, which
 * never needs more bytes than the escape has; both move past it. *nul is set when it is U+0000.
 * Returns NULL, or what is wrong with the escape at *p.
 */
const char *escape_take(const char **p, char **to, bool *nul) _must_;

/* Appends the text as a JSON string, in quotes; it is well-formed UTF-8. Only what JSON demands is
 * escaped. */
void escape_quote(struct buf *out, struct str text);

#endif
