/*
 * Rules that concern more than one value, or need more than a type: names, identifiers, regular
 * expressions, refused properties, the same topic twice into one table, two routes of one name.
 * Main thread.
 */
#include "base/mem.h"
#include "config/load.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

static bool check_sink(struct load *l)
{
    const struct config *cfg = l->cfg;

    for (const char *p = cfg->sink; *p != '\0'; p++) {
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '_' && *p != '-') {
            return load_error(l, cfg->sink_pos, "'sink' may hold a-z, 0-9, '_' and '-' only");
        }
    }
    return true;
}

/* PostgreSQL keeps the prefix pg_ for itself. */
static bool check_schema(struct load *l)
{
    const struct config *cfg = l->cfg;

    if (strncmp(cfg->postgres.schema, "pg_", 3) == 0 ||
        strcmp(cfg->postgres.schema, "information_schema") == 0) {
        return load_error(l, cfg->postgres.schema_pos,
                          "'postgres.schema' cannot be one of PostgreSQL's own");
    }
    return true;
}

static bool check_properties(struct load *l)
{
    const struct config_properties *list = &l->cfg->kafka.properties;

    for (size_t i = 0; i < list->count; i++) {
        const struct config_property *p = &list->items[i];
        const struct option_refused *refused = option_refused_find(str_of(p->name));

        if (refused != NULL) {
            return load_error(l, p->pos, "property '%s' is refused: %s",
                              load_show(str_of(p->name)).text, refused->reason);
        }
    }
    return true;
}

/* Which commit strategies go with which delivery. With exactly_once none of them means anything. */
static bool check_commit(struct load *l)
{
    const struct config *cfg = l->cfg;

    if (cfg->kafka.commit != COMMIT_INTERVAL || config_has_ledger(cfg)) {
        return true;
    }
    if (cfg->delivery == DELIVERY_AT_MOST_ONCE) {
        load_error(l, cfg->kafka.commit_pos,
                   "'kafka.commit' cannot be 'interval' with delivery at_most_once, which commits "
                   "the offsets of each transaction before its rows are sent");
        return error_hint(l->err, "Use 'sync', or 'async', which does not wait for the answer.");
    }
    if (cfg->kafka.commit_interval == 0) {
        load_error(l, cfg->kafka.commit_interval_pos,
                   "'kafka.commit_interval' is 0, so offsets would never be committed");
        return error_hint(l->err, "With 'kafka.commit: interval' it must be longer.");
    }
    return true;
}

/* Rows that a crash of the server may lose must not be behind a position in the group. */
static bool check_durability(struct load *l)
{
    const struct config *cfg = l->cfg;

    if (cfg->delivery != DELIVERY_AT_LEAST_ONCE ||
        cfg->postgres.synchronous_commit != SYNCHRONOUS_COMMIT_OFF) {
        return true;
    }
    load_error(l, cfg->postgres.synchronous_commit_pos,
               "'postgres.synchronous_commit' cannot be 'off' with delivery at_least_once: a crash "
               "of the server would lose rows whose offsets are committed");
    return error_hint(l->err, "It is safe with exactly_once, where rows and offsets go together.");
}

/* Compiled as librdkafka does it with the C library of Linux. */
static bool check_regex(struct load *l, const struct config_topic *topic)
{
    regex_t regex;
    int code = regcomp(&regex, topic->name, REG_EXTENDED | REG_NOSUB);
    char reason[128];

    if (code == 0) {
        regfree(&regex);
        return true;
    }
    regerror(code, &regex, reason, sizeof reason);
    return load_error(l, topic->pos, "the regular expression does not compile: %s", reason);
}

/* What only makes sense where rows have a key. */
static bool check_append(struct load *l, const struct config_route *route)
{
    const struct {
        const char *name;
        struct position pos;
        bool is_set;
    } keyed[] = {
        {"key", route->key_pos, route->key.count > 0},
        {"delete", route->delete_pos, route->delete != CONFIG_DELETE_OFF},
        {"delete_when", route->delete_when_pos, *route->delete_when != '\0'},
        {"soft_delete", route->soft_delete_pos, *route->soft_delete != '\0'},
        {"only_if_newer", route->only_if_newer_pos, *route->only_if_newer != '\0'},
    };

    for (size_t i = 0; i < ARRAY_LEN(keyed); i++) {
        if (keyed[i].is_set) {
            load_error(l, keyed[i].pos, "'%s' needs a key, and mode append has none",
                       keyed[i].name);
            return error_hint(l->err, "Key modes are upsert, ignore and update.");
        }
    }
    return true;
}

