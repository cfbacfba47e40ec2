/*
 * From the text of a condition to its tree, by recursive descent: one function for each line of the
 * grammar in condition.h. Main thread.
 */
#include "base/mem.h"
#include "row/cell/compare.h"
#include "row/path/condition_tree.h"
#include "row/text/ascii.h"

#include <string.h>

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_PATH, TOKEN_TEXT, TOKEN_NUMBER, TOKEN_SIGN };

struct token {
    enum token_kind kind;
    struct str text;
    size_t at; /* in the whole text */
};

struct parser {
    struct condition *c;
    const char *text;
    size_t at; /* after the token */
    struct token token;
    unsigned depth;
    struct error *err;
};

/* ---- tokens ---- */

static bool fault_at(const struct parser *p, size_t at, const char *what)
{
    struct excerpt x;

    if (p->text[at] == '\0') {
        return error_set(p->err, ERROR_SETUP, "%s at the end", what);
    }
    return error_set(p->err, ERROR_SETUP, "%s at byte %zu, before '%s'", what, at + 1,
                     excerpt_text(&x, str_of(p->text + at)));
}

static bool fault(const struct parser *p, const char *what)
{
    return fault_at(p, p->token.at, what);
}

static bool is_keyword(struct str s)
{
    static const char *const words[] = {"and",  "or",     "not",  "in",   "is",
                                        "null", "exists", "true", "false"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (ascii_is_word(s, words[i])) {
            return true;
        }
    }
    return false;
}

/* Up to the closing quote; a doubled one does not close. 0 = none closes. */
static size_t text_length(const char *p)
{
    for (size_t n = 1; p[n]; n++) {
        if (p[n] == '\'' && p[n + 1] == '\'') {
            n++;
        } else if (p[n] == '\'') {
            return n + 1;
        }
    }
    return 0;
}

static size_t sign_length(const char *p)
{
    static const char *const signs[] = {"!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ","};

    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        if (strncmp(p, signs[i], strlen(signs[i])) == 0) {
            return strlen(signs[i]);
        }
    }
    return 0;
}

static bool begins_number(const char *p)
{
    return ascii_is_digit(*p) || ((*p == '-' || *p == '+') && ascii_is_digit(p[1]));
}

static enum token_kind measure(const char *p, size_t *out_n)
{
    if (*p == '\0') {
        *out_n = 0;
        return TOKEN_END;
    }
    if (*p == '\'') {
        *out_n = text_length(p);
        return TOKEN_TEXT;
    }
    if (begins_number(p)) {
        *out_n = strspn(p, "0123456789.eE+-");
        return TOKEN_NUMBER;
    }
    *out_n = path_length(p);
    if (*out_n > 0) {
        return is_keyword((struct str){.p = p, .n = *out_n}) ? TOKEN_WORD : TOKEN_PATH;
    }
    *out_n = sign_length(p);
    return TOKEN_SIGN;
}

/* Reads the next token. */
static bool next(struct parser *p)
{
    size_t n;

    p->at += strspn(p->text + p->at, " \t\r\n");
    const char *begin = p->text + p->at;
    p->token.kind = measure(begin, &n);
    p->token.text = (struct str){.p = begin, .n = n};
    p->token.at = p->at;
    if (n == 0 && p->token.kind == TOKEN_TEXT) {
        return fault(p, "a text without its closing quote");
    }
    if (n == 0 && p->token.kind != TOKEN_END) {
        fault(p, "unexpected character");
        return *begin == '"' ? error_hint(p->err, "Write texts in single quotes: 'order'.") : false;
    }
    p->at += n;
    return true;
}

static bool is_word(const struct parser *p, const char *word)
{
    return p->token.kind == TOKEN_WORD && ascii_is_word(p->token.text, word);
}

static bool is_sign(const struct parser *p, const char *sign)
{
    return p->token.kind == TOKEN_SIGN && str_eq_z(p->token.text, sign);
}

static bool expect_sign(struct parser *p, const char *sign)
{
    char what[16] = "expected '('";

    what[sizeof "expected '" - 1] = *sign;
    return is_sign(p, sign) ? next(p) : fault(p, what);
}

/* ---- operands ---- */

static uint32_t add_literal(struct condition *c, const struct cell *cell)
{
    c->literals = mem_grow(c->literals, &c->literal_cap, c->literal_count, sizeof *c->literals);
    c->literals[c->literal_count] = *cell;
    return (uint32_t) c->literal_count++;
}

/* The text between the quotes. */
static struct str unquote(struct condition *c, struct str quoted)
{
    _cleanup_buf_ struct buf plain = {0};

