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
#ifndef ROW_BATCH_BATCH_H
#define ROW_BATCH_BATCH_H

#include "base/buf.h"
#include "row/identity.h"
#include "row/message.h"
#include "row/table/table.h"

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
    struct fingerprint fp;     /* of a record of this span, the last if known; or none */
    void *tag;                 /* the worker's slot for this partition */
};

#define BATCH_NOT_KEPT SIZE_MAX

/* One record, in order of arrival. */
struct batch_record {
    uint32_t span; /* index into spans */
    size_t raw;    /* where the record as it came begins in `raw`; BATCH_NOT_KEPT: nowhere */
    int64_t offset;
    int64_t timestamp_ms;
    int32_t leader_epoch;
};

/*
 * What became of a record through one of the routes that took it (`when`): rows, or nothing, or a
 * dead letter. Only for routes that count them.
 */
struct batch_taken {
    uint32_t record;
    uint32_t route : 31; /* in the configuration */
    uint32_t letter : 1;
};

/* What a batch has of something that others share, until it is stored or is not. */
struct batch_reserve {
    uint32_t route;
    int64_t amount;
};

/* One encoded row: which record made it, and where it starts in its part's bytes. */
struct batch_row {
    uint32_t record;
    uint32_t seq; /* rises over all parts in the order in which rows were made */
    size_t begin;
};

/* The rows of one target with which the same is done and which omit the same columns. */
struct batch_part {
    const struct target *target;
    enum row_action action;
    omit_mask omit;
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
    struct batch_taken *taken; /* in the order of the records */
    size_t taken_count;
    size_t taken_cap;
    struct batch_reserve *reserves; /* one for each route at most; what they mean is the sink's */
    size_t reserve_count;
    size_t reserve_cap;
    const struct target **compared; /* see batch_compare */
    size_t compared_count;
    size_t compared_cap;
    size_t bytes; /* of all rows */
    uint32_t next_seq;
    struct buf raw;       /* records as they came, see batch_keep */
    bool was_counted;     /* what that means is the sink's; batch_clear forgets it */
    bool in_record;       /* between batch_record_begin and _end/_abort */
    uint32_t open_part;   /* between batch_row_begin and _end; UINT32_MAX = none */
    uint32_t last_span;   /* the last answer of batch_span: records come in runs */
    uint64_t opened_usec; /* monotonic time of the first record; the worker's linger looks at it */
};

struct batch *batch_new(void) _must_;
struct batch *batch_free(struct batch *b); /* returns NULL */
void batch_clear(struct batch *b);         /* empty, memory kept up to a limit */

bool batch_is_empty(const struct batch *b); /* no span moves: nothing to store */
size_t batch_memory(const struct batch *b); /* bytes of rows and of records kept as they came */
size_t batch_row_count(const struct batch *b);

/*
 * The span of the partition known by tag; a new one starts at `from`. Later calls ignore the other
 * arguments. The returned index stays valid until batch_clear, batch_split or batch_drop.
 */
uint32_t batch_span(struct batch *b, void *tag, const char *topic, int32_t partition,
                    int64_t owner_epoch, int64_t from) _must_;

/*
 * A record: begin, then for every row batch_part, batch_row_begin, the encoder, batch_row_end;
 * then end, which moves the span to offset + 1. abort takes back the rows of this record and leaves
 * the span where it was; undo takes back those made since batch_mark, also a row that is not
 * finished.
 */
void batch_record_begin(struct batch *b, uint32_t span, int64_t offset, int64_t timestamp_ms,
                        int32_t leader_epoch);
uint32_t batch_part(struct batch *b, const struct target *target, enum row_action action,
                    omit_mask omit) _must_;                  /* index; found or made */
struct buf *batch_row_begin(struct batch *b, uint32_t part); /* where the encoder appends */
void batch_row_end(struct batch *b, uint32_t part);          /* after it succeeded */
void batch_record_end(struct batch *b);
void batch_record_abort(struct batch *b);
uint32_t batch_mark(const struct batch *b);
void batch_undo(struct batch *b, uint32_t mark);

/* A route has taken the open record. */
void batch_take(struct batch *b, uint32_t route, bool is_letter);

/* Remembers what is reserved for the batch; it is neither cut nor cleared while it has any. */
void batch_reserve(struct batch *b, uint32_t route, int64_t amount);

/*
 * Keeps the open record as it came, so that it can become a dead letter when PostgreSQL refuses it.
 * What batch_kept reads back borrows from the batch; `headers` has room for as many as kept_headers
 * says.
 */
void batch_keep(struct batch *b, const struct message *msg);
void batch_keep_again(struct batch *b, const struct batch *from,
                      size_t record); /* if it is there */
bool batch_has_kept(const struct batch *b, size_t record);
size_t batch_kept_bytes(const struct batch *b, size_t record); /* in `raw`, of one that is there */
size_t batch_kept_headers(const struct batch *b, size_t record);
void batch_kept(const struct batch *b, size_t record, struct message *out,
                struct message_header *headers);

/*
 * A record of the batch was rejected because of what is known of the target's table: the batch is
 * stored only if that table is still as it was read.
 */
void batch_compare(struct batch *b, const struct target *target);
void batch_compare_as(struct batch *b, const struct batch *from); /* all that `from` compares */

/* The target is about to be freed. The batch has no row of it any more. */
void batch_forget(struct batch *b, const struct target *target);

/* The fingerprint of the record that the span has taken last. */
void batch_span_mark(struct batch *b, uint32_t span, struct fingerprint fp);

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

/*
 * Takes the records from index `record` on of the span known by tag out of b. The span ends after
 * the record before them, and is gone if it moves nothing any more. Returns that end, which is
 * where the records taken out began.
 */
int64_t batch_truncate(struct batch *b, const void *tag, size_t record);

/* Copies rows, those of a record or a single one, as they are into the open record of `to`. */
void batch_copy_rows(const struct batch *b, size_t record, struct batch *to);
void batch_copy_row(const struct batch_part *p, size_t row, struct batch *to);

/* The span known by tag, or NULL. */
struct span *batch_find(const struct batch *b, const void *tag);

/*
 * All rows in the order in which they were made, over all parts. begin fills *w, next gives part
 * and row; false at the end. The batch does not change meanwhile.
 */
struct batch_walk {
    const struct batch *b;
    size_t *at; /* per part: the next row; owned */
};
void batch_walk_begin(struct batch_walk *w, const struct batch *b);
bool batch_walk_next(struct batch_walk *w, size_t *out_part, size_t *out_row);
void batch_walk_done(struct batch_walk *w);

/* The tuple of a row. */
struct str batch_tuple(const struct batch_part *p, size_t row);

/* Indices of the spans in key order (topic, partition), as the ledger's locks want it; order has
 * span_count places. */
void batch_span_order(const struct batch *b, uint32_t *order);

#endif
