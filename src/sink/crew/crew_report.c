/*
 * What a worker's report does to its partition. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "sink/shared/delays.h"
#include "sink/shared/remedy.h"

#include <assert.h>

/* A partition that another process has claimed is claimed back after this long, if the group still
 * says that it is ours: that process was a zombie, and is dead by now. */
#define LOST_FIRST_RETRY (2 * USEC_PER_SEC)
#define LOST_RETRY (30 * USEC_PER_SEC)
#define LOST_MEMORY (300 * USEC_PER_SEC)

static struct log_where where(const struct partition *p, const struct report *r)
{
    struct log_where at = partition_at(p, r->offset);

    at.sqlstate = r->error.sqlstate;
    return at;
}

static void log_beginning(const struct partition *p, const struct report *r)
{
    if (r->inserted) {
        log_event_at(where(p, r), LOG(partition_begins), p->topic, p->number, (long long) r->offset,
                     p->first_reason != NULL ? p->first_reason : "as before");
    }
}

static void take_start(struct crew *c, struct partition *p, const struct report *r)
{
    if (r->is_tail || (p->standing != STANDING_NONE && r->error.class == ERROR_AGAIN)) {
        /* It has been logged why; or one more try of what stands. */
    } else if (r->error.class != ERROR_NONE) {
        log_event_at(where(p, r), LOG(partition_reads_again), p->topic, p->number,
                     (long long) r->offset, r->error.text);
    } else if (p->state == PARTITION_FETCHING || p->state == PARTITION_STOPPED) {
        log_event_at(where(p, r), LOG(partition_moved), p->topic, p->number, (long long) r->offset);
    }
    if (r->error.class == ERROR_NONE) {
        partition_moves(p, r->offset, -1); /* its tables could not be used before it was claimed */
    }
    p->retry_at = USEC_NEVER; /* what it was waiting for is overtaken */
    log_beginning(p, r);
    p->start_offset = r->offset;
    p->start_seq = r->seq;
    p->known = r->known;
    crew_verify_start(c, p);
    c->started_once = true;
}

static void take_resumed(struct crew *c, struct partition *p, const struct report *r)
{
    (void) c;
    if (p->start == START_ASKED && p->start_seq == r->seq) {
        p->start = START_ANSWERED;
    }
}

/* A line when it begins to stand, or stands for another reason; not for each try. */
static void log_standing(const struct config *cfg, struct partition *p, const struct report *r)
{
    struct standing why = {.state = r->standing, .offset = r->offset, .why = r->error};

    if (!partition_stands(p, r->standing, r->error.sqlstate)) {
        return;
    }
    remedy_for(cfg, p->topic, p->number, &why);
    struct error err = why.why;
    if (r->standing == STANDING_PAUSED) {
        log_fault_at(where(p, r), LOG_partition_paused, &err);
        return;
    }
    if (r->kept) {
        error_wrap(&err, "%s-%d@%lld is %s", p->topic, p->number, (long long) r->offset,
                   standing_name(r->standing));
        log_fault_at(where(p, r), LOG_partition_stood, &err);
        return;
    }
    switch (r->standing) {
    case STANDING_PARKED:
        error_wrap(&err, "parked");
        log_fault_at(where(p, r), LOG_partition_parked, &err);
        break;
    case STANDING_WAITING:
        error_wrap(&err, "waiting");
        log_fault_at(where(p, r), LOG_partition_waits, &err);
        break;
    case STANDING_POISON:
        error_wrap(&err, "poison");
        log_fault_at(where(p, r), LOG_partition_poisoned, &err);
        break;
    case STANDING_OVER_LIMIT:
        log_fault_at(where(p, r), LOG_route_over_limit, &err);
        break;
    case STANDING_NONE:
    case STANDING_STOPPED:
    case STANDING_PAUSED:
    case STANDING_STATES:
        log_fault_at(where(p, r), LOG_partition_stopped, &err);
        break;
    }
}

