/* See token.h. */
#include "base/token.h"

#include "base/ascii.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A longer one would not fit into a request to a broker either. */
#define NESTING_MOST 32

/* A word of this length, out of the alphabets of base64, may be a token or a password. */
#define CODE_LEAST 20

/* ---- members of a JSON object ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct str *s)
{
    while (s->n > 0 && is_space(*s->p)) {
        *s = (struct str){s->p + 1, s->n - 1};
    }
}

static bool skip_char(struct str *s, char c)
{
    skip_space(s);
    if (s->n == 0 || *s->p != c) {
        return false;
    }
    *s = (struct str){s->p + 1, s->n - 1};
    return true;
}

/* What is between the quotes, as it is written. */
static bool take_string(struct str *s, struct str *out)
{
    if (!skip_char(s, '"')) {
        return false;
    }
    for (size_t i = 0; i < s->n; i++) {
        if (s->p[i] == '"') {
            *out = (struct str){s->p, i};
            *s = (struct str){s->p + i + 1, s->n - i - 1};
            return true;
        }
        i += s->p[i] == '\\';
    }
    return false;
}

/* Any value; its brackets are counted and not told apart. */
static bool take_value(struct str *s, struct str *out)
{
    size_t depth = 0;
    struct str ignored;

    skip_space(s);
    const char *from = s->p;
    while (s->n > 0) {
        char c = *s->p;
        if (c == '"') {
            if (!take_string(s, &ignored)) {
                return false;
            }
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
            break;
        }
        depth += c == '{' || c == '[' ? 1U : 0U;
        depth -= c == '}' || c == ']' ? 1U : 0U;
        if (depth > NESTING_MOST) {
            return false;
        }
        *s = (struct str){s->p + 1, s->n - 1};
    }
    *out = (struct str){from, (size_t) (s->p - from)};
    return depth == 0 && out->n > 0;
}

/* The value of a member of the outermost object, as it is written. False: there is none. */
static bool member(struct str object, const char *name, struct str *out)
{
    struct str s = object;
    struct str key;
    struct str value;

    if (!skip_char(&s, '{')) {
        return false;
    }
    do {
        if (!take_string(&s, &key) || !skip_char(&s, ':') || !take_value(&s, &value)) {
            return false;
        }
        if (str_eq_z(key, name)) {
            *out = value;
            return true;
        }
    } while (skip_char(&s, ','));
    return false;
}

/* Only texts that need no escapes: those of tokens and of most names. */
static bool member_text(struct str object, const char *name, struct str *out)
{
    struct str value;

    return member(object, name, &value) && take_string(&value, out) && out->n > 0 &&
           memchr(out->p, '\\', out->n) == NULL;
}

/* A number of seconds, up to the year 9999; a fraction is cut off. */
static bool member_seconds(struct str object, const char *name, int64_t *out)
{
    struct str value;
    uint64_t number;

    if (!member(object, name, &value)) {
        return false;
    }
    size_t n = 0;
    size_t from = value.p[0] == '"' ? 1 : 0;
    while (from + n < value.n && ascii_is_digit(value.p[from + n])) {
        n++;
    }
    if (!str_to_u64((struct str){value.p + from, n}, &number) || number > UINT64_C(253402300799)) {
        return false;
    }
    *out = (int64_t) number;
    return true;
}

/* ---- the claims of a JWT ---- */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (ascii_is_digit(c)) {
        return c - '0' + 52;
    }
    return c == '-' || c == '+' ? 62 : c == '_' || c == '/' ? 63 : -1;
}

static bool decode(struct str text, struct buf *out)
{
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < text.n && text.p[i] != '='; i++) {
        int six = sextet(text.p[i]);
        if (six < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t) six;
        have += 6;
        if (have >= 8) {
            have -= 8;
            char byte = (char) (unsigned char) (bits >> have & 0xff);
            buf_add(out, &byte, 1);
        }
    }
    return true;
}

/* header.claims.signature; false: it is no JWT, whose claims only the brokers know. */
static bool claims_of(struct str token, struct buf *out)
{
    const char *end = token.p + token.n;
    const char *first = memchr(token.p, '.', token.n);
    const char *second = first != NULL ? memchr(first + 1, '.', (size_t) (end - first - 1)) : NULL;

    return second != NULL && decode((struct str){first + 1, (size_t) (second - first - 1)}, out) &&
           out->n > 0;
}

/* ---- a token ---- */

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"') {
            return false;
        }
    }
    return s.n > 0;
}

