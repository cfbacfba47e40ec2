/*
 * Reads a small file as a whole: pipes and devices too, not directories. The limit keeps a wrong
 * path, such as /dev/zero, from filling memory. Knows nothing of what is in it. Any thread.
 */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t) 16384)

static bool read_all(int fd, struct buf *out, struct error *err)
{
    size_t limit = out->n + FILE_MAX;

    for (;;) {
        ssize_t got = read(fd, buf_reserve(out, CHUNK), CHUNK);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_set(err, ERROR_SETUP, "cannot be read: %s", strerror(errno));
        }
        if (got == 0) {
            return true;
        }
        out->n += (size_t) got;
        if (out->n > limit) {
            return error_set(err, ERROR_SETUP, "is larger than 1 MiB");
        }
    }
}

bool file_read(const char *path, struct buf *out, int *out_errno, struct error *err)
{
    size_t before = out->n;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int code = fd < 0 ? errno : 0;
    bool ok;

    if (out_errno != NULL) {
        *out_errno = code;
    }
    if (fd < 0) {
        return error_set(err, ERROR_SETUP, "cannot be read: %s", strerror(code));
    }
    ok = read_all(fd, out, err);
    close(fd);
    if (!ok) {
        out->n = before;
    }
    return ok;
}
