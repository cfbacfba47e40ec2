/*
 * What the brokers do not allow: to be a member of the group, or to read a topic. Each is logged
 * when it begins, every 10 minutes while it lasts, and when it ends, which it does by itself: the
 * library tries again. Whether a topic may be read is known partition by partition, by a word of
 * `struct share`, and looked at once a second. Main thread.
 */
#include "base/log.h"
#include "base/mem.h"
#include "kafka/acl.h"
#include "sink/crew/crew_state.h"
#include "sink/shared/delays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY USEC_PER_SEC

struct denied_topic {
    char *name;
    usec_t since;
    usec_t again; /* when that is said again */
    bool is_denied;
    bool is_held; /* some partition of it is ours */
    bool is_read; /* of one of these a record, or the end, has come */
};

void crew_rights_init(struct crew *c)
{
    c->rights.group_since = USEC_NEVER;
}

void crew_rights_done(struct crew *c)
{
    for (size_t i = 0; i < c->rights.count; i++) {
        free(c->rights.topics[i].name);
    }
    free(c->rights.topics);
}

static double seconds_since(usec_t then)
{
    return (double) (clock_mono() - then) / (double) USEC_PER_SEC;
}

/* For STATUS, /readyz and the page. */
static void show(struct crew *c)
{
    struct crew_rights *r = &c->rights;
    struct error all;

    all.text[0] = '\0';
    if (r->group_since != USEC_NEVER) {
        error_set(&all, ERROR_SETUP, "the brokers refuse the group '%s'", c->cc.cfg->kafka.group);
    }
    const struct denied_topic *first = NULL;
    size_t count = 0;
    for (size_t i = r->count; i-- > 0;) {
        if (r->topics[i].is_denied) {
            first = &r->topics[i];
            count++;
        }
    }
    if (first != NULL) {
        char group[sizeof all.text];
        snprintf(group, sizeof group, "%s", all.text);
        error_set(&all, ERROR_SETUP, "%s%s%zu topic%s may not be read: %s", group,
                  group[0] != '\0' ? "; " : "", count, count == 1 ? "" : "s", first->name);
    }
    error_short_text(&all, r->shown, sizeof r->shown);
}

/* ---- the group ---- */

static void say_group(struct crew *c, usec_t now)
{
    struct error err;

    c->rights.group_again = now + delay_repeat();
    error_set(&err, ERROR_SETUP,
              "kafka: the brokers do not allow this client to use the group '%s': %s; trying again",
              c->cc.cfg->kafka.group, c->rights.group_text);
    acl_hint(c->cc.cfg, RIGHT_GROUP, c->cc.cfg->kafka.group, &err);
    log_fault(LOG_group_denied, &err);
}

static void deny_group(struct crew *c, const struct event *e)
{
    struct crew_rights *r = &c->rights;

    snprintf(r->group_text, sizeof r->group_text, "%.250s", e->text);
    if (r->group_since == USEC_NEVER) {
        r->group_since = clock_mono();
        say_group(c, r->group_since);
        show(c);
    }
}

void crew_rights_group_works(struct crew *c)
{
    if (c->rights.group_since != USEC_NEVER) {
        log_event(LOG(group_granted), c->cc.cfg->kafka.group, seconds_since(c->rights.group_since));
        c->rights.group_since = USEC_NEVER;
        show(c);
    }
}

/* ---- topics ---- */

static void say_topic(const struct crew *c, const char *name)
{
    struct error err;

    error_set(&err, ERROR_SETUP,
              "kafka: the brokers do not allow this client to read topic '%s'; trying again", name);
    acl_hint(c->cc.cfg, RIGHT_TOPIC, name, &err);
    log_fault(LOG_topic_denied, &err);
}

/* That a topic cannot even be seen is said when the subscription meets it, once: the library does
 * not say when it ends. */
void crew_rights_event(struct crew *c, const struct event *e)
{
    if (e->denial == DENIAL_GROUP) {
        deny_group(c, e);
    } else if (e->denial == DENIAL_TOPIC && e->topic[0] != '\0') {
        say_topic(c, e->topic);
    } else if (e->denial == DENIAL_TOPIC) {
        log_event(LOG(consumer_denied), e->text);
    }
}

