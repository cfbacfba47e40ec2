/*
 * Finds secrets by the grammar of libpq's connection strings. It is strict about what it
 * understands, and masks anything else as a whole. Works on texts before expansion, so a ${...}
 * that stands for a secret is left visible. Pure; any thread.
 */
#include "config/mask.h"

#include "base/ascii.h"
#include "config/expand.h"

#include <string.h>
#include <strings.h>

#define MASK "***"

static struct str rest(struct str s, size_t from)
{
    return (struct str){s.p + from, s.n - from};
}

static struct str first(struct str s, size_t n)
{
    return (struct str){s.p, n};
}

/* In any case: a keyword that only looks like a secret is masked too. */
static bool contains(struct str s, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= s.n; i++) {
        if (strncasecmp(s.p + i, word, n) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_secret_word(struct str s)
{
    return contains(s, "password") || contains(s, "passphrase") || contains(s, "secret") ||
           contains(s, "scram_"); /* keys that log in like a password, since libpq 18 */
}

static bool is_references(struct str s)
{
    while (s.n > 0) {
        size_t n = expand_reference(s);

        if (n == 0) {
            return false;
        }
        s = rest(s, n);
    }
    return true;
}

void mask_secret(struct str value, struct buf *out)
{
    if (is_references(value)) {
        buf_add_str(out, value);
    } else {
        buf_add_z(out, MASK);
    }
}

/* "https://user:password@host" in any property, for instance in a proxy's. */
static bool has_url_user(struct str s)
{
    return contains(s, "://") && memchr(s.p, '@', s.n) != NULL;
}

/* Headers by which one logs in. */
static bool is_secret_header(struct str name)
{
    return contains(name, "authorization") || contains(name, "cookie") ||
           contains(name, "api-key") || contains(name, "apikey") || contains(name, "-token");
}

static bool is_secret_property(struct str name)
{
    return is_secret_word(name) || is_secret_header(name) || contains(name, "key.pem") ||
           str_eq_z(name, "ssl_key") || str_eq_z(name, "sasl.oauthbearer.config");
}

bool mask_is_secret(struct str name, struct str value)
{
    return is_secret_property(name) || has_url_user(value);
}

void mask_property(struct str name, struct str value, struct buf *out)
{
    if (mask_is_secret(name, value)) {
        mask_secret(value, out);
    } else {
        buf_add_str(out, value);
    }
}

/* Bytes of the next character; a ${...} counts as one, whatever it holds, and so does $${. */
static size_t step(struct str s)
{
    size_t n = expand_reference(s);

    if (str_starts(s, "$${")) {
        return 3;
    }
    return n > 0 ? n : 1;
}

/* Offset of the first byte outside of references that is one of `any`; s.n when there is none. */
static size_t find_any(struct str s, const char *any)
{
    size_t at = 0;

    while (at < s.n && strchr(any, s.p[at]) == NULL) {
        at += step(rest(s, at));
    }
    return MIN(at, s.n);
}

static size_t spaces(struct str s)
{
    size_t n = 0;

    while (n < s.n && ascii_is_space(s.p[n])) {
        n += 1;
    }
    return n;
}

/* ---- keyword = 'value' ---- */

/* Length of a value with its quotes; false when a quote is not closed, or text follows it. */
static bool value_length(struct str s, size_t *out)
{
    bool quoted = s.n > 0 && s.p[0] == '\'';
    size_t at = quoted ? 1 : 0;

    while (at < s.n) {
        if (s.p[at] == '\\') {
            at += 2;
        } else if (quoted && s.p[at] == '\'') {
            *out = at + 1;
            return *out == s.n || ascii_is_space(s.p[*out]);
        } else if (!quoted && ascii_is_space(s.p[at])) {
            break;
        } else {
            at += step(rest(s, at));
        }
    }
    *out = MIN(at, s.n);
    return !quoted;
}

static void add_value(struct str key, struct str value, struct buf *out)
{
    bool quoted = value.n >= 2 && value.p[0] == '\'';
    struct str inner = quoted ? (struct str){value.p + 1, value.n - 2} : value;

    bool is_secret = is_secret_word(key) || has_url_user(inner);

    if (!is_secret || is_references(inner)) {
        buf_add_str(out, value);
    } else {
        buf_add_z(out, MASK);
    }
}

static bool is_keyword(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '_') {
            return false;
        }
    }
    return s.n > 0;
}

