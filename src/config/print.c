/*
 * The effective configuration as YAML. Order and names come from the table of options. The output
 * must read back as the same configuration and must not show a secret: mask.c masks what the file
 * holds, and an expanded value appears as the file has it, since cfg->source keeps those texts
 * (source.h). Reads the configuration only. Any thread.
 */
#include "config/print.h"

#include "base/ascii.h"
#include "config/config.h"
#include "config/mask.h"
#include "config/option.h"
#include "config/source.h"
#include "config/units.h"

#include <string.h>

/* ---- scalars ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Words that some YAML reader takes for a boolean or null, so that as texts they need quotes. */
static bool is_reserved(struct str s)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no",
                                        "on",   "off",  "y",     "n"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (ascii_is_word(s, words[i])) {
            return true;
        }
    }
    return false;
}

/* ": " and " #" would end a plain scalar, and blanks at its end would be lost. */
static bool is_plain_char(struct str s, size_t i)
{
    char c = s.p[i];

    if (c == ':') {
        return i + 1 < s.n && s.p[i + 1] != ' ';
    }
    if (c == ' ') {
        return i + 1 < s.n && s.p[i + 1] != ' ';
    }
    return c > ' ' && c < 0x7f && c != '#';
}

static bool is_plain(struct str s)
{
    if (s.n == 0 || (!is_letter(s.p[0]) && strchr("$/^", s.p[0]) == NULL) || is_reserved(s)) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!is_plain_char(s, i)) {
            return false;
        }
    }
    return true;
}

/*
 * Code point of the character at s.p; its length goes to *out_n. The reader let only well-formed
 * UTF-8 in, so nothing is checked here.
 */
static uint32_t code_point(struct str s, size_t *out_n)
{
    unsigned char lead = (unsigned char) s.p[0];
    size_t n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t value = n == 1 ? lead : lead & (0xffU >> (n + 1));

    n = MIN(n, s.n);
    for (size_t i = 1; i < n; i++) {
        value = value << 6 | ((unsigned char) s.p[i] & 0x3f);
    }
    *out_n = n;
    return value;
}

/* Not printable in YAML, or a line break for some readers. */
static bool needs_escape(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
           (c >= 0xfffe && c <= 0xffff);
}

void print_scalar(struct str s, struct buf *out)
{
    if (is_plain(s)) {
        buf_add_str(out, s);
        return;
    }
    buf_add_z(out, "\"");
    while (s.n > 0) {
        size_t n;
        uint32_t c = code_point(s, &n);

        if (c == '"' || c == '\\') {
            buf_printf(out, "\\%c", (int) c);
        } else if (needs_escape(c)) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_add(out, s.p, n);
        }
        s = (struct str){s.p + n, s.n - n};
    }
    buf_add_z(out, "\"");
}

/* ---- values ---- */

/* As written in the file if it was expanded, else the value. */
static void print_text(const struct config *cfg, struct position pos, const char *text,
                       struct buf *out)
{
    const char *written = source_find(cfg->source, pos);

    print_scalar(str_of(written != NULL ? written : text), out);
}

typedef void masker(struct str value, struct buf *out);

static void print_masked(const struct config *cfg, struct position pos, const char *text,
                         masker *mask, struct buf *out)
{
    const char *written = source_find(cfg->source, pos);
    _cleanup_buf_ struct buf masked = {0};

    mask(str_of(written != NULL ? written : text), &masked);
    print_scalar(buf_str(&masked), out);
}

/* The default group contains the name of the sink, which may have been expanded. */
static void print_group(const struct config *cfg, struct buf *out)
{
    const char *sink = source_find(cfg->source, cfg->sink_pos);
    _cleanup_buf_ struct buf group = {0};

    if (cfg->kafka.group_pos.line != 0 || sink == NULL) {
        print_text(cfg, cfg->kafka.group_pos, cfg->kafka.group, out);
        return;
    }
    buf_printf(&group, "pgsinkd-%s", sink);
    print_scalar(buf_str(&group), out);
}

static void print_option_text(const struct config *cfg, const struct option *o, struct position pos,
                              const char *text, struct buf *out)
{
    bool of_route = strcmp(o->section, SECTION_ROUTE) == 0; /* its offset is in another struct */

    if ((o->flags & DSN) != 0) {
        print_masked(cfg, pos, text, mask_dsn, out);
    } else if ((o->flags & SECRET) != 0) {
        print_masked(cfg, pos, text, mask_secret, out);
    } else if ((o->flags & URLS) != 0) {
        print_masked(cfg, pos, text, mask_urls, out);
    } else if (!of_route && o->offset == offsetof(struct config, kafka.group)) {
        print_group(cfg, out);
    } else {
        print_text(cfg, pos, text, out);
    }
}

