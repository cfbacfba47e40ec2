/*
 * Topics that the file names and that do not exist: a wrong name, most often, or one that is still
 * to come. Which topics there are is asked at the start, when the library has not found one, and
 * while one is missing. It is logged when it is certain, every 10 minutes while it lasts, and when
 * the topic is there. A pattern without any topic may be meant for topics to come: that is said
 * once. Main thread.
 */
#include "base/log.h"
#include "base/mem.h"
#include "sink/crew/crew_state.h"
#include "sink/shared/delays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A topic that is made or deleted is not known to all brokers at once. */
#define CERTAIN_AFTER (3 * USEC_PER_SEC)
#define DOUBT_PAUSE (5 * USEC_PER_SEC)
#define DOUBT_LIMIT (30 * USEC_PER_SEC)
#define PAUSE (20 * USEC_PER_SEC)

struct missing_topic {
    char *name;
    char near[250]; /* a topic that there is; "": none is like it */
    usec_t since;
    usec_t again;   /* when it is said again */
    bool is_regex;  /* the name is a pattern, and topics that it takes are missing */
    bool is_said;   /* that it is missing */
    bool is_denied; /* it may not be seen, which is said otherwise (crew_rights.c), as last heard */
    bool is_here;   /* in the answer of now, among those that are missing */
};

void crew_topics_init(struct crew *c)
{
    c->topics_asked.at = clock_mono() + DOUBT_PAUSE;
}

void crew_topics_done(struct crew *c)
{
    struct crew_topics *t = &c->topics_asked;

    for (size_t i = 0; i < t->count; i++) {
        free(t->items[i].name);
    }
    free(t->items);
}

static struct missing_topic *find(const struct crew_topics *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++) { /* a pattern begins with ^, and no name does */
        if (strcmp(t->items[i].name, name) == 0) {
            return &t->items[i];
        }
    }
    return NULL;
}

static struct missing_topic *take(struct crew_topics *t, const char *name, usec_t now)
{
    struct missing_topic *found = find(t, name);

    if (found == NULL) {
        t->items = mem_grow(t->items, &t->cap, t->count, sizeof *t->items);
        found = &t->items[t->count++];
        *found = (struct missing_topic){.name = mem_strdup(name), .since = now};
    }
    return found;
}

/* For STATUS, /readyz and the page. Those that crew_rights.c shows are not shown twice. */
static void show(struct crew *c)
{
    struct crew_topics *t = &c->topics_asked;
    const struct missing_topic *first = NULL;
    size_t n = 0;
    struct error all;

    for (size_t i = t->count; i-- > 0;) {
        if ((t->items[i].is_said || t->items[i].is_denied) &&
            !crew_rights_shows(c, t->items[i].name)) {
            first = &t->items[i];
            n++;
        }
    }
    all.text[0] = '\0';
    if (n == 1 && first->is_regex) {
        error_set(&all, ERROR_SETUP, "pattern '%s' matches no topic that may be seen", first->name);
    } else if (n == 1) {
        error_set(&all, ERROR_SETUP, "topic '%s' does not exist, or may not be seen%s%s%s",
                  first->name, first->near[0] != '\0' ? " (did you mean '" : "", first->near,
                  first->near[0] != '\0' ? "'?)" : "");
    } else if (n > 1) {
        error_set(&all, ERROR_SETUP, "%zu topics do not exist, or may not be seen: %s, ...", n,
                  first->name);
    }
    error_short_text(&all, t->shown, sizeof t->shown);
}

static void say(struct missing_topic *m, usec_t now)
{
    const struct log_where at = {.topic = m->name, .partition = -1, .offset = -1};
    struct error err;

    m->is_said = true;
    m->again = now + delay_repeat();
    error_set(&err, ERROR_SETUP,
              "kafka: topic '%s' does not exist, or may not be seen; it is read when it appears",
              m->name);
    if (m->near[0] != '\0') {
        error_hint(&err,
                   "Did you mean '%s'? Otherwise create it. If it exists, this client lacks the "
                   "right Describe or Read on it.",
                   m->near);
    } else {
        error_hint(&err, "Check its name in the file, or create it. If it exists, this client "
                         "lacks the right Describe or Read on it.");
    }
    log_fault_at(at, LOG_topic_missing, &err);
}

static void say_pattern(struct missing_topic *m)
{
    m->is_said = true;
    m->again = USEC_NEVER;
    log_event(LOG(pattern_matches_nothing), m->name);
}

/* ---- the answer ---- */

