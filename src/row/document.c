/*
 * The walk over the index. Each token of the index is looked at exactly once, by the function that
 * expects it; between the end of a token and the next place in the index there may be white space
 * only. The padding behind the text is filled with quotes, so that no scan for the end of a string,
 * a number or a literal can run away.
 *
 * One thread per document.
 */
#include "row/document.h"

#include "base/buf.h"
#include "base/mem.h"
#include "row/ascii.h"
#include "row/json.h"

#include <stdlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "string_stop reads words in memory order");

struct level {
    uint32_t node;  /* of the container, or FIELD_NONE when nothing below it is wanted */
    uint32_t begin; /* its position in the text */
    bool object;
};

struct document {
    struct json_index *index;
    struct buf text;  /* the document and its padding */
    struct buf plain; /* strings without their escapes; never more bytes than the text */
    bool odd;
    struct level levels[DOCUMENT_DEPTH_MAX];
};

struct walk {
    struct document *d;
    const struct fields *f;
    struct cell *cells;
    const char *text;
    const char *end;
    const uint32_t *at;
    const uint32_t *at_end;
    size_t depth;
    struct error *err;
};

struct document *document_new(void)
{
    struct document *d = mem_zalloc(sizeof *d);
    d->index = json_index_new();
    return d;
}

struct document *document_free(struct document *d)
{
    if (d) {
        d->index = json_index_free(d->index);
        buf_done(&d->text);
        buf_done(&d->plain);
        free(d);
    }
    return NULL;
}

bool document_is_odd(const struct document *d)
{
    return d->odd;
}

static bool fault(const struct walk *w, const char *p, const char *what)
{
    return error_set(w->err, ERROR_RECORD, "not valid JSON: %s at byte %zu", what,
                     (size_t) (p - w->text) + 1);
}

/* Where the next token starts; the end of the text behind the last one. */
static inline const char *token(const struct walk *w)
{
    return w->at < w->at_end ? w->text + *w->at : w->end;
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The token just read ends at p: only white space may follow before the next one. */
static inline bool gap(const struct walk *w, const char *p)
{
    const char *next = token(w);
    while (p < next) {
        if (!is_space(*p)) {
            return fault(w, p, "unexpected character");
        }
        p++;
    }
    return p == next || fault(w, next, "unexpected end");
}

/* ---- strings ---- */

/* The first quote or backslash at or behind p; the padding stops it at the latest. */
static inline const char *string_stop(const char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = UINT64_C(0x8080808080808080);
    for (;; p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        uint64_t quote = word ^ (ones * '"');
        uint64_t slash = word ^ (ones * '\\');
        uint64_t hit = (((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & highs;
        if (hit != 0) {
            return p + (__builtin_ctzll(hit) >> 3);
        }
    }
}

/* Four hexadecimal digits; -1 when they are not. Stops at the padding by itself. */
static int32_t hex4(const char *p)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = ascii_hex(p[i]);
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

static size_t put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char) c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char) (0xC0 | (c >> 6));
        to[1] = (char) (0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char) (0xE0 | (c >> 12));
        to[1] = (char) (0x80 | ((c >> 6) & 0x3F));
        to[2] = (char) (0x80 | (c & 0x3F));
        return 3;
    }
    to[0] = (char) (0xF0 | (c >> 18));
    to[1] = (char) (0x80 | ((c >> 12) & 0x3F));
    to[2] = (char) (0x80 | ((c >> 6) & 0x3F));
    to[3] = (char) (0x80 | (c & 0x3F));
    return 4;
}

/* The escape \uXXXX at p, or a pair of them; *p moves behind it. */
static bool escape_unicode(struct walk *w, const char **p, char **to)
{
    int32_t c = hex4(*p + 2);
    if (c < 0) {
        return fault(w, *p, "bad \\u escape");
    }
    size_t length = 6;
    if (c >= 0xD800 && c < 0xDC00 && (*p)[6] == '\\' && (*p)[7] == 'u') {
        int32_t low = hex4(*p + 8);
        if (low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            length = 12;
        }
    }
    if (c >= 0xD800 && c < 0xE000) {
        return fault(w, *p, "lone surrogate");
    }
    w->d->odd |= c == 0;
    *to += put_utf8(*to, (uint32_t) c);
    *p += length;
    return true;
}

/* The escape at p, which points to its backslash; *p moves behind it. */
static bool escape(struct walk *w, const char **p, char **to)
{
    char c;
    switch ((*p)[1]) {
    case '"':
    case '\\':
    case '/':
        c = (*p)[1];
        break;
    case 'b':
        c = '\b';
        break;
    case 'f':
        c = '\f';
        break;
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 't':
        c = '\t';
        break;
    case 'u':
        return escape_unicode(w, p, to);
    default:
        return fault(w, *p, "bad escape");
    }
    *(*to)++ = c;
    *p += 2;
    return true;
}

