/*
 * A file into a struct config: walks over its sections and routes by the table of options, then
 * sets the defaults that depend on other options. What a single value may be is field.c's, what
 * must fit together is check.c's. Main thread, before others start.
 */
#include "base/mem.h"
#include "config/load.h"
#include "config/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- unknown and missing keys ---- */

#define NAMES_MAX 32

/* The names that a section may contain, for hints; at the top level the sections too. */
static size_t section_names(const char *section, const char *out[static NAMES_MAX])
{
    size_t option_count;
    size_t section_count;
    size_t n = 0;
    const struct option *options = option_list(&option_count);
    const struct option_section *sections = option_sections(&section_count);

    for (size_t i = 0; i < option_count && n < NAMES_MAX; i++) {
        if (strcmp(options[i].section, section) == 0) {
            out[n++] = options[i].name;
        }
    }
    if (strcmp(section, SECTION_ROOT) != 0) {
        return n;
    }
    for (size_t i = 0; i < section_count && n < NAMES_MAX; i++) {
        out[n++] = sections[i].name;
    }
    if (n < NAMES_MAX) {
        out[n++] = SECTION_ROUTE;
    }
    return n;
}

/* An option of that name in another section: a key that was only indented wrongly. */
static const struct option *find_elsewhere(const char *section, struct str name)
{
    size_t n;
    const struct option *options = option_list(&n);

    for (size_t i = 0; i < n; i++) {
        if (str_eq_z(name, options[i].name) && strcmp(options[i].section, section) != 0) {
            return &options[i];
        }
    }
    return NULL;
}

static struct position *pos_at(void *base, size_t offset)
{
    return (struct position *) (void *) ((char *) base + offset);
}

/* base: the section's or the route's. */
static void take_for_there(const struct option *o, void *base, struct position pos)
{
    if (o != NULL && pos_at(base, o->pos_offset)->line == 0) {
        *pos_at(base, o->pos_offset) = pos;
    }
}

/* What an unknown key was meant to be is not missed as well. */
static void take_as_meant(struct load *l, const char *section, const struct option *elsewhere,
                          const struct yaml_node *n, void *base)
{
    const char *names[NAMES_MAX];
    size_t count = section_names(section, names);
    const char *near = str_nearest(shown_of(n->key).text, names, count);
    size_t options;
    const struct option *o = option_list(&options);

    if (elsewhere != NULL) {
        bool is_route = strcmp(elsewhere->section, SECTION_ROUTE) == 0;
        take_for_there(is_route ? NULL : elsewhere, l->cfg, n->key_pos);
    } else if (near != NULL && option_section_find(str_of(near)) != NULL &&
               strcmp(section, SECTION_ROOT) == 0) {
        for (size_t i = 0; i < options; i++) {
            bool is_inside = strcmp(o[i].section, near) == 0;
            take_for_there(is_inside ? &o[i] : NULL, l->cfg, n->key_pos);
        }
    } else if (near != NULL) {
        take_for_there(option_find(section, str_of(near)), base, n->key_pos);
        l->routes_meant = l->routes_meant || strcmp(near, SECTION_ROUTE) == 0;
    }
}

static bool unknown_key(struct load *l, const char *section, const struct yaml_node *n, void *base)
{
    const struct option *elsewhere = find_elsewhere(section, n->key);
    const char *names[NAMES_MAX];
    size_t count = section_names(section, names);
    struct shown shown = shown_of(n->key);

    take_as_meant(l, section, elsewhere, n, base);
    if (strcmp(section, SECTION_ROOT) == 0) {
        load_error(l, n->key_pos, "unknown key '%s'", shown.text);
    } else {
        load_error(l, n->key_pos, "unknown key '%s' in '%s'", shown.text, section);
    }
    const char *foreign = option_foreign_hint(n->key);
    if (elsewhere == NULL && foreign != NULL) {
        return error_hint(l->err, "%s", foreign);
    }
    if (elsewhere == NULL) {
        return load_hint_nearest(l, n->key, names, count);
    }
    if (strcmp(elsewhere->section, SECTION_ROOT) == 0) {
        return error_hint(l->err, "It belongs at the top level.");
    }
    return error_hint(l->err, "It belongs in '%s'.", elsewhere->section);
}

/* Every required option must have been in the file: its position says whether it was. */
static void check_required(struct load *l, const char *section, void *base, struct position pos)
{
    size_t n;
    const struct option *options = option_list(&n);

    for (size_t i = 0; i < n; i++) {
        const struct option *o = &options[i];
        char label[SHOWN_MAX];

        if (strcmp(o->section, section) == 0 && (o->flags & REQUIRED) != 0 &&
            pos_at(base, o->pos_offset)->line == 0) {
            load_error(l, pos, "missing '%s'", value_label(o, label));
            load_note(l);
        }
    }
}

