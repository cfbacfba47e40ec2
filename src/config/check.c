/*
 * Rules that concern more than one value, or need more than a type: names, identifiers, regular
 * expressions, refused properties, the same topic twice into one table, two routes of one name.
 * Runs after the defaults are set, so it sees what is in force. Asks no server and does not look at
 * what row/ will make of paths and conditions. Main thread.
 */
#include "base/mem.h"
#include "config/address.h"
#include "config/load.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

static bool check_sink(struct load *l)
{
    const struct config *cfg = l->cfg;

    for (const char *p = cfg->sink; *p != '\0'; p++) {
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '_' && *p != '-') {
            return load_error(l, cfg->sink_pos, "'sink' may only contain a-z, 0-9, '_' and '-'");
        }
    }
    return true;
}

/* PostgreSQL reserves the prefix pg_. */
static bool check_schema(struct load *l)
{
    const struct config *cfg = l->cfg;

    if (config_lacks(cfg, cfg->postgres.schema_pos)) {
        return true;
    }
    if (strncmp(cfg->postgres.schema, "pg_", 3) == 0 ||
        strcmp(cfg->postgres.schema, "information_schema") == 0) {
        return load_error(l, cfg->postgres.schema_pos,
                          "'postgres.schema' cannot be one of PostgreSQL's own");
    }
    return true;
}

/* "" means none; a variable or a file that brings in nothing is a mistake. */
static bool check_password(struct load *l)
{
    const struct config *cfg = l->cfg;

    if (*cfg->postgres.password != '\0' || !config_is_expanded(cfg, cfg->postgres.password_pos)) {
        return true;
    }
    load_error(l, cfg->postgres.password_pos,
               "'postgres.password' is empty: ${...} brings in nothing");
    return error_hint(l->err, "Set the variable, or fill the file; leave the option out if no "
                              "password is needed.");
}

static void check_properties(struct load *l)
{
    const struct config_properties *list = &l->cfg->kafka.properties;

    for (size_t i = 0; i < list->count; i++) {
        const struct config_property *p = &list->items[i];
        const struct option_refused *refused = option_refused_find(str_of(p->name));

        if (refused != NULL) {
            load_error(l, p->pos, "property '%s' is refused: %s", shown_of(str_of(p->name)).text,
                       refused->reason);
            load_note(l);
        }
    }
}

/* librdkafka takes "http" for the name of a protocol that it does not know, and does not say so. */
static bool check_brokers(struct load *l)
{
    const char *brokers = l->cfg->kafka.brokers;

    if (strstr(brokers, "http://") == NULL && strstr(brokers, "https://") == NULL) {
        return true;
    }
    load_error(l, l->cfg->kafka.brokers_pos, "'kafka.brokers' takes no URL");
    return error_hint(l->err, "Write host:port; TLS is security.protocol in kafka.properties.");
}

/* It is executed as it is: whoever expects a shell must learn that here. */
static bool check_token_command(struct load *l)
{
    const char *command = l->cfg->kafka.oauth_token_command;
    const char *what = command[0] != '\0' && command[0] != '/' ? "must begin with an absolute path"
                       : command[strcspn(command, "'\"\\`$|&;<>()*?~#")] != '\0'
                           ? "is not read by a shell, and can have no quotes or signs of a shell"
                           : NULL;

    if (what == NULL || config_lacks(l->cfg, l->cfg->kafka.oauth_token_command_pos)) {
        return true;
    }
    load_error(l, l->cfg->kafka.oauth_token_command_pos, "'kafka.oauth_token_command' %s", what);
    return error_hint(l->err, "Write what it needs into a script, and the script's path here.");
}

/* A row of history belongs to a move of the ledger. */
static bool check_audit(struct load *l)
{
    const struct config *cfg = l->cfg;

    if (!cfg->audit || config_has_ledger(cfg)) {
        return true;
    }
    load_error(l, cfg->audit_pos, "'audit' needs delivery exactly_once, which keeps a ledger");
    return error_hint(l->err, "Remove it, or use 'delivery: exactly_once'.");
}

