/* See expression.h. Quotes and comments end as PostgreSQL's lexer has them end. */
#include "pg/expression.h"

#include "base/ascii.h"

#include <string.h>

#define DEPTH_MAX 64 /* deeper than this, only the server looks */

static bool is_word(char c)
{
    return ascii_is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_' ||
           (unsigned char) c >= 0x80;
}

/* The end of the word, or number, that begins at p. */
static const char *word_end(const char *p)
{
    while (is_word(*p) || *p == '$') {
        p++;
    }
    return p;
}

/* Where the quote at p ends, NULL if it does not. A doubled quote ends one piece and begins the
 * next. */
static const char *quote_end(const char *p, bool escapes)
{
    char quote = *p;

    for (p++; *p != '\0' && *p != quote; p++) {
        if (escapes && *p == '\\' && p[1] != '\0') {
            p++;
        }
    }
    return *p != '\0' ? p + 1 : NULL;
}

/* The next piece of the text that ended before p: after a doubled quote, or after a line's end,
 * where comments to the end of a line may be in between. NULL: there is none. */
static const char *next_piece(const char *p)
{
    bool new_line = *p == '\'';

    while (ascii_is_space(*p) || (p[0] == '-' && p[1] == '-')) {
        new_line |= *p == '\n' || *p == '\r';
        p += *p == '-' ? strcspn(p, "\r\n") : 1;
    }
    return new_line && *p == '\'' ? p : NULL;
}

/* The end of E'...', in all of whose pieces a backslash keeps a quote from ending it. */
static const char *escaped_end(const char *p)
{
    const char *end = NULL;

    while (p != NULL && (end = quote_end(p, true)) != NULL) {
        p = next_piece(end);
    }
    return end;
}

/* The length of $tag$, 0: p is none. */
static size_t dollar_length(const char *p)
{
    size_t n = 1;

    if (ascii_is_digit(p[1])) {
        return 0; /* a parameter */
    }
    while (is_word(p[n])) {
        n++;
    }
    return p[n] == '$' ? n + 1 : 0;
}

static const char *dollar_end(const char *p, size_t tag)
{
    for (const char *at = p + tag; (at = strchr(at, '$')) != NULL; at++) {
        if (strncmp(at, p, tag) == 0) {
            return at + tag;
        }
    }
    return NULL;
}

/* Comments of this kind nest. */
static const char *comment_end(const char *p)
{
    unsigned depth = 0;

    while (*p != '\0') {
        if (p[0] == '/' && p[1] == '*') {
            depth++;
            p += 2;
        } else if (p[0] == '*' && p[1] == '/') {
            depth--;
            p += 2;
            if (depth == 0) {
                return p;
            }
        } else {
            p++;
        }
    }
    return NULL;
}

/* What stands at p without meaning brackets: its end; p: nothing does; NULL: it does not end. */
static const char *skip(const char *sql, const char *p)
{
    if (is_word(*p)) {
        return word_end(p);
    }
    if (*p == '\'') {
        bool is_e = p > sql && ascii_lower(p[-1]) == 'e';
        bool is_alone = p - sql < 2 || (!is_word(p[-2]) && p[-2] != '$');
        return is_e && is_alone ? escaped_end(p) : quote_end(p, false);
    }
    if (*p == '"') {
        return quote_end(p, false);
    }
    if (p[0] == '-' && p[1] == '-') {
        return p + strcspn(p, "\n");
    }
    if (p[0] == '/' && p[1] == '*') {
        return comment_end(p);
    }
    size_t tag = *p == '$' ? dollar_length(p) : 0;
    return tag > 0 ? dollar_end(p, tag) : p;
}

struct brackets {
    const char *open[DEPTH_MAX];
    size_t depth;
};

static bool bracket(const char *sql, const char *p, struct brackets *b, struct error *err)
{
    if (*p == '(' || *p == '[') {
        if (b->depth < DEPTH_MAX) {
            b->open[b->depth] = p;
        }
        b->depth++;
        return true;
    }
    char wanted = *p == ')' ? '(' : '[';
    if (b->depth == 0 || (b->depth <= DEPTH_MAX && *b->open[b->depth - 1] != wanted)) {
        return error_set(err, ERROR_SETUP, "sql: '%c' at byte %zu closes nothing", *p,
                         (size_t) (p - sql) + 1);
    }
    b->depth--;
    return true;
}

static bool unclosed(const char *sql, const char *p, struct error *err)
{
    return error_set(err, ERROR_SETUP, "sql: '%.*s' at byte %zu is not closed", *p == '/' ? 2 : 1,
                     p, (size_t) (p - sql) + 1);
}

bool expression_check(const char *sql, struct error *err)
{
    struct brackets b = {.depth = 0};

    for (const char *p = sql; *p != '\0';) {
        const char *end = skip(sql, p);
        if (end == NULL) {
            return unclosed(sql, p, err);
        }
        if (end != p) {
            p = end;
            continue;
        }
        if (*p == ';') {
            error_set(err, ERROR_SETUP, "sql: ';' at byte %zu", (size_t) (p - sql) + 1);
            return error_hint(err, "An expression is no statement, and ends without a semicolon.");
        }
        if (strchr("()[]", *p) != NULL && !bracket(sql, p, &b, err)) {
            return false;
        }
        p++;
    }
    return b.depth == 0 || unclosed(sql, b.open[MIN(b.depth, (size_t) DEPTH_MAX) - 1], err);
}
