/*
 * What the crew owns, shared by its own files only:
 *     crew.c            partitions, orders to workers, their reports, the round of the day
 *     crew_rebalance.c  what the group gives and takes
 *     crew_commit.c     what is committed to the group, and when
 *     crew_first.c      where partitions begin that the ledger does not know
 *     crew_verify.c     is it still the same log?
 *     crew_gap.c        if not, or outside of it: where to go on
 *     crew_ask.c        the other questions to the scout, and what follows from its answers
 *     crew_fetch.c      which partitions the library fetches, and from where
 *     crew_member.c     a static member whose old assignment does not fit its routes
 *     crew_unread.c     partitions that nobody in the group reads
 * Main thread only.
 */
#ifndef SINK_CREW_CREW_STATE_H
#define SINK_CREW_CREW_STATE_H

#include "base/backoff.h"
#include "sink/crew/crew.h"
#include "sink/crew/unread.h"
#include "sink/shared/index.h"

enum partition_state {
    PARTITION_PLANNING, /* its topic's tables are being looked up */
    PARTITION_CLAIMING, /* its worker claims it; or its first offset is being asked for */
    PARTITION_FETCHING,
    PARTITION_GAPPED, /* out of range: being asked for, or the ledger is being moved */
    PARTITION_STOPPED,
    PARTITION_LOST,
    PARTITION_RELEASING,
};

/* How far a start has come (sink/shared/mail.h). */
enum start_state {
    START_NONE,
    START_UNVERIFIED, /* REPORT_START has come: start_offset, start_seq, known */
    START_WANTED,     /* it is the same log */
    START_ASKED,      /* the older fetch has stopped, ORDER_RESUME is posted */
    START_ANSWERED,   /* REPORT_RESUMED has come: fetch it */
};

/* Why an offset is not where it should be. */
enum reset_cause {
    RESET_RANGE,         /* the library says that it is outside of the log */
    RESET_TRUNCATED,     /* ... that the log was truncated, at log_end */
    RESET_CREATED_AGAIN, /* the topic is another one */
};

struct partition {
    char *topic;
    int32_t number;
    enum partition_state state;
    uint64_t generation;   /* of this object: answers to older questions are recognized */
    struct worker *worker; /* NULL while planning, then always the same (I5) */
    size_t worker_index;
    const struct topic_plan *plan;
    struct feed_route *route;
    struct share share;
    bool fetched; /* in the library's assignment */
    enum start_state start;
    bool held_back;           /* PLANNING: its entry of topics is not written down yet */
    bool first_due;           /* its first offset is to be asked for, */
    bool by_start;            /*   as kafka.start says */
    const char *first_reason; /* why it begins there; static */
    bool verify_due;          /* UNVERIFIED: its log is to be asked for */
    bool range_due;           /* its range is to be asked for */
    int64_t start_offset;
    uint64_t start_seq;
    struct known_log known;       /* of the log, as of the last REPORT_START */
    int32_t broker;               /* whose log was found to be the same; -1 none */
    int64_t reset_offset;         /* GAPPED: what was out of range, */
    enum reset_cause reset_cause; /*   and why; */
    int64_t log_end;              /*   TRUNCATED: where the log now ends, -1 unknown */
    usec_t retry_at;              /* USEC_NEVER = no */
    int64_t committed;            /* what the group has, as far as we know; -1 unknown */
    bool committing;              /* ... and a commit is on its way that changes it */
    char *why;                    /* STOPPED: the fault, without its hint; NULL before the first */
    usec_t lost_at;               /* claimed by another last, 0 = never */
    bool awaited;                 /* RELEASING: a revocation waits for it */
    bool released; /* ... and its worker has let go: only its offset is still to be committed */
};

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
    bool noted;    /* topics are written down, or about to be */
    bool noting;   /* ... and the answer is not here yet */
    bool unkept;   /* they cannot be: a right is missing */
};

struct crew {
    struct crew_config cc;
    struct partition **partitions; /* all, those being released too */
    size_t count;
    size_t cap;
    struct index index; /* without those being released */
    size_t *load;       /* partitions per worker */
    uint64_t last_generation;
    bool assigned_once;
    usec_t assigned_at; /* last */
    bool started_once;
    bool away;            /* the brokers cannot be reached, as far as the scout knows */
    bool nothing_matches; /* no topic that any route takes exists, as far as was asked */
    bool starts_due;
    bool resume_awaited; /* workers have still to answer ORDER_RESUME */
    usec_t starts_since; /* when starts_due became true */
    usec_t fetch_at;     /* not before: the library has refused */
    /* a revocation that is not answered yet */
    bool revoking;
    size_t revoke_waits; /* partitions whose release is awaited */
    usec_t revoke_deadline;
    struct partition_ref *revoke_refs; /* those that are being fetched; topics copied */
    size_t revoke_ref_count;
    /* commits to the group */
    bool committing;        /* one is on its way */
    bool stopping;          /* all that is due is committed at once */
    bool commit_told;       /* the trouble is told */
    usec_t commit_at;       /* when the next is due, */
    usec_t commit_retry_at; /*   and not before: the last was refused */
    struct backoff commit_backoff;
    /* questions under way, one of a kind */
    bool asking_first;
    bool asking_verify;
    bool asking_use_topics; /* entries of topics are used for the first time: which there are, */
    size_t asking_use;      /*   then for so many of them where they begin */
    bool use_told;          /* the trouble with it is told */
    usec_t use_at;          /* not before: it has just failed */
    char cluster_id[64];    /* of the brokers, as looked at last; "" = not known yet */
    usec_t cluster_at;      /* when it is looked at next */
    bool asking_ends;
    bool asking_ping;
    bool asking_group;
    bool renew_again; /* ... and again, for they have changed meanwhile */
    bool renewing;    /* the tables are being looked up anew */
    usec_t ends_at;
    usec_t group_at;
    struct unread *unread;
    struct member member;
};

