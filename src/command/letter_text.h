/*
 * One dead letter for people and for programs. What producers sent never reaches the terminal as it
 * is: control characters are shown as escapes, bytes that are no UTF-8 as \x and hexadecimal
 * digits. Pure. Main thread.
 */
#ifndef COMMAND_LETTER_TEXT_H
#define COMMAND_LETTER_TEXT_H

#include "base/buf.h"
#include "pg/letters.h"

/* One line, fields separated by tabs, - for what is not known. */
void letter_text_line(const struct letter *letter, struct buf *out);

/* Some lines: a head, then what is known, then key, headers and value. */
void letter_text_full(const struct letter *letter, struct buf *out);

/*
 * One JSON object on one line. `whole`: with key, value and headers, where a name ending in _hex
 * holds the bytes that are no UTF-8.
 */
void letter_text_json(const struct letter *letter, bool whole, struct buf *out);

#endif