/* A string with escapes: copies it without them. stop is its first backslash. */
static bool string_plain(struct walk *w, const char *begin, const char *stop, struct str *out,
                         const char **out_end)
{
    struct buf *plain = &w->d->plain;
    if (plain->n == 0) {
        buf_reserve(plain, w->d->text.n); /* once per document: what was handed out stays */
    }
    char *start = (char *) plain->p + plain->n;
    char *to = start;
    while (*stop == '\\') {
        memcpy(to, begin, (size_t) (stop - begin));
        to += stop - begin;
        begin = stop;
        if (!escape(w, &begin, &to)) {
            return false;
        }
        stop = string_stop(begin);
    }
    memcpy(to, begin, (size_t) (stop - begin));
    to += stop - begin;
    *out = (struct str){.p = start, .n = (size_t) (to - start)};
    *out_end = stop + 1;
    /* Room behind it, so that it can be looked up as a name. */
    plain->n += out->n;
    return stop < w->end || fault(w, w->end, "unexpected end of a string");
}

/* The string whose opening quote is at p. */
static inline bool string(struct walk *w, const char *p, struct str *out, const char **out_end)
{
    const char *stop = string_stop(p + 1);
    if (*stop == '\\') {
        return string_plain(w, p + 1, stop, out, out_end);
    }
    *out = (struct str){.p = p + 1, .n = (size_t) (stop - p - 1)};
    *out_end = stop + 1;
    return stop < w->end || fault(w, w->end, "unexpected end of a string");
}

/* ---- other scalars ---- */

static inline const char *digits_end(const char *p)
{
    while (ascii_is_digit(*p)) {
        p++;
    }
    return p;
}

/* Texts longer than this may hold a number that numeric cannot. */
enum { NUMBER_PLAIN_BYTES = 16000 };

/* The end of the number at p, NULL when there is none. RFC 8259, section 6. */
static const char *number_end(struct document *d, const char *p)
{
    const char *begin = p;
    p += *p == '-' ? 1 : 0;
    const char *whole = p;
    p = digits_end(p);
    if (p == whole || (*whole == '0' && p > whole + 1)) {
        return NULL;
    }
    if (*p == '.') {
        const char *fraction = ++p;
        p = digits_end(p);
        if (p == fraction) {
            return NULL;
        }
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-' ? 1 : 0;
        const char *exponent = p;
        p = digits_end(p);
        if (p == exponent) {
            return NULL;
        }
        d->odd |= p - exponent > 3;
    }
    d->odd |= p - begin > NUMBER_PLAIN_BYTES;
    return p;
}

static bool number(struct walk *w, const char *p, struct cell *c, const char **out_end)
{
    const char *end = number_end(w->d, p);
    if (!end) {
        return fault(w, p, "bad number");
    }
    c->kind = CELL_NUMBER;
    c->text = (struct str){.p = p, .n = (size_t) (end - p)};
    *out_end = end;
    return true;
}

static bool literal(struct walk *w, const char *p, struct cell *c, const char **out_end)
{
    if (memcmp(p, "true", 4) == 0) {
        c->kind = CELL_BOOL;
        c->truth = true;
        *out_end = p + 4;
        return true;
    }
    if (memcmp(p, "false", 5) == 0) {
        c->kind = CELL_BOOL;
        c->truth = false;
        *out_end = p + 5;
        return true;
    }
    if (memcmp(p, "null", 4) == 0) {
        c->kind = CELL_NULL;
        *out_end = p + 4;
        return true;
    }
    return fault(w, p, p == w->end ? "unexpected end" : "unexpected character");
}

/* ---- structure ---- */

/* A name that comes again: what the earlier one had below it is gone. */
static void forget_below(struct walk *w, uint32_t node)
{
    for (uint32_t i = node + 1; i < w->f->count; i++) {
        if (fields_below(w->f, i, node)) {
            w->cells[i].kind = CELL_ABSENT;
        }
    }
}

static bool container(struct walk *w, const char *p, uint32_t node)
{
    if (w->depth == DOCUMENT_DEPTH_MAX) {
        return error_set(w->err, ERROR_RECORD, "the JSON is nested deeper than %d levels",
                         DOCUMENT_DEPTH_MAX);
    }
    w->d->levels[w->depth++] = (struct level){
        .node = node,
        .begin = (uint32_t) (p - w->text),
        .object = *p == '{',
    };
    return true;
}

