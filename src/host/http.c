/*
 * libmicrohttpd's loop, run by our own thread, and the bounds of http.h. A request is suspended
 * until it is answered. Connections lie in a list in the order of the last moment at which each was
 * of use: it came, or an answer was taken. So whoever is to be closed is the first, be it for being
 * late or because there are too many. Decides nothing about pages. One thread.
 */
#include "host/http.h"

#ifdef PGSINKD_HTTP

#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Above KEPT the first of the list is closed; MOST is what may be open while that is under way. */
#define CONNECTIONS_KEPT 64
#define CONNECTIONS_MOST 96
#define BACKLOG 128
/* Of one connection: the head of a request, and the head of its answer. */
#define CONNECTION_BYTES (16 * 1024)
/* Of the bodies that are being taken, above which connections are closed; but so many of the
 * largest always have room, since what is kept to be shared counts, too, and one must be able to go
 * out. */
#define HELD_BYTES (UINT64_C(16) << 20)
#define HELD_PAGES 4
/* For a request to arrive, and for its answer to be taken. */
#define CONNECTION_TIME (10 * USEC_PER_SEC)

/* An answer, as long as somebody takes it, or may be given it. */
struct http_page {
    struct http *http;
    struct MHD_Response *response;
    unsigned status;
    size_t bytes;
    size_t users;
};

/* A connection, known to libmicrohttpd as the context of its socket. */
struct connection {
    struct connection *next;
    struct connection *before;
    usec_t since; /* it was of use last */
    int fd;
    struct http_request *asks; /* waits for its answer; NULL: none does */
    bool takes;                /* is being sent a page */
    bool closed;               /* shut down; libmicrohttpd will notice */
};

struct http_request {
    struct http_request *next; /* waits to be taken */
    struct http *http;
    struct MHD_Connection *mhd;
    struct connection *connection;
    struct http_page *page; /* NULL: not answered yet */
    bool waits;             /* in the list of requests to be taken */
    char accept[256];
    char path[128];
};

struct http {
    struct MHD_Daemon *daemon;
    int fd;                /* that libmicrohttpd waits for */
    bool ends;             /* nobody takes requests any more */
    struct connection all; /* head of the ring */
    size_t count;
    uint64_t held;              /* bytes of pages, */
    uint64_t bound;             /*   and how many there may be */
    struct http_request *first; /* to be taken, */
    struct http_request **last; /*   in their order */
};

/* ---- connections ---- */

static void unlink_connection(struct connection *c)
{
    c->before->next = c->next;
    c->next->before = c->before;
}

/* To the end of the list: it has been of use now. */
static void append_connection(struct http *h, struct connection *c)
{
    c->since = clock_mono();
    c->next = &h->all;
    c->before = h->all.before;
    c->before->next = c;
    h->all.before = c;
}

static void touch(struct http *h, struct connection *c)
{
    unlink_connection(c);
    append_connection(h, c);
}

/* libmicrohttpd reads the end of the stream next, and closes it. */
static void shut(struct connection *c)
{
    c->closed = true;
    shutdown(c->fd, SHUT_RDWR);
}

/* Closes the first that waits for nothing of ours. */
static void make_room(struct http *h)
{
    for (struct connection *c = h->all.next; c != &h->all; c = c->next) {
        if (c->asks == NULL && !c->closed) {
            shut(c);
            return;
        }
    }
}

static void shut_late(struct http *h, usec_t now)
{
    struct connection *c = h->all.next;

    for (; c != &h->all && c->since + CONNECTION_TIME <= now; c = c->next) {
        if (c->asks == NULL && !c->closed) {
            shut(c);
        }
    }
}

static int socket_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *h = arg;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct connection *c = mem_zalloc(sizeof *c);
        c->fd = socket_of(mhd);
        *context = c;
        append_connection(h, c);
        if (++h->count > CONNECTIONS_KEPT) {
            make_room(h);
        }
    } else if (*context != NULL) {
        unlink_connection(*context);
        free(TAKE_PTR(*context));
        h->count--;
    }
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* ---- requests ---- */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (value != NULL && MHD_add_response_header(response, name, value) != MHD_YES) {
        abort(); /* only for a name or a value that is none */
    }
}

