/*
 * A worker: one thread, one queue of records, one PostgreSQL connection. It claims partitions,
 * encodes their records into the open batch while the batch before is on its way, and settles what
 * a lost connection or a fence leaves open.
 *
 * An event loop over three descriptors: the queue's eventfd, the connection's socket, the mailbox.
 * Batches clock themselves: an idle connection takes what is there at once, a busy one lets the
 * open batch grow to its limits, and then records wait in the library's queue, which is bounded in
 * bytes.
 *
 * Main sends it orders and receives reports (sink/shared/mail.h), and reads its counters
 * (sink/shared/stats.h).
 */
#ifndef SINK_WORKER_WORKER_H
#define SINK_WORKER_WORKER_H

#include "base/mailbox.h"
#include "config/config.h"
#include "kafka/feed.h"
#include "sink/plan/policy.h"
#include "sink/shared/mail.h"
#include "sink/shared/stats.h"

struct worker_config {
    const struct config *cfg;
    uint32_t number;   /* from 1; in names of thread and connection */
    const char *owner; /* this process, as the ledger writes it */
    struct feed *feed;
    struct mailbox *reports; /* main's mailbox */
    struct policies *policies;
    _Atomic uint64_t *beat; /* when its loop turned last, monotonic; for the watchdog */
};

/* Makes the worker and starts its thread. @thread main */
struct worker *worker_start(const struct worker_config *wc) _must_;

/* The worker takes ownership of the order. @thread main */
void worker_post(struct worker *w, struct order *o);

const struct worker_stats *worker_stats(const struct worker *w);
struct feed *worker_feed(const struct worker *w);
uint32_t worker_number(const struct worker *w);

/* Waits for the thread's end, which REPORT_ENDED announces; false when it did not end in time.
 * @thread main */
bool worker_join(struct worker *w, usec_t timeout) _must_;
void worker_free(struct worker *w); /* after worker_join; the feed is the caller's */

#endif
