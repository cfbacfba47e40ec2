/*
 * Several processes of one sink have one file. "orders:2.yaml", which is what the service
 * pgsinkd@orders:2 asks for, stands for orders.yaml, read by process 2: ${INSTANCE} in the file is
 * 2. Without a number it is what the environment says, else 1. A file that is really called
 * orders:2.yaml is read itself; then, too, the environment comes before the number. Main thread,
 * before there are others: it sets an environment variable.
 */
#ifndef COMMAND_INSTANCE_H
#define COMMAND_INSTANCE_H

#include "base/buf.h"
#include "base/error.h"

/* The file to read in place of `path`, which lives in *z. Sets INSTANCE. */
const char *instance_file(const char *path, struct buf *z);

/* A file that could not be read: sets the hint where its name has something else than a number
 * where the number of a process stands. Returns false. */
bool instance_hint(const char *path, struct error *err);

#endif