static bool check_listen(struct load *l)
{
    struct config *cfg = l->cfg;

    if (config_lacks(cfg, cfg->http.listen_pos) ||
        address_parse(str_of(cfg->http.listen), &cfg->http.address)) {
        return true;
    }
    load_error(l, cfg->http.listen_pos, "'http.listen' cannot be '%s'",
               shown_of(str_of(cfg->http.listen)).text);
    return error_hint(l->err, "Write a numeric address and a port, such as 127.0.0.1:9477 or "
                              "\"[::1]:9477\", or off.");
}

/* With exactly_once the offsets are in the ledger, and how they are committed has no effect. */
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

/*
 * With exactly_once a crash of the server loses rows and offsets together. Offsets in the group
 * stay, so there the rows must be on disk before.
 */
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

/* Compiled the way librdkafka compiles it, so that a pattern it would refuse is refused here. */
static bool check_regex(struct load *l, const struct config_topic *topic)
{
    /* It compiles, and \d is the letter d. */
    if (strstr(topic->name, "\\d") != NULL && strstr(topic->name, "\\\\d") == NULL) {
        load_error(l, topic->pos, "in a regular expression of POSIX \\d is the letter d");
        return error_hint(l->err, "A digit is [0-9].");
    }
    regex_t regex;
    int code = regcomp(&regex, topic->name, REG_EXTENDED | REG_NOSUB);
    char reason[128];

    if (code == 0) {
        regfree(&regex);
        return true;
    }
    regerror(code, &regex, reason, sizeof reason);
    load_error(l, topic->pos, "the regular expression does not compile: %s", reason);
    return error_hint(l->err,
                      "It is an extended one of POSIX, as for grep -E: without (?:...), (?!...) "
                      "or *?; a character that is meant as it is has a backslash before it, "
                      "in single quotes.");
}

/* Mode append has no key, so options that look for the row of a key would do nothing. */
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
        {"only_if_newer", route->only_if_newer_pos, route->only_if_newer.count > 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(keyed); i++) {
        if (keyed[i].is_set) {
            load_error(l, keyed[i].pos,
                       "'%s' is for rows that are found by a key, and mode append only adds rows",
                       keyed[i].name);
            return error_hint(l->err, "The modes with a key are upsert, ignore and update.");
        }
    }
    return true;
}

/*
 * Tables are looked up at start, before the first record, so those that records may name must be
 * listed.
 */
static bool check_tables(struct load *l, const struct config_route *route)
{
    if (route->table.is_by_record && route->tables.count == 0) {
        load_error(l, route->table_pos, "records name this table, but 'tables' lists none");
        return error_hint(l->err, "List every table that they may name: tables: [a, b, c]");
    }
    if (!route->table.is_by_record && route->tables.count > 0) {
        load_error(l, route->tables_pos, "'tables' is only for a table that records name");
        return error_hint(l->err, "For instance table: events_{value.type}");
    }
    for (size_t i = 0; i < route->tables.count; i++) {
        if (strlen(route->tables.items[i]) > TABLE_NAME_MAX) {
            return load_error(l, route->tables_pos, "'tables' contains a name longer than %d bytes",
                              TABLE_NAME_MAX);
        }
    }
    return true;
}

/* Options that only change events give a meaning to. */
static bool check_no_changes(struct load *l, const struct config_route *route)
{
    const struct {
        const char *name;
        struct position pos;
        bool is_set;
    } changes[] = {
        {"delete: change", route->delete_pos, route->delete == CONFIG_DELETE_CHANGE},
        {"on_truncate", route->on_truncate_pos, route->on_truncate != ON_TRUNCATE_APPLY},
        {"time_precision", route->time_precision_pos, route->time_precision != TIME_PRECISION_AUTO},
        {"decimal", route->decimal_pos, route->decimal != CONFIG_DECIMAL_AUTO},
    };

    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        if (changes[i].is_set) {
            load_error(l, changes[i].pos, "'%s' is only for change events, but envelope is %s",
                       changes[i].name,
                       route->envelope == CONFIG_ENVELOPE_CONNECT ? "connect" : "none");
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
    case CONFIG_FORMAT_AVRO:
    case CONFIG_FORMAT_PROTOBUF:
    case CONFIG_FORMAT_JSON_SCHEMA:
        return true;
    case CONFIG_FORMAT_RAW:
        return false;
    }
    __builtin_unreachable();
}