static struct MHD_Response *response_of(struct http_reply *reply)
{
    size_t size = reply->body.n;
    void *body = size > 0 ? TAKE_PTR(reply->body.p) : NULL;
    struct MHD_Response *response = MHD_create_response_from_buffer(size, body,
                                                                    MHD_RESPMEM_MUST_FREE);

    if (response == NULL) {
        abort(); /* out of memory */
    }
    buf_done(&reply->body);
    reply->body = (struct buf){0};
    add_header(response, "Content-Type", reply->type);
    add_header(response, "Content-Security-Policy", reply->policy);
    add_header(response, "Cache-Control", "no-store");
    add_header(response, "X-Content-Type-Options", "nosniff");
    return response;
}

struct http_page *http_page_new(struct http *h, struct http_reply *reply)
{
    struct http_page *page = mem_zalloc(sizeof *page);

    page->http = h;
    page->status = reply->status;
    page->bytes = reply->body.n;
    page->users = 1;
    page->response = response_of(reply);
    h->held += page->bytes;
    h->bound = MAX(h->bound, HELD_PAGES * (uint64_t) page->bytes);
    return page;
}

struct http_page *http_page_drop(struct http_page *page)
{
    if (page != NULL && --page->users == 0) {
        page->http->held -= page->bytes;
        MHD_destroy_response(page->response);
        free(page);
    }
    return NULL;
}

/* Without asking anybody: the request itself is refused. */
static enum MHD_Result refuse(struct MHD_Connection *mhd, unsigned status, const char *text)
{
    struct http_reply reply = {.status = status, .type = "text/plain; charset=utf-8"};

    buf_add_z(&reply.body, text);
    struct MHD_Response *response = response_of(&reply);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        add_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(mhd, status, response);
    MHD_destroy_response(response);
    return result;
}

static bool has_body(struct MHD_Connection *mhd)
{
    const char *length = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_CONTENT_LENGTH);

    return (length != NULL && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) !=
               NULL;
}

static struct http_request *request_new(struct http *h, struct MHD_Connection *mhd,
                                        const char *path)
{
    struct http_request *r = mem_zalloc(sizeof *r);
    const char *accept = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);

    r->http = h;
    r->mhd = mhd;
    r->connection = connection_of(mhd);
    snprintf(r->accept, sizeof r->accept, "%s", accept != NULL ? accept : "");
    /* A longer one is nobody's, and stays so when it is cut. */
    snprintf(r->path, sizeof r->path, "%s", path);
    return r;
}

/* Until it is answered: libmicrohttpd asks again then. */
static enum MHD_Result suspend(struct http_request *r)
{
    struct http *h = r->http;

    r->connection->asks = r;
    r->waits = true;
    *h->last = r;
    h->last = &r->next;
    MHD_suspend_connection(r->mhd);
    return MHD_YES;
}

static enum MHD_Result queue(struct http_request *r)
{
    r->connection->asks = NULL;
    r->connection->takes = true;
    touch(r->http, r->connection); /* time for the answer to be taken */
    return MHD_queue_response(r->mhd, r->page->status, r->page->response);
}

static const char STOPPING[] = "stopping\n";

/* Called when the head of a request is there, then when all of it is, and when it was resumed. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    struct http *h = arg;

    (void) version;
    (void) upload;
    if (*context == NULL) {
        if (h->ends) {
            return refuse(mhd, MHD_HTTP_SERVICE_UNAVAILABLE, STOPPING);
        }
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
            return refuse(mhd, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        }
        if (has_body(mhd)) {
            return refuse(mhd, 413, "a request has no body here\n");
        }
        *context = request_new(h, mhd, path);
        return MHD_YES;
    }
    struct http_request *r = *context;
    *upload_size = 0;
    if (r->page != NULL) {
        return queue(r);
    }
    return h->ends ? refuse(mhd, MHD_HTTP_SERVICE_UNAVAILABLE, STOPPING) : suspend(r);
}

static void take_out(struct http *h, const struct http_request *r)
{
    struct http_request **at = &h->first;

    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    if (*at == NULL) {
        h->last = at;
    }
}

/* The request is over, in whatever way. */
static void on_completed(void *arg, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct http *h = arg;
    struct http_request *r = TAKE_PTR(*context);

    (void) mhd;
    (void) code;
    if (r == NULL) {
        return;
    }
    if (r->waits) {
        take_out(h, r);
    }
    http_page_drop(r->page);
    r->connection->asks = NULL;
    r->connection->takes = false;
    touch(h, r->connection);
    free(r);
}

