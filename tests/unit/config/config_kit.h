/*
 * What the tests of config/ share: files in a directory of their own, loading a text, expecting an
 * error. Tests only; one thread, one file per program.
 */
#ifndef UNIT_CONFIG_KIT_H
#define UNIT_CONFIG_KIT_H

#include "config/config.h"

#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

struct kit {
    char dir[64];
    char path[PATH_MAX]; /* of the file that kit_write wrote last */
};

static inline int kit_open(void **state)
{
    static struct kit kit;

    snprintf(kit.dir, sizeof kit.dir, "/tmp/config-test-XXXXXX");
    assert_non_null(mkdtemp(kit.dir));
    unsetenv("CREDENTIALS_DIRECTORY");
    *state = &kit;
    return 0;
}

static inline int kit_close(void **state)
{
    struct kit *kit = *state;
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", kit->dir);
    return system(command);
}

static inline const char *kit_write(struct kit *kit, const char *name, const void *bytes, size_t n)
{
    FILE *f = NULL;

    snprintf(kit->path, sizeof kit->path, "%s/%s", kit->dir, name);
    f = fopen(kit->path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return kit->path;
}

static inline const char *kit_write_z(struct kit *kit, const char *name, const char *text)
{
    return kit_write(kit, name, text, strlen(text));
}

/* The error's text without the directory, so that it can be compared. */
static inline const char *kit_said(const struct kit *kit, const struct error *err)
{
    size_t n = strlen(kit->dir);

    assert_int_equal(err->class, ERROR_SETUP);
    return strncmp(err->text, kit->dir, n) == 0 ? err->text + n + 1 : err->text;
}

/* Loads text as c.yaml; it must be refused with exactly `want`. */
static inline void kit_expect(struct kit *kit, const char *text, const char *want)
{
    struct error err = {0};
    struct config *cfg = config_load(kit_write_z(kit, "c.yaml", text), &err);

    assert_null(cfg);
    assert_string_equal(kit_said(kit, &err), want);
}

/* Loads text as c.yaml; it must be accepted. */
static inline struct config *kit_load(struct kit *kit, const char *text)
{
    struct error err = {0};
    struct config *cfg = config_load(kit_write_z(kit, "c.yaml", text), &err);

    if (cfg == NULL) {
        print_error("%s\n", err.text);
    }
    assert_non_null(cfg);
    return cfg;
}

#endif