/* Another object than the value itself is the row. */
static bool check_root(struct load *l, const struct config_route *route)
{
    bool is_parsed = route->parse == CONFIG_PARSE_JSON;

    if (strcmp(route->root, "value") == 0 && !is_parsed) {
        return true;
    }
    const char *name = is_parsed ? "parse" : "root";
    struct position pos = is_parsed ? route->parse_pos : route->root_pos;
    if (!has_fields(route->format)) {
        return load_error(l, pos, "'%s' needs records that are JSON, not raw", name);
    }
    if (*route->explode != '\0') {
        return load_error(l, pos, "'%s' does not go with 'explode', whose elements are the rows",
                          name);
    }
    if (route->envelope == CONFIG_ENVELOPE_DEBEZIUM) {
        return load_error(l, pos,
                          "with envelope debezium the event says where the row is, not '%s'", name);
    }
    return true;
}

/* Who has the schemas? */
static bool check_schemas(struct load *l, const struct config_route *route)
{
    const char *of_value = config_value_schema(route);
    const char *of_key = config_key_schema(route);

    /* A section with a fault of its own may have had a URL in it. */
    bool is_consequence = l->cfg->registry.pos.line != 0 && l->faults->count > l->route_faults;
    if ((of_value == NULL && of_key == NULL) || config_has_registry(l->cfg) || is_consequence) {
        return true;
    }
    load_error(l, of_value != NULL ? route->format_pos : route->key_format_pos,
               "'%s: %s' needs a schema registry", of_value != NULL ? "format" : "key_format",
               of_value != NULL ? of_value : of_key);
    return error_hint(l->err, "registry: {url: http://host:8081}");
}

static bool check_format(struct load *l, const struct config_route *route)
{
    if (route->envelope == CONFIG_ENVELOPE_CONNECT && config_value_schema(route) != NULL) {
        load_error(l, route->envelope_pos, "with envelope connect records are JSON, not %s",
                   config_value_schema(route));
        return error_hint(l->err, "There is no schema and payload around a row whose schema is "
                                  "registered: envelope: none, or debezium");
    }
    return has_fields(route->format) || route->envelope == CONFIG_ENVELOPE_NONE ||
           load_error(l, route->format_pos, "with envelope %s records are JSON, not raw",
                      route->envelope == CONFIG_ENVELOPE_CONNECT ? "connect" : "debezium");
}

/* A change event is one whole row that says itself what happened to it. */
static bool check_envelope(struct load *l, const struct config_route *route)
{
    if (config_lacks(l->cfg, route->envelope_pos)) {
        return true;
    }
    if (!check_format(l, route) || !check_root(l, route)) {
        return false;
    }
    if (*route->explode != '\0' && route->envelope == CONFIG_ENVELOPE_CONNECT) {
        return load_error(
            l, route->explode_pos,
            "'explode' does not go with envelope connect, whose schema is that of the "
            "whole row");
    }
    if (route->envelope != CONFIG_ENVELOPE_DEBEZIUM) {
        return check_no_changes(l, route);
    }
    if (*route->explode != '\0') {
        return load_error(
            l, route->explode_pos,
            "with envelope debezium a record is one row, but 'explode' makes several");
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
                   "'soft_delete' keeps rows, but on_truncate: apply does not");
        return error_hint(l->err, "on_truncate: ignore");
    }
    return true;
}

