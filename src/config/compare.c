/*
 * What differs between two configurations, walked over by the table of options, so that a new
 * option is covered without a word here. Values are compared as they are, and shown as config_print
 * shows them. Any thread.
 */
#include "config/compare.h"

#include "base/mem.h"
#include "config/print.h"
#include "config/source.h"

#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

/* The same values, but nothing is known of how the file has them. */
static struct config unwritten(const struct config *cfg)
{
    struct config plain = *cfg;

    plain.source = NULL;
    return plain;
}

static bool prints_alike(const struct option *o, const struct config *cfg_a, const void *a,
                         const struct config *cfg_b, const void *b)
{
    _cleanup_buf_ struct buf text_a = {0};
    _cleanup_buf_ struct buf text_b = {0};
    struct config plain_a = unwritten(cfg_a);
    struct config plain_b = unwritten(cfg_b);

    print_option_value(&plain_a, o, a, &text_a);
    print_option_value(&plain_b, o, b, &text_b);
    return str_eq(buf_str(&text_a), buf_str(&text_b));
}

static bool is_of_route(const struct option *o)
{
    return strcmp(o->section, SECTION_ROUTE) == 0;
}

/* What is read again for each connection is as it is written. */
static const char *text_of(const struct option *o, const struct config *cfg, const void *base)
{
    const char *written = NULL;
    struct position pos;

    memcpy(&pos, (const char *) base + o->pos_offset, sizeof pos);
    if ((o->flags & AGAIN) != 0) {
        written = source_find(cfg->source, pos);
    }
    return written != NULL ? written : *(char *const *) ((const char *) base + o->offset);
}

/* Texts may be secrets, which print alike. */
bool compare_is_same(const struct option *o, const struct config *cfg_a, const void *a,
                     const struct config *cfg_b, const void *b)
{
    if (o->kind != OPTION_TEXT) {
        return prints_alike(o, cfg_a, a, cfg_b, b);
    }
    return strcmp(text_of(o, cfg_a, a), text_of(o, cfg_b, b)) == 0;
}

bool config_route_is_same(const struct config_route *a, const struct config_route *b)
{
    size_t n;
    const struct option *options = option_list(&n);
    const struct config none = {0};

    for (size_t i = 0; i < n; i++) {
        if (is_of_route(&options[i]) && !compare_is_same(&options[i], &none, a, &none, b)) {
            return false;
        }
    }
    return true;
}

/* ---- values on one line ---- */

static struct str next_line(struct str *rest)
{
    const char *end = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
    struct str line = {rest->p, end != NULL ? (size_t) (end - rest->p) : rest->n};
    size_t used = MIN(rest->n, line.n + 1);

    *rest = (struct str){rest->p + used, rest->n - used};
    while (line.n > 0 && *line.p == ' ') {
        line = (struct str){line.p + 1, line.n - 1};
    }
    return line;
}

/* A value of several lines as YAML has it on one: [a, b], {from: a, unit: ms}. */
static void add_flat(struct str value, struct buf *out)
{
    struct str line = next_line(&value);

    if (line.n > 0) {
        buf_add_str(out, line);
        return;
    }
    char open = '\0'; /* the bracket of all; those of a list in it are inner */
    bool inner = false;
    while (value.n > 0) {
        line = next_line(&value);
        bool is_item = line.n > 1 && line.p[0] == '-' && line.p[1] == ' ';
        bool begins = line.n > 0 && line.p[line.n - 1] == ':';
        if (open == '\0') {
            open = is_item ? '[' : '{';
            buf_add(out, &open, 1);
        } else if (inner && !is_item) {
            buf_add_z(out, "], ");
            inner = false;
        } else if (out->p[out->n - 1] != '[') {
            buf_add_z(out, ", ");
        }
        buf_add_str(out, is_item ? (struct str){line.p + 2, line.n - 2} : line);
        if (begins && !is_item) {
            buf_add_z(out, " [");
            inner = true;
        }
    }
    buf_add_z(out, inner ? "]" : "");
    buf_add_z(out, open == '[' ? "]" : "}");
}

