/* A place in a configuration file, and errors that start with it. Any thread. */
#ifndef CONFIG_POSITION_H
#define CONFIG_POSITION_H

#include "base/buf.h"
#include "base/error.h"

#include <stdarg.h>

/* Both counted from 1, the column in characters. {0, 0} = not in the file. */
struct position {
    unsigned line;
    unsigned column;
};

/* Appends "path:line:column", or "path" for {0, 0}. */
void position_text(const char *path, struct position pos, struct buf *out);

/* Fills err with ERROR_SETUP, "path:line:column: text". Returns false. */
bool position_error(const char *path, struct position pos, struct error *err, const char *fmt, ...)
    _printf_(4, 5);
bool position_verror(const char *path, struct position pos, struct error *err, const char *fmt,
                     va_list args) _printf_(4, 0);

#endif
