/*
 * Table names as in SQL. Errors describe the mistake without repeating the text, which may come
 * from a secret. Knows no catalog: whether the table exists is pg/'s question. Pure; any thread.
 */
#include "config/table_name.h"

#include "base/ascii.h"
#include "base/mem.h"

#include <string.h>

#define TEMPLATE STR_LIT("{topic}")

/* A text, and how many bytes of it have been read. */
struct name_reader {
    struct str text;
    size_t at;
    bool by_record; /* there was a path in braces */
};

static char peek(const struct name_reader *c)
{
    return c->at < c->text.n ? c->text.p[c->at] : '\0';
}

static struct str left_of(const struct name_reader *c)
{
    return (struct str){c->text.p + c->at, c->text.n - c->at};
}

static bool at_template(const struct name_reader *c)
{
    struct str left = left_of(c);

    return left.n >= TEMPLATE.n && memcmp(left.p, TEMPLATE.p, TEMPLATE.n) == 0;
}

/* The bytes of {topic} or {path} here; 0 when there is neither. */
static size_t braces_length(const struct name_reader *c)
{
    static const char *const starts[] = {"{value.", "{key}", "{key.", "{headers.", "{meta."};
    struct str left = left_of(c);
    const char *end = left.n > 0 ? memchr(left.p, '}', left.n) : NULL;
    bool known = at_template(c);

    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        known = known || str_starts(left, starts[i]);
    }
    return known && end != NULL ? (size_t) (end - left.p) + 1 : 0;
}

static bool is_ident_start(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' || (ch & 0x80) != 0;
}

static bool is_ident_part(char ch)
{
    return is_ident_start(ch) || ascii_is_digit(ch) || ch == '$';
}

static bool take_template(struct name_reader *c, struct buf *out, bool *out_template,
                          struct error *err)
{
    size_t n = braces_length(c);

    if (n == 0) {
        return error_set(err, ERROR_SETUP,
                         "'{' in a table name starts '{topic}' or a path, as in '{value.type}'");
    }
    *out_template = true;
    c->by_record = c->by_record || !at_template(c);
    buf_add(out, c->text.p + c->at, n);
    c->at += n;
    return true;
}

static bool take_quoted(struct name_reader *c, struct buf *out, bool *out_template,
                        struct error *err)
{
    c->at += 1;
    while (c->at < c->text.n) {
        char ch = peek(c);

        if (ch == '{') {
            if (!take_template(c, out, out_template, err)) {
                return false;
            }
            continue;
        }
        c->at += 1;
        if (ch == '"' && peek(c) != '"') {
            return true;
        }
        if (ch == '"') {
            c->at += 1;
        }
        buf_add(out, &ch, 1);
    }
    return error_set(err, ERROR_SETUP, "table name: a double quote is not closed");
}

static bool take_unquoted(struct name_reader *c, struct buf *out, bool *out_template,
                          struct error *err)
{
    size_t start = c->at;

    while (c->at < c->text.n && peek(c) != '.') {
        char ch = peek(c);

        if (ch == '{') {
            if (!take_template(c, out, out_template, err)) {
                return false;
            }
            continue;
        }
        if (!(c->at == start ? is_ident_start(ch) : is_ident_part(ch))) {
            error_set(err, ERROR_SETUP,
                      "table name: an unquoted part consists of letters, digits, '_' and '$' "
                      "and does not begin with a digit");
            return error_hint(err, "Put it in double quotes, as in SQL: public.\"my-table\".");
        }
        ch = ascii_lower(ch);
        buf_add(out, &ch, 1);
        c->at += 1;
    }
    return true;
}

static bool take_part(struct name_reader *c, struct buf *out, bool *out_template, struct error *err)
{
    bool quoted = peek(c) == '"';

    *out_template = false;
    if (!(quoted ? take_quoted(c, out, out_template, err)
                 : take_unquoted(c, out, out_template, err))) {
        return false;
    }
    if (out->n == 0) {
        return error_set(err, ERROR_SETUP, "table name: a part is empty");
    }
    if (out->n > TABLE_NAME_MAX && !*out_template) {
        return error_set(err, ERROR_SETUP, "table name: a part is longer than %d bytes",
                         TABLE_NAME_MAX);
    }
    return true;
}

