/* How the process ends. */
#ifndef SINK_EXIT_H
#define SINK_EXIT_H

/* Exit codes, as the man page and the unit know them. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FAULT = 1, /* at run time */
    EXIT_USAGE = 2,
    EXIT_CONFIG = 3, /* the file */
    EXIT_TARGET = 4, /* missing table, grants, schema version */
    EXIT_SOURCE = 5,
    EXIT_FENCED = 6, /* another process has the same group.instance.id */
};

#endif
