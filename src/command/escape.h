/* Text of others on a terminal and in JSON: what it says cannot move the cursor. Pure. Main thread.
 */
#ifndef COMMAND_ESCAPE_H
#define COMMAND_ESCAPE_H

#include "base/buf.h"

/* Appends UTF-8 with control characters escaped as in JSON; with a quote (0 = none) also backslash
 * and the quote. */
void escape_add(struct buf *out, struct str s, char quote);

#endif