    for (size_t i = 1; i + 1 < quoted.n; i++) {
        buf_add_u8(&plain, (uint8_t) quoted.p[i]);
        i += quoted.p[i] == '\'' ? 1 : 0;
    }
    return plain.n > 0 ? arena_copy(&c->texts, buf_str(&plain)) : STR_LIT("");
}

static bool literal(struct parser *p, uint32_t *out)
{
    struct cell cell = {0};

    switch (p->token.kind) {
    case TOKEN_TEXT:
        cell.kind = CELL_STRING;
        cell.text = unquote(p->c, p->token.text);
        break;
    case TOKEN_NUMBER:
        if (!compare_number(arena_copy(&p->c->texts, p->token.text), &cell)) {
            return fault(p, "not a number");
        }
        break;
    case TOKEN_WORD:
        cell.kind = CELL_BOOL;
        cell.truth = is_word(p, "true");
        if (cell.truth || is_word(p, "false")) {
            break;
        }
        fault(p, "expected a value");
        return is_word(p, "null") ? error_hint(p->err, "Nothing equals null; write 'is null' or "
                                                       "'is not null'.")
                                  : false;
    case TOKEN_END:
    case TOKEN_PATH:
    case TOKEN_SIGN:
        fault(p, "expected a value");
        return error_hint(p->err, "A value is a text in single quotes, a number, true or false.");
    }
    *out = add_literal(p->c, &cell);
    return next(p);
}

/* The number of that path, added if it is new. */
static uint32_t add_path(struct condition *c, struct path *path)
{
    _cleanup_buf_ struct buf text = {0};

    path_print(path, true, &text);
    for (uint32_t i = 0; i < c->path_count; i++) {
        if (str_eq(c->paths[i].text, buf_str(&text))) {
            path_done(path);
            return i;
        }
    }
    c->paths = mem_grow(c->paths, &c->path_cap, c->path_count, sizeof *c->paths);
    c->paths[c->path_count] = (struct condition_path){
        .path = *path,
        .text = arena_copy(&c->texts, buf_str(&text)),
    };
    return (uint32_t) c->path_count++;
}

static bool path(struct parser *p, uint32_t *out)
{
    struct path path = {0};
    _cleanup_mem_ char *text = mem_strndup(p->token.text.p, p->token.text.n);

    if (!path_parse(text, &path, p->err)) {
        return error_wrap(p->err, "at byte %zu", p->token.at + 1);
    }
    *out = add_path(p->c, &path);
    return next(p);
}

static bool operand(struct parser *p, struct operand *out)
{
    out->is_path = p->token.kind == TOKEN_PATH;
    return out->is_path ? path(p, &out->index) : literal(p, &out->index);
}

/* ---- tests ---- */

static bool comparison(const struct parser *p, enum comparison *out)
{
    static const struct {
        const char *sign;
        enum comparison comparison;
    } signs[] = {
        {"=", EQUAL},       {"!=", NOT_EQUAL}, {"<>", NOT_EQUAL},     {"<", LESS},
        {"<=", LESS_EQUAL}, {">", GREATER},    {">=", GREATER_EQUAL},
    };

    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        if (is_sign(p, signs[i].sign)) {
            *out = signs[i].comparison;
            return true;
        }
    }
    return false;
}

/* The list after `in`. Its literals get consecutive numbers. */
static bool list(struct parser *p, struct condition_node *n)
{
    n->kind = CONDITION_IN;
    n->right.index = (uint32_t) p->c->literal_count;
    if (!next(p) || !expect_sign(p, "(")) {
        return false;
    }
    for (;;) {
        uint32_t index;
        if (!literal(p, &index)) {
            return false;
        }
        n->literal_count++;
        if (!is_sign(p, ",")) {
            return expect_sign(p, ")");
        }
        if (!next(p)) {
            return false;
        }
    }
}

/* After `is`. */
static bool null_test(struct parser *p, struct condition_node *n)
{
    n->kind = CONDITION_NULL;
    if (!next(p)) {
        return false;
    }
    n->negated = is_word(p, "not");
    if (n->negated && !next(p)) {
        return false;
    }
    return is_word(p, "null") ? next(p) : fault(p, "expected 'null'");
}

/* exists(path): of what may be lacking. */
static bool existence(struct parser *p, struct condition_node *n)
{
    n->kind = CONDITION_EXISTS;
    n->left.is_path = true;
    if (!next(p) || !expect_sign(p, "(")) {
        return false;
    }
    size_t at = p->token.at;
    if (p->token.kind != TOKEN_PATH) {
        return fault(p, "expected a path");
    }
    if (!path(p, &n->left.index)) {
        return false;
    }
    const struct path *of = &p->c->paths[n->left.index].path;
    if (of->name_count == 0) {
        fault_at(p, at, "expected a field or a header");
        return error_hint(p->err, "Every record has it, be it null; write 'is not null'.");
    }
    return expect_sign(p, ")");
}