static void add_value(const struct option *o, const struct config *cfg, const void *base,
                      struct buf *out)
{
    _cleanup_buf_ struct buf value = {0};

    print_option_value(cfg, o, base, &value);
    add_flat(buf_str(&value), out);
}

/* ---- differences ---- */

struct comparison {
    const struct config *before;
    const struct config *after;
    struct config_changes *changes;
};

static void add(struct comparison *c, const char *text, enum config_need need)
{
    struct config_changes *all = c->changes;

    all->items = mem_grow(all->items, &all->cap, all->count, sizeof *all->items);
    all->items[all->count++] = (struct config_change){mem_strdup(text), need};
}

static enum config_need need_of(const struct comparison *c, const struct option *o)
{
    if (is_of_route(o)) {
        bool is_first = o->offset == offsetof(struct config_route, on_error) &&
                        !config_needs_schema(c->before);
        return is_first ? NEED_SCHEMA : NEED_NOTHING;
    }
    if (!option_is_live(o)) {
        return NEED_RESTART;
    }
    if (o->offset == offsetof(struct config, audit) && c->after->audit) {
        return NEED_HISTORY;
    }
    return o->offset == offsetof(struct config, http.listen) ? NEED_ADDRESS : NEED_NOTHING;
}

static const char *mechanism_of(const struct config *cfg)
{
    const struct config_property *p = config_sasl_mechanism(cfg);

    return p != NULL ? p->value : "GSSAPI";
}

bool compare_is_login(const struct config *before, const struct config *after, const char *name)
{
    const char *mechanism = mechanism_of(after);
    bool has_password = strcmp(mechanism, "PLAIN") == 0 || strncmp(mechanism, "SCRAM-", 6) == 0;

    return (strcmp(name, "sasl.password") == 0 || strcmp(name, "sasl.username") == 0) &&
           has_password && strcmp(mechanism, mechanism_of(before)) == 0 &&
           config_property_of(&before->kafka.properties, name) != NULL &&
           config_property_of(&after->kafka.properties, name) != NULL;
}

/* from and to may be empty: then it was not there before, or is not any more. */
static void add_change(struct comparison *c, enum config_need need, const char *name,
                       struct buf *from, struct buf *to)
{
    _cleanup_buf_ struct buf text = {0};
    const char *before = from->n > 0 ? buf_cstr(from) : "(none)";
    const char *after = to->n > 0 ? buf_cstr(to) : "(none)";

    if (strcmp(before, after) == 0) {
        buf_printf(&text, "%s: %s, which is another value now", name, after);
    } else {
        buf_printf(&text, "%s: %s -> %s", name, before, after);
    }
    add(c, buf_cstr(&text), need);
}

/* One entry of a mapping, of either side or of both. */
struct entry_pair {
    const char *name;
    const void *before;
    const void *after;
};

typedef void add_entry(const struct config *cfg, const void *entry, struct buf *out);
typedef bool same_entry(const void *a, const void *b);

static void compare_entry(struct comparison *c, const struct option *o, const char *prefix,
                          const struct entry_pair *e, add_entry *print, same_entry *same)
{
    _cleanup_buf_ struct buf name = {0};
    _cleanup_buf_ struct buf from = {0};
    _cleanup_buf_ struct buf to = {0};

    if (e->before != NULL && e->after != NULL && same(e->before, e->after)) {
        return;
    }
    buf_printf(&name, "%s.%s", prefix, e->name);
    if (e->before != NULL) {
        print(c->before, e->before, &from);
    }
    if (e->after != NULL) {
        print(c->after, e->after, &to);
    }
    bool is_login = o->kind == OPTION_PROPERTIES && compare_is_login(c->before, c->after, e->name);
    add_change(c, is_login ? NEED_NOTHING : need_of(c, o), buf_cstr(&name), &from, &to);
}

