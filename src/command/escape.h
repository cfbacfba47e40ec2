/* Text of others on a terminal and in JSON: what it says cannot move the cursor. Pure. Main thread.
 */
#ifndef COMMAND_ESCAPE_H
#define COMMAND_ESCAPE_H

#include "base/buf.h"

/* Appends UTF-8 with control characters escaped as in JSON, and those that break a line or turn the
 * order of a text; with a quote (0 = none) also backslash and the quote. */
void escape_add(struct buf *out, struct str s, char quote);

/* Is it UTF-8 without U+0000? Bytes that are anything else help more as digits. */
bool escape_is_text(struct str s);

/* Appends two hexadecimal digits for each byte. */
void escape_add_hex(struct buf *out, struct str s);

#endif
