/*
 * The last faults, for people who look at the page instead of the log. Main keeps them.
 */
#ifndef SINK_WATCH_TROUBLES_H
#define SINK_WATCH_TROUBLES_H

#include "base/base.h"

#define TROUBLES 16

struct trouble {
    int64_t wall_ms; /* when it came last; 0: there is none */
    uint64_t times;  /* in a row */
    char text[256];
};

struct troubles {
    struct trouble ring[TROUBLES];
    size_t last; /* the newest */
};

/* The text is cut. One that is like the newest is counted. @thread main */
void troubles_add(struct troubles *t, int64_t wall_ms, const char *text);

/* The n-th newest, from 0. */
const struct trouble *troubles_at(const struct troubles *t, size_t n);

#endif
