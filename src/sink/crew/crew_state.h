/*
 * What the crew owns, shared by its own files only. They stand in rows; a file uses those of the
 * rows below its own, and no other:
 *
 *     crew.c              the front door: events,    crew_report.c  what a worker's report does
 *                         answers, the turn                         to its partition
 *     --------------------------------------------------------------------------------------
 *     crew_rebalance.c    what the group gives       crew_unread.c  what nobody in the group reads
 *                         and takes                  crew_ends.c    where logs end; is Kafka there?
 *                                                    crew_reload.c  another configuration
 *     --------------------------------------------------------------------------------------
 *     crew_move.c         partitions that begin again, perhaps with another worker
 *     --------------------------------------------------------------------------------------
 *     crew_stranger.c     partitions of this member that no route takes
 *     --------------------------------------------------------------------------------------
 *     crew_first.c        where partitions begin     crew_member.c  does the old assignment of a
 *                         that have no row                          static member fit?
 *                                                    crew_verify.c  is it still the same log?
 *     --------------------------------------------------------------------------------------
 *     crew_plan.c         the tables of a topic      crew_gap.c     another log, or outside of it:
 *                                                                   where to go on
 *     --------------------------------------------------------------------------------------
 *     crew_commit.c       what the group is          crew_ask.c     questions to the scout that
 *                         to have                                   several of them ask
 *                                                    crew_fetch.c   what the library fetches
 *     --------------------------------------------------------------------------------------
 *     partition.c         a partition's states, life and orders
 *
 * Main thread only.
 */
#ifndef SINK_CREW_CREW_STATE_H
#define SINK_CREW_CREW_STATE_H

#include "base/backoff.h"
#include "sink/crew/crew.h"
#include "sink/crew/partition.h"
#include "sink/crew/unread.h"
#include "sink/shared/index.h"

/* Drawn in crew_member.c. */
enum member_state {
    MEMBER_SETTLED,
    MEMBER_JOINING,
    MEMBER_ASKING,
    MEMBER_DOUBTING,
    MEMBER_YIELDING,
    MEMBER_LEAVING,
    MEMBER_REJOINING,
};

struct member {
    const char *id; /* group.instance.id; NULL: not static, and always settled */
    enum member_state state;
    usec_t at; /* when to look again */
    usec_t leave_deadline;
    char **topics; /* that exist and a route takes, in order, as far as was asked */
    size_t topic_count;
    char **former; /* those of the last time, in order, as found written down */
    size_t former_count;
    bool stranger; /* a topic was assigned that no route takes */
    bool doubted;  /* partitions were unread when the group was asked last */
    bool kept;     /* former was found */
    bool rejoined; /* in this start, or about to */
    bool written;  /* topics are written down, or about to be */
    bool writing;  /* ... and the answer is not here yet */
    bool stale;    /* what is being written has too much, and is to be written again */
    bool unkept;   /* they cannot be: a right is missing */
};

/* Of a topic: what was stored of partitions that are no longer in the crew. */
struct crew_topic {
    uint64_t records;
    char name[];
};