/* ---- sections ---- */

static bool read_option(struct load *l, const struct option *o, const struct yaml_node *n,
                        void *base)
{
    *pos_at(base, o->pos_offset) = n->pos;
    return field_read(l, o, n, (char *) base + o->offset);
}

static bool expect_map(struct load *l, const struct yaml_node *n, const char *what)
{
    if (n->kind == YAML_MAP || yaml_node_is_null(n)) {
        return true;
    }
    return load_error(l, n->pos, "%s takes a mapping, not %s", what, yaml_node_kind_name(n));
}

/* A section whose lines are all comments has no value in YAML; it counts as an empty mapping. */
static bool read_section(struct load *l, const struct option_section *s, const struct yaml_node *n)
{
    char what[SHOWN_MAX];

    snprintf(what, sizeof what, "'%s'", s->name);
    if (!expect_map(l, n, what)) {
        return false;
    }
    *pos_at(l->cfg, s->pos_offset) = n->key_pos;
    for (const struct yaml_node *child = n->first; child != NULL; child = child->next) {
        const struct option *o = option_find(s->name, child->key);

        if (o == NULL ? !unknown_key(l, s->name, child, l->cfg)
                      : !read_option(l, o, child, l->cfg)) {
            load_note(l);
        }
    }
    return true;
}

/* Defaults come first; what the file has overwrites them. */
static void set_defaults(const char *section, void *base)
{
    size_t n;
    const struct option *options = option_list(&n);

    for (size_t i = 0; i < n; i++) {
        bool is_route = strcmp(options[i].section, SECTION_ROUTE) == 0;

        if (is_route == (strcmp(section, SECTION_ROUTE) == 0)) {
            field_default(&options[i], (char *) base + options[i].offset);
        }
    }
}

/* Its rules are looked at if it is read without a fault. */
static void read_route(struct load *l, const struct yaml_node *n, struct config_route *route)
{
    size_t before = l->faults->count;

    set_defaults(SECTION_ROUTE, route);
    route->pos = n->pos;
    if (!expect_map(l, n, "a route")) {
        load_note(l);
        l->route_faults++;
        return;
    }
    for (const struct yaml_node *child = n->first; child != NULL; child = child->next) {
        const struct option *o = option_find(SECTION_ROUTE, child->key);

        if (o == NULL ? !unknown_key(l, SECTION_ROUTE, child, route)
                      : !read_option(l, o, child, route)) {
            load_note(l);
        }
    }
    check_required(l, SECTION_ROUTE, route, route->pos);
    l->are_whole[route - l->cfg->routes] = l->faults->count == before;
    l->route_faults += l->faults->count - before;
}

static bool read_routes(struct load *l, const struct yaml_node *n)
{
    struct config *cfg = l->cfg;

    if (n->kind != YAML_LIST) {
        load_error(l, n->pos, "'routes' takes a list of routes, not %s", yaml_node_kind_name(n));
        return error_hint(l->err,
                          "Each route starts with '- ', for instance '- topics: [orders]'.");
    }
    if (n->count == 0 && !l->cfg->source->without_routes) {
        return load_error(l, n->pos, "'routes' is empty");
    }
    cfg->routes = mem_array(n->count, sizeof *cfg->routes);
    l->are_whole = mem_array(n->count, sizeof *l->are_whole);
    for (const struct yaml_node *child = n->first; child != NULL; child = child->next) {
        cfg->route_count += 1; /* first, so that a half-read route is freed */
        read_route(l, child, &cfg->routes[cfg->route_count - 1]);
    }
    return true;
}

static bool read_root_key(struct load *l, const struct yaml_node *n)
{
    l->routes_meant = l->routes_meant || str_eq_z(n->key, SECTION_ROUTE);
    const struct option *o = option_find(SECTION_ROOT, n->key);
    const struct option_section *s = option_section_find(n->key);

    if (o != NULL) {
        return read_option(l, o, n, l->cfg);
    }
    if (s != NULL) {
        return read_section(l, s, n);
    }
    if (str_eq_z(n->key, SECTION_ROUTE)) {
        return read_routes(l, n);
    }
    return unknown_key(l, SECTION_ROOT, n, l->cfg);
}