static inline int64_t partition_stored(const struct partition *p)
{
    return atomic_load_explicit(&p->share.stored, memory_order_acquire);
}

static inline int64_t partition_end(const struct partition *p)
{
    return atomic_load_explicit(&p->share.end, memory_order_relaxed);
}

/* crew.c */
struct partition *crew_add(struct crew *c, const struct partition_ref *ref);
void crew_forget(struct crew *c, struct partition *p);                      /* frees it */
void crew_adopt(struct crew *c, struct partition *p, int64_t first_offset); /* -1 unknown */
void partition_set(struct partition *p, enum partition_state state);        /* the one door */
void partition_stop(struct partition *p, const char *why); /* ... to STOPPED; why is copied */
struct order *partition_order(struct partition *p, enum order_kind kind); /* for worker_post */

void crew_let_go(struct crew *c, struct partition *p); /* RELEASING, and nobody needs it any more */

/* crew_commit.c */
void crew_commit_init(struct crew *c);
bool crew_commit_is_settled(const struct crew *c, const struct partition *p); /* nothing is due */
void crew_commit_note(struct partition *p, int64_t offset);                   /* the group has it */
void crew_commit_answer(struct crew *c, const struct event *e);
void crew_commit_forget(const struct crew *c, const struct partition *p); /* says what is lost */
usec_t crew_commit_deadline(const struct crew *c);

/* crew_rebalance.c */
void crew_end_revoke(struct crew *c); /* answers the library, whoever has let go by then */

/* crew_first.c */
void crew_first_begin(struct crew *c, struct partition *p); /* newly assigned */
void crew_first_unknown(struct partition *p, bool begun);   /* the ledger has no row of it */
void crew_first_ask(struct crew *c, usec_t now);
usec_t crew_first_deadline(const struct crew *c);
void crew_first_ask_offsets(struct crew *c);
void crew_first_topics(struct crew *c, const struct scout_mail *m);
void crew_first_answer_use(struct crew *c, const struct scout_mail *m);
void crew_first_answer(struct crew *c, const struct scout_mail *m);

/* crew_verify.c */
void crew_verify_start(struct crew *c, struct partition *p);  /* REPORT_START has come */
void crew_verify_again(struct partition *p);                  /* it had no answer the last time */
void crew_verify_doubt(struct partition *p, const char *why); /* why: static. A slot that reads */
void crew_verify_event(const struct crew *c, const struct event *e);          /* EVENT_DOUBT */
void crew_verify_end(const struct crew *c, struct partition *p, int64_t end); /* as asked for */
void crew_verify_turn(struct crew *c, usec_t now); /* do the brokers still belong to the cluster? */
void crew_verify_ask(struct crew *c);
void crew_verify_answer(struct crew *c, const struct scout_mail *m);

/*
 * crew_gap.c
 * begin: the range of the log is asked for, then it is decided. stop: nothing is decided; err says
 * what has happened, why what a person should know of it.
 */
void crew_gap_begin(struct partition *p, int64_t offset, enum reset_cause cause);
void crew_gap_stop(struct crew *c, struct partition *p, const char *why, struct error *err);
void crew_gap_report(struct partition *p, const struct report *r); /* REPORT_RESET */
void crew_gap_ask(struct crew *c);
void crew_gap_answer(struct crew *c, const struct scout_mail *m);

/*
 * crew_ask.c
 * question: one about all partitions that `due` selects, NULL when there are none. wanted: the
 * partition that the i-th answer is for, NULL when it has gone, or come again, since.
 */
struct scout_mail *crew_question(const struct crew *c, enum scout_kind kind,
                                 bool (*due)(const struct partition *p));
struct partition *crew_wanted(const struct crew *c, const struct scout_mail *m, size_t i);
void crew_plan_or_adopt(struct crew *c, struct partition *p);
void crew_ask_ping(struct crew *c);
void crew_ask_turn(struct crew *c, usec_t now); /* asks what is to be asked */

/* crew_member.c */
void crew_member_init(struct crew *c);
void crew_member_done(struct crew *c);
/* stranger: among them is a topic that no route takes. */
void crew_member_assigned(struct crew *c, const struct event *e, bool stranger);
void crew_member_answer(struct crew *c, struct scout_mail *m); /* SCOUT_MEMBER, SCOUT_JOINED */
/* SCOUT_GROUP; missing: a topic of which partitions are unread, or NULL. */
void crew_member_group(struct crew *c, const struct scout_mail *m, const char *missing);
void crew_member_turn(struct crew *c, usec_t now);
usec_t crew_member_deadline(const struct crew *c);
bool crew_member_is_settled(const struct crew *c); /* its assignment fits, as far as is known */
bool crew_member_is_at_rest(const struct crew *c); /* ... or it only doubts */

/* crew_unread.c */
void crew_unread_init(struct crew *c);
void crew_unread_ask(struct crew *c);                                /* the group, now */
void crew_unread_answer(struct crew *c, const struct scout_mail *m); /* SCOUT_GROUP */
void crew_unread_turn(struct crew *c, usec_t now);
usec_t crew_unread_deadline(const struct crew *c);

/* crew_fetch.c */
void crew_note_start(struct crew *c); /* the assignment of the library is to be made anew */
void crew_fetch_turn(struct crew *c, usec_t now); /* starts what is to be started */
usec_t crew_fetch_deadline(const struct crew *c);

#endif
