/*
 * When tables have changed: which are looked up again, and how what has changed is replaced in the
 * plan. What has not changed stays the very same, so that nobody has to do anything about it.
 * Whether to ask, and who is told, is not decided here. Main thread.
 */
#include "base/mem.h"
#include "sink/plan/plan_state.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is wanted ---- */

/* Also the other routes into the same table. */
static void want_table(struct plan *p, const struct table *t)
{
    for (size_t i = 0; i < p->loaded_count; i++) {
        struct loaded *l = &p->loaded[i];
        if (l->table != NULL &&
            (l->table->oid == t->oid || strcmp(l->table->quoted, t->quoted) == 0)) {
            l->wanted = true;
        }
    }
}

void plan_want_target(struct plan *p, uint32_t target_id)
{
    for (size_t i = 0; i < p->loaded_count; i++) {
        const struct loaded *l = &p->loaded[i];
        if (l->table != NULL && l->mapping != NULL && mapping_target(l->mapping)->id == target_id) {
            want_table(p, l->table);
            return;
        }
    }
}

void plan_want_topic(struct plan *p, const char *topic)
{
    for (size_t r = 0; r < p->cfg->route_count; r++) {
        for (size_t i = 0; plan_route_takes(p, r, topic) && i < plan_table_count(p, r); i++) {
            struct loaded *l = plan_loaded_for(p, r, topic, i);
            if (l != NULL) {
                l->wanted = true;
            }
        }
    }
}

void plan_want_job(struct plan *p, const struct plan_job *job)
{
    struct loaded *l = plan_loaded(p, job->route, job->table_name);

    if (l != NULL) {
        l->wanted = true;
    }
}

void plan_want_all(struct plan *p)
{
    for (size_t i = 0; i < p->loaded_count; i++) {
        p->loaded[i].wanted = true;
    }
}

size_t plan_renew_jobs(struct plan *p, struct plan_job ***out)
{
    struct plan_job **jobs = mem_array(MAX(p->loaded_count, 1), sizeof(struct plan_job *));
    size_t n = 0;

    for (size_t i = 0; i < p->loaded_count; i++) {
        struct loaded *l = &p->loaded[i];
        if (l->wanted || l->fault != NULL) {
            l->wanted = false;
            jobs[n] = mem_zalloc(sizeof *jobs[n]);
            jobs[n]->cfg = p->cfg;
            jobs[n]->route = l->route;
            jobs[n]->number = p->numbers[l->route];
            jobs[n]->table_name = mem_strdup(l->table_name);
            jobs[n++]->target_id = p->next_target_id++;
        }
    }
    *out = jobs;
    return n;
}

/* ---- what has changed ---- */

struct renewal_work {
    struct plan_renewal *renewal;
    bool *changed; /* routes */
};

static struct renewal_work work_new(const struct plan *p, size_t most)
{
    struct plan_renewal *r = mem_zalloc(sizeof *r);

    r->gone = mem_array(MAX(most, 1), sizeof *r->gone);
    r->targets = mem_array(MAX(most, 1), sizeof(const struct target *));
    r->choosers = mem_array(p->cfg->route_count, sizeof(struct chooser *));
    r->chooser_count = p->cfg->route_count;
    return (struct renewal_work){
        .renewal = r,
        .changed = mem_array(p->cfg->route_count, sizeof(bool)),
    };
}

/* What it was before is still used. */
static void set_fault(struct loaded *l, const struct plan_job *job, struct renewal_work *w)
{
    struct plan_renewal *r = w->renewal;

    if (l->fault != NULL && strcmp(l->fault->text, job->fault.text) == 0) {
        return;
    }
    r->gone[r->gone_count++] = (struct loaded){.fault = TAKE_PTR(l->fault)};
    l->fault = mem_zalloc(sizeof *l->fault);
    *l->fault = job->fault;
    w->changed[l->route] = true;
}

