/* Text as a YAML scalar. Private to config/. Pure; any thread. */
#ifndef CONFIG_PRINT_H
#define CONFIG_PRINT_H

#include "base/buf.h"
#include "base/str.h"

/* Appends s as a scalar that reads back as exactly s: plain where nobody can misread it, else in
 * quotes. */
void print_scalar(struct str s, struct buf *out);

#endif
