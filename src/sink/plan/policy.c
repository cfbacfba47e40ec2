/* See policy.h. */
#include "sink/plan/policy.h"

#include "base/mem.h"
#include "row/batch/dead_letter.h"

#include <stdlib.h>
#include <string.h>

static void quota_begin(struct quota *q, const struct config_allowance *limit)
{
    _Static_assert(CONFIG_SHARE_PARTS == QUOTA_SHARE_PARTS, "shares differ");
    if (limit->share > 0) {
        quota_init_share(q, limit->share, QUOTA_WINDOW);
    } else if (limit->count > 0) {
        quota_init_rate(q, limit->count, limit->per);
    } else {
        quota_init_off(q);
    }
}

static struct route_stats *stats_new(void)
{
    struct route_stats *s = mem_zalloc(sizeof *s);

    s->users = 1;
    return s;
}

static struct policy *policy_new(const struct config_route *route, uint32_t number)
{
    struct policy *p = mem_zalloc(sizeof *p);

    p->route = mem_strdup(route->name);
    p->number = number;
    p->limit = route->max_dead_letters;
    p->dead_letter = route->on_error == ON_ERROR_DEAD_LETTER;
    p->stats = stats_new();
    quota_begin(&p->quota, &p->limit);
    return p;
}

static void policy_free(struct policy *p)
{
    if (--p->stats->users == 0) {
        free(p->stats);
    }
    watched_done(&p->watched);
    free(p->route);
    free(p);
}

static struct policies *policies_with_room(const struct config *cfg, size_t more)
{
    struct policies *p = mem_zalloc(sizeof *p);

    p->list = mem_array(MAX(cfg->route_count + more, 1), sizeof *p->list);
    p->numbers = mem_array(MAX(cfg->route_count, 1), sizeof *p->numbers);
    return p;
}

struct policies *policies_new(const struct config *cfg)
{
    struct policies *p = policies_with_room(cfg, 0);

    p->nobody = mem_zalloc(sizeof *p->nobody);
    p->nobody->route = mem_strdup("");
    p->nobody->stats = stats_new();
    quota_init_off(&p->nobody->quota);
    for (size_t i = 0; i < cfg->route_count; i++) {
        p->numbers[i] = (uint32_t) i;
        p->list[p->count++] = policy_new(&cfg->routes[i], (uint32_t) i);
    }
    return p;
}

static void free_lists(struct policies *p)
{
    free(p->list);
    free(p->numbers);
    free(p);
}

struct policies *policies_free(struct policies *p)
{
    if (p != NULL) {
        dead_letter_target_free(p->letters);
        table_free(p->letters_table);
        for (size_t i = 0; i < p->count; i++) {
            if (p->list[i] != p->nobody) {
                policy_free(p->list[i]);
            }
        }
        policy_free(p->nobody);
        free_lists(p);
    }
    return NULL;
}

/* ---- a reload ---- */

/* The lowest number that nobody has, which may be a new one. */
static uint32_t free_number(struct policies *p)
{
    uint32_t n = 0;

    while (n < p->count && p->list[n] != p->nobody) {
        n++;
    }
    p->count = MAX(p->count, (size_t) n + 1);
    return n;
}

/* Into the numbers of a route of that name: what is still on its way for it counts there, too. */
static void count_on(struct policy *policy, const struct policies *former)
{
    for (size_t i = 0; i < former->count; i++) {
        if (strcmp(former->list[i]->route, policy->route) == 0) {
            free(policy->stats); /* nobody's yet */
            policy->stats = former->list[i]->stats;
            policy->stats->users++;
            return;
        }
    }
}

struct policies *policies_reload(struct policies *former, const struct config *before,
                                 const struct config *after)
{
    struct policies *p = policies_with_room(after, former->count);

    p->nobody = former->nobody;
    p->letters = former->letters;
    p->letters_table = former->letters_table;
    for (size_t i = 0; i < former->count; i++) {
        p->list[p->count++] = former->list[i]->retired ? p->nobody : former->list[i];
    }
    for (size_t i = 0; i < before->route_count; i++) {
        policies_at(former, former->numbers[i])->retired = true;
    }
    for (size_t i = 0; i < after->route_count; i++) {
        const struct config_route *same = config_same_route(before, &after->routes[i]);
        if (same != NULL) {
            p->numbers[i] = former->numbers[same - before->routes];
            policies_at(p, p->numbers[i])->retired = false;
        } else {
            p->numbers[i] = free_number(p);
            p->list[p->numbers[i]] = policy_new(&after->routes[i], p->numbers[i]);
            count_on(p->list[p->numbers[i]], former);
        }
    }
    while (p->count > 0 && p->list[p->count - 1] == p->nobody) {
        p->count--;
    }
    return p;
}

static bool has(const struct policies *p, const struct policy *policy)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->list[i] == policy) {
            return true;
        }
    }
    return false;
}

void policies_release(struct policies *former, const struct policies *latter)
{
    for (size_t i = 0; i < former->count; i++) {
        if (former->list[i] != former->nobody && !has(latter, former->list[i])) {
            policy_free(former->list[i]);
        }
    }
    free_lists(former);
}

/* ---- dead letters ---- */

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
        if (p->list[i]->dead_letter) {
            return true;
        }
    }
    return false;
}

