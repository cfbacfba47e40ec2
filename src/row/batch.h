/*
 * What goes into one PostgreSQL transaction: encoded rows for one or more targets, and spans: per
 * partition the offsets that these rows stand for. Filled by a worker while the batch before is on
 * its way, then sealed and sent. Memory is kept from use to use.
 *
 * Records are remembered in order of arrival, so a batch can be cut at any record: when PostgreSQL
 * names the row it refuses, the part before it is sent alone.
 *
 * One worker thread; moved between "open" and "on its way", never shared.
 *
 * Invariant I4: per span from <= offsets < next, rising in order of arrival.
 */
#ifndef ROW_BATCH_H
#define ROW_BATCH_H

#include "base/buf.h"
#include "row/table.h"

/* One partition's share of a batch: what the ledger's compare-and-set moves, from -> next. */
struct span {
    const char *topic; /* borrowed from the owner of `tag`, which outlives the batch */
    int32_t partition;
    int32_t leader_epoch;      /* of the last record; -1 unknown */
    int64_t owner_epoch;       /* the claim under which these offsets were read */
    int64_t from;              /* the ledger's next_offset before this batch */
    int64_t next;              /* ... and after it */
    int64_t last_timestamp_ms; /* of the last record; -1 = there is none, or it has none */
    int64_t end_offset;        /* last known end of the partition; -1 unknown */
    void *tag;                 /* the worker's slot for this partition */
};

/* One record, in order of arrival. */
struct batch_record {
    uint32_t span; /* index into spans */
    int64_t offset;
    int64_t timestamp_ms;
    int32_t leader_epoch;
};

/* One encoded row: which record made it, and where it starts in its part's bytes. */
struct batch_row {
    uint32_t record;
    size_t begin;
};

/* The rows of one target that omit the same columns: one COPY. */
struct batch_part {
    const struct target *target;
    uint64_t omit;
    struct buf bytes; /* COPY BINARY tuples, without header and trailer */
    struct batch_row *rows;
    size_t row_count;
    size_t row_cap;
};

struct batch {
    struct span *spans;
    size_t span_count;
    size_t span_cap;
    struct batch_record *records;
    size_t record_count;
    size_t record_cap;
    struct batch_part *parts; /* in order of first use; parts without rows are skipped */
    size_t part_count;
    size_t part_cap;
    size_t bytes;         /* of all rows */
    bool in_record;       /* between batch_record_begin and _end/_abort */
    uint32_t open_part;   /* between batch_row_begin and _end; UINT32_MAX = none */
    uint32_t last_span;   /* the last answer of batch_span: records come in runs */
    uint64_t opened_usec; /* monotonic time of the first record; the worker's linger looks at it */
};

struct batch *batch_new(void) _must_;
struct batch *batch_free(struct batch *b); /* returns NULL */
void batch_clear(struct batch *b);         /* empty, memory kept up to a limit */

bool batch_is_empty(const struct batch *b); /* no span moves: nothing to store */
size_t batch_row_count(const struct batch *b);

/*
 * The span of the partition known by tag; a new one starts at `from`. Later calls ignore the other
 * arguments. The returned index stays valid until batch_clear, batch_split or batch_drop.
 */
uint32_t batch_span(struct batch *b, void *tag, const char *topic, int32_t partition,
                    int64_t owner_epoch, int64_t from) _must_;

/*
 * A record: begin, then for every route batch_part, batch_row_begin, the encoder, batch_row_end;
 * then end, which moves the span to offset + 1. abort takes back the rows of this record and leaves
 * the span where it was.
 */
void batch_record_begin(struct batch *b, uint32_t span, int64_t offset, int64_t timestamp_ms,
                        int32_t leader_epoch);
uint32_t batch_part(struct batch *b, const struct target *target,
                    uint64_t omit) _must_;                   /* index; found or made */
struct buf *batch_row_begin(struct batch *b, uint32_t part); /* where the encoder appends */
void batch_row_end(struct batch *b, uint32_t part);          /* after it succeeded */
void batch_record_end(struct batch *b);
void batch_record_abort(struct batch *b);

/* Moves a span forward over offsets that hold no record (markers, aborted transactions,
 * compaction). */
void batch_span_skip(struct batch *b, uint32_t span, int64_t next);

/*
 * Cuts b after its first `count` records: head (empty before) receives them, b keeps the rest.
 * Spans of head end after their last record in it; those of b start there. A span without records
 * stays in b. 0 <= count <= record_count.
 */
void batch_split(struct batch *b, size_t count, struct batch *head);

/*
 * Takes every record of the span known by tag out of b, and the span with it. True if anything was
 * there.
 */
bool batch_drop(struct batch *b, const void *tag);

/* The span known by tag, or NULL. */
struct span *batch_find(const struct batch *b, const void *tag);

/* Indices of the spans in key order (topic, partition), as the ledger's locks want it; order has
 * span_count places. */
void batch_span_order(const struct batch *b, uint32_t *order);

#endif
