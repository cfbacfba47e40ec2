/* See policy.h. */
#include "sink/plan/policy.h"

#include "base/mem.h"
#include "row/batch/dead_letter.h"

#include <stdlib.h>
#include <string.h>

struct policies *policies_new(const struct config *cfg)
{
    struct policies *p = mem_zalloc(sizeof *p);

    p->cfg = cfg;
    p->list = mem_array(cfg->route_count, sizeof *p->list);
    p->count = cfg->route_count;
    for (size_t i = 0; i < p->count; i++) {
        const struct config_route *route = &cfg->routes[i];
        p->list[i].cfg = route;
        p->list[i].route = route->name;
        p->list[i].dead_letter = route->on_error == ON_ERROR_DEAD_LETTER;
        quota_init(&p->list[i].quota, route->max_dead_letters.count, route->max_dead_letters.per);
    }
    return p;
}

struct policies *policies_free(struct policies *p)
{
    if (p != NULL) {
        dead_letter_target_free(p->letters);
        table_free(p->letters_table);
        free(p->list);
        free(p);
    }
    return NULL;
}

bool policies_set_letters(struct policies *p, struct table *table, struct error *err)
{
    struct target *letters = dead_letter_target(table, err);

    if (letters == NULL) {
        table_free(table);
        return false;
    }
    dead_letter_target_free(p->letters);
    table_free(p->letters_table);
    p->letters = letters;
    p->letters_table = table;
    return true;
}

bool policies_want_letters(const struct policies *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->list[i].dead_letter) {
            return true;
        }
    }
    return false;
}

struct policy *policies_find(const struct policies *p, const struct target *target)
{
    for (size_t i = 0; i < p->count; i++) {
        if (target->route != NULL && strcmp(p->list[i].route, target->route) == 0) {
            return &p->list[i];
        }
    }
    return NULL;
}

uint64_t policy_room(const struct policy *p)
{
    bool exceeded = atomic_load_explicit(&p->exceeded, memory_order_relaxed);

    return exceeded ? 0 : quota_room(&p->quota, clock_mono());
}

void policy_take(struct policy *p)
{
    bool taken = quota_take(&p->quota, clock_mono());

    (void) taken; /* another worker was faster: one more than the rate is no matter */
}

bool policy_exceeded(struct policy *p, struct error *err)
{
    atomic_store_explicit(&p->exceeded, true, memory_order_relaxed);
    const struct config_rate *rate = &p->cfg->max_dead_letters;
    error_wrap(err, "route '%s' has had %llu dead letters in %g s, the next would be", p->route,
               (unsigned long long) rate->count, (double) rate->per / USEC_PER_SEC);
    return error_hint(err, "Where so much fails it is rarely the records: look at the table and at "
                           "dead_letters. Then restart, or raise max_dead_letters of the route.");
}