struct http_request *http_take(struct http *h)
{
    struct http_request *r = h->first;

    if (r != NULL) {
        take_out(h, r);
        r->waits = false;
    }
    return r;
}

const char *http_path(const struct http_request *r)
{
    return r->path;
}

const char *http_accept(const struct http_request *r)
{
    return r->accept;
}

static void run(struct http *h)
{
    if (MHD_run(h->daemon) != MHD_YES) {
        abort(); /* only for a daemon that has a thread of its own */
    }
}

/* Closes the one that takes its page for longest. False: there is none. */
static bool shut_taker(struct http *h)
{
    for (struct connection *c = h->all.next; c != &h->all; c = c->next) {
        if (c->takes && !c->closed) {
            shut(c);
            return true;
        }
    }
    return false;
}

/*
 * What is too much goes before the next page is made. A page goes with the last that takes it, as
 * soon as libmicrohttpd has noticed. Whatever was answered is on its way after the first run, so
 * that it can be closed; what waits for its answer holds no page.
 */
static void keep_bound(struct http *h)
{
    if (h->held > h->bound) {
        run(h);
    }
    while (h->held > h->bound && shut_taker(h)) {
        run(h);
    }
}

void http_answer_page(struct http_request *r, struct http_page *page)
{
    struct http *h = r->http;

    page->users++;
    r->page = page;
    MHD_resume_connection(r->mhd);
    if (!h->ends) { /* else the list is being walked, which the loop would change */
        keep_bound(h);
    }
}

void http_answer(struct http_request *r, struct http_reply *reply)
{
    struct http_page *page = http_page_new(r->http, reply);

    page->users--; /* the request's only */
    http_answer_page(r, page);
}

uint64_t http_memory(uint64_t body_bytes)
{
    /* One is kept to be shared, one is above the bound, one is being written, in a buffer that may
     * be twice as large. */
    return CONNECTIONS_MOST * (CONNECTION_BYTES + sizeof(struct connection)) +
           MAX(HELD_BYTES, HELD_PAGES * body_bytes) + 4 * body_bytes;
}

/* ---- the loop ---- */

/* When libmicrohttpd, or the first connection, wants to be looked at. */
static usec_t next_turn(const struct http *h, usec_t now, usec_t until)
{
    MHD_UNSIGNED_LONG_LONG ms;
    const struct connection *first = h->all.next;

    if (MHD_get_timeout(h->daemon, &ms) == MHD_YES) {
        until = MIN(until, now + ms * USEC_PER_MSEC);
    }
    while (first != &h->all && (first->asks != NULL || first->closed)) {
        first = first->next;
    }
    return first == &h->all ? until : MIN(until, first->since + CONNECTION_TIME);
}

