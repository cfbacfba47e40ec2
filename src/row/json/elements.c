/* The text is valid JSON: nothing is checked again, and its end is met before p passes it. */
#include "row/json/elements.h"

#include "row/cell/fields.h"
#include "row/json/escape.h"
#include "row/json/token.h"
#include "row/text/ascii.h"

#include <assert.h>
#include <string.h>

static const char *after_spaces(const char *p)
{
    while (token_is_space(*p)) {
        p++;
    }
    return p;
}

/* Where the string whose quote is at p ends. */
static const char *string_end(const char *p)
{
    for (p++; *p != '"'; p++) {
        p += *p == '\\' ? 1 : 0;
    }
    return p + 1;
}

/* Where the array or object at p ends. */
static const char *container_end(const char *p)
{
    size_t depth = 0;

    do {
        if (*p == '"') {
            p = string_end(p);
            continue;
        }
        if (*p == '[' || *p == '{') {
            depth++;
        } else if (*p == ']' || *p == '}') {
            depth--;
        }
        p++;
    } while (depth > 0);
    return p;
}

void elements_open(struct elements *e, struct str json, struct buf *plain)
{
    *e = (struct elements){.p = after_spaces(json.p) + 1, .plain = plain};
}

bool elements_next(struct elements *e)
{
    e->p = after_spaces(e->p);
    if (*e->p == ',') {
        e->p = after_spaces(e->p + 1);
    }
    return *e->p != ']' && *e->p != '}';
}

/* The string at p, up to end, without quotes and escapes. */
static struct str string_plain(const struct elements *e, const char *p, const char *end)
{
    struct str raw = {.p = p + 1, .n = (size_t) (end - p) - 2};

    if (memchr(raw.p, '\\', raw.n) == NULL) {
        return raw;
    }
    buf_clear(e->plain);
    char *start = (char *) buf_reserve(e->plain, raw.n + FIELD_PADDING);
    char *to = start;
    const char *from = raw.p;
    bool ignored = false;
    while (from < end - 1) {
        if (*from == '\\') {
            const char *fault = escape_take(&from, &to, &ignored);
            assert(fault == NULL);
        } else {
            *to++ = *from++;
        }
    }
    e->plain->n = (size_t) (to - start);
    return buf_str(e->plain);
}

void elements_name(struct elements *e, struct str *out)
{
    const char *end = string_end(e->p);

    *out = string_plain(e, e->p, end);
    e->p = after_spaces(after_spaces(end) + 1);
}

/* Also what document.c knows of a number: is it short? */
static const char *number(const char *p, struct cell *c)
{
    bool negative = *p == '-';
    bool exponent = false;
    bool point = false;
    ptrdiff_t digits = 0;
    ptrdiff_t scale = 0;
    uint64_t value = 0;

    for (p += negative ? 1 : 0;; p++) {
        if (ascii_is_digit(*p)) {
            value = value * 10 + (uint64_t) (*p - '0');
            digits++;
            scale += point ? 1 : 0;
        } else if (*p == '.') {
            point = true;
        } else if (*p == 'e' || *p == 'E' || *p == '+' || *p == '-') {
            exponent = true;
        } else {
            break;
        }
    }
    c->kind = CELL_NUMBER;
    token_short_value(c, negative, value, digits, scale);
    c->is_short &= !exponent;
    return p;
}

void elements_value(struct elements *e, struct cell *out)
{
    const char *p = e->p;

    *out = (struct cell){.kind = CELL_NULL};
    if (*p == '"') {
        e->p = string_end(p);
        out->kind = CELL_STRING;
        out->raw = (struct str){.p = p, .n = (size_t) (e->p - p)};
        out->text = string_plain(e, p, e->p);
        return;
    }
    if (*p == '[' || *p == '{') {
        out->kind = CELL_JSON;
        e->p = container_end(p);
    } else if (*p == 't' || *p == 'f') {
        out->kind = CELL_BOOL;
        out->truth = *p == 't';
        e->p = p + (out->truth ? 4 : 5);
    } else if (*p == 'n') {
        e->p = p + 4;
    } else {
        e->p = number(p, out);
    }
    out->text = (struct str){.p = p, .n = (size_t) (e->p - p)};
}

bool elements_find(struct str object, const char *name, struct buf *plain, struct cell *out)
{
    struct elements e;
    struct str its;

    elements_open(&e, object, plain);
    while (elements_next(&e)) {
        elements_name(&e, &its);
        bool found = str_eq_z(its, name);
        elements_value(&e, out);
        if (found) {
            return true;
        }
    }
    return false;
}

int elements_depth(struct str json)
{
    int depth = 0;
    const char *p = after_spaces(json.p);

    for (; *p == '['; p = after_spaces(p + 1)) {
        depth++;
    }
    return depth;
}
