/*
 * Host names for the programs that are linked with tests/fake_names.c. Tests only; one thread, one
 * file per program.
 */
#ifndef UNIT_PG_NAMES_KIT_H
#define UNIT_PG_NAMES_KIT_H

#include "unit.h"

/* The names that exist from now on; see tests/fake_names.c. The file changes at one moment. */
static inline void names_set(const char *lines)
{
    static char path[64];
    char next[80];

    if (*path == '\0') {
        snprintf(path, sizeof path, "/tmp/names-test-%ld", (long) getpid());
        setenv("FAKE_NAMES", path, 1);
    }
    snprintf(next, sizeof next, "%s.new", path);
    FILE *f = fopen(next, "w");
    assert_non_null(f);
    assert_true(fputs(lines, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(next, path), 0);
}

static inline void names_done(void)
{
    const char *path = getenv("FAKE_NAMES");

    if (path != NULL) {
        (void) unlink(path);
    }
}

#endif
