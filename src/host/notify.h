/*
 * The service manager: READY, STATUS, WATCHDOG, STOPPING over NOTIFY_SOCKET. Does nothing without
 * it, or when built without libsystemd. Main thread.
 */
#ifndef HOST_NOTIFY_H
#define HOST_NOTIFY_H

#include "base/clock.h"

void notify_ready(void);
void notify_stopping(void);
void notify_status(const char *fmt, ...) _printf_(1, 2);
void notify_watchdog(void);

/* Start-up is alive but takes longer: asks the manager to wait `more` from now. */
void notify_extend_start(usec_t more);

/* How often the manager wants to hear of us, half of WATCHDOG_USEC; 0 = no watchdog. */
usec_t notify_watchdog_interval(void);

#endif
