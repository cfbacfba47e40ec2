/*
 * The walk over the index. Each token of the index is looked at exactly once, by the function that
 * expects it; between the end of a token and the next place in the index there may be white space
 * only. The functions of the walk take the place of the next token and return the one after what
 * they have read; NULL is a fault.
 *
 * After the text there is padding, and the index ends with the place where it begins. Of a copied
 * text these are zeros, which no token is made of. A text that is read in place may be followed by
 * anything; but it ends with a bracket, so nothing but `comma` can look at what follows.
 *
 * One thread per document.
 */
#include "row/json/document.h"

#include "base/buf.h"
#include "base/mem.h"
#include "row/json/escape.h"
#include "row/json/json.h"
#include "row/json/met.h"
#include "row/json/token.h"
#include "row/text/ascii.h"

#include <stdlib.h>

_Static_assert(FIELD_LITERAL_MAX <= JSON_PADDING, "a literal is compared beyond the end of a text");

struct level {
    uint32_t node;  /* of the container, or FIELD_NONE when nothing below it is wanted */
    uint32_t begin; /* its position in the text */
    char end;       /* the bracket that closes it */
};

struct document {
    struct json_index *index;
    struct buf text;  /* a copy of the document, and padding */
    struct buf plain; /* strings without their escapes; never more bytes than the text */
    uint32_t *likely; /* see likely_fit */
    size_t likely_cap;
    size_t likely_count;
    const struct fields *likely_of;
    struct met met; /* see met.h */
    bool odd;
    struct level levels[1 + DOCUMENT_DEPTH_MAX]; /* the first one is around the document */
};

struct walk {
    struct document *d;
    const struct fields *f;
    struct cell *cells;
    const char *text;
    const char *end;
    const char *slash; /* see has_escape */
    uint32_t *likely;  /* of the place where the walk is, in an object of which fields are wanted */
    struct level *top; /* the innermost open container */
    struct error *err;
    struct cell unwanted;
};

struct document *document_new(void)
{
    struct document *d = mem_zalloc(sizeof *d);

    d->index = json_index_new();
    return d;
}