struct crew {
    struct crew_config cc;
    struct partition **partitions; /* all, those being released too */
    size_t count;
    size_t cap;
    struct index index;  /* without those being released */
    struct index topics; /* struct crew_topic, by name and 0 */
    size_t *load;        /* partitions per worker */
    size_t active;       /* workers that may have partitions: the first ones */
    bool rebalances;     /* there are new ones, which are to have their share */
    uint64_t last_generation;
    bool assigned_once;
    usec_t assigned_at; /* last */
    bool started_once;
    bool away;               /* the brokers cannot be reached, as far as the scout knows */
    struct error why_away;   /* ... and why, */
    uint64_t why_changes;    /*   as it was then (client_why_changes), */
    char why_otherwise[128]; /*   and what is said where the library has not said it */
    bool why_was_known;      /* the last line about it has said what is wrong */
    usec_t away_say_at;      /* when the log says it again */
    size_t missing;          /* brokers that cannot be reached, while others can, */
    struct error why_missing;
    uint64_t missing_names[CLIENT_MISSING_MOST]; /*   as client_missing names them; */
    uint64_t missing_named[64];                  /*   those that the log has named, a ring, */
    size_t missing_said;                         /*   so many of them since all could be reached, */
    usec_t missing_say_at;                       /*   when it says it again, */
    usec_t missing_look_at;                      /*   and when that is looked at */
    char lacks[400];      /* what is missing, for people: rights, brokers; "": nothing */
    bool nothing_matches; /* no topic that any route takes exists, as far as was asked */
    bool starts_due;
    bool resume_awaited;         /* some workers have not answered ORDER_RESUME yet */
    usec_t starts_since;         /* when starts_due became true */
    usec_t fetch_at;             /* not before: the library has refused */
    struct crew_rebalances seen; /* what the group has done */
    /* a revocation that is not answered yet */
    bool revoking;
    size_t revoke_waits; /* partitions whose release is awaited */
    usec_t revoke_deadline;
    struct partition_ref *revoke_refs; /* those that are being fetched; topics copied */
    size_t revoke_ref_count;
    /* commits to the group */
    bool committing;        /* one is on its way */
    bool stopping;          /* all that is due is committed at once */
    bool commit_logged;     /* the trouble with it is in the log */
    usec_t commit_at;       /* when the next is due, */
    usec_t commit_retry_at; /*   and not before: the last was refused */
    struct backoff commit_backoff;
    /* questions under way, one of a kind */
    bool asking_first;
    bool asking_verify;
    bool asking_use_topics; /* entries of topics are used for the first time: which there are, */
    size_t asking_use;      /*   then, for this many of them, where they begin */
    bool use_logged;        /* the trouble with it is in the log */
    usec_t use_at;          /* not before: it has just failed */
    char cluster_id[64];    /* of the brokers, as looked at last; "" = not known yet */
    usec_t cluster_at;      /* when it is looked at next */
    bool asking_ends;
    bool asking_ping;
    bool asking_group;
    bool renewing;  /* tables are being looked up again */
    bool renew_due; /* ... and some are to be, after that */
    struct crew_plans {
        uint64_t asked;   /* the worker's last question about tables, */
        uint64_t asking;  /*   the last that is being looked up, */
        uint64_t told;    /*   the last that is answered */
        uint64_t renewed; /* the last renewal that it has taken over */
    } * plans;            /* of each worker */
    size_t moving;        /* partitions that begin again when their workers have let go */
    /* a reload */
    struct plan_renewal *gone; /* what it has replaced, until all have moved; NULL: no reload */
    uint64_t gone_generation;  /* ... of the partitions of then */
    size_t unconfigured;       /* workers that have not taken it yet */
    bool subscribe_due;        /* the topics are others now */
    usec_t subscribe_at;       /* not before: the library has refused */
    usec_t ends_at;
    usec_t group_at;
    struct crew_rights {
        usec_t group_since; /* since when the group is refused; USEC_NEVER: it is not */
        usec_t group_again; /* when that is said again */
        char group_text[256];
        struct denied_topic *topics;
        size_t count;
        size_t cap;
        usec_t look_at;
        usec_t doubt_at;
        char shown[400]; /* all of it, for people; "": nothing is refused */
    } rights;
    struct crew_topics { /* that the file names and that do not exist */
        struct missing_topic *items;
        size_t count;
        size_t cap;
        bool asking;
        usec_t at;          /* when it is asked which topics there are */
        usec_t doubt_until; /* until then soon again: the library has not found one */
        char shown[280];    /* for people; "": none is missing */
    } topics_asked;
    struct unread *unread;
    struct member member;
    struct partition_ref *strangers; /* crew_stranger.c */
    size_t stranger_count;
    size_t stranger_cap;
};

/* crew_rights.c: EVENT_DENIED of a group or topic. group_works: it has assigned, or taken offsets,
 * so it is not refused: without the right to it neither is possible. */
void crew_rights_event(struct crew *c, const struct event *e);
void crew_rights_group_works(struct crew *c);
void crew_rights_turn(struct crew *c, usec_t now);
bool crew_rights_shows(const struct crew *c, const char *topic); /* that it may not be read */
usec_t crew_rights_deadline(const struct crew *c);
void crew_rights_init(struct crew *c);
void crew_rights_done(struct crew *c);

/*
 * crew_topics.c: event: EVENT_NO_TOPIC, or a denial of a topic; answer: SCOUT_TOPICS, whoever has
 * asked; reload: the file may name others now.
 */
