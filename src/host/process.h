/* What the process costs, as the kernel counts it. Any thread. */
#ifndef HOST_PROCESS_H
#define HOST_PROCESS_H

#include "base/clock.h"

struct process_cost {
    usec_t cpu_usec; /* user and system */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds; /* UINT64_MAX: no limit */
    uint64_t threads;
    double start_seconds; /* Unix time; 0: not known */
};

/* Looks again: *out is what was seen before, or 0; the time of the start stays as it was. What
 * cannot be found out is 0. */
void process_look(struct process_cost *out);

#endif