/* A table that records name needs the list of those that they may name. */
static bool check_tables(struct load *l, const struct config_route *route)
{
    if (route->table.is_by_record && route->tables.count == 0) {
        load_error(l, route->table_pos,
                   "records name this table, and 'tables' does not list which");
        return error_hint(l->err, "Add all that may come: tables: [a, b, c]");
    }
    if (!route->table.is_by_record && route->tables.count > 0) {
        load_error(l, route->tables_pos, "'tables' is for a table that records name");
        return error_hint(l->err, "For instance table: events_{value.type}");
    }
    for (size_t i = 0; i < route->tables.count; i++) {
        if (strlen(route->tables.items[i]) > TABLE_NAME_MAX) {
            return load_error(l, route->tables_pos, "'tables' holds a name longer than %d bytes",
                              TABLE_NAME_MAX);
        }
    }
    return true;
}

/* What only change events have. */
static bool check_no_envelope(struct load *l, const struct config_route *route)
{
    const struct {
        const char *name;
        struct position pos;
        bool is_set;
    } changes[] = {
        {"delete: change", route->delete_pos, route->delete == CONFIG_DELETE_CHANGE},
        {"on_truncate", route->on_truncate_pos, route->on_truncate != ON_TRUNCATE_APPLY},
        {"time_precision", route->time_precision_pos,
         route->time_precision != TIME_PRECISION_ADAPTIVE},
    };

    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        if (changes[i].is_set) {
            load_error(l, changes[i].pos, "'%s' is for change events, and envelope is none",
                       changes[i].name);
            return error_hint(l->err, "envelope: debezium");
        }
    }
    return true;
}

/* Has a value of this format named fields? row/format/format.c says the same, and mapping_new
 * asserts it where an envelope is asked for. */
static bool has_fields(enum config_format format)
{
    switch (format) {
    case CONFIG_FORMAT_JSON:
        return true;
    case CONFIG_FORMAT_RAW:
        return false;
    }
    __builtin_unreachable();
}

static bool check_envelope(struct load *l, const struct config_route *route)
{
    if (route->envelope == CONFIG_ENVELOPE_NONE) {
        return check_no_envelope(l, route);
    }
    if (!has_fields(route->format)) {
        return load_error(l, route->format_pos, "with envelope debezium records are JSON, not raw");
    }
    if (*route->explode != '\0') {
        return load_error(
            l, route->explode_pos,
            "with envelope debezium a record is one row, and 'explode' makes several");
    }
    if (*route->delete_when != '\0') {
        load_error(l, route->delete_when_pos,
                   "with envelope debezium the events say what is deleted");
        return error_hint(l->err, "delete: change, or off");
    }
    if (route->delete == CONFIG_DELETE_TOMBSTONE) {
        load_error(l, route->delete_pos,
                   "with envelope debezium the events say what is deleted, not tombstones");
        return error_hint(l->err, "delete: change, or off");
    }
    if (*route->soft_delete != '\0' && route->on_truncate == ON_TRUNCATE_APPLY) {
        load_error(l, route->soft_delete_pos,
                   "'soft_delete' keeps rows, and on_truncate: apply does not");
        return error_hint(l->err, "on_truncate: ignore");
    }
    return true;
}

static bool check_mode(struct load *l, const struct config_route *route)
{
    if (route->mode == MODE_APPEND) {
        return check_append(l, route);
    }
    if (*route->soft_delete != '\0' && route->delete == CONFIG_DELETE_OFF &&
        *route->delete_when == '\0') {
        load_error(l, route->soft_delete_pos, "'soft_delete' needs 'delete', which is off");
        return error_hint(l->err, "delete: tombstone, or delete_when: value.op = 'd'");
    }
    if (*route->only_if_newer != '\0' && route->mode == MODE_IGNORE) {
        return load_error(l, route->only_if_newer_pos,
                          "'only_if_newer' does not go with mode ignore, which never overwrites");
    }
    return true;
}

