/* Reads a small file as a whole. Any thread. */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include "base/buf.h"
#include "base/error.h"

#define FILE_MAX ((size_t) 1 << 20) /* bytes */

/*
 * Appends the content. ERROR_SETUP when it cannot be read, is a directory or has more than FILE_MAX
 * bytes; the text does not contain the path. *out_errno (may be NULL) receives errno of a failed
 * open, else 0.
 */
bool file_read(const char *path, struct buf *out, int *out_errno, struct error *err) _must_;

#endif
