/*
 * The daemon: start order, order of the day, stop order (the mirror of the start), exit code. Main
 * thread.
 */
#ifndef SINK_APP_H
#define SINK_APP_H

#include "config/config.h"

/* Exit codes, as the man page and the unit know them. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FAULT = 1, /* at run time */
    EXIT_USAGE = 2,
    EXIT_CONFIG = 3, /* the file */
    EXIT_TARGET = 4, /* missing table, grants, schema version */
    EXIT_SOURCE = 5,
};

/* Runs until a signal, a fatal fault, or with until_end the ends of all partitions. */
enum exit_code app_run(const struct config *cfg, bool until_end);

#endif
