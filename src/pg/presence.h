/*
 * Is the row of each key that of the key's last record? For tables with a key, whose rows are
 * written over: what the records of a topic did to each key is collected in temporary tables, of
 * all partitions in one session, and then compared with the table in one statement, so as of one
 * moment. Nothing but temporary tables is written.
 *
 *     last of a key, of one partition      row of the key          says
 *     --------------------------------     --------------------    -----------------------------
 *     an upsert or update at o             of o                    nothing: as it must be
 *                                          of to or later          nothing: a newer record's
 *                                          of an offset before o   MISSING
 *                                          of another partition    UNDECIDED: who was the last?
 *                                          none                    MISSING, if nothing can have
 *                                                                  deleted it; else UNDECIDED
 *     a delete at o                        of an offset before o   UNDELETED
 *
 * Of `ignore` the first one after a delete counts, of only_if_newer the highest version. Memory of
 * this process: one batch. The server's: work_mem, and on its disk one row for each (key,
 * partition) and up to FOLD_EVENTS, or once as many, that are not folded yet.
 *
 * Blocking; a conn of its own. One thread at a time.
 */
#ifndef PG_PRESENCE_H
#define PG_PRESENCE_H

#include "pg/content.h"

/* A table that is compared. All is borrowed. */
struct presence_table {
    const struct target *target; /* of one of its routes; those of the others have the same key */
    const char *partition;       /* columns */
    const char *offset;
    const char *topic;  /* NULL: it has none, and is fed by no other topic */
    bool is_shared;     /* other topics fill it, too */
    bool is_deleted_of; /* a route may delete rows, or truncate it */
    bool by_record_key; /* all of its key comes from the key of the record */
};

/* What was read of a partition. */
struct presence_part {
    int32_t partition;
    int64_t from;
    int64_t to;
    bool is_whole; /* each offset from the first that was ever stored is a record, or in a gap */
};

enum presence_kind {
    PRESENCE_MISSING,
    PRESENCE_UNDELETED,
    PRESENCE_FAULTS,
    /* undecided, and why */
    PRESENCE_OTHER_PARTITION = PRESENCE_FAULTS,
    PRESENCE_DELETED_ELSEWHERE,
    PRESENCE_MOVING,
    PRESENCE_UNREAD,
    PRESENCE_NO_RECORD,
    PRESENCE_REPLAYED,
    PRESENCE_UPDATE,
    PRESENCE_VERSION,
    PRESENCE_KINDS,
};

struct presence_finding {
    enum presence_kind kind;
    int32_t partition;
    int64_t offset;
    int64_t found;  /* the offset of the row that is there; -1: there is none */
    uint64_t count; /* of how many of its kind it tells: of all, if it is the first, else 0 */
};

/* Why it is not decided; of a kind from PRESENCE_FAULTS on. */
const char *presence_reason(enum presence_kind kind);

struct presence;
struct presence *presence_new(struct conn *c, const char *schema, const char *sink,
                              const char *topic, const struct presence_table *tables,
                              size_t table_count) _must_;
struct presence *presence_free(struct presence *x); /* returns NULL */

/* The number of the table among them, or table_count. */
size_t presence_find(const struct presence *x, const struct table *table) _pure_;

/* Have both the same key and version? Only then they can be of one presence_table. */
bool presence_fits(const struct target *a, const struct target *b) _pure_;

/* Makes the temporary tables; false, too, where the role may not read history or dead letters. */
bool presence_begin(struct presence *x, struct error *err) _must_;

/*
 * The records of b, all of one partition, in the order of the partition. rejected: as for
 * content_add, with tables of this one.
 */
bool presence_add(struct presence *x, int32_t partition, const struct batch *b,
                  const struct content_reject *rejected, size_t rejected_count,
                  struct error *err) _must_;

/* All has been added: what of the topic that was. Before any compare. */
bool presence_end(struct presence *x, const struct presence_part *parts, size_t n,
                  struct error *err) _must_;

/* The findings about one table, at most max of each kind that is a fault and one of each other, by
 * presence_next, until it returns false. */
bool presence_compare(struct presence *x, size_t table, size_t max, struct error *err) _must_;
bool presence_next(struct presence *x, struct presence_finding *out);

#endif
