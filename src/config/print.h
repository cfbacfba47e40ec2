/* Text as a YAML scalar. Private to config/. Pure; any thread. */
#ifndef CONFIG_PRINT_H
#define CONFIG_PRINT_H

#include "base/buf.h"
#include "base/str.h"

/*
 * Appends s, well-formed UTF-8, as a scalar that reads back as exactly s: plain where no YAML
 * reader can misread it, else in double quotes.
 */
void print_scalar(struct str s, struct buf *out);

#endif
