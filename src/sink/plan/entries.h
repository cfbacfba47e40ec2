/*
 * The entries of `topics` (names and patterns) of all routes, and which of them the sink has used
 * already. An entry that is used for the first time has to be written down, with the partitions
 * that it matches then, before any of these is claimed: kafka.start decides for them, and for no
 * others. Main thread.
 */
#ifndef SINK_PLAN_ENTRIES_H
#define SINK_PLAN_ENTRIES_H

#include "base/error.h"
#include "config/config.h"
#include "pg/conn.h"
#include "sink/plan/plan.h"

struct entry {
    const char *text; /* as written in the file; borrowed */
    size_t route;     /* where it stands, for plan_entry_takes */
    size_t item;
    bool used;
};

struct entries {
    struct entry *items; /* each text once */
    size_t count;
};

/* All count as used: without a ledger it cannot be known. */
struct entries entries_of(const struct config *cfg) _must_;
void entries_done(struct entries *e);

/* Those of another configuration: what was used before is used, what is new is not known to be. */
void entries_reload(struct entries *e, const struct config *cfg);

/*
 * Reads which ones are used. A sink that has rows in the ledger and no entries was run by an
 * earlier version: then those that match a topic there are used, which is written down. Blocks.
 */
bool entries_load(struct entries *e, const struct config *cfg, const struct plan *plan,
                  struct conn *c, struct error *err) _must_;

/* The first entry that takes the topic and is not used yet; NULL: the topic may be claimed. */
const struct entry *entries_unused(const struct entries *e, const struct plan *plan,
                                   const char *topic);
bool entries_all_used(const struct entries *e);

#endif
