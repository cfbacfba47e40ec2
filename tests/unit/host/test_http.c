/*
 * http.c: what clients of ours see of a window that is opened and closed here. How those that stall
 * are treated is in tests/integration/test_http.py. One thread.
 */
#include "host/http.h"

#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/* A port that is free, which is hardly taken by others at once. */
static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &at, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &at, &size), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static struct http *opened(uint16_t port)
{
    struct error err;
    struct http *h = http_open("127.0.0.1", port, &err);

    assert_non_null(h);
    return h;
}

/* Connected, and accepted. */
static int client(struct http *h, uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &at, sizeof at), 0);
    http_wait(h, -1, clock_mono() + 20 * USEC_PER_MSEC);
    return fd;
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

/* All until the end of the stream. */
static void expect_said(int fd, const char *words)
{
    char said[4096];
    size_t n = 0;

    for (ssize_t got; (got = recv(fd, said + n, sizeof said - 1 - n, 0)) > 0;) {
        n += (size_t) got;
    }
    said[n] = '\0';
    close(fd);
    if (strstr(said, words) == NULL) {
        print_error("said: %s\n", said);
        fail();
    }
}

static void test_a_request_is_taken_and_answered(void **state)
{
    uint16_t port = free_port();
    struct http *h = opened(port);
    int fd = client(h, port);
    struct http_reply reply = {.status = 200, .type = "text/plain"};

    (void) state;
    assert_null(http_take(h));
    send_text(fd, request);
    http_wait(h, -1, clock_mono() + 10 * USEC_PER_SEC);
    struct http_request *r = http_take(h);
    assert_non_null(r);
    assert_string_equal(http_path(r), "/metrics");
    assert_string_equal(http_accept(r), "");
    buf_add_z(&reply.body, "hello");
    http_answer(r, &reply);
    http_wait(h, -1, clock_mono() + 20 * USEC_PER_MSEC);
    assert_null(http_close(h));
    expect_said(fd, "\r\n\r\nhello");
}

/* One that waits for its answer, and one that arrives in the very moment of the end. */
static void test_it_is_closed_while_requests_come(void **state)
{
    uint16_t port = free_port();
    struct http *h = opened(port);
    int waits = client(h, port);

    (void) state;
    send_text(waits, request);
    http_wait(h, -1, clock_mono() + 10 * USEC_PER_SEC);
    assert_non_null(http_take(h));
    int comes = client(h, port);
    send_text(comes, request);
    assert_null(http_close(h));
    assert_null(http_close(NULL));
    expect_said(waits, "");
    expect_said(comes, "");
}

/*
 * Each client asks for a page of 4 MB and takes nothing of it. Above 16 MB the one that has been at
 * it for longest is closed, and no more than that.
 */
static void test_pages_that_nobody_takes(void **state)
{
    enum { CLIENTS = 6, BYTES = 4000000, KEPT = 4 };
    uint16_t port = free_port();
    struct http *h = opened(port);
    int fds[CLIENTS];
    char got[4096];

    (void) state;
    for (int i = 0; i < CLIENTS; i++) {
        struct http_reply reply = {.status = 200, .type = "text/plain"};
        fds[i] = client(h, port);
        send_text(fds[i], request);
        http_wait(h, -1, clock_mono() + 10 * USEC_PER_SEC);
        struct http_request *r = http_take(h);
        assert_non_null(r);
        memset(buf_reserve(&reply.body, BYTES), 'x', BYTES);
        reply.body.n = BYTES;
        http_answer(r, &reply);
        http_wait(h, -1, clock_mono() + 20 * USEC_PER_MSEC);
    }
    for (int i = 0; i < CLIENTS; i++) {
        size_t n = 0;
        for (ssize_t once = 1; once > 0 && n < BYTES;) {
            http_wait(h, -1, clock_mono());
            while ((once = recv(fds[i], got, sizeof got, MSG_DONTWAIT)) > 0) {
                n += (size_t) once;
            }
            once = once < 0 && errno == EAGAIN ? 1 : once;
        }
        assert_true((n >= BYTES) == (i >= CLIENTS - KEPT));
        close(fds[i]);
    }
    assert_null(http_close(h));
}

