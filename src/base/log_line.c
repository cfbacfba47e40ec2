/*
 * What the shapes of a line have in common: bounded appending, a stamp. Any thread.
 */
#include "base/log_line.h"

#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void log_stamp(int64_t wall_ms, char out[LOG_STAMP_MAX])
{
    time_t seconds = (time_t) (wall_ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, LOG_STAMP_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    assert(n > 0);
    snprintf(out + n, LOG_STAMP_MAX - n, ".%03dZ", (int) (wall_ms % 1000));
}

void log_out_printf(struct log_out *o, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(o->text + o->n, sizeof o->text - o->n, fmt, args);
    va_end(args);
    assert(n >= 0);
    o->n = MIN(o->n + (size_t) n, sizeof o->text - 1);
}

void log_out_bytes(struct log_out *o, const char *p, size_t n)
{
    n = MIN(n, sizeof o->text - 1 - o->n);
    memcpy(o->text + o->n, p, n);
    o->n += n;
}

/* The longest form of a character, and the dots behind it. */
#define CHAR_MAX_BYTES (sizeof "\\u0000" - 1)
#define DOTS "..."

void log_out_text(struct log_out *o, const char *text, size_t max, log_put *put)
{
    struct str rest = str_of(text);
    size_t end = o->n + max - CHAR_MAX_BYTES - (sizeof DOTS - 1);

    while (rest.n > 0 && o->n <= end) {
        size_t n = str_utf8_char(rest);
        put(o, rest.p, n);
        rest.p += MAX(n, 1);
        rest.n -= MAX(n, 1);
    }
    if (rest.n > 0) {
        log_out_bytes(o, DOTS, sizeof DOTS - 1);
    }
}