/* A table is made from what the records say of themselves. */
static bool check_create(struct load *l, const struct config_route *route)
{
    if (!route->create) {
        return true;
    }
    if (route->format == CONFIG_FORMAT_RAW) {
        return load_error(l, route->create_pos,
                          "'create' needs records with a schema, and format raw has none");
    }
    if (route->format == CONFIG_FORMAT_JSON && route->envelope == CONFIG_ENVELOPE_NONE &&
        !config_lacks(l->cfg, route->envelope_pos)) {
        load_error(l, route->create_pos,
                   "'create' needs records that carry their schema: envelope debezium or connect, "
                   "or a format with a registry");
        return error_hint(l->err, "pgsinkd propose TOPIC suggests a table for other records.");
    }
    if (*route->explode != '\0' || route->parse == CONFIG_PARSE_JSON) {
        return load_error(l, route->create_pos, "'create' does not go with '%s'",
                          *route->explode != '\0' ? "explode" : "parse: json");
    }
    if (route->table.is_by_record) {
        return load_error(l, route->create_pos,
                          "'create' does not go with a table that the record names");
    }
    return true;
}

static bool check_names_option(struct load *l, const struct config_route *route)
{
    if (route->names == CONFIG_NAMES_EXACT || has_fields(route->format)) {
        return true;
    }
    return load_error(l, route->names_pos,
                      "'names' is about the fields of a value, but format raw has none");
}

static bool check_mode(struct load *l, const struct config_route *route)
{
    if (config_lacks(l->cfg, route->mode_pos)) {
        return true;
    }
    if (route->mode == MODE_APPEND) {
        return check_append(l, route);
    }
    if (*route->soft_delete != '\0' && route->delete == CONFIG_DELETE_OFF &&
        *route->delete_when == '\0' && !config_lacks(l->cfg, route->delete_pos)) {
        load_error(l, route->soft_delete_pos, "'soft_delete' needs 'delete', which is off");
        return error_hint(l->err, "delete: tombstone, or delete_when: value.op = 'd'");
    }
    if (route->only_if_newer.count > 0 && route->mode == MODE_IGNORE) {
        return load_error(l, route->only_if_newer_pos,
                          "'only_if_newer' does not go with mode ignore, which never overwrites");
    }
    return true;
}

/* Of its options only the first fault: several rules may dislike the same one. */
void check_route(struct load *l, const struct config_route *route)
{
    for (size_t i = 0; i < route->topics.count; i++) {
        if (route->topics.items[i].is_regex && !check_regex(l, &route->topics.items[i])) {
            load_note(l);
        }
    }
    if (!check_tables(l, route) || !check_schemas(l, route) || !check_envelope(l, route) ||
        !check_create(l, route) || !check_names_option(l, route) || !check_mode(l, route)) {
        load_note(l);
    }
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

/* Routes that differ in condition or array may share a topic and a table: they make other rows. */
static bool is_same_use(const struct use *a, const struct use *b)
{
    return strcmp(a->topic->name, b->topic->name) == 0 &&
           table_name_same(&a->route->table, &b->route->table) &&
           strcmp(a->route->when, b->route->when) == 0 &&
           strcmp(a->route->root, b->route->root) == 0 && a->route->parse == b->route->parse &&
           strcmp(a->route->explode, b->route->explode) == 0;
}

/* Equal uses are neighbours in this order, the earlier one in the file first. */
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
        order = strcmp(a->route->root, b->route->root);
    }
    if (order == 0) {
        order = (int) a->route->parse - (int) b->route->parse;
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
                              "this topic already goes into the same table, see line %u",
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

/* Where a name is written, else the table that it was taken from. */
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
                              "Give this one a 'name' of its own; a route without one is named "
                              "after its table.");
        }
    }
    return true;
}

void check_sections(struct load *l)
{
    static bool (*const rules[])(struct load * l) = {
        check_sink,   check_schema, check_password, check_brokers,    check_token_command,
        check_commit, check_audit,  check_listen,   check_durability, check_registry,
    };

    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (!rules[i](l)) {
            load_note(l);
        }
    }
    check_properties(l);
}

void check_routes(struct load *l)
{
    if (!check_twice(l)) {
        load_note(l);
    }
    if (!check_names(l)) {
        load_note(l);
    }
}
