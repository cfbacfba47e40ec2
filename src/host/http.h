/*
 * The window to scrapers and browsers: HTTP over TCP, GET and HEAD only. Requests are taken and
 * answered, there are no callbacks. It has no thread: libmicrohttpd's loop turns in http_wait.
 *
 * Bounded, whoever asks: so many connections, of which the one that has been of no use for longest
 * is closed for a new one; so many bytes of a request's head, no body; so long for a request to
 * arrive and for its answer to be taken; so many bytes of answers that are being taken, of which
 * those that have been at it for longest are closed. So those that stall cannot keep an honest one
 * out, nor fill the memory.
 *
 * Knows no page. One thread at a time.
 */
#ifndef HOST_HTTP_H
#define HOST_HTTP_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"

struct http;
struct http_request;
struct http_page;

/* An answer. Texts other than the body are static or live until http_answer has returned. */
struct http_reply {
    unsigned status;
    const char *type;   /* Content-Type */
    const char *policy; /* Content-Security-Policy; NULL: none */
    struct buf body;    /* moved: empty afterwards */
};

/* How much memory connections and answers take, where no body has more bytes than that. */
uint64_t http_memory(uint64_t body_bytes) _pure_;

/*
 * Listens. host is a numeric address of IPv4 or IPv6. NULL: ERROR_AGAIN where it may work later
 * (the port is taken, the address is not here yet), else ERROR_SETUP, also in a build without
 * libmicrohttpd.
 */
struct http *http_open(const char *host, uint16_t port, struct error *err) _must_;

/* Drops what is not answered; returns NULL, and does nothing for NULL. */
struct http *http_close(struct http *h);

/* Serves until a request is there to be taken, fd is readable, or it is time. */
void http_wait(struct http *h, int fd, usec_t until);

/* The next request, which stays here until it is answered; NULL: there is none. */
struct http_request *http_take(struct http *h) _must_;

/* Of a request: its path, decoded, and its header Accept, which may be "". */
const char *http_path(const struct http_request *r);
const char *http_accept(const struct http_request *r);

/* Answers a request that was taken; it is gone then. May close other connections. */
void http_answer(struct http_request *r, struct http_reply *reply);

/* The same with an answer for several requests, whose body is there once. page_new moves the body;
 * page_drop, before http_close, says that no more requests are answered with it; returns NULL, and
 * does nothing for NULL. */
struct http_page *http_page_new(struct http *h, struct http_reply *reply) _must_;
void http_answer_page(struct http_request *r, struct http_page *page);
struct http_page *http_page_drop(struct http_page *page);

#endif