static bool check_route(struct load *l, const struct config_route *route)
{
    for (size_t i = 0; i < route->topics.count; i++) {
        if (route->topics.items[i].is_regex && !check_regex(l, &route->topics.items[i])) {
            return false;
        }
    }
    return check_tables(l, route) && check_envelope(l, route) && check_mode(l, route);
}

/* ---- the same topic twice into the same table ---- */

struct use {
    const struct config_route *route;
    const struct config_topic *topic;
};

static int compare_text(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b);
}

static int compare_position(struct position a, struct position b)
{
    if (a.line != b.line) {
        return a.line < b.line ? -1 : 1;
    }
    return a.column < b.column ? -1 : a.column > b.column;
}

static bool is_same_use(const struct use *a, const struct use *b)
{
    return strcmp(a->topic->name, b->topic->name) == 0 &&
           table_name_same(&a->route->table, &b->route->table) &&
           strcmp(a->route->when, b->route->when) == 0 &&
           strcmp(a->route->explode, b->route->explode) == 0;
}

static int compare_use(const void *pa, const void *pb)
{
    const struct use *a = pa;
    const struct use *b = pb;
    int order = strcmp(a->topic->name, b->topic->name);

    if (order == 0) {
        order = compare_text(a->route->table.schema, b->route->table.schema);
    }
    if (order == 0) {
        order = compare_text(a->route->table.name, b->route->table.name);
    }
    if (order == 0) {
        order = strcmp(a->route->when, b->route->when);
    }
    if (order == 0) {
        order = strcmp(a->route->explode, b->route->explode);
    }
    return order != 0 ? order : compare_position(a->topic->pos, b->topic->pos);
}

static bool check_twice(struct load *l)
{
    const struct config *cfg = l->cfg;
    _cleanup_mem_ struct use *uses = NULL;
    size_t total = 0;
    size_t n = 0;

    for (size_t i = 0; i < cfg->route_count; i++) {
        total += cfg->routes[i].topics.count;
    }
    uses = mem_array(total, sizeof *uses);
    for (size_t i = 0; i < cfg->route_count; i++) {
        for (size_t j = 0; j < cfg->routes[i].topics.count; j++) {
            uses[n++] = (struct use){&cfg->routes[i], &cfg->routes[i].topics.items[j]};
        }
    }
    qsort(uses, n, sizeof *uses, compare_use);
    for (size_t i = 1; i < n; i++) {
        if (is_same_use(&uses[i - 1], &uses[i])) {
            return load_error(l, uses[i].topic->pos,
                              "this topic goes into the same table already, see line %u",
                              uses[i - 1].topic->pos.line);
        }
    }
    return true;
}

/* ---- routes' names ---- */

static int compare_route_name(const void *pa, const void *pb)
{
    const struct config_route *const *a = pa;
    const struct config_route *const *b = pb;
    int order = strcmp((*a)->name, (*b)->name);

    return order != 0 ? order : compare_position((*a)->pos, (*b)->pos);
}

/* Where a name is written, or else the table it was taken from. */
static struct position name_position(const struct config_route *route)
{
    return route->name_pos.line != 0 ? route->name_pos : route->table_pos;
}

static bool check_names(struct load *l)
{
    const struct config *cfg = l->cfg;
    _cleanup_mem_ const struct config_route **routes = mem_array(cfg->route_count, sizeof *routes);

    for (size_t i = 0; i < cfg->route_count; i++) {
        routes[i] = &cfg->routes[i];
    }
    qsort(routes, cfg->route_count, sizeof *routes, compare_route_name);
    for (size_t i = 1; i < cfg->route_count; i++) {
        if (strcmp(routes[i - 1]->name, routes[i]->name) == 0) {
            load_error(l, name_position(routes[i]), "another route has the same name, see line %u",
                       name_position(routes[i - 1]).line);
            return error_hint(l->err,
                              "Give this one a 'name' of its own; without one a route is called "
                              "by its table.");
        }
    }
    return true;
}

bool check_config(struct load *l)
{
    if (!check_sink(l) || !check_schema(l) || !check_properties(l) || !check_commit(l) ||
        !check_durability(l)) {
        return false;
    }
    for (size_t i = 0; i < l->cfg->route_count; i++) {
        if (!check_route(l, &l->cfg->routes[i])) {
            return false;
        }
    }
    return check_twice(l) && check_names(l);
}
