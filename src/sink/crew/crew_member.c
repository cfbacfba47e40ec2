/*
 * Static members (group.instance.id). Kafka hands a static member that comes back its old
 * assignment, whatever it subscribes to now (KAFKA-12759): a topic that is new in the file would
 * never be read, and one that was taken out would stay with this member, which does not read it. So
 * in each start it is found out, one time, whether the assignment fits; if not, the member leaves
 * the group and joins again, which is a rebalance with the new subscription.
 *
 *     JOINING --assigned--> ASKING --the topics are those of the last time--> SETTLED
 *                             |  |                                             ^
 *                differ, or a |  `--what they were is not known--> DOUBTING ---'
 *             topic without a |                                      |   ^
 *              route assigned |   the group leaves partitions unread |   |
 *                             v                                      |   |
 *     those it gives up    YIELDING <--------------------------------'   |
 *     are struck off          |                                          |
 *                             v                                          |
 *     unsubscribe          LEAVING   the revocation is answered as any   |
 *                             |      other; no event says that the       |
 *                             v      member has left: its id is polled   |
 *     subscribe           REJOINING --assigned---------------------------'
 *
 * Whenever the process is killed, what is written down is what the group was seen to read, or less:
 * too little costs a rejoin at the next start, too much would hide a topic that nobody reads. Hence
 * YIELDING, and nothing is written before the group has been asked; and a reload that takes topics
 * out strikes them off before the group hears of it. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define LEAVE_POLL (10 * USEC_PER_MSEC)
/* Longer than any rebalance that it may have to wait for. */
#define LEAVE_LIMIT (60 * USEC_PER_SEC)
#define SUBSCRIBE_RETRY USEC_PER_SEC
/* A cooperative group is stable between its two rounds, with partitions that nobody has. */
#define DOUBT_PAUSE (2 * USEC_PER_SEC)

void crew_member_init(struct crew *c)
{
    c->member.id = client_instance_id(c->cc.client);
    c->member.state = c->member.id != NULL ? MEMBER_JOINING : MEMBER_SETTLED;
    c->member.at = USEC_NEVER;
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(names[i]);
    }
    free(names);
}

void crew_member_done(struct crew *c)
{
    free_names(c->member.topics, c->member.topic_count);
    free_names(c->member.former, c->member.former_count);
}

static void set_state(struct member *m, enum member_state state, usec_t at)
{
    m->state = state;
    m->at = at;
}

/* ---- topics ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The topics that exist and that a route takes, in order. */
static char **matched(const struct crew *c, const struct scout_mail *m, size_t *out_n)
{
    char **names = mem_array(m->topic_count, sizeof *names);
    size_t n = 0;

    for (size_t i = 0; i < m->topic_count; i++) {
        if (plan_takes(c->cc.plan, m->topics[i].name)) {
            names[n++] = mem_strdup(m->topics[i].name);
        }
    }
    qsort(names, n, sizeof *names, compare_names);
    *out_n = n;
    return names;
}

/* Returns whether they have changed. */
static bool take_matched(struct crew *c, const struct scout_mail *m)
{
    struct member *me = &c->member;
    size_t n;
    char **names = matched(c, m, &n);
    bool same = n == me->topic_count;

    for (size_t i = 0; same && i < n; i++) {
        same = strcmp(names[i], me->topics[i]) == 0;
    }
    free_names(me->topics, me->topic_count);
    me->topics = names;
    me->topic_count = n;
    return !same;
}

static bool contains(char *const *names, size_t n, const char *name)
{
    return n > 0 && bsearch(&name, names, n, sizeof *names, compare_names) != NULL;
}

/* Appends "+ orders, - audit": what `now` has and `before` has not. */
static void add_difference(struct buf *out, char sign, char *const *now, size_t now_count,
                           char *const *before, size_t before_count)
{
    for (size_t i = 0; i < now_count; i++) {
        if (!contains(before, before_count, now[i])) {
            buf_printf(out, "%s%c %s", out->n > 0 ? ", " : "", sign, now[i]);
        }
    }
}

/* ---- written down ---- */

static void ask_member(struct crew *c)
{
    set_state(&c->member, MEMBER_ASKING, USEC_NEVER);
    scout_ask(c->cc.scout, scout_mail_new(SCOUT_MEMBER, 0));
}

static bool may_keep(const struct crew *c)
{
    return config_has_ledger(c->cc.cfg) && !c->member.unkept;
}

/* Has the group been seen to read it? Before it was asked in this start, what counts is the last
 * time. */
