/*
 * Lists and mappings with a shape of their own: kafka.properties and the like, and those of a route
 * except its columns. Each entry keeps its position, so that later checks can name it. What is read
 * is in the configuration from its first entry on, and is freed with it on failure. Main thread.
 */
#include "base/mem.h"
#include "config/load.h"
#include "config/mask.h"

#include <stdio.h>

#define TOPIC_MAX 249 /* Kafka's limit for a topic's name */
#define PATTERN_MAX 1024

static char *copy(struct str s)
{
    return mem_strndup(s.p, s.n);
}

/* ---- kafka.properties, registry.headers, ... ---- */

static bool read_property(struct load *l, const struct yaml_node *n, const char *what,
                          struct config_property *out)
{
    char prefix[SHOWN_MAX];
    char label[2 * SHOWN_MAX];
    struct str value;

    if (n->key.n == 0) {
        return load_error(l, n->key_pos, "a property without a name");
    }
    snprintf(prefix, sizeof prefix, "%s.", what);
    load_entry_label(prefix, n->key, label);
    bool is_secret = mask_is_secret(n->key, n->text);
    if ((is_secret && !value_check_cut(l, n, label)) || !value_text(l, n, label, &value)) {
        return false;
    }
    *out = (struct config_property){copy(n->key), copy(value), n->key_pos, n->pos};
    return true;
}

bool route_read_properties(struct load *l, const struct yaml_node *n, const char *label,
                           struct config_properties *out)
{
    if (yaml_node_is_null(n)) {
        return true;
    }
    if (!load_expect(l, n, YAML_MAP, label, "a mapping of names to values")) {
        return false;
    }
    out->items = mem_array(MAX(n->count, (size_t) 1), sizeof *out->items);
    for (const struct yaml_node *child = n->first; child != NULL; child = child->next) {
        if (read_property(l, child, label, &out->items[out->count])) {
            out->count += 1;
        } else {
            load_note(l);
        }
    }
    return true;
}

/* ---- topics ---- */

static bool is_topic_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static bool check_topic_name(struct load *l, const struct yaml_node *n, struct str name)
{
    bool ok = name.n <= TOPIC_MAX && !str_eq_z(name, ".") && !str_eq_z(name, "..");

    for (size_t i = 0; i < name.n; i++) {
        ok = ok && is_topic_char(name.p[i]);
    }
    if (ok) {
        return true;
    }
    load_error(l, n->pos, "'%s' is not the name of a topic", shown_of(n->text).text);
    return error_hint(l->err,
                      "A name has at most %d letters, digits, '.', '_' and '-'; "
                      "a regular expression starts with ^.",
                      TOPIC_MAX);
}

static bool read_topic(struct load *l, const struct yaml_node *n, struct config_topic *out)
{
    struct str text;
    bool regex;

    if (!value_text(l, n, "topics", &text)) {
        return false;
    }
    if (text.n == 0) {
        return load_error(l, n->pos, "'topics' contains an empty name");
    }
    regex = text.p[0] == '^';
    if (regex && text.n > PATTERN_MAX) {
        return load_error(l, n->pos, "the regular expression is longer than %d bytes", PATTERN_MAX);
    }
    if (!regex && !check_topic_name(l, n, text)) {
        return false;
    }
    *out = (struct config_topic){copy(text), regex, n->pos};
    return true;
}

bool route_read_topics(struct load *l, const struct yaml_node *n, struct config_topics *out)
{
    if (n->kind == YAML_SCALAR) {
        out->items = mem_array(1, sizeof *out->items);
        out->count = 1;
        if (!read_topic(l, n, out->items)) {
            out->count = 0;
            return false;
        }
        return true;
    }
    if (!load_expect(l, n, YAML_LIST, "topics", "a list of names")) {
        return false;
    }
    if (n->count == 0) {
        return load_error(l, n->pos, "'topics' is empty");
    }
    out->items = mem_array(n->count, sizeof *out->items);
    for (const struct yaml_node *child = n->first; child != NULL; child = child->next) {
        if (read_topic(l, child, &out->items[out->count])) {
            out->count += 1;
        } else {
            load_note(l);
        }
    }
    return true;
}

/* ---- table ---- */

bool route_read_table(struct load *l, const struct yaml_node *n, struct table_name *out)
{
    struct str text;

    if (!value_text(l, n, "table", &text)) {
        return false;
    }
    if (!table_name_parse(text, out, NULL, l->err)) {
        return config_error_locate(l->cfg, n->pos, l->err);
    }
    return true;
}

/* ---- key, tables ---- */

static bool read_name(struct load *l, const struct yaml_node *n, const char *label,
                      struct config_key *out)
{
    struct str text;

    if (!value_text(l, n, label, &text)) {
        return false;
    }
    if (text.n == 0) {
        return load_error(l, n->pos, "'%s' contains an empty name", label);
    }
    for (size_t i = 0; i < out->count; i++) {
        if (str_eq_z(text, out->items[i])) {
            return load_error(l, n->pos, "'%s' contains a name twice", label);
        }
    }
    out->places[out->count] = n->pos;
    out->items[out->count++] = copy(text);
    return true;
}

bool route_read_names(struct load *l, const struct yaml_node *n, const char *label,
                      struct config_key *out)
{
    out->items = mem_array(MAX(n->count, (size_t) 1), sizeof *out->items);
    out->places = mem_array(MAX(n->count, (size_t) 1), sizeof *out->places);
    if (n->kind == YAML_SCALAR) {
        return read_name(l, n, label, out);
    }
    if (!load_expect(l, n, YAML_LIST, label, "a list of names")) {
        return false;
    }
    for (const struct yaml_node *child = n->first; child != NULL; child = child->next) {
        if (!read_name(l, child, label, out)) {
            load_note(l);
        }
    }
    return true;
}
