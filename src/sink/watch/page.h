/* What people and their scripts read: the page / as HTML, and /status as JSON. Pure. */
#ifndef SINK_WATCH_PAGE_H
#define SINK_WATCH_PAGE_H

#include "sink/watch/samples.h"

struct page {
    const char *sink;
    const char *librdkafka;          /* its version */
    const char *owner;               /* this process, as the ledger names it */
    bool ready;                      /* as /readyz says, */
    const char *reason;              /*   and why not, or what stands although it is; may be "" */
    uint64_t limit;                  /* bytes; partitions that would go beyond it are left out */
    const struct snapshot *snapshot; /* sorted; NULL: main has not shown anything yet */
    const struct samples *samples;
};

/* Partitions that stand come first, so that the others are left out before them; how many are is
 * said. */

/* nonce: what the header Content-Security-Policy lets the page's own style and script pass by. */
void page_html(const struct page *p, const char *nonce, struct buf *out);
void page_json(const struct page *p, struct buf *out);

/* How a partition stands, in a word: that of its standing, or "reading", "starting", "lost". */
const char *page_state(const struct snapshot_partition *p);

#endif
