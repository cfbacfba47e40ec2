/*
 * One HTTP request at a time, blocking, over libcurl; connections are kept between requests.
 * Decides nothing: what a status means is the caller's. One thread at a time.
 */
#ifndef REGISTRY_HTTP_CLIENT_H
#define REGISTRY_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"

/* Of the body; a longer one is a fault. */
#define HTTP_CLIENT_BYTES (UINT64_C(8) << 20)

struct http_client;

/* Texts are borrowed for the time of the call; NULL or "": none. */
struct http_request {
    const char *url; /* may hold a user and a password */
    const char *const *headers;
    size_t header_count;
    const char *user;
    const char *password;
    const char *form; /* POST this form; NULL: GET */
    const char *ca;   /* paths of files in PEM */
    const char *cert;
    const char *key;
    const char *key_password;
    usec_t timeout;
};

struct http_response {
    long status;
    struct buf body;
    struct buf kind; /* X-Registry-ArtifactType, as Apicurio answers */
};

/* stop_fd: a request ends early when it is readable; -1: none. @thread any: makes the library ready
 * when it is first called, which is safe in its versions. */
struct http_client *http_client_new(int stop_fd) _must_;
struct http_client *http_client_free(struct http_client *h); /* returns NULL */

/*
 * False: there is no whole answer. ERROR_SETUP with a hint: TLS, or what it is told is not usable;
 * ERROR_RECORD: the answer is too long; else ERROR_LINK. The error holds no secret of the request.
 */
bool http_client_send(struct http_client *h, const struct http_request *q,
                      struct http_response *out, struct error *err) _must_;

void http_response_done(struct http_response *r);

/* Appends s as a part of a path or of a form: percent-encoded. */
void http_encode(struct buf *out, struct str s);

/* Appends the URL without user and password, and without a slash at its end. */
void http_url_shown(struct buf *out, struct str url);

#endif
