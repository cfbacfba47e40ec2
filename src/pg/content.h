/*
 * Rows that were made once more of the records of a partition, compared with those that are stored.
 * Rows are brought as they would be stored, by the same SQL, into a temporary table that looks like
 * the target; of each column a hash is kept. compare reads the table and the dead letters in one
 * statement, so as of one moment, and writes nothing but temporary tables.
 *
 * A table takes part if it holds partition and offset of each record. Blocking; a conn of its own,
 * and one thread. @thread of a command
 */
#ifndef PG_CONTENT_H
#define PG_CONTENT_H

#include "base/error.h"
#include "pg/conn.h"
#include "pg/rows_sql.h"
#include "row/batch/batch.h"

/* A table that is compared, and its columns that say of which record a row is. */
struct content_table {
    const struct table *table;
    const char *partition; /* a column */
    const char *offset;
    const char *topic; /* NULL: it has none, and is fed by no other topic */
};

enum content_kind {
    CONTENT_MISSING,
    CONTENT_DOUBLED,
    CONTENT_DIFFERENT,
    CONTENT_STRANGE, /* rows without a record: Kafka has it no longer, or never had */
    CONTENT_FORMER,  /* rows of a former log may be among them */
    CONTENT_KINDS,
};

struct content_finding {
    enum content_kind kind;
    int64_t offset;
    int64_t expected; /* rows */
    int64_t found;
    uint64_t count; /* of how many of its kind it tells: of all, if it is the first, else 0 */
    const char *const *columns; /* DIFFERENT: which, if the record has one row */
    size_t column_count;
};

/* What the ledger says of a partition. */
struct content_part {
    int32_t partition;
    int64_t first_offset; /* where it began, in the log that Kafka has; 0 if that is not known */
    int64_t next_offset;
    int64_t former; /* below this there may be rows of a former log; 0: there was none */
};

/* A range that was passed without being stored. */
struct content_gap {
    int32_t partition;
    int64_t from;
    int64_t next;
};

/* All partitions of the topic, in order, and their gaps; the caller frees both arrays. */
bool content_ledger(struct conn *c, const char *schema, const char *sink, const char *topic,
                    struct content_part **out_parts, size_t *out_part_count,
                    struct content_gap **out_gaps, size_t *out_gap_count, struct error *err) _must_;

struct content;

/* All texts and tables are borrowed. */
struct content *content_new(struct conn *c, const char *schema, const char *sink, const char *topic,
                            const struct content_table *tables, size_t table_count) _must_;
struct content *content_free(struct content *x); /* returns NULL */

/* Begins with a partition: nothing is expected yet. */
bool content_begin(struct content *x, int32_t partition, struct error *err) _must_;

/*
 * The records of b, and what is expected of them: the rows of its parts that are appended to one of
 * the tables. rejected: (record, route) pairs of which no row could be made, so that a dead letter
 * is expected.
 */
struct content_reject {
    int64_t offset;
    const struct target *target;
    size_t table; /* of content_table */
};
bool content_add(struct content *x, const struct batch *b, const struct content_reject *rejected,
                 size_t rejected_count, struct error *err) _must_;

/* Compares with the rows of one table at from <= offset < to; what differs below `former` is not
 * decided. The findings, at most max of each kind, in the order of offsets, by content_next, until
 * it returns false. */
struct content_range {
    int64_t from;
    int64_t to;
    int64_t former;
};
bool content_compare(struct content *x, size_t table, struct content_range range, size_t max,
                     struct error *err) _must_;
bool content_next(struct content *x, struct content_finding *out);

/* The number of the table among them, or table_count. */
size_t content_find(const struct content *x, const struct table *table) _pure_;

/* What presence.c shares: runs a COPY ... FROM STDIN (FORMAT binary) with these tuples; is it the
 * server that takes a value for no good one? */
bool content_copy(struct conn *c, const char *copy, struct str rows, struct error *err) _must_;
bool content_is_refusal(const struct error *err) _pure_;

#endif