static struct str trimmed(struct str s)
{
    skip_space(&s);
    while (s.n > 0 && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

static bool find_token(struct str s, struct str *out, struct error *err)
{
    if (s.n == 0) {
        return error_set(err, ERROR_SETUP, "it has printed nothing");
    }
    if (*s.p == '{') {
        return (member_text(s, "access_token", out) && is_token(*out)) ||
               error_set(err, ERROR_SETUP, "its JSON document has no \"access_token\"");
    }
    *out = s;
    return is_token(s) ||
           error_set(err, ERROR_SETUP, "what it has printed is neither one token nor JSON");
}

bool token_read(struct str printed, int64_t now_ms, struct token *out, struct error *err)
{
    struct str s = trimmed(printed);
    struct str text;
    struct str principal = STR_LIT("unknown");
    int64_t seconds;
    _cleanup_buf_ struct buf claims = {0};

    if (!find_token(s, &text, err)) {
        return false;
    }
    int64_t expires_ms = now_ms + TOKEN_LIFE_MS;
    bool is_jwt = claims_of(text, &claims);
    if (is_jwt) {
        (void) member_text(buf_str(&claims), "sub", &principal);
    }
    if (is_jwt && member_seconds(buf_str(&claims), "exp", &seconds)) {
        expires_ms = seconds * 1000;
    } else if (*s.p == '{' && member_seconds(s, "expires_in", &seconds)) {
        expires_ms = now_ms + seconds * 1000;
    }
    if (expires_ms <= now_ms) {
        return error_set(err, ERROR_SETUP, "its token expired %lld s ago",
                         (long long) ((now_ms - expires_ms) / 1000));
    }
    *out = (struct token){
        .text = mem_strndup(text.p, text.n),
        .principal = mem_strndup(principal.p, principal.n),
        .expires_ms = expires_ms,
    };
    return true;
}

void token_done(struct token *t)
{
    mem_freep(&t->text);
    mem_freep(&t->principal);
}

/* ---- a line for a message ---- */

static bool is_coded(char c)
{
    return sextet(c) >= 0 || c == '.' || c == '~' || c == '%';
}

static bool is_blank(char c)
{
    return is_space(c) || c == '\v' || c == '\f';
}

static size_t coded_run(struct str s)
{
    size_t n = 0;

    while (n < s.n && is_coded(s.p[n])) {
        n++;
    }
    return n;
}

/* A path has slashes too. It is one if its parts are short and it has not all of what base64 has.
 */
static bool is_code(struct str run)
{
    bool upper = false;
    bool lower = false;
    bool other = false;
    size_t part = 0;

    for (size_t i = 0; i < run.n && part < CODE_LEAST; i++) {
        char c = run.p[i];
        upper |= c >= 'A' && c <= 'Z';
        lower |= c >= 'a' && c <= 'z';
        other |= ascii_is_digit(c) || c == '+';
        part = c == '/' ? 0 : part + 1;
    }
    return part >= CODE_LEAST || (run.n >= CODE_LEAST && upper && lower && other);
}

/* The word at s, or all up to the quote that closes it. */
static size_t secret_run(struct str s, char before)
{
    bool is_quoted = before == '"' || before == '\'';
    size_t n = 0;

    if (s.p[0] == '"' || s.p[0] == '\'') {
        return 0;
    }
    while (n < s.n && (is_quoted ? s.p[n] != before : !is_blank(s.p[n]))) {
        n += s.p[n] == '\\' && n + 1 < s.n ? 2 : 1;
    }
    return n;
}

static bool ends_with(struct str s, const char *word)
{
    size_t n = strlen(word);

    return s.n >= n && strncasecmp(s.p + s.n - n, word, n) == 0;
}

static bool ends_with_any(struct str s, const char *const *words)
{
    while (*words != NULL && !ends_with(s, *words)) {
        words++;
    }
    return *words != NULL;
}

/* "Authorization: Bearer abc": the scheme, blanks, and the word after them. */
static size_t with_scheme(struct str s, size_t n)
{
    static const char *const schemes[] = {"bearer", "basic", NULL};

    if (!ends_with_any((struct str){s.p, n}, schemes)) {
        return n;
    }
    while (n < s.n && is_blank(s.p[n])) {
        n++;
    }
    while (n < s.n && !is_blank(s.p[n])) {
        n++;
    }
    return n;
}

/*
 * How many characters at `at` of the line are a secret, because its name stands before them; 0:
 * none. Without a '=' or ':' only long words are, and not after each name: "token expired" is none.
 */
static size_t named_secret(struct str line, size_t at)
{
    static const char *const names[] = {"secret", "password", "passwd", "pwd",       "passphrase",
                                        "token",  "bearer",   "basic",  "assertion", NULL};
    static const char *const vague[] = {"authorization", "key", "pass", "credentials", NULL};
    struct str rest = {line.p + at, line.n - at};
    size_t end = at;

    while (end > 0 && strchr("=: \t\"'", line.p[end - 1]) != NULL) {
        end--;
    }
    struct str name = {line.p, end};
    bool is_assigned = memchr(line.p + end, '=', at - end) != NULL ||
                       memchr(line.p + end, ':', at - end) != NULL;
    if (end == at || !(ends_with_any(name, names) || (is_assigned && ends_with_any(name, vague)))) {
        return 0;
    }
    size_t n = secret_run(rest, line.p[at - 1]);
    if (is_assigned) {
        return with_scheme(rest, n);
    }
    size_t length = n;
    while (length > 0 && strchr(".,:;", rest.p[length - 1]) != NULL) {
        length--;
    }
    return length >= 8 ? n : 0;
}

/* How many characters at `at` are to be masked, with what fills base64 up; 0: none. */
static size_t masked_run(struct str line, size_t at)
{
    struct str rest = {line.p + at, line.n - at};
    size_t named = named_secret(line, at);
    size_t n = coded_run(rest);

    if (!is_code((struct str){rest.p, n})) {
        return named;
    }
    while (n < rest.n && rest.p[n] == '=') {
        n++;
    }
    return MAX(n, named);
}

static struct str last_line(struct str s)
{
    s = trimmed(s);
    for (size_t i = s.n; i > 0; i--) {
        if (s.p[i - 1] == '\n') {
            return trimmed((struct str){s.p + i, s.n - i});
        }
    }
    return s;
}

void token_last_line(struct str text, char *out, size_t size)
{
    struct str s = last_line(text);
    size_t from = 0;
    size_t at = 0;

    out[0] = '\0';
    while (from < s.n && at + 4 < size) {
        size_t n = masked_run(s, from);
        if (n > 0) {
            memcpy(out + at, "***", 3);
            at += 3;
        } else {
            n = coded_run((struct str){s.p + from, s.n - from});
            n = MAX(MIN(n, size - 4 - at), 1);
            for (size_t i = 0; i < n; i++) {
                char c = s.p[from + i];
                out[at++] = c < ' ' || c > '~' ? '?' : c;
            }
        }
        out[at] = '\0';
        from += n;
    }
}
