/*
 * What Prometheus reads: every row of stats.def, in the text format 0.0.4 or as OpenMetrics 1.0.0.
 * Pure but for what the process costs. Any thread.
 */
#ifndef SINK_WATCH_METRICS_H
#define SINK_WATCH_METRICS_H

#include "base/buf.h"
#include "host/process.h"
#include "sink/watch/snapshot.h"

enum metrics_format { METRICS_TEXT, METRICS_OPENMETRICS };

struct metrics {
    const char *sink;
    const char *librdkafka;          /* its version */
    uint64_t buffer_limit;           /* bytes of batches that all workers hold at most */
    size_t partition_limit;          /* with more of them they are added up */
    bool ready;                      /* as /readyz says */
    const struct snapshot *snapshot; /* sorted; NULL: main has not shown anything yet */
    struct process_cost process;
};

/* What a header Accept asks for, and its Content-Type. */
enum metrics_format metrics_format_of(const char *accept) _pure_;
const char *metrics_type(enum metrics_format format);

void metrics_print(const struct metrics *m, enum metrics_format format, struct buf *out);

/* docs/metrics.md, printed from stats.def. */
void metrics_doc(struct buf *out);

#endif