static bool is_seen(const struct member *me, const char *topic)
{
    bool asked = me->state == MEMBER_SETTLED && me->written;

    return asked || contains(me->former, me->former_count, topic);
}

static void write_down(struct crew *c)
{
    struct member *me = &c->member;

    if (!may_keep(c) || me->writing) {
        return;
    }
    struct scout_mail *m = scout_mail_new(SCOUT_JOINED, 0);
    m->names = mem_array(MAX(me->topic_count, 1), sizeof *m->names);
    for (size_t i = 0; i < me->topic_count; i++) {
        if (is_seen(me, me->topics[i])) {
            m->names[m->name_count++] = mem_strdup(me->topics[i]);
        }
    }
    me->writing = true;
    scout_ask(c->cc.scout, m);
}

/* Then only the group can tell what is read, as without a schema. */
static void give_up_keeping(struct crew *c, const struct scout_mail *m)
{
    if (!c->member.unkept) {
        c->member.unkept = true;
        log_event(LOG(member_topics_not_kept), c->member.id, m->error.text);
    }
}

/* ---- leaving, and joining again ---- */

static void leave(struct crew *c)
{
    struct member *me = &c->member;
    usec_t now = clock_mono();

    me->leave_deadline = now + LEAVE_LIMIT;
    set_state(me, MEMBER_LEAVING, now + LEAVE_POLL);
    c->assigned_once = false; /* what follows is a new start */
    client_unsubscribe(c->cc.client);
}

/* Once in each start. */
static void rejoin(struct crew *c, const char *why)
{
    struct member *me = &c->member;

    log_event(LOG(member_rejoins), me->id, why);
    me->rejoined = true;
    me->doubted = false;
    set_state(me, MEMBER_YIELDING, USEC_NEVER);
    if (me->kept && may_keep(c)) {
        write_down(c);
    } else {
        leave(c);
    }
}

static void answer_joined(struct crew *c, const struct scout_mail *m)
{
    struct member *me = &c->member;

    me->writing = false;
    if (m->error.class != ERROR_NONE) {
        give_up_keeping(c, m);
    }
    if (m->failed || me->stale) {
        me->stale = false;
        write_down(c);
    }
    if (me->writing) {
        return;
    }
    c->subscribe_at = 0;
    if (c->member.state == MEMBER_YIELDING) {
        leave(c);
    }
}

static void join_again(struct crew *c, usec_t now)
{
    struct error err;

    if (client_subscribe(c->cc.client, c->cc.cfg, &err)) {
        set_state(&c->member, MEMBER_REJOINING, USEC_NEVER);
    } else {
        log_event(LOG(kafka_call_failed), err.text);
        c->member.at = now + SUBSCRIBE_RETRY;
    }
}

static void look_whether_left(struct crew *c, usec_t now)
{
    struct member *me = &c->member;
    bool left = !c->revoking && !client_is_member(c->cc.client);

    if (!left && now >= me->leave_deadline) {
        log_event(LOG(member_not_released), me->id);
        left = true;
    }
    me->at = now + LEAVE_POLL;
    if (left) {
        join_again(c, now);
    }
}

void crew_member_turn(struct crew *c, usec_t now)
{
    struct member *me = &c->member;

    if (now < me->at) {
        return;
    }
    if (me->state == MEMBER_LEAVING) {
        look_whether_left(c, now);
    } else if (me->state == MEMBER_DOUBTING) {
        me->at = USEC_NEVER;
        crew_ask_group(c);
    }
}

usec_t crew_member_deadline(const struct crew *c)
{
    return c->member.at;
}

void crew_member_assigned(struct crew *c, const struct event *e, bool stranger)
{
    struct member *me = &c->member;

    if (me->state == MEMBER_JOINING) {
        me->stranger = stranger;
        ask_member(c);
    } else if (me->state == MEMBER_REJOINING) {
        log_event(LOG(member_rejoined), me->id, e->ref_count, e->ref_count == 1 ? "" : "s");
        set_state(me, MEMBER_DOUBTING, clock_mono());
    }
}

bool crew_member_is_settled(const struct crew *c)
{
    return c->member.state == MEMBER_SETTLED || c->member.state == MEMBER_JOINING;
}

bool crew_member_is_at_rest(const struct crew *c)
{
    return crew_member_is_settled(c) || c->member.state == MEMBER_DOUBTING;
}

/* ---- a reload ---- */

