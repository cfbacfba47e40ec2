/*
 * Makes libyaml's events into a tree of nodes. Knows nothing of options. The bytes are checked
 * before libyaml sees them, because it reports a bad one without a line and column. Main thread.
 */
#include "config/yaml_reader.h"

#include "config/file.h"
#include "config/shown.h"

#include <string.h>
#include <yaml.h>

struct yaml_reader {
    const char *path;
    struct str text; /* the whole file */
    struct yaml_document *doc;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    bool has_event;
    struct error *err;
};

static struct position position_of(yaml_mark_t mark)
{
    return (struct position){(unsigned) mark.line + 1, (unsigned) mark.column + 1};
}

/* Where the byte after c stands if c stands at pos: columns count characters, not bytes. */
static struct position position_after(struct position pos, char c)
{
    if (c == '\n') {
        return (struct position){pos.line + 1, 1};
    }
    pos.column += ((unsigned char) c & 0xc0) != 0x80 ? 1 : 0;
    return pos;
}

static struct position position_at(struct str text, size_t offset)
{
    struct position pos = {1, 1};

    for (size_t i = 0; i < offset && i < text.n; i++) {
        pos = position_after(pos, text.p[i]);
    }
    return pos;
}

/* ---- before libyaml: bytes ---- */

/* First byte that does not start a well-formed character. */
static size_t utf8_fault(struct str text)
{
    size_t good = 0;

    while (good < text.n) {
        size_t n = 1;

        while (n <= 4 && good + n <= text.n && !str_utf8((struct str){text.p + good, n}, NULL)) {
            n += 1;
        }
        if (n > 4 || good + n > text.n) {
            return good;
        }
        good += n;
    }
    return text.n;
}

static bool is_control(char c)
{
    return ((unsigned char) c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
}

static bool check_bytes(struct yaml_reader *r)
{
    if (!str_utf8(r->text, NULL)) {
        return position_error(r->path, position_at(r->text, utf8_fault(r->text)), r->err,
                              "the file is not valid UTF-8 here");
    }
    for (size_t i = 0; i < r->text.n; i++) {
        if (is_control(r->text.p[i])) {
            return position_error(r->path, position_at(r->text, i), r->err,
                                  "control character 0x%02x", (unsigned) r->text.p[i]);
        }
    }
    return true;
}

/* ---- events ---- */

/* libyaml gives a character's line and column; the byte there is found by counting again. */
static bool is_tab_at(const struct yaml_reader *r, struct position pos)
{
    struct position at = {1, 1};

    for (size_t i = 0; i < r->text.n && at.line <= pos.line; i++) {
        if (at.line == pos.line && at.column == pos.column && r->text.p[i] == '\t') {
            return true;
        }
        at = position_after(at, r->text.p[i]);
    }
    return false;
}

/* What people do who do not know YAML well, by libyaml's words for it. */
static const struct {
    const char *problem;
    const char *hint;
} hints[] = {
    {"unknown escape character",
     "In double quotes a backslash begins an escape; write regular expressions in single quotes: "
     "'^orders\\.'"},
    {"mapping values are not allowed",
     "A text that contains ': ' needs quotes around it; else this line is indented more than the "
     "entry it belongs to."},
    {"did not find expected '-' indicator",
     "The entries of a list begin in one column, each with '- '."},
    {"did not find expected key",
     "The entries of a mapping begin in one column; a text that begins with a quote ends with it."},
    {"could not find expected ':'",
     "An entry is 'key: value', with a blank after the colon; a text of several lines needs "
     "quotes."},
    {"found character that cannot start any token",
     "A text that begins with @, ` or % needs quotes around it."},
    {"did not find expected ',' or",
     "A list in brackets ends with ], a mapping in braces with }; a text with one of , [ ] { } in "
     "it needs quotes there."},
    {"found unexpected end of stream", "A text that begins with a quote ends with the same one."},
    {"block sequence entries are not allowed",
     "A list begins on a line of its own, below its key; a text that begins with '- ' needs "
     "quotes."},
};

static bool hint_problem(struct yaml_reader *r, const char *problem)
{
    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        if (strstr(problem, hints[i].problem) != NULL) {
            return error_hint(r->err, "%s", hints[i].hint);
        }
    }
    return false;
}

static bool parser_error(struct yaml_reader *r)
{
    const yaml_parser_t *p = &r->parser;
    struct position pos = position_of(p->problem_mark);

    if (p->error == YAML_READER_ERROR) {
        pos = position_at(r->text, p->problem_offset);
    }
    if (p->error == YAML_SCANNER_ERROR && is_tab_at(r, pos)) {
        return position_error(r->path, pos, r->err, "tabs cannot indent; use spaces");
    }
    if (p->error == YAML_MEMORY_ERROR) {
        return error_set(r->err, ERROR_SETUP, "%s: out of memory", r->path);
    }
    if (p->context != NULL) {
        position_error(r->path, pos, r->err, "not valid YAML: %s, %s", p->context, p->problem);
    } else {
        position_error(r->path, pos, r->err, "not valid YAML: %s", p->problem);
    }
    return hint_problem(r, p->problem);
}

