/* Texts of anybody inside of HTML and JSON: nothing in them is markup. Any thread. */
#ifndef SINK_WATCH_MARKUP_H
#define SINK_WATCH_MARKUP_H

#include "base/buf.h"

/* Inside of an element or a quoted attribute. What is no UTF-8 becomes U+FFFD. */
void markup_html(struct buf *out, const char *text);

/* A string with its quotes; the same. */
void markup_json(struct buf *out, const char *text);

#endif
