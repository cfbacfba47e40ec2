/*
 * The daemon: the order of its start, its loop, the order of its stop, and the exit code. Main
 * thread.
 */
#ifndef SINK_APP_APP_H
#define SINK_APP_APP_H

#include "config/config.h"
#include "sink/exit.h"

struct app_options {
    bool until_end;      /* end when all that the topics hold at the start is read */
    usec_t timeout_usec; /* until_end: at the latest after this time; 0 = for ever */
};

/*
 * Runs until a signal, a fatal fault, or with until_end the ends of all partitions: then EXIT_OK
 * only when each was read to it.
 */
enum exit_code app_run(const struct config *cfg, const struct app_options *options);

#endif
