/*
 * What operators ask of a sink's ledger and change in it, for commands: the views of sql/008 as
 * listings, and its functions with what they have changed. The names and meanings are those of
 * SQL; sql/README.md has them. Blocking, on a connection that is ready; after an error the
 * connection is of no more use but for conn_free. ERROR_SETUP for a missing table or right, and the
 * connection's errors; a function's own refusals have its SQLSTATE. Main thread.
 */
#ifndef PG_CONTROL_H
#define PG_CONTROL_H

#include "base/error.h"
#include "pg/conn.h"

/* All borrowed. */
struct control {
    struct conn *conn;
    const char *schema;
    const char *sink;
};

/* What of the sink; borrowed. */
struct control_place {
    const char *topic;     /* NULL: all of the sink */
    const char *partition; /* in digits; NULL: all of the topic */
};

/* Rows of text, owned. */
struct listing {
    size_t row_count;
    size_t column_count;
    char **names;
    bool *are_numbers;
    char **cells; /* row by row; NULL is NULL */
};

void listing_done(struct listing *l); /* frees; it is empty then */
const char *listing_cell(const struct listing *l, size_t row, size_t column) _pure_;

#define _cleanup_listing_ _cleanup_(listing_done)

enum control_view {
    CONTROL_SINK,            /* in the order of enum control_sink_column */
    CONTROL_INSTANCES,       /* the processes */
    CONTROL_STANDING,        /* place, state, since, reason, hint */
    CONTROL_SEEKS,           /* place, where, since, error */
    CONTROL_TOPICS,          /* what is most behind first */
    CONTROL_STATUS_JSON,     /* all of these as one text */
    CONTROL_PARTITIONS,      /* the view lag */
    CONTROL_PARTITIONS_JSON, /* the same, a text each */
    CONTROL_NAMES,           /* the topics of the ledger */
    CONTROL_SINKS,           /* all sinks of the schema: read, running or paused */
    CONTROL_VIEWS,
};

enum control_sink_column {
    SINK_INSTANCES,
    SINK_PARTITIONS,
    SINK_BEHIND,
    SINK_LAG,
    SINK_LAG_SECONDS,
    SINK_RECORDS_PER_SECOND,
    SINK_ROWS_PER_SECOND,
    SINK_STANDING,
    SINK_SEEKS,
    SINK_GAPS,
    SINK_DEAD_LETTERS,
    SINK_LAST_ERROR,
    SINK_LAST_ERROR_AT,
};

/* The column of CONTROL_INSTANCES that says 'runs' of a process that lives. */
enum { INSTANCE_STATE = 5 };

/* `at` counts for CONTROL_PARTITIONS and _JSON only. */
bool control_list(const struct control *k, enum control_view view, const struct control_place *at,
                  struct listing *out, struct error *err) _must_;

enum control_action {
    CONTROL_PAUSE,
    CONTROL_RESUME,
    CONTROL_SEEK,
    CONTROL_RESET,
    CONTROL_ACTIONS,
};

/* The columns of what an action has changed: a row for each partition that it concerns. */
enum control_change {
    CHANGE_TOPIC,
    CHANGE_PARTITION,
    CHANGE_BEFORE, /* next_offset; NULL: it had no row */
    CHANGE_AFTER,  /* NULL: it has no row any more */
    CHANGE_WAS,    /* as which it stood; NULL: it moved */
    CHANGE_STATE,  /* as which it stands now; NULL: it moves */
    CHANGE_ASKED,  /* the place to which a daemon is to move it; NULL: none */
    CHANGE_JSON,   /* all of that as one object */
};

/*
 * One transaction. where: of CONTROL_SEEK, "earliest", "latest", a time or an offset. Rows that a
 * daemon is just storing into are waited for.
 */
bool control_do(const struct control *k, enum control_action action, const struct control_place *at,
                const char *where, struct listing *out_changes, struct error *err) _must_;

/* Where a partition is to continue. */
struct control_start {
    const char *topic; /* borrowed */
    int32_t partition;
    int64_t next_offset;
};

/*
 * Moves partitions to offsets that somebody else knows, in one transaction. One without a row of
 * the ledger gets its row there, for `reason`: the sink begins there when it first reads it.
 */
bool control_take_over(const struct control *k, const struct control_start *starts, size_t n,
                       const char *reason, struct listing *out_changes, struct error *err) _must_;

#endif
