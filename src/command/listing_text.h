/* Listings as aligned columns. Pure. Main thread. */
#ifndef COMMAND_LISTING_TEXT_H
#define COMMAND_LISTING_TEXT_H

#include "base/buf.h"
#include "pg/control.h"

/* A heading of the columns' names, then the rows; nothing if there are none. Numbers are aligned to
 * the right. bold: the heading is. */
void listing_text_add(struct buf *out, const struct listing *l, bool bold);

#endif