/* The value at the next token, for that node. A container is only opened. */
static inline bool value(struct walk *w, uint32_t node)
{
    struct cell unwanted;
    struct cell *c = &unwanted;
    if (node != FIELD_NONE) {
        c = &w->cells[node];
        if (c->kind != CELL_ABSENT) {
            forget_below(w, node);
        }
    }
    const char *p = token(w);
    const char *end = p;
    w->at++;
    if (*p == '"' && p < w->end) {
        c->kind = CELL_STRING;
        if (!string(w, p, &c->text, &end)) {
            return false;
        }
        c->raw = (struct str){.p = p, .n = (size_t) (end - p)};
    } else if (*p == '{' || *p == '[') {
        c->kind = CELL_JSON;
        c->text = (struct str){.p = p, .n = 1};
        return gap(w, p + 1) && container(w, p, node);
    } else if (ascii_is_digit(*p) || *p == '-') {
        if (!number(w, p, c, &end)) {
            return false;
        }
    } else if (!literal(w, p, c, &end)) {
        return false;
    }
    return gap(w, end);
}

/* A name, its colon and its value, in the object on top. */
static inline bool member(struct walk *w, const char *p)
{
    struct str name;
    const char *end;
    if (*p != '"' || p >= w->end) {
        return fault(w, p, "expected a name in quotes");
    }
    w->at++;
    if (!string(w, p, &name, &end) || !gap(w, end)) {
        return false;
    }
    p = token(w);
    if (*p != ':') {
        return fault(w, p, "expected ':'");
    }
    w->at++;
    uint32_t node = w->d->levels[w->depth - 1].node;
    return gap(w, p + 1) &&
           value(w, node == FIELD_NONE ? FIELD_NONE : fields_find(w->f, node, name));
}

static bool close(struct walk *w, const char *p)
{
    const struct level *top = &w->d->levels[--w->depth];
    w->at++;
    if (top->node != FIELD_NONE) {
        w->cells[top->node].text.n = (size_t) (p + 1 - w->text) - top->begin;
    }
    return gap(w, p + 1);
}

static inline bool element(struct walk *w, const char *p, bool object)
{
    return object ? member(w, p) : value(w, FIELD_NONE);
}

/* Just inside a container: its first element, or its end. */
static bool first(struct walk *w)
{
    bool object = w->d->levels[w->depth - 1].object;
    const char *p = token(w);
    return *p == (object ? '}' : ']') ? close(w, p) : element(w, p, object);
}

/* Behind an element: a comma and another one, or the end. */
static inline bool next(struct walk *w)
{
    bool object = w->d->levels[w->depth - 1].object;
    const char *p = token(w);
    if (*p == ',') {
        w->at++;
        return gap(w, p + 1) && element(w, token(w), object);
    }
    if (*p == (object ? '}' : ']')) {
        return close(w, p);
    }
    return fault(w, p, object ? "expected ',' or '}'" : "expected ',' or ']'");
}

static bool walk(struct walk *w)
{
    if (!value(w, w->f ? 0 : FIELD_NONE)) {
        return false;
    }
    size_t before = 0;
    while (w->depth > 0) {
        bool opened = w->depth > before;
        before = w->depth;
        if (!(opened ? first(w) : next(w))) {
            return false;
        }
    }
    return w->at >= w->at_end || fault(w, token(w), "unexpected text behind the document");
}

static const char *fault_text(enum json_fault fault)
{
    switch (fault) {
    case JSON_OK:
        break;
    case JSON_EMPTY:
        return "it is empty";
    case JSON_UTF8:
        return "it is not valid UTF-8";
    case JSON_CONTROL:
        return "a control character inside a string";
    case JSON_OPEN_STRING:
        return "a string without an end";
    case JSON_TOO_LARGE:
        return "it is too large";
    }
    __builtin_unreachable();
}

static void take_text(struct document *d, struct str text)
{
    buf_clear(&d->plain);
    buf_clear(&d->text);
    buf_add_str(&d->text, text);
    buf_fill(&d->text, '"', JSON_PADDING);
}

bool document_read(struct document *d, struct str text, const struct fields *f, struct cell *cells,
                   struct error *err)
{
    take_text(d, text);
    d->odd = false;
    for (size_t i = 0; f && i < f->count; i++) {
        cells[i].kind = CELL_ABSENT;
    }
    struct walk w = {
        .d = d,
        .f = f,
        .cells = cells,
        .text = (const char *) d->text.p,
        .end = (const char *) d->text.p + text.n,
        .err = err,
    };
    size_t count = 0;
    enum json_fault fault = json_index_read(d->index, w.text, text.n, &w.at, &count);
    if (fault != JSON_OK) {
        return error_set(err, ERROR_RECORD, "not valid JSON: %s", fault_text(fault));
    }
    w.at_end = w.at + count;
    return walk(&w);
}
