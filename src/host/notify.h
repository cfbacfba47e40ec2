/*
 * The service manager: READY, STATUS, WATCHDOG and STOPPING over NOTIFY_SOCKET. Does nothing if
 * that is not set, or if the program is built without libsystemd. Errors are ignored. Main thread.
 */
#ifndef HOST_NOTIFY_H
#define HOST_NOTIFY_H

#include "base/clock.h"

void notify_ready(void);                                 /* the start is complete */
void notify_reloading(void);                             /* a reload has begun; ready ends it */
void notify_stopping(void);                              /* the stop has begun */
void notify_status(const char *fmt, ...) _printf_(1, 2); /* one line, for people */
void notify_watchdog(void);                              /* the main loop is alive */

/* The start makes progress but takes longer: asks the manager to wait for `more` from now on. */
void notify_extend_start(usec_t more);

/* How often to call notify_watchdog: half of WATCHDOG_USEC; 0 = no watchdog. */
usec_t notify_watchdog_interval(void);

#endif
