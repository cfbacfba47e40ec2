/*
 * Main's view of partitions and workers: which partition is whose, what it waits for, when it is
 * fetched. Turns rebalances into orders, reports into fetching, and decides and logs what becomes
 * of a partition in trouble.
 *
 * Nothing here waits. A revocation is answered when the workers have let go, or at its deadline;
 * membership in the group depends on neither the database nor the scout. Main thread only.
 */
#ifndef SINK_CREW_CREW_H
#define SINK_CREW_CREW_H

#include "kafka/events.h"
#include "sink/plan/entries.h"
#include "sink/plan/plan.h"
#include "sink/scout/scout.h"
#include "sink/shared/mail.h"
#include "sink/worker/worker.h"

struct crew;

struct crew_config {
    const struct config *cfg;
    struct client *client;
    struct plan *plan;
    struct scout *scout;
    struct worker **workers;
    size_t worker_count;
    struct entries *entries; /* of topics; crew notes those that are used by now */
};

struct crew *crew_new(const struct crew_config *cc) _must_;
void crew_free(struct crew *c); /* workers have ended */

void crew_event(struct crew *c, struct event *e);
void crew_report(struct crew *c, const struct report *r); /* one that concerns a partition */
void crew_answer(struct crew *c, struct scout_mail *m);   /* of the scout; frees m */

/* Tables have changed, and are looked up again: as REPORT_STALE says; NULL: all. And: a worker has
 * taken a renewal over (REPORT_RENEWED). */
void crew_plan_renew(struct crew *c, const struct report *r);
void crew_plan_renewed(struct crew *c, const struct report *r);

/* What tables are made from can be had again: topics that wait for theirs are tried at once. */
void crew_plan_hurry(struct crew *c);

/*
 * There are other workers now, those from number `active` on (counted from 0) for a while only:
 * their partitions move to the others with crew_reload, which must follow. is_idle: such a worker
 * has no partition any more; then it may end, and crew_set_workers be called without it.
 */
void crew_set_workers(struct crew *c, struct worker **workers, size_t count, size_t active);
bool crew_worker_is_idle(const struct crew *c, size_t at);

/*
 * Another configuration is in force, with its policies: partitions whose topics have other routes
 * now begin again, and the group is told if the topics are others. `cfg` and `policies` of before
 * are used until crew_reload_is_over; then another may follow. configured: REPORT_CONFIGURED.
 */
void crew_reload(struct crew *c, const struct config *cfg, struct policies *policies);
void crew_configured(struct crew *c);
bool crew_reload_is_over(const struct crew *c);

/* After each round of events, reports and answers: does what is due. */
void crew_turn(struct crew *c, usec_t now);
usec_t crew_deadline(const struct crew *c);

/* The service is ready: the first claim is made, or it is certain that nothing is assigned. */
bool crew_is_ready(const struct crew *c);

struct crew_summary {
    size_t partitions;
    size_t fetching;
    size_t stopped; /* by a fault, waiting for an operator */
    size_t lost;
    uint64_t lag;                     /* records not stored yet, where the end is known */
    size_t standing[STANDING_STATES]; /* that do not move, by why; [STANDING_NONE]: that do */
    const char *why;                  /* ... one of them, borrowed until the crew is called next */
    bool joined;                      /* the group has given an assignment, perhaps an empty one */
    bool group_denied;                /* the brokers refuse the group */
    bool away;                        /* the brokers cannot be reached, as far as is known */
    /* Borrowed until the crew is called next: */
    const char *why_away; /* NULL: not away */
    const char *lacks;    /* rights, topics, some of the brokers; "": nothing */
};
struct crew_summary crew_summary(const struct crew *c);

/* What the group has done with this process since it began. */
struct crew_rebalances {
    uint64_t assigned; /* times that it was given partitions, perhaps none; */
    uint64_t revoked;  /*   that some were taken away; */
    uint64_t lost;     /*   that all were gone already */
    int64_t last_ms;   /* Unix time of the last of them; 0: none yet */
};
struct crew_rebalances crew_rebalances(const struct crew *c);

/* How one partition stands in this process. */
enum crew_hold {
    CREW_ELSEWHERE, /* not ours; or another has claimed it since, as the ledger says */
    CREW_BUSY,      /* ours, and not read at this moment: it is being claimed, moved, begun */
    CREW_READING,   /* ours, and read */
    CREW_STOPPED,   /* ours, and stopped by a fault */
};
struct crew_place {
    enum crew_hold hold;
    int64_t stored;  /* next_offset as it was stored last; -1 unknown */
    const char *why; /* STOPPED: the fault, borrowed until the crew is called next; may be NULL */
};
struct crew_place crew_place(const struct crew *c, const char *topic, int32_t partition);

/* What people see of a partition. Texts are borrowed until the crew is called next. */
struct crew_view {
    const char *topic;
    int32_t number;
    bool is_fetched;
    bool is_lost;
    int64_t stored; /* next_offset; -1 unknown */
    int64_t end;    /* -1 unknown */
    uint64_t records;
    int64_t timestamp_ms; /* of the last stored record; -1 unknown */
    enum standing_state standing;
    usec_t stands_since; /* monotonic */
    const char *sqlstate;
    const char *why; /* NULL: it moves */
};

/* The partitions, those being released included: fills *out for number i; false where it is one of
 * those, or there is none. And what was stored of partitions that are gone or being released, of
 * number i of its places: the topic, which may come several times; NULL: it is a free one. */
size_t crew_view_count(const struct crew *c);
bool crew_view(const struct crew *c, size_t i, struct crew_view *out);
size_t crew_gone_count(const struct crew *c);
const char *crew_gone(const struct crew *c, size_t i, uint64_t *out_records);

/*
 * Offsets to the group. crew_turn commits what is due. In a stop, which begins with
 * crew_commit_hurry, crew_commit_turn does, until crew_commit_is_over says that the group has all
 * that it must have. crew_commit_last logs what it does not have.
 */
void crew_commit_hurry(struct crew *c);
void crew_commit_turn(struct crew *c, usec_t now);
bool crew_commit_is_over(const struct crew *c);
void crew_commit_last(struct crew *c);

#endif