/* Keeps those that a route of now takes; whether there were others. */
static bool strike(struct crew *c)
{
    struct member *me = &c->member;
    size_t n = 0;

    for (size_t i = 0; i < me->topic_count; i++) {
        if (plan_takes(c->cc.plan, me->topics[i])) {
            me->topics[n++] = me->topics[i];
        } else {
            free(me->topics[i]);
        }
    }
    bool others = n < me->topic_count;
    me->topic_count = n;
    return others;
}

bool crew_member_strike(struct crew *c)
{
    struct member *me = &c->member;
    bool unknown = me->state == MEMBER_JOINING || me->state == MEMBER_ASKING;

    if (me->id == NULL || !may_keep(c) || unknown || !(me->kept || me->written) || !strike(c)) {
        return false;
    }
    me->stale = me->writing;
    write_down(c);
    return true;
}

/* ---- does the assignment fit? ---- */

/* Appends what differs from the topics of the last time. */
static void add_changes(const struct member *me, struct buf *out)
{
    add_difference(out, '+', me->topics, me->topic_count, me->former, me->former_count);
    add_difference(out, '-', me->former, me->former_count, me->topics, me->topic_count);
}

static void take_former(struct member *me, struct scout_mail *m)
{
    me->kept = true;
    me->former = TAKE_PTR(m->names);
    me->former_count = m->name_count;
    m->name_count = 0;
    qsort(me->former, me->former_count, sizeof *me->former, compare_names);
}

/* Compares with the last time. */
static void decide(struct crew *c)
{
    struct member *me = &c->member;
    _cleanup_buf_ struct buf changes = {0};

    add_changes(me, &changes);
    if (me->kept && changes.n > 0) {
        _cleanup_buf_ struct buf why = {0};
        buf_printf(&why, "the topics have changed since it joined (%s)", buf_cstr(&changes));
        rejoin(c, buf_cstr(&why));
    } else if (me->stranger) {
        rejoin(c, "a topic is assigned to it that no route takes");
    } else if (me->kept) {
        me->written = true;
        set_state(me, MEMBER_SETTLED, USEC_NEVER);
    } else {
        set_state(me, MEMBER_DOUBTING, clock_mono());
    }
}

static void answer_member(struct crew *c, struct scout_mail *m)
{
    if (m->failed) {
        ask_member(c);
        return;
    }
    (void) take_matched(c, m);
    if (m->error.class != ERROR_NONE) {
        give_up_keeping(c, m);
    }
    if (m->named) {
        take_former(&c->member, m);
    }
    decide(c);
}

void crew_member_answer(struct crew *c, struct scout_mail *m)
{
    if (c->stopping) {
        return;
    }
    if (m->kind == SCOUT_MEMBER) {
        answer_member(c, m);
    } else {
        answer_joined(c, m);
    }
}

/* Also topics that a pattern finds while this runs, and with which it has joined then. */
static void write_all_read(struct crew *c, const struct scout_mail *m)
{
    struct member *me = &c->member;

    if (!me->writing && (take_matched(c, m) || !me->written)) {
        me->written = true;
        write_down(c);
    }
}

/* The group cannot be asked: that it has joined again is all that can be done. */
static void write_unseen(struct crew *c)
{
    if (c->member.rejoined) {
        c->member.written = true;
        write_down(c);
    }
}

static void doubt(struct crew *c, const struct scout_mail *m, const char *missing)
{
    struct member *me = &c->member;
    bool unread = m->group == GROUP_STABLE && missing != NULL;
    bool again = m->failed || m->group == GROUP_UNSETTLED || (unread && !me->doubted);

    me->doubted = unread;
    if (again) {
        me->at = clock_mono() + DOUBT_PAUSE;
    } else if (unread && !me->rejoined) {
        _cleanup_buf_ struct buf why = {0};
        buf_printf(&why, "nobody in the group reads topic '%s'", missing);
        rejoin(c, buf_cstr(&why));
    } else {
        set_state(me, MEMBER_SETTLED, USEC_NEVER);
    }
    if (!again && m->group == GROUP_UNKNOWN) {
        write_unseen(c);
    }
}

void crew_member_group(struct crew *c, const struct scout_mail *m, const char *missing)
{
    struct member *me = &c->member;

    if (c->stopping) {
        return;
    }
    if (me->state == MEMBER_DOUBTING) {
        doubt(c, m, missing);
    }
    bool all_read = !m->failed && m->group == GROUP_STABLE && missing == NULL;
    if (me->id != NULL && me->state == MEMBER_SETTLED && all_read) {
        write_all_read(c, m);
    }
}
