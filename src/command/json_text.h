/*
 * Members of JSON objects, one after the other: a comma is set where one is needed. Names are ours
 * and need no escapes; texts of others are escaped, and bytes that are no UTF-8 are hexadecimal
 * digits. Pure. Main thread.
 */
#ifndef COMMAND_JSON_TEXT_H
#define COMMAND_JSON_TEXT_H

#include "base/buf.h"

#include <stdint.h>

/* Appends the comma of an element or a member, unless it is the first. */
void json_next(struct buf *out);

/* Appends "name": , whose value follows. */
void json_name(struct buf *out, const char *name);

/* Appends a member: a text, or null for an absent one; its name ends in _hex where it holds bytes
 * that are no UTF-8. */
void json_text(struct buf *out, const char *name, struct str s);
/* The same, but U+0000 makes it digits, too. */
void json_bytes(struct buf *out, const char *name, struct str s);
void json_number(struct buf *out, const char *name, const char *digits);
void json_i64(struct buf *out, const char *name, int64_t value);
void json_bool(struct buf *out, const char *name, bool value);

/* Appends a text alone, or null. It is UTF-8. */
void json_string(struct buf *out, const char *text);

#endif
