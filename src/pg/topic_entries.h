/*
 * The table <schema>.topic_entries: which entries of `topics` a sink has used. What an entry
 * matches when it is used for the first time begins as kafka.start says; the first use and these
 * beginnings are written in one transaction. What it matches later begins at its earliest record.
 * Blocking.
 * @thread main, scout
 */
#ifndef PG_TOPIC_ENTRIES_H
#define PG_TOPIC_ENTRIES_H

#include "base/error.h"
#include "pg/conn.h"
#include "pg/ledger.h"

/* Names; the caller frees them by topic_entries_names_free. */
struct topic_entries_names {
    char **items;
    size_t count;
};
void topic_entries_names_free(struct topic_entries_names *names);

/*
 * out_entries: those that the sink has used. If there are none, out_topics are the topics of its
 * rows in the ledger: an earlier version, which recorded no entries, has read them. ERROR_SETUP,
 * and the connection's errors.
 */
bool topic_entries_read(struct conn *c, const char *schema, const char *sink,
                        struct topic_entries_names *out_entries,
                        struct topic_entries_names *out_topics, struct error *err) _must_;

/*
 * Records the first use of an entry, and inserts a row of the ledger for each of rows (topic,
 * partition, first_offset) that has none. rows[i].inserted: it was inserted now. Does nothing if
 * another process has been faster. Errors as above.
 */
bool topic_entries_use(struct conn *c, const char *schema, const char *sink, const char *entry,
                       const char *reason, struct ledger_entry *rows, size_t n,
                       struct error *err) _must_;

#endif
