/*
 * Rules of the section `registry`: URLs that are some, one way to log in, mappings whose names are
 * known. Main thread; the scout for a reload.
 */
#include "base/ascii.h"
#include "config/load.h"

#include <string.h>

/* An @ after the first slash would make a part of a password look like the host. */
static bool has_late_at(struct str s)
{
    const char *host = memchr(s.p, '/', s.n);
    const char *slash = host != NULL ? memchr(host + 2, '/', s.n - (size_t) (host + 2 - s.p))
                                     : NULL;

    return slash != NULL && memchr(slash, '@', s.n - (size_t) (slash - s.p)) != NULL;
}

static bool is_url(struct str s)
{
    bool ok = str_starts(s, "http://") || str_starts(s, "https://");

    for (size_t i = 0; i < s.n; i++) {
        ok = ok && (unsigned char) s.p[i] > ' ' && s.p[i] != '?' && s.p[i] != '#';
    }
    return ok && !has_late_at(s) && s.p[s.n - 1] != ':' && !str_eq_z(s, "http://") &&
           !str_eq_z(s, "https://");
}

/* The value may hold a password, so it is not shown. */
static bool check_urls(struct load *l)
{
    const char *at = l->cfg->registry.url;

    while (*at != '\0') {
        size_t n = strcspn(at, ",");
        if (!is_url(str_trim((struct str){at, n}))) {
            load_error(l, l->cfg->registry.url_pos,
                       "'registry.url' is not a URL, or a list of them");
            return error_hint(l->err,
                              "Write https://host:port, several separated by commas, without "
                              "a query; in a password write %%2C for a comma, and %%40, %%2F, "
                              "%%3A, %%23 and %%3F for @, /, :, # and ?.");
        }
        at += n + (at[n] == ',');
    }
    return true;
}

static bool check_names(struct load *l, const struct config_properties *list, const char *what,
                        const char *const *names, size_t n)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct config_property *p = &list->items[i];
        bool known = false;

        for (size_t j = 0; j < n; j++) {
            known |= strcmp(p->name, names[j]) == 0;
        }
        if (!known) {
            load_error(l, p->pos, "unknown key '%s' in 'registry.%s'",
                       shown_of(str_of(p->name)).text, what);
            return load_hint_nearest(l, str_of(p->name), names, n);
        }
        if (*p->value == '\0' && !config_lacks(l->cfg, p->value_pos)) {
            return load_error(l, p->value_pos, "'registry.%s.%s' is empty", what, p->name);
        }
    }
    return true;
}

static bool check_needs(struct load *l, const struct config_properties *list, const char *what,
                        const char *name, const char *needed)
{
    const struct config_property *p = config_property_of(list, name);

    return p == NULL || config_property_of(list, needed) != NULL ||
           load_error(l, p->pos, "'registry.%s.%s' needs '%s'", what, name, needed);
}

static bool check_tls(struct load *l)
{
    static const char *const names[] = {"ca", "cert", "key", "key_password"};
    const struct config_properties *tls = &l->cfg->registry.tls;

    return check_names(l, tls, "tls", names, ARRAY_LEN(names)) &&
           check_needs(l, tls, "tls", "cert", "key") && check_needs(l, tls, "tls", "key", "cert") &&
           check_needs(l, tls, "tls", "key_password", "key");
}

static bool check_oauth(struct load *l)
{
    static const char *const names[] = {"url", "client_id", "client_secret", "scope"};
    const struct config_properties *oauth = &l->cfg->registry.oauth;
    const struct config_property *url = config_property_of(oauth, "url");

    if (!check_names(l, oauth, "oauth", names, ARRAY_LEN(names))) {
        return false;
    }
    for (size_t i = 0; oauth->count > 0 && i < 3; i++) {
        if (config_property_of(oauth, names[i]) == NULL) {
            return load_error(l, l->cfg->registry.oauth_pos, "missing 'registry.oauth.%s'",
                              names[i]);
        }
    }
    return url == NULL || config_lacks(l->cfg, url->value_pos) || is_url(str_of(url->value)) ||
           load_error(l, url->value_pos, "'registry.oauth.url' is not a URL");
}

static bool is_header_name(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        bool ok = ascii_is_digit(*p) || (ascii_lower(*p) >= 'a' && ascii_lower(*p) <= 'z') ||
                  strchr("!#$%&'*+-.^_`|~", *p) != NULL;
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool check_headers(struct load *l)
{
    const struct config_properties *headers = &l->cfg->registry.headers;

    for (size_t i = 0; i < headers->count; i++) {
        const struct config_property *p = &headers->items[i];
        if (!is_header_name(p->name)) {
            return load_error(l, p->pos, "'%s' is not the name of a header",
                              shown_of(str_of(p->name)).text);
        }
        if (p->value[strcspn(p->value, "\r\n")] != '\0') {
            return load_error(l, p->value_pos, "'registry.headers.%s' has several lines", p->name);
        }
    }
    return true;
}

/* A variable or a file that brings in nothing is a mistake. */
static bool check_secret(struct load *l, const char *name, const char *value, struct position pos)
{
    if (*value != '\0' || !config_is_expanded(l->cfg, pos)) {
        return true;
    }
    return load_error(l, pos, "'registry.%s' is empty: ${...} brings in nothing", name);
}

/* A registry wants one of them. */
static bool check_login(struct load *l)
{
    const struct config *cfg = l->cfg;
    bool user = *cfg->registry.username != '\0';
    bool token = *cfg->registry.token != '\0';
    bool oauth = cfg->registry.oauth.count > 0;

    if (!check_secret(l, "username", cfg->registry.username, cfg->registry.username_pos) ||
        !check_secret(l, "password", cfg->registry.password, cfg->registry.password_pos) ||
        !check_secret(l, "token", cfg->registry.token, cfg->registry.token_pos)) {
        return false;
    }
    if (*cfg->registry.password != '\0' && !user) {
        return load_error(l, cfg->registry.password_pos,
                          "'registry.password' needs 'registry.username'");
    }
    if (user + token + oauth > 1) {
        load_error(l, oauth ? cfg->registry.oauth_pos : cfg->registry.token_pos,
                   "'registry' has more than one way to log in");
        return error_hint(l->err, "Keep one of username and password, token, and oauth.");
    }
    return true;
}

static bool check_context(struct load *l)
{
    const char *context = l->cfg->registry.context;

    if (context[strcspn(context, ":/?# \t\r\n")] == '\0') {
        return true;
    }
    load_error(l, l->cfg->registry.context_pos, "'registry.context' is not the name of a context");
    return error_hint(l->err, "Write it without the colons and the point: staging for :.staging:");
}

bool check_registry(struct load *l)
{
    const struct config *cfg = l->cfg;

    return (config_lacks(cfg, cfg->registry.url_pos) || check_urls(l)) && check_tls(l) &&
           check_oauth(l) && check_headers(l) && check_login(l) &&
           (config_lacks(cfg, cfg->registry.context_pos) || check_context(l));
}
