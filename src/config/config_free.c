/*
 * Gives back a configuration and all that hangs on it, a half-read one too: config_load frees what
 * it has when a value is refused. Main thread.
 */
#include "config/config.h"

#include "base/mem.h"
#include "config/option.h"
#include "config/source.h"

#include <string.h>

static void free_columns(struct config_columns *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct config_column *c = &list->items[i];

        for (size_t k = 0; k < c->value_count; k++) {
            mem_freep(&c->values[k].path);
            mem_freep(&c->values[k].constant);
        }
        mem_freep(&c->values);
        mem_freep(&c->sql);
        mem_freep(&c->column);
    }
    mem_freep(&list->items);
}

static void free_properties(struct config_properties *list)
{
    for (size_t i = 0; i < list->count; i++) {
        mem_freep(&list->items[i].name);
        mem_freep(&list->items[i].value);
    }
    mem_freep(&list->items);
}

static void free_topics(struct config_topics *list)
{
    for (size_t i = 0; i < list->count; i++) {
        mem_freep(&list->items[i].name);
    }
    mem_freep(&list->items);
}

static void free_key(struct config_key *list)
{
    for (size_t i = 0; i < list->count; i++) {
        mem_freep(&list->items[i]);
    }
    mem_freep(&list->items);
    mem_freep(&list->places);
}

static void free_field(const struct option *o, void *field)
{
    if (o->kind == OPTION_TEXT) {
        mem_freep(field);
    } else if (o->kind == OPTION_PROPERTIES) {
        free_properties(field);
    } else if (o->kind == OPTION_TOPICS) {
        free_topics(field);
    } else if (o->kind == OPTION_COLUMNS) {
        free_columns(field);
    } else if (o->kind == OPTION_KEY) {
        free_key(field);
    } else if (o->kind == OPTION_TABLE) {
        table_name_done(field);
    }
}

static void free_fields(bool routes, void *base)
{
    size_t n;
    const struct option *options = option_list(&n);

    for (size_t i = 0; i < n; i++) {
        if (routes == (strcmp(options[i].section, SECTION_ROUTE) == 0)) {
            free_field(&options[i], (char *) base + options[i].offset);
        }
    }
}

struct config *config_free(struct config *cfg)
{
    if (cfg == NULL) {
        return NULL;
    }
    free_fields(false, cfg);
    for (size_t i = 0; i < cfg->route_count; i++) {
        free_fields(true, &cfg->routes[i]);
    }
    mem_freep(&cfg->routes);
    source_done(cfg->source);
    mem_freep(&cfg->source);
    mem_freep(&cfg->path);
    mem_freep(&cfg);
    return NULL;
}
