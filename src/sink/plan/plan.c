/*
 * Patterns, loaded tables and topic plans, see plan.h.
 */
#include "sink/plan/plan.h"

#include "base/mem.h"
#include "sink/plan/plan_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

regex_t **plan_patterns_new(const struct config *cfg)
{
    regex_t **patterns = mem_array(MAX(cfg->route_count, 1), sizeof *patterns);

    for (size_t r = 0; r < cfg->route_count; r++) {
        const struct config_topics *topics = &cfg->routes[r].topics;
        patterns[r] = mem_array(topics->count, sizeof *patterns[r]);
        for (size_t i = 0; i < topics->count; i++) {
            if (topics->items[i].is_regex &&
                regcomp(&patterns[r][i], topics->items[i].name, REG_EXTENDED | REG_NOSUB) != 0) {
                abort(); /* config_load has compiled it before */
            }
        }
    }
    return patterns;
}

void plan_patterns_free(const struct config *cfg, regex_t **patterns)
{
    for (size_t r = 0; r < cfg->route_count; r++) {
        const struct config_topics *topics = &cfg->routes[r].topics;
        for (size_t i = 0; i < topics->count; i++) {
            if (topics->items[i].is_regex) {
                regfree(&patterns[r][i]);
            }
        }
        free(patterns[r]);
    }
    free(patterns);
}

struct plan *plan_new(const struct config *cfg)
{
    struct plan *p = mem_zalloc(sizeof *p);

    p->cfg = cfg;
    p->patterns = plan_patterns_new(cfg);
    p->choosers = mem_array(cfg->route_count, sizeof *p->choosers);
    p->numbers = mem_array(MAX(cfg->route_count, 1), sizeof *p->numbers);
    for (size_t r = 0; r < cfg->route_count; r++) {
        p->numbers[r] = (uint32_t) r;
    }
    return p;
}

void plan_topic_free(struct topic_plan *t)
{
    free(t->topic);
    free(t->routes);
    free(t);
}

static void loaded_done(struct loaded *l)
{
    free(l->table_name);
    mapping_free(l->mapping);
    table_free(l->table);
    free(l->fault);
}

void plan_renewal_free(struct plan_renewal *r)
{
    for (size_t i = 0; i < r->change_count; i++) {
        plan_topic_free(r->changes[i].from);
    }
    free(r->changes);
    for (size_t i = 0; i < r->chooser_count; i++) {
        chooser_free(r->choosers[i]);
    }
    free(r->choosers);
    for (size_t i = 0; i < r->gone_count; i++) {
        loaded_done(&r->gone[i]);
    }
    free(r->gone);
    free(r->targets);
    free(r);
}

void plan_release(struct plan *p, uint64_t number)
{
    while (p->renewals != NULL && p->renewals->number <= number) {
        struct plan_renewal *r = p->renewals;
        p->renewals = r->next;
        plan_renewal_free(r);
    }
}

struct plan *plan_free(struct plan *p)
{
    if (p == NULL) {
        return NULL;
    }
    plan_release(p, UINT64_MAX);
    plan_patterns_free(p->cfg, p->patterns);
    free(p->numbers);
    for (size_t i = 0; i < p->topic_count; i++) {
        plan_topic_free(p->topics[i]);
    }
    free(p->topics);
    for (size_t r = 0; r < p->cfg->route_count; r++) {
        chooser_free(p->choosers[r]);
    }
    free(p->choosers);
    for (size_t i = 0; i < p->loaded_count; i++) {
        loaded_done(&p->loaded[i]);
    }
    free(p->loaded);
    free(p);
    return NULL;
}

bool plan_entry_takes(const struct plan *p, size_t route, size_t item, const char *topic)
{
    const struct config_topics *topics = &p->cfg->routes[route].topics;

    return topics->items[item].is_regex ? regexec(&p->patterns[route][item], topic, 0, NULL, 0) == 0
                                        : strcmp(topics->items[item].name, topic) == 0;
}

bool plan_route_takes(const struct plan *p, size_t route, const char *topic)
{
    for (size_t i = 0; i < p->cfg->routes[route].topics.count; i++) {
        if (plan_entry_takes(p, route, i, topic)) {
            return true;
        }
    }
    return false;
}

/* Is the table known only when its topic is? */
static bool comes_later(const struct plan *p, size_t route)
{
    const struct table_name *t = &p->cfg->routes[route].table;

    return t->is_template && !t->is_by_record;
}