/* Drops the current event and reads the next one. */
static bool advance(struct yaml_reader *r)
{
    if (r->has_event) {
        yaml_event_delete(&r->event);
        r->has_event = false;
    }
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        return parser_error(r);
    }
    r->has_event = true;
    return true;
}

static bool fault(struct yaml_reader *r, const char *text)
{
    return position_error(r->path, position_of(r->event.start_mark), r->err, "%s", text);
}

static bool check_properties(struct yaml_reader *r, const yaml_char_t *anchor,
                             const yaml_char_t *tag)
{
    if (anchor != NULL) {
        return fault(r, "anchors (&) and aliases (*) are not supported");
    }
    if (tag != NULL) {
        return fault(r, "tags (!) are not supported");
    }
    return true;
}

/* Refuses what the current event, the start of a node, has beyond the plain part of YAML. */
static bool check_node_event(struct yaml_reader *r)
{
    const yaml_event_t *e = &r->event;

    if (e->type == YAML_ALIAS_EVENT) {
        return fault(r, "anchors (&) and aliases (*) are not supported");
    }
    if (e->type == YAML_SCALAR_EVENT) {
        return check_properties(r, e->data.scalar.anchor, e->data.scalar.tag);
    }
    if (e->type == YAML_SEQUENCE_START_EVENT) {
        return check_properties(r, e->data.sequence_start.anchor, e->data.sequence_start.tag);
    }
    return check_properties(r, e->data.mapping_start.anchor, e->data.mapping_start.tag);
}

/* ---- nodes ---- */

static struct yaml_node *node_new(struct yaml_reader *r, enum yaml_kind kind)
{
    struct yaml_node *n = arena_alloc(&r->doc->arena, sizeof *n);

    *n = (struct yaml_node){.kind = kind, .pos = position_of(r->event.start_mark)};
    return n;
}

/* The current scalar event's text, copied. */
static bool scalar_text(struct yaml_reader *r, struct str *out)
{
    struct str text = {(const char *) r->event.data.scalar.value, r->event.data.scalar.length};

    if (text.n > 0 && memchr(text.p, '\0', text.n) != NULL) {
        return fault(r, "a NUL character cannot be part of a text");
    }
    *out = text.n > 0 ? arena_copy(&r->doc->arena, text) : STR_LIT("");
    return true;
}

static bool read_node(struct yaml_reader *r, unsigned depth, struct yaml_node **out);

static bool append(struct yaml_reader *r, struct yaml_node *parent, struct yaml_node *child)
{
    if (parent->count == YAML_CHILDREN_MAX) {
        return position_error(r->path, child->pos, r->err, "more than %d entries",
                              YAML_CHILDREN_MAX);
    }
    if (parent->last == NULL) {
        parent->first = child;
    } else {
        parent->last->next = child;
    }
    parent->last = child;
    parent->count += 1;
    return true;
}

static bool read_list(struct yaml_reader *r, unsigned depth, struct yaml_node *list)
{
    for (;;) {
        struct yaml_node *child;

        if (!advance(r)) {
            return false;
        }
        if (r->event.type == YAML_SEQUENCE_END_EVENT) {
            return true;
        }
        if (!read_node(r, depth + 1, &child) || !append(r, list, child)) {
            return false;
        }
    }
}

static bool read_key(struct yaml_reader *r, const struct yaml_node *map, struct str *out_key)
{
    if (r->event.type == YAML_MAPPING_START_EVENT || r->event.type == YAML_SEQUENCE_START_EVENT) {
        return fault(r, "a key must be a plain name");
    }
    if (!check_node_event(r) || !scalar_text(r, out_key)) {
        return false;
    }
    for (const struct yaml_node *n = map->first; n != NULL; n = n->next) {
        if (str_eq(n->key, *out_key)) {
            return position_error(r->path, position_of(r->event.start_mark), r->err,
                                  "duplicate key '%s', first at line %u", shown_of(*out_key).text,
                                  n->key_pos.line);
        }
    }
    return true;
}

static bool read_map(struct yaml_reader *r, unsigned depth, struct yaml_node *map)
{
    for (;;) {
        struct yaml_node *child;
        struct position key_pos;
        struct str key;

        if (!advance(r)) {
            return false;
        }
        if (r->event.type == YAML_MAPPING_END_EVENT) {
            return true;
        }
        key_pos = position_of(r->event.start_mark);
        if (!read_key(r, map, &key) || !advance(r) || !read_node(r, depth + 1, &child)) {
            return false;
        }
        child->key = key;
        child->key_pos = key_pos;
        if (!append(r, map, child)) {
            return false;
        }
    }
}

