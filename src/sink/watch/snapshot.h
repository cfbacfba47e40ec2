/*
 * What people see of the daemon at one moment: a copy that main makes when somebody has asked, and
 * gives away as mail. All texts are inside of it, so it outlives what it shows. Making one is cheap
 * (some 100 ns for each partition): sorting, adding up and writing it out is for whoever asked.
 */
#ifndef SINK_WATCH_SNAPSHOT_H
#define SINK_WATCH_SNAPSHOT_H

#include "base/buf.h"
#include "base/clock.h"
#include "pg/ledger.h"
#include "sink/crew/crew.h"
#include "sink/plan/policy.h"
#include "sink/shared/stats.h"
#include "sink/watch/troubles.h"

/* A text inside of a snapshot, for snapshot_text. 0 is "". */
typedef uint32_t snapshot_str;

struct snapshot_partition {
    snapshot_str topic;
    int32_t number;
    enum standing_state standing;
    bool is_fetched;
    bool is_lost;
    int64_t stored;       /* next_offset; -1 unknown */
    int64_t end;          /* -1 unknown */
    int64_t timestamp_ms; /* of the last stored record; -1 unknown */
    uint64_t records;     /* stored since it was adopted */
    usec_t stands_usec;   /* for how long */
    snapshot_str why;
    char sqlstate[6];
};

struct snapshot_topic {
    snapshot_str name;
    uint64_t records; /* of partitions that are gone, or about to */
};

struct snapshot_route {
    snapshot_str name;
    uint64_t rows;
    uint64_t others; /* dead letters of more codes than there is room for */
    size_t code_count;
    struct {
        uint64_t code; /* as in stats.h */
        uint64_t count;
    } codes[ROUTE_CODES];
};

struct snapshot {
    usec_t at; /* monotonic */
    int64_t wall_ms;
    bool ready;
    bool stopping;
    bool brokers_away;
    snapshot_str brokers_why;
    snapshot_str target_why;   /* why workers have no connection; "": they have */
    snapshot_str registry_why; /* why the schema registry does not answer; "": it does */
    size_t schemas;            /* that are known, or asked for */
    bool group_denied;
    snapshot_str lacks; /* rights, and some of the brokers; "": nothing */
    size_t workers;
    size_t workers_down;   /* without a connection to PostgreSQL */
    uint64_t queued;       /* records that wait for a worker */
    uint64_t buffer_limit; /* bytes that all batches hold at most */
    struct totals totals;
    struct crew_rebalances rebalances;
    struct traffic_broker brokers[TRAFFIC_BROKERS + 1]; /* sorted by their numbers */
    size_t broker_count;
    struct snapshot_partition *partitions; /* in no order as main makes it */
    size_t partition_count;
    struct snapshot_topic *topics; /* of partitions that are gone; some several times at first */
    size_t topic_count;
    struct snapshot_route *routes;
    size_t route_count;
    struct trouble troubles[TROUBLES]; /* the last ones, the newest first; times are 0 at the end */
    struct buf texts;
};

/* What main shows. */
struct snapshot_source {
    const struct client *client;
    const struct crew *crew;
    const struct policies *policies;
    const struct totals *past; /* of workers that have ended */
    struct worker *const *workers;
    size_t worker_count;
    size_t workers_down;
    const char *target_why;   /* "": they have their connections */
    const char *registry_why; /* "": it answers, or there is none */
    size_t schemas;
    uint64_t buffer_limit;
    const struct troubles *troubles;
    bool ready;
    bool stopping;
};

/* @thread main */
struct snapshot *snapshot_new(const struct snapshot_source *from) _must_;
struct snapshot *snapshot_free(struct snapshot *s); /* NULL is fine; returns NULL */

/* Borrowed from the snapshot. */
const char *snapshot_text(const struct snapshot *s, snapshot_str text);

/* Puts the partitions into the order of topic and number, brokers into that of their numbers, and
 * names each topic that has lost some once. */
void snapshot_sort(struct snapshot *s);

/* Offsets that are not stored; UINT64_MAX: not known. */
uint64_t snapshot_lag(const struct snapshot_partition *p);

/* Age of the last stored record, in seconds, where there is one after it; 0: there is none; below
 * 0: not known. */
double snapshot_lag_seconds(const struct snapshot *s, const struct snapshot_partition *p);

#endif
