/* Addresses, logins, and what a status means. See registry.h. */
#include "registry/registry.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "config/mask.h"
#include "registry/login.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCEPT "Accept: application/vnd.schemaregistry.v1+json, application/json, */*;q=0.5"

struct registry {
    const struct config *cfg;
    struct http_client *http;
    int stop_fd;
    size_t at; /* the address that answered last */
    struct login login;
};

struct registry *registry_new(const struct config *cfg, int stop_fd)
{
    struct registry *r = mem_zalloc(sizeof *r);

    r->cfg = cfg;
    r->stop_fd = stop_fd;
    r->http = http_client_new(stop_fd);
    return r;
}

struct registry *registry_free(struct registry *r)
{
    if (r != NULL) {
        http_client_free(r->http);
        login_done(&r->login);
        free(r);
    }
    return NULL;
}

void registry_configure(struct registry *r, const struct config *cfg)
{
    http_client_free(r->http);
    r->http = http_client_new(r->stop_fd);
    login_done(&r->login);
    r->cfg = cfg;
    r->at = 0;
}

/* ---- addresses ---- */

/* The i-th of the URLs; false: there are not so many. */
static bool address(struct str urls, size_t i, struct str *out)
{
    while (urls.n > 0) {
        const char *comma = memchr(urls.p, ',', urls.n);
        size_t n = comma != NULL ? (size_t) (comma - urls.p) : urls.n;
        if (i-- == 0) {
            *out = str_trim((struct str){urls.p, n});
            return true;
        }
        n += comma != NULL;
        urls = (struct str){urls.p + n, urls.n - n};
    }
    return false;
}

/* What it stands for now; as it was read first, if that cannot be read again. */
static void add_read(const struct config *cfg, const char *value, struct position pos,
                     struct buf *out)
{
    struct error ignored = {.class = ERROR_NONE};
    size_t before = out->n;

    if (!config_read_text(cfg, value, pos, out, &ignored)) {
        out->n = before;
        buf_add_z(out, value);
    }
}

/* Who one is to the registry, and not by what one proves it: headers that may be secrets are left
 * out, so that a token may be exchanged. */
static void add_tenant(const struct config *cfg, struct str url, struct buf *out)
{
    const struct config_property *client = config_property_of(&cfg->registry.oauth, "client_id");
    const struct config_properties *headers = &cfg->registry.headers;
    struct str user = login_url_user(url);

    buf_add(out, user.p, user.n);
    add_read(cfg, cfg->registry.username, cfg->registry.username_pos, out);
    if (client != NULL) {
        add_read(cfg, client->value, client->value_pos, out);
    }
    for (size_t i = 0; i < headers->count; i++) {
        const struct config_property *h = &headers->items[i];
        if (!mask_is_secret(str_of(h->name), str_of(h->value))) {
            buf_printf(out, "\n%s:", h->name);
            add_read(cfg, h->value, h->value_pos, out);
        }
    }
}

void registry_name(const struct config *cfg, struct buf *out)
{
    _cleanup_buf_ struct buf urls = {0};
    _cleanup_buf_ struct buf tenant = {0};
    struct str first = {NULL, 0};

    add_read(cfg, cfg->registry.url, cfg->registry.url_pos, &urls);
    if (address(buf_str(&urls), 0, &first)) {
        http_url_shown(out, first);
    }
    if (*cfg->registry.context != '\0') {
        buf_printf(out, " %s", cfg->registry.context);
    }
    add_tenant(cfg, first, &tenant);
    if (tenant.n > 0) {
        buf_printf(out, " #%016" PRIx64, str_hash(buf_str(&tenant)));
    }
}

bool registry_is_other(const struct config *before, const struct config *after)
{
    _cleanup_buf_ struct buf former = {0};
    _cleanup_buf_ struct buf name = {0};

    registry_name(before, &former);
    registry_name(after, &name);
    return strcmp(before->registry.url, after->registry.url) != 0 ||
           before->registry.flavor != after->registry.flavor ||
           !str_eq(buf_str(&former), buf_str(&name));
}

