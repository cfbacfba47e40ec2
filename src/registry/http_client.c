/*
 * libcurl's only user. A request is driven through its multi interface, whose wait also ends when
 * our stop is readable. The options are the strict ones: http and https only, no redirects (a
 * registry has none, and one that led elsewhere would be given our password), no signals.
 */
#include "registry/http_client.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "base/redact.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONNECT_TIMEOUT (2 * USEC_PER_SEC)
#define WAIT_MS 1000

struct http_client {
    CURL *easy;
    CURLM *multi;
    int stop_fd;
    char text[CURL_ERROR_SIZE];
};

struct transfer {
    struct http_response *out;
    bool too_long;
};

struct http_client *http_client_new(int stop_fd)
{
    struct http_client *h = mem_zalloc(sizeof *h);

    h->stop_fd = stop_fd;
    h->easy = curl_easy_init(); /* makes the library ready, too */
    h->multi = curl_multi_init();
    if (h->easy == NULL || h->multi == NULL) {
        abort();
    }
    return h;
}

struct http_client *http_client_free(struct http_client *h)
{
    if (h != NULL) {
        curl_easy_cleanup(h->easy);
        curl_multi_cleanup(h->multi);
        free(h);
    }
    return NULL;
}

void http_response_done(struct http_response *r)
{
    buf_done(&r->body);
    buf_done(&r->kind);
}

static size_t take_body(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;

    (void) size; /* is 1 */
    if (t->out->body.n + n > HTTP_CLIENT_BYTES) {
        t->too_long = true;
        return 0;
    }
    buf_add(&t->out->body, p, n);
    return n;
}

static size_t take_header(char *p, size_t size, size_t n, void *arg)
{
    static const char name[] = "x-registry-artifacttype:";
    struct transfer *t = arg;

    (void) size;
    if (n >= sizeof name - 1 && strncasecmp(p, name, sizeof name - 1) == 0) {
        buf_clear(&t->out->kind);
        buf_add_str(&t->out->kind,
                    str_trim((struct str){p + sizeof name - 1, n - (sizeof name - 1)}));
    }
    return n;
}

static const char *or_null(const char *s)
{
    return s != NULL && *s != '\0' ? s : NULL;
}

static struct curl_slist *headers_of(const struct http_request *q)
{
    struct curl_slist *list = NULL;

    for (size_t i = 0; i < q->header_count; i++) {
        list = curl_slist_append(list, q->headers[i]);
    }
    return list;
}

static void set_options(struct http_client *h, const struct http_request *q, struct transfer *t,
                        struct curl_slist *headers)
{
    CURL *c = h->easy;

    curl_easy_reset(c); /* connections stay */
    curl_easy_setopt(c, CURLOPT_URL, q->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->text);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                     (long) (MIN(q->timeout, CONNECT_TIMEOUT) / USEC_PER_MSEC));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long) (q->timeout / USEC_PER_MSEC));
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, ""); /* whatever the library can unpack */
    curl_easy_setopt(c, CURLOPT_USERAGENT, "pgsinkd/" PGSINKD_VERSION);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->form); /* NULL: GET */
    if (q->form == NULL) {
        curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
    }
    if (or_null(q->user) != NULL) {
        curl_easy_setopt(c, CURLOPT_USERNAME, q->user);
        curl_easy_setopt(c, CURLOPT_PASSWORD, q->password != NULL ? q->password : "");
    }
    if (or_null(q->ca) != NULL) {
        curl_easy_setopt(c, CURLOPT_CAINFO, q->ca);
        curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(c, CURLOPT_SSLCERT, or_null(q->cert));
    curl_easy_setopt(c, CURLOPT_SSLKEY, or_null(q->key));
    curl_easy_setopt(c, CURLOPT_KEYPASSWD, or_null(q->key_password));
}

/* Until it is done; CURLE_ABORTED_BY_CALLBACK: the stop. */
static CURLcode drive(struct http_client *h)
{
    struct curl_waitfd stop = {.fd = h->stop_fd, .events = CURL_WAIT_POLLIN};
    int running = 1;
    int left = 0;

    while (curl_multi_perform(h->multi, &running) == CURLM_OK && running > 0) {
        curl_multi_poll(h->multi, &stop, h->stop_fd >= 0 ? 1 : 0, WAIT_MS, NULL);
        if (h->stop_fd >= 0 && stop.revents != 0) {
            return CURLE_ABORTED_BY_CALLBACK;
        }
    }
    const CURLMsg *m = curl_multi_info_read(h->multi, &left);
    return m != NULL && m->msg == CURLMSG_DONE ? m->data.result : CURLE_FAILED_INIT;
}