/* What may follow the first operand. */
static bool test_tail(struct parser *p, struct condition_node *n)
{
    n->kind = CONDITION_TRUE;
    if (comparison(p, &n->comparison)) {
        n->kind = CONDITION_COMPARE;
        if (!next(p)) {
            return false;
        }
        if (is_sign(p, "=")) {
            return fault(p, "expected a value") || error_hint(p->err, "Equal is a single '='.");
        }
        return operand(p, &n->right);
    }
    if (is_word(p, "not")) {
        n->negated = true;
        if (!next(p)) {
            return false;
        }
        return is_word(p, "in") ? list(p, n) : fault(p, "expected 'in'");
    }
    if (is_word(p, "in")) {
        return list(p, n);
    }
    if (is_word(p, "is") && n->left.is_path) {
        return null_test(p, n);
    }
    return true;
}

static uint32_t add_node(struct condition *c, const struct condition_node *n)
{
    c->nodes = mem_grow(c->nodes, &c->node_cap, c->node_count, sizeof *c->nodes);
    c->nodes[c->node_count] = *n;
    return (uint32_t) c->node_count++;
}

/* A literal alone is a test only if it is true or false. */
static bool check_alone(const struct parser *p, const struct condition_node *n)
{
    if (n->kind != CONDITION_TRUE || n->left.is_path ||
        p->c->literals[n->left.index].kind == CELL_BOOL) {
        return true;
    }
    return fault(p, "expected a comparison");
}

static bool test(struct parser *p, uint32_t *out)
{
    struct condition_node n = {.first = NODE_NONE, .next = NODE_NONE};
    bool ok = is_word(p, "exists") ? existence(p, &n)
                                   : operand(p, &n.left) && test_tail(p, &n) && check_alone(p, &n);

    if (ok) {
        *out = add_node(p->c, &n);
    }
    return ok;
}

/* ---- and, or, not ---- */

static bool condition(struct parser *p, uint32_t *out);
static bool one(struct parser *p, uint32_t *out);

static bool negation(struct parser *p, uint32_t *out)
{
    struct condition_node n = {.kind = CONDITION_NOT, .next = NODE_NONE};

    if (!next(p) || !one(p, &n.first)) {
        return false;
    }
    *out = add_node(p->c, &n);
    return true;
}

static bool one(struct parser *p, uint32_t *out)
{
    bool ok;

    if (p->depth++ == CONDITION_DEPTH_MAX) {
        return fault(p, "too many parentheses or 'not' in each other");
    }
    if (is_word(p, "not")) {
        ok = negation(p, out);
    } else if (is_sign(p, "(")) {
        ok = next(p) && condition(p, out) && expect_sign(p, ")");
    } else {
        ok = test(p, out);
    }
    p->depth--;
    return ok;
}

typedef bool part_fn(struct parser *p, uint32_t *out);

/* One part, or several with the word between. */
static bool chain(struct parser *p, part_fn *part, const char *word, enum condition_kind kind,
                  uint32_t *out)
{
    if (!part(p, out)) {
        return false;
    }
    if (!is_word(p, word)) {
        return true;
    }
    struct condition_node n = {.kind = kind, .first = *out, .next = NODE_NONE};
    uint32_t last = *out;
    while (is_word(p, word)) {
        uint32_t more;
        if (!next(p) || !part(p, &more)) {
            return false;
        }
        p->c->nodes[last].next = more;
        last = more;
    }
    *out = add_node(p->c, &n);
    return true;
}

static bool all(struct parser *p, uint32_t *out)
{
    return chain(p, one, "and", CONDITION_AND, out);
}

static bool condition(struct parser *p, uint32_t *out)
{
    return chain(p, all, "or", CONDITION_OR, out);
}

bool condition_parse(struct condition *c, const char *text, struct error *err)
{
    struct parser p = {.c = c, .text = text, .err = err};

    if (strlen(text) > CONDITION_TEXT_MAX) {
        return error_set(err, ERROR_SETUP, "it is longer than %d bytes", CONDITION_TEXT_MAX);
    }
    if (!next(&p) || !condition(&p, &c->root)) {
        return false;
    }
    return p.token.kind == TOKEN_END || fault(&p, "expected 'and', 'or' or the end");
}
