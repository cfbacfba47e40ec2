/*
 * The table <schema>.topic_entries: which entries of `topics` a sink has used. What an entry
 * matches when it is used for the first time begins as kafka.start says, and that is written down
 * in one transaction with the fact; what it matches later begins at its earliest record. Blocking.
 * @thread main, scout
 */
#ifndef PG_TOPIC_ENTRIES_H
#define PG_TOPIC_ENTRIES_H

#include "base/error.h"
#include "pg/conn.h"
#include "pg/ledger.h"

/* Names, the caller's: topic_entries_names_free. */
struct topic_entries_names {
    char **items;
    size_t count;
};
void topic_entries_names_free(struct topic_entries_names *names);

/*
 * out_entries: those that the sink has used. When there are none, out_topics has the topics of its
 * rows in the ledger: an earlier version, which wrote down no entries, has read them.
 */
bool topic_entries_read(struct conn *c, const char *schema, const char *sink,
                        struct topic_entries_names *out_entries,
                        struct topic_entries_names *out_topics, struct error *err) _must_;

/*
 * Writes down the first use of an entry, and a row of the ledger for each of rows (topic,
 * partition, first_offset) that has none. rows[i].inserted: it was made. Does nothing when another
 * process has been faster.
 */
bool topic_entries_use(struct conn *c, const char *schema, const char *sink, const char *entry,
                       const char *reason, struct ledger_entry *rows, size_t n,
                       struct error *err) _must_;

#endif
