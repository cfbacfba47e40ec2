/*
 * When the configuration has changed: what is loaded for routes that are the same stays, under
 * their new places, and so do the plans of topics that have only such routes; all else is gone. Who
 * has to let go of it, and when, is not decided here. Main thread.
 */
#include "base/mem.h"
#include "sink/plan/plan_state.h"

#include <stdlib.h>
#include <string.h>

#define GONE SIZE_MAX

struct reload_work {
    struct plan *plan;
    const struct config *before;
    const struct config *after;
    regex_t **patterns; /* of before */
    size_t *places;     /* of its routes in after, or GONE */
    struct plan_renewal *renewal;
};

static struct reload_work work_new(struct plan *p, const struct config *cfg)
{
    struct reload_work w = {.plan = p, .before = p->cfg, .after = cfg, .patterns = p->patterns};
    struct plan_renewal *r = w.renewal = mem_zalloc(sizeof *r);

    r->gone = mem_array(MAX(p->loaded_count, 1), sizeof *r->gone);
    r->targets = mem_array(MAX(p->loaded_count, 1), sizeof(const struct target *));
    r->choosers = mem_array(MAX(p->cfg->route_count, 1), sizeof(struct chooser *));
    r->chooser_count = p->cfg->route_count;
    w.places = mem_array(MAX(p->cfg->route_count, 1), sizeof *w.places);
    for (size_t i = 0; i < p->cfg->route_count; i++) {
        const struct config_route *same = config_same_route(cfg, &p->cfg->routes[i]);
        w.places[i] = same != NULL ? (size_t) (same - cfg->routes) : GONE;
    }
    return w;
}

static void move_choosers(struct reload_work *w)
{
    struct plan *p = w->plan;
    struct chooser **choosers = mem_array(MAX(w->after->route_count, 1), sizeof *choosers);

    for (size_t i = 0; i < w->before->route_count; i++) {
        if (w->places[i] == GONE) {
            w->renewal->choosers[i] = p->choosers[i];
        } else {
            choosers[w->places[i]] = p->choosers[i];
        }
    }
    free(p->choosers);
    p->choosers = choosers;
}

static void move_loaded(struct reload_work *w)
{
    struct plan *p = w->plan;
    struct plan_renewal *r = w->renewal;
    size_t n = 0;

    for (size_t i = 0; i < p->loaded_count; i++) {
        struct loaded *l = &p->loaded[i];
        if (w->places[l->route] != GONE) {
            l->route = w->places[l->route];
            p->loaded[n++] = *l;
            continue;
        }
        r->targets[r->target_count++] = mapping_target(l->mapping);
        r->gone[r->gone_count++] = *l;
    }
    p->loaded_count = n;
}

static bool took(const struct reload_work *w, size_t route, const char *topic)
{
    const struct config_topics *topics = &w->before->routes[route].topics;

    for (size_t i = 0; i < topics->count; i++) {
        if (topics->items[i].is_regex ? regexec(&w->patterns[route][i], topic, 0, NULL, 0) == 0
                                      : strcmp(topics->items[i].name, topic) == 0) {
            return true;
        }
    }
    return false;
}

static size_t next_taking(const struct plan *p, size_t from, const char *topic)
{
    while (from < p->cfg->route_count && !plan_route_takes(p, from, topic)) {
        from++;
    }
    return from;
}

/* The same routes, in the same order? The plan has the new configuration already. */
static bool keeps_routes(const struct reload_work *w, const char *topic)
{
    size_t next = next_taking(w->plan, 0, topic);

    for (size_t i = 0; i < w->before->route_count; i++) {
        if (!took(w, i, topic)) {
            continue;
        }
        if (w->places[i] != next) {
            return false;
        }
        next = next_taking(w->plan, next + 1, topic);
    }
    return next == w->after->route_count;
}

static void move_topics(struct reload_work *w)
{
    struct plan *p = w->plan;
    struct plan_renewal *r = w->renewal;
    size_t n = 0;

    for (size_t i = 0; i < p->topic_count; i++) {
        if (keeps_routes(w, p->topics[i]->topic)) {
            p->topics[n++] = p->topics[i];
            continue;
        }
        r->changes = mem_grow(r->changes, &r->change_cap, r->change_count, sizeof *r->changes);
        r->changes[r->change_count++] = (struct topic_change){.from = p->topics[i]};
    }
    p->topic_count = n;
}

struct plan_renewal *plan_reload(struct plan *p, const struct config *cfg, const uint32_t *numbers)
{
    struct reload_work w = work_new(p, cfg);

    move_choosers(&w);
    move_loaded(&w);
    free(p->numbers);
    p->numbers = mem_array(MAX(cfg->route_count, 1), sizeof *p->numbers);
    memcpy(p->numbers, numbers, cfg->route_count * sizeof *numbers);
    p->patterns = plan_patterns_new(cfg);
    p->cfg = cfg;
    move_topics(&w);
    plan_patterns_free(w.before, w.patterns);
    free(w.places);
    return w.renewal;
}

const struct plan_renewal *plan_replaced(struct plan *p, struct plan_renewal *gone)
{
    plan_renewal_append(p, gone);
    return gone;
}

bool plan_job_is_void(const struct plan *p, const struct plan_job *job)
{
    return job->cfg != p->cfg;
}

bool plan_has(const struct plan *p, const struct topic_plan *t)
{
    for (size_t i = 0; i < p->topic_count; i++) {
        if (p->topics[i] == t) {
            return true;
        }
    }
    return false;
}
