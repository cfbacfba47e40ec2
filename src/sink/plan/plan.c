/*
 * Patterns, loaded tables and topic plans, see plan.h.
 */
#include "sink/plan/plan.h"

#include "base/mem.h"

#include <assert.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* A loaded table with the mapping of one route onto it. */
struct loaded {
    size_t route;
    char *table_name;
    struct table *table;
    struct mapping *mapping;
};

struct plan {
    const struct config *cfg;
    regex_t **patterns;        /* [route][topic entry]; only entries with is_regex are compiled */
    struct chooser **choosers; /* per route; NULL where records do not name the table */
    struct loaded *loaded;
    size_t loaded_count;
    size_t loaded_cap;
    struct topic_plan **topics;
    size_t topic_count;
    size_t topic_cap;
    struct plan *former; /* what plan_renew has replaced: workers may still use it */
    uint32_t next_target_id;
};

struct plan *plan_new(const struct config *cfg)
{
    struct plan *p = mem_zalloc(sizeof *p);

    p->cfg = cfg;
    p->patterns = mem_array(cfg->route_count, sizeof *p->patterns);
    p->choosers = mem_array(cfg->route_count, sizeof *p->choosers);
    for (size_t r = 0; r < cfg->route_count; r++) {
        const struct config_topics *topics = &cfg->routes[r].topics;
        p->patterns[r] = mem_array(topics->count, sizeof *p->patterns[r]);
        for (size_t i = 0; i < topics->count; i++) {
            if (topics->items[i].is_regex &&
                regcomp(&p->patterns[r][i], topics->items[i].name, REG_EXTENDED | REG_NOSUB) != 0) {
                abort(); /* config_load has compiled it before */
            }
        }
    }
    return p;
}

static void free_patterns(struct plan *p)
{
    for (size_t r = 0; r < p->cfg->route_count; r++) {
        const struct config_topics *topics = &p->cfg->routes[r].topics;
        for (size_t i = 0; i < topics->count; i++) {
            if (topics->items[i].is_regex) {
                regfree(&p->patterns[r][i]);
            }
        }
        free(p->patterns[r]);
    }
    free(p->patterns);
}

static void free_contents(struct plan *p)
{
    for (size_t i = 0; i < p->topic_count; i++) {
        free(p->topics[i]->topic);
        free(p->topics[i]->routes);
        free(p->topics[i]);
    }
    free(p->topics);
    for (size_t r = 0; r < p->cfg->route_count; r++) {
        chooser_free(p->choosers[r]);
    }
    free(p->choosers);
    for (size_t i = 0; i < p->loaded_count; i++) {
        free(p->loaded[i].table_name);
        mapping_free(p->loaded[i].mapping);
        table_free(p->loaded[i].table);
    }
    free(p->loaded);
}

