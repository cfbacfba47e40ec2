/*
 * Signals as a descriptor: SIGTERM and SIGINT ask to stop. Blocked in every thread (before the
 * first is started), read by the main loop. SIGPIPE is ignored: writes report EPIPE. Main thread.
 */
#ifndef HOST_SIGNALS_H
#define HOST_SIGNALS_H

#include "base/base.h"

/* Blocks the signals and returns the signalfd, which lives until the process ends. */
int signals_open(void);

/* The number of a signal that came, or 0. Does not wait. */
int signals_take(int fd);

#endif