/* Where "/apis/..." of an Apicurio's URL begins; NULL: it has none. */
static const char *apis_of(struct str url)
{
    return memmem(url.p, url.n, "/apis/", 6);
}

/* The address of an API: what a URL is of, without user and password; false: it has no such. */
static bool add_base(const struct config *cfg, struct str url, enum registry_api api,
                     struct buf *out)
{
    static const char *const apis[] = {
        [REGISTRY_CONFLUENT] = "/apis/ccompat/v7",
        [REGISTRY_APICURIO_3] = "/apis/registry/v3",
        [REGISTRY_APICURIO_2] = "/apis/registry/v2",
    };
    const char *tail = apis_of(url);
    bool is_apicurio = cfg->registry.flavor == CONFIG_FLAVOR_APICURIO;

    if (api == REGISTRY_CONFLUENT &&
        (!is_apicurio ||
         (tail != NULL &&
          str_starts((struct str){tail, url.n - (size_t) (tail - url.p)}, "/apis/ccompat/")))) {
        http_url_shown(out, url);
        return true;
    }
    if (!is_apicurio && tail == NULL) {
        return false;
    }
    http_url_shown(out, tail != NULL ? (struct str){url.p, (size_t) (tail - url.p)} : url);
    buf_add_z(out, apis[api]);
    return true;
}

/* ---- what a status means ---- */

/*
 * Is it the registry that does not have it? A proxy, or another server at that address, says 404 to
 * everything, and its word would make dead letters of all records. Confluent's registry adds a code
 * of its own, Apicurio the name of the fault.
 */
static bool is_absent(const struct http_response *r)
{
    static const char name[] = "\"error_code\"";

    if (r->status != 404 && r->status != 422) {
        return false;
    }
    const char *body = (const char *) r->body.p;
    if (r->body.n > 0 && memmem(body, r->body.n, "NotFoundException", 17) != NULL) {
        return true;
    }
    const char *at = r->body.n > 0 ? memmem(body, r->body.n, name, sizeof name - 1) : NULL;
    if (at == NULL) {
        return false;
    }
    struct str rest = {.p = at + sizeof name - 1};
    rest.n = r->body.n - (size_t) (rest.p - body);
    rest = str_trim(rest);
    if (rest.n == 0 || *rest.p != ':') {
        return false;
    }
    rest = str_trim((struct str){.p = rest.p + 1, .n = rest.n - 1});
    return rest.n > 5 && (memcmp(rest.p, "404", 3) == 0 || memcmp(rest.p, "422", 3) == 0) &&
           !ascii_is_digit(rest.p[5]);
}

static bool passes(long status)
{
    return status >= 500 || status == 429 || status == 408;
}

static enum registry_outcome judge(const struct http_response *r, const char *shown,
                                   struct error *err)
{
    if (r->status == 200) {
        return REGISTRY_FOUND;
    }
    if (is_absent(r)) {
        error_set(err, ERROR_RECORD, "the registry %s does not have it", shown);
        return REGISTRY_ABSENT;
    }
    error_set(err, passes(r->status) ? ERROR_LINK : ERROR_SETUP, "%s: HTTP status %ld", shown,
              r->status);
    if (r->status == 401 || r->status == 403) {
        error_hint(err, "The registry refuses this client: look at registry.username and password, "
                        "token or oauth, and at what they may read.");
    } else if (!passes(r->status)) {
        error_hint(err, "That is not how a registry answers: look at registry.url and "
                        "registry.flavor.");
    }
    return REGISTRY_AWAY;
}

/* ---- a question ---- */

/* Request headers: lines that are owned. */
struct lines {
    char **items;
    size_t count;
};

static void add_line(struct lines *l, char *line)
{
    l->items = mem_realloc(l->items, l->count + 1, sizeof *l->items);
    l->items[l->count++] = line;
}

static void lines_done(struct lines *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->items[i]);
    }
    free(l->items);
}

