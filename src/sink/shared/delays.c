/* See delays.h. The values, and how tests shorten them. */
#include "sink/shared/delays.h"

#include "base/str.h"
#include "config/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct delays delays = {
    .patience = 30 * USEC_PER_SEC,
    .strict = 30 * USEC_PER_SEC,
    .retry = 5 * USEC_PER_SEC,
    .retry_max = 60 * USEC_PER_SEC,
    .lock = 100 * USEC_PER_MSEC,
    .again = 10 * USEC_PER_SEC,
    .corrupt = 60 * USEC_PER_SEC,
    .repeat = 600 * USEC_PER_SEC,
};

#ifdef PGSINKD_FAILPOINTS

enum { USAGE_EXIT = 2 };

static const struct {
    const char *name;
    usec_t *value;
} entries[] = {
    {"patience", &delays.patience},   {"strict", &delays.strict}, {"retry", &delays.retry},
    {"retry_max", &delays.retry_max}, {"lock", &delays.lock},     {"again", &delays.again},
    {"corrupt", &delays.corrupt},     {"repeat", &delays.repeat},
};

static bool set(const char *name, const char *value)
{
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        if (strcmp(entries[i].name, name) == 0) {
            return units_duration(str_of(value), entries[i].value) == UNITS_OK;
        }
    }
    return false;
}

void delays_init(void)
{
    const char *text = getenv("PGSINKD_TEST_TIMES");
    char name[16];
    char value[16];
    int n = 0;

    for (; text != NULL && *text != '\0'; text += n) {
        if (sscanf(text, "%15[a-z_]=%15[0-9a-z]%n", name, value, &n) != 2 || !set(name, value)) {
            fprintf(stderr, "pgsinkd: PGSINKD_TEST_TIMES: cannot understand '%s'\n", text);
            exit(USAGE_EXIT);
        }
        n += text[n] == ',' ? 1 : 0;
    }
}

#else

void delays_init(void)
{
}

#endif