static void print_word(const struct option *o, const void *field, struct buf *out)
{
    int value;

    memcpy(&value, field, sizeof value);
    buf_add_z(out, option_word_text(o->words, value));
}

void config_print_start(const struct config *cfg, struct buf *out)
{
    switch (cfg->kafka.start) {
    case START_EARLIEST:
        buf_add_z(out, "earliest");
        break;
    case START_LATEST:
        buf_add_z(out, "latest");
        break;
    case START_TIME:
        units_print_time(cfg->kafka.start_ms, out);
        break;
    }
}

void print_property_value(const struct config *cfg, const struct config_property *p,
                          struct buf *out)
{
    const char *written = source_find(cfg->source, p->value_pos);
    _cleanup_buf_ struct buf masked = {0};

    buf_add_z(out, " ");
    mask_property(str_of(p->name), str_of(written != NULL ? written : p->value), &masked);
    print_scalar(buf_str(&masked), out);
}

static void print_property(const struct config *cfg, const struct config_property *p,
                           struct buf *out)
{
    buf_add_z(out, "\n    ");
    print_scalar(str_of(p->name), out);
    buf_add_z(out, ":");
    print_property_value(cfg, p, out);
}

static void print_source(const struct config *cfg, const struct config_value *v,
                         const char *path_key, struct buf *out)
{
    buf_add_z(out, v->path != NULL ? path_key : "const: ");
    print_text(cfg, v->pos, v->path != NULL ? v->path : v->constant, out);
}

static void print_coalesce(const struct config *cfg, const struct config_column *c, struct buf *out)
{
    buf_add_z(out, "coalesce:");
    for (size_t i = 0; i < c->value_count; i++) {
        buf_add_z(out, "\n          - ");
        print_source(cfg, &c->values[i], "", out);
    }
}

void print_column_value(const struct config *cfg, const struct config_column *c, struct buf *out)
{
    if (c->sql != NULL) {
        buf_add_z(out, "\n        sql: ");
        print_text(cfg, c->sql_pos, c->sql, out);
        return;
    }
    bool is_short = c->unit == CONFIG_UNIT_NONE && c->parse == CONFIG_PARSE_NONE && !c->is_list;
    if (is_short && c->values[0].path != NULL) {
        print_source(cfg, &c->values[0], " ", out);
        return;
    }
    buf_add_z(out, "\n        ");
    if (c->is_list) {
        print_coalesce(cfg, c, out);
    } else {
        print_source(cfg, &c->values[0], "from: ", out);
    }
    if (c->unit != CONFIG_UNIT_NONE) {
        buf_add_z(out, "\n        unit: ");
        print_text(cfg, c->unit_pos, option_word_text(option_units(), (int) c->unit), out);
    }
    if (c->parse != CONFIG_PARSE_NONE) {
        buf_add_z(out, "\n        parse: ");
        print_text(cfg, c->parse_pos, option_word_text(option_parses(), (int) c->parse), out);
    }
}

static void print_column(const struct config *cfg, const struct config_column *c, struct buf *out)
{
    buf_add_z(out, "\n      ");
    print_scalar(str_of(c->column), out);
    buf_add_z(out, ":");
    print_column_value(cfg, c, out);
}

static void print_properties(const struct config *cfg, const struct config_properties *list,
                             struct buf *out)
{
    if (list->count == 0) {
        buf_add_z(out, " {}");
    }
    for (size_t i = 0; i < list->count; i++) {
        print_property(cfg, &list->items[i], out);
    }
}

static void print_columns(const struct config *cfg, const struct config_columns *list,
                          struct buf *out)
{
    if (list->count == 0) {
        buf_add_z(out, " {}");
    }
    for (size_t i = 0; i < list->count; i++) {
        print_column(cfg, &list->items[i], out);
    }
}

static void print_names(const struct config *cfg, const struct config_key *list, struct buf *out)
{
    buf_add_z(out, list->count == 0 ? " []" : "");
    for (size_t i = 0; i < list->count; i++) {
        buf_add_z(out, "\n      - ");
        print_text(cfg, list->places[i], list->items[i], out);
    }
}

static void print_topics(const struct config *cfg, const struct config_topics *list,
                         struct buf *out)
{
    for (size_t i = 0; i < list->count; i++) {
        buf_add_z(out, "\n      - ");
        print_text(cfg, list->items[i].pos, list->items[i].name, out);
    }
}

static void print_table(const struct config *cfg, struct position pos,
                        const struct table_name *table, struct buf *out)
{
    _cleanup_buf_ struct buf name = {0};

    table_name_print(table, &name);
    print_text(cfg, pos, buf_cstr(&name), out);
}

