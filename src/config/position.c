/* A place in a configuration file, and errors that start with it. Knows neither YAML nor options.
 * Any thread. */
#include "config/position.h"

#include <stdio.h>

void position_text(const char *path, struct position pos, struct buf *out)
{
    if (pos.line == 0) {
        buf_add_z(out, path);
    } else {
        buf_printf(out, "%s:%u:%u", path, pos.line, pos.column);
    }
}

bool position_verror(const char *path, struct position pos, struct error *err, const char *fmt,
                     va_list args)
{
    char text[sizeof err->text];

    vsnprintf(text, sizeof text, fmt, args);
    if (pos.line == 0) {
        return error_set(err, ERROR_SETUP, "%s: %s", path, text);
    }
    return error_set(err, ERROR_SETUP, "%s:%u:%u: %s", path, pos.line, pos.column, text);
}

bool position_error(const char *path, struct position pos, struct error *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    position_verror(path, pos, err, fmt, args);
    va_end(args);
    return false;
}
