/*
 * Signals as a descriptor: SIGTERM and SIGINT ask to stop, SIGALRM says that the time of
 * signals_alarm is over. They are blocked in every thread (before the first one is started) and
 * read by the main loop. SIGPIPE is ignored: writes report EPIPE. So are SIGUSR1 and
 * SIGUSR2, which rotations of logs send to every daemon. Main thread.
 */
#ifndef HOST_SIGNALS_H
#define HOST_SIGNALS_H

#include "base/clock.h"

/* Blocks the signals and returns the signalfd, which lives until the process ends. */
int signals_open(void);

/*
 * The same for SIGHUP alone, which asks for a reload: a descriptor of its own, so that it does not
 * end a wait that only a stop is to end, and stays until somebody takes it.
 */
int signals_open_reload(void);

/* After this time, which is not 0, the descriptor will report SIGALRM; only one time. */
void signals_alarm(int fd, usec_t after);

/* The number of a signal that has come, or 0. Does not wait. */
int signals_take(int fd);

#endif