static void check_section_required(struct load *l, struct position root)
{
    size_t n;
    const struct option_section *sections = option_sections(&n);

    for (size_t i = 0; i < n; i++) {
        struct position pos = *pos_at(l->cfg, sections[i].pos_offset);

        check_required(l, sections[i].name, l->cfg, pos.line == 0 ? root : pos);
    }
}

static bool read_root(struct load *l, const struct yaml_node *root)
{
    if (!expect_map(l, root, "the file")) {
        return false;
    }
    for (const struct yaml_node *n = root->first; n != NULL; n = n->next) {
        if (!read_root_key(l, n)) {
            load_note(l);
        }
    }
    check_required(l, SECTION_ROOT, l->cfg, root->pos);
    check_section_required(l, root->pos);
    return l->routes_meant || l->cfg->source->without_routes ||
           load_error(l, root->pos, "missing 'routes'");
}

/* ---- a file ---- */

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        return mem_strdup(".");
    }
    return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t) (slash - path));
}

/* A route without a name of its own is named after its table. */
static void name_routes(struct load *l)
{
    for (size_t i = 0; i < l->cfg->route_count; i++) {
        struct config_route *route = &l->cfg->routes[i];

        if (l->are_whole[i] && *route->name == '\0') {
            _cleanup_buf_ struct buf table = {0};

            table_name_print(&route->table, &table);
            mem_freep(&route->name);
            route->name = mem_strdup(buf_cstr(&table));
            route->name_pos = (struct position){0}; /* name: "" is as good as none */
        }
    }
}

/* Change events change and delete rows, so they need other defaults than plain records. */
static void set_change_defaults(struct config *cfg)
{
    for (size_t i = 0; i < cfg->route_count; i++) {
        struct config_route *route = &cfg->routes[i];

        if (route->envelope != CONFIG_ENVELOPE_DEBEZIUM) {
            continue;
        }
        if (route->mode_pos.line == 0) {
            route->mode = MODE_UPSERT;
        }
        if (route->delete_pos.line == 0 && route->mode != MODE_APPEND) {
            route->delete = CONFIG_DELETE_CHANGE;
        }
    }
}

/* What is read without a fault is looked at, whatever else the file has wrong. */
static void check_all(struct load *l)
{
    struct config *cfg = l->cfg;

    if (l->faults->count == l->route_faults) {
        check_sections(l);
    }
    for (size_t i = 0; i < cfg->route_count; i++) {
        if (l->are_whole[i]) {
            check_route(l, &cfg->routes[i]);
        }
    }
    if (l->faults->count == 0) {
        check_routes(l);
    }
}

static void load_all(struct load *l)
{
    struct config *cfg = l->cfg;

    set_defaults(SECTION_ROOT, cfg);
    if (!yaml_document_read(cfg->path, &l->doc, l->err) || !read_root(l, l->doc.root)) {
        load_note(l);
    }
    if (cfg->kafka.group_pos.line == 0 && cfg->sink != NULL) {
        mem_freep(&cfg->kafka.group);
        cfg->kafka.group = mem_printf("pgsinkd-%s", cfg->sink);
    }
    /* Only now, as options may come in any order: these defaults depend on other options. */
    name_routes(l);
    set_change_defaults(cfg);
    field_default_on_error(cfg);
    check_all(l);
}

struct config *config_load_all(const char *path, enum config_purpose purpose,
                               struct config_faults *out)
{
    struct config *cfg = mem_zalloc(sizeof *cfg);
    struct error last;
    struct load l = {.cfg = cfg, .err = &last, .faults = out};

    *out = (struct config_faults){0};
    cfg->path = mem_strdup(path);
    cfg->source = mem_zalloc(sizeof *cfg->source);
    cfg->source->without_secrets = purpose == CONFIG_WITHOUT_SECRETS;
    cfg->source->without_routes = purpose == CONFIG_FOR_PROPOSAL;
    l.dir = cfg->source->dir = directory_of(path);
    load_all(&l);
    if (out->count > 0) {
        cfg = config_free(cfg);
    }
    free(l.are_whole);
    yaml_document_done(&l.doc);
    return cfg;
}

struct config *config_load_for(const char *path, enum config_purpose purpose, struct error *err)
{
    _cleanup_mem_ struct config_faults *faults = mem_zalloc(sizeof *faults);
    struct config *cfg = config_load_all(path, purpose, faults);

    if (cfg == NULL) {
        *err = faults->items[0];
    }
    return cfg;
}

struct config *config_load(const char *path, struct error *err)
{
    return config_load_for(path, CONFIG_TO_RUN, err);
}