static void print_allowance(const struct config_allowance *a, struct buf *out)
{
    if (a->share > 0) {
        units_print_share(a->share, out);
    } else if (a->count > 0) {
        units_print_rate(a->count, a->per, out);
    } else {
        buf_add_z(out, "off");
    }
}

/* A value on one line, from its field. */
static void print_single(const struct config *cfg, const struct option *o, struct position pos,
                         const void *field, struct buf *out)
{
    switch (o->kind) {
    case OPTION_U32:
        option_print_number(o->kind, *(const uint32_t *) field, out);
        break;
    case OPTION_SIZE:
        option_print_number(o->kind, *(const uint64_t *) field, out);
        break;
    case OPTION_DURATION:
        option_print_number(o->kind, *(const usec_t *) field, out);
        break;
    case OPTION_BOOL:
        buf_add_z(out, *(const bool *) field ? "true" : "false");
        break;
    case OPTION_TEXT:
        print_option_text(cfg, o, pos, *(char *const *) field, out);
        break;
    case OPTION_START:
        config_print_start(cfg, out);
        break;
    case OPTION_ALLOWANCE:
        print_allowance(field, out);
        break;
    case OPTION_ZONE:
        units_print_zone(*(const int32_t *) field, out);
        break;
    case OPTION_TABLE:
        print_table(cfg, pos, field, out);
        break;
    case OPTION_WORD:
        print_word(o, field, out);
        break;
    case OPTION_PROPERTIES:
    case OPTION_TOPICS:
    case OPTION_KEY:
    case OPTION_COLUMNS:
        break; /* of several lines: print_value */
    }
}

static void print_value(const struct config *cfg, const struct option *o, struct position pos,
                        const void *field, struct buf *out)
{
    const char *written = source_find(cfg->source, pos);

    if (o->kind == OPTION_PROPERTIES) {
        print_properties(cfg, field, out);
    } else if (o->kind == OPTION_TOPICS) {
        print_topics(cfg, field, out);
    } else if (o->kind == OPTION_KEY) {
        print_names(cfg, field, out);
    } else if (o->kind == OPTION_COLUMNS) {
        print_columns(cfg, field, out);
    } else {
        buf_add_z(out, " ");
        if (written != NULL && o->kind != OPTION_TEXT) {
            print_scalar(str_of(written), out);
        } else {
            print_single(cfg, o, pos, field, out);
        }
    }
}

void print_option_value(const struct config *cfg, const struct option *o, const void *base,
                        struct buf *out)
{
    const char *bytes = base;
    struct position pos;

    memcpy(&pos, bytes + o->pos_offset, sizeof pos);
    print_value(cfg, o, pos, bytes + o->offset, out);
}

static void print_option(const struct config *cfg, const struct option *o, const void *base,
                         struct buf *out)
{
    buf_printf(out, "%s:", o->name);
    print_option_value(cfg, o, base, out);
    buf_add_z(out, "\n");
}

/* The name of a route that was taken from an expanded table would show what was expanded. */
static bool is_hidden_name(const struct config *cfg, const struct option *o,
                           const struct config_route *route)
{
    return o->offset == offsetof(struct config_route, name) && route->name_pos.line == 0 &&
           source_find(cfg->source, route->table_pos) != NULL;
}

static void print_route(const struct config *cfg, const struct config_route *route, struct buf *out)
{
    size_t n;
    const struct option *options = option_list(&n);
    bool is_first = true;

    for (size_t i = 0; i < n; i++) {
        if (strcmp(options[i].section, SECTION_ROUTE) == 0) {
            buf_add_z(out, is_first ? "  - " : "    ");
            if (is_hidden_name(cfg, &options[i], route)) {
                buf_add_z(out, "name: \"\"\n");
            } else {
                print_option(cfg, &options[i], route, out);
            }
            is_first = false;
        }
    }
}

void config_print(const struct config *cfg, struct buf *out)
{
    size_t n;
    const struct option *options = option_list(&n);
    const char *section = SECTION_ROOT;

    for (size_t i = 0; i < n && strcmp(options[i].section, SECTION_ROUTE) != 0; i++) {
        bool in_section = strcmp(options[i].section, SECTION_ROOT) != 0;

        if (in_section && strcmp(options[i].section, section) != 0) {
            buf_printf(out, "%s:\n", options[i].section);
        }
        section = options[i].section;
        buf_add_z(out, in_section ? "  " : "");
        print_option(cfg, &options[i], cfg, out);
    }
    buf_printf(out, "%s:\n", SECTION_ROUTE);
    for (size_t i = 0; i < cfg->route_count; i++) {
        print_route(cfg, &cfg->routes[i], out);
    }
}