static void replace(struct plan *p, struct loaded *l, struct plan_job *job, struct renewal_work *w)
{
    struct plan_renewal *r = w->renewal;
    struct loaded *gone = &r->gone[r->gone_count++];

    *gone = (struct loaded){.fault = TAKE_PTR(l->fault)};
    w->changed[l->route] = true;
    if (table_is_same(l->table, job->table)) {
        return;
    }
    r->targets[r->target_count++] = mapping_target(l->mapping);
    gone->table = l->table;
    gone->mapping = l->mapping;
    l->table = TAKE_PTR(job->table);
    l->mapping = TAKE_PTR(job->mapping);
    if (job->chooser != NULL && r->choosers[l->route] == NULL) {
        r->choosers[l->route] = p->choosers[l->route];
        p->choosers[l->route] = TAKE_PTR(job->chooser);
    }
}

static void take_job(struct plan *p, struct plan_job *job, struct renewal_work *w)
{
    struct loaded *l = plan_loaded(p, job->route, job->table_name);

    if (l != NULL && job->fault.class != ERROR_NONE) {
        set_fault(l, job, w);
    } else if (l != NULL && (l->fault != NULL || !table_is_same(l->table, job->table))) {
        replace(p, l, job, w);
    }
    plan_job_free(job);
}

/* A new chooser leads to all tables of its route, those that have not changed among them. */
static void fill_choosers(struct plan *p, const struct plan_renewal *r)
{
    for (size_t i = 0; i < p->loaded_count; i++) {
        const struct loaded *l = &p->loaded[i];
        if (r->choosers[l->route] != NULL && l->mapping != NULL) {
            chooser_add(p->choosers[l->route], l->table_name, l->mapping);
        }
    }
}

static bool takes_changed(const struct plan *p, const struct renewal_work *w, const char *topic)
{
    for (size_t r = 0; r < p->cfg->route_count; r++) {
        if (w->changed[r] && plan_route_takes(p, r, topic)) {
            return true;
        }
    }
    return false;
}

static void change_topics(struct plan *p, struct renewal_work *w)
{
    struct plan_renewal *r = w->renewal;

    for (size_t i = 0; i < p->topic_count; i++) {
        struct topic_plan *from = p->topics[i];
        if (!takes_changed(p, w, from->topic)) {
            continue;
        }
        struct topic_plan *to = plan_topic_new(p, from->topic);
        if (from->why == to->why && plan_topic_is_same(from, to)) {
            plan_topic_free(to);
            continue;
        }
        r->changes = mem_grow(r->changes, &r->change_cap, r->change_count, sizeof *r->changes);
        r->changes[r->change_count++] = (struct topic_change){.from = from, .to = to};
        p->topics[i] = to;
    }
}

void plan_renewal_append(struct plan *p, struct plan_renewal *r)
{
    struct plan_renewal **at = &p->renewals;

    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = r;
    r->number = ++p->last_renewal;
}

const struct plan_renewal *plan_renew(struct plan *p, struct plan_job **jobs, size_t n)
{
    struct renewal_work w = work_new(p, n);
    struct plan_renewal *r = w.renewal;

    for (size_t i = 0; i < n; i++) {
        take_job(p, jobs[i], &w);
    }
    fill_choosers(p, r);
    change_topics(p, &w);
    free(w.changed);
    if (r->gone_count == 0) {
        plan_renewal_free(r);
        return NULL;
    }
    plan_renewal_append(p, r);
    return r;
}

/* ---- what others ask about it ---- */

uint64_t plan_last_renewal(const struct plan *p)
{
    return p->last_renewal;
}

uint64_t plan_renewal_number(const struct plan_renewal *r)
{
    return r->number;
}

const struct topic_plan *plan_renewal_of(const struct plan_renewal *r, const struct topic_plan *t)
{
    for (size_t i = 0; i < r->change_count; i++) {
        if (r->changes[i].from == t) {
            return r->changes[i].to;
        }
    }
    return t;
}

const struct target *const *plan_renewal_gone(const struct plan_renewal *r, size_t *out_n)
{
    *out_n = r->target_count;
    return r->targets;
}
