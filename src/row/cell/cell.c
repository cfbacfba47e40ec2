/* Values in the words of an error text. Any thread. */
#include "row/cell/cell.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a value that an error text shows. One byte needs up to four characters. */
enum { EXCERPT_BYTES = 60 };

struct writer {
    char *at;
    char *end;
};

static void put(struct writer *w, const char *p, size_t n)
{
    if ((size_t) (w->end - w->at) > n) {
        memcpy(w->at, p, n);
        w->at += n;
        *w->at = '\0';
    }
}

/* The length of the well-formed UTF-8 character at s, which is not empty; 0 = not well-formed. */
static size_t char_length(struct str s)
{
    for (size_t n = 1; n <= MIN(s.n, (size_t) 4); n++) {
        if (str_utf8((struct str){.p = s.p, .n = n}, NULL)) {
            return n;
        }
    }
    return 0;
}

static void put_char(struct writer *w, const char *p, size_t length)
{
    uint8_t c = (uint8_t) *p;
    char escaped[8];

    if (length != 0 && c >= 0x20 && c != 0x7F) {
        put(w, p, length);
        return;
    }
    snprintf(escaped, sizeof escaped, "\\x%02x", c);
    put(w, escaped, strlen(escaped));
}

static void put_text(struct writer *w, struct str s)
{
    size_t i = 0;

    while (i < s.n) {
        size_t length = char_length((struct str){.p = s.p + i, .n = s.n - i});
        if (i + MAX(length, (size_t) 1) > EXCERPT_BYTES) {
            put(w, "...", 3);
            return;
        }
        put_char(w, s.p + i, length);
        i += MAX(length, (size_t) 1);
    }
}

const char *excerpt_text(struct excerpt *x, struct str s)
{
    struct writer w = {.at = x->text, .end = x->text + sizeof x->text};

    *w.at = '\0';
    put_text(&w, s);
    return x->text;
}

static const char *excerpt_quoted(struct excerpt *x, struct str s)
{
    struct writer w = {.at = x->text, .end = x->text + sizeof x->text};

    put(&w, "\"", 1);
    put_text(&w, s);
    put(&w, "\"", 1);
    return x->text;
}

const char *excerpt_cell(struct excerpt *x, const struct cell *c)
{
    switch (c->kind) {
    case CELL_ABSENT:
        return "nothing";
    case CELL_NULL:
        return "null";
    case CELL_BOOL:
        return c->truth ? "true" : "false";
    case CELL_INT:
        snprintf(x->text, sizeof x->text, "%" PRId64, c->number);
        return x->text;
    case CELL_NUMBER:
    case CELL_JSON:
        return excerpt_text(x, c->text);
    case CELL_STRING:
    case CELL_BYTES:
        return excerpt_quoted(x, c->text);
    }
    __builtin_unreachable();
}

const char *cell_kind_name(const struct cell *c)
{
    switch (c->kind) {
    case CELL_ABSENT:
        return "nothing";
    case CELL_NULL:
        return "null";
    case CELL_BOOL:
        return "a boolean";
    case CELL_INT:
    case CELL_NUMBER:
        return "a number";
    case CELL_STRING:
        return "a string";
    case CELL_JSON:
        return c->text.n > 0 && cell_is_array(c) ? "an array" : "an object";
    case CELL_BYTES:
        return "bytes";
    }
    __builtin_unreachable();
}

bool cell_fault(const struct cell *c, struct error *err, const char *fmt, ...)
{
    struct excerpt x;
    char what[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    error_set(err, ERROR_RECORD, "%s %s", excerpt_cell(&x, c), what);
    return error_sqlstate(err, "22P02"); /* invalid_text_representation */
}