static struct denied_topic *find(const struct crew_rights *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->topics[i].name, name) == 0) {
            return &r->topics[i];
        }
    }
    return NULL;
}

bool crew_rights_shows(const struct crew *c, const char *topic)
{
    const struct denied_topic *t = find(&c->rights, topic);

    return t != NULL && t->is_denied;
}

static void deny_topic(struct crew *c, const char *name, usec_t now)
{
    struct crew_rights *r = &c->rights;
    struct denied_topic *t = find(r, name);

    if (t == NULL) {
        r->topics = mem_grow(r->topics, &r->cap, r->count, sizeof *r->topics);
        t = &r->topics[r->count++];
        *t = (struct denied_topic){.name = mem_strdup(name), .since = now, .again = now};
    }
    t->is_denied = true;
}

/*
 * The end of a log that is reported once is not reported again, so of a partition in which nothing
 * happens it is not seen that it may be read again.
 */
static bool may_be_over(const struct partition *p)
{
    return p->state == PARTITION_FETCHING && partition_end(p) >= 0 &&
           partition_stored(p) >= partition_end(p);
}

/* Begins it again, so that the end comes again: by a verification, which needs a ledger. */
static void begin_again(struct crew *c, struct partition *p)
{
    if (config_has_ledger(c->cc.cfg)) {
        crew_verify_doubt(p, "its topic could not be read for lack of a right");
    } else if (p->start == START_NONE) {
        p->start = START_ANSWERED; /* its slot is reading: no RESUME is needed */
        p->start_offset = partition_stored(p);
        crew_fetch_want(c);
    }
}

static void look(struct crew *c, usec_t now)
{
    struct crew_rights *r = &c->rights;
    bool doubt = r->count > 0 && now >= r->doubt_at;

    for (size_t i = 0; i < r->count; i++) {
        r->topics[i].is_denied = r->topics[i].is_held = r->topics[i].is_read = false;
    }
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        bool is_denied = atomic_load_explicit(&p->share.denied, memory_order_relaxed);
        if (p->state == PARTITION_RELEASING || (!is_denied && r->count == 0)) {
            continue;
        }
        if (is_denied) {
            deny_topic(c, p->topic, now);
        }
        struct denied_topic *t = find(r, p->topic);
        if (t != NULL) {
            t->is_held = true;
            t->is_read = t->is_read || (!is_denied && atomic_load_explicit(&p->share.fetched,
                                                                           memory_order_relaxed));
        }
        if (is_denied && doubt && may_be_over(p)) {
            begin_again(c, p);
        }
    }
    if (doubt || r->count == 0) {
        r->doubt_at = now + delay_retry_max();
    }
}

/*
 * Says what is new, what lasts and what is over. The library reports a refusal once until something
 * can be read, also to the assignments after that: a topic that is not ours at the moment is
 * remembered, and when it is ours again only what is read of it shows that the refusal is over.
 */
static void say_topics(struct crew *c, usec_t now)
{
    struct crew_rights *r = &c->rights;
    size_t kept = 0;

    for (size_t i = 0; i < r->count; i++) {
        struct denied_topic *t = &r->topics[i];
        t->is_denied = t->is_denied || (t->is_held && !t->is_read);
        if (t->is_denied && now >= t->again) {
            t->again = now + delay_repeat();
            say_topic(c, t->name);
        }
        if (t->is_denied || !t->is_held) {
            r->topics[kept++] = *t;
            continue;
        }
        log_event(LOG(topic_granted), t->name, seconds_since(t->since));
        free(t->name);
    }
    r->count = kept;
}

/* ---- the turn ---- */

void crew_rights_turn(struct crew *c, usec_t now)
{
    struct crew_rights *r = &c->rights;

    if (r->group_since != USEC_NEVER && now >= r->group_again) {
        say_group(c, now);
    }
    if (now >= r->look_at) {
        r->look_at = now + LOOK_EVERY;
        look(c, now);
        say_topics(c, now);
        show(c);
    }
}

usec_t crew_rights_deadline(const struct crew *c)
{
    const struct crew_rights *r = &c->rights;
    usec_t at = r->group_since != USEC_NEVER ? r->group_again : USEC_NEVER;

    return MIN(at, r->look_at);
}