/* A comment that looks like a part of the value before it: password=a #b */
static bool is_cut(const struct yaml_reader *r)
{
    struct position pos = position_of(r->event.end_mark);
    struct str rest = r->text;

    for (unsigned line = 1; line < pos.line && rest.n > 0; line++) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t n = end != NULL ? (size_t) (end - rest.p) + 1 : rest.n;
        rest = (struct str){rest.p + n, rest.n - n};
    }
    struct position here = {pos.line, 1};
    while (rest.n > 0 && here.line == pos.line && here.column < pos.column) {
        here = position_after(here, *rest.p);
        rest = (struct str){rest.p + 1, rest.n - 1};
    }
    /* The column is passed with the first byte of a character. */
    while (rest.n > 0 && (*rest.p == ' ' || ((unsigned char) *rest.p & 0xc0) == 0x80)) {
        rest = (struct str){rest.p + 1, rest.n - 1};
    }
    return rest.n > 1 && *rest.p == '#' && strchr(" \t\r\n#", rest.p[1]) == NULL;
}

/* The node that the current event starts, up to and including its last event. */
static bool read_node(struct yaml_reader *r, unsigned depth, struct yaml_node **out)
{
    if (!check_node_event(r)) {
        return false;
    }
    if (depth > YAML_DEPTH_MAX) {
        return fault(r, "nested too deeply");
    }
    if (r->event.type == YAML_SCALAR_EVENT) {
        *out = node_new(r, YAML_SCALAR);
        (*out)->plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        (*out)->cut = (*out)->plain && is_cut(r);
        return scalar_text(r, &(*out)->text);
    }
    if (r->event.type == YAML_SEQUENCE_START_EVENT) {
        *out = node_new(r, YAML_LIST);
        return read_list(r, depth, *out);
    }
    *out = node_new(r, YAML_MAP);
    return read_map(r, depth, *out);
}

static bool empty(struct yaml_reader *r)
{
    return position_error(r->path, (struct position){1, 1}, r->err,
                          "the file contains no configuration");
}

static bool read_stream(struct yaml_reader *r)
{
    if (!advance(r) || !advance(r)) { /* start of the stream, start of the document */
        return false;
    }
    if (r->event.type == YAML_STREAM_END_EVENT) {
        return empty(r);
    }
    if (!advance(r) || !read_node(r, 1, &r->doc->root)) {
        return false;
    }
    if (yaml_node_is_null(r->doc->root)) {
        return empty(r);
    }
    if (!advance(r) || !advance(r)) { /* end of the document, end of the stream */
        return false;
    }
    if (r->event.type != YAML_STREAM_END_EVENT) {
        return fault(r, "a second document starts here; one file holds one sink");
    }
    return true;
}

static struct str without_bom(struct str text)
{
    return str_starts(text, "\xef\xbb\xbf") ? (struct str){text.p + 3, text.n - 3} : text;
}

bool yaml_document_read(const char *path, struct yaml_document *out, struct error *err)
{
    _cleanup_buf_ struct buf content = {0};
    struct yaml_document doc = {0};
    struct yaml_reader r = {.path = path, .doc = &doc, .err = err};
    bool ok;

    if (!file_read(path, &content, NULL, err)) {
        return error_wrap(err, "%s", path);
    }
    r.text = without_bom(buf_str(&content));
    if (r.text.n == 0) {
        return empty(&r);
    }
    if (!check_bytes(&r)) {
        return false;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        return error_set(err, ERROR_SETUP, "%s: out of memory", path);
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const yaml_char_t *) r.text.p, r.text.n);
    ok = read_stream(&r);
    if (r.has_event) {
        yaml_event_delete(&r.event);
    }
    yaml_parser_delete(&r.parser);
    if (!ok) {
        yaml_document_done(&doc);
        return false;
    }
    *out = doc;
    return true;
}

void yaml_document_done(struct yaml_document *d)
{
    arena_done(&d->arena);
    d->root = NULL;
}

const char *yaml_node_kind_name(const struct yaml_node *n)
{
    switch (n->kind) {
    case YAML_SCALAR:
        return yaml_node_is_null(n) ? "nothing" : "a single value";
    case YAML_LIST:
        return "a list";
    case YAML_MAP:
        return "a mapping";
    }
    return "nothing";
}

bool yaml_node_is_null(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && n->plain &&
           (n->text.n == 0 || str_eq_z(n->text, "~") || str_eq_z(n->text, "null"));
}