/* The page of all of them is there once, so that none has to go. */
static void test_a_page_is_shared(void **state)
{
    enum { CLIENTS = 6, BYTES = 5000000 };
    uint16_t port = free_port();
    struct http *h = opened(port);
    struct http_reply reply = {.status = 200, .type = "text/plain"};
    int fds[CLIENTS];
    char got[4096];

    (void) state;
    memset(buf_reserve(&reply.body, BYTES), 'x', BYTES);
    reply.body.n = BYTES;
    struct http_page *page = http_page_new(h, &reply);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = client(h, port);
        send_text(fds[i], request);
        http_wait(h, -1, clock_mono() + 10 * USEC_PER_SEC);
        http_answer_page(http_take(h), page);
        http_wait(h, -1, clock_mono() + 20 * USEC_PER_MSEC);
    }
    assert_null(http_page_drop(page));
    for (int i = 0; i < CLIENTS; i++) {
        size_t n = 0;
        while (n < BYTES) {
            http_wait(h, -1, clock_mono());
            for (ssize_t once; (once = recv(fds[i], got, sizeof got, MSG_DONTWAIT)) > 0;) {
                n += (size_t) once;
            }
        }
        close(fds[i]);
    }
    assert_null(http_close(h));
}

/* Larger than all pages may be otherwise; there is a second that is kept. */
static void test_a_page_that_is_very_large(void **state)
{
    enum { BYTES = 20000000 };
    uint16_t port = free_port();
    struct http *h = opened(port);
    struct http_page *pages[2];
    static char got[65536];
    size_t n = 0;

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        struct http_reply reply = {.status = 200, .type = "text/plain"};
        memset(buf_reserve(&reply.body, BYTES), 'x', BYTES);
        reply.body.n = BYTES;
        pages[i] = http_page_new(h, &reply);
    }
    int fd = client(h, port);
    send_text(fd, request);
    http_wait(h, -1, clock_mono() + 10 * USEC_PER_SEC);
    http_answer_page(http_take(h), pages[0]);
    for (ssize_t once = 1; once > 0 && n < BYTES;) {
        http_wait(h, -1, clock_mono());
        while ((once = recv(fd, got, sizeof got, MSG_DONTWAIT)) > 0) {
            n += (size_t) once;
        }
        once = once < 0 && errno == EAGAIN ? 1 : once;
    }
    assert_true(n > BYTES);
    close(fd);
    http_page_drop(pages[0]);
    http_page_drop(pages[1]);
    assert_null(http_close(h));
}

/* Four pages are being taken, which is as much as there may be, and two requests wait: the end
 * answers both. */
static void test_it_is_closed_at_its_bound(void **state)
{
    enum { TAKERS = 4, BYTES = 5000000 };
    uint16_t port = free_port();
    struct http *h = opened(port);
    int fds[TAKERS + 2];

    (void) state;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        struct http_reply reply = {.status = 200, .type = "text/plain"};
        fds[i] = client(h, port);
        send_text(fds[i], request);
        http_wait(h, -1, clock_mono() + 10 * USEC_PER_SEC);
        struct http_request *r = http_take(h);
        assert_non_null(r);
        if (i < TAKERS) {
            memset(buf_reserve(&reply.body, BYTES), 'x', BYTES);
            reply.body.n = BYTES;
            http_answer(r, &reply);
            http_wait(h, -1, clock_mono() + 20 * USEC_PER_MSEC);
        }
    }
    assert_null(http_close(h));
    for (size_t i = 0; i < TAKERS; i++) {
        close(fds[i]);
    }
    expect_said(fds[TAKERS], "stopping");
    expect_said(fds[TAKERS + 1], "stopping");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_taken_and_answered),
        cmocka_unit_test(test_pages_that_nobody_takes),
        cmocka_unit_test(test_a_page_is_shared),
        cmocka_unit_test(test_a_page_that_is_very_large),
        cmocka_unit_test(test_it_is_closed_while_requests_come),
        cmocka_unit_test(test_it_is_closed_at_its_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