bool plan_takes(const struct plan *p, const char *topic)
{
    for (size_t r = 0; r < p->cfg->route_count; r++) {
        if (plan_route_takes(p, r, topic)) {
            return true;
        }
    }
    return false;
}

static bool has_loaded(const struct plan *p, size_t route)
{
    for (size_t i = 0; i < plan_table_count(p, route); i++) {
        if (plan_loaded_for(p, route, NULL, i) == NULL) {
            return false;
        }
    }
    return true;
}

bool plan_wants_headers(const struct plan *p)
{
    for (size_t i = 0; i < p->loaded_count; i++) {
        const struct mapping *m = p->loaded[i].mapping;
        if (m != NULL && mapping_wants_headers(m)) {
            return true;
        }
    }
    for (size_t r = 0; r < p->cfg->route_count; r++) {
        if (p->choosers[r] != NULL && mapping_wants_headers(chooser_mapping(p->choosers[r]))) {
            return true;
        }
        if (comes_later(p, r) || !has_loaded(p, r)) {
            return true; /* and may have a headers column */
        }
    }
    return false;
}

size_t plan_table_count(const struct plan *p, size_t route)
{
    return MAX(p->cfg->routes[route].tables.count, (size_t) 1);
}

/* The name of the i-th table for a topic; NULL for a fixed table means the configured one. */
static bool table_name_of(const struct plan *p, size_t route, const char *topic, size_t i,
                          struct buf *out, struct error *err)
{
    const struct table_name *t = &p->cfg->routes[route].table;

    if (t->is_by_record) {
        buf_add_z(out, p->cfg->routes[route].tables.items[i]);
        return true;
    }
    if (t->is_template) {
        return table_name_for_topic(t, str_of(topic), out, err);
    }
    buf_add_z(out, t->name);
    return true;
}

struct loaded *plan_loaded(const struct plan *p, size_t route, const char *table_name)
{
    for (size_t i = 0; i < p->loaded_count; i++) {
        if (p->loaded[i].route == route && strcmp(p->loaded[i].table_name, table_name) == 0) {
            return &p->loaded[i];
        }
    }
    return NULL;
}

struct loaded *plan_loaded_for(const struct plan *p, size_t route, const char *topic, size_t i)
{
    _cleanup_buf_ struct buf name = {0};
    struct error ignored;

    if (!table_name_of(p, route, topic, i, &name, &ignored)) {
        return NULL;
    }
    return plan_loaded(p, route, buf_cstr(&name));
}

static struct plan_job *job_new(struct plan *p, size_t route, const char *topic, size_t i)
{
    _cleanup_buf_ struct buf name = {0};
    struct error ignored;
    struct plan_job *job = mem_zalloc(sizeof *job);

    job->cfg = p->cfg;
    job->route = route;
    job->number = p->numbers[route];
    /* plan_job_run reports a name that is too long, with the place in the file. */
    if (table_name_of(p, route, topic, i, &name, &ignored)) {
        job->table_name = mem_strdup(buf_cstr(&name));
    } else {
        job->table_name = mem_printf("%s%s", p->cfg->routes[route].table.name, topic);
    }
    job->target_id = p->next_target_id++;
    return job;
}

size_t plan_missing(struct plan *p, const char *topic, struct plan_job ***out)
{
    size_t most = 0;

    for (size_t r = 0; r < p->cfg->route_count; r++) {
        most += plan_table_count(p, r);
    }
    struct plan_job **jobs = mem_array(most, sizeof *jobs);
    size_t n = 0;
    for (size_t r = 0; r < p->cfg->route_count; r++) {
        bool wanted = topic == NULL ? !comes_later(p, r) : plan_route_takes(p, r, topic);
        for (size_t i = 0; wanted && i < plan_table_count(p, r); i++) {
            if (plan_loaded_for(p, r, topic, i) == NULL) {
                jobs[n++] = job_new(p, r, topic, i);
            }
        }
    }
    *out = jobs;
    return n;
}

static void add_loaded(struct plan *p, const struct loaded *l)
{
    p->loaded = mem_grow(p->loaded, &p->loaded_cap, p->loaded_count, sizeof *p->loaded);
    p->loaded[p->loaded_count++] = *l;
    if (p->choosers[l->route] != NULL) {
        chooser_add(p->choosers[l->route], l->table_name, l->mapping);
    }
}

