/* Paths: reading and printing. What was read is printed so that it reads the same. Any thread. */
#include "row/path/path.h"

#include "base/mem.h"
#include "row/text/ascii.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const roots[] = {
    [PATH_VALUE] = "value", [PATH_KEY] = "key",   [PATH_HEADERS] = "headers",
    [PATH_META] = "meta",   [PATH_ITEM] = "item",
};

static const char *const metas[] = {
    [META_TOPIC] = "topic",         [META_PARTITION] = "partition", [META_OFFSET] = "offset",
    [META_TIMESTAMP] = "timestamp", [META_INDEX] = "index",         [META_SCHEMA] = "schema",
    [META_SCHEMA_ID] = "schema_id",
};

static int index_of(const char *const *words, size_t n, struct str s)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_z(s, words[i])) {
            return (int) i;
        }
    }
    return -1;
}

void path_add(struct path *p, struct str name)
{
    p->names = mem_grow(p->names, &p->name_cap, p->name_count, sizeof *p->names);
    p->names[p->name_count++] = (struct str){.p = mem_strndup(name.p, name.n), .n = name.n};
}

void path_done(struct path *p)
{
    for (size_t i = 0; i < p->name_count; i++) {
        free((void *) (uintptr_t) p->names[i].p);
    }
    free(p->names);
    *p = (struct path){0};
}

/* May c stand in a name without quotes? Letters beyond ASCII may. */
static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || ascii_is_digit(c) ||
           (c != '\0' && strchr("_-$@", c) != NULL) || (uint8_t) c >= 0x80;
}

static bool bad_path(struct error *err, const char *text, const char *what)
{
    error_set(err, ERROR_SETUP, "'%s' is not a path: %s", text, what);
    return error_hint(err,
                      "A path is value, key, headers or item, with names after it joined by dots, "
                      "or meta.topic, meta.partition, meta.offset, meta.timestamp. A name with "
                      "other characters than letters, digits, _ - $ @ is written in double "
                      "quotes: value.\"odd.name\".");
}

static bool bad_bracket(struct error *err, const char *text, const char *at)
{
    error_set(err, ERROR_SETUP, "'%s' is not a path: an array has no index here", text);
    return error_hint(
        err,
        "A row for each element: explode: %.*s. One element: {sql: \"value->'items'->0\"}. "
        "A name with [ in it is written in double quotes.",
        (int) MIN(at - text, 80), text);
}

/* The text with its first word corrected; false: that is not nearly a root. */
static bool add_nearest_root(const char *text, struct buf *out)
{
    char word[16] = "";
    size_t n = strcspn(text, ".[");

    if (n >= sizeof word || text[n] == '\0') {
        return false; /* the name of a field, rather */
    }
    memcpy(word, text, n);
    const char *near = str_nearest(word, roots, ARRAY_LEN(roots));
    if (near != NULL) {
        buf_printf(out, "%s%s", near, text + n);
    }
    return near != NULL;
}

static bool bad_root(struct error *err, const char *text)
{
    size_t dollar = *text == '$' ? (text[1] == '.' ? 2 : 1) : 0;
    struct path p = {0};
    struct error ignored;

    bad_path(err, text, "it does not start with value, key, headers, item or meta");
    _cleanup_buf_ struct buf fixed = {0};
    if (!add_nearest_root(text, &fixed)) {
        buf_printf(&fixed, "value%s%s", text[dollar] != '\0' ? "." : "", text + dollar);
    }
    if (*text != '\0' && strlen(text) < 80 && path_parse(buf_cstr(&fixed), &p, &ignored)) {
        path_done(&p);
        return error_hint(err,
                          "Did you mean '%s'? A path begins with value, key, headers, item or "
                          "meta.",
                          buf_cstr(&fixed));
    }
    return false;
}

/* A quoted name; *at is after its first quote and moves past its last one. Quotes inside are
 * doubled. */
