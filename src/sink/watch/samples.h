/* The last minutes in numbers, for rates and plots. One thread. */
#ifndef SINK_WATCH_SAMPLES_H
#define SINK_WATCH_SAMPLES_H

#include "sink/watch/snapshot.h"

/* A quarter of an hour. */
#define SAMPLES 180
#define SAMPLE_INTERVAL (5 * USEC_PER_SEC)

struct sample {
    usec_t at; /* monotonic */
    uint64_t records;
    uint64_t rows;
    uint64_t bytes;
    uint64_t lag; /* of all partitions whose end is known */
};

struct samples {
    struct sample ring[SAMPLES];
    size_t count; /* of those that are there */
    size_t next;  /* place of the next */
};

/* Takes what is shown, unless the last sample is younger than SAMPLE_INTERVAL. */
void samples_add(struct samples *s, const struct snapshot *shown);

/* Number i of `count`, the oldest first. */
const struct sample *samples_at(const struct samples *s, size_t i);

/* When the next is due, monotonic; 0: now. */
usec_t samples_due(const struct samples *s);

struct rates {
    double records;
    double rows;
    double bytes;
};

/* Per second, from sample number i - 1 to number i; all 0 for i = 0. And of what is shown now,
 * since a sample that is 5 s old at least, if there is one. */
struct rates samples_rates(const struct samples *s, size_t i);
struct rates samples_rates_now(const struct samples *s, const struct snapshot *shown);

#endif