struct document *document_free(struct document *d)
{
    if (d != NULL) {
        d->index = json_index_free(d->index);
        buf_done(&d->text);
        buf_done(&d->plain);
        free(d->likely);
        met_done(&d->met);
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
    error_set(w->err, ERROR_RECORD, "not valid JSON: %s at byte %zu", what,
              (size_t) (p - w->text) + 1);
    return error_sqlstate(w->err, "22P02");
}

static const uint32_t *fault_at(const struct walk *w, const char *p, const char *what)
{
    (void) fault(w, p, what);
    return NULL;
}

/* Where a token starts. */
static inline const char *token(const struct walk *w, const uint32_t *at)
{
    return w->text + *at;
}

static const uint32_t *gap_slow(const struct walk *w, const char *p, const uint32_t *at)
{
    const char *next = token(w, at);

    while (p < next) {
        if (!token_is_space(*p)) {
            return fault_at(w, p, "unexpected character");
        }
        p++;
    }
    return p == next ? at : fault_at(w, next, "unexpected end");
}

/* A token ends at p: only white space may follow before the next one, at. */
static inline const uint32_t *gap(const struct walk *w, const char *p, const uint32_t *at)
{
    return p == token(w, at) ? at : gap_slow(w, p, at);
}

/* ---- strings ---- */

/* The first quote or backslash at or after p; there is one. */
static inline const char *string_stop(const char *p)
{
    for (;; p += 8) {
        uint64_t word = ascii_word(p);
        uint64_t quote = word ^ (ASCII_ONES * '"');
        uint64_t slash = word ^ (ASCII_ONES * '\\');
        uint64_t hit = (((quote - ASCII_ONES) & ~quote) | ((slash - ASCII_ONES) & ~slash)) &
                       ASCII_HIGHS;
        if (hit != 0) {
            return p + (__builtin_ctzll(hit) >> 3);
        }
    }
}

/* A string with escapes: copies it without them. begin is after its opening quote. */
static bool string_plain(struct walk *w, const char *begin, struct str *out)
{
    const char *stop = string_stop(begin);
    struct buf *plain = &w->d->plain;

    if (plain->n == 0) {
        /* Once per document: what was handed out stays. */
        buf_reserve(plain, (size_t) (w->end - w->text) + FIELD_PADDING);
    }
    char *start = (char *) plain->p + plain->n;
    char *to = start;
    while (*stop == '\\') {
        memcpy(to, begin, (size_t) (stop - begin));
        to += stop - begin;
        begin = stop;
        const char *wrong = escape_take(&begin, &to, &w->d->odd);
        if (wrong != NULL) {
            return fault(w, begin, wrong);
        }
        stop = string_stop(begin);
    }
    memcpy(to, begin, (size_t) (stop - begin));
    to += stop - begin;
    *out = (struct str){.p = start, .n = (size_t) (to - start)};
    plain->n += out->n;
    return true;
}

/*
 * Is there a backslash in the string from p, its quote, up to end? Asked from front to back:
 * w->slash is the first one after the p that was asked about last, or the end if there is none.
 */
static inline bool has_escape(struct walk *w, const char *p, const char *end)
{
    if (w->slash <= p) {
        const char *slash = memchr(p, '\\', (size_t) (w->end - p));
        w->slash = slash != NULL ? slash : w->end;
    }
    return w->slash < end;
}

/*
 * The string whose opening quote is at p; at is the next token. The index has whatever comes
 * after its closing quote except white space, so that quote is found backwards from there.
 */
static inline bool string(struct walk *w, const char *p, const uint32_t *at, struct str *out,
                          const char **out_end)
{
    const char *end = token(w, at);

    while (end[-1] != '"') {
        end--;
    }
    *out_end = end;
    if (has_escape(w, p, end)) {
        return string_plain(w, p + 1, out);
    }
    *out = (struct str){.p = p + 1, .n = (size_t) (end - p - 2)};
    return true;
}

/* ---- other scalars ---- */

/* Texts longer than this may hold a number that numeric cannot. */
enum { NUMBER_PLAIN_BYTES = 16000 };

/* The end of the exponent after its e, NULL when there is none. */
static const char *exponent_end(struct document *d, const char *p)
{
    uint64_t ignored = 0;

    p += *p == '+' || *p == '-' ? 1 : 0;
    const char *begin = p;
    p = ascii_digits(p, &ignored);
    d->odd |= p - begin > 3;
    return p == begin ? NULL : p;
}

/* The end of the number at p, NULL when there is none. RFC 8259, section 6. */
static inline const char *number(struct document *d, const char *p, struct cell *c)
{
    bool negative = *p == '-';
    const char *whole = p + (negative ? 1 : 0);
    uint64_t value = 0;
    const char *end = ascii_digits(whole, &value);
    ptrdiff_t digits = end - whole;
    ptrdiff_t scale = 0;

    if (digits == 0 || (*whole == '0' && digits > 1)) {
        return NULL;
    }
    if (*end == '.') {
        const char *fraction = end + 1;
        end = ascii_digits(fraction, &value);
        scale = end - fraction;
        if (scale == 0) {
            return NULL;
        }
    }
    token_short_value(c, negative, value, digits + scale, scale);
    if (*end == 'e' || *end == 'E') {
        c->is_short = false;
        end = exponent_end(d, end + 1);
    }
    d->odd |= !c->is_short && end - p > NUMBER_PLAIN_BYTES;
    return end;
}

/* The end of the literal at p, NULL when there is none. */
static const char *literal(const char *p, struct cell *c)
{
    if (memcmp(p, "true", 4) == 0) {
        c->kind = CELL_BOOL;
        c->truth = true;
        return p + 4;
    }
    if (memcmp(p, "false", 5) == 0) {
        c->kind = CELL_BOOL;
        c->truth = false;
        return p + 5;
    }
    c->kind = CELL_NULL;
    return memcmp(p, "null", 4) == 0 ? p + 4 : NULL;
}

/* ---- structure ---- */

/*
 * Documents of one kind have their fields in the same order. For each place where a wanted field
 * may begin, `likely` has the node that was found there last: one comparison instead of a search.
 * It is a guess, and any node is a good one.
 */
static void likely_fit(struct document *d, const struct fields *f)
{
    size_t count = 2 * f->count;

    if (d->likely_of == f && d->likely_count == count) {
        return;
    }
    if (d->likely_cap < count) {
        d->likely = mem_realloc(d->likely, count, sizeof *d->likely);
        d->likely_cap = count;
    }
    memset(d->likely, 0, count * sizeof *d->likely);
    d->likely_of = f;
    d->likely_count = count;
}

static inline uint32_t *likely_inside(const struct document *d, uint32_t node)
{
    return &d->likely[2 * (size_t) node];
}

static inline uint32_t *likely_after(const struct document *d, uint32_t node)
{
    return &d->likely[2 * (size_t) node + 1];
}

/* A name that comes again: what the earlier one had below it is gone. */
static void forget_below(struct walk *w, uint32_t node)
{
    for (uint32_t i = node + 1; i < w->f->count; i++) {
        if (fields_below(w->f, i, node)) {
            w->cells[i].kind = CELL_ABSENT;
        }
    }
}

/* Another value for that node; at is its name. */
static bool again(struct walk *w, const uint32_t *at, uint32_t node)
{
    const struct field *its = &w->f->nodes[node];
    bool is_literal = its->of_row && fields_same(token(w, at), its->literal, its->literal_n);

    forget_below(w, node);
    return !is_literal || met_again(&w->d->met, w->f, node, w->err);
}

static const uint32_t *container(struct walk *w, const char *p, const uint32_t *at, uint32_t node)
{
    if (w->top++ == w->d->levels + DOCUMENT_DEPTH_MAX) {
        error_set(w->err, ERROR_RECORD, "the JSON is nested deeper than %d levels",
                  DOCUMENT_DEPTH_MAX);
        error_sqlstate(w->err, "54001");
        return NULL;
    }
    if (node != FIELD_NONE) {
        w->likely = likely_inside(w->d, node);
    }
    *w->top = (struct level){
        .node = node,
        .begin = (uint32_t) (p - w->text),
        .end = *p == '{' ? '}' : ']',
    };
    return gap(w, p + 1, at);
}

/* The value at the next token, for that node. A container is only opened. */
static inline const uint32_t *value(struct walk *w, const uint32_t *at, uint32_t node)
{
    struct cell *c = &w->unwanted;
    const char *p = token(w, at++);
    const char *end;

    if (node != FIELD_NONE) {
        c = &w->cells[node];
        if (c->kind != CELL_ABSENT && !again(w, at - 3, node)) {
            return NULL;
        }
    }
    if (*p == '"') {
        c->kind = CELL_STRING;
        if (!string(w, p, at, &c->text, &end)) {
            return NULL;
        }
        c->raw = (struct str){.p = p, .n = (size_t) (end - p)};
        return at;
    }
    if (ascii_is_digit(*p) || *p == '-') {
        end = number(w->d, p, c);
        if (end == NULL) {
            return fault_at(w, p, "bad number");
        }
        c->kind = CELL_NUMBER;
        c->text = (struct str){.p = p, .n = (size_t) (end - p)};
        return gap(w, end, at);
    }
    if (*p == '{' || *p == '[') {
        c->kind = CELL_JSON;
        c->text = (struct str){.p = p, .n = 1};
        return container(w, p, at, node);
    }
    end = literal(p, c);
    if (end == NULL) {
        return fault_at(w, p, p == w->end ? "unexpected end" : "unexpected character");
    }
    return gap(w, end, at);
}

/* A name in quotes and its colon. *out_node is that child of the object on top. */
static inline const uint32_t *name(struct walk *w, const uint32_t *at, uint32_t *out_node)
{
    struct str name;
    const char *end;
    const char *p = token(w, at++);

    if (*p != '"') {
        return fault_at(w, p, "expected a name in quotes");
    }
    if (!string(w, p, at, &name, &end)) {
        return NULL;
    }
    p = token(w, at++);
    if (*p != ':') {
        return fault_at(w, p, "expected ':'");
    }
    uint32_t parent = w->top->node;
    *out_node = parent == FIELD_NONE ? FIELD_NONE : fields_find(w->f, parent, name);
    if (parent != FIELD_NONE && w->f->nodes[parent].row_children > 0 &&
        !met_field(&w->d->met, w->f, w->cells, parent, name, out_node, w->err)) {
        return NULL;
    }
    return gap(w, p + 1, at);
}

/* Is the token at p, with a colon right after it, the name of that child of the object on top? */
static inline bool is_name(const struct walk *w, const char *p, const struct field *f)
{
    return f->parent == w->top->node && fields_same(p, f->literal, f->literal_n);
}

/* A name and its colon, in an object of which fields are wanted. */
static inline const uint32_t *wanted_name(struct walk *w, const uint32_t *at, uint32_t *out_node)
{
    const char *p = token(w, at);
    uint32_t *likely = w->likely;
    const struct field *f = &w->f->nodes[*likely];

    if (is_name(w, p, f)) {
        *out_node = *likely;
        w->likely = likely_after(w->d, *likely);
        return gap(w, p + f->literal_n, at + 2);
    }
    at = name(w, at, out_node);
    if (at != NULL && *out_node != FIELD_NONE) {
        *likely = *out_node;
        w->likely = likely_after(w->d, *out_node);
    }
    return at;
}

/* Up to the value of the next element in the container on top. *out_node is for that value. */
static inline const uint32_t *element(struct walk *w, const uint32_t *at, uint32_t *out_node)
{
    if (w->top->end == '}') {
        return w->top->node == FIELD_NONE ? name(w, at, out_node) : wanted_name(w, at, out_node);
    }
    *out_node = FIELD_NONE;
    return at;
}

static const uint32_t *close(struct walk *w, const uint32_t *at)
{
    const struct level *closed = w->top--;
    const char *p = token(w, at);

    if (closed->node != FIELD_NONE) {
        w->likely = likely_after(w->d, closed->node);
        w->cells[closed->node].text.n = (size_t) (p + 1 - w->text) - closed->begin;
    }
    return gap(w, p + 1, at + 1);
}

/* After an element: ends of containers, and a comma unless the outermost is closed. */
static inline const uint32_t *comma(struct walk *w, const uint32_t *at)
{
    do {
        const char *p = token(w, at);
        if (*p == ',' && p < w->end) {
            return gap(w, p + 1, at + 1);
        }
        if (*p != w->top->end || p == w->end) {
            return fault_at(w, p,
                            w->top->end == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        }
        at = close(w, at);
    } while (at != NULL && w->top > w->d->levels);
    return at;
}

static const uint32_t *walk(struct walk *w, const uint32_t *at)
{
    uint32_t node = w->f != NULL ? 0 : FIELD_NONE;

    for (;;) {
        const struct level *before = w->top;
        at = value(w, at, node);
        if (at == NULL || w->top == w->d->levels) {
            return at;
        }
        if (w->top == before || *token(w, at) == w->top->end) {
            at = comma(w, at);
            if (at == NULL || w->top == w->d->levels) {
                return at;
            }
        }
        at = element(w, at, &node);
        if (at == NULL) {
            return NULL;
        }
    }
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

/* Sanitizers object to reading bytes that are not the record's. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define READ_IN_PLACE false
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define READ_IN_PLACE false
#endif
#endif
#ifndef READ_IN_PLACE
#define READ_IN_PLACE true
#endif

/*
 * Can the text be read where it is, with the padding that simdjson and the scans want after it?
 * What lies in the page of its last byte is readable. That byte is a bracket: see the top.
 */
static bool is_padded(struct str text)
{
    const uintptr_t page = 4096; /* the smallest of any system */
    uintptr_t last = (uintptr_t) (text.p + text.n - 1);
    char c = text.p[text.n - 1];

    return READ_IN_PLACE && (c == '}' || c == ']') && last % page + JSON_PADDING < page;
}

/* Where the text can be read with padding after it. */
static const char *padded(struct document *d, struct str text)
{
    if (text.n > 0 && is_padded(text)) {
        return text.p;
    }
    buf_clear(&d->text);
    buf_add_str(&d->text, text);
    buf_fill(&d->text, 0, JSON_PADDING);
    return (const char *) d->text.p;
}

bool document_read(struct document *d, struct str text, const struct fields *f, struct cell *cells,
                   struct error *err)
{
    struct walk w;

    w.d = d;
    w.f = f;
    w.cells = cells;
    w.text = padded(d, text);
    w.end = w.text + text.n;
    w.slash = w.text;
    w.top = d->levels;
    w.err = err;
    d->odd = false;
    buf_clear(&d->plain);
    met_clear(&d->met, f);
    if (f != NULL) {
        likely_fit(d, f);
    }
    for (size_t i = 0; f != NULL && i < f->count; i++) {
        cells[i].kind = CELL_ABSENT;
    }
    const uint32_t *at;
    size_t count;
    enum json_fault kind = json_index_read(d->index, w.text, text.n, &at, &count);
    if (kind != JSON_OK) {
        error_set(err, ERROR_RECORD, "not valid JSON: %s", fault_text(kind));
        return error_sqlstate(err, kind == JSON_UTF8 ? "22021" : "22P02");
    }
    const uint32_t *end = at + count;
    at = walk(&w, at);
    if (at == NULL ||
        (at != end && !fault(&w, token(&w, at), "unexpected text after the document"))) {
        return false;
    }
    met_finish(&d->met, cells);
    return true;
}