struct plan *plan_free(struct plan *p)
{
    if (p == NULL) {
        return NULL;
    }
    free_patterns(p);
    while (p->former != NULL) {
        struct plan *former = p->former;
        p->former = former->former;
        free_contents(former);
        free(former);
    }
    free_contents(p);
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

bool plan_wants_headers(const struct plan *p)
{
    for (size_t i = 0; i < p->loaded_count; i++) {
        if (mapping_wants_headers(p->loaded[i].mapping)) {
            return true;
        }
    }
    for (size_t r = 0; r < p->cfg->route_count; r++) {
        if (p->choosers[r] != NULL && mapping_wants_headers(chooser_mapping(p->choosers[r]))) {
            return true;
        }
        if (comes_later(p, r)) {
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

static const struct loaded *find_loaded(const struct plan *p, size_t route, const char *table_name)
{
    for (size_t i = 0; i < p->loaded_count; i++) {
        if (p->loaded[i].route == route && strcmp(p->loaded[i].table_name, table_name) == 0) {
            return &p->loaded[i];
        }
    }
    return NULL;
}

static const struct loaded *find_for(const struct plan *p, size_t route, const char *topic,
                                     size_t i)
{
    _cleanup_buf_ struct buf name = {0};
    struct error ignored;

    if (!table_name_of(p, route, topic, i, &name, &ignored)) {
        return NULL;
    }
    return find_loaded(p, route, buf_cstr(&name));
}

static struct plan_job *job_new(struct plan *p, size_t route, const char *topic, size_t i)
{
    _cleanup_buf_ struct buf name = {0};
    struct error ignored;
    struct plan_job *job = mem_zalloc(sizeof *job);

    job->cfg = p->cfg;
    job->route = route;
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
            if (find_for(p, r, topic, i) == NULL) {
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
    if (find_loaded(p, job->route, job->table_name) == NULL) {
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
        l = find_for(p, route, topic, i);
        if (l == NULL) {
            return false;
        }
    }
    const struct chooser *c = p->choosers[route];
    *out = (struct record_route){
        .number = (uint32_t) route,
        .mapping = c != NULL ? chooser_mapping(c) : l->mapping,
        .chooser = c,
    };
    return true;
}

const struct topic_plan *plan_topic(struct plan *p, const char *topic)
{
    const struct topic_plan *known = find_topic(p, topic);

    if (known != NULL) {
        return known;
    }
    struct topic_plan *t = mem_zalloc(sizeof *t);
    t->topic = mem_strdup(topic);
    t->routes = mem_array(p->cfg->route_count, sizeof *t->routes);
    for (size_t r = 0; r < p->cfg->route_count; r++) {
        if (!plan_route_takes(p, r, topic)) {
            continue;
        }
        if (!plan_route(p, r, topic, &t->routes[t->route_count++])) {
            free(t->topic);
            free(t->routes);
            free(t);
            return NULL;
        }
    }
    assert(t->route_count > 0); /* else the ledger would pass its records */
    p->topics = mem_grow(p->topics, &p->topic_cap, p->topic_count, sizeof *p->topics);
    p->topics[p->topic_count++] = t;
    return t;
}

bool plan_find(const struct plan *p, size_t route, const char *topic, size_t i,
               const struct table **out_table, const struct mapping **out_mapping)
{
    const struct loaded *l = find_for(p, route, topic, i);

    if (l == NULL) {
        return false;
    }
    *out_table = l->table;
    *out_mapping = l->mapping;
    return true;
}

/* ---- when tables have changed ---- */

size_t plan_renew_jobs(struct plan *p, struct plan_job ***out)
{
    struct plan_job **jobs = mem_array(MAX(p->loaded_count, 1), sizeof(struct plan_job *));

    for (size_t i = 0; i < p->loaded_count; i++) {
        jobs[i] = mem_zalloc(sizeof *jobs[i]);
        jobs[i]->cfg = p->cfg;
        jobs[i]->route = p->loaded[i].route;
        jobs[i]->table_name = mem_strdup(p->loaded[i].table_name);
        jobs[i]->target_id = p->next_target_id++;
    }
    *out = jobs;
    return p->loaded_count;
}

/*
 * Tables that were loaded while the jobs were under way. They belong to the plan from then on; no
 * route whose records name the table is among them, for its tables are all loaded at start.
 */
static void carry_over(struct plan *p, struct plan *former)
{
    size_t kept = 0;

    for (size_t i = 0; i < former->loaded_count; i++) {
        struct loaded *l = &former->loaded[i];
        if (find_loaded(p, l->route, l->table_name) == NULL) {
            add_loaded(p, l);
        } else {
            former->loaded[kept++] = *l;
        }
    }
    former->loaded_count = kept;
}

void plan_renew(struct plan *p, struct plan_job **jobs, size_t n)
{
    struct plan *former = mem_zalloc(sizeof *former);

    former->cfg = p->cfg;
    former->choosers = p->choosers;
    p->choosers = mem_array(p->cfg->route_count, sizeof *p->choosers);
    former->loaded = TAKE_PTR(p->loaded);
    former->loaded_count = p->loaded_count;
    former->topics = TAKE_PTR(p->topics);
    former->topic_count = p->topic_count;
    former->former = p->former;
    p->former = former;
    p->loaded_count = p->loaded_cap = 0;
    p->topic_count = p->topic_cap = 0;
    for (size_t i = 0; i < n; i++) {
        plan_add(p, jobs[i]);
    }
    carry_over(p, former);
}