static bool add_headers(const struct config *cfg, struct lines *l, struct error *err)
{
    for (size_t i = 0; i < cfg->registry.headers.count; i++) {
        const struct config_property *p = &cfg->registry.headers.items[i];
        _cleanup_buf_ struct buf value = {0};
        if (!config_read_text(cfg, p->value, p->value_pos, &value, err)) {
            return false;
        }
        struct str text = str_trim(buf_str(&value));
        if (text.n > 0 &&
            (memchr(text.p, '\r', text.n) != NULL || memchr(text.p, '\n', text.n) != NULL)) {
            return error_set(err, ERROR_SETUP, "registry.headers.%s has several lines", p->name);
        }
        add_line(l, mem_printf("%s: " STR_FMT, p->name, STR_ARG(text)));
    }
    return true;
}

static const char *tls_of(const struct config *cfg, const char *name)
{
    const struct config_property *p = config_property_of(&cfg->registry.tls, name);

    return p != NULL ? p->value : NULL;
}

static enum registry_outcome ask(struct registry *r, struct str url, const char *base,
                                 const char *path, struct http_response *out, struct error *err)
{
    struct lines lines = {0};
    const struct config *cfg = r->cfg;
    _cleanup_buf_ struct buf target = {0};
    struct http_request q = {
        .ca = tls_of(cfg, "ca"),
        .cert = tls_of(cfg, "cert"),
        .key = tls_of(cfg, "key"),
        .key_password = tls_of(cfg, "key_password"),
        .timeout = cfg->registry.timeout,
    };

    buf_printf(&target, "%s%s", base, path);
    q.url = buf_cstr(&target);
    add_line(&lines, mem_strdup(ACCEPT));
    bool ok = add_headers(cfg, &lines, err) && login_take(&r->login, cfg, r->http, url, &q, err);
    if (ok && r->login.header != NULL) {
        add_line(&lines, mem_strdup(r->login.header));
    }
    q.headers = (const char *const *) lines.items;
    q.header_count = lines.count;
    ok = ok && (http_client_send(r->http, &q, out, err) || error_wrap(err, "%s", base));
    lines_done(&lines);
    if (!ok) {
        bool is_usable = err->class != ERROR_RECORD;
        err->class = is_usable ? err->class : ERROR_SETUP;
        return is_usable ? REGISTRY_AWAY : REGISTRY_UNUSABLE;
    }
    if (out->status == 401) {
        login_forget(&r->login);
    }
    return judge(out, base, err);
}

/* Of faults of several addresses the one is kept that somebody can do something about. */
static void keep_worse(struct error *kept, const struct error *err)
{
    if (kept->class == ERROR_NONE || (kept->class != ERROR_SETUP && err->class == ERROR_SETUP)) {
        *kept = *err;
    }
}

enum registry_outcome registry_get(struct registry *r, enum registry_api api, const char *path,
                                   struct http_response *out, struct error *err)
{
    struct error kept = {.class = ERROR_NONE};
    _cleanup_buf_ struct buf urls = {0};
    struct str url;
    size_t count = 0;

    if (!config_read_text(r->cfg, r->cfg->registry.url, r->cfg->registry.url_pos, &urls, err)) {
        return REGISTRY_AWAY;
    }
    while (address(buf_str(&urls), count, &url)) {
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        _cleanup_buf_ struct buf base = {0};
        size_t at = (r->at + i) % count;
        (void) address(buf_str(&urls), at, &url);
        if (!add_base(r->cfg, url, api, &base)) {
            error_set(err, ERROR_SETUP,
                      "%s is not said to be an Apicurio Registry, which alone "
                      "knows this number",
                      buf_cstr(&base));
            error_hint(err, "registry.flavor: apicurio");
            return REGISTRY_UNUSABLE;
        }
        enum registry_outcome outcome = ask(r, url, buf_cstr(&base), path, out, err);
        if (outcome != REGISTRY_AWAY) {
            r->at = at;
            return outcome;
        }
        keep_worse(&kept, err);
    }
    *err = kept;
    return REGISTRY_AWAY;
}