static void take_stopped(struct crew *c, struct partition *p, const struct report *r)
{
    usec_t plan_at = p->plan == NULL ? p->retry_at : USEC_NEVER;

    log_beginning(p, r);
    log_standing(c->cc.cfg, p, r);
    partition_stop(p, r->error.text);
    p->lacks_schema = r->lacks_schema;
    p->retry_at = plan_at;
    c->started_once = true; /* nothing more is known of it by a start */
    crew_fetch_want(c);     /* the others go on without it */
}

static void take_moves(struct crew *c, struct partition *p, const struct report *r)
{
    (void) c;
    partition_moves(p, r->offset, r->blamed);
}

static void take_resumes(struct crew *c, struct partition *p, const struct report *r)
{
    (void) r;
    crew_plan_resume(c, p);
}

/* Trouble that may pass by itself. The state is set already. */
static void log_retry(const struct partition *p, const struct report *r, usec_t retry)
{
    log_event_at(where(p, r), LOG(partition_trouble), r->error.text,
                 (unsigned long long) (retry / USEC_PER_SEC));
}

static void retry_later(struct partition *p, const struct report *r, usec_t retry)
{
    log_retry(p, r, retry);
    p->retry_at = clock_mono() + retry;
}

/*
 * Most often a late claim has won whose process is gone by now: try again soon. If it happens again
 * soon after, another process may be fighting for the partition: then try slowly.
 */
static void take_lost(struct crew *c, struct partition *p, const struct report *r)
{
    usec_t now = clock_mono();
    bool again = p->lost_at != 0 && now < p->lost_at + LOST_MEMORY;

    p->lost_at = now;
    p->standing = STANDING_NONE;
    partition_set(p, PARTITION_LOST);
    /* Until it is claimed again its backlog must not be downloaded and dropped. With the eager
     * protocol every change starts all partitions again, which costs more than a backlog of some
     * seconds: there it is left out by the next change that is made anyway. */
    if (client_is_cooperative(c->cc.client)) {
        crew_fetch_want(c);
    }
    retry_later(p, r, again ? LOST_RETRY : LOST_FIRST_RETRY);
}

/* Its worker claims it, for as long as somebody else has locked its row of the ledger. */
static void take_held(struct crew *c, struct partition *p, const struct report *r)
{
    (void) r;
    partition_set(p, PARTITION_CLAIMING);
    crew_fetch_want(c); /* the others go on without it */
}

static void take_unknown(struct crew *c, struct partition *p, const struct report *r)
{
    (void) c;
    if (p->state != PARTITION_STOPPED) { /* else it is asked for when its tables can be used */
        crew_first_unknown(p, r->begun);
    }
}

static void take_reset(struct crew *c, struct partition *p, const struct report *r)
{
    (void) c;
    crew_gap_report(p, r);
}

static void take_corrupt(struct crew *c, struct partition *p, const struct report *r)
{
    bool is_news = partition_stands(p, STANDING_STOPPED, r->error.sqlstate);

    partition_stop(p, r->error.text);
    if (is_news) {
        log_retry(p, r, delay_corrupt());
    }
    p->retry_at = clock_mono() + delay_corrupt();
    crew_fetch_want(c); /* the others go on without it */
}

void crew_report(struct crew *c, const struct report *r)
{
    static void (*const take[])(struct crew *, struct partition *, const struct report *) = {
        [REPORT_UNKNOWN] = take_unknown, [REPORT_START] = take_start,
        [REPORT_RESUMED] = take_resumed, [REPORT_RESET] = take_reset,
        [REPORT_STOPPED] = take_stopped, [REPORT_CORRUPT] = take_corrupt,
        [REPORT_LOST] = take_lost,       [REPORT_MOVES] = take_moves,
        [REPORT_HELD] = take_held,       [REPORT_RESUMES] = take_resumes,
    };
    struct partition *p = r->partition;

    if (r->kind == REPORT_RELEASED) {
        crew_rebalance_released(c, p);
    } else if (p != NULL && p->state != PARTITION_RELEASING) {
        assert(r->kind < ARRAY_LEN(take) && take[r->kind] != NULL);
        take[r->kind](c, p, r);
    }
}