static bool exists(const struct scout_mail *m, const char *name)
{
    for (size_t i = 0; i < m->topic_count; i++) {
        if (m->topics[i].partition_count > 0 && strcmp(m->topics[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void set_near(struct missing_topic *t, const struct scout_mail *m)
{
    const char **names = mem_array(MAX(m->topic_count, 1), sizeof *names);
    size_t n = 0;

    for (size_t i = 0; i < m->topic_count; i++) {
        if (m->topics[i].partition_count > 0) {
            names[n++] = m->topics[i].name;
        }
    }
    const char *near = str_nearest(t->name, names, n);
    snprintf(t->near, sizeof t->near, "%s", near != NULL ? near : "");
    free(names);
}

/* Is a topic in the answer that this entry of a route takes? */
static bool has_any(const struct crew *c, const struct scout_mail *m, size_t route, size_t item)
{
    for (size_t i = 0; i < m->topic_count; i++) {
        if (m->topics[i].partition_count > 0 &&
            plan_entry_takes(c->cc.plan, route, item, m->topics[i].name)) {
            return true;
        }
    }
    return false;
}

/* Those that the file names now and that are not in the answer. */
static void mark(struct crew *c, const struct scout_mail *m, usec_t now)
{
    const struct config *cfg = c->cc.cfg;

    for (size_t i = 0; i < cfg->route_count; i++) {
        for (size_t k = 0; k < cfg->routes[i].topics.count; k++) {
            const struct config_topic *named = &cfg->routes[i].topics.items[k];
            if (has_any(c, m, i, k)) {
                continue;
            }
            struct missing_topic *t = take(&c->topics_asked, named->name, now);
            t->is_here = true;
            t->is_regex = named->is_regex;
            if (!t->is_regex) {
                set_near(t, m);
            }
        }
    }
}

/* Says what is certain and what is over. What the file does not name any more is forgotten. */
static void settle(struct crew_topics *t, const struct scout_mail *m, usec_t now)
{
    size_t kept = 0;

    for (size_t i = 0; i < t->count; i++) {
        struct missing_topic *one = &t->items[i];
        if (one->is_here) {
            bool is_certain = now - one->since >= CERTAIN_AFTER;
            if (is_certain && !one->is_denied && now >= one->again) {
                if (one->is_regex) {
                    say_pattern(one);
                } else {
                    say(one, now);
                }
            }
            t->items[kept++] = *one;
            continue;
        }
        if (one->is_said && exists(m, one->name)) {
            log_event(LOG(topic_appears), one->name);
        }
        free(one->name);
    }
    t->count = kept;
}

void crew_topics_answer(struct crew *c, const struct scout_mail *m)
{
    struct crew_topics *t = &c->topics_asked;
    usec_t now = clock_mono();

    t->asking = false;
    if (m->failed) {
        t->at = now + PAUSE;
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        t->items[i].is_here = false;
    }
    mark(c, m, now);
    settle(t, m, now);
    show(c);
    bool in_doubt = now < t->doubt_until;
    for (size_t i = 0; i < t->count; i++) {
        in_doubt = in_doubt || (!t->items[i].is_said && !t->items[i].is_denied);
    }
    t->at = now + (in_doubt ? DOUBT_PAUSE : t->count > 0 ? PAUSE : USEC_NEVER - now);
}

/* ---- what leads to the question ---- */

/* The brokers have said so themselves: the library's news, which it has once. */
void crew_topics_event(struct crew *c, const struct event *e)
{
    struct crew_topics *t = &c->topics_asked;
    usec_t now = clock_mono();

    struct missing_topic *known = find(t, e->topic);
    if (e->kind == EVENT_NO_TOPIC && known != NULL && known->is_denied) {
        known->is_denied = false; /* the right has been granted, and it is not there */
        known->since = now;
    } else if (e->kind == EVENT_DENIED && e->topic[0] != '\0') {
        take(t, e->topic, now)->is_denied = true;
    }
    if (e->topic[0] != '\0') { /* an answer that is under way may be older */
        t->at = MIN(t->at, now + USEC_PER_SEC);
        t->doubt_until = now + DOUBT_LIMIT;
    }
}

void crew_topics_reload(struct crew *c)
{
    c->topics_asked.at = clock_mono() + DOUBT_PAUSE;
}

void crew_topics_turn(struct crew *c, usec_t now)
{
    struct crew_topics *t = &c->topics_asked;

    if (t->count > 0) {
        show(c); /* what crew_rights.c shows changes */
    }
    if (!t->asking && now >= t->at) {
        t->asking = true;
        scout_ask(c->cc.scout, scout_mail_new(SCOUT_TOPICS, 0));
    }
}

usec_t crew_topics_deadline(const struct crew *c)
{
    return c->topics_asked.asking ? USEC_NEVER : c->topics_asked.at;
}