struct policy *policies_find(const struct policies *p, const struct target *target)
{
    bool is_of_one = target->route != NULL && target->number < p->count;

    return is_of_one ? policies_at(p, target->number) : NULL;
}

void policies_count_rows(struct policies *p, const struct target *target, uint64_t n)
{
    struct policy *of = policies_find(p, target);

    if (of != NULL) {
        stats_route_rows(of->stats, n);
    }
}

void policies_count_letter(struct policies *p, struct str route, const char *sqlstate)
{
    for (size_t i = 0; i < p->count; i++) {
        if (str_eq_z(route, p->list[i]->route)) {
            stats_route_letter(p->list[i]->stats, sqlstate);
            return; /* one that is retired has the same numbers */
        }
    }
}

bool policy_counts(const struct policy *p)
{
    return p->dead_letter && p->quota.kind == QUOTA_SHARE;
}

/* ---- what a batch asks for ---- */

static void use_taken(const struct policies *p, struct quota_use *uses,
                      const struct batch_taken *taken)
{
    const struct quota *q = &p->list[taken->route]->quota;

    if (taken->letter) {
        quota_use_letter(q, &uses[taken->route]);
    } else {
        quota_use_good(q, &uses[taken->route]);
    }
}

static struct quota_use *uses_new(const struct policies *p)
{
    struct quota_use *uses = mem_array(MAX(p->count, 1), sizeof *uses);

    for (size_t i = 0; i < p->count; i++) {
        quota_use_begin(&p->list[i]->quota, &uses[i]);
    }
    return uses;
}

static bool fits(const struct policy *p, const struct quota_use *use, usec_t now)
{
    bool exceeded = atomic_load_explicit(&p->exceeded, memory_order_relaxed);

    return use->letters == 0 || (!exceeded && quota_fits(&p->quota, use, now));
}

/* The first letter that does not fit; false: all of them do by now, for others have given back. */
static bool find_excess(const struct policies *p, const struct batch *b, usec_t now,
                        size_t *out_record, struct policy **out_policy)
{
    _cleanup_mem_ struct quota_use *uses = uses_new(p);

    for (size_t i = 0; i < b->taken_count; i++) {
        const struct batch_taken *taken = &b->taken[i];
        use_taken(p, uses, taken);
        if (taken->letter && !fits(p->list[taken->route], &uses[taken->route], now)) {
            *out_record = taken->record;
            *out_policy = p->list[taken->route];
            return true;
        }
    }
    return false;
}

static bool take(struct policy *p, const struct quota_use *use, usec_t now, int64_t *out_amount)
{
    return fits(p, use, now) && quota_take(&p->quota, use, now, out_amount);
}

/* All of the routes get what they ask for, or none does. */
static bool take_all(struct policies *p, struct batch *b, usec_t now)
{
    _cleanup_mem_ struct quota_use *uses = uses_new(p);

    for (size_t i = 0; i < b->taken_count; i++) {
        use_taken(p, uses, &b->taken[i]);
    }
    for (size_t i = 0; i < p->count; i++) {
        int64_t amount;
        if (!take(p->list[i], &uses[i], now, &amount)) {
            policies_give_back(p, b);
            return false;
        }
        if (amount != 0) {
            batch_reserve(b, (uint32_t) i, amount);
        }
    }
    return true;
}

bool policies_reserve(struct policies *p, struct batch *b, usec_t now, size_t *out_record,
                      struct policy **out_policy)
{
    policies_give_back(p, b); /* it was sent before, and the ledger says that it is not stored */
    while (b->taken_count > 0 && !take_all(p, b, now)) {
        if (find_excess(p, b, now, out_record, out_policy)) {
            return false;
        }
    }
    return true;
}

void policies_give_back(struct policies *p, struct batch *b)
{
    for (size_t i = 0; i < b->reserve_count; i++) {
        quota_give_back(&p->list[b->reserves[i].route]->quota, b->reserves[i].amount);
    }
    b->reserve_count = 0;
}

void policies_keep(struct batch *b)
{
    b->reserve_count = 0;
}

/* ---- when there are too many ---- */

bool policy_exceeded(struct policy *p, struct error *err)
{
    atomic_store_explicit(&p->exceeded, true, memory_order_relaxed);
    const struct config_allowance *limit = &p->limit;
    if (limit->share > 0) {
        error_wrap(err,
                   "route '%s' has had more dead letters than %g%% of its records, the next "
                   "would be",
                   p->route, limit->share * 100.0 / CONFIG_SHARE_PARTS);
    } else {
        error_wrap(err, "route '%s' has had %llu dead letters in %g s, the next would be", p->route,
                   (unsigned long long) limit->count, (double) limit->per / USEC_PER_SEC);
    }
    return error_hint(
        err, "Where so much fails it is rarely the records: look at the table and at "
             "dead_letters. Then resume() the partitions, or raise max_dead_letters of the route.");
}

void policy_refill(struct policy *p)
{
    quota_refill(&p->quota);
    atomic_store_explicit(&p->exceeded, false, memory_order_relaxed);
}

void policy_forget_excess(struct policy *p)
{
    atomic_store_explicit(&p->exceeded, false, memory_order_relaxed);
}