static void add_property(const struct config *cfg, const void *entry, struct buf *out)
{
    _cleanup_buf_ struct buf value = {0};

    print_property_value(cfg, entry, &value);
    add_flat(buf_str(&value), out);
}

static bool same_property(const void *a, const void *b)
{
    const struct config_property *pa = a;
    const struct config_property *pb = b;

    return strcmp(pa->value, pb->value) == 0;
}

static void compare_properties(struct comparison *c, const struct option *o, const char *prefix,
                               const struct config_properties *before,
                               const struct config_properties *after)
{
    for (size_t i = 0; i < before->count; i++) {
        const char *name = before->items[i].name;
        struct entry_pair e = {name, &before->items[i], config_property_of(after, name)};
        compare_entry(c, o, prefix, &e, add_property, same_property);
    }
    for (size_t i = 0; i < after->count; i++) {
        struct entry_pair e = {after->items[i].name, NULL, &after->items[i]};
        if (config_property_of(before, e.name) == NULL) {
            compare_entry(c, o, prefix, &e, add_property, same_property);
        }
    }
}

static void add_column(const struct config *cfg, const void *entry, struct buf *out)
{
    _cleanup_buf_ struct buf value = {0};

    print_column_value(cfg, entry, &value);
    add_flat(buf_str(&value), out);
}

static bool same_column(const void *a, const void *b)
{
    _cleanup_buf_ struct buf text_a = {0};
    _cleanup_buf_ struct buf text_b = {0};
    const struct config none = {0};
    const struct config plain = unwritten(&none);

    print_column_value(&plain, a, &text_a);
    print_column_value(&plain, b, &text_b);
    return str_eq(buf_str(&text_a), buf_str(&text_b));
}

static const struct config_column *column_of(const struct config_columns *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].column, name) == 0) {
            return &list->items[i];
        }
    }
    return NULL;
}

static void compare_columns(struct comparison *c, const struct option *o, const char *prefix,
                            const struct config_columns *before, const struct config_columns *after)
{
    for (size_t i = 0; i < before->count; i++) {
        const char *name = before->items[i].column;
        struct entry_pair e = {name, &before->items[i], column_of(after, name)};
        compare_entry(c, o, prefix, &e, add_column, same_column);
    }
    for (size_t i = 0; i < after->count; i++) {
        struct entry_pair e = {after->items[i].column, NULL, &after->items[i]};
        if (column_of(before, e.name) == NULL) {
            compare_entry(c, o, prefix, &e, add_column, same_column);
        }
    }
}

static void compare_option(struct comparison *c, const struct option *o, const char *name,
                           const void *a, const void *b)
{
    const void *field_a = (const char *) a + o->offset;
    const void *field_b = (const char *) b + o->offset;

    if (o->kind == OPTION_PROPERTIES) {
        compare_properties(c, o, name, field_a, field_b);
    } else if (o->kind == OPTION_COLUMNS) {
        compare_columns(c, o, name, field_a, field_b);
    } else if (!compare_is_same(o, c->before, a, c->after, b)) {
        _cleanup_buf_ struct buf from = {0};
        _cleanup_buf_ struct buf to = {0};
        add_value(o, c->before, a, &from);
        add_value(o, c->after, b, &to);
        add_change(c, need_of(c, o), name, &from, &to);
    }
}

/* ---- routes ---- */

/* The name of a route that was taken from an expanded table would show what was expanded. */
static void add_route_name(const struct config *cfg, const struct config_route *route,
                           struct buf *out)
{
    bool is_hidden = route->name_pos.line == 0 &&
                     source_find(cfg->source, route->table_pos) != NULL;
    bool is_written = route->name_pos.line != 0 &&
                      source_find(cfg->source, route->name_pos) != NULL;

    if (is_hidden || is_written) {
        buf_printf(out, "routes[%zu]", (size_t) (route - cfg->routes));
    } else {
        buf_printf(out, "routes[%s]", route->name);
    }
}