static bool quoted_name(const char **at, struct buf *name)
{
    const char *p = *at;

    for (; *p; p++) {
        if (*p == '"' && p[1] == '"') {
            p++;
        } else if (*p == '"') {
            *at = p + 1;
            return true;
        }
        buf_add_u8(name, (uint8_t) *p);
    }
    return false;
}

size_t path_length(const char *text)
{
    bool quoted = false;
    size_t n = 0;

    if (ascii_is_digit(*text) || strchr(".-\"", *text) != NULL) {
        return 0;
    }
    for (; text[n] && (quoted || is_plain(text[n]) || text[n] == '.' || text[n] == '"'); n++) {
        quoted ^= text[n] == '"';
    }
    return n;
}

static void plain_name(const char **at, struct buf *name)
{
    for (; is_plain(**at); (*at)++) {
        buf_add_u8(name, (uint8_t) * *at);
    }
}

/* The names after the root. */
static bool parse_names(const char *text, const char *at, struct path *out, struct error *err)
{
    _cleanup_buf_ struct buf name = {0};

    while (*at == '.') {
        at++;
        buf_clear(&name);
        bool quoted = *at == '"';
        if (quoted) {
            at++;
            if (!quoted_name(&at, &name)) {
                return bad_path(err, text, "a quote is not closed");
            }
        } else {
            plain_name(&at, &name);
            if (name.n == 0) {
                return bad_path(err, text, "a name is missing after a dot");
            }
        }
        path_add(out, buf_str(&name));
    }
    if (*at == '[') {
        return bad_bracket(err, text, at);
    }
    return *at == '\0' || bad_path(err, text, "a name with odd characters needs quotes");
}

static bool finish_meta(const char *text, struct path *out, struct error *err)
{
    int meta = out->name_count == 1 ? index_of(metas, ARRAY_LEN(metas), out->names[0]) : -1;

    if (meta < 0) {
        return bad_path(
            err, text, "meta has topic, partition, offset, timestamp, index, schema and schema_id");
    }
    path_done(out);
    *out = (struct path){.root = PATH_META, .meta = (enum path_meta) meta};
    return true;
}

static bool parse(const char *text, struct path *out, struct error *err)
{
    size_t n = strcspn(text, ".[");
    int root = index_of(roots, ARRAY_LEN(roots), (struct str){.p = text, .n = n});

    if (root < 0) {
        return bad_root(err, text);
    }
    out->root = (enum path_root) root;
    if (!parse_names(text, text + n, out, err)) {
        return false;
    }
    if (out->root == PATH_META) {
        return finish_meta(text, out, err);
    }
    if (out->root == PATH_HEADERS && out->name_count > 1) {
        return bad_path(err, text, "a header has one name; quote it if it contains dots");
    }
    return true;
}

bool path_parse(const char *text, struct path *out, struct error *err)
{
    struct path p = {0};

    if (!parse(text, &p, err)) {
        path_done(&p);
        return false;
    }
    *out = p;
    return true;
}

static void print_name(struct str name, struct buf *out)
{
    bool plain = name.n > 0;

    for (size_t i = 0; i < name.n; i++) {
        plain = plain && is_plain(name.p[i]);
    }
    if (plain) {
        buf_add_str(out, name);
        return;
    }
    buf_add_u8(out, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"') {
            buf_add_u8(out, '"');
        }
        buf_add_u8(out, (uint8_t) name.p[i]);
    }
    buf_add_u8(out, '"');
}

void path_print(const struct path *p, bool with_root, struct buf *out)
{
    if (with_root) {
        buf_add_z(out, roots[p->root]);
    }
    if (p->root == PATH_META) {
        buf_printf(out, "%s%s", with_root ? "." : "", metas[p->meta]);
        return;
    }
    for (size_t i = 0; i < p->name_count; i++) {
        if (with_root || i > 0) {
            buf_add_u8(out, '.');
        }
        print_name(p->names[i], out);
    }
}