void crew_topics_event(struct crew *c, const struct event *e);
void crew_topics_answer(struct crew *c, const struct scout_mail *m);
void crew_topics_reload(struct crew *c);
void crew_topics_turn(struct crew *c, usec_t now);
usec_t crew_topics_deadline(const struct crew *c);
void crew_topics_init(struct crew *c);
void crew_topics_done(struct crew *c);

/* crew_rebalance.c */
void crew_rebalance_assign(struct crew *c, const struct event *e); /* EVENT_ASSIGN */
void crew_rebalance_revoke(struct crew *c, const struct event *e); /* EVENT_REVOKE */
void crew_rebalance_released(struct crew *c, struct partition *p); /* REPORT_RELEASED */
void crew_rebalance_committed(struct crew *c);                     /* the group has answered */
void crew_rebalance_turn(struct crew *c, usec_t now);
usec_t crew_rebalance_deadline(const struct crew *c);
void crew_rebalance_done(struct crew *c); /* answers a revocation that is still open */

/*
 * crew_move.c
 * begin: its worker is to let go of it; the caller stops its fetch. again: it has: it begins as if
 * it was newly assigned, if a route takes it. find: one that moves, by its name. over: it does not
 * come back.
 */
void crew_move_begin(struct crew *c, struct partition *p);
void crew_move_again(struct crew *c, struct partition *p);
struct partition *crew_move_find(const struct crew *c, const struct partition_ref *ref);
void crew_move_over(struct crew *c, struct partition *p);

/*
 * crew_stranger.c
 * add: the group has given it to this member, and no route takes it. revoked: it has taken it away.
 * begin: the routes have changed: those that one takes now begin.
 */
void crew_stranger_add(struct crew *c, const char *topic, int32_t number);
void crew_stranger_revoked(struct crew *c, const struct partition_ref *ref);
void crew_stranger_begin(struct crew *c);
void crew_stranger_done(struct crew *c);

/* crew_reload.c */
void crew_reload_turn(struct crew *c, usec_t now);
usec_t crew_reload_deadline(const struct crew *c);
void crew_reload_done(struct crew *c);

/* crew_unread.c */
void crew_unread_init(struct crew *c);
void crew_unread_answer(struct crew *c, const struct scout_mail *m); /* SCOUT_GROUP */
void crew_unread_turn(struct crew *c, usec_t now);
usec_t crew_unread_deadline(const struct crew *c);

/* crew_ends.c */
void crew_ends_ask(struct crew *c, usec_t now);
void crew_ends_answer(struct crew *c, const struct scout_mail *m);
usec_t crew_ends_deadline(const struct crew *c);

/* crew_first.c */
void crew_first_begin(struct crew *c, struct partition *p); /* newly assigned */
void crew_first_unknown(struct partition *p, bool begun);   /* the ledger has no row of it */
void crew_first_ask(struct crew *c, usec_t now);
usec_t crew_first_deadline(const struct crew *c);
void crew_first_ask_offsets(struct crew *c);
void crew_first_topics(struct crew *c, const struct scout_mail *m);
void crew_first_answer_use(struct crew *c, const struct scout_mail *m);
void crew_first_answer(struct crew *c, const struct scout_mail *m);

/* crew_member.c */
void crew_member_init(struct crew *c);
void crew_member_done(struct crew *c);
/* stranger: a topic that no route takes is among them. */
void crew_member_assigned(struct crew *c, const struct event *e, bool stranger);
void crew_member_answer(struct crew *c, struct scout_mail *m); /* SCOUT_MEMBER, SCOUT_JOINED */
/* SCOUT_GROUP; missing: a topic of which partitions are unread, or NULL. */
void crew_member_group(struct crew *c, const struct scout_mail *m, const char *missing);
void crew_member_turn(struct crew *c, usec_t now);
usec_t crew_member_deadline(const struct crew *c);
/* The routes have changed: what is written down is to have no topic any more that none takes.
 * Returns whether that is under way; then crew_reload.c subscribes when it is done. */
bool crew_member_strike(struct crew *c);
bool crew_member_is_settled(const struct crew *c); /* its assignment fits, as far as is known */
bool crew_member_is_at_rest(const struct crew *c); /* ... or it only doubts */