void plan_add(struct plan *p, struct plan_job *job)
{
    assert(job->mapping != NULL);
    if (plan_loaded(p, job->route, job->table_name) == NULL) {
        if (p->choosers[job->route] == NULL) {
            p->choosers[job->route] = TAKE_PTR(job->chooser);
        }
        struct loaded l = {
            .route = job->route,
            .table_name = TAKE_PTR(job->table_name),
            .table = TAKE_PTR(job->table),
            .mapping = TAKE_PTR(job->mapping),
        };
        add_loaded(p, &l);
    }
    plan_job_free(job);
}

static const struct topic_plan *find_topic(const struct plan *p, const char *topic)
{
    for (size_t i = 0; i < p->topic_count; i++) {
        if (strcmp(p->topics[i]->topic, topic) == 0) {
            return p->topics[i];
        }
    }
    return NULL;
}

bool plan_route(const struct plan *p, size_t route, const char *topic, struct record_route *out)
{
    const struct loaded *l = NULL;

    for (size_t i = 0; i < plan_table_count(p, route); i++) {
        l = plan_loaded_for(p, route, topic, i);
        if (l == NULL) {
            return false;
        }
    }
    const struct chooser *c = p->choosers[route];
    *out = (struct record_route){
        .number = p->numbers[route],
        .mapping = c != NULL ? chooser_mapping(c) : l->mapping,
        .chooser = c,
    };
    return true;
}

/* False: a table of the route is not loaded. *why is set if one cannot be used. */
static bool is_loaded(const struct plan *p, size_t route, const char *topic,
                      const struct error **why)
{
    for (size_t i = 0; i < plan_table_count(p, route); i++) {
        const struct loaded *l = plan_loaded_for(p, route, topic, i);
        if (l == NULL) {
            return false;
        }
        if (l->fault != NULL && *why == NULL) {
            *why = l->fault;
        }
    }
    return true;
}

struct topic_plan *plan_topic_new(const struct plan *p, const char *topic)
{
    struct topic_plan *t = mem_zalloc(sizeof *t);

    t->topic = mem_strdup(topic);
    t->routes = mem_array(p->cfg->route_count, sizeof *t->routes);
    for (size_t r = 0; r < p->cfg->route_count; r++) {
        if (!plan_route_takes(p, r, topic)) {
            continue;
        }
        if (!is_loaded(p, r, topic, &t->why)) {
            plan_topic_free(t);
            return NULL;
        }
        if (plan_route(p, r, topic, &t->routes[t->route_count])) {
            t->route_count++;
        }
    }
    return t;
}

const struct topic_plan *plan_topic(struct plan *p, const char *topic)
{
    const struct topic_plan *known = find_topic(p, topic);

    if (known != NULL) {
        return known;
    }
    struct topic_plan *t = plan_topic_new(p, topic);
    if (t != NULL) {
        assert(t->route_count > 0); /* else the ledger would pass its records */
        p->topics = mem_grow(p->topics, &p->topic_cap, p->topic_count, sizeof *p->topics);
        p->topics[p->topic_count++] = t;
    }
    return t;
}

bool plan_topic_is_same(const struct topic_plan *a, const struct topic_plan *b)
{
    if (a->route_count != b->route_count) {
        return false;
    }
    for (size_t i = 0; i < a->route_count; i++) {
        if (a->routes[i].mapping != b->routes[i].mapping ||
            a->routes[i].chooser != b->routes[i].chooser) {
            return false;
        }
    }
    return true;
}

static bool route_feeds(const struct record_route *r, const struct target *target)
{
    const struct mapping *m;

    if (r->chooser == NULL) {
        return mapping_target(r->mapping) == target;
    }
    for (size_t i = 0; (m = chooser_table(r->chooser, i)) != NULL; i++) {
        if (mapping_target(m) == target) {
            return true;
        }
    }
    return false;
}

bool plan_topic_feeds(const struct topic_plan *t, const struct target *target)
{
    for (size_t i = 0; i < t->route_count; i++) {
        if (route_feeds(&t->routes[i], target)) {
            return true;
        }
    }
    return false;
}

bool plan_find(const struct plan *p, size_t route, const char *topic, size_t i,
               const struct table **out_table, const struct mapping **out_mapping)
{
    const struct loaded *l = plan_loaded_for(p, route, topic, i);

    if (l == NULL) {
        return false;
    }
    *out_table = l->table;
    *out_mapping = l->mapping;
    return true;
}
