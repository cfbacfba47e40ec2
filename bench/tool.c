/* See tool.h. */
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

uint64_t number_of(const char *word, uint64_t min, uint64_t max)
{
    char *end;

    errno = 0;
    uint64_t n = strtoull(word, &end, 10);
    if (errno != 0 || *word < '0' || *word > '9' || *end != '\0' || n < min || n > max) {
        die("'%s' is no number from %" PRIu64 " to %" PRIu64, word, min, max);
    }
    return n;
}