void http_wait(struct http *h, int fd, usec_t until)
{
    run(h); /* what was answered is sent */
    while (h->first == NULL && clock_mono() < until) {
        struct pollfd fds[] = {{.fd = h->fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
        usec_t now = clock_mono();
        if (poll(fds, ARRAY_LEN(fds), clock_poll_ms(now, next_turn(h, now, until))) < 0 &&
            errno != EINTR) {
            abort();
        }
        shut_late(h, clock_mono());
        run(h);
        if (fds[1].revents != 0) {
            return;
        }
    }
}

/* ---- from start to end ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_of(const char *host, uint16_t port, union address *out)
{
    *out = (union address){0};
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return sizeof out->v4;
    }
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return sizeof out->v6;
    }
    return 0;
}

static bool listen_failed(const char *what, struct error *err)
{
    int code = errno;
    bool passes = code == EADDRINUSE || code == EADDRNOTAVAIL || code == EMFILE || code == ENFILE;

    error_set(err, passes ? ERROR_AGAIN : ERROR_SETUP, "%s: %s", what, strerror(code));
    if (code == EADDRINUSE) {
        return error_hint(err, "Another process listens there, perhaps another sink: each needs a "
                               "port of its own in http.listen.");
    }
    return false;
}

/* The descriptor of a listening socket; -1: it failed. */
static int listen_at(const char *host, uint16_t port, struct error *err)
{
    union address at;
    socklen_t size = address_of(host, port, &at);
    int on = 1;

    if (size == 0) {
        error_set(err, ERROR_SETUP, "'%s' is no numeric address", host);
        return -1;
    }
    int fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        listen_failed("cannot make a socket", err);
        return -1;
    }
    /* A stop leaves connections behind that keep the port for a minute; and [::] is not 0.0.0.0 */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (at.any.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(fd, &at.any, size) != 0 || listen(fd, BACKLOG) != 0) {
        listen_failed("cannot listen", err);
        close(fd);
        return -1;
    }
    return fd;
}

struct http *http_open(const char *host, uint16_t port, struct error *err)
{
    int fd = listen_at(host, port, err);

    if (fd < 0) {
        return NULL;
    }
    struct http *h = mem_zalloc(sizeof *h);
    h->all.next = h->all.before = &h->all;
    h->last = &h->first;
    h->bound = HELD_BYTES;
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, port, NULL, NULL, on_request, h,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned) CONNECTIONS_MOST,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_BYTES, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
    if (h->daemon == NULL) {
        error_set(err, ERROR_AGAIN, "libmicrohttpd does not start: %s", strerror(errno));
        close(fd);
        free(h);
        return NULL;
    }
    h->fd = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return h;
}

struct http *http_close(struct http *h)
{
    if (h == NULL) {
        return NULL;
    }
    /* Nothing may be suspended when libmicrohttpd ends: it aborts. So what comes now is refused. */
    h->ends = true;
    for (struct connection *c = h->all.next; c != &h->all; c = c->next) {
        if (c->asks != NULL && c->asks->page == NULL) {
            struct http_reply reply = {.status = MHD_HTTP_SERVICE_UNAVAILABLE,
                                       .type = "text/plain"};
            buf_add_z(&reply.body, STOPPING);
            http_answer(c->asks, &reply);
        }
    }
    run(h);
    MHD_stop_daemon(h->daemon);
    free(h);
    return NULL;
}

#else

struct http *http_open(const char *host, uint16_t port, struct error *err)
{
    (void) host;
    (void) port;
    error_set(err, ERROR_SETUP, "this program was built without HTTP");
    error_hint(err, "Build it with libmicrohttpd, or set http.listen to off.");
    return NULL;
}

struct http *http_close(struct http *h)
{
    return h;
}

void http_wait(struct http *h, int fd, usec_t until)
{
    (void) h;
    (void) fd;
    (void) until;
}

struct http_request *http_take(struct http *h)
{
    (void) h;
    return NULL;
}

const char *http_path(const struct http_request *r)
{
    (void) r;
    return "";
}

const char *http_accept(const struct http_request *r)
{
    (void) r;
    return "";
}

void http_answer(struct http_request *r, struct http_reply *reply)
{
    (void) r;
    buf_done(&reply->body);
}

struct http_page *http_page_new(struct http *h, struct http_reply *reply)
{
    (void) h;
    buf_done(&reply->body);
    return NULL;
}

void http_answer_page(struct http_request *r, struct http_page *page)
{
    (void) r;
    (void) page;
}

struct http_page *http_page_drop(struct http_page *page)
{
    (void) page;
    return NULL;
}

uint64_t http_memory(uint64_t body_bytes)
{
    return body_bytes;
}

#endif