/* One `keyword = value` off the front of *s; false when it is not one. */
static bool mask_pair(struct str *s, struct buf *out)
{
    size_t reference = expand_reference(*s);
    size_t key = find_any(*s, "= \t\n\v\f\r");
    size_t at = key + spaces(rest(*s, key));
    size_t n;

    if (reference > 0 && (reference == s->n || ascii_is_space(s->p[reference]))) {
        buf_add_str(out, first(*s, reference)); /* stands for whole pairs */
        *s = rest(*s, reference);
        return true;
    }
    if (at >= s->n || s->p[at] != '=' || !is_keyword(first(*s, key))) {
        return false;
    }
    at += 1;
    at += spaces(rest(*s, at));
    if (!value_length(rest(*s, at), &n)) {
        return false;
    }
    buf_add_str(out, first(*s, at));
    add_value(first(*s, key), first(rest(*s, at), n), out);
    *s = rest(*s, at + n);
    return true;
}

static bool mask_keywords(struct str s, struct buf *out)
{
    while (s.n > 0) {
        size_t n = spaces(s);

        buf_add_str(out, first(s, n));
        s = rest(s, n);
        if (s.n > 0 && !mask_pair(&s, out)) {
            return false;
        }
    }
    return true;
}

/* ---- scheme://user:password@host/name?keyword=value ---- */

static void mask_query(struct str s, struct buf *out)
{
    while (s.n > 0) {
        size_t end = find_any(s, "&");
        struct str pair = first(s, end);
        size_t equal = find_any(pair, "=");
        struct str key = first(pair, equal);

        buf_add_str(out, key);
        if (equal < pair.n) {
            buf_add_z(out, "=");
            if (is_secret_word(key) || contains(key, "%")) { /* %xx may spell anything */
                mask_secret(rest(pair, equal + 1), out);
            } else {
                buf_add_str(out, rest(pair, equal + 1));
            }
        }
        if (end < s.n) {
            buf_add_z(out, "&");
            end += 1;
        }
        s = rest(s, end);
    }
}

/* user:password, without the @ */
static void mask_user(struct str s, struct buf *out)
{
    size_t colon = find_any(s, ":");

    buf_add_str(out, first(s, colon));
    if (colon < s.n) {
        buf_add_z(out, ":");
        mask_secret(rest(s, colon + 1), out);
    }
}

/*
 * libpq takes what stands before the first @ as user and password if no / comes earlier. A second @
 * before the query, or one after a /, means that a password was not escaped: then nothing is
 * shown.
 */
static bool mask_uri(struct str scheme, struct str s, struct buf *out)
{
    size_t at = find_any(s, "@/");
    bool has_user = at < s.n && s.p[at] == '@';
    struct str host = has_user ? rest(s, at + 1) : s;
    size_t query = find_any(host, "?");

    if (has_user && find_any(first(s, at), "?") < at) {
        return false; /* the @ belongs to the query, or the password has a ? */
    }
    if (find_any(host, "@") < (has_user ? query : host.n)) {
        return false;
    }
    buf_add_str(out, scheme);
    if (has_user) {
        mask_user(first(s, at), out);
        buf_add_z(out, "@");
    }
    buf_add_str(out, first(host, query));
    if (query < host.n) {
        buf_add_z(out, "?");
        mask_query(rest(host, query + 1), out);
    }
    return true;
}

/* A password with an @, a comma or a / of its own makes a piece that is not understood. */
static bool mask_url(struct str url, struct buf *out)
{
    size_t colon = find_any(url, ":");
    struct str after = rest(url, colon);
    size_t scheme = str_starts(after, "://") ? colon + 3 : 0;
    struct str s = rest(url, scheme);
    size_t at = find_any(s, "@/");
    bool has_user = at < s.n && s.p[at] == '@';
    struct str host = has_user ? rest(s, at + 1) : s;

    if (find_any(host, "@") < host.n || (scheme == 0 && !is_references(url))) {
        return false;
    }
    buf_add_str(out, first(url, scheme));
    if (has_user) {
        mask_user(first(s, at), out);
        buf_add_z(out, "@");
    }
    buf_add_str(out, host);
    return true;
}

void mask_urls(struct str urls, struct buf *out)
{
    size_t before = out->n;
    bool ok = true;

    if (memchr(urls.p, '@', urls.n) == NULL) {
        buf_add_str(out, urls);
        return;
    }
    while (ok && urls.n > 0) {
        size_t n = find_any(urls, ",");
        size_t blanks = spaces(first(urls, n));
        buf_add_str(out, first(urls, blanks));
        ok = mask_url((struct str){urls.p + blanks, n - blanks}, out);
        if (n < urls.n) {
            buf_add_z(out, ",");
            n++;
        }
        urls = rest(urls, n);
    }
    if (!ok) {
        out->n = before;
        buf_add_z(out, MASK);
    }
}

void mask_dsn(struct str dsn, struct buf *out)
{
    size_t before = out->n;
    size_t n = expand_dsn_scheme(dsn);
    bool ok = n > 0 ? mask_uri(first(dsn, n), rest(dsn, n), out) : mask_keywords(dsn, out);

    if (!ok) {
        out->n = before;
        buf_add_z(out, MASK);
    }
}
