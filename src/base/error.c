/*
 * Filling a struct error, see error.h. A text that is too long is cut after a whole UTF-8
 * character, never in the middle of one: the journal would show the text as a blob. Any thread.
 */
#include "base/error.h"

#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The length of a text of n bytes without a multi-byte character at its end that was cut. */
static size_t whole_chars(const char *text, size_t n)
{
    size_t start = n;

    while (start > 0 && n - start < 3 && ((uint8_t) text[start - 1] & 0xC0) == 0x80) {
        start--;
    }
    if (start == 0) {
        return n;
    }
    uint8_t lead = (uint8_t) text[start - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return n - start + 1 < want ? start - 1 : n;
}

/* Formats into a second buffer: an argument may point into the very field that is overwritten. */
_printf_(3, 0) static void format(char *to, size_t size, const char *fmt, va_list args)
{
    char text[sizeof((struct error *) NULL)->text];

    assert(size <= sizeof text);
    int n = vsnprintf(text, size, fmt, args);
    assert(n >= 0);
    size_t len = (size_t) n < size ? (size_t) n : whole_chars(text, size - 1);
    memcpy(to, text, len);
    to[len] = '\0';
}

bool error_set(struct error *err, enum error_class class, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    format(err->text, sizeof err->text, fmt, args);
    va_end(args);
    err->class = class;
    err->sqlstate[0] = '\0';
    err->column[0] = '\0';
    err->hint[0] = '\0';
    return false;
}

bool error_wrap(struct error *err, const char *fmt, ...)
{
    char text[sizeof err->text];
    va_list args;

    va_start(args, fmt);
    format(text, sizeof text, fmt, args);
    va_end(args);

    size_t n = strlen(text);
    int more = snprintf(text + n, sizeof text - n, ": %s", err->text);
    assert(more >= 0);
    n = n + (size_t) more < sizeof text ? n + (size_t) more : whole_chars(text, sizeof text - 1);
    memcpy(err->text, text, n);
    err->text[n] = '\0';
    return false;
}

bool error_hint(struct error *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    format(err->hint, sizeof err->hint, fmt, args);
    va_end(args);
    return false;
}

void error_short_text(const struct error *err, char *out, size_t size)
{
    size_t n = strlen(err->text);

    n = n < size ? n : whole_chars(err->text, size - 1);
    memcpy(out, err->text, n);
    out[n] = '\0';
}

bool error_sqlstate(struct error *err, const char *code)
{
    size_t n = strlen(code);

    assert(n < sizeof err->sqlstate);
    memcpy(err->sqlstate, code, n + 1);
    return false;
}

const char *error_class_name(enum error_class class)
{
    static const char *const names[] = {
        [ERROR_NONE] = "none",     [ERROR_AGAIN] = "again",   [ERROR_LINK] = "link",
        [ERROR_FENCED] = "fenced", [ERROR_RECORD] = "record", [ERROR_DOUBT] = "doubt",
        [ERROR_UNFIT] = "unfit",   [ERROR_TARGET] = "target", [ERROR_SETUP] = "setup",
        [ERROR_KAFKA] = "kafka",
    };

    assert((size_t) class < ARRAY_LEN(names));
    return names[class];
}

uint64_t error_reason(const struct error *err)
{
    uint64_t hash = str_hash(str_of(*err->sqlstate ? err->sqlstate : err->text));

    return hash != 0 ? hash : 1;
}
