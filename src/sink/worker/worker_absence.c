/*
 * Columns whose field the records never have: the first records of each route are looked at once
 * more, and main is told what none of them had. All workers count together (sink/plan/watched.h),
 * and only the first to find something says it. After that a record costs one comparison for each
 * of its routes. Another configuration and other tables begin it again. Worker thread.
 */
#include "base/mem.h"
#include "row/record/absence.h"
#include "sink/plan/plan.h"
#include "sink/worker/worker_state.h"

#include <stdlib.h>

/* Where records name the table, the first few tables say enough of the route. */
#define TABLES_MAX 8
/* After so many records without an end, such as deletes, only some are looked at. */
#define RECORDS_MAX (TABLES_MAX * ABSENCE_RECORDS)
#define THINNED 16

struct route_watch {
    size_t records; /* that were looked at */
    struct absence tables[TABLES_MAX];
    size_t table_count;
};

static void forget_tables(struct route_watch *r)
{
    for (size_t i = 0; i < r->table_count; i++) {
        absence_done(&r->tables[i]);
    }
    r->table_count = 0;
}

void worker_absence_reset(struct worker *w)
{
    for (size_t i = 0; i < w->watch_count; i++) {
        if (w->watches[i] != NULL) {
            forget_tables(w->watches[i]);
            free(w->watches[i]);
        }
    }
    free(w->watches);
    free(w->watched);
    w->watches = NULL;
    w->watched = NULL;
    w->watch_count = 0;
}

/* That of a route, by the number of its policy. */
static struct route_watch *watch_of(struct worker *w, uint32_t number)
{
    if (number >= w->watch_count) {
        size_t n = number + 1;
        w->watches = mem_realloc(w->watches, n, sizeof(struct route_watch *));
        w->watched = mem_realloc(w->watched, n, sizeof *w->watched);
        for (; w->watch_count < n; w->watch_count++) {
            w->watches[w->watch_count] = NULL;
            w->watched[w->watch_count] = false;
        }
    }
    if (w->watches[number] == NULL) {
        w->watches[number] = mem_zalloc(sizeof **w->watches);
    }
    return w->watches[number];
}

static void end_watch(struct worker *w, uint32_t number)
{
    forget_tables(w->watches[number]);
    w->watched[number] = true;
}

static const struct mapping *mapping_of(struct worker *w, const struct record_route *route,
                                        const struct message *msg)
{
    struct error err;

    if (route->chooser == NULL) {
        return route->mapping;
    }
    return decoder_read(w->decoder, route->mapping, msg, &err)
               ? chooser_find(route->chooser, decoder_cells(w->decoder), &err)
               : NULL;
}

static struct absence *table_of(struct route_watch *r, const struct mapping *m)
{
    for (size_t i = 0; i < r->table_count; i++) {
        if (r->tables[i].survey.mapping == m) {
            return &r->tables[i];
        }
    }
    if (r->table_count == TABLES_MAX) {
        return NULL;
    }
    absence_init(&r->tables[r->table_count], m);
    return &r->tables[r->table_count++];
}

/* What this worker has found, for the others. */
static void share(const struct absence *a, struct watched_table *t)
{
    for (size_t i = 0; i < a->survey.column_count; i++) {
        if (a->survey.columns[i].found > 0) {
            watched_find(t, i);
        }
    }
}

/* What the others have found. */
static void take_over(struct absence *a, struct watched_table *t)
{
    for (size_t i = 0; i < a->survey.column_count; i++) {
        a->survey.columns[i].found += watched_has(t, i);
    }
    a->records = ABSENCE_RECORDS;
}

/* There are enough records. True: it is said, now or before, by this worker or another. */
static bool report(struct worker *w, uint32_t number, struct absence *a, struct watched_table *t)
{
    struct policy *p = policies_at(w->wc.policies, number);
    struct error err;

    take_over(a, t);
    if (!absence_find(a, &err)) {
        return false;
    }
    if (!atomic_exchange_explicit(&t->is_said, true, memory_order_relaxed) &&
        !atomic_exchange_explicit(&p->absence_said, true, memory_order_relaxed)) {
        error_wrap(&err, "route '%s'", p->route);
        worker_report(w, REPORT_ABSENCE, NULL, 0, &err);
    }
    return true;
}

/* Looks at one more record of a table. True: nothing more is to be found out of this route. */
static bool look_at(struct worker *w, const struct record_route *route, struct absence *a,
                    const struct message *msg)
{
    struct policy *p = policies_at(w->wc.policies, route->number);
    struct watched_table *t = watched_of(&p->watched, mapping_target(a->survey.mapping)->id,
                                         a->survey.column_count);
    size_t before = a->records;

    if (t == NULL) {
        return true;
    }
    absence_add(a, w->decoder, msg);
    share(a, t);
    if (a->records > before) {
        watched_count(t);
    }
    if (watched_records(t) < ABSENCE_RECORDS) {
        return false;
    }
    return report(w, route->number, a, t) || route->chooser == NULL;
}

void worker_absence_look(struct worker *w, const struct record_route *route,
                         const struct message *msg)
{
    if (!decoder_took(w->decoder)) {
        return;
    }
    struct route_watch *r = watch_of(w, route->number);
    r->records++;
    if (r->records > RECORDS_MAX && r->records % THINNED != 0) {
        return;
    }
    const struct mapping *m = mapping_of(w, route, msg);
    struct absence *a = m != NULL ? table_of(r, m) : NULL;
    if (a != NULL && a->records < ABSENCE_RECORDS && look_at(w, route, a, msg)) {
        end_watch(w, route->number);
    }
}

void worker_absence_renewed(struct worker *w, const struct topic_plan *plan)
{
    for (size_t i = 0; i < plan->route_count; i++) {
        struct policy *p = policies_at(w->wc.policies, plan->routes[i].number);
        atomic_store_explicit(&p->absence_said, false, memory_order_relaxed);
    }
}
