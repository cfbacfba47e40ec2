/*
 * Time in microseconds. Monotonic for every deadline; wall time only for what people read.
 * Any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/base.h"

typedef uint64_t usec_t;

#define USEC_PER_MSEC ((usec_t) 1000)
#define USEC_PER_SEC ((usec_t) 1000000)
#define USEC_NEVER UINT64_MAX

usec_t clock_mono(void);     /* CLOCK_MONOTONIC */
int64_t clock_wall_ms(void); /* Unix time in milliseconds */

/* Milliseconds from now until the deadline, rounded up, for poll(2): 0 when it is past, -1 for
 * USEC_NEVER. */
int clock_poll_ms(usec_t now, usec_t deadline);

#endif