/* What a person must change: certificates, files of keys, a URL. */
static bool is_setup(CURLcode code)
{
    static const CURLcode codes[] = {
        CURLE_SSL_CERTPROBLEM,      CURLE_SSL_CIPHER,        CURLE_PEER_FAILED_VERIFICATION,
        CURLE_SSL_CACERT_BADFILE,   CURLE_SSL_ISSUER_ERROR,  CURLE_URL_MALFORMAT,
        CURLE_UNSUPPORTED_PROTOCOL, CURLE_SSL_CONNECT_ERROR,
    };

    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (code == codes[i]) {
            return true;
        }
    }
    return false;
}

/* With TLS 1.3 the server looks at our certificate after the handshake: that it lacks one, or does
 * not like it, arrives as the answer to the request. */
static bool is_refused_certificate(CURLcode code, const char *text)
{
    return (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR) &&
           strstr(text, "alert") != NULL &&
           (strstr(text, "certificate") != NULL || strstr(text, "unknown ca") != NULL);
}

/* The library's words are its own and the server's certificate's; a URL in them may hold a
 * password. */
static bool fail(struct http_client *h, const struct http_request *q, CURLcode code,
                 struct error *err)
{
    const char *plain[] = {NULL};

    if (h->text[0] == '\0') {
        snprintf(h->text, sizeof h->text, "%s", curl_easy_strerror(code));
    }
    if (or_null(q->password) != NULL) {
        redact(h->text, sizeof h->text, q->password, plain, 1);
    }
    if (or_null(q->key_password) != NULL) {
        redact(h->text, sizeof h->text, q->key_password, plain, 1);
    }
    if (!is_setup(code) && !is_refused_certificate(code, h->text)) {
        return error_set(err, ERROR_LINK, "%s", h->text);
    }
    error_set(err, ERROR_SETUP, "%s", h->text);
    return error_hint(err, "Look at registry.url and registry.tls: which authority has signed the "
                           "registry's certificate, and whether it wants one of this client.");
}

bool http_client_send(struct http_client *h, const struct http_request *q,
                      struct http_response *out, struct error *err)
{
    struct transfer t = {.out = out};
    struct curl_slist *headers = headers_of(q);

    buf_clear(&out->body);
    buf_clear(&out->kind);
    h->text[0] = '\0';
    set_options(h, q, &t, headers);
    curl_multi_add_handle(h->multi, h->easy);
    CURLcode code = drive(h);
    curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &out->status);
    curl_multi_remove_handle(h->multi, h->easy);
    curl_slist_free_all(headers);
    if (code == CURLE_OK) {
        return true;
    }
    if (t.too_long) {
        return error_set(err, ERROR_RECORD, "the answer is longer than %llu MiB",
                         (unsigned long long) (HTTP_CLIENT_BYTES >> 20));
    }
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        return error_set(err, ERROR_LINK, "interrupted");
    }
    return fail(h, q, code, err);
}

void http_encode(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        char lower = ascii_lower(c);
        if ((lower >= 'a' && lower <= 'z') || ascii_is_digit(c) ||
            (c != '\0' && strchr("-._~", c) != NULL)) {
            buf_add(out, &c, 1);
        } else {
            buf_printf(out, "%%%02X", (unsigned) (unsigned char) c);
        }
    }
}

void http_url_shown(struct buf *out, struct str url)
{
    const char *after = url.n > 0 ? memmem(url.p, url.n, "://", 3) : NULL;
    size_t start = after != NULL ? (size_t) (after - url.p) + 3 : 0;
    size_t host = start;

    for (size_t i = start; i < url.n && url.p[i] != '/'; i++) {
        host = url.p[i] == '@' ? i + 1 : host;
    }
    while (url.n > host && url.p[url.n - 1] == '/') {
        url.n--;
    }
    buf_add(out, url.p, start);
    buf_add(out, url.p + host, url.n - host);
}
