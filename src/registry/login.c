/* See login.h. */
#include "registry/login.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "base/token.h"

#include <stdlib.h>
#include <string.h>

/* A token is used for this share of its time. */
#define USED_PERCENT 80

static void replace(char **at, char *text)
{
    if (*at != NULL) {
        explicit_bzero(*at, strlen(*at));
    }
    free(*at);
    *at = text;
}

void login_forget(struct login *l)
{
    replace(&l->token, NULL);
}

void login_done(struct login *l)
{
    replace(&l->header, NULL);
    replace(&l->user, NULL);
    replace(&l->password, NULL);
    replace(&l->token, NULL);
}

/* ---- a user ---- */

static char *decoded(struct str s)
{
    char *out = mem_zalloc(s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        bool is_code = s.p[i] == '%' && i + 2 < s.n && ascii_hex(s.p[i + 1]) >= 0 &&
                       ascii_hex(s.p[i + 2]) >= 0;
        out[n++] = is_code
                       ? (char) (unsigned char) (ascii_hex(s.p[i + 1]) * 16 + ascii_hex(s.p[i + 2]))
                       : s.p[i];
        i += is_code ? 2U : 0U;
    }
    return out;
}

/* What is before the last @ of the authority: where it starts and ends; false: nothing is. */
static bool find_url_login(struct str url, size_t *out_start, size_t *out_end)
{
    const char *after = url.n > 0 ? memmem(url.p, url.n, "://", 3) : NULL;
    size_t start = after != NULL ? (size_t) (after - url.p) + 3 : 0;
    size_t at = 0;

    for (size_t i = start; i < url.n && url.p[i] != '/'; i++) {
        at = url.p[i] == '@' ? i : at;
    }
    *out_start = start;
    *out_end = at;
    return at != 0;
}

struct str login_url_user(struct str url)
{
    size_t start;
    size_t end;

    if (!find_url_login(url, &start, &end)) {
        return (struct str){NULL, 0};
    }
    const char *colon = memchr(url.p + start, ':', end - start);
    return (struct str){url.p + start, (colon != NULL ? (size_t) (colon - url.p) : end) - start};
}

static bool take_url_user(struct login *l, struct str url)
{
    size_t start;
    size_t at;

    if (!find_url_login(url, &start, &at)) {
        return false;
    }
    struct str user = login_url_user(url);
    size_t password = MIN(start + user.n + 1, at);
    replace(&l->user, decoded(user));
    replace(&l->password, decoded((struct str){url.p + password, at - password}));
    return true;
}

/* ---- a token ---- */

static bool read_entry(const struct config *cfg, const char *name, struct buf *out,
                       struct error *err)
{
    const struct config_property *p = config_property_of(&cfg->registry.oauth, name);

    return p == NULL || config_read_text(cfg, p->value, p->value_pos, out, err);
}

static bool is_given(long status, const char *url, struct error *err)
{
    bool passes = status >= 500 || status == 429 || status == 408;
    _cleanup_buf_ struct buf shown = {0};

    if (status == 200) {
        return true;
    }
    http_url_shown(&shown, str_of(url));
    error_set(err, passes ? ERROR_LINK : ERROR_SETUP,
              "no token from registry.oauth.url, %s: HTTP status %ld", buf_cstr(&shown), status);
    if (!passes) {
        error_hint(err, "Look at registry.oauth: client_id, client_secret, scope, and whether the "
                        "client may use client credentials.");
    }
    return false;
}

static bool read_token(struct login *l, const struct http_response *r, struct error *err)
{
    int64_t now = clock_wall_ms();
    struct token t = {0};

    if (!token_read(buf_str(&r->body), now, &t, err)) {
        return error_wrap(err, "registry.oauth.url");
    }
    replace(&l->token, mem_strdup(t.text));
    l->token_until_ms = now + (t.expires_ms - now) / 100 * USED_PERCENT;
    token_done(&t);
    return true;
}

static bool fetch_token(struct login *l, const struct config *cfg, struct http_client *http,
                        const struct http_request *like, struct error *err)
{
    _cleanup_buf_ struct buf url = {0};
    _cleanup_buf_ struct buf id = {0};
    _cleanup_buf_ struct buf secret = {0};
    _cleanup_buf_ struct buf scope = {0};
    _cleanup_buf_ struct buf form = {0};
    struct http_response answer = {0};
    static const char *const headers[] = {"Accept: application/json"};

    if (!read_entry(cfg, "url", &url, err) || !read_entry(cfg, "client_id", &id, err) ||
        !read_entry(cfg, "client_secret", &secret, err) || !read_entry(cfg, "scope", &scope, err)) {
        return false;
    }
    buf_add_z(&form, "grant_type=client_credentials");
    if (scope.n > 0) {
        buf_add_z(&form, "&scope=");
        http_encode(&form, buf_str(&scope));
    }
    struct http_request q = *like;
    q.url = buf_cstr(&url);
    q.headers = headers;
    q.header_count = ARRAY_LEN(headers);
    q.user = buf_cstr(&id);
    q.password = buf_cstr(&secret);
    q.form = buf_cstr(&form);
    bool ok = http_client_send(http, &q, &answer, err) || error_wrap(err, "registry.oauth.url");
    ok = ok && is_given(answer.status, q.url, err) && read_token(l, &answer, err);
    explicit_bzero(secret.p, secret.n);
    http_response_done(&answer);
    return ok;
}

static bool has_token(const struct login *l)
{
    return l->token != NULL && clock_wall_ms() < l->token_until_ms;
}

/* One line: a token with a line break would begin another header. */
static bool set_bearer(struct login *l, struct str token, struct error *err)
{
    token = str_trim(token);
    for (size_t i = 0; i < token.n; i++) {
        if ((unsigned char) token.p[i] <= ' ' || token.p[i] == 0x7f) {
            return error_set(err, ERROR_SETUP, "the token for the registry is not one word");
        }
    }
    replace(&l->header, mem_printf("Authorization: Bearer " STR_FMT, STR_ARG(token)));
    return true;
}

/* ---- whichever ---- */

static bool take_user(struct login *l, const struct config *cfg, struct error *err)
{
    _cleanup_buf_ struct buf user = {0};
    _cleanup_buf_ struct buf password = {0};

    if (!config_read_text(cfg, cfg->registry.username, cfg->registry.username_pos, &user, err) ||
        !config_read_text(cfg, cfg->registry.password, cfg->registry.password_pos, &password,
                          err)) {
        return false;
    }
    if (user.n > 0) {
        replace(&l->user, mem_strdup(buf_cstr(&user)));
        replace(&l->password, mem_strdup(buf_cstr(&password)));
    }
    return true;
}

bool login_take(struct login *l, const struct config *cfg, struct http_client *http, struct str url,
                struct http_request *q, struct error *err)
{
    _cleanup_buf_ struct buf token = {0};

    replace(&l->header, NULL);
    replace(&l->user, NULL);
    replace(&l->password, NULL);
    if (cfg->registry.oauth.count > 0) {
        return (has_token(l) || fetch_token(l, cfg, http, q, err)) &&
               set_bearer(l, str_of(l->token), err);
    }
    if (!config_read_text(cfg, cfg->registry.token, cfg->registry.token_pos, &token, err)) {
        return false;
    }
    if (token.n > 0) {
        return set_bearer(l, buf_str(&token), err);
    }
    if (!take_url_user(l, url) && !take_user(l, cfg, err)) {
        return false;
    }
    q->user = l->user;
    q->password = l->password;
    return true;
}
