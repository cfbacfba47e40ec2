/* Which process of a sink this is, see instance.h. Main thread. */
#include "command/instance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE "INSTANCE"

static size_t count_digits(const char *z)
{
    return strspn(z, "0123456789");
}

/* The last ':' of the file's own name, after something; NULL: it has none. */
static const char *find_colon(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *colon = strrchr(name, ':');

    return colon == name ? NULL : colon;
}

/* The ':' before the number of a name such as orders:2.yaml or orders:2; NULL: it has none. */
static const char *find_number(const char *path)
{
    const char *colon = find_colon(path);
    size_t digits = colon != NULL ? count_digits(colon + 1) : 0;

    return digits > 0 && (colon[1 + digits] == '.' || colon[1 + digits] == '\0') ? colon : NULL;
}

/* A file that may not be seen is there for all that is known. */
static bool is_missing(const char *path)
{
    return access(path, F_OK) != 0 && errno == ENOENT;
}

const char *instance_file(const char *path, struct buf *z)
{
    const char *colon = find_number(path);
    const char *after;

    if (colon == NULL) {
        (void) setenv(VARIABLE, "1", 0);
        return path;
    }
    bool is_literal = !is_missing(path);
    after = colon + 1 + count_digits(colon + 1);
    buf_add(z, colon + 1, (size_t) (after - colon) - 1);
    (void) setenv(VARIABLE, buf_cstr(z), is_literal ? 0 : 1);
    if (is_literal) {
        return path;
    }
    buf_clear(z);
    buf_add(z, path, (size_t) (colon - path));
    buf_add_z(z, after);
    return buf_cstr(z);
}

bool instance_hint(const char *path, struct error *err)
{
    if (find_colon(path) != NULL && find_number(path) == NULL && is_missing(path)) {
        error_hint(err, "After the ':' comes the number of a process, as in orders:2.yaml, which "
                        "reads orders.yaml.");
    }
    return false;
}
