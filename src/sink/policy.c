/* See policy.h. */
#include "sink/policy.h"

#include "base/mem.h"
#include "row/dead_letter.h"

#include <stdlib.h>
#include <string.h>

struct policies *policies_new(const struct config *cfg)
{
    struct policies *p = mem_zalloc(sizeof *p);
    p->cfg = cfg;
    p->list = mem_array(cfg->route_count, sizeof *p->list);
    p->count = cfg->route_count;
    for (size_t i = 0; i < p->count; i++) {
        p->list[i] = (struct policy){
            .route = cfg->routes[i].name,
            .dead_letter = cfg->routes[i].on_error == ON_ERROR_DEAD_LETTER,
        };
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

size_t policy_room(const struct policy *p)
{
    (void) p;
    return SIZE_MAX;
}

void policy_take(struct policy *p, size_t n)
{
    (void) p;
    (void) n;
}

bool policy_exceeded(const struct policy *p, struct error *err)
{
    error_wrap(err, "too many dead letters of route '%s'", p->route);
    return false;
}