/* One part into first; with a dot, the part after it into second. */
static bool take_parts(struct name_reader *c, struct buf *first, struct buf *second,
                       bool *out_template, struct error *err)
{
    if (!take_part(c, first, out_template, err)) {
        return false;
    }
    if (c->at == c->text.n) {
        return true;
    }
    if (peek(c) == '.' && *out_template) {
        return error_set(err, ERROR_SETUP,
                         "a template is for the name of the table, not for its schema");
    }
    if (peek(c) == '.') {
        c->at += 1;
        if (!take_part(c, second, out_template, err)) {
            return false;
        }
    }
    if (c->at < c->text.n && peek(c) == '.') {
        return error_set(err, ERROR_SETUP, "table name: more than a schema and a name");
    }
    if (c->at < c->text.n) {
        return error_set(err, ERROR_SETUP, "table name: something follows a closing double quote");
    }
    return true;
}

bool table_name_parse(struct str text, struct table_name *out, size_t *out_at, struct error *err)
{
    _cleanup_buf_ struct buf first = {0};
    _cleanup_buf_ struct buf second = {0};
    struct name_reader c = {.text = text};
    bool template;

    if (!take_parts(&c, &first, &second, &template, err)) {
        if (out_at != NULL) {
            *out_at = c.at;
        }
        return false;
    }
    *out = (struct table_name){
        .schema = second.n > 0 ? mem_strdup(buf_cstr(&first)) : NULL,
        .name = mem_strdup(buf_cstr(second.n > 0 ? &second : &first)),
        .is_template = template,
        .is_by_record = c.by_record,
    };
    return true;
}

void table_name_done(struct table_name *t)
{
    mem_freep(&t->schema);
    mem_freep(&t->name);
    *t = (struct table_name){0};
}

bool table_name_for_topic(const struct table_name *t, struct str topic, struct buf *out_name,
                          struct error *err)
{
    size_t before = out_name->n;
    struct name_reader c = {.text = str_of(t->name)};

    while (c.at < c.text.n) {
        if (t->is_template && at_template(&c)) {
            buf_add_str(out_name, topic);
            c.at += TEMPLATE.n;
        } else {
            buf_add(out_name, c.text.p + c.at, 1);
            c.at += 1;
        }
    }
    if (out_name->n - before > TABLE_NAME_MAX) {
        out_name->n = before;
        return error_set(err, ERROR_SETUP,
                         "topic '" STR_FMT "' gives a table name longer than %d bytes",
                         STR_ARG(topic), TABLE_NAME_MAX);
    }
    return true;
}

static bool is_plain(struct str s)
{
    struct name_reader c = {.text = s};

    while (c.at < s.n) {
        char ch = peek(&c);

        size_t n = braces_length(&c);

        if (n > 0) {
            c.at += n;
            continue;
        }
        if (!(c.at == 0 ? is_ident_start(ch) : is_ident_part(ch)) || ascii_lower(ch) != ch) {
            return false;
        }
        c.at += 1;
    }
    return true;
}

static void print_part(const char *part, struct buf *out)
{
    if (is_plain(str_of(part))) {
        buf_add_z(out, part);
        return;
    }
    struct name_reader c = {.text = str_of(part)};

    buf_add_z(out, "\"");
    while (c.at < c.text.n) {
        size_t n = MAX(braces_length(&c), (size_t) 1);

        buf_add(out, part + c.at, n);
        if (part[c.at] == '"') {
            buf_add_z(out, "\"");
        }
        c.at += n;
    }
    buf_add_z(out, "\"");
}

void table_name_print(const struct table_name *t, struct buf *out)
{
    if (t->schema != NULL) {
        print_part(t->schema, out);
        buf_add_z(out, ".");
    }
    print_part(t->name, out);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool table_name_same(const struct table_name *a, const struct table_name *b)
{
    return same(a->schema, b->schema) && same(a->name, b->name);
}
