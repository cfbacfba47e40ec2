/* See entries.h. Main thread. */
#include "sink/plan/entries.h"

#include "base/mem.h"
#include "pg/topic_entries.h"

#include <stdlib.h>
#include <string.h>

static struct entry *find(const struct entries *e, const char *text)
{
    for (size_t i = 0; i < e->count; i++) {
        if (strcmp(e->items[i].text, text) == 0) {
            return &e->items[i];
        }
    }
    return NULL;
}

struct entries entries_of(const struct config *cfg)
{
    struct entries e = {0};
    size_t cap = 0;

    for (size_t r = 0; r < cfg->route_count; r++) {
        const struct config_topics *topics = &cfg->routes[r].topics;
        for (size_t i = 0; i < topics->count; i++) {
            if (find(&e, topics->items[i].name) == NULL) {
                e.items = mem_grow(e.items, &cap, e.count, sizeof *e.items);
                e.items[e.count++] = (struct entry){
                    .text = topics->items[i].name, .route = r, .item = i, .used = true};
            }
        }
    }
    return e;
}

void entries_done(struct entries *e)
{
    free(e->items);
    *e = (struct entries){0};
}

void entries_reload(struct entries *e, const struct config *cfg)
{
    struct entries next = entries_of(cfg);

    for (size_t i = 0; i < next.count && config_has_ledger(cfg); i++) {
        const struct entry *before = find(e, next.items[i].text);
        next.items[i].used = before != NULL && before->used;
    }
    entries_done(e);
    *e = next;
}

static bool matches_any(const struct plan *plan, const struct entry *entry,
                        const struct topic_entries_names *topics)
{
    for (size_t i = 0; i < topics->count; i++) {
        if (plan_entry_takes(plan, entry->route, entry->item, topics->items[i])) {
            return true;
        }
    }
    return false;
}

/* No row is to be made: what the entry matches has one, or was created later. */
static bool write_used(const struct entry *entry, const struct config *cfg, struct conn *c,
                       struct error *err)
{
    return topic_entries_use(c, cfg->postgres.schema, cfg->sink, entry->text, "", NULL, 0, err);
}

bool entries_load(struct entries *e, const struct config *cfg, const struct plan *plan,
                  struct conn *c, struct error *err)
{
    struct topic_entries_names used;
    struct topic_entries_names topics;
    bool ok = topic_entries_read(c, cfg->postgres.schema, cfg->sink, &used, &topics, err);

    for (size_t i = 0; ok && i < e->count; i++) {
        e->items[i].used = matches_any(plan, &e->items[i], &topics);
        ok = !e->items[i].used || write_used(&e->items[i], cfg, c, err);
    }
    for (size_t i = 0; ok && i < used.count; i++) {
        struct entry *entry = find(e, used.items[i]);
        if (entry != NULL) {
            entry->used = true;
        }
    }
    topic_entries_names_free(&used);
    topic_entries_names_free(&topics);
    return ok;
}

const struct entry *entries_unused(const struct entries *e, const struct plan *plan,
                                   const char *topic)
{
    for (size_t i = 0; i < e->count; i++) {
        const struct entry *entry = &e->items[i];
        if (!entry->used && plan_entry_takes(plan, entry->route, entry->item, topic)) {
            return entry;
        }
    }
    return NULL;
}

bool entries_all_used(const struct entries *e)
{
    for (size_t i = 0; i < e->count; i++) {
        if (!e->items[i].used) {
            return false;
        }
    }
    return true;
}