/* crew_verify.c */
void crew_verify_start(struct crew *c, struct partition *p);  /* REPORT_START has come */
void crew_verify_again(struct partition *p);                  /* there was no answer */
void crew_verify_doubt(struct partition *p, const char *why); /* why: static. A slot that reads */
void crew_verify_event(const struct crew *c, const struct event *e);          /* EVENT_DOUBT */
void crew_verify_end(const struct crew *c, struct partition *p, int64_t end); /* as Kafka says */
void crew_verify_turn(struct crew *c, usec_t now); /* do the brokers still belong to the cluster? */
void crew_verify_ask(struct crew *c);
void crew_verify_answer(struct crew *c, const struct scout_mail *m);

/*
 * crew_plan.c
 * begin: the partition is adopted, at once or when its tables are looked up; where they cannot be
 * used it is parked. again: one more try of that. answer: SCOUT_PLAN; answer_renew: SCOUT_RENEW.
 */
void crew_plan_init(struct crew *c);
void crew_plan_done(struct crew *c);
void crew_plan_begin(struct crew *c, struct partition *p);
void crew_plan_again(struct crew *c, struct partition *p);
void crew_plan_resume(const struct crew *c, struct partition *p);
void crew_plan_answer(struct crew *c, struct scout_mail *m);
void crew_plan_answer_renew(struct crew *c, struct scout_mail *m);
void crew_plan_resize(struct crew *c, size_t before); /* the number of workers is another one */
void crew_plan_replaced(struct crew *c, const struct plan_renewal *renewal); /* by a reload */

/*
 * crew_gap.c
 * begin: asks for the range of the log, then decides. stop: stops the partition without asking; err
 * says what has happened, why what a person should know about it; from is where to go on, or
 * -1: at the beginning of the log.
 */
void crew_gap_begin(struct partition *p, int64_t offset, enum reset_cause cause);
void crew_gap_stop(struct crew *c, struct partition *p, const char *why, int64_t from,
                   struct error *err);
void crew_gap_report(struct partition *p, const struct report *r); /* REPORT_RESET */
void crew_gap_ask(struct crew *c);
void crew_gap_answer(struct crew *c, const struct scout_mail *m);

/* crew_commit.c */
void crew_commit_init(struct crew *c);
void crew_commit_configure(struct crew *c); /* the configuration is another one */
bool crew_commit_is_settled(const struct crew *c, const struct partition *p); /* nothing is due */
void crew_commit_note(struct partition *p, int64_t offset);                   /* the group has it */
void crew_commit_answer(struct crew *c, const struct event *e);
void crew_commit_forget(const struct crew *c, const struct partition *p); /* logs what is lost */
usec_t crew_commit_deadline(const struct crew *c);

/*
 * crew_ask.c
 * about: a question about all partitions that `due` selects, NULL when there are none. wanted: the
 * partition that the i-th answer is for, NULL when it has gone, or come again, since.
 */
struct scout_mail *crew_ask_about(const struct crew *c, enum scout_kind kind,
                                  bool (*due)(const struct partition *p));
struct partition *crew_ask_wanted(const struct crew *c, const struct scout_mail *m, size_t i);
void crew_ask_ping(struct crew *c);                                    /* the brokers, now */
void crew_ask_answer_ping(struct crew *c, const struct scout_mail *m); /* SCOUT_PING, _TOPICS */
void crew_ask_group(struct crew *c);                                   /* SCOUT_GROUP, now */

/*
 * crew_brokers.c, for the front door: the scout has found that no broker can be reached (otherwise:
 * what is said if the library has not said why), or that one can again. turn: says the former again
 * while it lasts, and looks whether some of them cannot.
 */
void crew_brokers_away(struct crew *c, const char *otherwise);
void crew_brokers_back(struct crew *c);
void crew_brokers_turn(struct crew *c, usec_t now);
usec_t crew_brokers_deadline(const struct crew *c);

/* crew_fetch.c */
void crew_fetch_want(struct crew *c); /* there is something to start, or to stop fetching */
void crew_fetch_stop(struct crew *c); /* those that move, now */
void crew_fetch_turn(struct crew *c, usec_t now); /* starts what is to be started */
usec_t crew_fetch_deadline(const struct crew *c);

#endif