static const struct config_route *route_of(const struct config *cfg, const char *name)
{
    for (size_t i = 0; i < cfg->route_count; i++) {
        if (strcmp(cfg->routes[i].name, name) == 0) {
            return &cfg->routes[i];
        }
    }
    return NULL;
}

const struct config_route *config_same_route(const struct config *cfg,
                                             const struct config_route *route)
{
    const struct config_route *found = route_of(cfg, route->name);

    return found != NULL && config_route_is_same(found, route) ? found : NULL;
}

static void compare_route(struct comparison *c, const struct config_route *before,
                          const struct config_route *after)
{
    size_t n;
    const struct option *options = option_list(&n);

    for (size_t i = 0; i < n; i++) {
        if (is_of_route(&options[i])) {
            _cleanup_buf_ struct buf name = {0};
            add_route_name(c->after, after, &name);
            buf_printf(&name, ".%s", options[i].name);
            compare_option(c, &options[i], buf_cstr(&name), before, after);
        }
    }
}

static void add_route(struct comparison *c, const struct config *cfg,
                      const struct config_route *route, const char *what)
{
    const struct option *topics = option_find(SECTION_ROUTE, str_of("topics"));
    const struct option *table = option_find(SECTION_ROUTE, str_of("table"));
    _cleanup_buf_ struct buf text = {0};

    add_route_name(cfg, route, &text);
    buf_printf(&text, ": %s, topics ", what);
    add_value(topics, cfg, route, &text);
    buf_add_z(&text, " into ");
    add_value(table, cfg, route, &text);
    add(c, buf_cstr(&text), NEED_NOTHING);
}

static void add_new_route(struct comparison *c, const struct config_route *route)
{
    _cleanup_buf_ struct buf text = {0};

    add_route(c, c->after, route, "added");
    if (route->on_error == ON_ERROR_DEAD_LETTER && !config_needs_schema(c->before)) {
        add_route_name(c->after, route, &text);
        buf_add_z(&text, ".on_error: dead_letter");
        add(c, buf_cstr(&text), NEED_SCHEMA);
    }
}

/* Routes that both have are written in the order of the configuration: has that changed? */
static void compare_order(struct comparison *c)
{
    const struct config_route *last = c->before->routes;

    for (size_t i = 0; i < c->after->route_count; i++) {
        const struct config_route *r = route_of(c->before, c->after->routes[i].name);
        if (r != NULL && r < last) {
            add(c, "routes: in another order", NEED_NOTHING);
            return;
        }
        last = r != NULL ? r : last;
    }
}

void compare_routes(const struct config *before, const struct config *after,
                    struct config_changes *out)
{
    struct comparison c = {.before = before, .after = after, .changes = out};

    for (size_t i = 0; i < before->route_count; i++) {
        const struct config_route *route = &before->routes[i];
        const struct config_route *next = route_of(after, route->name);
        if (next != NULL) {
            compare_route(&c, route, next);
        } else {
            add_route(&c, before, route, "removed");
        }
    }
    for (size_t i = 0; i < after->route_count; i++) {
        if (route_of(before, after->routes[i].name) == NULL) {
            add_new_route(&c, &after->routes[i]);
        }
    }
    compare_order(&c);
}

void compare_options(const struct config *before, const struct config *after,
                     struct config_changes *out)
{
    struct comparison c = {.before = before, .after = after, .changes = out};
    size_t n;
    const struct option *options = option_list(&n);

    for (size_t i = 0; i < n; i++) {
        const struct option *o = &options[i];
        if (!is_of_route(o)) {
            _cleanup_buf_ struct buf name = {0};
            bool in_section = strcmp(o->section, SECTION_ROOT) != 0;
            buf_printf(&name, "%s%s%s", o->section, in_section ? "." : "", o->name);
            compare_option(&c, o, buf_cstr(&name), before, after);
        }
    }
}

void config_changes_free(struct config_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        free(changes->items[i].text);
    }
    free(changes->items);
    *changes = (struct config_changes){0};
}
