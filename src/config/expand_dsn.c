/*
 * References in a connection string, quoted as the place demands in which they stand. Places are
 * told apart as libpq does (fe-connect.c: conninfo_parse, conninfo_uri_parse_options), by what the
 * file has itself: what a reference brings in begins no value and ends none. Any thread.
 */
#include "config/expand.h"

#include "base/ascii.h"

#include <string.h>

enum place {
    PLACE_PLAIN, /* a keyword, hosts, or what is not understood: as it is */
    PLACE_START, /* after the = of a keyword, before its value */
    PLACE_VALUE, /* a value without quotes */
    PLACE_QUOTED,
    PLACE_URI, /* a part of a URI in which a value stands */
};

struct walk {
    struct str text;
    const char *dir;
    struct buf *out;
    struct error *err;
    struct buf brought; /* what a reference stands for */
};

/* ---- keyword = 'value' ---- */

/* A backslash does in quotes and outside of them. */
static void add_escaped(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\' || c == '\'' || ascii_is_space(c)) {
            buf_add_z(out, "\\");
        }
        buf_add(out, &c, 1);
    }
}

static enum place after(enum place place, char c, bool escaped)
{
    switch (place) {
    case PLACE_PLAIN:
        return c == '=' ? PLACE_START : PLACE_PLAIN;
    case PLACE_START:
        if (ascii_is_space(c)) {
            return PLACE_START;
        }
        return c == '\'' ? PLACE_QUOTED : PLACE_VALUE;
    case PLACE_VALUE:
        return ascii_is_space(c) && !escaped ? PLACE_PLAIN : PLACE_VALUE;
    case PLACE_QUOTED:
        return c == '\'' && !escaped ? PLACE_PLAIN : PLACE_QUOTED;
    case PLACE_URI:
        break;
    }
    return place;
}

/* An empty text is a value as well: without quotes libpq would take the next word for it. */
static enum place add_value(struct walk *w, enum place place)
{
    struct str value = buf_str(&w->brought);
    bool alone = place == PLACE_START && (w->text.n == 0 || ascii_is_space(w->text.p[0]));

    if (place == PLACE_PLAIN) {
        buf_add_str(w->out, value);
        return place;
    }
    if (value.n == 0 && alone) {
        buf_add_z(w->out, "''");
        return PLACE_PLAIN;
    }
    add_escaped(value, w->out);
    return place == PLACE_START && value.n > 0 ? PLACE_VALUE : place;
}

static bool expand_keywords(struct walk *w)
{
    enum place place = PLACE_PLAIN;
    bool escaped = false;

    while (w->text.n > 0) {
        char c = w->text.p[0];
        size_t before = w->text.n;
        buf_clear(&w->brought);
        switch (expand_next(&w->text, w->dir, &w->brought, w->err)) {
        case EXPAND_FAILED:
            return false;
        case EXPAND_REFERENCE:
            place = add_value(w, place);
            escaped = false;
            continue;
        case EXPAND_LITERAL:
            break;
        }
        buf_add_str(w->out, buf_str(&w->brought));
        place = after(place, c, escaped);
        escaped = !escaped && c == '\\' && before - w->text.n == 1;
    }
    return true;
}

/* ---- scheme://user:password@host/name?keyword=value ---- */

static void add_percent(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char) s.p[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (letter || ascii_is_digit((char) c) || memchr("-._~", c, 4) != NULL) {
            buf_add(out, s.p + i, 1);
        } else {
            buf_printf(out, "%%%02X", c);
        }
    }
}

/* Bytes of s before the first of `any` outside of references, all if there is none. */
static size_t span_until(struct str s, const char *any)
{
    size_t at = 0;

    while (at < s.n && strchr(any, s.p[at]) == NULL) {
        struct str here = {s.p + at, s.n - at};
        size_t n = expand_reference(here);
        at += str_starts(here, "$${") ? 3 : MAX(n, 1);
    }
    return MIN(at, s.n);
}

/* The next n bytes of the text, in one place. */
static bool expand_part(struct walk *w, size_t n, enum place place)
{
    size_t left = w->text.n - n;

    while (w->text.n > left) {
        buf_clear(&w->brought);
        enum expand_piece piece = expand_next(&w->text, w->dir, &w->brought, w->err);
        if (piece == EXPAND_FAILED) {
            return false;
        }
        if (piece == EXPAND_REFERENCE && place == PLACE_URI) {
            add_percent(buf_str(&w->brought), w->out);
        } else {
            buf_add_str(w->out, buf_str(&w->brought));
        }
    }
    return true;
}

static bool expand_user(struct walk *w, size_t n)
{
    size_t user = span_until((struct str){w->text.p, n}, ":");
    bool alone = user == n && expand_reference(w->text) == n;

    return expand_part(w, n, alone ? PLACE_PLAIN : PLACE_URI);
}

static bool expand_query(struct walk *w)
{
    while (w->text.n > 0) {
        size_t pair = span_until(w->text, "&");
        size_t key = span_until((struct str){w->text.p, pair}, "=");
        size_t rest = w->text.n - pair;
        if (!expand_part(w, MIN(key + 1, pair), PLACE_PLAIN) ||
            !expand_part(w, w->text.n - rest, PLACE_URI) ||
            !expand_part(w, MIN(rest, 1), PLACE_PLAIN)) { /* the & */
            return false;
        }
    }
    return true;
}

static bool expand_uri(struct walk *w, size_t scheme)
{
    if (!expand_part(w, scheme, PLACE_PLAIN)) {
        return false;
    }
    size_t user = span_until(w->text, "@/");
    if (user < w->text.n && w->text.p[user] == '@' && !expand_user(w, user)) {
        return false;
    }
    return expand_part(w, span_until(w->text, "/?"), PLACE_PLAIN) &&
           expand_part(w, span_until(w->text, "?"), PLACE_URI) && expand_query(w);
}

size_t expand_dsn_scheme(struct str s)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (str_starts(s, schemes[i])) {
            return strlen(schemes[i]);
        }
    }
    return 0;
}

/* The first reference, as it is: it may bring in a URI, or its beginning. */
static bool expand_first(struct walk *w, bool *out_uri)
{
    size_t from = w->out->n;
    size_t n = expand_reference(w->text);

    if (!expand_part(w, n, PLACE_PLAIN)) {
        return false;
    }
    struct str brought = buf_str(w->out);
    *out_uri = n > 0 && expand_dsn_scheme((struct str){brought.p + from, brought.n - from}) > 0;
    return true;
}

bool expand_dsn(struct str text, const char *dir, struct buf *out, struct error *err)
{
    struct walk w = {.text = text, .dir = dir, .out = out, .err = err};
    size_t scheme = expand_dsn_scheme(text);
    bool begun = false;
    bool ok;

    if (scheme > 0) {
        ok = expand_uri(&w, scheme);
    } else if (!expand_first(&w, &begun)) {
        ok = false;
    } else if (begun) {
        ok = expand_part(&w, span_until(w.text, "?"), PLACE_URI) && expand_query(&w);
    } else {
        ok = expand_keywords(&w);
    }
    buf_done(&w.brought);
    return ok;
}
